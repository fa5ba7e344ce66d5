"""The embeddings of many sounds, or of their windows, as one stream in which each names its file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from wsac.clap import ClapEncoder
from wsac.clap.sounds import (
    FILES_AT_ONCE,
    Audio,
    AudioEmbedding,
    batches,
    embed_many,
    embed_windows_of,
)
from wsac.data.audio.stream import AudioStream
from wsac.types import AudioError


def embed_each(
    clap: ClapEncoder,
    sounds: Iterable[Audio],
    window_seconds: float | None = None,
    hop_seconds: float | None = None,
) -> Iterator[AudioEmbedding | AudioError]:
    """The embedding of each sound, or of each window of it, as they come and in order; all name their file.

    A sound that cannot be decoded gives its error in its place. The last window of a file has the file's notes.
    """
    for batch in batches(sounds, FILES_AT_ONCE):
        if window_seconds is None:
            for sound, result in zip(batch, embed_many(clap, batch), strict=True):
                yield _with_file(result, sound)
            continue
        for sound in batch:
            try:
                for embedding in _windows_with_notes(clap, sound, window_seconds, hop_seconds):
                    yield _with_file(embedding, sound)
            except AudioError as error:
                yield _with_file(error, sound)


def _windows_with_notes(
    clap: ClapEncoder, sound: Audio, window_seconds: float, hop_seconds: float | None
) -> Iterator[AudioEmbedding]:
    if not isinstance(sound, (str, Path)):
        yield from embed_windows_of(clap, sound, window_seconds, hop_seconds)
        return
    with AudioStream(sound, clap.sample_rate) as stream:
        last: AudioEmbedding | None = None
        for embedding in embed_windows_of(clap, stream, window_seconds, hop_seconds):
            if last is not None:
                yield last
            last = embedding
        if last is not None:
            yield replace(last, notes=stream.notes)  # known at the end of the file only


def _with_file(result: Any, sound: Audio) -> Any:
    file = str(sound) if isinstance(sound, (str, Path)) else ""
    if isinstance(result, AudioEmbedding):
        return replace(result, file=file)
    result.file = file
    return result
