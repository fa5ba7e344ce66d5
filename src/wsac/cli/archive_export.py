"""``wsac archive export``: an archive as a data set that other libraries read."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Exit, Option

from wsac.io.console import count_of, say

from . import common_options as common

if TYPE_CHECKING:
    from wsac.data.datasets.id_lists import IdList


def export(
    archive: common.Archive,
    to: Annotated[
        str,
        Option("--to", help="webdataset, huggingface, lhotse, csv, audacity or aac-datasets."),
    ],
    out: Annotated[Path, Option("--out", "-o", help="A new folder; for csv a file.")],
    min_confidence: Annotated[float | None, Option(help="Leave out captions below it.")] = None,
    exclude_eval: Annotated[
        common.Words,
        Option(metavar="LIST", callback=common.existing, help="File of ids to leave out."),
    ] = None,
    exclude_like: Annotated[
        common.Words,
        Option(metavar="FOLDER", callback=common.existing, help="Leave out copies of its sounds."),
    ] = None,
    clap: Annotated[str | None, Option(help="The archive's CLAP, if it has moved.")] = None,
    device: common.Device = "auto",
) -> None:
    """Export captions and sounds for other libraries.

    wsac archive export sounds.archive --to webdataset --out tars/
    """
    from wsac.archive.archive_folder import Archive
    from wsac.archive.export.exporting import export_archive
    from wsac.archive.search.searching import load_clap_of
    from wsac.data.datasets.id_lists import IdList

    opened = Archive.open(archive)
    if to == "csv":
        common.new_file(out)
    lists = list(map(IdList, exclude_eval or ()))
    for ids in lists:
        training = f" ({ids.skipped:,} of its training part stay)" if ids.skipped else ""
        say(f"{ids.path}: {count_of(len(ids.ids), 'id')}{training}")
    by_sound = []
    if exclude_like:
        from wsac.archive.export.fingerprints import copies_of

        by_sound.append(copies_of(exclude_like))
    model = load_clap_of(opened, clap, device)
    try:
        summary = export_archive(
            opened,
            to,
            out,
            model,
            min_confidence=min_confidence,
            by_name=[partial(_on_list, ids) for ids in lists],
            by_sound=by_sound,
        )
    except KeyboardInterrupt:
        raise common.StoppedError(f"{out}: stopped, and nothing is written") from None
    reasons = summary.reasons()
    say(f"{out}: {count_of(summary.rows, 'sound')}; left out: {reasons or 'none'}")
    if summary.error:
        say(f"error: {summary.error}")
        raise Exit(1)


def _on_list(ids: IdList, path: str) -> str:
    return f"in {ids.path.name}" if path in ids else ""
