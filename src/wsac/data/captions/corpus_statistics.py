"""What a corpus holds and what was dropped from it, as data for JSON and as rows for a table."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_WORD = re.compile(r"[^\W_]+(?:['’\-][^\W_]+)*")
_QUANTILES = {"min": 0.0, "5%": 0.05, "25%": 0.25, "50%": 0.5, "75%": 0.75, "95%": 0.95, "max": 1.0}


@dataclass(frozen=True, slots=True)
class SourceStats:
    """One file: its path, its format, and rows read = kept + empty + duplicates (of this or an earlier file)."""

    path: str
    format: str
    read: int
    kept: int
    empty: int
    duplicates: int


@dataclass(frozen=True, slots=True)
class CorpusStats:
    """Rows of all files, and the words of the captions kept.

    words: their number. vocabulary: how many are distinct, lower-cased. length_quantiles: words per caption at min, 5%,
    25%, 50%, 75%, 95% and max. JSON-able by ``dataclasses.asdict``.
    """

    read: int
    kept: int
    empty: int
    duplicates: int
    sources: tuple[SourceStats, ...]
    words: int
    vocabulary: int
    length_quantiles: dict[str, int]


def corpus_stats(sources: Iterable[SourceStats], captions: Sequence[str]) -> CorpusStats:
    """Sum the files up and count the words of the kept ``captions``, of which there is at least one."""
    sources = tuple(sources)
    lengths, vocabulary = [], set()
    for caption in captions:
        words = _WORD.findall(caption.lower())
        lengths.append(len(words))
        vocabulary.update(words)
    lengths.sort()
    return CorpusStats(
        read=sum(source.read for source in sources),
        kept=sum(source.kept for source in sources),
        empty=sum(source.empty for source in sources),
        duplicates=sum(source.duplicates for source in sources),
        sources=sources,
        words=sum(lengths),
        vocabulary=len(vocabulary),
        length_quantiles={
            name: lengths[round(share * (len(lengths) - 1))] for name, share in _QUANTILES.items()
        },
    )


def stats_rows(stats: CorpusStats) -> list[tuple[str, str]]:
    """Rows (name, value) for a table: one per file, what was read, dropped and why, then words and lengths."""
    rows = [(source.path, f"{source.format}: {_counts(source)}") for source in stats.sources]
    quantiles = ", ".join(f"{name} {length}" for name, length in stats.length_quantiles.items())
    return [
        *rows,
        ("captions read", f"{stats.read:,}"),
        ("dropped, empty", f"{stats.empty:,}"),
        ("dropped, duplicate", f"{stats.duplicates:,}"),
        ("captions kept", f"{stats.kept:,}"),
        ("words", f"{stats.words:,}"),
        ("vocabulary", f"{stats.vocabulary:,}"),
        ("words per caption", quantiles),
    ]


def _counts(source: SourceStats) -> str:
    return f"{source.read:,} read, {source.kept:,} kept, {source.empty:,} empty, {source.duplicates:,} duplicate"
