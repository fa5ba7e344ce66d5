"""Sounds to embeddings: one sound, many sounds, or successive windows. Files are streamed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias, TypeVar

import numpy as np

from wsac.arrays import Tensor, torch
from wsac.data.audio.audio_options import AS_IS, AudioOptions
from wsac.data.audio.decoding import as_audio_error
from wsac.data.audio.local_files import sound_name, unnamed
from wsac.data.audio.stream import (
    SILENCE_PEAK,
    AudioStream,
    Levels,
    Recording,
    load_audio,
    opened,
)
from wsac.data.audio.windows import cut_windows, merge_short_tail, shortest_tail
from wsac.io.console import working_on
from wsac.runtime.cpus import usable_cpus
from wsac.types import AudioError, ModelError, RecipeError

from .encoder import ClapEncoder, WindowPool

# A path, "-" (stdin), a file object, samples, or a mapping or decoder that holds one of them.
Audio: TypeAlias = "str | Path | BinaryIO | np.ndarray | Tensor | Mapping[str, Any]"
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
    samples. levels: of a whole sound.
    """

    embedding: Tensor
    start: float
    end: float
    notes: tuple[str, ...] = ()
    silent: bool = False
    file: str = ""
    levels: Levels | None = None


def embed_sound(clap: ClapEncoder, audio: Audio, options: AudioOptions = AS_IS) -> AudioEmbedding:
    """Embed a whole sound by the CLAP's crop policy. It is streamed, whatever its length.

    Raises AudioError when it cannot be decoded.
    """
    if hasattr(audio, "dtype"):  # all in memory already
        recording = load_audio(audio, clap.sample_rate, options=_for(clap, options))
        embedding = clap.embed_audio([torch.from_numpy(recording.samples)])[0]
        return whole_sound(clap, audio, embedding, recording)
    pool = WindowPool(clap)
    with AudioStream(audio, clap.sample_rate, _for(clap, options)) as stream:
        for windows in batches(stream.windows(clap.window_seconds), WINDOWS_AT_ONCE):
            pool.add([torch.from_numpy(window.samples) for window in windows])
            _report(stream)
        return whole_sound(clap, audio, pool.embedding(), stream)


def embed_example(clap: ClapEncoder, audio: Audio) -> Tensor:
    """[D] unit norm: a sound that others are to be like. Raises AudioError, also for silence."""
    sound = embed_sound(clap, audio)
    if sound.silent:
        raise AudioError(f"{sound.file}: silent, so nothing is like it; give another --like")
    return sound.embedding


def embed_many(
    clap: ClapEncoder, sounds: Iterable[Audio], options: AudioOptions = AS_IS
) -> Iterator[AudioEmbedding | AudioError]:
    """Embed sounds in order, with an AudioError in the place of each that fails.

    Sounds of up to 30 seconds are decoded in threads and embedded 32 at a time, with the results of
    ``embed_sound`` in less time; longer ones are streamed. At most 32 are read ahead.
    """
    options = _for(clap, options)
    for part in batches(check_list(sounds), FILES_AT_ONCE):
        # One sample more than LONG, so that a file of exactly that length is read to its end.
        most = LONG + 1 / clap.sample_rate
        decoded = list(decode_many(part, clap.sample_rate, max_seconds=most, options=options))
        whole = [r for r in decoded if isinstance(r, Recording) and r.seconds <= LONG]
        waveforms = [torch.from_numpy(recording.samples) for recording in whole]
        embeddings = iter(clap.embed_audio(waveforms) if waveforms else ())
        for audio, recording in zip(part, decoded, strict=True):
            try:
                if isinstance(recording, AudioError):
                    raise recording
                if recording.seconds <= LONG:
                    yield whole_sound(clap, audio, next(embeddings), recording)
                else:
                    yield embed_sound(clap, audio, options)
            except AudioError as error:
                error.file = _file(audio)
                yield error


def embed_stream(
    clap: ClapEncoder,
    sounds: Iterable[Audio | AudioStream],
    window_seconds: float | None = None,
    hop_seconds: float | None = None,
    options: AudioOptions = AS_IS,
) -> Iterator[AudioEmbedding | AudioError]:
    """Embed sounds in order, whole or, with ``window_seconds``, window by window.

    An AudioError stands in the place of each sound that fails. Raises RecipeError for windows of
    no length.
    """
    if window_seconds is None:
        yield from embed_many(clap, sounds, options)  # type: ignore[arg-type]
        return
    for audio in check_list(sounds):
        try:
            with opened(audio, clap.sample_rate, _for(clap, options)) as stream:
                yield from embed_windows_of(clap, stream, window_seconds, hop_seconds)
        except AudioError as error:
            error.file = _file(audio)
            yield error


def map_sounds(
    write: Callable[[list[AudioEmbedding]], Iterable[Item]],
    clap: ClapEncoder,
    sounds: Iterable[Audio | AudioStream],
    window_seconds: float | None = None,
    hop_seconds: float | None = None,
    options: AudioOptions = AS_IS,
) -> Iterator[Item | AudioError]:
    """What ``write`` returns for successive batches of what ``embed_stream`` yields. Errors stay in
    their places. Long sounds make small batches, so that their results do not wait for others."""
    embeddings = embed_stream(clap, sounds, window_seconds, hop_seconds, options)
    for batch in _batches_of_seconds(embeddings, FILES_AT_ONCE, FILES_AT_ONCE * LONG):
        results = iter(write([sound for sound in batch if isinstance(sound, AudioEmbedding)]))
        for sound in batch:
            yield next(results) if isinstance(sound, AudioEmbedding) else sound


def _batches_of_seconds(
    sounds: Iterable[AudioEmbedding | AudioError], size: int, seconds: float
) -> Iterator[list[AudioEmbedding | AudioError]]:
    """Lists of up to ``size`` sounds, which end with the sound that makes them ``seconds`` long."""
    batch: list[AudioEmbedding | AudioError] = []
    length = 0.0
    for sound in sounds:
        batch.append(sound)
        length += sound.end - sound.start if isinstance(sound, AudioEmbedding) else 0.0
        if len(batch) == size or length > seconds:
            yield batch
            batch, length = [], 0.0
    if batch:
        yield batch


def check_list(sounds: Iterable[Item]) -> Iterable[Item]:
    """The sounds. Raises AudioError for one sound, which would be iterated as if it were many."""
    if is_one_sound(sounds):
        raise AudioError(f"{type(sounds).__name__}: one sound; give a list of sounds, such as [x]")
    return sounds


def is_one_sound(sounds: Any) -> bool:
    """Whether this is a sound, where many could be; [N, T] samples are many."""
    named = isinstance(sounds, str | bytes | Path | Mapping | AudioStream)
    if named or hasattr(sounds, "read"):
        return True
    kind = getattr(getattr(sounds, "dtype", None), "kind", "f")  # torch has none
    return getattr(sounds, "ndim", 2) == 1 and kind in "fiuc"  # not names


def raise_errors(results: Iterable[Item | AudioError]) -> Iterator[Item]:
    """The results up to the first AudioError, which is raised."""
    for result in results:
        if isinstance(result, AudioError):
            raise result
        yield result


def decode_many(
    sounds: Iterable[Audio],
    sample_rate: int,
    *,
    max_seconds: float | None = None,
    options: AudioOptions = AS_IS,
) -> Iterator[Recording | AudioError]:
    """Decode sounds in threads, in order, with an AudioError in the place of each that fails,
    whatever the reason.

    max_seconds: only the first part of each. At most 32 sounds are read ahead.
    """

    def decode(audio: Audio) -> Recording | AudioError:
        try:
            return load_audio(audio, sample_rate, max_seconds=max_seconds, options=options)
        except RecipeError:
            raise
        except Exception as error:
            failure = as_audio_error(error, _name(audio))
            failure.__cause__ = failure.__cause__ or (None if failure is error else error)
            return failure

    pool = ThreadPoolExecutor(min(4, usable_cpus()))
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
    clap: ClapEncoder, stream: AudioStream, window_seconds: float, hop_seconds: float | None = None
) -> Iterator[AudioEmbedding]:
    """Embed successive windows while the sound is read. The tail is a window of its own when it is
    at least a tenth of one; a shorter tail extends the last window's ``end``.

    The last window has the notes of the sound. hop_seconds: from one window to the next; default:
    the window's length. Raises AudioError, after the windows that were read before a failure, and
    RecipeError.
    """
    cut = cut_windows(stream, clap.sample_rate, window_seconds, hop_seconds)
    failures: list[AudioError] = []
    step = min(window_seconds, hop_seconds or window_seconds)
    cut = merge_short_tail(_until_failure(cut, failures), shortest_tail(step))
    last: AudioEmbedding | None = None
    for windows in batches(cut, WINDOWS_AT_ONCE):
        embeddings = clap.embed_audio([torch.from_numpy(window.samples) for window in windows])
        _report(stream)
        for embedding, window in zip(embeddings, windows, strict=True):
            if last is not None:
                yield last
                last = None
            _check_finite(clap, embedding, _name(stream))
            last = AudioEmbedding(embedding, window.start, window.end, file=stream.file)
            last = replace(last, silent=_is_silent(window.samples))
    if last is not None:  # the notes are complete at the end of the file only
        yield replace(last, notes=stream.notes)
    if failures:
        raise failures[0]


def _report(stream: AudioStream) -> None:
    """Show how far a long sound has been read."""
    if stream.seconds > LONG:
        declared = stream.declared_seconds
        of = f" of {declared / 60:,.1f}" if declared else ""
        working_on(f"{stream.file}: {stream.seconds / 60:,.1f}{of} min")


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


def _for(clap: ClapEncoder, options: AudioOptions) -> AudioOptions:
    return replace(options, librosa_length=getattr(clap, "librosa_length", False))


def _is_silent(samples: np.ndarray) -> bool:
    return float(np.abs(samples).max()) < SILENCE_PEAK


def whole_sound(
    clap: ClapEncoder, audio: Audio, embedding: Tensor, source: Recording | AudioStream
) -> AudioEmbedding:
    """What is known of a whole sound. Raises AudioError for an embedding that is not finite."""
    _check_finite(clap, embedding, _name(audio))
    about = source.notes, source.silent, _file(audio), source.levels
    return AudioEmbedding(embedding, 0.0, source.seconds, *about)


def _file(audio: Audio | AudioStream) -> str:
    return audio.file if isinstance(audio, AudioStream) else sound_name(audio)


def _name(audio: Audio | AudioStream) -> str:
    return _file(audio) or unnamed(audio)


def _check_finite(clap: ClapEncoder, embedding: Tensor, name: str) -> None:
    """Raises AudioError for the embedding of extreme samples, ModelError for a damaged CLAP."""
    if embedding.isfinite().all():
        return
    tone = 0.1 * torch.sin(torch.arange(clap.sample_rate) / 20)
    if not clap.embed_audio([tone]).isfinite().all():
        what = "gives no finite embeddings, so its weights are damaged; fetch or train it again"
        raise ModelError(f"the CLAP {clap.source or clap.fingerprint}: {what}")
    raise AudioError(f"{name}: cannot be embedded; are the samples floats within [-1, 1]?")
