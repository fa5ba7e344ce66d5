"""How sure a caption is: a calibrated probability that it names what is heard, from what captioning measures anyway."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .types import ModelError

if TYPE_CHECKING:
    from .clap import ClapEncoder
    from .memory import SupportMemory

FEATURES = ("caption_similarity", "memory_score", "logprob", "unclear_similarity")
UNCLEAR = ("nothing but noise", "no recognisable sound", "an indistinct noise", "a single unintelligible word",
           "an unidentifiable short sound")  # fmt: skip


def features(
    clap: ClapEncoder, memory: SupportMemory | None, audio: Tensor, captions: Sequence[str], logprobs: Tensor
) -> Tensor:
    """What confidence is made of, ``[B, 4]``; audio: unit-norm ``[B, D]``.

    caption_similarity: cosine of the sound and its caption. memory_score: the best similarity to the support memory,
    in standard deviations over the mean of its own similarities (0 without a memory). logprob: mean per token, nats.
    unclear_similarity: the largest cosine with sentences that say that nothing can be made out.
    """
    audio = audio.cpu().float()
    if not len(audio):
        return torch.empty(0, len(FEATURES))
    said = (audio * clap.embed_text(list(captions))).sum(dim=-1)
    score = torch.zeros(len(audio))
    if memory is not None:
        similarity = audio @ memory.embeddings.float().T
        score = (similarity.amax(dim=1) - similarity.mean(dim=1)) / similarity.std(dim=1).clamp(min=1e-6)
    unclear = (audio @ clap.embed_text(UNCLEAR).T).amax(dim=1)
    return torch.stack((said, score, logprobs.cpu().float(), unclear), dim=1)


@dataclass(frozen=True, slots=True)
class Calibration:
    """Logistic regression over FEATURES: confidence = sigmoid(bias + weights · (x - mean) / scale).

    threshold: below it nothing should be said.
    """

    weights: tuple[float, ...]
    bias: float
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    threshold: float = 0.25

    def __call__(self, found: Tensor) -> Tensor:
        """[B, 4] features → [B] confidence in [0, 1]."""
        x = (found - torch.tensor(self.mean)) / torch.tensor(self.scale)
        return torch.sigmoid(x @ torch.tensor(self.weights) + self.bias)

    @classmethod
    def fit(cls, found: Tensor, right: Tensor, *, penalty: float = 1e-3) -> Calibration:
        """Fit on features ``[N, 4]`` and whether each caption was right ``[N]``, by Newton's method.

        penalty: of the squared weights, per example. Raises ModelError when all captions are right or all are wrong.
        """
        y = right.double()
        if not 0 < y.sum() < len(y):
            raise ModelError(f"calibration needs right and wrong captions; all {len(y)} were the same")
        mean, scale = found.mean(dim=0).double(), found.std(dim=0).double().clamp(min=1e-6)
        x = torch.cat(((found.double() - mean) / scale, torch.ones(len(found), 1, dtype=torch.float64)), dim=1)
        ridge = penalty * len(y) * torch.diag(torch.tensor([1.0] * found.shape[1] + [1e-6], dtype=torch.float64))
        weights = torch.zeros(x.shape[1], dtype=torch.float64)
        for _ in range(50):
            p = torch.sigmoid(x @ weights)
            gradient = x.T @ (p - y) + ridge @ weights
            step = torch.linalg.solve((x * (p * (1 - p))[:, None]).T @ x + ridge, gradient)
            weights = weights - step
            if step.abs().max() < 1e-9:
                break
        return cls(tuple(weights[:-1].tolist()), float(weights[-1]), tuple(mean.tolist()), tuple(scale.tolist()))

    def to_dict(self) -> dict[str, Any]:
        return {"features": list(FEATURES), "weights": list(self.weights), "bias": self.bias,
                "mean": list(self.mean), "scale": list(self.scale), "threshold": self.threshold}  # fmt: skip

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> Calibration:
        """Raises ValueError when the features are not those of this version."""
        if tuple(raw["features"]) != FEATURES:
            raise ValueError(f"confidence of other features {raw['features']}")
        return cls(
            tuple(raw["weights"]), float(raw["bias"]), tuple(raw["mean"]), tuple(raw["scale"]), float(raw["threshold"])
        )


def calibration_error(confidence: Tensor, right: Tensor, *, bins: int = 10) -> float:
    """Expected calibration error: Σ over bins of equal width of |mean confidence - share right|, weighted by size.

    confidence, right: [N]. Source: Guo et al. 2017, eq. 3.
    """
    place = (confidence * bins).long().clamp(max=bins - 1)
    one = F.one_hot(place, bins).double()
    return float(((one.T @ (confidence.double() - right.double())).abs()).sum() / len(confidence))


def names_any(caption: str, keywords: Sequence[str]) -> bool:
    """Whether a caption has one of these words, or pairs of neighbouring words."""
    words = re.findall(r"[^\W_]+", caption.lower())
    return not {*words, *map(" ".join, pairwise(words))}.isdisjoint(keyword.lower() for keyword in keywords)
