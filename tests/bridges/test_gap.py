"""What is fitted on texts and sounds, with and without pairs, and the file that holds it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from miniatures.unit_embeddings import unit
from wsac.bridges import BridgeContext, inference_bridge
from wsac.bridges.alignment import Coral, PlsHead
from wsac.bridges.gap import (
    Gap,
    fit_gap,
    fit_pls,
    fit_rotation,
    fit_transport,
    mutual_neighbours,
    spread_rows,
)
from wsac.types import ModelError

DIM = 16


@pytest.mark.slow
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
    """Sounds are texts turned a little, shuffled and moved: the rotation is found from the shapes
    alone.
    """
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
    """Four sounds span three directions from their mean; all others of a space of many stay where
    they were.
    """
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
    # the head turns axes back by U: cosines of any two outputs are those of the K coordinates
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
    """Each sound is near its own text, but nearer still to a text that lies in the middle of all
    sounds.
    """
    one = F.normalize(torch.eye(6)[:5] + 0.5, dim=-1)
    hub = F.normalize(one.mean(0), dim=-1)
    other = torch.cat((F.normalize(one - 0.9 * hub, dim=-1), hub[None]))
    assert (one @ other.T).argmax(1).tolist() == [5] * 5
    rows, columns = mutual_neighbours(one, other)
    assert {(i, i) for i in range(5)} <= {
        (int(r), int(c)) for r, c in zip(rows, columns, strict=True)
    }


def test_gap_round_trip(context, tmp_path):
    context.gap.save(tmp_path / "gap.safetensors")
    again = Gap.load(tmp_path / "gap.safetensors")
    x = unit(4, 1)
    for spec in ("shift", "coral", "procrustes", "wasserstein", "pls"):
        assert torch.equal(
            inference_bridge(spec, BridgeContext(gap=again))(x),
            inference_bridge(spec, context)(x),
        )
    unpaired = fit_gap(unit(30, 1), unit(40, 2), fingerprint="some")
    unpaired.save(tmp_path / "u.safetensors")
    assert Gap.load(tmp_path / "u.safetensors").pls_text is None
    assert Gap.load(tmp_path / "u.safetensors", fingerprint="some").fingerprint == "some"
    with pytest.raises(ModelError, match="the gap of CLAP some, not of other"):
        Gap.load(tmp_path / "u.safetensors", fingerprint="other")


def test_wrong_gaps(tmp_path, context):
    context.gap.save(tmp_path / "gap.safetensors")
    context.memory.save(tmp_path / "memory.safetensors")
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
    with pytest.raises(ModelError, match="are not pairs"):
        fit_gap(unit(4, 1), unit(5, 1), paired=True)


@pytest.mark.parametrize(
    ("rows", "most"), [(1, 1), (5, 1), (3, 8), (10, 4), (3_000_001, 100_001), (2**31, 7)]
)
def test_spread_rows_are_exact(rows, most):
    count = min(rows, most)
    expected = [i * (rows - 1) // max(1, count - 1) for i in range(count)]
    assert spread_rows(rows, most).tolist() == expected
