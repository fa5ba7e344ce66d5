"""CSV, label tracks for Audacity, and the folders of Clotho, which aac-datasets reads."""

from __future__ import annotations

import re
import shutil
import wave
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from wsac.data.audio.stream import AudioStream
from wsac.io.csv_text import csv_line
from wsac.io.json_text import to_json
from wsac.types import AudioError

from .lhotse_manifests import shape_of
from .packed_formats import suffix_of

COLUMNS = (
    *("path", "caption", "confidence", "clap_score", "seconds", "loudness", "licence"),
    *("tags", "extra", "id", "captioner", "captioner_fingerprint", "wsac_version"),
)
CLOTHO = "CLOTHO_v2.1"
CAPTIONS = 5  # of each sound in Clotho, so a caption is repeated
LONGEST = 12 * 3600.0  # seconds of a WAV file of RATE: 4 GB
RATE = 44_100  # Hz, of Clotho: aac-datasets refuses another
METADATA = (
    *("file_name", "keywords", "sound_id", "sound_link", "start_end_samples", "manufacturer"),
    *("license", *COLUMNS),
)


class Names:
    """Names of files, each once, made of the names of sounds."""

    def __init__(self) -> None:
        self._uses: dict[str, int] = {}

    def new(self, path: str) -> str:
        """Without suffix, in ASCII."""
        stem = re.sub(r"[^A-Za-z0-9._ -]+", "_", Path(path).stem).strip(". ")[:100] or "sound"
        name, key = stem, stem.lower()
        while key in self._uses:
            self._uses[stem.lower()] += 1
            name = f"{stem}-{self._uses[stem.lower()]}"
            key = name.lower()
        self._uses[key] = 1
        return name


class Csv:
    """A table of paths and captions, in UTF-8."""

    reads_sounds = False

    def __init__(
        self,
        path: Path,
        card: dict[str, Any],
        stack: ExitStack,
        columns: Iterable[str] = COLUMNS,
        encoding: str = "utf-8",
    ) -> None:
        self._columns = tuple(columns)
        file = path.open("w", encoding=encoding, errors="replace", newline="")
        self._file = stack.enter_context(file)
        self._file.write(csv_line(self._columns))

    def add(self, row: dict[str, Any], place: Path) -> None:
        extra = to_json(row["extra"]) if row["extra"] else ""
        cells = row | {"tags": "; ".join(row["tags"]), "extra": extra}
        self._file.write(csv_line(cells.get(name, "") for name in self._columns))

    def close(self, card: dict[str, Any]) -> None:
        self._file.close()


class Audacity:
    """A label track for each sound: its caption, and its spans where the archive has them.

    ``labels.csv`` says which track is of which sound.
    """

    reads_sounds = False

    def __init__(self, folder: Path, card: dict[str, Any], stack: ExitStack) -> None:
        self._folder, self._names = folder, Names()
        self._table = Csv(folder / "labels.csv", card, stack, ("labels", *COLUMNS))

    def add(self, row: dict[str, Any], place: Path) -> None:
        labels = [(0.0, row["seconds"], row["caption"])]
        labels += [(span["start"], span["end"], span["text"]) for span in row["spans"]]
        lines = (f"{a:.6f}\t{b:.6f}\t{' '.join(text.split())}\n" for a, b, text in labels)
        name = f"{self._names.new(row['path'])}.txt"
        (self._folder / name).write_text("".join(lines), encoding="utf-8")
        self._table.add(row | {"labels": name}, place)

    def close(self, card: dict[str, Any]) -> None:
        self._table.close(card)


class AacDatasets:
    """The development part of a Clotho: sounds of 44.1 kHz, their captions and metadata."""

    reads_sounds = True

    def __init__(self, folder: Path, card: dict[str, Any], stack: ExitStack) -> None:
        tables = folder / CLOTHO / "clotho_csv_files"
        self._sounds = folder / CLOTHO / "clotho_audio_files" / "development"
        for place in (tables, self._sounds):
            place.mkdir(parents=True)
        captions = (f"caption_{i}" for i in range(1, CAPTIONS + 1))
        path = tables / "clotho_captions_development.csv"
        self._captions = Csv(path, card, stack, ("file_name", *captions))
        path = tables / "clotho_metadata_development.csv"
        self._metadata = Csv(path, card, stack, METADATA, "iso-8859-1")  # as Clotho's
        self._names = Names()

    def add(self, row: dict[str, Any], place: Path) -> None:
        name = self._write_sound(row, place)
        captions = {f"caption_{i}": row["caption"] for i in range(1, CAPTIONS + 1)}
        self._captions.add(row | captions | {"file_name": name}, place)
        facts = {"file_name": name, "keywords": ";".join(row["tags"]), "sound_id": row["id"]}
        facts |= {"sound_link": row["path"], "license": row["licence"]}
        self._metadata.add(row | facts, place)

    def _write_sound(self, row: dict[str, Any], place: Path) -> str:
        """Copy a sound, or write it anew where its rate is another one: mono WAV, 16 bits. Returns
        its name. Raises AudioError."""
        stem = self._names.new(row["path"])
        if shape_of(row["path"], place)[0] == RATE:
            target = self._sounds / f"{stem}.{suffix_of(row)}"
            shutil.copyfile(place, target)
            return target.name
        if row["seconds"] > LONGEST:
            raise AudioError(f"{row['path']}: too long for a WAV file; export as lhotse instead")
        target = self._sounds / f"{stem}.wav"
        try:
            with AudioStream(place, RATE) as stream, wave.open(str(target), "wb") as file:
                file.setparams((1, 2, RATE, 0, "NONE", ""))
                for block in stream:
                    whole = np.clip(np.rint(block * 32768), -32768, 32767).astype("<i2")
                    file.writeframesraw(whole.tobytes())
        except AudioError as error:
            target.unlink(missing_ok=True)
            raise AudioError(str(error).replace(str(place), row["path"])) from error
        return target.name

    def close(self, card: dict[str, Any]) -> None:
        self._captions.close(card)
        self._metadata.close(card)
