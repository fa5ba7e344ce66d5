"""Laws of the bridges: unit norm in, unit norm out; zero means zero; a seed repeats; formulas by hand."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file
from torch.testing import assert_close

from wsac.bridges import (
    Chain,
    EmbeddingShift,
    Identity,
    NearestNeighbour,
    NoiseInjection,
    Projection,
    inference_bridge,
    training_bridge,
)
from wsac.memory import SupportMemory
from wsac.types import ModelError, RecipeError


@pytest.fixture
def memory():
    rows = torch.randn(9, 16, generator=torch.Generator().manual_seed(4))
    return SupportMemory(torch.nn.functional.normalize(rows, dim=-1))


def every_bridge(memory):
    shift = torch.linspace(-0.1, 0.1, 16)
    noise, moved = NoiseInjection(0.05), EmbeddingShift(shift)
    return [Identity(), noise, moved, NearestNeighbour(memory), Projection(memory), Chain((moved, noise)), Chain(())]


def test_unit_norm_in_unit_norm_out(memory, embeddings):
    for bridge in every_bridge(memory):
        out = bridge(embeddings, torch.Generator().manual_seed(0))
        assert out.shape == embeddings.shape
        assert_close(out.norm(dim=-1), torch.ones(6))


def test_zero_means_zero_each_step_on_its_own(embeddings):
    rng = torch.Generator().manual_seed(0)
    assert_close(NoiseInjection(0.0)(embeddings, rng), embeddings, rtol=0, atol=0)
    assert_close(EmbeddingShift(torch.zeros(16))(embeddings), embeddings, rtol=0, atol=0)
    shift = EmbeddingShift(torch.full((16,), 0.1))
    assert_close(Chain((shift, NoiseInjection(0.0)))(embeddings, rng), shift(embeddings), rtol=0, atol=0)


def test_noise_repeats_with_its_seed_and_has_its_variance():
    x = torch.nn.functional.normalize(torch.ones(64, 4096), dim=-1)
    one, two = (NoiseInjection(0.016)(x, torch.Generator().manual_seed(7)) for _ in range(2))
    assert_close(one, two, rtol=0, atol=0)
    # |x + n|^2 is about 1 + 4096 * 0.016, and x has 1 of it along its axis
    assert float((one * x).sum(-1).mean()) == pytest.approx((1 + 4096 * 0.016) ** -0.5, rel=0.1)


def test_projection_is_the_formula_and_sharpens_to_the_nearest(memory, embeddings):
    m = memory.embeddings
    weights = torch.exp(embeddings @ m.T / 0.1)
    expected = (weights / weights.sum(-1, keepdim=True)) @ m
    assert_close(Projection(memory, 0.1)(embeddings), expected / expected.norm(dim=-1, keepdim=True))
    assert_close(Projection(memory, 1e-4)(embeddings), NearestNeighbour(memory)(embeddings))
    assert_close(NearestNeighbour(memory)(m), m)


def test_wrong_dimension_empty_memory_and_names(memory):
    with pytest.raises(ValueError, match="8 dimensions, the memory 16"):
        Projection(memory)(torch.ones(2, 8))
    with pytest.raises(ValueError, match="N > 0"):
        SupportMemory(torch.zeros(0, 16))
    with pytest.raises(RecipeError, match="ad, nnd, pd"):
        inference_bridge("pdd", memory)
    with pytest.raises(RecipeError, match="--bridge ad"):
        inference_bridge("pd", None)
    assert isinstance(inference_bridge("ad", None), Identity)


def test_training_bridge_reads_the_shift_even_without_noise(tmp_path, embeddings):
    """The original code skipped the shift when the noise was 0."""
    save_file({"shift": torch.full((16,), 0.2)}, tmp_path / "shift.safetensors")
    bridge = training_bridge(0.0, tmp_path / "shift.safetensors", dim=16)
    assert_close(bridge(embeddings), EmbeddingShift(torch.full((16,), 0.2))(embeddings))
    with pytest.raises(ModelError, match="the CLAP needs"):
        training_bridge(0.0, tmp_path / "shift.safetensors", dim=8)
    with pytest.raises(ModelError, match="no shift vector"):
        training_bridge(0.0, tmp_path / "absent.safetensors", dim=16)


@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-7), ("float16", 1e-3), ("int8", 1e-2)])
def test_memory_round_trip(memory, tmp_path, precision, tolerance):
    memory.save(tmp_path / "m.safetensors", precision)
    again = SupportMemory.load(tmp_path / "m.safetensors").embeddings
    assert_close(again, memory.embeddings, rtol=0, atol=tolerance)
    assert_close(again.norm(dim=-1), torch.ones(9))


def test_memory_sample_is_a_seeded_subset(memory):
    few = memory.sample(4, torch.Generator().manual_seed(0))
    assert len(few) == 4
    assert all((memory.embeddings == row).all(1).any() for row in few.embeddings)
    assert memory.sample(0, torch.Generator()) is memory
    assert memory.sample(99, torch.Generator()) is memory
