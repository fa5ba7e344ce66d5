"""Sounds with captions for contrastive training and for calibration, from a CSV file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from wsac.data.captions.columns import SOUND_COLUMNS, caption_columns, is_missing, name_list
from wsac.data.captions.faults import Faults, row_fault
from wsac.data.captions.records import read_records
from wsac.data.captions.text_file import corpus_error, read_text
from wsac.types import CorpusError

from .folders import is_sound

PAIR = ("audio", "caption")


@dataclass(frozen=True, slots=True)
class Clip:
    """A sound file with its captions; ``label`` is its class, the path when the CSV names none.

    negatives: captions that are false of it, hard to tell from the true ones.
    """

    path: str
    captions: tuple[str, ...]
    label: str
    negatives: tuple[str, ...] = ()


def read_pairs(paths: Sequence[str | Path]) -> list[Clip]:
    """Read CSV files ``audio,caption``, perhaps with ``label`` and ``negative``, a false caption.

    A relative path of a sound counts from the CSV's folder if a file is there, else from the
    working folder. Rows of one sound are joined. Raises CorpusError with the file and line when a
    column or a value is missing.
    """
    clips: dict[str, Clip] = {}
    for path in paths:
        for audio, row in sound_rows(path, PAIR, filled=PAIR):
            clip = clips.setdefault(audio, Clip(audio, (), row.get("label") or audio))
            captions = dict.fromkeys((*clip.captions, row["caption"].strip()))
            negatives = dict.fromkeys((*clip.negatives, row.get("negative", "").strip()))
            clips[audio] = Clip(audio, tuple(captions), clip.label, tuple(filter(None, negatives)))
    if not clips:
        files = ", ".join(map(str, paths)) or "no file"
        raise CorpusError(f"{files}: zero pairs; give a CSV with audio,caption rows")
    return list(clips.values())


def sound_rows(
    path: str | Path,
    columns: tuple[str, str],
    *,
    filled: tuple[str, ...] = ("audio",),
    column: str | None = None,
    faults: Faults | None = None,
) -> Iterator[tuple[str, dict[str, str]]]:
    """(path of the sound, row) of a table with these columns; the ``filled`` may not be empty.

    columns: audio, of which other names are known too, and one for its caption. column:
    the name of the latter, if it is another. A relative path of a sound counts from the table's
    folder if a file is there, else from the working folder. faults: collects rows that cannot be
    used. Raises CorpusError with the file and line.
    """
    records = read_records(path, read_text(path), "csv", faults, pad=True, column=column)
    names = _names(records.columns, columns, column)
    if missing := sorted(set(columns) - names.keys()):
        what = f"no column {' or '.join(missing)} among {name_list(records.columns)}"
        what += f"; the header must name {','.join(columns)}"
        raise corpus_error(path, what, records.line)
    for where, row in records.rows:
        row |= {name: row[written] for name, written in names.items()}
        if not all(row[name].strip() for name in filled):
            what = f"{' or '.join(filled)} is empty"
            row_fault(faults, path, what, "fill or drop the row", where)
            continue
        if "caption" in columns and is_missing(row["caption"]):
            what = f"{row['caption'].strip()!r} in place of a caption"
            row_fault(faults, path, what, "fill or drop the row", where)
            continue
        audio = row["audio"].strip()
        beside = Path(path).parent / audio
        yield str(beside if is_sound(beside) else Path(audio)), row


def _names(
    written: tuple[str, ...], columns: tuple[str, str], column: str | None
) -> dict[str, str]:
    """How the table calls the columns that are asked for, of those that it has."""
    known = {name: name for name in columns if name in written}
    sound = next((name for name in SOUND_COLUMNS if name in written), None)
    if sound and "audio" not in known:
        known["audio"] = sound
    if column:
        known.pop(columns[1], None)
        known |= {columns[1]: column.lower()} if column.lower() in written else {}
    elif columns[1] == "caption" and "caption" not in known:
        known |= dict(zip(["caption"], caption_columns(written), strict=False))
    return known
