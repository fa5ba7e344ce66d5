"""The batches of contrastive training: events, scenes or twins."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from multiprocessing import get_all_start_methods

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from wsac.clap.pocket.pocket_config import PocketConfig
from wsac.data.datasets.pairs import Clip
from wsac.runtime.cpus import usable_cpus
from wsac.runtime.seeding import numpy_for

from .clap_recipe import ClapRecipe
from .mixing import Composer, Example, crop, in_both_orders, random_level
from .store import AudioStore

NO_SAMPLES = np.zeros(0, np.float32)
Draw = Callable[[int], tuple[str, list[Example]]]  # a step → its kind and examples
Batch = tuple[str, Tensor, list[Example]]  # kind, int16 [B, T], the examples without samples


def sampler(
    recipe: ClapRecipe,
    config: PocketConfig,
    composer: Composer,
    scenes: list[Clip],
    store: AudioStore | None,
) -> Draw:
    """A function from a step to its examples, and their kind: "events", "scenes" or "twins".

    Events are crops of ``crop_seconds``, half that in one step of four. Scenes last up to a window;
    two thirds are drawn from ``scenes``, if there are any, the others are composed. Twins are two
    sounds in both orders, side by side: crops of clips, or scenes of at most half a window each.
    """
    rate = config.sample_rate
    window, crop_length = int(config.window_seconds * rate), int(recipe.crop_seconds * rate)
    seconds = [] if store is None else [store.seconds(row) for row in range(len(scenes))]
    decoded = [row for row, length in enumerate(seconds) if length > 0]
    short = [row for row in decoded if seconds[row] <= config.window_seconds / 2]

    def scene(row: int, rng: np.random.Generator) -> tuple[np.ndarray, str]:
        assert store is not None  # rows are those that it decoded
        return store[row], str(rng.choice(scenes[row].captions))

    def whole_scenes(rng: np.random.Generator, size: int) -> list[Example]:
        examples: list[Example] = []
        for row in rng.choice(decoded, size * 2 // 3) if decoded else ():
            samples, caption = scene(row, rng)
            negatives = scenes[row].negatives
            false = str(rng.choice(negatives)) if negatives else ""
            examples.append(Example(crop(samples, window, rng), caption, false))
        while len(examples) < size:
            examples.append(composer.sequence(composer.distinct(rng, 4), window, rng))
        return examples

    def twins(rng: np.random.Generator) -> list[Example]:
        examples: list[Example] = []
        if len(short) < 2 or rng.random() < 0.5:
            for _ in range(max(1, recipe.batch_size // 2)):
                examples += composer.twins(crop_length, rng)
        else:
            for _ in range(max(1, recipe.batch_size * crop_length // window // 2)):
                first, second = rng.choice(short, 2, replace=False)
                examples += in_both_orders(scene(first, rng), scene(second, rng), window, rng)
        return examples

    def draw(step: int) -> tuple[str, list[Example]]:
        rng = numpy_for(recipe.seed, "audio", step)
        chance = rng.random()
        if chance < recipe.scene_share:
            kind = "scenes"
            examples = whole_scenes(rng, max(2, round(recipe.batch_size * crop_length / window)))
        elif chance < recipe.scene_share + recipe.order_share:
            kind, examples = "twins", twins(rng)
        else:
            length = crop_length // 2 if rng.random() < 0.25 else crop_length
            kind = "events"
            examples = composer.batch(recipe.batch_size, length, recipe.mixtures, rng)
        return kind, [replace(e, samples=random_level(e.samples, rng)) for e in examples]

    return draw


class Batches(Dataset[Batch]):
    """The batch of each step."""

    def __init__(self, draw: Draw, steps: Sequence[int]) -> None:
        self.draw, self.steps = draw, steps

    def __len__(self) -> int:
        return len(self.steps)

    def __getitem__(self, row: int) -> Batch:
        kind, examples = self.draw(self.steps[row])
        samples = np.stack([example.samples for example in examples])
        waveforms = torch.from_numpy((samples * 32767).astype(np.int16))
        return kind, waveforms, [replace(example, samples=NO_SAMPLES) for example in examples]


def draw_ahead(draw: Draw, steps: Sequence[int], workers: int) -> Iterator[Batch]:
    """The batches of the steps, drawn ahead by ``workers`` processes, always the same."""
    loader = DataLoader(
        Batches(draw, steps),
        batch_size=None,
        num_workers=workers,
        multiprocessing_context="fork" if workers else None,  # shares what has been read
        pin_memory=workers > 0 and torch.cuda.is_available(),
    )
    return iter(loader)


def workers_for(device: str) -> int:
    """All processors but one for a GPU, where processes can fork; none on a CPU, which is busy."""
    can_fork = device != "cpu" and "fork" in get_all_start_methods()
    return max(1, usable_cpus() - 1) if can_fork else 0
