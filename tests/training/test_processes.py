"""Training in several processes gives the weights that one process gives, and only the first writes
and speaks.
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from wsac import train
from wsac.io.config import save_recipe
from wsac.training.distributed import Processes
from wsac.types import RecipeError

pytestmark = pytest.mark.slow


def test_alone_without_a_launcher(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    alone = Processes.here("cpu")
    assert alone.is_first
    assert alone.share(torch.arange(5)).tolist() == [0, 1, 2, 3, 4]
    assert alone.from_first(1.5) == 1.5
    assert alone.device("auto") == "auto"


def test_shares_hold_every_row_once():
    rows = torch.arange(11)
    shares = [Processes(rank, 3).share(rows).tolist() for rank in range(3)]
    assert sorted(row for share in shares for row in share) == rows.tolist()
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_without_accelerate_a_line_says_so(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(RecipeError, match=r"pip install 'wsac\[distributed\]'"):
        Processes.here("cpu")


needs_accelerate = pytest.mark.skipif(
    importlib.util.find_spec("accelerate") is None, reason="needs accelerate (wsac[distributed])"
)
LAUNCH = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
LAUNCH += ["-m", "wsac", "train", "--device", "cpu"]


def in_two(recipe, out):
    """The command that trains in two processes, with what it reads."""
    path = out.with_suffix(".toml")
    save_recipe(recipe, path)
    return [*LAUNCH, "--recipe", str(path), "--out", str(out), "--no-verdict"]


def log(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


@needs_accelerate
def test_two_processes_train_as_one(tiny_recipe, tmp_path):
    """Without dropout nothing differs but the order in which gradients are added up; with a rest in
    the last update, over 200 steps.
    """
    recipe = tiny_recipe(
        **{
            "training.batch_size": 15,
            "training.accumulate": 2,
            "training.precision": "float32",
            "training.epochs": 25,
            "training.evaluate_every": 10,
        }
    )
    one, two = tmp_path / "one", tmp_path / "two"
    train(recipe, one)
    done = subprocess.run(in_two(recipe, two), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("captions to train on") == 1
    assert "over the captions) in 2 processes" in done.stderr
    ours, theirs = (load_file(run / "decoder.safetensors") for run in (one, two))
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        torch.testing.assert_close(theirs[name], value, atol=2e-4, rtol=1e-3)
    for a, b in zip(log(one), log(two), strict=True):
        assert a["step"] == b["step"]
        assert a["validation_loss"] == pytest.approx(b["validation_loss"], abs=1e-4)
        assert a["train_loss"] == pytest.approx(b["train_loss"], abs=1e-4)
    assert log(one)[-1]["step"] == 200


@needs_accelerate
def test_a_killed_process_is_started_again(tiny_recipe, tmp_path):
    """Both stop when one is killed; the same command ends with the weights of a whole run."""
    recipe = tiny_recipe(
        **{"training.save_every": 5, "training.epochs": 30, "decoder.dropout": 0.1}
    )
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    subprocess.run(in_two(recipe, whole), check=True, capture_output=True, timeout=300)
    process = subprocess.Popen(
        in_two(recipe, killed), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while not (killed / "checkpoint.safetensors").is_file():
        assert process.poll() is None
        time.sleep(0.01)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(children[-1]), signal.SIGKILL)
    assert process.wait(timeout=120)
    assert not (killed / "decoder.safetensors").is_file() or log(killed) != log(whole)
    subprocess.run(in_two(recipe, killed), check=True, capture_output=True, timeout=300)
    assert (killed / "decoder.safetensors").read_bytes() == (
        whole / "decoder.safetensors"
    ).read_bytes()
    assert log(killed) == log(whole)
