"""The models, training steps and captioning that speed.py and growth.py measure, and how rounds are
compared.
"""

from __future__ import annotations

import copy
import itertools
import statistics
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import baseline
import torch
import torch.nn.functional as F
from torch import Tensor

from wsac.bridges.memory import SupportMemory
from wsac.bridges.noise import NoiseInjection
from wsac.clap.public.public_clap import PublicClap
from wsac.data.tokenizer import Tokenizer
from wsac.data.tokens import TokenRows
from wsac.decoder import TransformerDecoder
from wsac.decoder.generation import prepare
from wsac.inference.caption_options import CaptionOptions
from wsac.inference.captioner import Captioner
from wsac.runtime.device import has_bfloat16
from wsac.runtime.process import configure_process
from wsac.training.material import Material
from wsac.training.optim import autocast
from wsac.training.recipe import TrainingOptions
from wsac.training.steps import DecoderTraining


@dataclass
class World:
    """What every section needs. steps: of training in a round; few: clips that the baseline makes
    in a round.
    """

    shape: baseline.Shape
    captions: list[str]
    files: list[Path]
    rounds: int
    steps: int
    few: int
    batch: int
    memories: list[int]
    precision: str
    tiny: bool
    tokenizer: Tokenizer = field(init=False)
    clap: PublicClap = field(init=False)

    def __post_init__(self) -> None:
        self.tokenizer = Tokenizer.train(self.captions, 400 if self.tiny else 30_522)
        self.clap = baseline.random_clap(self.shape, self.tokenizer)

    def decoder(self, kind: type[TransformerDecoder], vocabulary: int, max_tokens: int) -> Any:
        """Of the published shape; equal weights for equal sizes."""
        torch.manual_seed(1)
        return kind(
            embed_dim=self.shape.embed_dim,
            vocab_size=vocabulary,
            max_tokens=max_tokens,
            **self.shape.decoder,
        )

    @property
    def half(self) -> bool:
        """Whether products are in bfloat16."""
        return self.precision == "bfloat16" or (self.precision == "auto" and has_bfloat16("cpu"))

    def writer(self, decoder: Any) -> Any:
        """As ``--precision`` has it."""
        return prepare(decoder, "bfloat16" if self.half else "float32")

    def cast(self) -> AbstractContextManager[object]:
        return autocast(self.precision, "cpu")

    def support(self, embeddings: Tensor) -> SupportMemory:
        """In the precision that is computed in, so that nothing is converted on the way."""
        return SupportMemory(embeddings.bfloat16() if self.half else embeddings)

    def arguments(self) -> dict[str, Any]:
        """What another process makes the same from."""
        return {each.name: getattr(self, each.name) for each in fields(self) if each.init}


class OurTraining:
    """Steps of wsac's own loop on the batches of its epochs; a call returns captions a second."""

    def __init__(
        self, world: World, decoder: TransformerDecoder, tokenizer: Tokenizer, batch: int
    ) -> None:
        count, self.steps, self.flops = len(world.captions), world.steps, []
        embeddings = F.normalize(torch.randn(count, world.shape.embed_dim), dim=-1).half()
        self.tokens = TokenRows.make(world.captions, tokenizer, decoder.max_tokens)
        rows = torch.arange(count)
        options = TrainingOptions(batch_size=batch, precision=world.precision)
        material = Material(self.tokens, embeddings, rows, rows[:0])
        bridge = NoiseInjection(0.001)
        self.training = DecoderTraining(options, material, bridge, decoder, decoder)
        epochs = map(self.training.batches, itertools.count())
        self.batches, self.number = itertools.chain.from_iterable(epochs), itertools.count()

    def __call__(self) -> float:
        batches = list(itertools.islice(self.batches, self.steps))
        began = time.perf_counter()
        for rows in batches:
            self.training.step(rows, 1e-5, next(self.number))
        seconds = time.perf_counter() - began
        lengths = [self.tokens.lengths(rows) for rows in batches]
        work = sum(
            flops(self.training.decoder, len(each), int(each.max()), int(each.sum()))
            for each in lengths
        )
        self.flops.append(work / seconds)
        return sum(map(len, batches)) / seconds


def flops(decoder: TransformerDecoder, batch: int, length: int, real: int) -> float:
    """Of an update, forward and twice as many back: products of matrices only. real: tokens that
    are predicted.
    """
    width, positions = decoder.width, decoder.before + length - 1
    block = (
        12 * width * width + 2 * positions * width
    )  # of a position: weights, then scores and their sums
    prefix, computed = (
        decoder.prefix.weight.numel(),
        real + batch * (decoder.before - 1),
    )  # padding is not
    return 6.0 * (
        computed * len(decoder.blocks) * block + real * decoder.vocab_size * width + batch * prefix
    )


def baseline_captioning(world: World) -> Callable[[], float]:
    memory, tower = (
        random_units(len(world.captions), world.shape.embed_dim),
        copy.deepcopy(world.clap),
    )
    tower.audio.to(memory_format=torch.contiguous_format)
    decoder = world.decoder(baseline.PlainDecoder, world.shape.vocabulary, baseline.STEPS).eval()
    taps, subset = baseline.fourier_taps(), world.files[: world.few]
    return lambda: rate(
        len(subset),
        lambda: [baseline.caption(tower, taps, memory, decoder, file) for file in subset],
    )


def our_captioning(world: World) -> Callable[[], float]:
    memory = world.support(random_units(len(world.captions), world.shape.embed_dim))
    decoder = world.decoder(TransformerDecoder, world.shape.vocabulary, baseline.STEPS)
    precision = "bfloat16" if world.half else "float32"
    options = CaptionOptions.make(bridge="pd", beam_size=1, precision=precision)
    captioner = Captioner(world.clap, decoder, world.tokenizer, memory, options)

    def way() -> float:
        with world.cast():
            return rate(len(world.files), lambda: captioner.caption_batch(world.files))

    return way


def twins(world: World) -> tuple[baseline.PlainDecoder, TransformerDecoder]:
    """The baseline's decoder and ours, with the same weights and the same vocabulary."""
    decoders = [
        world.decoder(kind, world.shape.vocabulary, baseline.STEPS).eval()
        for kind in (baseline.PlainDecoder, TransformerDecoder)
    ]
    return decoders[0], decoders[1]


def random_units(count: int, dim: int) -> Tensor:
    """[count, dim] random directions, made in place: a million of 1,024 dimensions are 4 GB."""
    out, rng = torch.empty(count, dim), torch.Generator().manual_seed(count)
    for part in out.split(1 << 16):
        F.normalize(part.normal_(generator=rng), dim=-1, out=part)
    return out


def rounds(ways: dict[str, Callable[[], float]], count: int) -> dict[str, list[float]]:
    """Rates of each way, taken in turn; the first turn warms up and does not count."""
    results: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(count + 1):
        for name, way in ways.items():
            baseline.usual_memory() if name.startswith("baseline") else configure_process()
            rate = way()
            if turn:
                results[name].append(rate)
    return results


def compared(results: dict[str, list[float]], unit: str) -> list[dict[str, Any]]:
    """A row a way: the median of its rates, and of the ratios to the first way in the same
    round.
    """
    base = next(iter(results.values()))
    return [
        {
            "way": name,
            unit: statistics.median(rates),
            "times": statistics.median(
                rate / other for rate, other in zip(rates, base, strict=True)
            ),
        }
        for name, rates in results.items()
    ]


def rate(count: int, work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return count / (time.perf_counter() - began)


def sizes(text: str) -> list[int]:
    return [int(word) for word in text.split(",")]
