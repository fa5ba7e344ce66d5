"""Fast operations give what the plain ones give."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from wsac.decoder.generation.penalties import likeliest
from wsac.decoder.kernels.dropout import drop


def test_dropout_drops_a_share_and_keeps_the_mean():
    torch.manual_seed(0)
    x = torch.randn(
        1001, 999, requires_grad=True
    )  # no multiple of the numbers that are drawn at once
    y = drop(x, 0.1, True)
    kept = y != 0
    assert abs(kept.float().mean() - 0.9) < 4 * (0.09 / x.numel()) ** 0.5  # four standard errors
    assert_close(y[kept], x[kept] / 0.9, rtol=1e-4, atol=0)
    y.sum().backward()
    assert_close(x.grad, kept / 0.9, rtol=1e-4, atol=0)
    each, lagged = kept.float().mean(1), (kept[:, 1:] & kept[:, :-1]).float().mean()
    assert (
        each.std() < 1.2 * (0.09 / 999) ** 0.5
    )  # no row is favoured, and neighbours are independent
    assert abs(lagged - 0.81) < 0.002
    torch.manual_seed(0)
    torch.randn(1001, 999)
    assert torch.equal(drop(x, 0.1, True), y)
    assert drop(x, 0.1, False) is x
    assert drop(x, 0.0, True) is x
    assert drop(x.to(torch.bfloat16), 0.5, True).dtype == torch.bfloat16


@pytest.mark.parametrize("size", [5, 4095, 4096, 5000, 50_257])
@pytest.mark.parametrize("count", [1, 2, 16])
def test_the_likeliest_are_those_of_topk(size, count):
    values = torch.randperm(6 * size).float().view(2, 3, size)
    for scores in (values, values[:, 1:], torch.where(values % 7 == 0, -torch.inf, values)):
        best, place = likeliest(scores, min(count, size))
        expected = scores.topk(min(count, size))
        assert torch.equal(best, expected.values)
        assert torch.equal(place, expected.indices)
