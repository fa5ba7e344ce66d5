"""Sounds to embeddings: one sound, many sounds, or successive windows. Files are streamed."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TypeAlias, TypeVar

import numpy as np
import torch
from torch import Tensor

from wsac.data.audio.stream import SILENCE_PEAK, AudioStream, Recording, load_audio
from wsac.data.audio.windows import cut_windows, merge_short_tail, shortest_tail
from wsac.types import AudioError

from .encoder import ClapEncoder, WindowPool

# A file, or mono float samples [T] at the sample rate of the CLAP.
Audio: TypeAlias = "str | Path | np.ndarray | Tensor"
Item = TypeVar("Item")
WINDOWS_AT_ONCE = 16  # windows of a long recording embedded together
FILES_AT_ONCE = 32  # short sounds decoded and embedded together
LONG = 30.0  # seconds; longer files are streamed, so memory does not grow with their length


@dataclass(frozen=True, slots=True)
class AudioEmbedding:
    """The embedding of a sound or of a part of it.

    embedding: [D] unit norm. start, end: the span of the part in seconds. notes: what is wrong with
    the file, if anything. silent: the sound never exceeds -60 dBFS. A CLAP recognises phantoms in
    silence, so the embedding of a silent sound is not to be captioned. file: its path, "" for
    samples.
    """

    embedding: Tensor
    start: float
    end: float
    notes: tuple[str, ...] = ()
    silent: bool = False
    file: str = ""


def embed_sound(clap: ClapEncoder, audio: Audio) -> AudioEmbedding:
    """Embed a whole sound by the CLAP's crop policy. A file is streamed, whatever its length.

    Raises AudioError when a file cannot be decoded, or when samples are not mono and finite.
    """
    if not isinstance(audio, (str, Path)):
        recording = _recording(audio, clap.sample_rate)
        embedding = clap.embed_audio([torch.from_numpy(recording.samples)])[0]
        return _whole(audio, embedding, recording)
    pool = WindowPool(clap)
    with AudioStream(audio, clap.sample_rate) as stream:
        for windows in batches(stream.windows(clap.window_seconds), WINDOWS_AT_ONCE):
            pool.add([torch.from_numpy(window.samples) for window in windows])
        return _whole(audio, pool.embedding(), stream)


def embed_many(clap: ClapEncoder, sounds: Iterable[Audio]) -> Iterator[AudioEmbedding | AudioError]:
    """Embed sounds in order, with an AudioError in the place of each that fails.

    Sounds of up to 30 seconds are decoded in threads and embedded 32 at a time, which gives what
    ``embed_sound`` gives in less time; longer files are streamed. At most 32 sounds are read ahead.
    """
    for part in batches(sounds, FILES_AT_ONCE):
        # One sample more than LONG, so that a file of exactly that length is read to its end.
        most = LONG + 1 / clap.sample_rate
        decoded = list(decode_many(part, clap.sample_rate, max_seconds=most))
        whole = [r for r in decoded if isinstance(r, Recording) and r.seconds <= LONG]
        waveforms = [torch.from_numpy(recording.samples) for recording in whole]
        embeddings = iter(clap.embed_audio(waveforms) if waveforms else ())
        for audio, recording in zip(part, decoded, strict=True):
            try:
                if isinstance(recording, AudioError):
                    raise recording
                if recording.seconds <= LONG:
                    yield _whole(audio, next(embeddings), recording)
                else:
                    yield embed_sound(clap, audio)
            except AudioError as error:
                error.file = _file(audio)
                yield error


def embed_stream(
    clap: ClapEncoder,
    sounds: Iterable[Audio | AudioStream],
    window_seconds: float | None = None,
    hop_seconds: float | None = None,
) -> Iterator[AudioEmbedding | AudioError]:
    """Embed sounds in order, whole or, with ``window_seconds``, window by window.

    An AudioError stands in the place of each sound that fails. Raises RecipeError for windows of
    no length.
    """
    if window_seconds is None:
        yield from embed_many(clap, sounds)  # type: ignore[arg-type]
        return
    for audio in sounds:
        try:
            yield from embed_windows_of(clap, audio, window_seconds, hop_seconds)
        except AudioError as error:
            error.file = _file(audio)
            yield error


def map_sounds(
    write: Callable[[list[AudioEmbedding]], Iterable[Item]],
    clap: ClapEncoder,
    sounds: Iterable[Audio | AudioStream],
    window_seconds: float | None = None,
    hop_seconds: float | None = None,
) -> Iterator[Item | AudioError]:
    """What ``write`` returns for successive batches of what ``embed_stream`` yields. Errors stay in
    their places."""
    for batch in batches(embed_stream(clap, sounds, window_seconds, hop_seconds), FILES_AT_ONCE):
        results = iter(write([sound for sound in batch if isinstance(sound, AudioEmbedding)]))
        for sound in batch:
            yield next(results) if isinstance(sound, AudioEmbedding) else sound


def raise_errors(results: Iterable[Item | AudioError]) -> Iterator[Item]:
    """The results up to the first AudioError, which is raised."""
    for result in results:
        if isinstance(result, AudioError):
            raise result
        yield result


def decode_many(
    sounds: Iterable[Audio], sample_rate: int, *, max_seconds: float | None = None
) -> Iterator[Recording | AudioError]:
    """Decode sounds in threads, in order, with an AudioError in the place of each that fails.

    max_seconds: only the first part of each file. At most 32 sounds are read ahead.
    """

    def decode(audio: Audio) -> Recording | AudioError:
        try:
            if isinstance(audio, (str, Path)):
                return load_audio(audio, sample_rate, max_seconds=max_seconds)
            return _recording(audio, sample_rate)
        except AudioError as error:
            return error

    pool = ThreadPoolExecutor(min(4, os.cpu_count() or 1))
    pending: deque[Future[Recording | AudioError]] = deque()
    try:
        for audio in sounds:
            pending.append(pool.submit(decode, audio))
            if len(pending) == FILES_AT_ONCE:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def embed_windows_of(
    clap: ClapEncoder,
    audio: Audio | AudioStream,
    window_seconds: float,
    hop_seconds: float | None = None,
) -> Iterator[AudioEmbedding]:
    """Embed successive windows while the file is read. The tail is a window of its own when it is
    at least a tenth of one; a shorter tail extends the last window's ``end``.

    The last window has the notes of the file. audio may also be an open AudioStream.
    hop_seconds: from one window to the next; default: the window's length. Raises AudioError, after
    the windows that were read before a failure, and RecipeError.
    """
    if isinstance(audio, (str, Path)):
        with AudioStream(audio, clap.sample_rate) as stream:
            yield from embed_windows_of(clap, stream, window_seconds, hop_seconds)
        return
    blocks = audio if isinstance(audio, AudioStream) else [_samples(audio)]
    name = _name(audio)
    cut = cut_windows(blocks, clap.sample_rate, window_seconds, hop_seconds)
    failures: list[AudioError] = []
    step = min(window_seconds, hop_seconds or window_seconds)
    cut = merge_short_tail(_until_failure(cut, failures), shortest_tail(step))
    last: AudioEmbedding | None = None
    for windows in batches(cut, WINDOWS_AT_ONCE):
        embeddings = clap.embed_audio([torch.from_numpy(window.samples) for window in windows])
        for embedding, window in zip(embeddings, windows, strict=True):
            if last is not None:
                yield last
                last = None
            _check_finite(embedding, name)
            last = AudioEmbedding(embedding, window.start, window.end, file=_file(audio))
            last = replace(last, silent=_is_silent(window.samples))
    if last is not None:  # the notes are complete at the end of the file only
        yield replace(last, notes=audio.notes) if isinstance(audio, AudioStream) else last
    if failures:
        raise failures[0]


def _until_failure(items: Iterable[Item], failures: list[AudioError]) -> Iterator[Item]:
    try:
        yield from items
    except AudioError as error:
        failures.append(error)


def batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Lists of ``size`` successive items; the last may be shorter."""
    items = iter(items)
    while batch := list(islice(items, size)):
        yield batch


def _samples(audio: np.ndarray | Tensor) -> np.ndarray:
    samples = torch.as_tensor(audio, dtype=torch.float32)
    if samples.ndim != 1 or not len(samples):
        shape = tuple(samples.shape)
        raise AudioError(f"samples of shape {shape}: give mono samples [T] with T > 0")
    return samples.numpy()


def _recording(audio: np.ndarray | Tensor, sample_rate: int) -> Recording:
    samples = _samples(audio)
    seconds = len(samples) / sample_rate
    return Recording(samples, sample_rate, seconds, silent=_is_silent(samples))


def _is_silent(samples: np.ndarray) -> bool:
    return float(np.abs(samples).max()) < SILENCE_PEAK


def _whole(audio: Audio, embedding: Tensor, source: Recording | AudioStream) -> AudioEmbedding:
    _check_finite(embedding, _name(audio))
    file = _file(audio)
    return AudioEmbedding(embedding, 0.0, source.seconds, source.notes, source.silent, file)


def _file(audio: Audio | AudioStream) -> str:
    path = audio.path if isinstance(audio, AudioStream) else audio
    return str(path) if isinstance(path, (str, Path)) else ""


def _name(audio: Audio | AudioStream) -> str:
    return _file(audio) or "the samples"


def _check_finite(embedding: Tensor, name: str) -> None:
    if not embedding.isfinite().all():
        raise AudioError(f"{name}: cannot be embedded; are the samples floats within [-1, 1]?")
