"""Sound to embedding, whatever the source: a whole sound by the CLAP's crop policy, or window by window, streamed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from wsac.data.audio.stream import SILENCE_PEAK, AudioStream
from wsac.data.audio.windows import cut_windows, merge_short_tail, shortest_tail
from wsac.types import AudioError

from . import ClapEncoder
from .encoder import WindowPool

Audio: TypeAlias = (
    "str | Path | np.ndarray | Tensor"  # a file, or mono float samples [T] at the rate of the CLAP
)
WINDOWS_AT_ONCE = 16  # windows of a long recording embedded together
FILES_AT_ONCE = 32  # short files decoded and embedded together
LONG = 30.0  # seconds; longer files are streamed, so that their length does not matter for memory


@dataclass(frozen=True, slots=True)
class AudioEmbedding:
    """A sound, or a part of it, as the CLAP hears it. embedding: [D] unit norm; start, end: its span in seconds.

    notes: what is wrong with the file, if anything. silent: nothing above -60 dBFS in it; a CLAP hears noise in
    silence, so what is silent is not put into words by its embedding.
    """

    embedding: Tensor
    start: float
    end: float
    notes: tuple[str, ...] = ()
    silent: bool = False


def listen(clap: ClapEncoder, audio: Audio) -> AudioEmbedding:
    """Embed a sound by the CLAP's crop policy; a file is streamed, so its length does not matter for memory.

    Raises AudioError when a file cannot be decoded, or when samples are not mono and finite.
    """
    if not isinstance(audio, (str, Path)):
        samples = _samples(audio)
        embedding, silent = clap.embed_audio([samples])[0], _is_silent(samples.numpy())
        return _finite(
            AudioEmbedding(embedding, 0.0, len(samples) / clap.sample_rate, silent=silent),
            "the samples",
        )
    pool = WindowPool(clap)
    with AudioStream(audio, clap.sample_rate) as stream:
        for windows in batches(stream.windows(clap.window_seconds), WINDOWS_AT_ONCE):
            pool.add([torch.from_numpy(window.samples) for window in windows])
        return _finite(
            AudioEmbedding(pool.embedding(), 0.0, stream.seconds, stream.notes, stream.silent),
            str(audio),
        )


def listen_many(clap: ClapEncoder, audio: Sequence[Audio]) -> list[AudioEmbedding | AudioError]:
    """The same of several sounds, an error in the place of each that cannot be heard.

    Short files are decoded in threads and embedded together, which gives the same as one by one, in less time.
    """
    found: list[AudioEmbedding | AudioError] = []
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        for some in batches(audio, FILES_AT_ONCE):
            found += _listen_together(
                clap, some, list(pool.map(partial(_decode, clap.sample_rate), some))
            )
    return found


def _listen_together(
    clap: ClapEncoder, audio: Sequence[Audio], sounds: Sequence[_Sound | AudioError | None]
) -> Iterator[AudioEmbedding | AudioError]:
    short = [sound for sound in sounds if isinstance(sound, _Sound)]
    embeddings = iter(
        clap.embed_audio([torch.from_numpy(sound.samples) for sound in short]) if short else ()
    )
    for one, sound in zip(audio, sounds, strict=True):
        try:
            if isinstance(sound, _Sound):
                heard = AudioEmbedding(
                    next(embeddings), 0.0, sound.seconds, sound.notes, sound.silent
                )
                yield _finite(heard, str(one) if isinstance(one, (str, Path)) else "the samples")
            else:
                yield listen(clap, one) if sound is None else sound
        except AudioError as error:
            yield error


def listen_windows(
    clap: ClapEncoder,
    audio: Audio | AudioStream,
    window_seconds: float,
    hop_seconds: float | None = None,
) -> Iterator[AudioEmbedding]:
    """Embed successive windows, as the file is read; the tail is included, as a window of its own when it is at least
    a tenth of one, else as a longer end of the last.

    audio may be an open AudioStream too, whose notes say at the end what is wrong with the file.
    hop_seconds: from one window to the next, the window's length when None. Raises AudioError, RecipeError.
    """
    if isinstance(audio, (str, Path)):
        with AudioStream(audio, clap.sample_rate) as stream:
            yield from listen_windows(clap, stream, window_seconds, hop_seconds)
        return
    name = str(audio.path) if isinstance(audio, AudioStream) else "the samples"
    blocks = audio if isinstance(audio, AudioStream) else [_samples(audio).numpy()]
    found = cut_windows(blocks, clap.sample_rate, window_seconds, hop_seconds)
    step = min(window_seconds, hop_seconds or window_seconds)
    found = merge_short_tail(found, shortest_tail(step))
    for windows in batches(found, WINDOWS_AT_ONCE):
        embeddings = clap.embed_audio([torch.from_numpy(window.samples) for window in windows])
        for embedding, window in zip(embeddings, windows, strict=True):
            yield _finite(
                AudioEmbedding(
                    embedding, window.start, window.end, silent=_is_silent(window.samples)
                ),
                name,
            )


@dataclass(frozen=True, slots=True)
class _Sound:
    """A short sound, decoded."""

    samples: np.ndarray
    seconds: float
    notes: tuple[str, ...]
    silent: bool


def _decode(sample_rate: int, audio: Audio) -> _Sound | AudioError | None:
    """None: a long one, to be streamed."""
    try:
        if not isinstance(audio, (str, Path)):
            samples = _samples(audio).numpy()
            return _Sound(samples, len(samples) / sample_rate, (), _is_silent(samples))
        with AudioStream(audio, sample_rate) as stream:
            blocks, total = [], 0
            for block in stream:
                blocks.append(block)
                total += len(block)
                if total > LONG * sample_rate:
                    return None
            return _Sound(np.concatenate(blocks), stream.seconds, stream.notes, stream.silent)
    except AudioError as error:
        return error


def batches(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Lists of ``size`` successive items; the last may be shorter."""
    items = iter(items)
    while batch := list(islice(items, size)):
        yield batch


def _samples(audio: np.ndarray | Tensor) -> Tensor:
    samples = torch.as_tensor(audio, dtype=torch.float32)
    if samples.ndim != 1 or not len(samples):
        raise AudioError(
            f"samples of shape {tuple(samples.shape)}: give mono samples [T] with T > 0"
        )
    return samples


def _is_silent(samples: np.ndarray) -> bool:
    return float(np.abs(samples).max()) < SILENCE_PEAK


def _finite(heard: AudioEmbedding, name: str) -> AudioEmbedding:
    if not heard.embedding.isfinite().all():
        raise AudioError(f"{name}: cannot be embedded; are the samples floats within [-1, 1]?")
    return heard
