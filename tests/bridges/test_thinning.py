"""What a thinned support memory keeps."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from miniatures.unit_embeddings import unit
from wsac.bridges import memory as support_memory
from wsac.bridges.memory import SupportMemory, rows_unlike


def copies(n: int, of_each: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """``n`` unlike embeddings, each with near copies of a cosine above 0.99, shuffled."""
    generator = torch.Generator().manual_seed(seed)
    base = F.normalize(torch.randn(n, 64, generator=generator), dim=-1)
    source = torch.arange(n).repeat(of_each)[torch.randperm(n * of_each, generator=generator)]
    near = base[source] + 0.005 * torch.randn(len(source), 64, generator=generator)
    return F.normalize(near, dim=-1), source


@pytest.mark.parametrize("block", [3, 256])
def test_the_first_of_each_stays(block, monkeypatch):
    monkeypatch.setattr(support_memory, "ROWS", block)
    embeddings, source = copies(40, 5, seed=1)
    rows = rows_unlike(SupportMemory(embeddings), 0.98, torch.Generator())
    first = [source.tolist().index(number) for number in range(40)]
    assert rows.tolist() == sorted(first)


@pytest.mark.parametrize("threshold", [0.6, 0.8, 0.95])
def test_one_by_one_gives_the_same(threshold):
    embeddings = F.normalize(unit(200, 3)[:, :4], dim=-1)
    stays: list[int] = []
    for row, embedding in enumerate(embeddings):
        if not any(embedding @ embeddings[other] >= threshold for other in stays):
            stays.append(row)
    assert 4 < len(stays) < 200
    memory = SupportMemory(embeddings)
    assert rows_unlike(memory, threshold, torch.Generator()).tolist() == stays


def test_a_large_memory_is_thinned_in_parts(monkeypatch):
    monkeypatch.setattr(support_memory, "PART", 64)
    embeddings, source = copies(300, 4, seed=2)
    memory = SupportMemory(embeddings)
    rows = rows_unlike(memory, 0.98, torch.Generator().manual_seed(0))
    again = rows_unlike(memory, 0.98, torch.Generator().manual_seed(0))
    assert torch.equal(rows, again)
    assert rows.tolist() == sorted(set(rows.tolist()))
    assert source[rows].unique().numel() == 300  # nothing is lost
    assert len(rows) < 306  # of 1,200; what lies between two parts may stay twice
