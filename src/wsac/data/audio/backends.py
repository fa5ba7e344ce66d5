"""Decoders: soundfile, PyAV or samples in memory behind one interface, with the length that a
file declares."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np

from wsac.types import AudioError

from .headers import (
    Part,
    audio_start,
    declared_share,
    has_mpeg_length,
    ogg_has_end,
    uncounted_bytes,
)
from .samples import divide, full_scale

# declared lengths of intact mp3, aac and opus files are off by up to a few codec frames
TRUNCATION_SECONDS = 0.1
BLOCK_FRAMES = 16384  # lost at a read error; far below a window in memory
TOGETHER = 0.25  # seconds of PyAV's frames that are handed on at once
# streams without a header: PyAV guesses their length from their size
ESTIMATED_LENGTH = {"aac", "ac3", "eac3", "dts", "mp3"}
# libsndfile takes what it does not know for MPEG audio by these, and prints warnings
MPEG_SUFFIXES = (".mp1", ".mp2", ".mp3", ".mpg", ".mpeg", ".m1a", ".m2a")
PEAK_SECONDS = 600  # the part of a file of floats that shows whether they were scaled
TRACK_SECONDS = 30.0  # the part that shows which of several tracks is the loudest
# other rates in a flac are suspicious: FFmpeg reads the rate of every frame
COMMON_RATES = {8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 88200, 96000}
COMMON_RATES |= {176400, 192000, 352800, 384000}


class Source(ABC):
    """A decoder. blocks(): float32 [C, T] with their rate. cut: why the end seems to be missing.
    notes: what was decided in reading."""

    name = "FFmpeg"
    declared_seconds: float | None = None
    reached_seconds = 0.0  # how far the data of any track go: a video may outlast its sound
    cut: str | None = None
    bad_packets = 0
    notes: tuple[str, ...] = ()
    handle: Any = None

    @abstractmethod
    def blocks(self) -> Iterator[tuple[np.ndarray, int]]: ...

    def close(self) -> None:
        if self.handle is not None:
            self.handle.close()


class SampleSource(Source):
    """Samples [C, T] in memory."""

    def __init__(self, samples: np.ndarray, rate: int) -> None:
        self.samples, self.rate = samples, rate
        self.declared_seconds = samples.shape[1] / rate
        size, note = full_scale([samples])
        if note:
            self.samples, self.notes = divide(samples, size), (note,)

    def blocks(self) -> Iterator[tuple[np.ndarray, int]]:
        yield self.samples, self.rate


class SoundfileSource(Source):
    """wav, flac, ogg, opus, aiff, caf, au, … by libsndfile. start, end: the part of the file."""

    name = "libsndfile"

    def __init__(self, path: Path, head: bytes, start: int = 0, end: int | None = None) -> None:
        import soundfile

        unnamed = start or end or path.suffix.lower() in MPEG_SUFFIXES
        part: Any = Part(path, start, end) if unnamed else os.fsencode(path)
        self.handle = handle = soundfile.SoundFile(part)
        seconds = handle.frames / handle.samplerate
        unlikely = head[:4] == b"fLaC" and handle.samplerate not in COMMON_RATES
        # a piped flac declares no length, and libsndfile fails before its end
        if seconds > 1e9 or unlikely or handle.subtype.startswith("MPEG"):
            self.close()
            raise soundfile.SoundFileError("for FFmpeg")
        if handle.frames:
            self.declared_seconds = seconds * (1 if start else declared_share(path, head))
            if head[:4] in (b"RIFF", b"FORM") and (rest := uncounted_bytes(path, head)):
                what = f"the header counts {seconds:.1f} s; {rest:,} bytes behind them are not read"
                self.notes = (f"uncounted: {what}",)

    def blocks(self) -> Iterator[tuple[np.ndarray, int]]:
        import soundfile

        frames = max(256, BLOCK_FRAMES // max(1, self.handle.channels // 2))
        read = partial(self.handle.read, frames, dtype="float32", always_2d=True)
        rate, size = self.handle.samplerate, 1.0
        try:
            if self.handle.subtype in ("FLOAT", "DOUBLE"):
                size = self._full_scale(read)
            while len(block := read()):  # [T, C]
                yield divide(block.T, size), rate
        except soundfile.SoundFileError:  # flac: the next frame is incomplete or damaged
            self.cut = "the data stop making sense"

    def _full_scale(self, read: Any) -> float:
        """The range of integers that were saved as floats; 1 for floats in [-1, 1]."""
        count = PEAK_SECONDS * self.handle.samplerate // BLOCK_FRAMES + 1
        size, note = full_scale(takewhile(len, (read() for _ in range(count))))
        self.handle.seek(0)
        self.notes = (*self.notes, note) if note else self.notes
        return size


class LinkedSource(Source):
    """An Ogg file of several links, one behind another, each perhaps at another rate."""

    name = "libsndfile"

    def __init__(self, path: Path, head: bytes, links: list[int]) -> None:
        self.path, self.head, self.links = path, head, links
        self._source = SoundfileSource(path, head, 0, links[1])

    def blocks(self) -> Iterator[tuple[np.ndarray, int]]:
        import soundfile

        for start, end in zip(self.links, [*self.links[1:], None], strict=True):
            if start:
                self._source.close()
                try:
                    self._source = SoundfileSource(self.path, self.head, start, end)
                except soundfile.SoundFileError:
                    self.bad_packets += 1
                    continue
            missing = self._source.handle.frames
            for block, rate in self._source.blocks():
                missing -= block.shape[1]
                yield block, rate
            short = missing > TRUNCATION_SECONDS * self._source.handle.samplerate
            if short or self._source.cut or not ogg_has_end(self.path, end):
                self.cut = self.cut or "a link of the chained stream is cut or damaged"

    def close(self) -> None:
        self._source.close()


class AvSource(Source):
    """m4a, mp4, mkv, webm, mp3, aac, … by PyAV: one audio track of the file, the loudest or
    number ``track`` from 1. start: where the file begins, behind a tag."""

    def __init__(self, path: Path, head: bytes, track: int | None = None, start: int = 0) -> None:
        import av

        # only a tag that FFmpeg cannot skip is skipped here
        self.file = Part(path, start) if start else str(path.absolute())
        self.handle = _open(path, self.file, head)
        tracks = [s for s in self.handle.streams.audio if s.codec_context is not None]
        best = self.handle.streams.best("audio")
        if best is None or best.codec_context is None:
            self.close()
            raise AudioError(f"{path}: no audio track that can be decoded; choose another file")
        if track is not None and track > len(tracks):
            self.close()
            what = f"has {len(tracks)} audio track{'s' * (len(tracks) > 1)}"
            raise AudioError(f"{path}: {what}; there is no track {track}")
        if track is None and len(tracks) > 1:
            best = self.handle.streams[_loudest(path, start, head, best.index)]
            number = tracks.index(best) + 1
            which = f"of {len(tracks)} audio tracks, number {number} is the loudest"
            self.notes = (f"tracks: {which} and is read; --track chooses another",)
        self.audio = audio = best if track is None else tracks[track - 1]
        length = float(audio.duration * audio.time_base) if audio.duration else 0.0
        # matroska declares one length for all tracks: follow them all to the end of the data
        self.streams = [audio] if length else list(self.handle.streams)
        length = length or (self.handle.duration or 0) / av.time_base
        exact = self.handle.format.name not in ESTIMATED_LENGTH
        if length and (exact or has_mpeg_length(path, audio_start(path, head))):
            # of these ffmpeg declares what is left, not what was written
            adjusted = head[:4] in (b"RIFF", b"caff")
            self.declared_seconds = length * (declared_share(path, head) if adjusted else 1)

    def blocks(self) -> Iterator[tuple[np.ndarray, int]]:
        return _gathered(self._frames())

    def _frames(self) -> Iterator[tuple[np.ndarray, int]]:
        import av

        origin = (self.handle.start_time or 0) / av.time_base
        packets, last_is_bad = self.handle.demux(self.streams), False
        while True:
            try:
                if (packet := next(packets, None)) is None:
                    break
                if packet.pts is not None and len(self.streams) > 1:
                    end = float((packet.pts + (packet.duration or 0)) * packet.time_base) - origin
                    self.reached_seconds = max(self.reached_seconds, end)
                frames = packet.decode() if packet.stream.index == self.audio.index else []
            except (av.FFmpegError, ValueError):
                self.bad_packets, last_is_bad = self.bad_packets + 1, True
                continue
            for frame in frames:
                # the flush at the end comes after the last packet
                last_is_bad = last_is_bad and packet.dts is None
                yield _channels(frame), frame.sample_rate
        if last_is_bad:
            self.cut = "the data stop in the middle of a packet"

    def close(self) -> None:
        super().close()
        if isinstance(self.file, Part):
            self.file.close()


def _gathered(frames: Iterator[tuple[np.ndarray, int]]) -> Iterator[tuple[np.ndarray, int]]:
    """The same samples in fewer blocks, as each costs time; also those before an error."""
    parts: list[np.ndarray] = []
    kind, count = (0, 0), 0  # rate and channels
    try:
        for frame, rate in frames:
            if parts and ((rate, len(frame)) != kind or count >= rate * TOGETHER):
                yield np.concatenate(parts, axis=1), kind[0]
                parts, count = [], 0
            kind = rate, len(frame)
            parts.append(frame)
            count += frame.shape[1]
    except Exception:
        if parts:
            yield np.concatenate(parts, axis=1), kind[0]
        raise
    if parts:
        yield np.concatenate(parts, axis=1), kind[0]


def _open(path: Path, file: str | Part, head: bytes) -> Any:
    import av

    try:  # "file" alone: a playlist must not reach for the network
        options = {"protocol_whitelist": "file"}
        return av.open(file, metadata_errors="replace", options=options)
    except (av.FFmpegError, ValueError) as error:
        what = "no known sound format, or corrupt; does another player open it?"
        if head[4:8] == b"ftyp":
            what = "truncated, its index (moov) is missing; fetch the file again"
        if isinstance(error, FileNotFoundError):
            what = "no such file any more; was it moved while it was opened?"
        raise AudioError(f"{path}: {what}") from error


def _loudest(path: Path, start: int, head: bytes, best: int) -> int:
    """The index of the audio stream with the most power in its first half minute, else ``best``."""
    import av

    power: dict[int, float] = defaultdict(float, {best: 1e-12})
    with Part(path, start) as file, _open(path, file, head) as container:
        packets = container.demux(container.streams.audio)
        while True:
            try:
                packet = next(packets, None)
                if packet is None or (packet.pts or 0) * packet.time_base > TRACK_SECONDS:
                    break
                for frame in packet.decode():
                    samples = np.nan_to_num(_channels(frame).astype(np.float64))
                    weight = samples.shape[1] / frame.sample_rate
                    power[packet.stream.index] += float((samples**2).mean()) * weight
            except (av.FFmpegError, ValueError):
                continue
    return max(power, key=power.__getitem__)


_PLANAR = {"fltp": "f4", "dblp": "f8", "s16p": "i2", "s32p": "i4", "s64p": "i8", "u8p": "u1"}


def _channels(frame: Any) -> np.ndarray:
    """The samples of a PyAV frame as floats in [-1, 1]. Returns [C, T]."""
    count, planar = frame.layout.nb_channels, frame.format.is_planar
    if planar and count >= 8:  # to_ndarray reads a ninth plane, which does not exist, and crashes
        planes = [bytes(frame.planes[channel]) for channel in range(count)]
        kind = _PLANAR[frame.format.name]
        samples = np.stack([np.frombuffer(plane, kind, frame.samples) for plane in planes])
    else:
        samples = frame.to_ndarray()
        samples = samples if planar else samples.reshape(-1, count).T
    match samples.dtype.kind:
        case "u":
            return (samples.astype(np.float32) - 128) / 128
        case "i":
            return samples.astype(np.float32) / 2 ** (8 * samples.itemsize - 1)
    return samples
