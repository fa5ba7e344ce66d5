"""Lists of ids of sounds, such as the evaluation parts of data sets, and whether a file is on one.

Lists are text (an id a line), CSV or TSV (AudioCaps, Clotho, ESC-50, UrbanSound8K, VGGSound,
AudioSet), or JSON (also the blacklists of WavCaps: lists by source).
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from wsac.data.captions.columns import SOUND_COLUMNS, clip_name
from wsac.data.captions.text_file import read_text
from wsac.io.files import read_json
from wsac.types import CorpusError

from .folders import name_keys, video_of

COLUMNS = ("slice_file_name", *SOUND_COLUMNS, "ytid", "video_id")
PARTS = ("split", "subset", "part")
TRAINING = {"train", "training", "dev", "development"}
# names that hold the number of a recording on Freesound: of its downloads, ESC-50, UrbanSound8K
_FREESOUND = re.compile(r"(\d+)__.+|[1-5]-(\d+)-[A-Z]-\d+|(\d+)-\d+-\d+-\d+")


class IdList:
    """The ids in a file. skipped: rows that the file itself counts as training.

    A sound is on it by its name, whatever its suffix, case, punctuation and ``Y``; by its video,
    also another part of it; or as the same recording on Freesound. An id with folders may also be
    matched by its name alone, unless that is a mere number. Raises CorpusError for a file that
    cannot be read or holds no id.
    """

    def __init__(self, path: str | Path) -> None:
        self.path, self.skipped = Path(path), 0
        self.ids = list(dict.fromkeys(self._read()))
        if not self.ids:
            raise CorpusError(f"{path}: no ids in this list; give one a line, or a table")
        self._keys: set[tuple[str, ...]] = set()
        self._videos: set[str] = set()
        self._recordings: set[str] = set()
        for clip in self.ids:
            keys = name_keys(clip)
            self._keys |= {key for key in keys if len(key) == len(keys[0])}
            names = {key for key in keys if len(key) == 2}
            if not any(name.isdigit() for _, name in names):
                self._keys |= names
            if video := video_of(clip):
                self._videos.add(video[0])
            self._recordings |= _recording(clip) or ({clip} if clip.isdigit() else set())

    def __contains__(self, path: str) -> bool:
        """Whether a sound, by its path, is on the list."""
        if not self._keys.isdisjoint(name_keys(path)):
            return True
        video = video_of(path)
        same_video = video is not None and video[0] in self._videos
        return same_video or not self._recordings.isdisjoint(_recording(path))

    def _read(self) -> Iterator[str]:
        suffix = self.path.suffix.lower()
        if suffix == ".json":
            yield from _from_json(read_json(self.path))
            return
        lines = [line for line in read_text(self.path).splitlines() if line.strip()]
        lines = [line for line in lines if not line.startswith("# ")]
        if suffix not in (".csv", ".tsv"):
            yield from (line.strip() for line in lines)
            return
        rows = list(csv.reader(lines, delimiter="\t" if suffix == ".tsv" else ","))
        names = [name.strip().lower() for name in rows[0]] if rows else []
        if set(names) & set(COLUMNS):
            records = [dict(zip(names, row, strict=False)) for row in rows[1:]]
        else:  # a table without header, as VGGSound's: video, start, label, part
            parts = {row[-1].strip().lower() for row in rows}
            last = "split" if parts & TRAINING else "?"
            records = [{"id": row[0].strip(), last: row[-1]} for row in rows]
        yield from filter(None, (clip_name(row, COLUMNS) for row in self._held_out(records)))

    def _held_out(self, records: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """The rows that are not of a training part; all if the table has no others."""
        column = next((name for name in PARTS if records and name in records[0]), "")
        training = [str(row.get(column, "")).strip().lower() in TRAINING for row in records]
        self.skipped = 0 if all(training) else sum(training)
        for row, is_training in zip(records, training, strict=True):
            if not (self.skipped and is_training):
                yield row


def _recording(clip: str) -> set[str]:
    """The number on Freesound, where a name holds it."""
    match = _FREESOUND.fullmatch(Path(clip.replace("\\", "/")).stem)
    return {number for number in match.groups() if number} if match else set()


def _from_json(value: Any) -> Iterable[str]:
    if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        yield str(value)
    elif isinstance(value, list):
        for item in value:
            yield from _from_json(item)
    elif isinstance(value, dict):
        if name := clip_name({str(key).lower(): item for key, item in value.items()}, COLUMNS):
            yield name
        else:
            for item in value.values():
                yield from _from_json(item)
