"""Items to be scored: from tables, joined by id, or from a captioner on a dataset.

Nothing is dropped silently.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wsac.data.captions.faults import Faults
from wsac.data.captions.tables import Row, Table, read_table
from wsac.data.datasets.folders import Sounds, is_sound, video_of, without_suffix
from wsac.data.datasets.layouts import Dataset
from wsac.evaluation.metrics.items import Item
from wsac.io.console import part_of
from wsac.types import AudioError, CorpusError

References = dict[str, tuple[str, ...]]  # of each id


@dataclass(frozen=True, slots=True)
class Pairs:
    """items: in the order of the candidates. skipped: what was left out, with counts."""

    items: list[Item]
    skipped: dict[str, int]
    notes: tuple[str, ...] = ()


def read_pairs(
    candidates: str | Path,
    references: str | Path | None = None,
    *,
    audio: str | Path | None = None,
    column: str | None = None,
    skip_invalid: bool = False,
) -> Pairs:
    """Read both tables and join them by id. Without references the items have none.

    audio: the folder of the sounds; else ids that are files name them. column: of the candidates'
    captions, if it is not called so. skip_invalid: leave out and count rows that cannot be used.
    Raises CorpusError, on one line, naming files and rows.
    """
    faults = Faults()
    notes: list[str] = []
    same = references is not None and Path(candidates) == Path(references)
    ours = read_table(candidates, "candidates", faults, column=column, numbered=same)
    texts = {row.id: row.captions[0] for row in _single(ours, faults)}
    known: References = dict.fromkeys(texts, ())
    sounds = dict(zip(texts, texts, strict=True))  # the ids that the candidates' file has
    if references is not None:
        theirs = read_table(references, "references", faults, numbered=same)
        known = {}
        for row in _single(theirs, faults) if theirs.wide else theirs.rows:
            known[row.id] = (*known.get(row.id, ()), *row.captions)
        if renamed := _renamed(texts, ours, known, theirs):
            ids = list(texts)
            texts, known, *notes = renamed
            sounds = dict(zip(texts, ids, strict=True))
        for key in known:
            if key not in texts and key not in ours.bad:
                faults.add(ours.path, "no caption for", repr(key))
        for key in texts:
            if key not in known and key not in theirs.bad:
                faults.add(theirs.path, "no references for", repr(key))
    keys = [key for key in texts if key in known]
    places, ambiguous = find_sounds([sounds[key] for key in keys], audio)
    for clip, why in ambiguous.items():
        faults.add(str(audio), "sounds that several names fit", f"{clip!r}: {why}")
    keys = [key for key in keys if sounds[key] not in ambiguous]
    if audio is not None and (absent := [k for k in keys if sounds[k] not in places]):
        counts = f"{part_of(len(absent), len(keys), 'sound')} are not under {audio}"
        notes.append(f"{counts}, such as {sounds[absent[0]]}")
    if faults.places and (not skip_invalid or not keys):
        remedy = "correct them, or leave them out with --skip-invalid"
        remedy = remedy if keys else "nothing is left to score"
        if (ours.path, "an empty caption") in faults.places:
            remedy += "; wsac caption --min-confidence 0 leaves none empty"
        raise CorpusError(f"{faults.message()}; {remedy}")
    items = [Item(key, texts[key], known[key], places.get(sounds[key])) for key in keys]
    return Pairs(items, faults.counts(), tuple(notes))


def caption_dataset(dataset: Dataset, *, skip_invalid: bool = False, **options: Any) -> Pairs:
    """Caption every recording of a dataset, uncertain captions included.

    skip_invalid: leave out and count recordings that cannot be decoded. options: as for
    ``caption_files``. Raises AudioError when a recording cannot be decoded, or nothing is left.
    """
    from wsac.inference.batch import caption_files

    paths = [item.audio for item in dataset.items]
    by_file = {result.file: result for result in caption_files(paths, **options)}
    items, failed = [], []
    for item in dataset.items:  # two clips may share a file
        result = by_file[str(Path(item.audio))]
        if isinstance(result, AudioError):
            failed.append(result)
        else:
            text = result.text or result.guess
            items.append(Item(item.id, text, item.references, item.audio, result.confidence))
    if failed and not (skip_invalid and items):
        remedy = "get them again" + ", or leave them out: --skip-invalid" * bool(items)
        counts = f"{part_of(len(failed), len(paths), 'recording')} cannot be captioned"
        raise AudioError(f"{failed[0]}; {counts}; {remedy}")
    skipped = {"recordings that cannot be decoded": len(failed)} if failed else {}
    return Pairs(items, skipped, tuple(dataset.problems))


def digest(items: Sequence[Item]) -> str:
    """A name for ids and references, in whatever order they were read."""
    sha256 = hashlib.sha256()
    for item in sorted(items, key=lambda item: item.id):
        for text in (item.id, *item.references):
            sha256.update(text.encode("utf-8", "surrogatepass") + b"\0")
        sha256.update(b"\n")
    return sha256.hexdigest()[:16]


def _single(table: Table, faults: Faults) -> list[Row]:
    """The rows whose id no other row has."""
    times = Counter(row.id for row in table.rows)
    for row in table.rows:
        if times[row.id] > 1:
            table.bad.add(row.id)
            faults.add(table.path, "an id that occurs more than once", f"{row.where} ({row.id})")
    return [row for row in table.rows if times[row.id] == 1]


def _renamed(
    texts: dict[str, str], ours: Table, known: References, theirs: Table
) -> tuple[dict[str, str], References, str] | None:
    """The same by other names of the sounds, when no id is in common.

    Tried are COCO's file names, then names without folders, without suffixes, and videos.
    """
    if texts.keys() & known.keys():
        return None
    for how, plain in _FORMS.items():
        for file_names in (True, False) if ours.names or theirs.names else (False,):
            if how == "" and not file_names:
                continue
            columns = []
            for keys, table in ((texts, ours), (known, theirs)):
                names = [table.names.get(key, key) if file_names else key for key in keys]
                columns.append([plain(name) for name in names])
            left = dict(zip(columns[0], texts.values(), strict=True))
            right = dict(zip(columns[1], known.values(), strict=True))
            if len(left) == len(texts) and len(right) == len(known) and left.keys() & right.keys():
                for table in (ours, theirs):
                    names = [table.names.get(key, key) if file_names else key for key in table.bad]
                    table.bad = {plain(name) for name in names}
                return left, right, f"sounds matched by {how or 'the file names of the images'}"
    return None


def _plain(key: str) -> str:
    name = key.replace("\\", "/").rstrip("/").rpartition("/")[2]
    return unicodedata.normalize("NFC", name).strip()


def _stem(key: str) -> str:
    return without_suffix(_plain(key))


def _clip(key: str) -> str:
    """A video with its start second; other names without suffix."""
    video = video_of(key)
    return f"{video[0]}_{video[1]:g}" if video and video[1] is not None else _video(key)


def _video(key: str) -> str:
    video = video_of(key)
    return video[0] if video else _stem(key)


_FORMS: dict[str, Callable[[str], str]] = {
    "": str,
    "file name without folder": _plain,
    "file name without folder and suffix": _stem,
    "YouTube video and start": _clip,
    "YouTube video": _video,
}


def find_sounds(
    ids: Sequence[str], folder: str | Path | None = None
) -> tuple[dict[str, str], dict[str, str]]:
    """The files of ids, and the ids that several files fit, with what they could be.

    They lie under the folder at any depth; without a folder, an id may be a path.
    """
    if folder is None:
        return {key: key for key in ids if is_sound(Path(key))}, {}
    matches, ambiguous = Sounds(folder).find_all(ids)
    return {key: str(path) for key, path in matches.items()}, ambiguous
