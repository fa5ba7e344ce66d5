"""Candidates and references to items: every candidate with the references of its sound, and nothing dropped unsaid."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from wsac.data.captions.records import Faults
from wsac.data.captions.tables import Row, Table, read_table
from wsac.evaluation.metrics.items import Item
from wsac.types import CorpusError

Texts = dict[str, str]  # the candidate of each id
Known = dict[str, tuple[str, ...]]  # the references of each id


@dataclass(frozen=True, slots=True)
class Pairs:
    """items: in the order of the candidates. skipped: what was left out, and how often. notes: what to tell."""

    items: list[Item]
    skipped: dict[str, int]
    notes: tuple[str, ...] = ()


def read_pairs(
    candidates: str | Path,
    references: str | Path | None = None,
    *,
    audio: str | Path | None = None,
    skip_invalid: bool = False,
) -> Pairs:
    """Read both tables and join them by id. Without references the items have none.

    audio: the folder of the sounds; else ids that are files name them. skip_invalid: leave out and count what cannot be
    used; else it is an error. Raises CorpusError, on one line, naming files and rows.
    """
    faults = Faults()
    notes: list[str] = []
    sounds: dict[str, str] = {}  # the ids that the candidates' file has, where they were renamed
    found = read_table(candidates, "candidates", faults)
    texts: Texts = {row.id: row.captions[0] for row in _single(found, faults)}
    if references is None:
        known: Known = dict.fromkeys(texts, ())
    else:
        table = read_table(references, "references", faults)
        known = _references(table, faults)
        if renamed := _renamed(texts, found, known, table):
            before = list(texts)
            texts, known, *notes = renamed
            sounds = dict(zip(texts, before, strict=True))
        for key in known:
            if key not in texts and key not in found.bad:
                faults.add(found.path, "no caption for", repr(key))
        for key in texts:
            if key not in known and key not in table.bad:
                faults.add(table.path, "no references for", repr(key))
    keys = [key for key in texts if key in known]
    if faults.places and (not skip_invalid or not keys):
        remedy = (
            "correct them, or leave them out with --skip-invalid"
            if keys
            else "nothing is left to score"
        )
        if any(what == "an empty caption" for path, what in faults.places if path == found.path):
            remedy += "; wsac caption leaves them empty where it is unsure, but not with --min-confidence 0"
        raise CorpusError(f"{faults.message()}; {remedy}")
    items = [
        Item(key, texts[key], known[key], find_sound(sounds.get(key, key), audio)) for key in keys
    ]
    return Pairs(items, faults.counts(), tuple(notes))


def digest(items: Sequence[Item]) -> str:
    """A name for what was scored against: the ids and their references, in whatever order they were read."""
    found = hashlib.sha256()
    for item in sorted(items, key=lambda item: item.id):
        for text in (item.id, *item.references):
            found.update(text.encode("utf-8", "surrogatepass") + b"\0")
        found.update(b"\n")
    return found.hexdigest()[:16]


def _single(table: Table, faults: Faults) -> list[Row]:
    """The rows whose id no other row has."""
    times: dict[str, int] = {}
    for row in table.rows:
        times[row.id] = times.get(row.id, 0) + 1
    for row in table.rows:
        if times[row.id] > 1:
            table.bad.add(row.id)
            faults.add(table.path, "an id that occurs more than once", f"{row.where} ({row.id})")
    return [row for row in table.rows if times[row.id] == 1]


def _references(table: Table, faults: Faults) -> Known:
    rows = _single(table, faults) if table.wide else table.rows
    known: Known = {}
    for row in rows:
        known[row.id] = (*known.get(row.id, ()), *row.captions)
    return known


def _renamed(
    texts: Texts, found: Table, known: Known, table: Table
) -> tuple[Texts, Known, str] | None:
    """The same under names that both tables share, when no id is common: COCO's file names, names without folders."""
    if texts.keys() & known.keys():
        return None
    for file_names, plain, note in (
        (True, False, "sounds matched by the file names of the images"),
        (False, True, "sounds matched by file name without folder"),
        (True, True, "sounds matched by file name without folder"),
    ):

        def rename(key: str, of: Table, file_names: bool = file_names, plain: bool = plain) -> str:
            key = of.names.get(key, key) if file_names else key
            return _plain(key) if plain else key

        left = {rename(key, found): text for key, text in texts.items()}
        right = {rename(key, table): text for key, text in known.items()}
        if len(left) == len(texts) and len(right) == len(known) and left.keys() & right.keys():
            for of in (found, table):
                of.bad = {rename(key, of) for key in of.bad}
            return left, right, note
    return None


def _plain(key: str) -> str:
    return unicodedata.normalize(
        "NFC", key.replace("\\", "/").rstrip("/").rpartition("/")[2]
    ).strip()


def find_sound(key: str, folder: str | Path | None = None) -> str | None:
    """The file of an id: in the folder, by its path or its name; without a folder, an id that is a file."""
    places = [Path(folder, key), Path(folder, _plain(key))] if folder is not None else [Path(key)]
    with suppress(OSError):  # an id need not be a possible file name
        return next((str(place) for place in places if place.is_file()), None)
    return None
