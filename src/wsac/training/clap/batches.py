"""What each step of contrastive training hears: events, scenes or twins, drawn by this process or ahead by others."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from multiprocessing import get_all_start_methods

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from wsac.clap.pocket.towers import PocketConfig
from wsac.data.datasets.pairs import Clip
from wsac.runtime.seeding import numpy_for
from wsac.training.clap.clap_recipe import ClapRecipe
from wsac.training.clap.store import AudioStore

from .mixing import Composer, Example, batch_of_events, crop, in_both_orders, level

NONE = np.zeros(0, np.float32)
Draw = Callable[[int], tuple[str, list[Example]]]  # a step → its kind and examples
Drawn = tuple[
    str, Tensor, list[Example]
]  # the kind of a step, int16 [B, T], and the examples without their samples


def sampler(
    recipe: ClapRecipe,
    config: PocketConfig,
    composer: Composer,
    scenes: list[Clip],
    store: AudioStore | None,
) -> Draw:
    """The examples of a step, and their kind: "events", "scenes" or "twins".

    Events are crops of ``crop_seconds``, one step in four of half that. Scenes last up to a window; two thirds are
    those that were given, if any, the others composed. Twins are two sounds in both orders, side by side: clips in
    crops, or scenes of at most half a window each.
    """
    heard = [] if store is None else [i for i in range(len(scenes)) if store.seconds(i) > 0]
    window, crop_length = (
        int(s * config.sample_rate) for s in (config.window_seconds, recipe.crop_seconds)
    )
    short = (
        [] if store is None else [i for i in heard if store.seconds(i) <= config.window_seconds / 2]
    )

    def said(row: int, rng: np.random.Generator) -> str:
        return str(rng.choice(scenes[row].captions))

    def whole(rng: np.random.Generator, size: int) -> list[Example]:
        examples: list[Example] = []
        if store is not None and heard:
            for row in rng.choice(heard, size * 2 // 3):
                caption, negatives = said(row, rng), scenes[row].negatives
                false = str(rng.choice(negatives)) if negatives else ""
                examples.append(Example(crop(store[row], window, rng), caption, false))
        while len(examples) < size:
            examples.append(composer.sequence(composer.distinct(rng, 4), window, rng))
        return examples

    def twins(rng: np.random.Generator) -> list[Example]:
        if store is None or len(short) < 2 or rng.random() < 0.5:
            pairs = [
                composer.twins(crop_length, rng) for _ in range(max(1, recipe.batch_size // 2))
            ]
        else:
            pairs = []
            for _ in range(max(1, recipe.batch_size * crop_length // window // 2)):
                one, other = (
                    (store[row], said(row, rng)) for row in rng.choice(short, 2, replace=False)
                )
                pairs.append(in_both_orders(one, other, window, rng))
        return [example for pair in pairs for example in pair]

    def draw(step: int) -> tuple[str, list[Example]]:
        rng = numpy_for(recipe.seed, "audio", step)
        chance = rng.random()
        if chance < recipe.scene_share:
            kind, examples = (
                "scenes",
                whole(rng, max(2, round(recipe.batch_size * crop_length / window))),
            )
        elif chance < recipe.scene_share + recipe.order_share:
            kind, examples = "twins", twins(rng)
        else:
            length = crop_length // 2 if rng.random() < 0.25 else crop_length
            kind, examples = (
                "events",
                batch_of_events(composer, recipe.batch_size, length, recipe.mixtures)(rng),
            )
        return kind, [
            Example(level(e.samples, rng), e.caption, e.false, e.labels) for e in examples
        ]

    return draw


class Steps(Dataset[Drawn]):
    """What each step hears."""

    def __init__(self, draw: Draw, steps: range) -> None:
        self.draw, self.steps = draw, steps

    def __len__(self) -> int:
        return len(self.steps)

    def __getitem__(self, row: int) -> Drawn:
        kind, examples = self.draw(self.steps[row])
        samples = np.stack([one.samples for one in examples])
        return (
            kind,
            torch.from_numpy((samples * 32767).astype(np.int16)),
            [replace(e, samples=NONE) for e in examples],
        )


def ahead(draw: Draw, steps: range, workers: int) -> Iterator[Drawn]:
    """The examples of the steps, drawn ahead by so many other processes, which changes none of them."""
    context = "fork" if workers else None  # what has been read is shared
    return iter(
        DataLoader(
            Steps(draw, steps),
            batch_size=None,
            num_workers=workers,
            multiprocessing_context=context,
            pin_memory=workers > 0 and torch.cuda.is_available(),
        )
    )


def workers_for(device: str) -> int:
    """None on a processor, which has enough to do; all processors but one for a GPU, where processes can be forked."""
    can = device != "cpu" and "fork" in get_all_start_methods()
    return max(1, (os.cpu_count() or 2) - 1) if can else 0
