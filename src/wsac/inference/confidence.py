"""The confidence of a caption: a calibrated probability that it is right."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from wsac.arrays import F, Tensor, torch
from wsac.types import Caption, ModelError

if TYPE_CHECKING:
    from wsac.bridges.memory import SupportMemory
    from wsac.clap import ClapEncoder

FEATURES = (
    "caption_similarity",
    "memory_score",
    "logprob",
    "unclear_similarity",
    "margin",
    "agreement",
)
DIFFERENT = 0.6  # captions whose cosine is below say different things
NEAREST = 0.02  # the temperature of the weights of the memory's entries
UNCLEAR = (
    "nothing but noise",
    "no recognisable sound",
    "an indistinct noise",
    "a single unintelligible word",
    "an unidentifiable short sound",
)
CONNECTIVES = re.compile(
    r",|\b(?:and|as|while|with|when|then|before|after|followed|over|in the background)\b",
    re.IGNORECASE,
)
Row = Annotated[tuple[float, ...], Field(min_length=len(FEATURES), max_length=len(FEATURES))]


def confidence_features(
    clap: ClapEncoder, memory: SupportMemory | None, audio: Tensor, captions: Sequence[Caption]
) -> Tensor:
    """The features of captions, ``[B, 6]``; audio: unit-norm ``[B, D]``.

    caption_similarity: cosine of the sound and its caption. logprob: mean per token, nats.
    unclear_similarity: the largest cosine with the UNCLEAR sentences. Three are of the support
    memory, and 0 without one. memory_score: the best similarity, in standard deviations above the
    mean of all. margin: caption_similarity less the best similarity of an entry that says something
    different. agreement: the length of the mean of the nearest entries, 1 if they say the same.
    """
    audio = audio.cpu().float()
    if not len(audio):
        return torch.empty(0, len(FEATURES))
    texts = clap.embed_text([caption.text for caption in captions])
    similarity = (audio * texts).sum(dim=-1)
    score = margin = agreement = torch.zeros(len(audio))
    if memory is not None:
        tiles = list(memory.tiles())
        cosines = torch.cat([audio @ entries.T for entries in tiles], dim=1)
        deviation = cosines.std(dim=1).clamp(min=1e-6)
        score = (cosines.amax(dim=1) - cosines.mean(dim=1)) / deviation
        alike = torch.cat([texts @ entries.T for entries in tiles], dim=1) >= DIFFERENT
        margin = similarity - cosines.masked_fill(alike, -1.0).amax(dim=1)
        weights = (cosines / NEAREST).softmax(dim=1).split([len(tile) for tile in tiles], dim=1)
        means = [part @ tile.float() for part, tile in zip(weights, tiles, strict=True)]
        agreement = torch.stack(means).sum(dim=0).norm(dim=1)
    logprobs = torch.tensor([caption.logprob for caption in captions])
    unclear = (audio @ clap.embed_text(UNCLEAR).T).amax(dim=1)
    columns = similarity, score, logprobs, unclear, margin, agreement
    return torch.stack(columns, dim=1)


@dataclass(frozen=True, slots=True)
class Logistic:
    """Logistic regression: probability = sigmoid(bias + weights · (x - mean) / scale)."""

    weights: Row
    bias: float
    mean: Row
    scale: Row

    def __call__(self, features: Tensor) -> Tensor:
        """[B, F] features → [B] probability."""
        x = (features - torch.tensor(self.mean)) / torch.tensor(self.scale)
        return torch.sigmoid(x @ torch.tensor(self.weights) + self.bias)

    @classmethod
    def fit(cls, features: Tensor, true: Tensor, *, penalty: float = 1e-3) -> Logistic:
        """Fit on features ``[N, F]`` and whether each is true ``[N]``, by Newton's method.

        penalty: of the squared weights, per example. The targets lie a little inside 0 and 1, so
        that a fit exists even where all are true (Platt 1999, section 2.2).
        """
        positive = float(true.sum())
        high, low = (positive + 1) / (positive + 2), 1 / (len(true) - positive + 2)
        y = low + (high - low) * true.double()
        features = features.double()
        mean, scale = features.mean(dim=0), features.std(dim=0).clamp(min=1e-6)
        x = F.pad((features - mean) / scale, (0, 1), value=1.0)
        penalties = torch.tensor([penalty] * features.shape[1] + [penalty * 1e-6]).double()
        ridge = len(y) * torch.diag(penalties)
        weights = torch.zeros(x.shape[1], dtype=torch.float64)
        for _ in range(50):
            p = torch.sigmoid(x @ weights)
            gradient = x.T @ (p - y) + ridge @ weights
            step = torch.linalg.solve((x * (p * (1 - p))[:, None]).T @ x + ridge, gradient)
            weights = weights - step
            if step.abs().max() < 1e-9:
                break
        *slopes, bias = weights.tolist()
        return cls(tuple(slopes), bias, tuple(mean.tolist()), tuple(scale.tolist()))


@dataclass(frozen=True, slots=True)
class Calibration:
    """confidence = P(something is recognisable) · P(right caption | something is recognisable).

    clear: the first factor; None when it was fitted without unrecognisable sounds. right: the
    second. threshold: a caption below it should be hidden. Raises ValueError for features of
    another version.
    """

    right: Logistic
    clear: Logistic | None = None
    threshold: Annotated[float, Field(ge=0, le=1)] = 0.25
    features: tuple[str, ...] = FEATURES

    def __post_init__(self) -> None:
        if self.features != FEATURES:
            raise ValueError(f"confidence of other features {list(self.features)}")

    def __call__(self, features: Tensor) -> Tensor:
        """[B, F] features → [B] confidence in [0, 1]."""
        right = self.right(features)
        return right if self.clear is None else right * self.clear(features)

    @classmethod
    def fit(cls, features: Tensor, right: Tensor, clear: Tensor) -> Calibration:
        """Fit on features ``[N, F]``, whether each caption is right ``[N]``, and whether the sound
        is recognisable ``[N]``.

        Raises ModelError when all captions are right or all are wrong.
        """
        right, clear = right.bool(), clear.bool()
        if len(set(right.tolist())) < 2:
            raise ModelError(f"calibration needs right and wrong captions, not {len(right)} alike")
        recognisable = None if clear.all() else Logistic.fit(features, clear)
        return cls(Logistic.fit(features[clear], right[clear]), recognisable)


def calibration_error(confidence: Tensor, right: Tensor, *, bins: int = 10) -> float:
    """Expected calibration error: Σ over bins of equal width of |mean confidence - share right|,
    weighted by size.

    confidence, right: [N]. Source: Guo et al. 2017, eq. 3.
    """
    members = F.one_hot((confidence * bins).long().clamp(max=bins - 1), bins).double()
    gaps = members.T @ (confidence.double() - right.double())
    return float(gaps.abs().sum() / len(confidence))


def main_event(caption: str) -> str:
    """The part of a caption that names its main event: what stands before the first connective."""
    return CONNECTIVES.split(caption.strip(), maxsplit=1)[0] or caption


def names_any(caption: str, keywords: Sequence[str]) -> bool:
    """Whether a caption contains one of these words, or pairs of neighbouring words.

    ``bark*`` stands for all words that begin so.
    """
    words = re.findall(r"[^\W_]+", caption.lower())
    phrases = {*words, *map(" ".join, pairwise(words))}
    for keyword in map(str.lower, keywords):
        if keyword in phrases:
            return True
        if keyword.endswith("*") and any(word.startswith(keyword[:-1]) for word in words):
            return True
    return False
