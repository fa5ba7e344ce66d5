"""Probabilities of labels that are honest: for any number of labels, and for none of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from wsac.arrays import F, Tensor, torch

NONE_SHARE = 0.2  # how often none of a user's labels fits, as far as a fit knows


@dataclass(frozen=True, slots=True)
class TagCalibration:
    """The softmax over labels and "none of these", with a temperature by the number of labels.

    temperature: at two labels. growth: the temperature is multiplied by (labels / 2) ** growth.
    none: the cosine that stands for "none of these".
    """

    temperature: float
    growth: float
    none: float

    def __call__(self, scores: Tensor) -> Tensor:
        """Cosines [B, N] → probabilities [B, N + 1], the last of them that no label fits."""
        none = torch.full_like(scores[:, :1], self.none)
        logits = torch.cat((scores, none), dim=1)
        temperature = self.temperature * (scores.shape[1] / 2) ** self.growth
        return (logits / temperature).softmax(dim=1)

    @classmethod
    def fit(
        cls,
        scores: Tensor,
        right: Tensor,
        rng: torch.Generator,
        alike: Tensor | None = None,
        *,
        draws: int = 60,
    ) -> TagCalibration:
        """The calibration with the least negative log-likelihood, on draws of 2 to L labels.

        scores: [N, L] cosines of sounds and of all labels. right: [N, L] bool, the labels that fit
        each sound. In a draw "none of these" is right for the sounds whose labels are not drawn;
        they weigh ``NONE_SHARE``. Where several labels are right, their probabilities are added.
        alike: [L, L] bool, labels that mean nearly the same; no draw has two of them.
        """
        count = scores.shape[1]
        sizes = torch.linspace(0.7, torch.tensor(float(count)).log(), draws).exp().long()
        sets = [distinct(count, int(size), rng, alike) for size in sizes.clamp(2, count)]
        values = torch.tensor([-2.5, 0.0, 0.2], dtype=torch.float64, requires_grad=True)
        optimizer = torch.optim.LBFGS([values], max_iter=200)
        parts = []  # of each draw: cosines, labels that are wrong, the weight of each sound
        for labels in sets:
            fits = right[:, labels]
            none = ~fits.any(1)
            weights = torch.where(none, NONE_SHARE, 1 - NONE_SHARE).double()
            for rows in (none, ~none):
                weights[rows] /= max(1, int(rows.sum()))
            wrong = ~torch.cat((fits, none[:, None]), 1)
            parts.append((scores[:, labels].double(), wrong, weights))

        def loss() -> Tensor:
            optimizer.zero_grad()
            total = torch.zeros((), dtype=torch.float64)
            for cosines, wrong, weights in parts:
                none = values[2].expand(len(cosines), 1)
                log_temperature = values[0] + values[1] * math.log(cosines.shape[1] / 2)
                logits = torch.cat((cosines, none), 1) / log_temperature.exp()
                shares = logits.log_softmax(1).masked_fill(wrong, float("-inf"))
                total = total - (weights * shares.logsumexp(1)).sum()
            total.backward()
            return total.detach()

        optimizer.step(loss)
        log_temperature, growth, none = values.tolist()
        return cls(math.exp(log_temperature), growth, none)


def distinct(count: int, size: int, rng: torch.Generator, alike: Tensor | None = None) -> Tensor:
    """Rows of up to ``size`` labels, no two of them alike."""
    chosen: list[int] = []
    for label in torch.randperm(count, generator=rng).tolist():
        if alike is None or not alike[label][chosen].any():
            chosen.append(label)
        if len(chosen) == size:
            break
    return torch.tensor(chosen)


def confidence_in(scores: Tensor, calibration: TagCalibration | None, temperature: float) -> Tensor:
    """Probabilities [B, N + 1] of labels and of none; none has 0 without a calibration."""
    if calibration is not None:
        return calibration(scores)
    return F.pad((scores / temperature).softmax(dim=1), (0, 1))
