"""Sounds with captions for contrastive training and for calibration, from a CSV file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from wsac.data.captions.records import read_records
from wsac.data.captions.text_file import corpus_error, read_text
from wsac.types import CorpusError

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
    path: str | Path, columns: tuple[str, ...], *, filled: tuple[str, ...] = ("audio",)
) -> Iterator[tuple[str, dict[str, str]]]:
    """(path of the sound, row) of a table with these columns; the ``filled`` may not be empty.

    A relative path of a sound counts from the table's folder if a file is there, else from the
    working folder. Raises CorpusError with the file and line.
    """
    records = read_records(path, read_text(path), "csv", pad=True)
    if missing := set(columns) - set(records.columns):
        what = f"no column {' or '.join(sorted(missing))}; the header must name {','.join(columns)}"
        raise corpus_error(path, what, records.line)
    for where, row in records.rows:
        if not all(row[name].strip() for name in filled):
            what = f"{' or '.join(filled)} is empty; fill or drop the row"
            raise corpus_error(path, what, where)
        audio = row["audio"].strip()
        beside = Path(path).parent / audio
        yield str(beside if beside.is_file() else Path(audio)), row
