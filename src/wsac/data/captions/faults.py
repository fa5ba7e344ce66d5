"""Rows that cannot be used: collected, counted, and named in one error."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from wsac.types import CorpusError

from .text_file import corpus_error

SHOWN = 20  # places of bad rows in the error about a corpus
SKIP = "or leave out bad rows with --skip-invalid (in a recipe: corpus.skip_invalid = true)"


class Faults:
    """Rows at fault by file and fault, and rows that are never used, such as a repeated header.

    strict: for scores. Names and keys must be unique, and a line that is no JSON ends the reading.
    """

    def __init__(self, strict: bool = True) -> None:
        self.strict = strict
        self.places: dict[tuple[str, str], list[str]] = {}  # by file and fault
        self.dropped: Counter[tuple[str, str]] = Counter()
        self._first = ""

    def add(self, path: str | Path, what: str, where: str, remedy: str = "") -> None:
        """A row at fault. where: ``line 3``."""
        self._first = self._first or str(corpus_error(path, f"{what}; {remedy}", where))
        self.places.setdefault((str(path), what), []).append(where)

    def drop(self, path: str | Path, what: str) -> None:
        """A row that is left out in any case, and counted."""
        self.dropped[str(path), what] += 1

    def update(self, others: Faults) -> None:
        """Take over the rows of another file."""
        self._first = self._first or others._first
        for place, rows in others.places.items():
            self.places.setdefault(place, []).extend(rows)
        self.dropped.update(others.dropped)

    def counts(self) -> dict[str, int]:
        """The number of rows for each file and fault, those that were dropped included."""
        rows = {place: len(places) for place, places in self.places.items()} | self.dropped
        return {f"{path}: {what}": count for (path, what), count in rows.items()}

    def rows(self) -> list[str]:
        """Every row at fault: the file, the place and the fault."""
        return [
            f"{path}: {where}: {what}"
            for (path, what), places in self.places.items()
            for where in places
        ]

    def message(self) -> str:
        """All of it on one line: the file, what is wrong, the first five places and the count."""
        parts = []
        for (path, what), places in self.places.items():
            more = f" and {len(places) - 5} more" if len(places) > 5 else ""
            parts.append(f"{path}: {what}: {', '.join(places[:5])}{more}")
        return re.sub(r"\s+", " ", "; ".join(parts))

    def error(self) -> CorpusError:
        """The first row at fault with its remedy, and the places of the others."""
        files = {path for path, _ in self.places}
        rows = [row if len(files) > 1 else row[len(min(files)) + 2 :] for row in self.rows()]
        others = ""
        if len(rows) > 1:
            more = f", and {len(rows) - SHOWN} more; " if len(rows) > SHOWN else ""
            more += "wsac corpus --skip-invalid --json lists all" if more else ""
            others = f"; {len(rows):,} bad rows in all: {', '.join(rows[:SHOWN])}{more}"
        return CorpusError(re.sub(r"\s+", " ", f"{self._first}{others}; {SKIP}"))


def row_fault(faults: Faults | None, path: str | Path, what: str, remedy: str, where: str) -> None:
    """Collect a row at fault. Without ``faults`` raises CorpusError."""
    if faults is None:
        raise corpus_error(path, f"{what}; {remedy}", where)
    faults.add(path, what, where, remedy)
