"""Probabilities of labels and of none of them."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from wsac.clap.tag_calibration import TagCalibration, confidence_in
from wsac.inference.confidence import calibration_error


@pytest.fixture
def scores():
    return torch.rand(50, 12, generator=torch.Generator().manual_seed(0)) - 0.3


def test_probabilities_sum_to_one_and_keep_the_order(scores):
    shares = TagCalibration(0.1, 0.2, 0.3)(scores)
    assert shares.shape == (50, 13)
    torch.testing.assert_close(shares.sum(1), torch.ones(50))
    assert torch.equal(shares[:, :-1].argsort(1), scores.argsort(1))
    none_wins = shares.argmax(1) == 12
    assert torch.equal(none_wins, scores.amax(1) < 0.3)


def test_without_a_calibration_none_has_no_share(scores):
    shares = confidence_in(scores, None, 0.07)
    torch.testing.assert_close(shares[:, :-1], (scores / 0.07).softmax(1))
    assert not shares[:, -1].any()


def sounds_and_labels(rng, count):
    """Cosines of sounds with 60 labels, and the label of each: a direction and much noise."""
    labels = F.normalize(torch.randn(60, 16, generator=torch.Generator().manual_seed(3)), dim=1)
    own = torch.randint(0, 60, (count,), generator=rng)
    noise = 0.25 * torch.randn(count, 16, generator=rng)
    return F.normalize(labels[own] + noise, dim=1) @ labels.T, own


@pytest.mark.slow
@pytest.mark.parametrize("count", [5, 20, 60])
def test_a_fitted_probability_means_what_it_says(count):
    """Of the labels that it gives with probability p, a share of about p is right."""
    rng = torch.Generator().manual_seed(1)
    scores, own = sounds_and_labels(rng, 3000)
    right = F.one_hot(own, 60).bool()
    calibration = TagCalibration.fit(scores, right, rng)
    scores, own = sounds_and_labels(rng, 20_000)
    drawn = torch.randperm(60, generator=rng)[:count]
    fits = (own[:, None] == drawn).any(1)
    rows = fits.nonzero()[:, 0]
    if count < 60:  # one in five is none of the labels
        others = (~fits).nonzero()[:, 0]
        rows = torch.cat((rows, others[: len(rows) // 4]))
    shares = calibration(scores[rows][:, drawn])
    sure, place = shares.max(1)
    names = torch.cat((drawn, torch.tensor([-1])))
    truth = torch.where(fits[rows], own[rows], -1)
    assert calibration_error(sure, names[place] == truth) < 0.1
