"""A recipe of the benchmark that takes seconds."""

from __future__ import annotations

from pathlib import Path

from miniatures.decoder_kinds import SIZES
from wsac.evaluation.benchmark.benchmark_recipe import BenchmarkRecipe
from wsac.io.config import load_recipe

RATE = 16_000
RECIPES = Path(__file__).parents[2] / "src" / "wsac" / "recipes"


def tiny(clap_folder, **changes):
    row = {"data": "world", "train": "", "infer": "ad"}
    values = {
        "clap": str(clap_folder),
        "seeds": [0, 1],
        "metrics": ["cider_d", "bleu_1", "vocabulary"],
        "against": "supervised",
        "data": {"world": {"scenes": 12, "train_scenes": 20}},
        "rows": [
            {**row, "name": "supervised", "supervised": True},
            {**row, "name": "AD"},
            {**row, "name": "PD", "infer": "pd"},
            {**row, "name": "ES", "train": "shift+noise:variance=0.001"},
        ],
        "decoder": SIZES | {"layers": 1, "vocab_size": 400, "max_tokens": 16},
        "training": {"epochs": 2, "batch_size": 16},
        **changes,
    }
    return load_recipe(BenchmarkRecipe, overrides=values)
