"""``wsac archive export``: an archive as a data set that other libraries read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Exit, Option

from wsac.io.console import say

from . import common_options as common
from .archive_contents import Folder


def export(
    archive: Folder,
    to: Annotated[
        str,
        Option("--to", help="webdataset, huggingface, lhotse, csv, audacity or aac-datasets."),
    ],
    out: Annotated[Path, Option("--out", "-o", help="A new folder; for csv a file.")],
    min_confidence: Annotated[float | None, Option(help="Leave out captions below it.")] = None,
    clap: Annotated[str | None, Option(help="The archive's CLAP, if it has moved.")] = None,
    device: common.Device = "auto",
) -> None:
    """Export captions and sounds for other libraries.

    wsac archive export sounds.archive --to webdataset --out tars/ --min-confidence 0.5
    """
    from wsac.archive.archive_folder import Archive
    from wsac.archive.export.exporting import export_archive
    from wsac.archive.search.searching import load_clap_of

    opened = Archive.open(archive)
    if to == "csv":
        common.new_file(out)
    model = load_clap_of(opened, clap, device)
    try:
        summary = export_archive(
            opened,
            to,
            out,
            model,
            min_confidence=min_confidence,
        )
    except KeyboardInterrupt:
        raise common.StoppedError(f"{out}: stopped, and nothing is written") from None
    reasons = summary.reasons()
    plural = "s" * (summary.rows != 1)
    say(f"{out}: {summary.rows:,} sound{plural}; left out: {reasons or 'none'}")
    if summary.error:
        say(f"error: {summary.error}")
        raise Exit(1)
