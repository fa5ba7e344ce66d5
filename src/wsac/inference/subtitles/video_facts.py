"""What a video says about itself without being decoded: its frame rate, and where it cuts."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

EARLY = 0.9  # of the usual distance of key frames: the encoder saw a new picture


@dataclass(frozen=True, slots=True)
class VideoFacts:
    """frame_rate: a second; None without a video. cuts: seconds, as far as they can be told."""

    frame_rate: float | None = None
    cuts: tuple[float, ...] = ()


def video_facts(path: str | Path) -> VideoFacts:
    """Of the first video stream; nothing of a file without one or that FFmpeg does not read.

    Encoders put key frames at fixed distances, and at cuts. So a key frame that comes early is
    taken for a cut. The index of the file lists them, in mp4, mov and mkv.
    """
    import av

    try:
        with av.open(str(path), metadata_errors="ignore") as source:
            if not source.streams.video:
                return VideoFacts()
            stream = source.streams.video[0]
            rate = float(stream.average_rate or 0)
            base = float(stream.time_base or 0)
            keys = sorted(e.timestamp * base for e in stream.index_entries if e.is_keyframe)
    except (av.FFmpegError, OSError, ValueError, AttributeError):
        return VideoFacts()
    steps = [(after, after - before) for before, after in pairwise(keys)]
    usual = max((distance for _, distance in steps), default=0.0)
    cuts = [key for key, distance in steps if distance < EARLY * usual]
    return VideoFacts(rate if 1 <= rate <= 1000 else None, tuple(cuts))
