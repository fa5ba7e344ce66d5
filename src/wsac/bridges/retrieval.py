"""Inference bridges through the support memory: the texts that are nearest to a sound speak for it.

The memory is gone through in tiles, so that a million entries cost no more than some megabytes besides.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from wsac.bridges.memory import ROWS, _tiles, nearest

from .bridge import register
from .memory import SupportMemory


@register("ad", "inference", space="audio")
@dataclass(frozen=True, slots=True)
class Identity:
    """Audio decoding (AD): the embedding as it is."""

    def __call__(self, embedding: Tensor, rng: Generator | None = None) -> Tensor:
        return embedding


@register("nnd", "inference")
@dataclass(frozen=True, slots=True)
class NearestNeighbour:
    """Nearest-neighbour decoding (NND): the memory entry with the largest cosine. Source: WSAC, sec. 2.3."""

    memory: SupportMemory

    def __call__(self, embedding: Tensor, rng: Generator | None = None) -> Tensor:
        return nearest(embedding, self.memory, 1)[1][:, 0]


@register("topk", "inference")
@dataclass(frozen=True, slots=True)
class TopMean:
    """norm of the mean of the k nearest memory entries."""

    memory: SupportMemory
    k: int = 5

    def __post_init__(self) -> None:
        positive(k=self.k)

    def __call__(self, embedding: Tensor, rng: Generator | None = None) -> Tensor:
        return self.of(embedding, *nearest(embedding, self.memory, self.k))

    def of(self, embedding: Tensor, scores: Tensor, entries: Tensor) -> Tensor:
        """[B, D] from what ``nearest`` found."""
        return F.normalize(entries.mean(dim=1), dim=-1)


@register("pd", "inference")
@dataclass(frozen=True, slots=True)
class Projection:
    """Projection decoding (PD): norm(Σᵢ softmax(e·mᵢ / temperature) mᵢ) over the support memory.

    0.01 is the published temperature: it sharpens towards the nearest captions. 0 takes the CLAP's own, as DRCap does.
    Source: DeCap (Li et al. 2023), eq. 5; WSAC, sec. 2.3.
    """

    memory: SupportMemory
    temperature: float = 0.01
    clap_temperature: float = 0.07

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < torch.inf:
            raise ValueError(
                f"temperature {self.temperature}: give a number above 0, or 0 for the CLAP's own"
            )

    def __call__(self, embedding: Tensor, rng: Generator | None = None) -> Tensor:
        temperature = self.temperature or self.clap_temperature
        parts = [self._project(rows, temperature) for rows in embedding.split(ROWS)]
        return torch.cat(parts) if len(embedding) else embedding

    def _project(self, embedding: Tensor, temperature: float) -> Tensor:
        """Softmax online: the weights of earlier tiles shrink when a larger similarity is met.

        Under autocast the two products are of that precision; scores and sums are float32 in any case.
        """
        device = embedding.device.type
        kind = (
            torch.get_autocast_dtype(device)
            if torch.is_autocast_enabled(device)
            else embedding.dtype
        )
        query = (embedding / temperature).to(kind)  # [B, D]
        top = torch.full((len(embedding), 1), -torch.inf).to(embedding)
        total = torch.zeros_like(embedding)
        for entries in _tiles(self.memory, embedding, kind):
            scores = (query @ entries.T).to(total)
            new = torch.maximum(top, scores.amax(dim=1, keepdim=True))
            weights = scores.sub_(new).exp_().to(kind)
            total.mul_((top - new).exp_()).add_(weights @ entries)
            top = new
        return F.normalize(total, dim=-1)  # the softmax's denominator is only a scale


@register("santa", "inference")
@dataclass(frozen=True, slots=True)
class Santa:
    """norm(λ e + (1 - λ) Σ softmax(sharpness e·m) m) over the k nearest entries: a blend of sound and texts.

    Source: MATS (arXiv 2502.13433): λ 0.7, k 32, sharpness 10.
    """

    memory: SupportMemory
    k: int = 32
    weight: float = 0.7
    sharpness: float = 10.0

    def __post_init__(self) -> None:
        positive(k=self.k)
        if not 0 <= self.weight <= 1:
            raise ValueError(f"weight {self.weight}: give a number from 0 to 1")

    def __call__(self, embedding: Tensor, rng: Generator | None = None) -> Tensor:
        return self.of(embedding, *nearest(embedding, self.memory, self.k))

    def of(self, embedding: Tensor, scores: Tensor, entries: Tensor) -> Tensor:
        """[B, D] from what ``nearest`` found."""
        weights = (self.sharpness * scores).softmax(dim=1)
        blend = self.weight * embedding + (1 - self.weight) * (weights[:, :, None] * entries).sum(
            dim=1
        )
        return F.normalize(blend, dim=-1)


def positive(**values: int) -> None:
    for name, value in values.items():
        if value < 1:
            raise ValueError(f"{name} {value}: give 1 or more")
