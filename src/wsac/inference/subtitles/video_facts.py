"""What a video shows, as far as subtitles of its sounds ask: its frame rate, and new scenes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

THUMBNAIL = (32, 18)  # pixels
NEW = 0.12  # mean difference of two thumbnails, of the full range: another scene


class NoCut(float):
    """Seconds until which no other cut was seen: there may be none for hours."""


@dataclass(frozen=True, slots=True)
class VideoFacts:
    """frame_rate: a second; None without a video. delay: seconds by which the sound begins after
    the pictures. cuts: seconds at which another scene is shown, sought while they are asked for; a
    NoCut for each key frame between."""

    frame_rate: float | None = None
    delay: float = 0.0
    cuts: Iterator[float] = field(default_factory=lambda: iter(()))


def video_facts(path: str | Path, track: int | None = None) -> VideoFacts:
    """Of the first video stream; nothing of a file without one or that FFmpeg does not read.

    track: the audio track, from 1; None for the first, which begins when the others do.
    """
    import av

    rate, delay = 0.0, 0.0
    try:
        with av.open(str(path), metadata_errors="ignore") as source:
            stream = _video(source)
            if stream is None:
                return VideoFacts()
            rate = float(stream.average_rate or 0)
            delay = _start(source.streams.audio[(track or 1) - 1]) - _start(stream)
    except (av.FFmpegError, OSError, ValueError, IndexError):
        pass  # what was seen until then is of use
    return VideoFacts(rate if 1 <= rate <= 1000 else None, delay, _cuts(str(path)))


def _cuts(path: str) -> Iterator[float]:
    """Only key frames are decoded, one in a few seconds. A cut is known as the first of them that
    shows something else than the one before, so it may come a few seconds late."""
    import av
    import numpy as np

    before = None
    try:
        with av.open(path, metadata_errors="ignore") as source:
            stream = _video(source)
            if stream is None:
                return
            stream.codec_context.skip_frame = "NONKEY"
            stream.thread_type = "AUTO"
            for frame in source.decode(stream):
                small = frame.reformat(*THUMBNAIL, format="gray").to_ndarray().astype(np.float32)
                change = 0.0 if before is None else float(np.abs(small - before).mean())
                if frame.time is not None:
                    seconds = max(0.0, float(frame.time))
                    yield seconds if change > 255 * NEW else NoCut(seconds)
                before = small
    except (av.FFmpegError, OSError, ValueError):
        pass


def _video(source: Any) -> Any:
    """The first stream of video that is no cover; None where there is none."""
    return next((s for s in source.streams.video if not s.disposition & 0x400), None)


def _start(stream: Any) -> float:
    return float((stream.start_time or 0) * (stream.time_base or 0))
