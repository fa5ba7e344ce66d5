"""``wsac archive stats``: what is in an archive."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from wsac.io.console import duration, print_json, say, table
from wsac.types import WsacError

from . import common_options as common

Folder = Annotated[Path, Argument(metavar="ARCHIVE", help="A folder of wsac archive build.")]
SHOWN = 20  # errors
Page = Annotated[
    Path | None,
    Option("--html", metavar="PAGE", callback=common.new_file, help="Also write a page, with map."),
]


def stats(
    archive: Folder,
    page: Page = None,
    near: Annotated[float, Option(help="Cosine from which on sounds are nearly the same.")] = 0.98,
    as_json: common.Json = False,
) -> None:
    """Show clusters, duplicates, silent and clipped files.

    wsac archive stats sounds.archive --html stats.html
    """
    if not 0 < near <= 1:
        raise WsacError(f"--near {near:g}: give a cosine above 0, and at most 1")
    from dataclasses import asdict

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
