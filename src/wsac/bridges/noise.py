"""Training bridges that make the texts uncertain, so that the decoder learns to read what lies near them."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from wsac.bridges.memory import nearest
from wsac.bridges.retrieval import positive

from .bridge import register
from .memory import SupportMemory

SAMPLE = 2048  # texts that covariance and neighbours are estimated from


@register("noise", "training")
@dataclass(frozen=True, slots=True)
class NoiseInjection:
    """Noise injection (NI): norm(t + ε), ε ~ N(0, variance) in each dimension.

    Source: CapDec (Nukrai et al. 2022), sec. 3; WSAC (arXiv 2309.12242), sec. 2.2.
    """

    variance: float = 0.001

    def __post_init__(self) -> None:
        _not_negative(variance=self.variance)

    def __call__(self, embedding: Tensor, rng: Generator | None = None) -> Tensor:
        if self.variance == 0:
            return embedding
        noise = torch.randn(embedding.shape, generator=rng).to(embedding) * self.variance**0.5
        return F.normalize(embedding + noise, dim=-1)


@register("uniform", "training")
@dataclass(frozen=True, slots=True)
class UniformNoise:
    """norm(t + r u), u a random direction, r ~ U(0, radius): all distances alike, however many dimensions."""

    radius: float = 1.0

    def __post_init__(self) -> None:
        _not_negative(radius=self.radius)

    def __call__(self, embedding: Tensor, rng: Generator | None = None) -> Tensor:
        if self.radius == 0:
            return embedding
        direction = F.normalize(torch.randn(embedding.shape, generator=rng), dim=-1)
        length = self.radius * torch.rand(len(embedding), 1, generator=rng)
        return F.normalize(embedding + (direction * length).to(embedding), dim=-1)


@register("shaped", "training")
@dataclass(frozen=True, slots=True)
class ShapedNoise:
    """norm(t + ε), ε ~ N(0, C) with C the covariance of texts minus their near neighbours, scaled to D · variance.

    So the noise points where paraphrases differ. The neighbours are the 8 nearest of at most 2,048 memory entries.
    """

    memory: SupportMemory
    variance: float = 0.001
    _root: Tensor = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _not_negative(variance=self.variance)
        some = self.memory.take(torch.arange(0, len(self.memory), -(-len(self.memory) // SAMPLE)))
        _, near = nearest(some, self.memory, 9)
        apart = (near[:, 1:] - some[:, None]).flatten(0, 1)  # the first is the text itself
        covariance = (apart.T @ apart / max(1, len(apart))).double()
        covariance += 1e-9 * torch.eye(len(covariance))
        covariance *= self.variance * len(covariance) / covariance.trace()
        values, vectors = torch.linalg.eigh(covariance)
        object.__setattr__(self, "_root", (vectors * values.clamp(min=0).sqrt()).float())

    def __call__(self, embedding: Tensor, rng: Generator | None = None) -> Tensor:
        if self.variance == 0:
            return embedding
        noise = torch.randn(embedding.shape, generator=rng) @ self._root.T
        return F.normalize(embedding + noise.to(embedding), dim=-1)


@register("replace", "training")
@dataclass(frozen=True, slots=True)
class InstanceReplacement:
    """Of a ``share`` of the captions the embedding becomes that of one of their k nearest other captions.

    Source: Zhang et al. 2024 (arXiv 2406.06295), instance replacement.
    """

    memory: SupportMemory
    share: float = 0.3
    k: int = 5

    def __post_init__(self) -> None:
        _share(self.share)
        positive(k=self.k)

    def __call__(self, embedding: Tensor, rng: Generator | None = None) -> Tensor:
        chosen = torch.rand(len(embedding), generator=rng) < self.share
        pick = torch.randint(self.k, (len(embedding),), generator=rng)
        if not chosen.any():
            return embedding
        return torch.where(
            chosen[:, None].to(embedding.device),
            _neighbour(embedding, self.memory, pick),
            embedding,
        )


@register("mix", "training")
@dataclass(frozen=True, slots=True)
class Mixing:
    """norm((1 - α) t + α n), n one of the k nearest other captions, α ~ U(0, most)."""

    memory: SupportMemory
    most: float = 0.5
    k: int = 5

    def __post_init__(self) -> None:
        _share(self.most)
        positive(k=self.k)

    def __call__(self, embedding: Tensor, rng: Generator | None = None) -> Tensor:
        alpha = (self.most * torch.rand(len(embedding), 1, generator=rng)).to(embedding)
        pick = torch.randint(self.k, (len(embedding),), generator=rng)
        if self.most == 0:
            return embedding
        return F.normalize(
            (1 - alpha) * embedding + alpha * _neighbour(embedding, self.memory, pick), dim=-1
        )


@register("project", "training")
@dataclass(frozen=True, slots=True)
class ProjectedTexts:
    """Of a ``share`` of the captions the embedding becomes its projection on the memory without itself.

    So the decoder learns what projection decoding (PD) will give it.
    """

    memory: SupportMemory
    share: float = 0.5
    temperature: float = 0.01
    k: int = 64

    def __post_init__(self) -> None:
        _share(self.share)
        positive(k=self.k)
        if not self.temperature > 0:
            raise ValueError(f"temperature {self.temperature}: give a number above 0")

    def __call__(self, embedding: Tensor, rng: Generator | None = None) -> Tensor:
        chosen = torch.rand(len(embedding), generator=rng) < self.share
        if not chosen.any():
            return embedding
        scores, entries = nearest(embedding, self.memory, self.k + 1)
        scores = scores.masked_fill(scores > SAME, -1e4)  # itself, and captions word for word alike
        weights = (scores / self.temperature).softmax(dim=1)
        projected = F.normalize((weights[:, :, None] * entries).sum(dim=1), dim=-1)
        return torch.where(chosen[:, None].to(embedding.device), projected, embedding)


SAME = 0.9999  # cosine from which two texts count as one


def _neighbour(embedding: Tensor, memory: SupportMemory, pick: Tensor) -> Tensor:
    """Of each row the nearest other entry but ``pick``: [B, D]. Entries that are the row itself are passed over."""
    scores, entries = nearest(embedding, memory, int(pick.max()) + 2)
    same = (scores > SAME).sum(dim=1)
    place = (same + pick.to(same)).clamp(max=scores.shape[1] - 1)
    return entries[torch.arange(len(entries), device=entries.device), place]


def _not_negative(**values: float) -> None:
    for name, value in values.items():
        if not 0 <= value < torch.inf:
            raise ValueError(f"{name} {value}: give a number of 0 or more")


def _share(value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"share {value}: give a number from 0 to 1")
