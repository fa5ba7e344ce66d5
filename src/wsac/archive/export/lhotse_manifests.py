"""Manifests of lhotse: recordings, which stay where they are, and supervisions with captions."""

from __future__ import annotations

import gzip
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from wsac.io.json_text import to_json
from wsac.types import AudioError

from ..listing import is_address


class Lhotse:
    """``recordings.jsonl.gz`` and ``supervisions.jsonl.gz``, for ``CutSet.from_manifests``."""

    reads_sounds = True

    def __init__(self, folder: Path, card: dict[str, Any], stack: ExitStack) -> None:
        names = ("recordings", "supervisions")
        # without a time, so that equal exports are equal
        files = [gzip.GzipFile(folder / f"{name}.jsonl.gz", "wb", mtime=0) for name in names]
        self._recordings, self._supervisions = map(stack.enter_context, files)
        self._count = 0

    def add(self, row: dict[str, Any], place: Path) -> None:
        rate, channels, samples = shape_of(row["path"], place)
        key, numbers = f"{self._count:09d}", list(range(channels))
        kind = "url" if is_address(row["path"]) else "file"
        recording = {
            "id": key,
            "sources": [{"type": kind, "channels": numbers, "source": row["path"]}],
            "sampling_rate": rate,
            "num_samples": samples,
            "duration": samples / rate,
            "channel_ids": numbers,
        }
        supervision = {
            "id": key,
            "recording_id": key,
            "start": 0.0,
            "duration": samples / rate,
            "channel": 0 if channels == 1 else numbers,
            "text": row["caption"],
            "language": "English",
            "custom": {name: value for name, value in row.items() if name != "caption"},
        }
        self._recordings.write(f"{to_json(recording)}\n".encode())
        self._supervisions.write(f"{to_json(supervision)}\n".encode())
        self._count += 1

    def close(self, card: dict[str, Any]) -> None:
        self._recordings.close()
        self._supervisions.close()


def shape_of(path: str, place: Path) -> tuple[int, int, int]:
    """Samples per second, channels, and samples of a channel, as libsndfile or FFmpeg has them.

    Raises AudioError.
    """
    import av
    import soundfile

    try:
        info = soundfile.info(str(place))
        return info.samplerate, info.channels, info.frames
    except (soundfile.SoundFileError, RuntimeError):
        pass
    try:
        with av.open(str(place)) as container:
            stream = container.streams.audio[0]
            samples = sum(frame.samples for frame in container.decode(stream))
            return stream.rate, stream.channels, samples
    except (av.FFmpegError, IndexError, OSError, ValueError) as error:
        raise AudioError(f"{path}: cannot be read any more ({error}); build again") from error
