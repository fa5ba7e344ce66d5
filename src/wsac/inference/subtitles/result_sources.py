"""Which sound each result in a folder is of, so that none counts as the result of another sound."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

RECORD = ".wsac-sources"  # JSON, a result a line; the last line of a result counts


class ResultSources:
    """Reads and adds to the RECORD of each folder. A sound is known by its path, relative to that
    folder; once nothing is there any more, by its name, size and time, so both may move."""

    def __init__(self) -> None:
        self._read: dict[Path, int] = {}  # bytes read of each record
        self._sources: dict[Path, dict[str, Any]] = {}

    def compare(self, result: Path, sound: Path) -> Literal["unknown", "same", "changed", "other"]:
        """Whether a result is of this sound; changed: of an earlier state of it. unknown: not made
        by wsac, or the record is gone."""
        source = self.source(result)
        if source is None:
            return "unknown"
        facts = _facts(result.parent, sound)
        equal = all(source.get(name) == facts[name] for name in ("name", "size", "time"))
        if source.get("path") == facts["path"]:
            return "same" if equal else "changed"
        moved = equal and not (result.parent / str(source.get("path"))).exists()
        return "same" if moved else "other"

    def source(self, result: Path) -> dict[str, Any] | None:
        """path, name, size and time of the sound that a result is of; None when that is unknown."""
        self._update(result.parent / RECORD)
        return self._sources.get(result)

    def add(self, results: Iterable[Path], sound: Path) -> None:
        """A record that cannot be written, on a full disk, leaves them unknown."""
        for result in results:
            line = json.dumps({"result": result.name, **_facts(result.parent, sound)})
            record = result.parent / RECORD
            with suppress(OSError), record.open("a", encoding="utf-8") as file:
                file.write(f"{line}\n")

    def _update(self, record: Path) -> None:
        """Other processes may have added lines since."""
        with suppress(OSError), record.open("rb") as file:
            file.seek(self._read.get(record, 0))
            for line in file:
                with suppress(ValueError, KeyError, TypeError):
                    source = json.loads(line)
                    self._sources[record.parent / source["result"]] = source
            self._read[record] = file.tell()


def _facts(folder: Path, sound: Path) -> dict[str, Any]:
    status = sound.stat()
    path = os.path.relpath(sound.resolve(), folder.resolve())
    return {"path": path, "name": sound.name, "size": status.st_size, "time": status.st_mtime}
