"""Rows that cannot be used: collected, counted, and named in one error."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from wsac.types import CorpusError

from .text_file import corpus_error

SHOWN = 20  # bad rows with their faults in the error about a corpus; of others the places only
SPANS = 500  # of such places, as "line 3-9"
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
        """All of it on one line: the file, what is wrong, the first places and the count."""
        parts = []
        for (path, what), places in self.places.items():
            spans = _spans(("", where) for where in places)
            more = f" and more, {len(places):,} rows" if len(spans) > SPANS else ""
            parts.append(f"{path}: {what}: {', '.join(spans[:SPANS])}{more}")
        return re.sub(r"\s+", " ", "; ".join(parts))

    def error(self) -> CorpusError:
        """The first row at fault with its remedy, the faults of the next, and the places of all."""
        several = len({path for path, _ in self.places}) > 1
        rows = [
            (f"{path}: " if several else "", where, what)
            for (path, what), places in self.places.items()
            for where in places
        ]
        named = ", ".join(f"{path}{where}: {what}" for path, where, what in rows[:SHOWN])
        spans = _spans([(path, where) for path, where, _ in rows[SHOWN:]])
        if spans:
            named += f", and {', '.join(spans[:SPANS])}"
        if len(spans) > SPANS:
            named += " and more; wsac corpus --skip-invalid --json lists all"
        others = f"; {len(rows):,} bad rows in all: {named}" if len(rows) > 1 else ""
        return CorpusError(re.sub(r"\s+", " ", f"{self._first}{others}; {SKIP}"))


def _spans(places: Iterable[tuple[str, str]]) -> list[str]:
    """Files and places in order, those with numbers one after the other as one: "line 3-9"."""
    spans: list[list[Any]] = []
    for name, number in sorted(_numbered(path + where) for path, where in places):
        if spans and spans[-1][0] == name and spans[-1][2] in (number, number - 1):
            spans[-1][2] = number
        else:
            spans.append([name, number, number])
    return [
        f"{name}{'' if first < 0 else first}{f'-{last}' if last > first else ''}"
        for name, first, last in spans
    ]


def _numbered(place: str) -> tuple[str, int]:
    """``line 3`` → ("line ", 3); a place without a number gets -2."""
    match = re.fullmatch(r"(.* )([1-9]\d{0,17})", place, re.S)
    return (match[1], int(match[2])) if match else (place, -2)


def row_fault(faults: Faults | None, path: str | Path, what: str, remedy: str, where: str) -> None:
    """Collect a row at fault. Without ``faults`` raises CorpusError."""
    if faults is None:
        raise corpus_error(path, f"{what}; {remedy}", where)
    faults.add(path, what, where, remedy)
