"""Laws of the bridges: unit norm in, unit norm out; zero means zero; a seed repeats; formulas by
hand.
"""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from miniatures.unit_embeddings import unit
from wsac.bridges import (
    KINDS,
    BridgeContext,
    inference_bridge,
    nearest,
    nearest_rows,
    retrieval,
    training_bridge,
)
from wsac.bridges import memory as memory_module
from wsac.bridges.gap import fit_gap
from wsac.bridges.memory import SupportMemory
from wsac.bridges.noise import NoiseInjection, ProjectedTexts, ShapedNoise, UniformNoise
from wsac.bridges.retrieval import NearestNeighbour, Projection, Santa, TopMean


def functions(stage, name, context, **options):
    """The bridge as functions of an embedding and a generator: both sides of a head."""
    kind = KINDS[stage, name]
    bridge = kind.make(**options, **{need: getattr(context, need) for need in kind.needs})
    if stage == "head":
        return [lambda e, rng: bridge.text(e), lambda e, rng: bridge.audio(e)]
    return [bridge]


@pytest.mark.parametrize(("stage", "name"), list(KINDS))
@settings(max_examples=25, deadline=None)
@given(rows=st.integers(1, 20), seed=st.integers(0, 10_000))
def test_laws(stage, name, context, rows, seed):
    """Shape, unit norm, the same result for the same generator, no change of the input, each row on
    its own.
    """
    embedding = unit(rows, seed)
    before = embedding.clone()
    for bridge in functions(stage, name, context):
        out = bridge(embedding, torch.Generator().manual_seed(seed))
        assert out.shape == embedding.shape
        assert out.dtype == torch.float32
        assert_close(out.norm(dim=-1), torch.ones(rows))
        assert torch.equal(bridge(embedding, torch.Generator().manual_seed(seed)), out)
        assert torch.equal(embedding, before)
        if stage != "training":
            assert_close(bridge(embedding[-1:], None), out[-1:])


@pytest.mark.parametrize(
    ("stage", "name", "options"),
    [
        ("training", "noise", {"variance": 0.0}),
        ("training", "uniform", {"radius": 0.0}),
        ("training", "shaped", {"variance": 0.0}),
        ("training", "replace", {"share": 0.0}),
        ("training", "mix", {"most": 0.0}),
        ("training", "project", {"share": 0.0}),
        ("inference", "ad", {}),
        ("inference", "santa", {"weight": 1.0}),
    ],
)
def test_zero_means_zero(stage, name, options, context):
    [bridge] = functions(stage, name, context, **options)
    embedding = unit(6, 3)
    assert_close(bridge(embedding, torch.Generator().manual_seed(0)), embedding, rtol=0, atol=1e-7)


def test_no_gap_is_no_shift(context):
    text = context.memory.embeddings
    none = BridgeContext(gap=fit_gap(text, text))
    embedding = unit(6, 3)
    assert torch.equal(inference_bridge("shift", none)(embedding), embedding)
    assert torch.equal(training_bridge("shift", none)(embedding), embedding)
    assert_close(inference_bridge("coral", none)(embedding), embedding, rtol=0, atol=1e-4)


def test_noise_has_its_variance():
    x = F.normalize(torch.ones(64, 4096), dim=-1)
    rng = torch.Generator().manual_seed(7)
    # |x + n|^2 is about 1 + 4096 * 0.016, and x has 1 of it along its axis
    cosine = float((NoiseInjection(0.016)(x, rng) * x).sum(-1).mean())
    assert cosine == pytest.approx((1 + 4096 * 0.016) ** -0.5, rel=0.1)
    far = (UniformNoise(0.5)(x, rng) * x).sum(-1)  # at radius 0.5 the cosine is 1 / sqrt(1.25)
    assert float(far.min()) == pytest.approx(1.25**-0.5, abs=0.01)
    assert float(far.max()) > 0.99


def test_shaped_noise_points_where_paraphrases_differ():
    """The memory varies along the first two axes of 32 only."""
    rows = torch.zeros(300, 32)
    rows[:, 2] = 1
    rows[:, :2] = 0.3 * torch.randn(300, 2, generator=torch.Generator().manual_seed(0))
    memory = SupportMemory(F.normalize(rows, dim=-1))
    noise = ShapedNoise(memory, 0.002)
    start = memory.embeddings[:1].expand(4000, -1)
    moved = noise(start, torch.Generator().manual_seed(1)) - start
    spread = moved.var(dim=0)
    assert float(spread[:2].sum() / spread.sum()) > 0.9
    drawn = torch.randn(20_000, 32, generator=torch.Generator().manual_seed(2)) @ noise._root.T
    assert float(drawn.square().sum(1).mean()) == pytest.approx(32 * 0.002, rel=0.05)


def test_projection_is_the_formula_and_sharpens_to_the_nearest(context):
    m, x = context.memory.embeddings, unit(6, 3)
    for bridge, temperature in (
        (Projection(context.memory, 0.1), 0.1),
        (Projection(context.memory, 0.0, 0.07), 0.07),
    ):
        weights = torch.exp(x.double() @ m.T.double() / temperature)
        expected = (weights / weights.sum(-1, keepdim=True)) @ m.double()
        assert_close(bridge(x), F.normalize(expected, dim=-1).float())
    assert_close(Projection(context.memory, 1e-5)(x), NearestNeighbour(context.memory)(x))
    assert_close(NearestNeighbour(context.memory)(m), m)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 1000),
    tile=st.integers(1, 100),
    k=st.integers(1, 120),
    rows=st.integers(0, 9),
)
def test_tiles_change_nothing(context, seed, tile, k, rows):
    memory, x = context.memory, unit(rows, seed)
    scores = (x @ memory.embeddings.T).topk(min(k, 90), dim=1).values
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory_module, "TILE", tile * memory.dim)
        patch.setattr(retrieval, "ROWS", 4)
        again, same = nearest_rows(x, memory, k)
        projected = Projection(memory)(x)
        if rows:
            # tiles round differently, so rows whose scores are equal but for that may change places
            cosines = (x @ memory.embeddings.T).gather(1, same)
            assert_close(cosines, scores, rtol=0, atol=1e-6)
            assert_close(again, scores)
            assert all(len(set(row)) == len(row) for row in same.tolist())
            assert_close(nearest(x, memory, k)[1], memory.embeddings[same])
    assert_close(projected, Projection(memory)(x))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_million_entries_are_streamed():
    """In a process of its own: what projection takes beside the memory, and how far it is from the
    formula.
    """
    code = """
import torch
from pathlib import Path
import torch.nn.functional as F
from wsac.bridges.memory import SupportMemory
from wsac.bridges.retrieval import Projection
rng = torch.Generator().manual_seed(0)
memory = SupportMemory(F.normalize(torch.randn(1_000_000, 64, generator=rng), dim=-1))
x = F.normalize(torch.randn(64, 64, generator=rng), dim=-1)
peak = lambda: int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024
bridge = Projection(memory)
bridge(x[:1])
before = peak()
out = bridge(x)
grown = peak() - before
direct = F.normalize((x @ memory.embeddings.T / 0.01).softmax(-1) @ memory.embeddings, dim=-1)
print(grown, float((out - direct).abs().max()))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    megabytes, apart = map(float, done.stdout.split())
    assert megabytes < 100
    assert apart < 1e-5


def test_top_mean_and_santa_by_hand(context):
    m, x = context.memory.embeddings, unit(3, 5)
    for row, out, blend in zip(
        x, TopMean(context.memory, 4)(x), Santa(context.memory, 4, 0.6, 10.0)(x), strict=True
    ):
        best = (m @ row).argsort(descending=True)[:4]
        assert_close(out, F.normalize(m[best].mean(0), dim=-1))
        weights = torch.softmax(10 * m[best] @ row, 0)
        assert_close(blend, F.normalize(0.6 * row + 0.4 * weights @ m[best], dim=-1))


def test_projected_texts_leave_themselves_out(context):
    m = context.memory.embeddings
    bridge = ProjectedTexts(context.memory, share=1.0, temperature=1e-4, k=10)
    similarity = m @ m.T
    similarity.fill_diagonal_(-1)
    assert_close(bridge(m, torch.Generator().manual_seed(0)), m[similarity.argmax(1)])
    half = ProjectedTexts(context.memory, share=0.5)(m, torch.Generator().manual_seed(0))
    unchanged = (half == m).all(1).float().mean()
    assert 0.3 < float(unchanged) < 0.7


@pytest.mark.parametrize("name", ["replace", "mix"])
def test_neighbours_are_others(name, context):
    m = context.memory.embeddings
    [bridge] = functions(
        "training", name, context, k=3, **({"share": 1.0} if name == "replace" else {"most": 1.0})
    )
    order = (m @ m.T).argsort(dim=1, descending=True)[:, 1:4]
    seen = set()
    for seed in range(20):
        out = bridge(m, torch.Generator().manual_seed(seed))
        if name == "replace":
            place = (out[:, None] == m[order]).all(-1)
            assert bool(place.any(1).all())
            seen |= set(place.float().argmax(1).tolist())
    assert name == "mix" or seen == {0, 1, 2}


def test_shift_and_centre_by_hand(context):
    gap, x = context.gap, unit(5, 8)
    shift = gap.audio_mean - gap.text_mean
    assert_close(inference_bridge("shift", context)(x), F.normalize(x - shift, dim=-1))
    assert_close(training_bridge("shift", context)(x), F.normalize(x + shift, dim=-1))
    centred = F.normalize(x - gap.text_mean, dim=-1)
    assert_close(training_bridge("centre+noise:variance=0", context)(x), centred)
    # in captioning a head acts by the side of the space that the bridge ends in
    assert_close(
        inference_bridge("ad", context, "centre+noise")(x),
        F.normalize(x - gap.audio_mean, dim=-1),
    )
    projected = Projection(context.memory)(x)
    assert_close(
        inference_bridge("pd", context, "noise+centre")(x),
        F.normalize(projected - gap.text_mean, dim=-1),
    )
    assert_close(inference_bridge("ad", context, "shift")(x), x)
    assert_close(
        inference_bridge("shift+pd", context)(x),
        Projection(context.memory)(F.normalize(x - shift, dim=-1)),
    )


@pytest.mark.parametrize(
    ("precision", "tolerance"), [("float32", 1e-7), ("float16", 1e-3), ("int8", 1e-2)]
)
def test_memory_round_trip(context, tmp_path, precision, tolerance):
    memory = context.memory
    memory.save(tmp_path / "m.safetensors", precision)
    again = SupportMemory.load(tmp_path / "m.safetensors").embeddings
    assert_close(again, memory.embeddings, rtol=0, atol=tolerance)
    assert_close(again.norm(dim=-1), torch.ones(90))


def test_memory_sample_is_a_seeded_subset(context):
    memory = context.memory
    rows = memory.sample_rows(4, torch.Generator().manual_seed(0))
    assert len(rows.unique()) == 4
    assert torch.equal(rows, rows.sort().values)
    assert torch.equal(memory.only(rows).embeddings, memory.embeddings[rows])
    for size in (0, 99):
        assert torch.equal(memory.sample_rows(size, torch.Generator()), torch.arange(90))
