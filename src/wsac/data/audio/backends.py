"""Decoders: soundfile or PyAV behind one interface, and the length that a file declares."""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from wsac.types import AudioError

BLOCK_FRAMES = 16384  # lost at a read error; far below a window in memory
# streams without a header: PyAV guesses their length from their size
ESTIMATED_LENGTH = {"aac", "ac3", "eac3", "dts", "mp3"}


class Source(ABC):
    """A decoder. blocks(): mono float32 [T] with their rate. cut: why the end seems to be
    missing."""

    declared_seconds: float | None = None
    reached_seconds = 0.0  # how far the data of any track go: a video may outlast its sound
    cut: str | None = None
    bad_packets = 0
    handle: Any

    @abstractmethod
    def blocks(self) -> Iterator[tuple[np.ndarray, int]]: ...

    def close(self) -> None:
        self.handle.close()


def open_source(path: Path) -> Source:
    """Choose the decoder by the first bytes. Raises AudioError when there is none."""
    try:
        if path.is_dir():
            raise AudioError(f"{path}: a folder, not a sound file; name the files in it")
        with path.open("rb") as file:
            head = file.read(64)
    except FileNotFoundError:
        raise AudioError(f"{path}: no such file; check the path") from None
    except OSError as error:
        what = f"cannot read ({error.strerror}); check the path and its permissions"
        raise AudioError(f"{path}: {what}") from error
    if not head:
        raise AudioError(f"{path}: empty (0 bytes); is the download complete?")
    source: Source | None = None
    is_mpeg = head[:3] == b"ID3" or (head[0] == 0xFF and head[1:2] >= b"\xe0")
    # libmpg123, inside soundfile, writes warnings to stderr: mp3 is for PyAV
    if not is_mpeg and path.suffix.lower() not in (".mp1", ".mp2", ".mp3", ".raw"):
        import soundfile

        with suppress(soundfile.SoundFileError):  # then PyAV may know it
            source = SoundfileSource(path, head)
    if source is None and head.isascii() and "".join(head.decode().split()).isprintable():
        what = "holds text, not sound; was a web page or a pointer saved in its place?"
        raise AudioError(f"{path}: {what}")
    source = source or AvSource(path, head)
    if head[:4] == b"OggS" and not _ogg_has_end(path):
        source.declared_seconds, source.cut = None, "the stream stops without its end mark"
    return source


class SoundfileSource(Source):
    """wav, flac, ogg, opus, aiff, caf, au, … by libsndfile."""

    def __init__(self, path: Path, head: bytes) -> None:
        import soundfile

        self.handle = soundfile.SoundFile(str(path))
        seconds = self.handle.frames / self.handle.samplerate
        if seconds > 1e9:  # a piped flac declares no length, and libsndfile fails before its end
            self.close()
            raise soundfile.SoundFileError("length unknown")
        self.declared_seconds = seconds * _declared_share(path, head)

    def blocks(self) -> Iterator[tuple[np.ndarray, int]]:
        import soundfile

        try:
            read = partial(self.handle.read, BLOCK_FRAMES, dtype="float32", always_2d=True)
            while len(frames := read()):  # [T, C]
                yield _mono(frames.T), self.handle.samplerate
        except soundfile.SoundFileError:  # flac: the next frame is incomplete or damaged
            self.cut = "the data stop making sense"


class AvSource(Source):
    """m4a, mp4, mkv, webm, mp3, aac, … by PyAV: the best audio stream of the file."""

    def __init__(self, path: Path, head: bytes) -> None:
        import av

        try:  # "file" alone: a playlist must not reach for the network
            options = {"protocol_whitelist": "file"}
            self.handle = av.open(str(path.absolute()), metadata_errors="replace", options=options)
        except (av.FFmpegError, ValueError) as error:
            what = "no known sound format, or corrupt; does another player open it?"
            if head[4:8] == b"ftyp":
                what = "truncated, its index (moov) is missing; fetch the file again"
            raise AudioError(f"{path}: {what}") from error
        self.audio = audio = self.handle.streams.best("audio")
        if audio is None or audio.codec_context is None:
            self.close()
            raise AudioError(f"{path}: no audio track that can be decoded; choose another file")
        length = float(audio.duration * audio.time_base) if audio.duration else 0.0
        # matroska declares one length for all tracks: follow them all to the end of the data
        self.streams = [audio] if length else list(self.handle.streams)
        length = length or (self.handle.duration or 0) / av.time_base
        exact = self.handle.format.name not in ESTIMATED_LENGTH or _has_mpeg_length(path, head)
        if length and exact:
            # of these ffmpeg declares what is left, not what was written
            adjusted = head[:4] in (b"RIFF", b"caff")
            self.declared_seconds = length * (_declared_share(path, head) if adjusted else 1)

    def blocks(self) -> Iterator[tuple[np.ndarray, int]]:
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
                yield _mono(_channels(frame)), frame.sample_rate
        if last_is_bad:
            self.cut = "the data stop in the middle of a packet"


def _mono(channels: np.ndarray) -> np.ndarray:
    """Mean of channels [C, T], as float32 [T]; NaN and infinity pass through."""
    with np.errstate(invalid="ignore", over="ignore"):
        return channels.mean(axis=0, dtype=np.float32)


def _channels(frame: Any) -> np.ndarray:
    """The samples of a PyAV frame as floats in [-1, 1]. Returns [C, T]."""
    samples = frame.to_ndarray()
    if not frame.format.is_planar:
        samples = samples.reshape(-1, frame.layout.nb_channels).T
    match samples.dtype.kind:
        case "u":
            return (samples.astype(np.float32) - 128) / 128
        case "i":
            return samples.astype(np.float32) / 2 ** (8 * samples.itemsize - 1)
    return samples


# where the chunks begin, and the layout of a chunk's head
_CHUNKED = dict.fromkeys((b"RIFF", b"RF64"), (12, "<4sI"))
_CHUNKED |= {b"FORM": (12, ">4sI"), b"caff": (8, ">4sq")}


def _declared_share(path: Path, head: bytes) -> float:
    """Declared by actual size of the samples of a wav, aiff or caf file; 1 when it is whole."""
    position, layout = _CHUNKED.get(head[:4], (0, ""))
    total, rf64_size, width = path.stat().st_size, 0, struct.calcsize(layout)
    with path.open("rb") as file:
        while layout and position + width < total:
            file.seek(position)
            name, size = struct.unpack(layout, file.read(width))
            position += width
            if name == b"ds64":
                rf64_size = int.from_bytes(file.read(16)[8:], "little")
            if name in (b"data", b"SSND"):
                # a placeholder of a writer that could not seek back
                size = rf64_size if width == 8 and size >= 0x7FFF0000 else size
                return max(1.0, size / max(1, total - position))
            position += max(0, size + size % 2 * (width == 8))  # aiff and wav pad to even sizes
    return 1.0


def _ogg_has_end(path: Path) -> bool:
    """Whether the last page of an Ogg file is complete and carries the end-of-stream flag."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 2 * 65536))  # a page has at most 65307 bytes
        tail = file.read()
    page = tail[max(0, tail.rfind(b"OggS")) :]
    segments = page[27 : 27 + page[26]] if len(page) > 26 else b""
    return len(page) > 26 and bool(page[5] & 4) and len(page) >= 27 + page[26] + sum(segments)


def _has_mpeg_length(path: Path, head: bytes) -> bool:
    """Whether an mp3 file counts its frames (Xing, Info or VBRI) in the first, after any ID3
    tag."""
    tag = 0
    if head[:3] == b"ID3":  # its size: four bytes of seven bits
        shifts = zip(head[6:10], (21, 14, 7, 0), strict=True)
        tag = 10 + sum(byte << shift for byte, shift in shifts)
    with path.open("rb") as file:
        file.seek(tag)
        frame = file.read(256)
    return any(mark in frame for mark in (b"Xing", b"Info", b"VBRI"))
