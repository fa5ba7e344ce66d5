"""The laws of determinism on a GPU, and what the deterministic modes cost there.

    python benchmarks/speed/gpu_determinism.py --out gpu-determinism.json

Trains decoders on sentences of SoundWorld, which it makes itself: no download.
Laws: the same seed gives the same weights, bit for bit; an interrupted run ends like a whole one;
embeddings do not depend on their batch (1e-5), nor on the device (1e-4). Cost: seconds a step with
and without the modes. Ends with code 1 if a law does not hold. ``--device cpu`` tries the script.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file

from wsac.clap import load_clap
from wsac.data.soundworld import write_captions
from wsac.io.config import load_recipe
from wsac.io.console import say, table
from wsac.runtime.determinism import deterministic
from wsac.runtime.process import configure_process
from wsac.training.decoder import prepare, train
from wsac.training.recipe import Recipe
from wsac.training.steps import DecoderTraining

STEPS = 60
WARM_UP = 10
BATCH, EMBEDDING = 1e-5, 1e-4  # the most that an embedding may differ
PRECISIONS = ("float32", "bfloat16")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--captions", type=int, default=4000, help="of SoundWorld, to train on")
    parser.add_argument("--width", type=int, default=256, help="of the decoder")
    parser.add_argument("--out", help="write the figures as JSON")
    options = parser.parse_args()
    configure_process()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder), options)
    if options.out:
        Path(options.out).write_text(json.dumps(figures, indent=1) + "\n")
    rows = [(law, "holds" if holds else "FAILS") for law, holds in figures["laws"].items()]
    table(f"Laws on {figures['device']}", ("law", ""), rows)
    cost = [
        (precision, *(f"{1000 * figures['seconds'][precision][mode]:.2f} ms" for mode in MODES))
        for precision in PRECISIONS
    ]
    table("Time of a step", ("precision", *(f"{mode}>" for mode in MODES)), cost)
    sys.exit(not all(figures["laws"].values()))


MODES = ("deterministic", "fast")


def measure(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    captions = write_captions(np.random.default_rng(0), options.captions, events=(1, 2))
    (folder / "captions.txt").write_text("\n".join(captions) + "\n")

    def recipe(**changes: Any) -> Recipe:
        sizes = {"decoder.width": options.width, "training.batch_size": 64}
        fixed = {"corpus.captions": [str(folder / "captions.txt")], "training.epochs": 1}
        return load_recipe(Recipe, overrides=fixed | sizes | changes)

    laws: dict[str, bool] = {}
    for precision in PRECISIONS:
        now = recipe(**{"training.precision": precision, "training.save_every": 10})
        for name in ("whole", "again"):
            train(now, folder / precision / name, device=options.device)
        laws[f"same seed, same weights, {precision}"] = same(folder / precision, "whole", "again")
        with interrupted_at(15):
            train(now, folder / precision / "stopped", device=options.device)
        train(now, folder / precision / "stopped", device=options.device)
        laws[f"exact resume, {precision}"] = same(folder / precision, "whole", "stopped")
    differences = embedding_differences(options.device)
    laws |= {f"embeddings, {name}: {value:.1e}": value <= most for name, value, most in differences}
    seconds = {
        precision: {
            mode: step_seconds(
                recipe(**{"training.precision": precision}),
                folder / f"{precision}-{mode}",
                options.device,
                mode == "deterministic",
            )
            for mode in MODES
        }
        for precision in PRECISIONS
    }
    is_cuda = options.device.startswith("cuda")
    device = torch.cuda.get_device_name() if is_cuda else options.device
    return {"device": device, "torch": torch.__version__, "laws": laws, "seconds": seconds}


def same(folder: Path, one: str, other: str) -> bool:
    """Whether two runs have the same weights and moments, bit for bit."""
    first, second = (load_file(folder / name / "checkpoint.safetensors") for name in (one, other))
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


class interrupted_at(suppress):  # noqa: N801 - a context
    """Ends a training before a step, as Ctrl-C does."""

    def __init__(self, step: int) -> None:
        super().__init__(KeyboardInterrupt)
        self._step, self._update = step, DecoderTraining.update

    def __enter__(self) -> None:
        def update(training: DecoderTraining, step: int) -> torch.Tensor:
            if step == self._step:
                raise KeyboardInterrupt
            return self._update(training, step)

        DecoderTraining.update = update  # type: ignore[method-assign]

    def __exit__(self, *error: Any) -> bool:
        DecoderTraining.update = self._update  # type: ignore[method-assign]
        return super().__exit__(*error)


def embedding_differences(device: str) -> list[tuple[str, float, float]]:
    """The largest difference of an embedding, alone and in a batch, here and on the CPU."""
    clap, on_cpu = load_clap("pocket", device=device), load_clap("pocket", device="cpu")
    rng = torch.Generator().manual_seed(0)
    sounds = [0.1 * torch.randn(n, generator=rng) for n in (*[160_000] * 20, 9_000, 40_000)]
    texts = write_captions(np.random.default_rng(1), 40, events=(1, 3))
    rows = []
    embeds: dict[str, tuple[Callable[..., torch.Tensor], Callable[..., torch.Tensor], list[Any]]]
    embeds = {
        "sounds": (clap.embed_audio, on_cpu.embed_audio, sounds),
        "texts": (clap.embed_text, on_cpu.embed_text, texts),
    }
    for kind, (here, there, items) in embeds.items():
        together = here(items)
        alone = torch.cat([here([item]) for item in items])
        rows.append((f"{kind} alone and in a batch", largest(together - alone), BATCH))
        rows.append((f"{kind} here and on the CPU", largest(together - there(items)), EMBEDDING))
    return rows


def largest(difference: torch.Tensor) -> float:
    return float(difference.abs().max())


def step_seconds(recipe: Recipe, out: Path, device: str, wanted: bool) -> float:
    """The median time of an update after the first ones."""
    with deterministic(device, wanted):
        training = prepare(recipe, out, device=device)
        times = []
        for step in range(min(STEPS, training.total)):
            before = time.perf_counter()
            training.update(step).item()  # waits for the device
            times.append(time.perf_counter() - before)
    say(f"{out.name}: {len(times)} steps")
    return float(np.median(times[WARM_UP:] or times))


if __name__ == "__main__":
    main()
