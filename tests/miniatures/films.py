"""Small films that tests make: a picture that changes, and loud seconds in a quiet sound."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import soundfile

from wsac.inference.spans.span import Span
from wsac.inference.subtitles.subtitle_files import SubtitleJob, SubtitleWriter

RATE = 16_000  # Hz
FRAME_RATE = 10
SPEECH = (
    "1\n00:00:00,500 --> 00:00:02,400\nWhere is the dog?\n\n2\n00:00:08,000 --> 00:00:09,000\nOh.\n"
)


def write_film(
    path: Path,
    seconds: int = 12,
    loud: Collection[int] = (2, 6),
    *,
    video: str = "mpeg4",
    delay: int = 0,
) -> Path:
    """A film whose sound is loud in some of its seconds. video: a codec, "" for none. The picture
    changes in the middle. delay: seconds by which the sound begins later."""
    sound = tone(seconds, loud)
    codec = "libopus" if path.suffix == ".webm" else "aac"
    with av.open(str(path), "w") as film:
        if video:
            picture = film.add_stream(video, rate=FRAME_RATE)
            picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
            picture.codec_context.gop_size = FRAME_RATE
        rate = 48_000 if codec == "libopus" else RATE
        track = film.add_stream(codec, rate=rate)
        track.layout = "mono"
        for i in range(seconds * FRAME_RATE if video else 0):
            shade = 20 if i < seconds * FRAME_RATE / 2 else 220
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), shade, np.uint8), "rgb24")
            frame.pts = i
            film.mux(picture.encode(frame))
        if video:
            film.mux(picture.encode())
        sound = np.repeat(sound, rate // RATE)
        for i in range(0, len(sound), 960):
            block = av.AudioFrame.from_ndarray(sound[None, i : i + 960], "flt", "mono")
            block.sample_rate, block.pts = rate, i + delay * rate
            for part in av.AudioResampler(track.format, track.layout, rate).resample(block):
                film.mux(track.encode(part))
        film.mux(track.encode())
    return path


def tone(seconds: int, loud: Collection[int]) -> np.ndarray:
    """[T] float32: 440 Hz, loud in the seconds of ``loud``."""
    time = np.arange(seconds * RATE) / RATE
    level = np.where(np.isin(time.astype(int), list(loud)), 0.5, 0.01)
    return (level * np.sin(2 * np.pi * 440 * time)).astype(np.float32)


class LoudSeconds:
    """Stands in for a captioner: its spans are the loud seconds of a sound, in order.

    listened: the seconds that it was given. stop_at: raise KeyboardInterrupt there, once.
    """

    def __init__(self, stop_at: float = float("inf"), text: str = "A dog barks") -> None:
        self.clap = SimpleNamespace(sample_rate=RATE)
        self.listened, self.stop_at, self.text = 0.0, stop_at, text

    def spans(self, stream, min_confidence=None) -> Iterator[Span]:
        rest, second = np.empty(0, np.float32), 0
        for block in stream:
            rest = np.concatenate((rest, block))
            while len(rest) >= RATE:
                self.listened += 1
                if self.listened > self.stop_at:
                    self.stop_at = float("inf")
                    raise KeyboardInterrupt
                if np.sqrt(np.square(rest[:RATE]).mean()) > 0.1:
                    yield Span(second, second + 1.0, self.text, prominence=30, file=stream.file)
                rest, second = rest[RATE:], second + 1


def write_wav(path: Path, seconds: int = 12, loud: Collection[int] = (2, 6)) -> Path:
    soundfile.write(path, tone(seconds, loud), RATE)
    return path


def writer(captioner: LoudSeconds | None = None, **job) -> SubtitleWriter:
    return SubtitleWriter(SubtitleJob(**job), lambda: captioner or LoudSeconds())
