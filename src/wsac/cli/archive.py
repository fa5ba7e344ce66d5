"""``wsac archive``: many recordings, captioned into Parquet files, and what is in them."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Exit, Option

from wsac.io.console import count_of, duration, part_of, print_json, say, table
from wsac.types import WsacError

from . import common_options as common
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
Page = Annotated[
    Path | None,
    Option("--html", metavar="PAGE", callback=common.new_file, help="Also write a page, with map."),
]
TOLD = 10  # errors of a build, at most
SHOWN = 20  # errors of stats
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


@archive.command(cls=PlainHelp)
def stats(
    archive: common.Archive,
    page: Page = None,
    near: Annotated[float, Option(help="Cosine from which on sounds are nearly the same.")] = 0.98,
    as_json: common.Json = False,
) -> None:
    """Show clusters, duplicates, silent and clipped files.

    wsac archive stats sounds.archive --html stats.html
    """
    if not 0 < near <= 1:
        raise WsacError(f"--near {near:g}: give a cosine above 0, and at most 1")
    from wsac.archive.archive_folder import Archive
    from wsac.archive.archive_stats import archive_stats, write_stats_page

    stats = archive_stats(Archive.open(archive), near)
    counts = stats.counts()
    if as_json:
        names = ("errors", "silent", "clipped", "copies", "near_copies")
        lists = {name: getattr(stats, name) for name in names}
        clusters = [asdict(cluster) for cluster in stats.clusters]
        print_json({"counts": counts, "clusters": clusters, **lists})
    else:
        table("", ("", ">"), [(n.replace("_", " "), f"{v:,}") for n, v in counts.items()])
        rows = [(c.caption, f"{c.files:,}", duration(3600 * c.hours)) for c in stats.clusters]
        table("clusters", ("caption of its middle", "files>", "length>"), rows)
        for line in stats.errors[:SHOWN]:
            say(f"error: {line}")
        if len(stats.errors) > SHOWN:
            say(f"and {len(stats.errors) - SHOWN:,} more errors; --json has all")
    if page is not None:
        write_stats_page(page, stats, title=f"What is in {archive.name}")


archive.command(cls=PlainHelp)(export)


def _bytes(text: str | None) -> int | None:
    """Bytes of a size such as 8G, 512M or 1.5 GiB. Raises WsacError."""
    if text is None:
        return None
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?\s*", text.lower())
    if not match:
        raise WsacError(f"--max-memory {text}: no size; give one such as 8G or 512M")
    return int(float(match[1]) * 2 ** UNITS[match[2]])
