"""Laws of the bridges: unit norm in, unit norm out; zero means zero; a seed repeats; formulas by hand; how they are
written down and what they need."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from wsac.bridges import (
    KINDS,
    BridgeContext,
    Coral,
    Identity,
    NearestNeighbour,
    NoiseInjection,
    PlsHead,
    ProjectedTexts,
    Projection,
    Santa,
    ShapedNoise,
    TopMean,
    UniformNoise,
    inference_bridge,
    nearest,
    nearest_rows,
    parse,
    retrieval,
    training_bridge,
)
from wsac.bridges import memory as memory_module
from wsac.bridges.gap import Gap, fit_gap, fit_pls, fit_rotation, fit_transport, mutual_neighbours
from wsac.bridges.memory import SupportMemory
from wsac.types import ModelError, RecipeError

DIM = 16
EVERY = [(stage, name) for stage, name in KINDS]


def unit(rows: int, seed: int, dim: int = DIM, offset: float = 0.0) -> torch.Tensor:
    return F.normalize(
        torch.randn(rows, dim, generator=torch.Generator().manual_seed(seed)) + offset, dim=-1
    )


@pytest.fixture(scope="module")
def given_all():
    text, audio = unit(90, 1, offset=0.3), unit(90, 2, offset=-0.4)
    return BridgeContext(SupportMemory(text), fit_gap(text, audio, paired=True), 0.05)


def functions(stage, name, given_all, **options):
    """The bridge as functions of an embedding and a generator: both sides of a head."""
    bridge = KINDS[stage, name].make(**options, **wanted(stage, name, given_all))
    if stage == "head":
        return [lambda e, rng: bridge.text(e), lambda e, rng: bridge.audio(e)]
    return [bridge]


def wanted(stage, name, given_all):
    fields = KINDS[stage, name].make.__dataclass_fields__
    return {
        key: getattr(given_all, key)
        for key in ("memory", "gap", "clap_temperature")
        if key in fields
    }


@pytest.mark.parametrize(("stage", "name"), EVERY)
@settings(max_examples=25, deadline=None)
@given(rows=st.integers(1, 20), seed=st.integers(0, 10_000))
def test_laws(stage, name, given_all, rows, seed):
    """Shape, unit norm, the same result for the same generator, no change of the input, each row on its own."""
    embedding = unit(rows, seed)
    before = embedding.clone()
    for bridge in functions(stage, name, given_all):
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
def test_zero_means_zero(stage, name, options, given_all):
    [bridge] = functions(stage, name, given_all, **options)
    embedding = unit(6, 3)
    assert_close(bridge(embedding, torch.Generator().manual_seed(0)), embedding, rtol=0, atol=1e-7)


def test_no_gap_is_no_shift(given_all):
    text = given_all.memory.embeddings
    none = BridgeContext(gap=fit_gap(text, text))
    embedding = unit(6, 3)
    assert torch.equal(inference_bridge("shift", none)(embedding), embedding)
    assert torch.equal(training_bridge("shift", none)(embedding), embedding)
    assert_close(inference_bridge("coral", none)(embedding), embedding, rtol=0, atol=1e-4)


# -- formulas --------------------------------------------------------------------------------------------------------
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


def test_projection_is_the_formula_and_sharpens_to_the_nearest(given_all):
    m, x = given_all.memory.embeddings, unit(6, 3)
    for bridge, temperature in (
        (Projection(given_all.memory, 0.1), 0.1),
        (Projection(given_all.memory, 0.0, 0.07), 0.07),
    ):
        weights = torch.exp(x.double() @ m.T.double() / temperature)
        expected = (weights / weights.sum(-1, keepdim=True)) @ m.double()
        assert_close(bridge(x), F.normalize(expected, dim=-1).float())
    assert_close(Projection(given_all.memory, 1e-5)(x), NearestNeighbour(given_all.memory)(x))
    assert_close(NearestNeighbour(given_all.memory)(m), m)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 1000),
    tile=st.integers(1, 100),
    k=st.integers(1, 120),
    rows=st.integers(0, 9),
)
def test_tiles_change_nothing(given_all, seed, tile, k, rows):
    memory, x = given_all.memory, unit(rows, seed)
    scores, found = (x @ memory.embeddings.T).topk(min(k, 90), dim=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory_module, "TILE", tile * memory.dim)
        patch.setattr(retrieval, "ROWS", 4)
        again, same = nearest_rows(x, memory, k)
        projected = Projection(memory)(x)
        if rows:
            assert torch.equal(same, found)
            assert_close(again, scores)
            assert_close(nearest(x, memory, k)[1], memory.embeddings[found])
    assert_close(projected, Projection(memory)(x))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_million_entries_are_streamed():
    """In a process of its own: what projection takes beside the memory, and how far it is from the formula."""
    code = """
import torch
from pathlib import Path
import torch.nn.functional as F
from wsac.bridges import Projection
from wsac import memory as memory_module
from wsac.bridges.memory import SupportMemory
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


def test_top_mean_and_santa_by_hand(given_all):
    m, x = given_all.memory.embeddings, unit(3, 5)
    for row, out, blend in zip(
        x, TopMean(given_all.memory, 4)(x), Santa(given_all.memory, 4, 0.6, 10.0)(x), strict=True
    ):
        best = (m @ row).argsort(descending=True)[:4]
        assert_close(out, F.normalize(m[best].mean(0), dim=-1))
        weights = torch.softmax(10 * m[best] @ row, 0)
        assert_close(blend, F.normalize(0.6 * row + 0.4 * weights @ m[best], dim=-1))


def test_projected_texts_leave_themselves_out(given_all):
    m = given_all.memory.embeddings
    bridge = ProjectedTexts(given_all.memory, share=1.0, temperature=1e-4, k=10)
    similarity = m @ m.T
    similarity.fill_diagonal_(-1)
    assert_close(bridge(m, torch.Generator().manual_seed(0)), m[similarity.argmax(1)])
    half = ProjectedTexts(given_all.memory, share=0.5)(m, torch.Generator().manual_seed(0))
    kept = (half == m).all(1).float().mean()
    assert 0.3 < float(kept) < 0.7


@pytest.mark.parametrize("name", ["replace", "mix"])
def test_neighbours_are_others(name, given_all):
    m = given_all.memory.embeddings
    [bridge] = functions(
        "training", name, given_all, k=3, **({"share": 1.0} if name == "replace" else {"most": 1.0})
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


def test_shift_and_centre_by_hand(given_all):
    gap, x = given_all.gap, unit(5, 8)
    shift = gap.audio_mean - gap.text_mean
    assert_close(inference_bridge("shift", given_all)(x), F.normalize(x - shift, dim=-1))
    assert_close(training_bridge("shift", given_all)(x), F.normalize(x + shift, dim=-1))
    centred = F.normalize(x - gap.text_mean, dim=-1)
    assert_close(training_bridge("centre+noise:variance=0", given_all)(x), centred)
    # in captioning a head acts by the side of the space that the bridge ends in
    assert_close(
        inference_bridge("ad", given_all, "centre+noise")(x),
        F.normalize(x - gap.audio_mean, dim=-1),
    )
    projected = Projection(given_all.memory)(x)
    assert_close(
        inference_bridge("pd", given_all, "noise+centre")(x),
        F.normalize(projected - gap.text_mean, dim=-1),
    )
    assert_close(inference_bridge("ad", given_all, "shift")(x), x)
    assert_close(
        inference_bridge("shift+pd", given_all)(x),
        Projection(given_all.memory)(F.normalize(x - shift, dim=-1)),
    )


def test_coral_gives_sounds_the_mean_and_covariance_of_texts():
    rng = torch.Generator().manual_seed(0)
    mixing = torch.randn(DIM, DIM, generator=rng)
    text = 0.02 * torch.randn(5000, DIM, generator=rng) @ mixing + 0.5
    audio = 0.02 * torch.randn(5000, DIM, generator=rng) - 0.3
    gap = fit_gap(text, audio)
    bridge = Coral(gap, 1e-6)
    moved = gap.text_mean + (audio - gap.audio_mean) @ bridge._map  # before the norm
    assert_close(moved.mean(0), gap.text_mean, rtol=0, atol=1e-5)
    assert_close(moved.T.cov(), gap.text_covariance, rtol=0.02, atol=1e-6)
    assert_close(bridge(audio), F.normalize(moved, dim=-1))


@pytest.mark.parametrize(
    ("fit", "name"), [(fit_rotation, "procrustes"), (fit_transport, "wasserstein")]
)
def test_a_rotation_is_found_without_pairs(fit, name):
    """Sounds are texts turned a little, shuffled and moved: the rotation is found from the shapes alone."""
    rng = torch.Generator().manual_seed(3)
    centres = F.normalize(torch.randn(40, DIM, generator=rng), dim=-1)
    text = F.normalize(
        centres[torch.randint(40, (600,), generator=rng)]
        + 0.05 * torch.randn(600, DIM, generator=rng),
        dim=-1,
    )
    skew = 0.15 * torch.randn(DIM, DIM, generator=rng)
    turn = torch.linalg.matrix_exp(skew - skew.T)
    audio = F.normalize(text[torch.randperm(600, generator=rng)] @ turn.T + 0.2, dim=-1)
    rotation = fit(text, audio)
    assert_close(rotation @ rotation.T, torch.eye(DIM), rtol=0, atol=1e-5)
    gap = fit_gap(text, audio)
    right = F.normalize(text @ turn.T + 0.2, dim=-1)  # row by row the sound of each text
    turned, shifted = (
        float((bridge(right) * text).sum(1).mean())
        for bridge in (
            inference_bridge(name, BridgeContext(gap=gap)),
            inference_bridge("shift", BridgeContext(gap=gap)),
        )
    )
    assert turned > 0.9
    assert turned > shifted + 0.1


@pytest.mark.parametrize("fit", [fit_rotation, fit_transport])
def test_what_few_sounds_do_not_tell_is_not_turned(fit):
    """Four sounds span three directions from their mean; all others of a space of many stay where they were."""
    rng = torch.Generator().manual_seed(1)
    text, audio = (F.normalize(torch.randn(n, 64, generator=rng), dim=-1) for n in (50, 4))
    rotation = fit(text, audio)
    assert_close(rotation @ rotation.T, torch.eye(64), rtol=0, atol=1e-5)
    turned = torch.linalg.svdvals(rotation - torch.eye(64)) > 1e-4
    assert int(turned.sum()) <= 6  # within sounds and their texts
    assert torch.equal(fit(text, audio), rotation)


def test_pls_head_against_numpy():
    text, audio = unit(200, 1), unit(200, 2)
    t, a = (
        x.numpy().astype(np.float64) - x.numpy().astype(np.float64).mean(0) for x in (text, audio)
    )
    u, _, vt = np.linalg.svd(t.T @ a)
    gap = fit_gap(text, audio, paired=True)
    head = PlsHead(gap, 5)
    x = unit(7, 9)
    left = (x.numpy() - gap.text_mean.numpy()) @ u[:, :5]
    right = (x.numpy() - gap.audio_mean.numpy()) @ vt[:5].T
    # the head puts directions back by U: cosines between any two outputs are those of the K coordinates
    for one, other, out in (
        (left, left, head.text(x) @ head.text(x).T),
        (left, right, head.text(x) @ head.audio(x).T),
    ):
        norm = np.linalg.norm(one, axis=1)[:, None] * np.linalg.norm(other, axis=1)[None]
        assert_close(out.numpy(), (one @ other.T / norm).astype(np.float32), rtol=1e-4, atol=1e-5)
    shared = unit(300, 4, 3)
    map_t, map_a = torch.randn(3, DIM), torch.randn(3, DIM)
    both = fit_pls(shared @ map_t, shared @ map_a, 3)
    assert float(((shared @ map_t) @ both[0]).var(0).sum() / (shared @ map_t).var(0).sum()) > 0.999


def test_mutual_neighbours():
    one, other = torch.eye(5)[:4], torch.eye(5)[[2, 0, 4]]
    rows, columns = mutual_neighbours(one, other)
    assert {(int(r), int(c)) for r, c in zip(rows, columns, strict=True)} >= {(2, 0), (0, 1)}


def test_a_hub_is_not_everyones_neighbour():
    """Each sound is near its own text, but nearer still to a text that lies in the middle of all sounds."""
    one = F.normalize(torch.eye(6)[:5] + 0.5, dim=-1)
    hub = F.normalize(one.mean(0), dim=-1)
    other = torch.cat((F.normalize(one - 0.9 * hub, dim=-1), hub[None]))
    assert (one @ other.T).argmax(1).tolist() == [5] * 5
    rows, columns = mutual_neighbours(one, other)
    assert {(i, i) for i in range(5)} <= {
        (int(r), int(c)) for r, c in zip(rows, columns, strict=True)
    }


# -- how they are written, what they need ----------------------------------------------------------------------------
def test_specs(given_all):
    assert isinstance(inference_bridge("", given_all), Identity)
    [(kind, options)] = parse("santa:k=8,weight=0.5", "inference")
    assert (kind.name, options) == ("santa", {"k": 8, "weight": 0.5})
    bridge = inference_bridge(" topk:k=3 + pd : temperature = 0.5 ", given_all)
    x = unit(4, 2)
    assert_close(bridge(x), Projection(given_all.memory, 0.5)(TopMean(given_all.memory, 3)(x)))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("pdd", "'pdd': unknown here; did you mean 'pd'? choose of"),
        (
            "pd,nnd",
            "'pd,nnd': unknown here; + joins bridges into one, wsac tune compares those of --bridge given again;",
        ),
        ("santa:sharp=3", "no option 'sharp=3'; did you mean 'sharpness'? it has k=32"),
        ("noise", "'noise': is for training; for inference choose of ad,"),
        ("pd:heat=3", "no option 'heat=3'; it has temperature=0.01"),
        ("pd:0.3", "no option '0.3'"),
        ("ad:k=3", "it has none"),
        ("topk:k=many", "k=many is no number"),
        ("topk:k=0", "k 0: give 1 or more"),
        ("pd:temperature=nan", "temperature nan"),
        ("santa:weight=2", "from 0 to 1"),
        ("coral:shrinkage=0", "shrinkage 0.0"),
    ],
)
def test_wrong_specs_say_what_is_wrong(spec, message, given_all):
    with pytest.raises(RecipeError) as error:
        inference_bridge(spec, given_all)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("noise:variance=inf", "variance inf"),
        ("noise:variance=-1", "variance -1.0"),
        ("replace:share=2", "from 0 to 1"),
        ("replace:k=0", "k 0: give 1 or more"),
        ("mix:k=0", "k 0: give 1 or more"),
        ("project:temperature=0", "above 0"),
        ("pd", "'pd': is for inference; for training choose of"),
    ],
)
def test_wrong_training_specs(spec, message, given_all):
    with pytest.raises(RecipeError) as error:
        training_bridge(spec, given_all)
    assert message in str(error.value)


def test_what_is_missing_is_named(given_all):
    with pytest.raises(RecipeError, match="--bridge ad"):
        inference_bridge("pd", BridgeContext())
    with pytest.raises(RecipeError, match="wsac gap --save"):
        inference_bridge("shift", BridgeContext(given_all.memory))
    unpaired = BridgeContext(gap=fit_gap(unit(30, 1), unit(40, 2)))
    for make in (
        lambda: inference_bridge("pls", unpaired),
        lambda: training_bridge("pls+noise", unpaired),
    ):
        with pytest.raises(RecipeError, match="--pairs"):
            make()
    with pytest.raises(ValueError, match="8 dimensions, the memory 16"):
        Projection(given_all.memory)(torch.ones(2, 8))
    with pytest.raises(ValueError, match="N > 0"):
        SupportMemory(torch.zeros(0, 16))


# -- files -----------------------------------------------------------------------------------------------------------
def test_gap_round_trip(given_all, tmp_path):
    given_all.gap.save(tmp_path / "gap.safetensors")
    again = Gap.load(tmp_path / "gap.safetensors")
    x = unit(4, 1)
    for spec in ("shift", "coral", "procrustes", "wasserstein", "pls"):
        assert torch.equal(
            inference_bridge(spec, BridgeContext(gap=again))(x),
            inference_bridge(spec, given_all)(x),
        )
    unpaired = fit_gap(unit(30, 1), unit(40, 2), fingerprint="some")
    unpaired.save(tmp_path / "u.safetensors")
    assert Gap.load(tmp_path / "u.safetensors").pls_text is None
    assert Gap.load(tmp_path / "u.safetensors", fingerprint="some").fingerprint == "some"
    with pytest.raises(ModelError, match="the gap of CLAP some, not of other"):
        Gap.load(tmp_path / "u.safetensors", fingerprint="other")


def test_wrong_gaps(tmp_path, given_all):
    given_all.gap.save(tmp_path / "gap.safetensors")
    given_all.memory.save(tmp_path / "memory.safetensors")
    (tmp_path / "text").write_text("no tensors")
    for name, message in (
        ("memory.safetensors", "not a gap file"),
        ("text", "not a gap file"),
        ("absent", "no such file; wsac gap --save"),
    ):
        with pytest.raises(ModelError, match=message):
            Gap.load(tmp_path / name)
    with pytest.raises(ModelError, match="two of each"):
        fit_gap(unit(1, 1), unit(5, 1))
    with pytest.raises(ModelError, match="are no pairs"):
        fit_gap(unit(4, 1), unit(5, 1), paired=True)


@pytest.mark.parametrize(
    ("precision", "tolerance"), [("float32", 1e-7), ("float16", 1e-3), ("int8", 1e-2)]
)
def test_memory_round_trip(given_all, tmp_path, precision, tolerance):
    memory = given_all.memory
    memory.save(tmp_path / "m.safetensors", precision)
    again = SupportMemory.load(tmp_path / "m.safetensors").embeddings
    assert_close(again, memory.embeddings, rtol=0, atol=tolerance)
    assert_close(again.norm(dim=-1), torch.ones(90))


def test_memory_sample_is_a_seeded_subset(given_all):
    memory = given_all.memory
    few = memory.sample(4, torch.Generator().manual_seed(0))
    assert len(few) == 4
    assert all((memory.embeddings == row).all(1).any() for row in few.embeddings)
    assert memory.sample(0, torch.Generator()) is memory
    assert memory.sample(99, torch.Generator()) is memory
