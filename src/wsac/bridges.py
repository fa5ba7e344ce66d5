"""Bridges over the modality gap. Each takes unit-norm ``[B, D]`` and returns unit-norm ``[B, D]``; zero means zero."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from .memory import SupportMemory
from .types import ModelError, RecipeError


class Bridge(Protocol):
    """A strategy that crosses the gap. rng: for bridges with randomness; the same generator state, the same result."""

    def __call__(self, embedding: Tensor, rng: Generator | None = None) -> Tensor: ...


@dataclass(frozen=True, slots=True)
class Identity:
    """Audio decoding (AD): the embedding as it is."""

    def __call__(self, embedding: Tensor, rng: Generator | None = None) -> Tensor:
        return embedding


@dataclass(frozen=True, slots=True)
class NoiseInjection:
    """norm(t + ε), ε ~ N(0, variance) in each dimension. Training.

    Source: CapDec (Nukrai et al. 2022), sec. 3; WSAC (arXiv 2309.12242), sec. 2.2.
    """

    variance: float

    def __call__(self, embedding: Tensor, rng: Generator | None = None) -> Tensor:
        if self.variance == 0:
            return embedding
        noise = torch.randn(embedding.shape, generator=rng).to(embedding) * self.variance**0.5
        return F.normalize(embedding + noise, dim=-1)


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddingShift:
    """norm(e + shift): text + gap in training, audio - gap at inference. shift: [D]. Source: WSAC, sec. 2.2."""

    shift: Tensor

    def __call__(self, embedding: Tensor, rng: Generator | None = None) -> Tensor:
        if not self.shift.any():
            return embedding
        return F.normalize(embedding + self.shift.to(embedding), dim=-1)


@dataclass(frozen=True, slots=True)
class NearestNeighbour:
    """Nearest-neighbour decoding (NND): the memory entry with the largest cosine. Source: WSAC, sec. 2.3."""

    memory: SupportMemory

    def __call__(self, embedding: Tensor, rng: Generator | None = None) -> Tensor:
        entries = self.memory.embeddings.to(embedding)
        return entries[_similarity(embedding, entries).argmax(dim=-1)]


@dataclass(frozen=True, slots=True)
class Projection:
    """Projection decoding (PD): norm(Σᵢ softmax(e·mᵢ / temperature) mᵢ) over the support memory.

    0.01 is the published temperature: it sharpens towards the nearest captions.
    Source: DeCap (Li et al. 2023), eq. 5; WSAC, sec. 2.3.
    """

    memory: SupportMemory
    temperature: float = 0.01

    def __call__(self, embedding: Tensor, rng: Generator | None = None) -> Tensor:
        entries = self.memory.embeddings.to(embedding)
        weights = (_similarity(embedding, entries) / self.temperature).softmax(dim=-1)  # [B, N]
        return F.normalize(weights @ entries, dim=-1)


@dataclass(frozen=True, slots=True)
class Chain:
    """Bridges one after the other; an empty chain is the identity."""

    bridges: Sequence[Bridge]

    def __call__(self, embedding: Tensor, rng: Generator | None = None) -> Tensor:
        for bridge in self.bridges:
            embedding = bridge(embedding, rng)
        return embedding


INFERENCE_BRIDGES = ("ad", "nnd", "pd")


def inference_bridge(name: str, memory: SupportMemory | None, *, temperature: float = 0.01) -> Bridge:
    """The bridge called ``ad``, ``nnd`` or ``pd``. Raises RecipeError for other names or when the memory is missing."""
    if name not in INFERENCE_BRIDGES:
        raise RecipeError(f"bridge '{name}': unknown; choose one of {', '.join(INFERENCE_BRIDGES)}")
    if not temperature > 0:
        raise RecipeError(f"temperature {temperature}: give a number above 0; 0.01 is the published value")
    if name == "ad":
        return Identity()
    if memory is None:
        raise RecipeError(f"bridge '{name}' needs a support memory and this model has none; use --bridge ad")
    return NearestNeighbour(memory) if name == "nnd" else Projection(memory, temperature)


def training_bridge(noise_variance: float, shift: str | Path = "", *, dim: int) -> Bridge:
    """Embedding shift, then noise injection; each is left out when it is zero or not given.

    shift: a safetensors file with a tensor ``shift`` [dim]. Raises ModelError when it cannot be read or does not fit.
    """
    parts: list[Bridge] = []
    if shift:
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            vector = load_file(shift)["shift"].float()
        except (OSError, KeyError, SafetensorError) as error:
            raise ModelError(f"{shift}: no shift vector ({error}); give safetensors with a tensor 'shift'") from error
        if vector.shape != (dim,):
            raise ModelError(f"{shift}: the shift has shape {tuple(vector.shape)}, the CLAP needs ({dim},)")
        parts.append(EmbeddingShift(vector))
    return Chain([*parts, NoiseInjection(noise_variance)])


def _similarity(embedding: Tensor, entries: Tensor) -> Tensor:
    if embedding.shape[-1] != entries.shape[-1]:
        raise ValueError(f"embedding has {embedding.shape[-1]} dimensions, the memory {entries.shape[-1]}")
    return embedding @ entries.T  # [B, N], cosine
