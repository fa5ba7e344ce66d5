"""Bridges that move a whole cloud of embeddings: by its mean, its covariance, a rotation, or the axes of pairs."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from .bridge import register
from .gap import Gap


@register("shift", "head")
@dataclass(frozen=True, slots=True)
class ShiftedTexts:
    """Embedding shift (ES) in training: norm(t + Δ), Δ = ā - t̄; sounds stay as they are. Source: WSAC, sec. 2.2."""

    gap: Gap

    def text(self, embedding: Tensor) -> Tensor:
        return _unless_zero(self.gap.shift, embedding, embedding + self.gap.shift.to(embedding))

    def audio(self, embedding: Tensor) -> Tensor:
        return embedding


@register("shift", "inference")
@dataclass(frozen=True, slots=True)
class ShiftedSounds:
    """Embedding shift (ES) at inference: norm(a - Δ) = norm(a - ā + t̄)."""

    gap: Gap

    def __call__(self, embedding: Tensor, rng: Generator | None = None) -> Tensor:
        return _unless_zero(self.gap.shift, embedding, embedding - self.gap.shift.to(embedding))


@register("centre", "head")
@dataclass(frozen=True, slots=True)
class Centred:
    """Collapse: norm(t - t̄) in training, norm(a - ā) at inference. Source: C³ (Zhang et al. 2024, arXiv 2401.08567)."""

    gap: Gap

    def text(self, embedding: Tensor) -> Tensor:
        return F.normalize(embedding - self.gap.text_mean.to(embedding), dim=-1)

    def audio(self, embedding: Tensor) -> Tensor:
        return F.normalize(embedding - self.gap.audio_mean.to(embedding), dim=-1)


@register("pls", "head", pairs=True)
@dataclass(frozen=True, slots=True)
class PlsHead:
    """PLS head: Uᵀ(t - t̄) in training, Vᵀ(a - ā) at inference, over directions that pairs share; needs pairs.

    Both are put back by U, a rotation without loss, so that they stay in D dimensions.
    Source: COMET (arXiv 2605.29628).
    """

    gap: Gap
    directions: int = 100

    def __post_init__(self) -> None:
        if self.directions < 1:
            raise ValueError(f"directions {self.directions}: give 1 or more")

    def text(self, embedding: Tensor) -> Tensor:
        u, _ = self._axes(embedding)
        return F.normalize((embedding - self.gap.text_mean.to(embedding)) @ u @ u.T, dim=-1)

    def audio(self, embedding: Tensor) -> Tensor:
        u, v = self._axes(embedding)
        return F.normalize((embedding - self.gap.audio_mean.to(embedding)) @ v @ u.T, dim=-1)

    def _axes(self, like: Tensor) -> tuple[Tensor, Tensor]:
        assert self.gap.pls_text is not None
        assert self.gap.pls_audio is not None
        return self.gap.pls_text[:, : self.directions].to(like), self.gap.pls_audio[
            :, : self.directions
        ].to(like)


@register("pls", "inference", pairs=True)
@dataclass(frozen=True, slots=True)
class PlsSounds:
    """norm(t̄ + U Vᵀ (a - ā)): a sound by the axes that pairs share, put where the texts are; needs pairs."""

    gap: Gap
    directions: int = 100

    def __call__(self, embedding: Tensor, rng: Generator | None = None) -> Tensor:
        u, v = PlsHead(self.gap, self.directions)._axes(embedding)
        moved = (embedding - self.gap.audio_mean.to(embedding)) @ v @ u.T
        return F.normalize(self.gap.text_mean.to(embedding) + moved, dim=-1)


@register("coral", "inference")
@dataclass(frozen=True, slots=True)
class Coral:
    """norm(t̄ + (a - ā) Cₐ^-½ Cₜ^½): mean and covariance of the sounds become those of the texts; no pairs.

    shrinkage: both covariances are mixed with so much of their mean variance. Source: CORAL (Sun et al. 2016).
    """

    gap: Gap
    shrinkage: float = 0.1
    _map: Tensor = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not 0 < self.shrinkage <= 1:
            raise ValueError(f"shrinkage {self.shrinkage}: give a number above 0, up to 1")
        whiten = _power(self.gap.audio_covariance, -0.5, self.shrinkage)
        colour = _power(self.gap.text_covariance, 0.5, self.shrinkage)
        object.__setattr__(self, "_map", (whiten @ colour).float())

    def __call__(self, embedding: Tensor, rng: Generator | None = None) -> Tensor:
        return _among_texts(self.gap, embedding, self._map)


@register("procrustes", "inference")
@dataclass(frozen=True, slots=True)
class Procrustes:
    """norm(t̄ + (a - ā) R), R the rotation that mutual nearest neighbours agree on; no pairs. See ``fit_rotation``."""

    gap: Gap

    def __call__(self, embedding: Tensor, rng: Generator | None = None) -> Tensor:
        return _among_texts(self.gap, embedding, self.gap.rotation)


@register("wasserstein", "inference")
@dataclass(frozen=True, slots=True)
class Wasserstein:
    """norm(t̄ + (a - ā) R), R by optimal transport of all sounds to all texts; no pairs. See ``fit_transport``.

    For sounds and texts of the same kind in the same proportions.
    """

    gap: Gap

    def __call__(self, embedding: Tensor, rng: Generator | None = None) -> Tensor:
        return _among_texts(self.gap, embedding, self.gap.transport)


def _among_texts(gap: Gap, embedding: Tensor, matrix: Tensor) -> Tensor:
    """norm(t̄ + (a - ā) M)."""
    moved = (embedding - gap.audio_mean.to(embedding)) @ matrix.to(embedding)
    return F.normalize(gap.text_mean.to(embedding) + moved, dim=-1)


def _unless_zero(shift: Tensor, embedding: Tensor, moved: Tensor) -> Tensor:
    """norm(moved), or the embedding as it is when nothing is moved; without a branch, which ONNX graphs cannot take."""
    return torch.where(shift.to(embedding).any(), F.normalize(moved, dim=-1), embedding)


def _power(covariance: Tensor, exponent: float, shrinkage: float) -> Tensor:
    """A power of (1 - s) C + s mean variance · I, by its eigenvalues; float64."""
    covariance = covariance.double()
    mean = covariance.diagonal().mean().clamp(min=1e-12)
    mixed = (1 - shrinkage) * covariance + shrinkage * mean * torch.eye(
        len(covariance), dtype=torch.float64
    )
    values, vectors = torch.linalg.eigh(mixed)
    return (vectors * values.clamp(min=1e-12) ** exponent) @ vectors.T
