"""What a corpus holds and what was dropped from it, as data for JSON and as rows of a table."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_WORD = re.compile(r"[^\W_]+(?:['’\-][^\W_]+)*")
_QUANTILES = {"min": 0.0, "5%": 0.05, "25%": 0.25, "50%": 0.5, "75%": 0.75, "95%": 0.95, "max": 1.0}
_COUNTS = ("read", "kept", "empty", "duplicates")
# shown only where there are any: how they are called
_RARE = {
    "missing": "words for a missing value, such as nan",
    "headers": "rows that repeat the header",
    "bad": "rows that cannot be used",
}


@dataclass(frozen=True, slots=True)
class SourceStats:
    """One file: path, format and row counts. Duplicates are of rows in this or an earlier file.

    missing: words for a missing value. headers, bad: rows that are not among those read, since they
    repeat the header or cannot be used.
    """

    path: str
    format: str
    read: int
    kept: int
    empty: int
    duplicates: int
    missing: int = 0
    headers: int = 0
    bad: int = 0


@dataclass(frozen=True, slots=True)
class CorpusStats:
    """Row counts of all files, and the words of the remaining captions. ``asdict`` makes it JSON.

    bad_rows: file, place and fault of each. vocabulary: distinct words, lower-case.
    length_quantiles: words per caption at min, 5%, …, max.
    """

    read: int
    kept: int
    empty: int
    duplicates: int
    missing: int
    headers: int
    bad: int
    bad_rows: tuple[str, ...]
    sources: tuple[SourceStats, ...]
    words: int
    vocabulary: int
    length_quantiles: dict[str, int]


def corpus_stats(
    sources: Iterable[SourceStats], captions: Sequence[str], bad_rows: Sequence[str] = ()
) -> CorpusStats:
    """Sum up the files and count the words of ``captions``, at least one."""
    sources = tuple(sources)
    lengths, vocabulary = [], set()
    for caption in captions:
        words = _WORD.findall(caption.lower())
        lengths.append(len(words))
        vocabulary.update(words)
    lengths.sort()
    counts = {name: sum(getattr(source, name) for source in sources) for name in (*_COUNTS, *_RARE)}
    last = len(lengths) - 1
    quantiles = {name: lengths[round(share * last)] for name, share in _QUANTILES.items()}
    return CorpusStats(
        **counts,
        bad_rows=tuple(bad_rows),
        sources=sources,
        words=sum(lengths),
        vocabulary=len(vocabulary),
        length_quantiles=quantiles,
    )


def stats_rows(stats: CorpusStats) -> list[tuple[str, str]]:
    """Rows (name, value) for a table: the files, the counts, then words and lengths."""
    rows = []
    for source in stats.sources:
        counts = ", ".join(f"{getattr(source, name):,} {name}" for name in _COUNTS)
        rows.append((source.path, f"{source.format}: {counts.removesuffix('s')}"))
    quantiles = ", ".join(f"{name} {length}" for name, length in stats.length_quantiles.items())
    return [
        *rows,
        ("captions read", f"{stats.read:,}"),
        ("dropped, empty", f"{stats.empty:,}"),
        ("dropped, duplicate", f"{stats.duplicates:,}"),
        *((f"dropped, {what}", f"{count:,}") for what, count in left_out(stats).items()),
        ("captions kept", f"{stats.kept:,}"),
        ("words", f"{stats.words:,}"),
        ("vocabulary", f"{stats.vocabulary:,}"),
        ("words per caption", quantiles),
    ]


def left_out(stats: CorpusStats) -> dict[str, int]:
    """What was left out although it was neither empty nor a duplicate, with counts; {} if none."""
    return {what: count for name, what in _RARE.items() if (count := getattr(stats, name))}
