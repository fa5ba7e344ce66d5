"""Training bridges that blur the texts, so that the decoder learns to read what lies near them."""

from __future__ import annotations

from dataclasses import field

from wsac.arrays import F, Generator, Tensor, torch

from .bridge import option, register
from .memory import SupportMemory, nearest

SAMPLE = 2048  # texts that a covariance is estimated from
SAME = 0.9999  # cosine from which two texts count as one


@register("noise", "training")
class NoiseInjection:
    """Noise injection (NI): norm(t + ε), ε ~ N(0, variance) in each dimension.

    Source: CapDec (Nukrai et al. 2022), sec. 3; WSAC (arXiv 2309.12242), sec. 2.2.
    """

    variance: float = option(0.001, "0 or more")

    def __call__(self, embedding: Tensor, rng: Generator | None = None) -> Tensor:
        if self.variance == 0:
            return embedding
        noise = torch.randn(embedding.shape, generator=rng).to(embedding) * self.variance**0.5
        return F.normalize(embedding + noise, dim=-1)


@register("uniform", "training")
class UniformNoise:
    """norm(t + r u), u a random direction, r ~ U(0, radius): all distances are equally likely."""

    radius: float = option(1.0, "0 or more")

    def __call__(self, embedding: Tensor, rng: Generator | None = None) -> Tensor:
        if self.radius == 0:
            return embedding
        direction = F.normalize(torch.randn(embedding.shape, generator=rng), dim=-1)
        length = self.radius * torch.rand(len(embedding), 1, generator=rng)
        return F.normalize(embedding + (direction * length).to(embedding), dim=-1)


@register("shaped", "training")
class ShapedNoise:
    """norm(t + ε), ε ~ N(0, C): noise that points where paraphrases differ.

    C is the covariance of texts minus their 8 nearest, of at most 2,048 memory entries, scaled so
    that its trace is D · variance.
    """

    memory: SupportMemory
    variance: float = option(0.001, "0 or more")
    _root: Tensor = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        texts = self.memory.take(torch.arange(0, len(self.memory), -(-len(self.memory) // SAMPLE)))
        _, near = nearest(texts, self.memory, 9)
        apart = (near[:, 1:] - texts[:, None]).flatten(0, 1)  # without the nearest: the text itself
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
class InstanceReplacement:
    """Replace a ``share`` of the captions by one of their k nearest other captions.

    Source: Zhang et al. 2024 (arXiv 2406.06295), instance replacement.
    """

    memory: SupportMemory
    share: float = option(0.3, "a number from 0 to 1")
    k: int = option(5, "1 or more")

    def __call__(self, embedding: Tensor, rng: Generator | None = None) -> Tensor:
        chosen = torch.rand(len(embedding), generator=rng) < self.share
        pick = torch.randint(self.k, (len(embedding),), generator=rng)
        if not chosen.any():
            return embedding
        neighbour = _neighbour(embedding, self.memory, pick)
        return torch.where(chosen[:, None].to(embedding.device), neighbour, embedding)


@register("mix", "training")
class Mixing:
    """norm((1 - α) t + α n), n one of the k nearest other captions, α ~ U(0, most)."""

    memory: SupportMemory
    most: float = option(0.5, "a number from 0 to 1")
    k: int = option(5, "1 or more")

    def __call__(self, embedding: Tensor, rng: Generator | None = None) -> Tensor:
        alpha = (self.most * torch.rand(len(embedding), 1, generator=rng)).to(embedding)
        pick = torch.randint(self.k, (len(embedding),), generator=rng)
        if self.most == 0:
            return embedding
        neighbour = _neighbour(embedding, self.memory, pick)
        return F.normalize((1 - alpha) * embedding + alpha * neighbour, dim=-1)


@register("project", "training")
class ProjectedTexts:
    """Replace a ``share`` of the captions by their projection on the memory without themselves.

    So the decoder learns what projection decoding (PD) will give it.
    """

    memory: SupportMemory
    share: float = option(0.5, "a number from 0 to 1")
    temperature: float = option(0.01, "a number above 0")
    k: int = option(64, "1 or more")

    def __call__(self, embedding: Tensor, rng: Generator | None = None) -> Tensor:
        chosen = torch.rand(len(embedding), generator=rng) < self.share
        if not chosen.any():
            return embedding
        scores, entries = nearest(embedding, self.memory, self.k + 1)
        scores = scores.masked_fill(scores > SAME, -1e4)  # itself, and captions of equal words
        weights = (scores / self.temperature).softmax(dim=1)
        projected = F.normalize((weights[:, :, None] * entries).sum(dim=1), dim=-1)
        return torch.where(chosen[:, None].to(embedding.device), projected, embedding)


def _neighbour(embedding: Tensor, memory: SupportMemory, pick: Tensor) -> Tensor:
    """[B, D]: the entry number ``pick`` by nearness to each row, not counting the row itself."""
    scores, entries = nearest(embedding, memory, int(pick.max()) + 2)
    same = (scores > SAME).sum(dim=1)
    place = (same + pick.to(same)).clamp(max=scores.shape[1] - 1)
    return entries[torch.arange(len(entries), device=entries.device), place]
