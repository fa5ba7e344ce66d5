"""Whether speed costs quality: the defaults against their slow reference on SoundWorld, CIDEr-D of
the same seeds.

    python benchmarks/quality/fast_defaults.py --data runs/paper-table/data/soundworld-*/ \\
        --seeds 0 1 2 3 -o runs/quality

fast: bfloat16 where the processor computes in it, embeddings kept in float16, decoding with
--precision auto. slow: float32 throughout, embeddings in float32. Both train on DATA/captions.txt
and caption the scenes of DATA/test. The difference is given with a paired bootstrap over the scenes
and with the spread over seeds. Goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wsac.clap.collections import embed_sounds
from wsac.evaluation import Item, Score, evaluate
from wsac.evaluation.statistics import compare
from wsac.inference.captioner import Captioner
from wsac.io.config import load_recipe
from wsac.io.console import table
from wsac.runtime.seeding import generator_for
from wsac.training.decoder import prepare, train
from wsac.training.loop import run
from wsac.training.recipe import Recipe
from wsac.training.steps import DecoderTraining

WAYS = ("slow", "fast")
PRECISION = {"slow": "float32", "fast": "auto"}


def main(arguments: list[str] | None = None) -> list[tuple[str, ...]]:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--data",
        type=Path,
        required=True,
        help="a folder of captions.txt and test/, by wsac benchmark",
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--bridges", nargs="+", default=["ad", "pd"], help="of captioning")
    parser.add_argument(
        "--set",
        action="append",
        default=["training.epochs=3", "bridge.train="],
        metavar="NAME=VALUE",
        help="of both recipes",
    )
    parser.add_argument("-o", "--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    with (options.data / "test" / "scenes.jsonl").open(encoding="utf-8") as file:
        scenes = [json.loads(line) for line in file]
    changes = dict(change.split("=", 1) for change in options.set)
    scores: dict[tuple[str, str], list[Score]] = {}
    files = [str(options.data / "test" / scene["file"]) for scene in scenes]
    for seed in options.seeds:
        for way in WAYS:
            captioner = trained(
                way, options.data / "captions.txt", seed, changes, options.out / f"{way}-{seed}"
            )
            sounds = torch.as_tensor(embed_sounds(files, captioner.clap))
            for bridge in options.bridges:
                told = captioner.with_options(bridge=bridge, precision=PRECISION[way])
                scores.setdefault((way, bridge), []).append(cider(told, sounds, scenes))
    rows: list[tuple[str, ...]] = []
    for bridge in options.bridges:
        slow, fast = (scores[way, bridge] for way in WAYS)
        [comparison] = compare([mean(slow)], [mean(fast)])
        percent = 100 / (comparison.first or 1.0)
        by_seed = [b.corpus - a.corpus for a, b in zip(slow, fast, strict=True)]
        spread = (
            statistics.stdev(by_seed) / len(by_seed) ** 0.5 if len(by_seed) > 1 else float("nan")
        )
        rows.append(
            (
                bridge,
                f"{comparison.first:.4f}",
                f"{comparison.second:.4f}",
                f"{percent * comparison.difference:+.1f} %",
                f"{percent * comparison.low:+.1f} to {percent * comparison.high:+.1f} %",
                f"{percent * spread:.1f} %",
            )
        )
    heads = (
        "bridge",
        "slow>",
        "fast>",
        "difference>",
        "95 % over scenes>",
        "standard error over seeds>",
    )
    table(f"CIDEr-D of {len(scenes)} scenes, {len(options.seeds)} seeds", heads, rows)
    return rows


def trained(way: str, captions: Path, seed: int, changes: dict[str, Any], out: Path) -> Captioner:
    """The captioner of ``out``, trained there if it is not."""
    fixed = {
        "corpus.captions": [str(captions)],
        "training.seed": seed,
        "training.precision": PRECISION[way],
    }
    recipe = load_recipe(Recipe, overrides=changes | fixed)
    if way == "fast":
        return train(recipe, out)
    run(prepare(recipe, out, half=False, kind=SlowTraining), out)
    return Captioner.load(out)


class SlowTraining(DecoderTraining):
    """Updates in random order, not sorted by length."""

    def batches(self, epoch: int) -> list[Tensor]:
        rows, rng = self.material.train_rows, generator_for(self.options.seed, "order", epoch)
        order = torch.randperm(len(rows), generator=rng)
        return list(rows[order].split(self.options.update_size))


def cider(captioner: Captioner, sounds: Tensor, scenes: list[dict[str, Any]]) -> Score:
    texts = [caption.text for caption in captioner.caption_embeddings(sounds)]
    items = [
        Item(s["file"], text, tuple(s["captions"])) for s, text in zip(scenes, texts, strict=True)
    ]
    return evaluate(items, "cider_d").scores["cider_d"]


def mean(scores: list[Score]) -> Score:
    """Of several seeds, scene by scene."""
    values = np.mean([score.per_item for score in scores], axis=0)
    return Score("cider_d", float(np.mean([score.corpus for score in scores])), values)


if __name__ == "__main__":
    main()
