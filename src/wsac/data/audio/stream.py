"""Sounds as streams of mono float32 samples: decode, mix down, resample (soxr).

A sound is a path, "-" (stdin), a file object, samples ([T], [C, T] or [T, C], up to 8 channels) of
floats or integers, a mapping as in Hugging Face datasets, or a decoder as torchcodec has. A broken
file is an AudioError when nothing can be decoded, else a note: "truncated: …" (shorter than the
file declares), "damaged: …", "silent: …" and others. Units: seconds, samples per second.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np

from wsac.types import AudioError, RecipeError, WsacError

from .audio_options import AS_IS, AudioOptions
from .backends import TRUNCATION_SECONDS
from .decoding import Decoding, as_audio_error
from .local_files import sound_name, unnamed
from .samples import unwrap
from .windows import Window, cut_windows, sample_count

# -60 dBFS: fainter sounds lie under the floor of the log-mels, and a CLAP invents sounds in them
SILENCE_PEAK = 1e-3
IMPOSSIBLE = 2.0**31  # times full scale, beyond integers of any width: counted as infinite
LOUD = 4.0  # times full scale: louder peaks are noted


FLOOR = 1e-6  # times full scale: levels are -120 dBFS at least
FULL = 0.999  # times full scale: samples up there count as clipped


@dataclass(frozen=True, slots=True)
class Levels:
    """How strong the mono mix is, before resampling. loudness: RMS in dBFS. peak: dBFS. clipped:
    share of samples at full scale, 0 to 1."""

    loudness: float
    peak: float
    clipped: float


@dataclass(frozen=True, slots=True)
class Recording:
    """A whole sound. samples: [T] float32 mono. seconds: its length. notes: what is wrong with it,
    a line each.

    silent: it never exceeds -60 dBFS.
    """

    samples: np.ndarray
    sample_rate: int
    seconds: float
    notes: tuple[str, ...] = ()
    silent: bool = False
    levels: Levels | None = None


def load_audio(
    audio: Any,
    sample_rate: int,
    *,
    max_seconds: float | None = None,
    options: AudioOptions = AS_IS,
) -> Recording:
    """Decode a sound, or its first ``max_seconds``, to mono at ``sample_rate``.

    Raises AudioError when nothing can be decoded. With ``max_seconds`` the notes are about
    the part that was read.
    """
    limit = None if max_seconds is None else sample_count("max_seconds", max_seconds, sample_rate)
    blocks, total = [], 0
    with AudioStream(audio, sample_rate, options) as stream:
        for block in stream:
            blocks.append(block)
            total += len(block)
            if limit is not None and total >= limit:
                break
        samples = np.concatenate(blocks)[:limit]
        seconds = len(samples) / sample_rate
        about = stream.notes, stream.silent, stream.levels
        return Recording(samples, sample_rate, seconds, *about)


class AudioStream:
    """A sound as blocks ``[T]`` of mono float32: one pass, in constant memory.

    declared_seconds: the length the file claims, None when it does not say (known before the first
    block). seconds, notes: what has been read so far; final after the last block. file: its name,
    "" for samples. NaN and infinite samples become 0, and a note says so. Raises AudioError when
    the sound cannot be opened for any reason, or holds no samples (at the end).
    """

    def __init__(self, audio: Any, sample_rate: int, options: AudioOptions = AS_IS) -> None:
        if sample_rate <= 0:
            raise RecipeError(f"sample_rate={sample_rate}: must be above 0, such as 48000")
        self.file, self.sample_rate = "", sample_rate
        try:
            audio, rate = unwrap(audio, options.sample_rate)
            self.file = sound_name(audio)
            self._name = self.file or unnamed(audio)
            self._source = Decoding(audio, self._name, rate or sample_rate, options)
        except WsacError:
            raise
        except Exception as error:  # of a decoder, or of the system
            raise as_audio_error(error, self.file or "the sound") from error
        self._samples, self._peak, self._nonfinite = 0, 0.0, 0
        self._frames, self._energy, self._clipped = 0, 0.0, 0
        self._librosa_length = options.librosa_length
        self._exhausted = False
        self._blocks = self._counted()
        self._one_at_a_time = Lock()

    def __enter__(self) -> AudioStream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[np.ndarray]:
        return self

    def __next__(self) -> np.ndarray:
        with self._one_at_a_time:
            return next(self._blocks)

    def close(self) -> None:
        """Close the file; safe to call twice, and while another thread reads. The end of the
        iteration closes it too."""
        with self._one_at_a_time:
            self._blocks.close()
            self._source.close()

    @property
    def declared_seconds(self) -> float | None:
        return self._source.declared_seconds

    @property
    def seconds(self) -> float:
        return self._samples / self.sample_rate

    @property
    def silent(self) -> bool:
        """Whether nothing above -60 dBFS has come so far."""
        return self._samples > 0 and self._peak < SILENCE_PEAK

    @property
    def levels(self) -> Levels:
        """Of what has come so far."""
        frames = max(self._frames, 1)
        rms = math.sqrt(self._energy / frames)
        loudness, peak = (20 * math.log10(max(level, FLOOR)) for level in (rms, self._peak))
        return Levels(loudness, peak, self._clipped / frames)

    @property
    def notes(self) -> tuple[str, ...]:
        notes = [note] if self._exhausted and (note := self._missing()) else []
        if self._nonfinite:
            notes.append(f"damaged: {self._nonfinite} samples are NaN or infinite, now 0")
        if self.silent:
            level = f"{20 * np.log10(self._peak):.0f} dBFS" if self._peak else "all samples are 0"
            notes.append(f"silent: the mono mix has no sound above -60 dBFS ({level})")
        if self._peak > LOUD:
            notes.append(f"loud: peaks at {self._peak:.3g} times full scale; is the scale right?")
        return (*notes, *self._source.notes)

    def _missing(self) -> str:
        """What of the file could not be decoded, "" when it is whole."""
        source, seconds, declared = self._source.source, self._source.seconds, self.declared_seconds
        if source.bad_packets and not source.cut:
            return f"damaged: {source.bad_packets} packets cannot be decoded and are left out"
        reached = max(seconds, source.reached_seconds)
        if declared is not None and reached < declared - TRUNCATION_SECONDS:
            what = f"{seconds:.1f} s of {declared:.1f} s can be decoded"
        elif source.cut:
            what = f"{source.cut} after {seconds:.1f} s"
        else:
            return ""
        return f"truncated: {what}; is the download complete?"

    def windows(self, window_seconds: float, hop_seconds: float | None = None) -> Iterator[Window]:
        """Cut the sound into windows, as ``cut_windows`` does. Holds about one window."""
        return cut_windows(self, self.sample_rate, window_seconds, hop_seconds)

    def _counted(self) -> Generator[np.ndarray, None, None]:
        try:
            for block in self._resampled():
                self._samples += len(block)
                if len(block):  # the resampler holds back its first samples
                    yield block
        except WsacError:
            raise
        except Exception as error:  # of a decoder, or of the system
            raise as_audio_error(error, self._name) from error
        finally:
            self._source.close()
        self._exhausted = True
        if not self._samples:
            raise AudioError(f"{self._name}: no audio samples; is the download complete?")
        if self._nonfinite == self._source.frames:
            remedy = "give samples within [-1, 1]"
            raise AudioError(f"{self._name}: all samples are NaN or infinite; {remedy}")

    def _resampled(self) -> Iterator[np.ndarray]:
        import soxr

        rate, nothing, frames, start = 0, np.empty(0, np.float32), 0, 0
        resample: Any = None
        for block, block_rate in self._source.blocks():
            if block_rate != rate:  # the first block; some AAC streams change their rate later
                if resample is not None:
                    yield resample(nothing, True)
                rate, resample, frames, start = block_rate, None, 0, self._samples
                if rate != self.sample_rate:
                    stream = soxr.ResampleStream(rate, self.sample_rate, 1, dtype="float32")
                    resample = stream.resample_chunk
            peak = float(np.abs(block).max(initial=0.0))
            if not peak <= IMPOSSIBLE:  # or NaN
                sane = np.abs(block) <= IMPOSSIBLE
                self._nonfinite += len(block) - int(np.count_nonzero(sane))
                block = np.where(sane, block, np.float32(0))
                peak = float(np.abs(block).max(initial=0.0))
            self._peak = max(self._peak, peak)
            self._energy += float(np.dot(block, block))
            if peak >= FULL:
                self._clipped += int(np.count_nonzero(np.abs(block) >= FULL))
            self._frames += len(block)
            frames += len(block)
            yield block if resample is None else resample(block, False)
        if resample is not None:
            yield resample(nothing, True)
            if self._librosa_length:
                length = math.ceil(frames * (float(self.sample_rate) / rate))
                yield np.zeros(max(0, start + length - self._samples), np.float32)


def opened(
    audio: Any, sample_rate: int, options: AudioOptions = AS_IS
) -> AbstractContextManager[AudioStream]:
    """A sound that is closed at the end; an AudioStream is left to whoever opened it."""
    if isinstance(audio, AudioStream):
        return nullcontext(audio)
    return AudioStream(audio, sample_rate, options)
