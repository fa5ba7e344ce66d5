"""``wsac archive``: many recordings, captioned into Parquet files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Exit, Option

from wsac.io.console import count_of, part_of, say
from wsac.types import WsacError

from . import common_options as common
from .archive_contents import stats
from .archive_export import export
from .plain_help import PlainHelp

archive = typer.Typer(name="archive", help="Caption many recordings into Parquet.", **common.PLAIN)
Inputs = Annotated[
    list[str],
    Argument(
        metavar="INPUT...", help="Folders, globs, files, addresses, or a CSV or Parquet list."
    ),
]
Out = Annotated[
    Path, Option("--out", "-o", callback=common.new_folder, help="The archive; it is resumed.")
]
TOLD = 10  # errors, at most
UNITS = {"": 0, "k": 10, "m": 20, "g": 30, "t": 40}


@archive.command(cls=PlainHelp)
def build(
    inputs: Inputs,
    out: Out,
    model: common.Model = "pocket",
    clap: common.MovedClap = None,
    labels: Annotated[str | None, Option(help="Also tags: any words, separated by commas.")] = None,
    labels_file: common.LabelsFile = None,
    spans: Annotated[bool, Option("--spans", help="Also spans: what is where.")] = False,
    min_confidence: Annotated[float | None, Option(help="Hide captions below it (0-1).")] = None,
    engine: Annotated[str, Option(help="local (processes), or ray (a cluster).")] = "local",
    address: Annotated[
        str | None, Option(metavar="HOST:PORT", help="A running Ray cluster, or auto.")
    ] = None,
    workers: Annotated[int | None, Option(help="Processes. Default: one a processor.")] = None,
    max_memory: Annotated[str | None, Option(help="Of all workers together, such as 8G.")] = None,
    shard_files: Annotated[int, Option(help="Files in a shard, the unit of work.")] = 256,
    retry_errors: Annotated[bool, Option("--retry-errors", help="Try failed files again.")] = False,
    device: common.Device = "auto",
) -> None:
    """Caption folders into Parquet; again: resume and update.

    wsac archive build recordings/ --out sounds.archive
    """
    from wsac.archive.build import BuildOptions, build_archive

    options = BuildOptions(
        model=model,
        clap=clap,
        device=device,
        min_confidence=min_confidence,
        labels=tuple(common.chosen_labels(labels or None, labels_file)),
        spans=spans,
        engine=engine,
        address=address,
        workers=workers,
        max_memory=_bytes(max_memory),
        shard_files=shard_files,
        retry_errors=retry_errors,
    )
    try:
        summary = build_archive(inputs, out, options)
    except KeyboardInterrupt:
        what = "stopped; the same command goes on from the last whole shard"
        raise common.StoppedError(f"{out}: {what}") from None
    if summary.rows:
        say(f"{out}: {count_of(summary.rows - summary.errors, 'file')} captioned")
    for line in summary.examples[:TOLD]:
        say(f"error: {line}")
    if summary.failed:
        what = f"{part_of(summary.failed, summary.listed, 'file')} could not be written"
        say(f"{what}; the same command tries them again")
    if errors := summary.errors + summary.standing:
        what = f"{part_of(errors, summary.listed, 'file')} could not be captioned"
        say(f"{what}; wsac archive stats {out} says why, and --retry-errors tries them again")
    if summary.failed or errors:
        raise Exit(1)


archive.command(cls=PlainHelp)(stats)
archive.command(cls=PlainHelp)(export)


def _bytes(text: str | None) -> int | None:
    """Bytes of a size such as 8G, 512M or 1.5 GiB. Raises WsacError."""
    if text is None:
        return None
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?\s*", text.lower())
    if not match:
        raise WsacError(f"--max-memory {text}: no size; give one such as 8G or 512M")
    return int(float(match[1]) * 2 ** UNITS[match[2]])
