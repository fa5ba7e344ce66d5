"""Training in several processes gives the weights that one process gives, and only the first writes
and speaks.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys

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


@pytest.mark.skipif(
    importlib.util.find_spec("accelerate") is None, reason="needs accelerate (wsac[distributed])"
)
def test_two_processes_train_as_one(tiny_recipe, tmp_path):
    """Without dropout nothing differs but the order in which gradients are added up; with a rest in
    the last update.
    """
    recipe = tiny_recipe(
        **{"training.batch_size": 15, "training.accumulate": 2, "training.precision": "float32"}
    )
    one, two = tmp_path / "one", tmp_path / "two"
    train(recipe, one)
    save_recipe(recipe, tmp_path / "recipe.toml")
    launch = [
        sys.executable,
        "-m",
        "accelerate.commands.launch",
        "--cpu",
        "--main_process_port",
        "0",
    ]
    launch += [
        "--num_processes",
        "2",
        "--num_machines",
        "1",
        "--mixed_precision",
        "no",
        "--dynamo_backend",
        "no",
    ]
    launch += ["-m", "wsac", "train", "--recipe", str(tmp_path / "recipe.toml"), "--out", str(two)]
    done = subprocess.run(launch, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("captions to train on") == 1
    ours, theirs = (load_file(run / "decoder.safetensors") for run in (one, two))
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        torch.testing.assert_close(theirs[name], value, atol=2e-4, rtol=1e-3)
    logs = [
        [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        for run in (one, two)
    ]
    for a, b in zip(*logs, strict=True):
        assert a["step"] == b["step"]
        assert a["validation_loss"] == pytest.approx(b["validation_loss"], abs=1e-4)
        assert a["train_loss"] == pytest.approx(b["train_loss"], abs=1e-4)
