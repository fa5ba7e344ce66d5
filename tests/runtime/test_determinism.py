"""Deterministic modes: set for CUDA alone, and put back.

What they do is tested on a GPU by the laws of training and by benchmarks/speed/gpu_determinism.py.
"""

from __future__ import annotations

import os
from contextlib import suppress

import pytest
import torch
from safetensors.torch import load_file
from torch.backends import cudnn
from torch.utils import deterministic as uninitialized

from wsac.runtime.determinism import deterministic, full_float32
from wsac.runtime.device import pick_device
from wsac.runtime.seeding import seed_for
from wsac.training.decoder import train
from wsac.types import RecipeError


def settings() -> dict[str, object]:
    return {
        "strict": torch.are_deterministic_algorithms_enabled(),
        "warns": torch.is_deterministic_algorithms_warn_only_enabled(),
        "cudnn": (cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32),
        "products": torch.backends.cuda.matmul.allow_tf32,
        "attention": (
            torch.backends.cuda.flash_sdp_enabled(),
            torch.backends.cuda.mem_efficient_sdp_enabled(),
            torch.backends.cuda.cudnn_sdp_enabled(),
        ),
        "filled": uninitialized.fill_uninitialized_memory,
    }


@pytest.fixture(autouse=True)
def own_environment(monkeypatch):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")  # so that it is put back
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")


def test_the_modes_of_cuda_are_set_and_put_back(monkeypatch):
    monkeypatch.setattr(cudnn, "benchmark", True)
    before = settings()
    with deterministic("cuda:0"):
        assert settings() == {
            "strict": True,
            "warns": False,
            "cudnn": (True, False, False),
            "products": False,
            "attention": (False, False, False),
            "filled": False,
        }
        assert torch.backends.cuda.math_sdp_enabled()
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    assert settings() == before
    with pytest.raises(KeyboardInterrupt), deterministic("cuda"):
        raise KeyboardInterrupt
    assert settings() == before


@pytest.mark.parametrize(("device", "own"), [("cuda", None), ("cuda:1", ":16:8"), ("cpu", None)])
def test_cublas_is_prepared_before_the_first_product(device, own, monkeypatch):
    """torch looks once in a process, so that captioning on a GPU must not come first."""
    if own:
        monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", own)
    with suppress(RecipeError):  # there may be no such device
        pick_device(device)
    wanted = own or (":4096:8" if device == "cuda" else None)
    assert os.environ.get("CUBLAS_WORKSPACE_CONFIG") == wanted


def test_full_float32_is_put_back():
    before = settings()
    with full_float32("cuda"):
        assert settings() == before | {"cudnn": (*before["cudnn"][:2], False), "products": False}
    assert settings() == before


def test_threads_inside_full_float32_at_once():
    """One leaves while another computes: spans are embedded and described at the same time."""
    before = settings()
    first, second = full_float32("cuda"), full_float32("cuda")
    first.__enter__()
    inside = settings()
    second.__enter__()
    first.__exit__(None, None, None)
    assert settings() == inside
    second.__exit__(None, None, None)
    assert settings() == before


@pytest.mark.parametrize(("device", "wanted"), [("cpu", True), ("mps", True), ("cuda", False)])
def test_nothing_changes_elsewhere(device, wanted):
    before = settings()
    with deterministic(device, wanted):
        assert settings() == before
    if device != "cuda":
        with full_float32(device):
            assert settings() == before
    assert "CUBLAS_WORKSPACE_CONFIG" not in os.environ


def test_an_operation_without_a_deterministic_form_is_one_line():
    words = "put_ does not have a deterministic implementation, but you set\n'x'"
    message = "but you set 'x'; --fast-nondet"
    with pytest.raises(RecipeError, match=message) as caught, deterministic("cuda"):
        raise RuntimeError(words)
    assert "\n" not in str(caught.value)
    with pytest.raises(RuntimeError, match="out of memory"), deterministic("cuda"):
        raise RuntimeError("out of memory")


@pytest.mark.slow
def test_the_option_changes_no_weight_on_a_cpu(tiny_recipe, tmp_path):
    """training.deterministic is on by default; before there was no such option."""
    for name, wanted in (("on", True), ("off", False)):
        recipe = tiny_recipe(**{"training.deterministic": wanted, "training.epochs": 1})
        train(recipe, tmp_path / name, device="cpu")
    on, off = (load_file(tmp_path / name / "checkpoint.safetensors") for name in ("on", "off"))
    assert on.keys() == off.keys()
    assert all(torch.equal(on[name], off[name]) for name in on)


@pytest.mark.slow
def test_the_option_of_the_command_line(run, captions, tmp_path):
    (tmp_path / "a.txt").write_text("\n".join(captions[:30]))
    sizes = "decoder.layers=1 decoder.width=16 decoder.heads=2 decoder.vocab_size=300".split()
    words = [word for size in sizes for word in ("--set", size)]
    code, _, err = run(
        *("train", "--captions", tmp_path / "a.txt", "--out", tmp_path / "run", "--epochs", 1),
        *("--fast-nondeterministic", "--device", "cpu", *words),
    )
    assert code == 0, err
    assert "deterministic = false" in (tmp_path / "run" / "recipe.toml").read_text()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_torch_seeds_the_device_too():
    drawn = []
    for _ in range(2):
        torch.manual_seed(seed_for(0, "dropout", 3))
        drawn.append(torch.rand(9, device="cuda"))
    assert torch.equal(*drawn)
