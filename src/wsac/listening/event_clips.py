"""The sound of events as files: the newest ones only."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from wsac.io.files import atomic_path
from wsac.types import RecipeError, WsacError

from .sound_event import Event

NAME = re.compile(r"\d{8}-\d{6}-\d{4,}-[a-z0-9-]*\.flac", re.ASCII)


class ClipKeeper:
    """Writes the sound of an event into a folder as FLAC, and deletes the oldest clips beyond
    ``keep``. Other files of the folder are left alone. Raises RecipeError for ``keep`` below 1."""

    def __init__(self, folder: Path, sample_rate: int, keep: int = 500) -> None:
        if keep < 1:
            raise RecipeError(f"keep {keep} clips; give 1 or more")
        self.folder, self.keep, self._rate = folder, keep, sample_rate
        folder.mkdir(parents=True, exist_ok=True)
        self._names = sorted(path.name for path in folder.iterdir() if NAME.fullmatch(path.name))
        self._drop()

    def store(self, event: Event) -> Event:
        """The event with the path of its clip. Raises WsacError where it cannot be written."""
        import soundfile

        if event.sound is None or not len(event.sound):
            return event
        moment = datetime.fromisoformat(event.time) if event.time else datetime.now()
        words = re.sub(r"[^a-z0-9]+", "-", event.label.lower()).strip("-")[:60]
        name = f"{moment:%Y%m%d-%H%M%S}-{event.number:04}-{words}.flac"
        path, sound = self.folder / name, event.sound.clip(-1, 1)
        try:
            with atomic_path(path) as temporary:
                soundfile.write(temporary, sound, self._rate, format="FLAC", subtype="PCM_16")
        except soundfile.SoundFileError as error:
            what = f"cannot write ({error}); check the free space"
            raise WsacError(f"{path}: {what}") from error
        self._names = sorted({*self._names, name})
        self._drop()
        return replace(event, clip=str(path))

    def _drop(self) -> None:
        while len(self._names) > self.keep:
            (self.folder / self._names.pop(0)).unlink(missing_ok=True)
