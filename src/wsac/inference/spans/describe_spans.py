"""Words for spans: a caption, tags, and whether it is speech or music."""

from __future__ import annotations

import tomllib
from collections import deque
from collections.abc import Collection, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from wsac.arrays import Tensor, torch
from wsac.clap import ClapEncoder
from wsac.clap.sounds import Audio, AudioEmbedding
from wsac.clap.texts import load_or_make
from wsac.data.audio.audio_options import AudioOptions
from wsac.data.audio.stream import AudioStream, opened
from wsac.inference.sound_results import Tag
from wsac.inference.tagger import Tagger, embed_in_prompts
from wsac.runtime.cpus import usable_cpus
from wsac.types import RecipeError, WsacError, did_you_mean

from .find_spans import find_by_steps
from .span import Kind, Passage, Span
from .thresholds import DEFAULT, Thresholds

if TYPE_CHECKING:
    from wsac.inference.captioner import Captioner

AT_ONCE = 32  # spans described together, but for the first, so that it comes soon
PATIENCE = 180.0  # seconds of sound that a span waits for others, at most
PROMPTS = ("{}", "the sound of {}", "{} can be heard")
TAGS = 3  # of a span
KINDS: tuple[Kind, ...] = get_args(Kind)


@lru_cache(maxsize=1)
def label_kinds() -> dict[str, Kind]:
    """The labels of ``labels.toml`` with the kind of sound that each names."""
    table = tomllib.loads(Path(__file__).with_name("labels.toml").read_text(encoding="utf-8"))
    return {label: kind for kind in KINDS for label in table[kind]}


def label_embeddings(clap: ClapEncoder) -> Tensor:
    """Unit-norm [N, D] of the labels, from the cache on disk, where they are made once."""
    labels = list(label_kinds())
    key = "/".join((clap.fingerprint, *PROMPTS))
    return load_or_make(key, labels, lambda: embed_in_prompts(clap, labels, PROMPTS))


def check_kinds(skip: Collection[str]) -> None:
    """Raises RecipeError for what is no kind of span."""
    for name in skip:
        if name not in KINDS:
            hint = did_you_mean(name, KINDS).rstrip() or f"known: {', '.join(KINDS)}"
            raise RecipeError(f"unknown kind of span '{name}'; {hint}")


def spans_of_sound(
    captioner: Captioner,
    audio: Audio | AudioStream,
    skip: Collection[str],
    min_confidence: float | None,
    options: AudioOptions,
) -> Iterator[Span]:
    """What ``Captioner.spans`` returns."""
    numbers = DEFAULT
    if min_confidence is not None:
        numbers = replace(numbers, confidence=min_confidence)
    return Describer(captioner, skip, numbers).spans_of(audio, options)


class Describer:
    """Turns passages into spans.

    skip: kinds to leave out. Spans below the confidence of ``numbers`` are left out, too.
    """

    def __init__(
        self, captioner: Captioner, skip: Collection[str] = (), numbers: Thresholds = DEFAULT
    ) -> None:
        check_kinds(skip)
        self.captioner, self.skip, self.numbers = captioner, frozenset(skip), numbers
        self.kinds = label_kinds()
        embeddings = label_embeddings(captioner.clap)
        self.tagger = Tagger(captioner.clap, list(self.kinds), embeddings=embeddings)

    def spans_of(self, audio: Audio | AudioStream, options: AudioOptions) -> Iterator[Span]:
        """The spans of a sound, in the order of their start. Raises AudioError."""
        with opened(audio, self.captioner.clap.sample_rate, options) as stream:
            for span, _ in self.embedded_spans(stream):
                yield span

    def embedded_spans(self, stream: AudioStream) -> Iterator[tuple[Span, Tensor]]:
        """The same, each with its embedding [D], unit norm.

        On two cores, files are read in a second thread and spans get their words in a third.
        """
        two = usable_cpus() > 1
        batches = self._batches(stream, ahead=two)
        with ThreadPoolExecutor(1, "wsac-words") as pool, closing(batches):
            waiting: deque[Future[list[tuple[Span, Tensor]]]] = deque()
            failure: WsacError | None = None
            wait = True  # for the first, so that it comes soon
            try:
                for batch in batches:
                    if batch:
                        waiting.append(pool.submit(self._described, batch, stream.file))
                    while waiting and (wait or len(waiting) > 1 or waiting[0].done()):
                        yield from waiting.popleft().result()
                        wait = not two
            except WsacError as error:
                failure = error  # behind what came before it
            for described in waiting:
                yield from described.result()
            if failure is not None:
                raise failure

    def by_steps(self, stream: AudioStream) -> Iterator[list[tuple[Span, Tensor]]]:
        """The same, as a list for every few seconds that are read, often empty."""
        return (self._described(batch, stream.file) for batch in self._batches(stream))

    def _batches(
        self, stream: AudioStream, *, ahead: bool = False
    ) -> Generator[list[Passage], None, None]:
        """What is described together: a list for every few seconds that are read, often empty."""
        clap, batch, at_once = self.captioner.clap, list[Passage](), 1
        for passages, seconds in find_by_steps(clap, stream, self.numbers, ahead=ahead):
            batch += passages
            late = bool(batch) and seconds - batch[0].start > PATIENCE
            if late or len(batch) >= at_once:
                yield batch
                batch, at_once = [], AT_ONCE
            else:
                yield []
        yield batch

    def _described(self, batch: list[Passage], file: str) -> list[tuple[Span, Tensor]]:
        return list(self.describe(batch, file))

    def describe(self, batch: list[Passage], file: str) -> Iterator[tuple[Span, Tensor]]:
        """The spans and embeddings of passages, without those that are unsure or to be skipped."""
        if not batch:
            return
        sounds = [AudioEmbedding(part.embedding, part.start, part.end) for part in batch]
        captions = self.captioner.caption_embeddings(torch.stack([h.embedding for h in batch]))
        tags = self.tagger.tag_embeddings(sounds)
        for passage, caption, row in zip(batch, captions, tags, strict=True):
            kind, sure = self.kind_of(row), caption.confidence
            if kind in self.skip or (sure is not None and sure < self.numbers.confidence):
                continue
            names = ("start", "end", "loudness", "prominence", "sustained", "background")
            values: dict[str, Any] = {name: getattr(passage, name) for name in names}
            values |= {"text": caption.text, "confidence": sure, "tags": tuple(row[:TAGS])}
            yield Span(**values, kind=kind, file=file), passage.embedding

    def kind_of(self, tags: Iterable[Tag]) -> Kind:
        """The kind to whose labels the most of the probability goes."""
        shares = dict.fromkeys(KINDS, 0.0)
        for tag in tags:
            shares[self.kinds[tag.label]] += tag.probability
        return max(shares, key=lambda kind: shares[kind])
