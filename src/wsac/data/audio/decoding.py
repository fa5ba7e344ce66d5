"""From a file or samples to blocks: the decoder is chosen, and another reads on where it stops."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from wsac.types import AudioError, WsacError

from .audio_options import AudioOptions
from .backends import (
    MPEG_SUFFIXES,
    TRUNCATION_SECONDS,
    AvSource,
    LinkedSource,
    SampleSource,
    SoundfileSource,
    Source,
)
from .channel_mix import Mixer
from .headers import HEAD_BYTES, audio_start, holds_mpeg, is_mpeg, is_text, ogg_has_end, ogg_links
from .local_files import local_file, remove_copy
from .samples import as_channels

LOWEST_RATE, HIGHEST_RATE = 1_000, 1_536_000
# libmpg123, inside soundfile, writes warnings to stderr: mp3 is for PyAV
_FOR_AV = (*MPEG_SUFFIXES, ".raw")
_FOR_SOUNDFILE = (b"RIFF", b"RF64", b"fLaC", b"OggS", b"FORM", b"caff", b".snd", b"NIST")


class Decoding:
    """Mono blocks [T] of float32 with their rate, from a file, a file object or samples.

    When the first decoder finds nothing, fails or stops before the declared end, a second one reads
    on from there; ``notes`` says so. seconds: decoded so far.
    """

    def __init__(self, audio: Any, name: str, rate: int, options: AudioOptions) -> None:
        """rate: of samples in an array."""
        self.name, self.options = name, options
        self.seconds, self.frames = 0.0, 0
        self._copy: Path | None = None
        self._second: Callable[[], Source] | None = None
        self._handover = ""
        if isinstance(audio, (str, Path)) or hasattr(audio, "read"):
            path, is_copy = local_file(audio)
            self._copy = path if is_copy else None
            try:
                self.source = self._open(path)
            except BaseException as error:
                self._remove_copy()
                if isinstance(error, AudioError) and str(path) != name:
                    text = str(error).replace(str(path), name, 1)
                    raise AudioError(text) from error
                raise
        else:
            _check_rate(rate, name)
            self.source = SampleSource(as_channels(audio), rate)
        self.declared_seconds = self.source.declared_seconds
        self.mixer = Mixer(name, options.channel)

    @property
    def notes(self) -> tuple[str, ...]:
        return (*self.source.notes, *filter(None, (self._handover, self.mixer.note)))

    def blocks(self) -> Iterator[tuple[np.ndarray, int]]:
        """Raises AudioError when no decoder gives anything, with the reason of the last."""
        failure = yield from self._read(self.source, 0.0)
        first = self.source
        short = self.declared_seconds is not None and (
            max(self.seconds, first.reached_seconds) < self.declared_seconds - TRUNCATION_SECONDS
        )
        if self._second is not None and (failure or short or first.cut or not self.frames):
            with suppress(Exception):  # then what the first gave stands
                yield from self._read_on(self._second)
        if failure is not None and self.source is first:
            if not self.frames:
                raise failure
            first.cut = first.cut or f"decoding fails ({_reason(failure)})"

    def close(self) -> None:
        self.source.close()
        self._remove_copy()

    def _remove_copy(self) -> None:
        if self._copy is not None:
            remove_copy(self._copy)

    def _read(
        self, source: Source, skip_seconds: float
    ) -> Generator[tuple[np.ndarray, int], None, Exception | None]:
        """Blocks after the first ``skip_seconds``. A failure of the decoder is returned."""
        passed = 0
        blocks = source.blocks()
        while True:
            try:
                block, rate = next(blocks)
            except StopIteration:
                return None
            except WsacError:
                raise
            except Exception as error:
                return error
            _check_rate(rate, self.name)
            skip = min(block.shape[1], max(0, round(skip_seconds * rate) - passed))
            passed += skip
            if skip == block.shape[1]:
                continue
            self.frames += block.shape[1] - skip
            self.seconds += (block.shape[1] - skip) / rate
            yield self.mixer(block[:, skip:]), rate

    def _read_on(self, opening: Callable[[], Source]) -> Iterator[tuple[np.ndarray, int]]:
        first, stop, before = self.source, self.seconds, self.frames
        first.close()
        second = opening()
        try:
            failure = yield from self._read(second, stop)
        finally:
            if self.frames == before:
                second.close()
        if self.frames == before:
            return
        self.source = second
        second.notes = (*first.notes, *second.notes)
        if not before:
            self.declared_seconds = second.declared_seconds or self.declared_seconds
        if failure is not None:
            second.cut = f"decoding fails ({_reason(failure)})"
        what = f"stopped at {stop:.1f} s" if before else "gave no samples"
        how = "read on" if before else f"read {self.seconds:.1f} s"
        self._handover = f"second decoder: {first.name} {what}, {second.name} {how}"

    def _open(self, path: Path) -> Source:
        """Choose the decoder by the first bytes. Raises AudioError when there is none."""
        try:
            with path.open("rb") as file:
                head = file.read(HEAD_BYTES)
        except FileNotFoundError:
            raise AudioError(f"{path}: no such file; check the path") from None
        except OSError as error:
            what = f"cannot read ({error.strerror}); check the path and its permissions"
            raise AudioError(f"{path}: {what}") from error
        if not head:
            raise AudioError(f"{path}: empty (0 bytes); is the download complete?")
        start = audio_start(path, head)
        if start:  # behind a tag
            with path.open("rb") as file:
                file.seek(start)
                behind = file.read(HEAD_BYTES)
            return self._behind_tag(path, head, behind, start)
        known = head.startswith(_FOR_SOUNDFILE)
        source: Source | None = None
        if known or not (is_mpeg(head) or path.suffix.lower() in _FOR_AV or head[:3] == b"ID3"):
            source = self._open_soundfile(path, head)
        if source is None and is_text(head[:64]):
            what = "holds text, not sound; was a web page or a pointer saved in its place?"
            raise AudioError(f"{path}: {what}")
        source = source or AvSource(path, head, self.options.track)
        if head[:4] == b"OggS" and not ogg_has_end(path):
            source.declared_seconds, source.cut = None, "the stream stops without its end mark"
        return source

    def _behind_tag(self, path: Path, head: bytes, behind: bytes, start: int) -> Source:
        if not behind.startswith(_FOR_SOUNDFILE):
            try:  # FFmpeg skips a tag, but not one whose size is wrong
                return AvSource(path, head, self.options.track)
            except AudioError:
                source: Source = AvSource(path, behind, self.options.track, start)
                source.notes += ("damaged: the ID3 tag has a wrong size and is skipped",)
                return source
        first = self._open_soundfile(path, behind, start)
        return first or AvSource(path, behind, self.options.track, start)

    def _open_soundfile(self, path: Path, head: bytes, start: int = 0) -> Source | None:
        """libsndfile with FFmpeg as second decoder; None when libsndfile does not know it."""
        import soundfile

        if holds_mpeg(path, head):
            return None
        links = ogg_links(path) if head[:4] == b"OggS" and not start else [0]
        try:
            if len(links) > 1:
                return LinkedSource(path, head, links)
            source = SoundfileSource(path, head, start)
        except soundfile.SoundFileError:  # then PyAV may know it
            return None
        track = self.options.track
        if track is not None and track > 1:
            source.close()
            raise AudioError(f"{path}: has 1 audio track; there is no track {track}")
        self._second = lambda: AvSource(path, head, track, start)
        return source


def _check_rate(rate: int, name: str) -> None:
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        limits = f"{LOWEST_RATE:,} to {HIGHEST_RATE:,} Hz can be read"
        raise AudioError(f"{name}: a sample rate of {rate:,} Hz; {limits}, so is it damaged?")


def _reason(error: BaseException) -> str:
    """An exception in one line."""
    if isinstance(error, MemoryError):
        return "not enough memory"
    text = getattr(error, "strerror", None) or str(error)
    return " ".join(text.split()) or type(error).__name__


def as_audio_error(error: Exception, name: str) -> AudioError:
    """Any failure of reading one sound as its AudioError."""
    if isinstance(error, AudioError):
        return error
    return AudioError(f"{name}: cannot be read ({_reason(error)}); check the file")
