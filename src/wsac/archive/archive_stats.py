"""What is in an archive: how much of what, and what is silent, clipped, twice or unreadable."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from wsac.io.html import PagePart, write_page
from wsac.io.svg_plots import histogram_svg, scatter_svg

from .archive_folder import Archive
from .clusters import k_means, near_duplicates, on_a_map
from .search.embedding_file import open_embeddings

COLUMNS = ("path", "id", "seconds", "loudness", "clipped", "silent", "caption", "error")
CLIPPED = 1e-4  # share of samples at full scale, from which on a file counts as clipped
NEARLY_SAME = 0.98  # cosine
CLUSTERS = 10  # colours that can be told apart
SHOWN = 50  # files of a list on the page
DRAWN = 5000  # points of the map


@dataclass(frozen=True)
class Cluster:
    """Files that sound alike. caption: of the file nearest the middle. paths: some, nearest
    first."""

    caption: str
    files: int
    hours: float
    paths: list[str]


@dataclass(frozen=True)
class ArchiveStats:
    """files: that were tried, and the lists of those with a fault; hours: of all that were read.

    copies: groups of files with the same content. near_copies: with nearly the same embedding.
    map: [N, 2] points and, for each, its cluster. loudness: dBFS of each file with sound.
    """

    files: int
    hours: float
    errors: list[str]
    silent: list[str]
    clipped: list[str]
    copies: list[list[str]]
    near_copies: list[list[str]]
    clusters: list[Cluster]
    loudness: list[float]
    points: np.ndarray
    of_cluster: np.ndarray

    def counts(self) -> dict[str, Any]:
        """The figures, by names that are read by people and programs."""
        return {
            "files": self.files,
            "hours": round(self.hours, 3),
            "errors": len(self.errors),
            "silent": len(self.silent),
            "clipped": len(self.clipped),
            "copies": sum(len(group) - 1 for group in self.copies),
            "near_copies": sum(len(group) - 1 for group in self.near_copies),
        }


def archive_stats(archive: Archive, near: float = NEARLY_SAME) -> ArchiveStats:
    """near: cosine from which on two files are nearly the same. Raises WsacError."""
    source = open_embeddings(archive)
    tables = [archive.shard_table(shard.name, shard.rows, COLUMNS) for shard in source.shards]
    rows = [row for table in tables for row in table.to_pylist()]
    embedded = [rows[i] for i in source.archive_rows()]
    by_content: dict[str, list[str]] = {}
    for row in rows:
        by_content.setdefault(row["id"] or f"no content: {row['path']}", []).append(row["path"])
    labels, centres = k_means(source.embeddings, CLUSTERS)
    clusters, order = [], np.argsort(-np.bincount(labels, minlength=len(centres)), kind="stable")
    for number in order:
        places = np.flatnonzero(labels == number)
        if not len(places):
            continue
        scores = source.embeddings[places].astype(np.float32) @ centres[number].numpy()
        nearest = [embedded[i] for i in places[np.argsort(-scores, kind="stable")]]
        caption = next((row["caption"] for row in nearest if row["caption"]), "(no caption)")
        hours = sum(row["seconds"] or 0 for row in nearest) / 3600
        clusters.append(Cluster(caption, len(places), hours, [r["path"] for r in nearest[:3]]))
    groups = []
    for group in near_duplicates(source.embeddings, near):
        first: dict[str, str] = {}  # of equal content one stands for all
        for row in (embedded[i] for i in group):
            first.setdefault(row["id"] or row["path"], row["path"])
        groups.append(list(first.values()))
    return ArchiveStats(
        files=len(rows),
        hours=sum(row["seconds"] or 0 for row in rows) / 3600,
        errors=[_error(row) for row in rows if row["error"]],
        silent=[row["path"] for row in rows if row["silent"]],
        clipped=[row["path"] for row in rows if (row["clipped"] or 0) >= CLIPPED],
        copies=[group for group in by_content.values() if len(group) > 1],
        near_copies=[group for group in groups if len(group) > 1],
        clusters=clusters,
        loudness=[row["loudness"] for row in embedded if row["loudness"] is not None],
        points=on_a_map(source.embeddings),
        of_cluster=np.argsort(order)[labels],
    )


def _error(row: dict[str, Any]) -> str:
    path, error = row["path"], row["error"]
    return error if error.startswith(path) else f"{path}: {error}"


def write_stats_page(path: Path, stats: ArchiveStats, *, title: str) -> None:
    """One page: counts, a map in the colours of the clusters, and what needs a look."""
    counts = [(name.replace("_", " "), f"{value:,}") for name, value in stats.counts().items()]
    parts = [PagePart(columns=("", ">"), rows=counts)]
    step = max(1, len(stats.points) // DRAWN)
    series: dict[str, list[tuple[float, float]]] = {}
    for number, cluster in enumerate(stats.clusters):
        points = stats.points[stats.of_cluster == number][::step]
        series[f"{number + 1}: {cluster.caption[:50]}"] = [(float(x), float(y)) for x, y in points]
    if series:
        picture = scatter_svg(series, title="Files that sound alike lie near each other")
        pictures = [("A map of the files, coloured by cluster", picture)]
        if stats.loudness:
            levels = histogram_svg(stats.loudness, title="Loudness, dBFS")
            pictures.append(("How loud the files are", levels))
        rows = [
            (f"{i}", f"{c.files:,}", f"{c.hours:.2f}", c.caption, ", ".join(c.paths))
            for i, c in enumerate(stats.clusters, 1)
        ]
        columns = ("cluster>", "files>", "hours>", "caption of its middle", "such as")
        parts.append(PagePart("What is in it", columns=columns, rows=rows, pictures=pictures))
    lists = {"Errors": stats.errors, "Silent": stats.silent, "Clipped": stats.clipped}
    lists["The same content"] = list(map(", ".join, stats.copies))
    lists["Nearly the same sound"] = list(map(", ".join, stats.near_copies))
    for heading, entries in lists.items():
        lines = entries[:SHOWN]
        if len(entries) > SHOWN:
            lines.append(f"and {len(entries) - SHOWN:,} more")
        if entries:
            parts.append(PagePart(f"{heading} ({len(entries):,})", lines=lines))
    write_page(path, parts, title=title)
