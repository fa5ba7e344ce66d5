"""How sure a caption is: a calibrated probability that it names what is heard, from what captioning measures anyway."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from wsac.types import ModelError

if TYPE_CHECKING:
    from wsac.bridges.memory import SupportMemory
    from wsac.clap import ClapEncoder

FEATURES = ("caption_similarity", "memory_score", "logprob", "unclear_similarity")
UNCLEAR = (
    "nothing but noise",
    "no recognisable sound",
    "an indistinct noise",
    "a single unintelligible word",
    "an unidentifiable short sound",
)


def features(
    clap: ClapEncoder,
    memory: SupportMemory | None,
    audio: Tensor,
    captions: Sequence[str],
    logprobs: Tensor,
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
        similarity = torch.cat([audio @ entries.T for entries in memory.tiles()], dim=1)
        score = (similarity.amax(dim=1) - similarity.mean(dim=1)) / similarity.std(dim=1).clamp(
            min=1e-6
        )
    unclear = (audio @ clap.embed_text(UNCLEAR).T).amax(dim=1)
    return torch.stack((said, score, logprobs.cpu().float(), unclear), dim=1)


@dataclass(frozen=True, slots=True)
class Logistic:
    """Logistic regression: probability = sigmoid(bias + weights · (x - mean) / scale)."""

    weights: tuple[float, ...]
    bias: float
    mean: tuple[float, ...]
    scale: tuple[float, ...]

    def __call__(self, found: Tensor) -> Tensor:
        """[B, F] features → [B] probability."""
        x = (found - torch.tensor(self.mean)) / torch.tensor(self.scale)
        return torch.sigmoid(x @ torch.tensor(self.weights) + self.bias)

    @classmethod
    def fit(cls, found: Tensor, true: Tensor, *, penalty: float = 1e-3) -> Logistic:
        """Fit on features ``[N, F]`` and whether each is true ``[N]``, by Newton's method.

        penalty: of the squared weights, per example. The targets lie a little inside 0 and 1, so that a fit exists
        even where all are true (Platt 1999, section 2.2).
        """
        positive = float(true.sum())
        high, low = (positive + 1) / (positive + 2), 1 / (len(true) - positive + 2)
        y = low + (high - low) * true.double()
        mean, scale = found.mean(dim=0).double(), found.std(dim=0).double().clamp(min=1e-6)
        x = torch.cat(
            ((found.double() - mean) / scale, torch.ones(len(found), 1, dtype=torch.float64)), dim=1
        )
        ridge = (
            penalty
            * len(y)
            * torch.diag(torch.tensor([1.0] * found.shape[1] + [1e-6], dtype=torch.float64))
        )
        weights = torch.zeros(x.shape[1], dtype=torch.float64)
        for _ in range(50):
            p = torch.sigmoid(x @ weights)
            gradient = x.T @ (p - y) + ridge @ weights
            step = torch.linalg.solve((x * (p * (1 - p))[:, None]).T @ x + ridge, gradient)
            weights = weights - step
            if step.abs().max() < 1e-9:
                break
        return cls(
            tuple(weights[:-1].tolist()),
            float(weights[-1]),
            tuple(mean.tolist()),
            tuple(scale.tolist()),
        )

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> Logistic:
        return cls(
            tuple(raw["weights"]), float(raw["bias"]), tuple(raw["mean"]), tuple(raw["scale"])
        )


@dataclass(frozen=True, slots=True)
class Calibration:
    """confidence = P(something can be made out) · P(the caption names it | it can be made out).

    clear: the first factor; None where no unrecognisable sounds were at hand. right: the second.
    threshold: below it nothing should be said.
    """

    right: Logistic
    clear: Logistic | None = None
    threshold: float = 0.25

    def __call__(self, found: Tensor) -> Tensor:
        """[B, F] features → [B] confidence in [0, 1]."""
        return self.right(found) if self.clear is None else self.right(found) * self.clear(found)

    @classmethod
    def fit(cls, found: Tensor, right: Tensor, clear: Tensor) -> Calibration:
        """Fit on features ``[N, F]``, whether each caption is right ``[N]``, and whether the sound can be made out.

        Raises ModelError when all captions are right or all are wrong.
        """
        right, clear = right.bool(), clear.bool()
        if right.all() or not right.any():
            raise ModelError(
                f"calibration needs right and wrong captions; all {len(right)} were the same"
            )
        first = None if clear.all() else Logistic.fit(found, clear)
        return cls(Logistic.fit(found[clear], right[clear]), first)

    def to_dict(self) -> dict[str, Any]:
        clear = None if self.clear is None else asdict(self.clear)
        return {
            "features": list(FEATURES),
            "clear": clear,
            "right": asdict(self.right),
            "threshold": self.threshold,
        }

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> Calibration:
        """Raises ValueError when the features are not those of this version."""
        if tuple(raw["features"]) != FEATURES:
            raise ValueError(f"confidence of other features {raw['features']}")
        clear = None if raw["clear"] is None else Logistic.from_dict(raw["clear"])
        return cls(Logistic.from_dict(raw["right"]), clear, float(raw["threshold"]))


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
    return not {*words, *map(" ".join, pairwise(words))}.isdisjoint(
        keyword.lower() for keyword in keywords
    )
