"""Inference bridges through the support memory: the texts nearest to a sound replace its embedding.

The memory is read in tiles, so a million entries cost only some megabytes besides.
"""

from __future__ import annotations

from wsac.arrays import F, Generator, Tensor, torch

from .bridge import option, register
from .memory import ROWS, SupportMemory, nearest


@register("ad", "inference", space="audio")
class Identity:
    """Audio decoding (AD): the embedding as it is."""

    def __call__(self, embedding: Tensor, rng: Generator | None = None) -> Tensor:
        return embedding


@register("nnd", "inference")
class NearestNeighbour:
    """Nearest-neighbour decoding (NND): the memory entry of largest cosine. WSAC, sec. 2.3."""

    memory: SupportMemory

    def __call__(self, embedding: Tensor, rng: Generator | None = None) -> Tensor:
        return nearest(embedding, self.memory, 1)[1][:, 0]


@register("topk", "inference")
class TopMean:
    """norm of the mean of the k nearest memory entries."""

    memory: SupportMemory
    k: int = option(5, "1 or more")

    def __call__(self, embedding: Tensor, rng: Generator | None = None) -> Tensor:
        return self.of(embedding, *nearest(embedding, self.memory, self.k))

    def of(self, embedding: Tensor, scores: Tensor, entries: Tensor) -> Tensor:
        """[B, D] from the scores ``[B, K]`` and entries ``[B, K, D]`` of ``nearest``."""
        return F.normalize(entries.mean(dim=1), dim=-1)


@register("pd", "inference")
class Projection:
    """Projection decoding (PD): norm(Σᵢ softmax(e·mᵢ / temperature) mᵢ) over the support memory.

    0.01 is the published temperature: it sharpens towards the nearest captions. 0 takes the CLAP's
    own, as DRCap does. Source: DeCap (Li et al. 2023), eq. 5; WSAC, sec. 2.3.
    """

    memory: SupportMemory
    temperature: float = option(0.01, "0 or more")
    clap_temperature: float = 0.07

    def __call__(self, embedding: Tensor, rng: Generator | None = None) -> Tensor:
        temperature = self.temperature or self.clap_temperature
        parts = [self._project(rows, temperature) for rows in embedding.split(ROWS)]
        return torch.cat(parts) if len(embedding) else embedding

    def _project(self, embedding: Tensor, temperature: float) -> Tensor:
        """Softmax online: the weights of earlier tiles shrink when a larger similarity appears.

        Under autocast the two products have its precision; scores and sums stay float32.
        """
        device, dtype = embedding.device.type, embedding.dtype
        if torch.is_autocast_enabled(device):
            dtype = torch.get_autocast_dtype(device)
        query = (embedding / temperature).to(dtype)  # [B, D]
        top = torch.full((len(embedding), 1), -torch.inf).to(embedding)
        total = torch.zeros_like(embedding)
        for entries in self.memory.tiles_for(embedding, dtype):
            scores = (query @ entries.T).to(total)
            new = torch.maximum(top, scores.amax(dim=1, keepdim=True))
            weights = scores.sub_(new).exp_().to(dtype)
            total.mul_((top - new).exp_()).add_(weights @ entries)
            top = new
        return F.normalize(total, dim=-1)  # the softmax's denominator is only a scale


@register("santa", "inference")
class Santa:
    """norm(λ e + (1 - λ) Σ softmax(sharpness e·m) m) over the k nearest: blends sound and texts.

    Source: MATS (arXiv 2502.13433): λ (weight) 0.7, k 32, sharpness 10.
    """

    memory: SupportMemory
    k: int = option(32, "1 or more")
    weight: float = option(0.7, "a number from 0 to 1")
    sharpness: float = 10.0

    def __call__(self, embedding: Tensor, rng: Generator | None = None) -> Tensor:
        return self.of(embedding, *nearest(embedding, self.memory, self.k))

    def of(self, embedding: Tensor, scores: Tensor, entries: Tensor) -> Tensor:
        """[B, D] from the scores ``[B, K]`` and entries ``[B, K, D]`` of ``nearest``."""
        weights = (self.sharpness * scores).softmax(dim=1)[:, :, None]
        texts = (1 - self.weight) * (weights * entries).sum(dim=1)
        return F.normalize(self.weight * embedding + texts, dim=-1)
