"""A frozen language model split over processes learns what it learns as a whole."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

from miniatures.language_models import write_lm
from wsac import train
from wsac.io.config import save_recipe
from wsac.training.distributed import Processes
from wsac.training.sharding import check_shard
from wsac.training.steps import DecoderTraining
from wsac.types import RecipeError

LAUNCH = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
LAUNCH += ["-m", "wsac", "train", "--device", "cpu"]


@pytest.fixture
def lora_recipe(tiny_recipe, captions, tmp_path):
    """A tiny llama with LoRA; the last update of 41 captions has one row."""
    model = write_lm("llama", tmp_path / "llama", captions)
    (tmp_path / "few.txt").write_text("\n".join(captions[:41]) + "\n", encoding="utf-8")
    decoder = {"kind": "llm", "model": str(model), "lora_rank": 2, "prefix_length": 2}
    decoder |= {"max_tokens": 16, "dtype": "float32"}
    strange = {"layers": 2, "heads": 4, "width": 256, "vocab_size": 0}
    return tiny_recipe(
        **{f"decoder.{name}": value for name, value in (strange | decoder).items()},
        **{"corpus.captions": [str(tmp_path / "few.txt")], "corpus.validation": 0.0},
        **{"training.batch_size": 5, "training.accumulate": 4, "training.epochs": 8},
        **{"training.precision": "float32", "training.learning_rate": 0.01},
        **{"training.evaluate_every": 6, "training.save_every": 6},
    )


def losses(folder):
    rows = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    return [(row["step"], row["train_loss"], row["validation_loss"]) for row in rows]


def test_batches_are_as_many_in_each_process_and_hold_every_row_once():
    for count in (1, 2, 3):
        for size in range(1, 12):
            rows, seen, lengths = torch.arange(size), [], set()
            for rank in range(count):
                batches = list(Processes(rank, count).batches(rows, 3))
                lengths.add(len(batches))
                assert all(0 < len(batch) <= 3 for batch, _ in batches)
                seen += [row for batch, counts in batches if counts for row in batch.tolist()]
            assert sorted(seen) == rows.tolist()
            assert len(lengths) == 1


def test_what_cannot_be_split_is_said_before_training(tiny_recipe, tmp_path):
    llm = {"decoder.kind": "llm", "decoder.model": "x", "decoder.vocab_size": 0}
    llm |= {"decoder.layers": 2, "decoder.heads": 4, "decoder.width": 256}
    two = Processes(0, 2)
    check_shard(tiny_recipe(**llm), two)
    with pytest.raises(RecipeError, match="set that to 0"):
        check_shard(tiny_recipe(**llm, **{"training.average": 0.9}), two)
    with pytest.raises(RecipeError, match="this transformer is trained whole; leave it out"):
        check_shard(tiny_recipe(), two)
    with pytest.raises(RecipeError, match="only one process; start it with torchrun"):
        train(tiny_recipe(), tmp_path / "run", device="cpu", shard=True)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.skipif(
    not (importlib.util.find_spec("accelerate") and importlib.util.find_spec("peft")),
    reason="needs accelerate and peft (wsac[distributed,llm])",
)
def test_two_halves_learn_what_the_whole_learns(lora_recipe, tmp_path, stop_at):
    """The losses and adapters of one process, whose half of a run they end."""
    path, one, two = tmp_path / "recipe.toml", tmp_path / "one", tmp_path / "two"
    save_recipe(lora_recipe, path)
    train(lora_recipe, one, device="cpu")
    with stop_at(DecoderTraining, 13):
        train(lora_recipe, two, device="cpu")
    command = [*LAUNCH, "--recipe", str(path), "--out", str(two), "--no-verdict", "--shard"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    assert "resuming at step 12 of 24" in done.stderr
    [line] = [line for line in done.stderr.splitlines() if "are split over 2 processes" in line]
    assert int(line.partition("%")[0]) > 40
    assert losses(one)[-1][0] == 24
    for ours, theirs in zip(losses(one), losses(two), strict=True):
        assert ours == pytest.approx(theirs, abs=1e-4)
    ours, theirs = (load_file(run / "decoder.safetensors") for run in (one, two))
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        torch.testing.assert_close(theirs[name], value, atol=2e-4, rtol=1e-3)
