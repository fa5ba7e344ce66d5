"""Tiny models, options and recipes of every kind of decoder."""

from __future__ import annotations

import sys
from importlib.util import find_spec

import numpy as np
import pytest
import soundfile
import torch

from miniatures.decoder_kinds import KINDS, ODD
from miniatures.language_models import wordpiece, write_lm
from wsac.decoder import begin
from wsac.io.config import load_recipe
from wsac.training.recipe import Recipe


@pytest.fixture(scope="module")
def models(captions, tmp_path_factory):
    """Folders by name: gpt2, llama, bert (its tokenizer alone)."""
    folder = tmp_path_factory.mktemp("models")
    found = {kind: write_lm(kind, folder / kind, [*captions, *ODD]) for kind in ("gpt2", "llama")}
    (folder / "bert").mkdir()
    wordpiece([*captions, *ODD]).save(str(folder / "bert" / "tokenizer.json"))
    return found | {"bert": folder / "bert"}


@pytest.fixture
def options(models):
    """Recipe options of a kind of KINDS, with changes."""

    def make(name, **changes):
        kind = name.partition("-")[0]
        if kind == "llm" and "peft" not in sys.modules and find_spec("peft") is None:
            pytest.skip("needs peft (pip install 'wsac[llm]')")
        model = {"gpt2": models["gpt2"], "llm": models["llama"], "wsac": models["bert"]}.get(kind)
        given = {
            "kind": kind,
            "max_tokens": 16,
            **KINDS[name],
            **({"model": str(model)} if model else {}),
            **changes,
        }
        return {f"decoder.{key}": value for key, value in given.items()}

    return make


@pytest.fixture
def make(options, captions):
    """(decoder, tokenizer) of a kind."""

    def call(name, prompt_tokens=0, **changes):
        recipe = load_recipe(Recipe, overrides=options(name, **changes))
        torch.manual_seed(0)
        return begin(
            recipe.decoder.model_dump(),
            [*captions, *ODD],
            embed_dim=16,
            prompt_tokens=prompt_tokens,
        )

    return call


@pytest.fixture
def recipe(options, captions, clap_folder, tmp_path):
    (tmp_path / "captions.txt").write_text("\n".join(captions[:120]) + "\n")

    def call(name, prompt=0, **changes):
        values = {
            "clap": str(clap_folder),
            "corpus.captions": [str(tmp_path / "captions.txt")],
            "training.batch_size": 40,
            "training.epochs": 2,
            "training.learning_rate": 0.01,
            "memory.precision": "float32",
            "memory.size": 40,
            "prompt.count": prompt,
            "prompt.tokens": 16,
        } | changes
        return load_recipe(Recipe, overrides=options(name) | values)

    return call


@pytest.fixture
def sound(tmp_path):
    path = tmp_path / "sound.wav"
    soundfile.write(path, 0.1 * np.random.default_rng(0).standard_normal(16_000), 16_000)
    return path
