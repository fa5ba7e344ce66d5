"""Sound files as mono float32 samples at one rate, streamed: decode (soundfile, PyAV), mix down, resample (soxr).

A broken file is an AudioError when nothing can be heard, and a note when something can: "truncated: …" (what was
decoded falls short of what the file declares), "damaged: …" and "silent: …". Units: seconds, samples per second.
"""

from __future__ import annotations

import glob
import struct
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .types import AudioError, RecipeError

_FORMATS = (
    "wav wave flac ogg oga opus mp3 aif aiff aifc caf au w64 rf64 m4a m4b aac ac3 mp4 m4v mov mkv mka webm wma 3gp"
)
AUDIO_SUFFIXES = frozenset(f".{name}" for name in _FORMATS.split())
SILENCE_PEAK = 1e-4  # -80 dBFS: below the noise floor of any recording
TRUNCATION_SECONDS = 0.1  # declared lengths of intact mp3, aac and opus files are off by up to a few codec frames
BLOCK_FRAMES = 16384  # what a read error can cost, and far below a window in memory
ESTIMATED_LENGTH = {"aac", "ac3", "eac3", "dts", "mp3"}  # headerless streams: PyAV guesses their length from the size


@dataclass(frozen=True, slots=True)
class Recording:
    """A whole sound. samples: [T] float32 mono. seconds: its length. notes: what is wrong with it, a line each."""

    samples: np.ndarray
    sample_rate: int
    seconds: float
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Window:
    """A piece of a sound. samples: [T] float32 mono. start, end: seconds from the beginning of the sound."""

    samples: np.ndarray
    start: float
    end: float


def load_audio(path: str | Path, sample_rate: int, *, max_seconds: float | None = None) -> Recording:
    """Decode a sound file, or its first ``max_seconds``, to mono at ``sample_rate``.

    Raises AudioError when nothing can be decoded. With ``max_seconds`` the notes speak of the part that was read.
    """
    limit = None if max_seconds is None else _sample_count("max_seconds", max_seconds, sample_rate)
    blocks, total = [], 0
    with AudioStream(path, sample_rate) as stream:
        for block in stream:
            blocks.append(block)
            total += len(block)
            if limit is not None and total >= limit:
                break
        samples = np.concatenate(blocks)[:limit]
        return Recording(samples, sample_rate, len(samples) / sample_rate, stream.notes)


class AudioStream:
    """A sound file as blocks ``[T]`` of mono float32 at ``sample_rate``: one pass, in constant memory.

    declared_seconds: the length the file claims, None when it does not say (known before the first block).
    seconds, notes: what has been read so far; final after the last block. NaN and infinite samples become 0, and
    a note says so. Raises AudioError when the file cannot be opened, or holds no samples (at the end).
    """

    def __init__(self, path: str | Path, sample_rate: int) -> None:
        if sample_rate <= 0:
            raise RecipeError(f"sample_rate={sample_rate}: must be above 0, such as 48000")
        self.path, self.sample_rate = Path(path), sample_rate
        self._source = _open(self.path)
        self.declared_seconds = self._source.declared_seconds
        self._samples, self._decoded_seconds, self._peak, self._nonfinite = 0, 0.0, 0.0, 0
        self._exhausted = False
        self._blocks = self._counted()

    def __enter__(self) -> AudioStream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[np.ndarray]:
        return self._blocks

    def close(self) -> None:
        """Close the file; safe to call twice. The end of the iteration closes it too."""
        self._blocks.close()
        self._source.close()

    @property
    def seconds(self) -> float:
        return self._samples / self.sample_rate

    @property
    def notes(self) -> tuple[str, ...]:
        notes, source, decoded, whole = [], self._source, self._decoded_seconds, self.declared_seconds
        if self._exhausted:
            if source.bad_packets and not source.cut:
                notes.append(f"damaged: {source.bad_packets} packets cannot be decoded and are left out")
            elif whole is not None and max(decoded, source.reached_seconds) < whole - TRUNCATION_SECONDS:
                notes.append(f"truncated: {decoded:.1f} s of {whole:.1f} s can be decoded; is the download complete?")
            elif source.cut:
                notes.append(f"truncated: {source.cut} after {decoded:.1f} s; is the download complete?")
        if self._nonfinite:
            notes.append(f"damaged: {self._nonfinite} samples are NaN or infinite, now 0")
        if self._samples and self._peak < SILENCE_PEAK:
            level = f"{20 * np.log10(self._peak):.0f} dBFS" if self._peak else "all samples are 0"
            notes.append(f"silent: the mono mix has no sound above -80 dBFS ({level})")
        return tuple(notes)

    def windows(self, window_seconds: float, hop_seconds: float | None = None) -> Iterator[Window]:
        """Cut the sound into windows that start every ``hop_seconds`` (default: end to end).

        The tail is included, as a last window that may be shorter; a window that would only repeat samples of the
        one before is not made. A hop longer than the window skips what lies between. Holds about one window.
        """
        size = _sample_count("window_seconds", window_seconds, self.sample_rate)
        hop = size if hop_seconds is None else _sample_count("hop_seconds", hop_seconds, self.sample_rate)
        return self._windows(size, hop)

    def _windows(self, size: int, hop: int) -> Iterator[Window]:
        pieces: list[np.ndarray] = []  # from `begin`, where the next window begins, to `read`
        begin, read, end = 0, 0, 0  # end: of the window before
        for block in self:
            pieces.append(block[max(0, begin - read) :])
            read += len(block)
            if read - begin < size:
                continue
            pending = np.concatenate(pieces)
            while read - begin >= size:
                end = begin + size
                yield Window(pending[:size].copy(), begin / self.sample_rate, end / self.sample_rate)
                pending, begin = pending[hop:], begin + hop
            pieces = [pending.copy()]
        if read > max(begin, end):
            yield Window(np.concatenate(pieces), begin / self.sample_rate, read / self.sample_rate)

    def _counted(self) -> Iterator[np.ndarray]:
        try:
            for block in self._resampled():
                self._samples += len(block)
                if len(block):  # the resampler holds back its first samples
                    yield block
        finally:
            self._source.close()
        self._exhausted = True
        if not self._samples:
            raise AudioError(f"{self.path}: no audio samples; is the download complete?")

    def _resampled(self) -> Iterator[np.ndarray]:
        import soxr

        rate, resample, nothing = 0, None, np.empty(0, np.float32)
        for block, block_rate in self._source.blocks():
            if block_rate != rate:  # the first block; and some AAC streams change their rate on the way
                if resample is not None:
                    yield resample(nothing, True)
                rate = block_rate
                resample = soxr.ResampleStream(rate, self.sample_rate, 1, dtype="float32").resample_chunk
            self._decoded_seconds += len(block) / rate
            if not np.isfinite(block).all():
                self._nonfinite += int((~np.isfinite(block)).sum())
                block = np.nan_to_num(block, nan=0.0, posinf=0.0, neginf=0.0)
            self._peak = max(self._peak, float(np.abs(block).max(initial=0.0)))
            yield resample(block, False)
        if resample is not None:
            yield resample(nothing, True)


def find_audio(patterns: Sequence[str | Path]) -> list[Path]:
    """List the sound files that files, folders and globs name: in the given order, no file twice.

    Folders are searched recursively by AUDIO_SUFFIXES, without hidden files, sorted; so are the matches of a glob.
    An explicit file is kept whatever its suffix, even if missing: opening it says what is wrong.
    Raises AudioError when a folder or glob holds no sound file.
    """
    found: dict[Path, None] = {}
    for pattern in patterns:
        path = Path(pattern)
        if path.is_dir():
            matches = _audio_in(path)
        elif glob.has_magic(str(pattern)) and not path.exists():
            hits = sorted(Path(hit) for hit in glob.glob(str(pattern), recursive=True))  # noqa: PTH207 (any root)
            matches = [file for hit in hits for file in (_audio_in(hit) if hit.is_dir() else [hit]) if _is_audio(file)]
        else:
            matches = [path]
        if not matches:
            raise AudioError(f"{pattern}: no sound files here; name a file with an unusual suffix itself")
        found.update(dict.fromkeys(matches))
    return list(found)


def _is_audio(path: Path) -> bool:
    return path.suffix.lower() in AUDIO_SUFFIXES and not path.name.startswith(".")


def _audio_in(folder: Path) -> list[Path]:
    inside = (path for path in folder.rglob("*") if _is_audio(path) and path.is_file())
    return sorted(path for path in inside if not any(part.startswith(".") for part in path.relative_to(folder).parts))


def _sample_count(name: str, seconds: float, sample_rate: int) -> int:
    if not seconds > 0 or seconds == float("inf"):
        raise RecipeError(f"{name}={seconds}: must be a number of seconds above 0")
    return max(1, round(seconds * sample_rate))


class _Source:
    """A decoder. blocks(): mono float32 [T] with their rate. cut: evidence that the end is missing, for a note."""

    declared_seconds: float | None = None
    reached_seconds = 0.0  # how far the data of any track go: a video may outlast its sound
    cut: str | None = None
    bad_packets = 0
    handle: Any

    def blocks(self) -> Iterator[tuple[np.ndarray, int]]:
        raise NotImplementedError

    def close(self) -> None:
        self.handle.close()


def _open(path: Path) -> _Source:
    """Choose the decoder by the first bytes. Raises AudioError with the remedy when there is none."""
    try:
        if path.is_dir():
            raise AudioError(f"{path}: a folder, not a sound file; name the files in it")
        with path.open("rb") as file:
            head = file.read(64)
    except FileNotFoundError:
        raise AudioError(f"{path}: no such file; check the path") from None
    except OSError as error:
        raise AudioError(f"{path}: cannot read ({error.strerror}); check the path and its permissions") from error
    if not head:
        raise AudioError(f"{path}: empty (0 bytes); is the download complete?")
    source: _Source | None = None
    is_mpeg = head[:3] == b"ID3" or (head[0] == 0xFF and head[1:2] >= b"\xe0")
    # libmpg123, inside soundfile, writes warnings to stderr: mp3 is for PyAV
    if not is_mpeg and path.suffix.lower() not in (".mp1", ".mp2", ".mp3", ".raw"):
        import soundfile

        with suppress(soundfile.SoundFileError):  # then PyAV may know it
            source = _SoundfileSource(path, head)
    if source is None and head.isascii() and "".join(head.decode().split()).isprintable():
        raise AudioError(f"{path}: holds text, not sound; was a web page or a pointer saved in its place?")
    source = source or _AvSource(path, head)
    if head[:4] == b"OggS" and not _ogg_has_end(path):
        source.declared_seconds, source.cut = None, "the stream stops without its end mark"
    return source


class _SoundfileSource(_Source):
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
            while len(frames := self.handle.read(BLOCK_FRAMES, dtype="float32", always_2d=True)):  # [T, C]
                yield _mono(frames.T), self.handle.samplerate
        except soundfile.SoundFileError:  # flac: the next frame is incomplete or damaged
            self.cut = "the data stop making sense"


class _AvSource(_Source):
    """m4a, mp4, mkv, webm, mp3, aac, … by PyAV: the best audio stream of the file."""

    def __init__(self, path: Path, head: bytes) -> None:
        import av

        try:  # "file" alone: a playlist must not reach for the network
            options = {"protocol_whitelist": "file"}
            self.handle = av.open(str(path.absolute()), metadata_errors="replace", options=options)
        except (av.FFmpegError, ValueError) as error:
            if head[4:8] == b"ftyp":
                raise AudioError(f"{path}: truncated, its index (moov) is missing; fetch the file again") from error
            raise AudioError(f"{path}: no known sound format, or corrupt; does another player open it?") from error
        self.audio = audio = self.handle.streams.best("audio")
        if audio is None or audio.codec_context is None:
            self.close()
            raise AudioError(f"{path}: no audio track that can be decoded; choose another file")
        length = float(audio.duration * audio.time_base) if audio.duration else 0.0
        # matroska declares one length for all tracks: then follow them all, to see where the data end
        self.streams = [audio] if length else list(self.handle.streams)
        length = length or (self.handle.duration or 0) / av.time_base
        if length and (self.handle.format.name not in ESTIMATED_LENGTH or _has_mpeg_length(path, head)):
            adjusted = head[:4] in (b"RIFF", b"caff")  # there ffmpeg declares what is left, not what was written
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
                last_is_bad = last_is_bad and packet.dts is None  # the flush at the end comes after the last
                yield _mono(_channels(frame)), frame.sample_rate
        if last_is_bad:
            self.cut = "the data stop in the middle of a packet"


def _mono(channels: np.ndarray) -> np.ndarray:
    """Mean over the channels. channels: [C, T] float. Returns [T] float32; NaN and infinity pass through."""
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


_CHUNKED = {b"RIFF": (12, "<4sI"), b"RF64": (12, "<4sI"), b"FORM": (12, ">4sI"), b"caff": (8, ">4sq")}


def _declared_share(path: Path, head: bytes) -> float:
    """How much larger the sample data of a wav, aiff or caf file are declared than the file holds; 1 when whole."""
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
                if width == 8 and size >= 0x7FFF0000:  # a placeholder of a writer that could not seek back
                    size = rf64_size
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
    """Whether an mp3 file counts its frames (Xing, Info or VBRI) in its first frame, after any ID3 tag."""
    tag = 0
    if head[:3] == b"ID3":  # its size: four bytes of seven bits
        tag = 10 + sum(byte << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
    with path.open("rb") as file:
        file.seek(tag)
        frame = file.read(256)
    return any(mark in frame for mark in (b"Xing", b"Info", b"VBRI"))
