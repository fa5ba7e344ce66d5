"""Bridges that move all embeddings alike: by a mean, a covariance, a rotation, or axes of pairs."""

from __future__ import annotations

from dataclasses import field

from wsac.arrays import F, Generator, Tensor, torch

from .bridge import option, register
from .gap import Gap


@register("shift", "head")
class ShiftedTexts:
    """Embedding shift (ES) in training: norm(t + Δ), Δ = ā - t̄; sounds stay as they are.

    Source: WSAC (arXiv 2309.12242), sec. 2.2.
    """

    gap: Gap

    def text(self, embedding: Tensor) -> Tensor:
        return _shifted(embedding, self.gap.shift)

    def audio(self, embedding: Tensor) -> Tensor:
        return embedding


@register("shift", "inference")
class ShiftedSounds:
    """Embedding shift (ES) at inference: norm(a - Δ) = norm(a - ā + t̄)."""

    gap: Gap

    def __call__(self, embedding: Tensor, rng: Generator | None = None) -> Tensor:
        return _shifted(embedding, -self.gap.shift)


@register("centre", "head")
class Centred:
    """Collapse: norm(t - t̄) in training, norm(a - ā) at inference.

    Source: C³ (Zhang et al. 2024, arXiv 2401.08567).
    """

    gap: Gap

    def text(self, embedding: Tensor) -> Tensor:
        return F.normalize(embedding - self.gap.text_mean.to(embedding), dim=-1)

    def audio(self, embedding: Tensor) -> Tensor:
        return F.normalize(embedding - self.gap.audio_mean.to(embedding), dim=-1)


@register("pls", "head", pairs=True)
class PlsHead:
    """PLS head: Uᵀ(t - t̄) in training, Vᵀ(a - ā) at inference, over axes of pairs; needs pairs.

    Both are turned back by U, without loss, so that they stay in D dimensions.
    Source: COMET (arXiv 2605.29628).
    """

    gap: Gap
    directions: int = option(100, "1 or more")

    def text(self, embedding: Tensor) -> Tensor:
        u, _ = _axes(self.gap, self.directions, embedding)
        return F.normalize((embedding - self.gap.text_mean.to(embedding)) @ u @ u.T, dim=-1)

    def audio(self, embedding: Tensor) -> Tensor:
        u, v = _axes(self.gap, self.directions, embedding)
        return F.normalize((embedding - self.gap.audio_mean.to(embedding)) @ v @ u.T, dim=-1)


@register("pls", "inference", pairs=True)
class PlsSounds:
    """norm(t̄ + U Vᵀ (a - ā)): a sound by the axes of pairs, moved to the texts; needs pairs."""

    gap: Gap
    directions: int = option(100, "1 or more")

    def __call__(self, embedding: Tensor, rng: Generator | None = None) -> Tensor:
        u, v = _axes(self.gap, self.directions, embedding)
        return _among_texts(self.gap, embedding, v, u.T)


@register("coral", "inference")
class Coral:
    """norm(t̄ + (a - ā) Cₐ^-½ Cₜ^½): the sounds get the mean and covariance of the texts; no pairs.

    shrinkage: the share of their mean variance in both covariances. Source: Sun et al. 2016.
    """

    gap: Gap
    shrinkage: float = option(0.1, "a number above 0, up to 1")
    _map: Tensor = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        whiten = _power(self.gap.audio_covariance, -0.5, self.shrinkage)
        colour = _power(self.gap.text_covariance, 0.5, self.shrinkage)
        object.__setattr__(self, "_map", (whiten @ colour).float())

    def __call__(self, embedding: Tensor, rng: Generator | None = None) -> Tensor:
        return _among_texts(self.gap, embedding, self._map)


@register("procrustes", "inference")
class Procrustes:
    """norm(t̄ + (a - ā) R), R the rotation that mutual nearest neighbours agree on; no pairs.

    See ``fit_rotation``.
    """

    gap: Gap

    def __call__(self, embedding: Tensor, rng: Generator | None = None) -> Tensor:
        return _among_texts(self.gap, embedding, self.gap.rotation)


@register("wasserstein", "inference")
class Wasserstein:
    """norm(t̄ + (a - ā) R), R by optimal transport of all sounds to all texts; no pairs.

    For sounds and texts of the same kind in the same proportions. See ``fit_transport``.
    """

    gap: Gap

    def __call__(self, embedding: Tensor, rng: Generator | None = None) -> Tensor:
        return _among_texts(self.gap, embedding, self.gap.transport)


def _among_texts(gap: Gap, embedding: Tensor, *matrices: Tensor) -> Tensor:
    """norm(t̄ + (a - ā) M)."""
    moved = embedding - gap.audio_mean.to(embedding)
    for matrix in matrices:
        moved = moved @ matrix.to(embedding)
    return F.normalize(gap.text_mean.to(embedding) + moved, dim=-1)


def _shifted(embedding: Tensor, shift: Tensor) -> Tensor:
    """norm(e + shift), e itself for no shift. Without a branch, which ONNX graphs cannot take."""
    shift = shift.to(embedding)
    return torch.where(shift.any(), F.normalize(embedding + shift, dim=-1), embedding)


def _axes(gap: Gap, directions: int, like: Tensor) -> tuple[Tensor, Tensor]:
    assert gap.pls_text is not None
    assert gap.pls_audio is not None
    return gap.pls_text[:, :directions].to(like), gap.pls_audio[:, :directions].to(like)


def _power(covariance: Tensor, exponent: float, shrinkage: float) -> Tensor:
    """A power of (1 - s) C + s mean variance · I, by its eigenvalues; float64."""
    covariance = covariance.double()
    mean = covariance.diagonal().mean().clamp(min=1e-12)
    identity = torch.eye(len(covariance), dtype=torch.float64)
    values, vectors = torch.linalg.eigh((1 - shrinkage) * covariance + shrinkage * mean * identity)
    return (vectors * values.clamp(min=1e-12) ** exponent) @ vectors.T
