"""Text-only training learns, repeats with its seed, and resumes bit for bit after SIGKILL."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch.testing import assert_close

from wsac import train
from wsac.clap.texts import embed_texts
from wsac.inference.bundle import unfinished
from wsac.inference.captioner import Captioner
from wsac.io.config import load_recipe, save_recipe
from wsac.training.decoder import prepare
from wsac.training.recipe import Recipe
from wsac.types import ModelError, RecipeError, WsacError


def weights(run):
    return load_file(run / "decoder.safetensors")


def same(one, two):
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.slow
def test_training_lowers_the_loss_and_writes_a_whole_bundle(tiny_recipe, tmp_path):
    run = tmp_path / "run"
    captioner = train(tiny_recipe(**{"training.learning_rate": 0.01, "training.epochs": 6}), run)
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert rows[-1]["validation_loss"] < rows[0]["validation_loss"]
    assert rows[-1]["validation_loss"] < math.log(400) - 1  # log 400: what guessing costs
    assert [row["step"] for row in rows] == [
        50,
        84,
    ]  # 14 steps an epoch: not before 50 steps, and at the end
    names = {
        "captioner.json",
        "decoder.safetensors",
        "tokenizer.json",
        "memory.safetensors",
        "recipe.toml",
        "loss.svg",
    }
    assert names <= {path.name for path in run.iterdir()}
    assert (
        run / "clap" / "clap.safetensors"
    ).is_file()  # a CLAP that is not built in travels along
    assert (run / "loss.svg").read_text().startswith("<svg")
    assert (
        captioner.caption(torch.zeros(16_000)).text
        == Captioner.load(run).caption(torch.zeros(16_000)).text
    )
    card = json.loads((run / "captioner.json").read_text())
    assert card["validation_loss"] == pytest.approx(min(row["validation_loss"] for row in rows))


@pytest.mark.slow
def test_same_seed_same_weights_other_seed_others(tiny_recipe, tmp_path):
    one, two, three = tmp_path / "1", tmp_path / "2", tmp_path / "3"
    train(tiny_recipe(), one)
    train(tiny_recipe(), two)
    train(tiny_recipe(**{"training.seed": 1}), three)
    assert same(weights(one), weights(two))
    assert not same(weights(one), weights(three))


def test_every_caption_is_seen_once_an_epoch(tiny_recipe, tmp_path):
    training = prepare(tiny_recipe(), tmp_path / "run", device="cpu")
    train_rows = training.material.train_rows.tolist()
    validation_rows = training.material.validation_rows.tolist()
    for epoch in range(2):
        rows = [row for batch in training.batches(epoch) for row in batch.tolist()]
        assert sorted(rows) == train_rows
    assert not set(train_rows) & set(validation_rows)
    assert len(validation_rows) == 24
    assert len(training.captioner.memory) == len(train_rows)  # the last partial batch too


@pytest.mark.slow
def test_killed_runs_resume_bit_for_bit(tiny_recipe, tmp_path):
    recipe = tiny_recipe(
        **{
            "training.save_every": 3,
            "training.evaluate_every": 4,
            "training.epochs": 60,
            "decoder.dropout": 0.1,
        },
    )
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    train(recipe, whole)
    save_recipe(recipe, tmp_path / "recipe.toml")
    command = [
        sys.executable,
        "-m",
        "wsac",
        "train",
        "--recipe",
        str(tmp_path / "recipe.toml"),
        "--out",
        str(killed),
    ]
    killed_at, stopped = [], []
    for moment in (5, 30, 120):  # checkpoints seen before the kill
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL, env=os.environ)
        checkpoint, seen, last = killed / "checkpoint.safetensors", 0, 0
        while process.poll() is None and seen < moment:
            now = checkpoint.stat().st_mtime_ns if checkpoint.is_file() else 0
            seen, last = seen + (now != last), now
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        killed_at.append(process.wait())
        stopped.append(unfinished(killed))
    assert killed_at == [-signal.SIGKILL] * 3, "the run was over before it could be killed"
    assert all(re.fullmatch(r"step \d+ of 840", where) for where in stopped)
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    assert unfinished(killed) == unfinished(whole) == unfinished(tmp_path) == ""
    assert same(weights(whole), weights(killed))
    last = [load_file(run / "checkpoint.safetensors") for run in (whole, killed)]
    assert same(*last)
    assert (whole / "metrics.jsonl").read_text() == (killed / "metrics.jsonl").read_text()


@pytest.mark.slow
def test_a_run_goes_on_from_another_captioner(tiny_recipe, tmp_path, run):
    """Its decoder, vocabulary and shape, whatever the recipe has; and what is resumed is what was
    begun.
    """
    train(tiny_recipe(), tmp_path / "first")
    before = load_file(tmp_path / "first" / "decoder.safetensors")
    still = {
        "start": str(tmp_path / "first"),
        "training.learning_rate": 1e-12,
        "decoder.width": 32,
        "training.epochs": 1,
    }
    train(tiny_recipe(**still), tmp_path / "still")
    after = load_file(tmp_path / "still" / "decoder.safetensors")
    assert_close(before, after, rtol=0, atol=1e-9)
    tokenizers = [(tmp_path / name / "tokenizer.json").read_bytes() for name in ("first", "still")]
    assert tokenizers[0] == tokenizers[1]

    learning = tiny_recipe(start=str(tmp_path / "first"))
    train(learning, tmp_path / "second")
    first, second = (
        json.loads((tmp_path / name / "metrics.jsonl").read_text().splitlines()[0])
        for name in ("first", "second")
    )
    assert second["train_loss"] < first["train_loss"]
    assert not same(before, weights(tmp_path / "second"))
    (tmp_path / "other.txt").write_text("Bells ring\nA bell rings twice\n" * 20)
    code, _, err = run(
        "train",
        "-c",
        tmp_path / "other.txt",
        "--start",
        tmp_path / "first",
        "--clap",
        learning.clap,
        "--out",
        tmp_path / "third",
        "--epochs",
        "1",
    )
    assert code == 0, err
    train(tiny_recipe(**{"training.epochs": 2}), tmp_path / "new")
    for name in ("decoder.safetensors", "captioner.json"):
        shutil.copy(tmp_path / "new" / name, tmp_path / "first")
    with pytest.raises(RecipeError, match="changed since; give another --out"):
        train(learning, tmp_path / "second")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"start": "{run}"}, "the same folder as --out"),
        (
            {"start": "{first}", "prompt.count": 2, "prompt.tokens": 16},
            "reads prompts of 0 tokens, the recipe's have 16",
        ),
        ({"start": "{first}", "clap": "pocket"}, "trained with CLAP .*, but this is"),
        ({"start": "{nowhere}"}, "no captioner here"),
    ],
)
def test_what_cannot_be_gone_on_from(tiny_recipe, tmp_path, changes, message):
    if "first" in changes["start"]:
        train(tiny_recipe(**{"training.epochs": 1}), tmp_path / "first")
    given = changes | {
        "start": changes["start"].format(**{n: tmp_path / n for n in ("run", "first", "nowhere")})
    }
    with pytest.raises(WsacError, match=message):
        train(tiny_recipe(**given), tmp_path / "run")
    assert not (tmp_path / "run" / "recipe.toml").exists()


@pytest.mark.slow
def test_a_run_folder_keeps_to_its_recipe(tiny_recipe, tmp_path):
    train(tiny_recipe(**{"training.epochs": 1}), tmp_path / "run")
    with pytest.raises(
        RecipeError, match=r"another recipe \(changed: training\.\w+ was .*\); give another --out"
    ):
        train(tiny_recipe(**{"training.epochs": 2}), tmp_path / "run")


@pytest.mark.slow
def test_patience_ends_a_run_that_no_longer_improves(tiny_recipe, tmp_path):
    hopeless = {
        "training.patience": 2,
        "training.learning_rate": 1e-12,
        "training.evaluate_every": 5,
    }
    train(tiny_recipe(**hopeless, **{"bridge.train": "", "training.epochs": 50}), tmp_path / "run")
    rows = [
        json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    ]
    losses = [row["validation_loss"] for row in rows]
    assert len(rows) < 700 / 5
    assert all(loss >= min(losses[:-2]) for loss in losses[-2:])


@pytest.mark.slow
def test_near_duplicates_leave_the_memory(tiny_recipe, tmp_path, capsys):
    recipe = tiny_recipe(**{"training.epochs": 1, "memory.dedupe": 0.98})
    text = Path(recipe.corpus.captions[0])
    text.write_text(text.read_text() * 2)
    memory = train(recipe, tmp_path / "run").memory.embeddings
    cosines = memory @ memory.T - 2 * torch.eye(len(memory))
    assert 10 < len(memory) <= 240
    assert cosines.max() < 0.98
    assert "near-duplicates left out" in capsys.readouterr().err


@pytest.mark.slow
def test_changed_captions_are_not_resumed(tiny_recipe, tmp_path):
    recipe = tiny_recipe(**{"training.epochs": 1})
    train(recipe, tmp_path / "run")
    with (tmp_path / "captions.txt").open("a") as file:
        file.write("A wholly new caption\n")
    with pytest.raises(RecipeError, match="changed since; give another --out"):
        train(recipe, tmp_path / "run")


@pytest.mark.slow
def test_a_loss_that_is_not_finite_stops_the_run(tiny_recipe, tmp_path):
    with pytest.raises(ModelError, match="the loss is nan"):
        train(
            tiny_recipe(**{"training.learning_rate": 1e30, "training.warmup_steps": 0}),
            tmp_path / "run",
        )
    assert not (tmp_path / "run" / "captioner.json").exists()


def test_embeddings_are_made_once_and_keyed_by_model_and_text(
    clap, captions, tmp_path, monkeypatch
):
    first = embed_texts(clap, captions)
    monkeypatch.setattr(type(clap), "embed_text", lambda *_: pytest.fail("embedded again"))
    assert torch.equal(embed_texts(clap, captions), first)
    with pytest.raises(pytest.fail.Exception):
        embed_texts(clap, [*captions, "one more"])


def test_published_recipe_loads():
    recipe = load_recipe(
        Recipe, Path(__file__).parents[2] / "src" / "wsac" / "recipes" / "wsac.toml"
    )
    assert (recipe.decoder.layers, recipe.decoder.heads, recipe.decoder.width) == (4, 4, 768)
    assert (recipe.training.epochs, recipe.training.batch_size, recipe.decoder.prefix_length) == (
        30,
        64,
        1,
    )
