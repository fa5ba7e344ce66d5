"""Sounds with captions for contrastive training: read the CSV, keep the audio in one memory-mapped file."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from wsac.types import CorpusError


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
    """Read CSV files with the columns ``audio,caption`` and perhaps ``label`` and ``negative``, a false caption.

    A relative path of a sound counts from the CSV's folder if a file is there, else from the working folder.
    Rows of one sound are joined.
    Raises CorpusError with the file and line when a column or a value is missing.
    """
    found: dict[str, tuple[list[str], str, list[str]]] = {}
    for path in paths:
        for audio, row in sound_rows(path, ("audio", "caption"), filled=("audio", "caption")):
            captions, _, negatives = found.setdefault(audio, ([], row.get("label") or audio, []))
            captions.append(row["caption"].strip())
            negatives += filter(None, [(row.get("negative") or "").strip()])
    if not found:
        raise CorpusError(
            f"{', '.join(map(str, paths)) or 'no file'}: zero pairs; give a CSV with audio,caption rows"
        )
    return [
        Clip(path, tuple(dict.fromkeys(captions)), label, tuple(dict.fromkeys(negatives)))
        for path, (captions, label, negatives) in found.items()
    ]


PAIR = ("audio", "caption")


def sound_rows(
    path: str | Path, columns: tuple[str, ...], *, filled: tuple[str, ...] = ("audio",)
) -> Iterator[tuple[str, dict[str, str]]]:
    """(path of the sound, row) of a CSV with these columns, of which the ``filled`` may not be empty.

    A relative path of a sound counts from the CSV's folder if a file is there, else from the working folder.
    Raises CorpusError with the file and line.
    """
    path = Path(path)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            if missing := set(columns) - set(reader.fieldnames or ()):
                absent = " or ".join(sorted(missing))
                raise CorpusError(
                    f"{path}, line 1: no column {absent}; the header must name {','.join(columns)}"
                )
            for row in reader:
                if not all((row[name] or "").strip() for name in filled):
                    raise CorpusError(
                        f"{path}, line {reader.line_num}: {' or '.join(filled)} is empty; fill or drop the row"
                    )
                audio = row["audio"].strip()
                beside = path.parent / audio
                yield str(beside if beside.is_file() else Path(audio)), row
    except OSError as error:
        raise CorpusError(f"{path}: cannot read ({error.strerror}); check the path") from error
    except csv.Error as error:
        raise CorpusError(
            f"{path}, line {reader.line_num}: broken CSV ({error}); check its quotes"
        ) from error
    except UnicodeDecodeError as error:
        raise CorpusError(f"{path}: not UTF-8 text; convert it first (iconv -t UTF-8)") from error
