"""From uploads to results: decoded in threads, described by one model in batches."""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from wsac.arrays import torch
from wsac.clap.encoder import check_texts
from wsac.clap.pocket.pocket_encoder import PocketEncoder
from wsac.clap.sounds import LONG, AudioEmbedding, whole_sound
from wsac.data.audio.audio_options import AudioOptions
from wsac.data.audio.decoding import as_audio_error
from wsac.data.audio.headers import HEAD_BYTES, is_sound
from wsac.data.audio.stream import AudioStream, Recording
from wsac.inference.captioner import Captioner
from wsac.inference.sound_results import TaggedSound
from wsac.inference.spans.describe_spans import Describer
from wsac.inference.spans.span import Span
from wsac.inference.tagger import Tagger
from wsac.runtime.cpus import usable_cpus
from wsac.types import AudioError, Caption

from .answers import RefusalError
from .batching import Batcher
from .serve_options import ServeOptions
from .uploads import Upload

LONG_AT_ONCE = 2  # sounds above 30 seconds that are in memory together
SLACK = 2.0  # windows that are longer by this factor share a batch of the built-in CLAP
FEW_TEXTS = 16  # of a request, which are embedded together with those of others
TAGGERS = 32  # sets of labels whose embeddings are cached


@dataclass(frozen=True, slots=True)
class Sound:
    """A decoded sound. captioned: whether a caption is wanted, or its embedding alone."""

    recording: Recording
    name: str
    captioned: bool


@dataclass(frozen=True, slots=True)
class Heard:
    embedding: AudioEmbedding
    caption: Caption | None = None


class SoundEngine:
    """Captions, tags, spans and embeddings of uploads.

    Used between ``start`` and ``close`` in one event loop. Methods raise RefusalError for a sound
    that is too long (413), no sound (415) or unreadable (422), with the words of ``AudioError``.
    """

    def __init__(
        self,
        captioner: Captioner,
        options: ServeOptions,
        observe: Callable[[int], Any] = lambda size: None,
    ) -> None:
        self.options = options
        self._use(captioner)
        self._decoders = ThreadPoolExecutor(min(4, usable_cpus()), "wsac-decode")
        self.model: Batcher[Sound, Heard] = Batcher(
            self._hear, most=options.batch, wait=options.wait, observe=observe
        )
        self._texts: Batcher[Sequence[str], list[list[float]]] = Batcher(
            self._embed_texts, most=options.batch, wait=options.wait, thread=self.model.thread
        )
        self._long = asyncio.Semaphore(LONG_AT_ONCE)

    def start(self) -> None:
        self.model.start()
        self._texts.start()

    async def replace(self, captioner: Captioner) -> None:
        """Describe with another captioner of the same sample rate from now on."""
        await self.model.alone(self._use, captioner)

    async def close(self) -> None:
        """Finish what was taken."""
        await self._texts.close()
        await self.model.close()
        self._decoders.shutdown()

    async def hear(
        self, upload: Upload, options: AudioOptions, *, captioned: bool = False
    ) -> Heard:
        async def submit(recording: Recording) -> Heard:
            return await self.model.submit(Sound(recording, upload.name, captioned))

        return await self._with_recording(upload, options, submit)

    async def tags(
        self, upload: Upload, labels: Sequence[str], options: AudioOptions
    ) -> TaggedSound:
        """All labels, best first. Raises RecipeError for labels that cannot be used."""
        tagger = await self.model.alone(self._tagger, tuple(labels))
        sound = (await self.hear(upload, options)).embedding
        tags = (await self.model.alone(tagger.tag_embeddings, [sound]))[0]
        none = tagger.none_of(tags)
        return TaggedSound(sound.file, sound.start, sound.end, tuple(tags), sound.notes, none)

    async def spans(
        self, upload: Upload, options: AudioOptions, bridge: str = ""
    ) -> tuple[list[Span], float, tuple[str, ...]]:
        """The spans, the seconds and the notes of a sound. Others get the model between steps.
        bridge: one of the captioner's ``usable_bridges``; "": the usual one."""

        async def listen(recording: Recording) -> tuple[list[Span], float, tuple[str, ...]]:
            spans: list[Span] = []
            rate = recording.sample_rate
            stream = AudioStream(recording.samples, rate, AudioOptions(sample_rate=rate))
            steps = await self.model.alone(lambda: self._describer(bridge).by_steps(stream))
            while (step := await self.model.alone(next, steps, None)) is not None:
                spans += (replace(span, file=upload.name) for span, _ in step)
            return spans, recording.seconds, recording.notes

        return await self._with_recording(upload, options, listen)

    async def embed_texts(self, texts: Sequence[str]) -> list[list[float]]:
        """Unit norm. Raises RecipeError for text that is not UTF-8."""
        check_texts(texts)
        if len(texts) <= FEW_TEXTS:
            return await self._texts.submit(texts)
        return (await self.model.alone(self._embed_texts, [texts]))[0]

    async def in_worker(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function that needs no model in a worker thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._decoders, function, *arguments)

    async def use(
        self, upload: Upload, options: AudioOptions, function: Callable[[Recording], Any]
    ) -> Any:
        """What a function that needs no model makes of the decoded sound, in a worker thread."""
        work = partial(self.in_worker, function)
        return await self._with_recording(upload, options, work)

    def _use(self, captioner: Captioner) -> None:
        """In the thread of the model, or before it works."""
        self.captioner = captioner
        self._embed: Callable[..., torch.Tensor] = captioner.clap.embed_audio
        if isinstance(captioner.clap, PocketEncoder):
            self._embed = partial(captioner.clap.embed_audio, slack=SLACK)
        self._taggers: OrderedDict[tuple[str, ...], Tagger] = OrderedDict()
        self._describers: dict[str, Describer] = {}

    def _describer(self, bridge: str) -> Describer:
        """In the thread of the model."""
        if bridge not in self._describers:
            captioner = self.captioner.with_options(bridge=bridge) if bridge else self.captioner
            self._describers[bridge] = Describer(captioner)
        return self._describers[bridge]

    def _embed_texts(self, lists: Sequence[Sequence[str]]) -> list[list[list[float]]]:
        """In the thread of the model."""
        rows = iter(self.captioner.clap.embed_text([text for texts in lists for text in texts]))
        return [[next(rows).tolist() for _ in texts] for texts in lists]

    def _tagger(self, labels: tuple[str, ...]) -> Tagger:
        """In the thread of the model."""
        tagger = self._taggers.pop(labels, None) or Tagger(self.captioner.clap, labels)
        self._taggers[labels] = tagger
        if len(self._taggers) > TAGGERS:
            self._taggers.popitem(last=False)
        return tagger

    def _hear(self, sounds: list[Sound]) -> list[Heard | Exception]:
        """In the thread of the model."""
        clap = self.captioner.clap
        embeddings = self._embed([torch.from_numpy(s.recording.samples) for s in sounds])
        results: list[Heard | Exception] = []
        for sound, embedding in zip(sounds, embeddings, strict=True):
            try:
                whole = whole_sound(clap, Path(sound.name), embedding, sound.recording)
                results.append(Heard(whole))
            except AudioError as error:
                results.append(RefusalError(422, str(error)))
        wanted = {
            place: result.embedding
            for place, (sound, result) in enumerate(zip(sounds, results, strict=True))
            if sound.captioned and isinstance(result, Heard)
        }
        captions = self.captioner.describe(list(wanted.values()))
        for (place, whole), caption in zip(wanted.items(), captions, strict=True):
            results[place] = Heard(whole, caption)
        return results

    async def _with_recording(
        self, upload: Upload, options: AudioOptions, use: Callable[[Recording], Any]
    ) -> Any:
        """What ``use`` makes of the decoded sound. Few long ones are in memory at a time."""
        recording = await self._decode(upload, options, min(LONG, self.options.max_seconds))
        if recording is not None:
            return await use(recording)
        async with self._long:
            recording = await self._decode(upload, options, self.options.max_seconds)
            if recording is None:
                most = f"at most {self.options.max_seconds:g} s are taken"
                remedy = "send a part of it, or start the server with a larger --max-seconds"
                raise RefusalError(413, f"{upload.name}: a longer sound; {most}: {remedy}")
            return await use(recording)

    async def _decode(
        self, upload: Upload, options: AudioOptions, seconds: float
    ) -> Recording | None:
        """The whole sound, or None when it is longer than ``seconds``."""
        nobody_waits = threading.Event()
        rate = self.captioner.clap.sample_rate
        length = getattr(self.captioner.clap, "librosa_length", False)
        options = replace(options, librosa_length=length)

        def decode() -> Recording | None:
            try:
                with AudioStream(upload.path, rate, options) as stream:
                    blocks, total = [], 0
                    for block in stream:
                        blocks.append(block)
                        total += len(block)
                        if total > seconds * rate or nobody_waits.is_set():
                            return None
                    about = stream.notes, stream.silent, stream.levels
                    return Recording(np.concatenate(blocks), rate, total / rate, *about)
            except Exception as error:
                raise sound_refusal(upload, as_audio_error(error, upload.name)) from error

        try:
            return await self.in_worker(decode)
        except asyncio.CancelledError:
            nobody_waits.set()
            raise


def sound_refusal(upload: Upload, error: AudioError) -> RefusalError:
    """The words of an error with the client's name of the file. 415 for what is no sound at all."""
    text = str(error).replace(str(upload.path), upload.name)
    try:
        with upload.path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError:
        head = b""
    return RefusalError(415 if head and not is_sound(head) else 422, text)
