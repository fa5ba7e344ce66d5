"""How certain a figure is, and whether two captioners differ: bootstrap and permutation tests.

Every figure is a function of sums over items: of the values of single items, or of the counts
behind BLEU and METEOR. So a resample is a vector of weights, and all metrics of all resamples are a
few products of matrices. CIDEr-D keeps the document frequencies of the whole set: its items are
resampled, not its references.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from wsac.evaluation.metrics.items import Score
from wsac.evaluation.metrics.java.meteor import meteor_from_counts
from wsac.evaluation.metrics.ngram.bleu import bleu_from_counts
from wsac.types import WsacError

RESAMPLES = 1000
PERMUTATIONS = 10_000
LEVEL = 0.95
_TAILS = [100 * (1 - LEVEL) / 2, 100 * (1 + LEVEL) / 2]  # percentiles
_BLOCK = 4_000_000  # weights at once


@dataclass(frozen=True, slots=True)
class Comparison:
    """One metric of two captioners on the same sounds.

    difference: second minus first, with its interval. p: two-sided, of a paired permutation
    test. effect: Cohen's d of the differences of single items, None when they do not vary.
    """

    name: str
    first: float
    second: float
    difference: float
    low: float
    high: float
    p: float
    effect: float | None


def intervals(
    scores: Sequence[Score], *, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, tuple[float, float]]:
    """The percentile bootstrap interval of every score that has values of single items."""
    usable = [score for score in scores if _usable(score)]
    if not usable:
        return {}
    sums = _Sums(usable)
    drawn = np.concatenate([w @ sums.columns for w in resampled(sums.size, resamples, seed)])
    figures = {score.name: sums.figure(score.name, drawn) for score in usable}
    return {name: _span(figure) for name, figure in figures.items()}


def compare(
    first: Sequence[Score],
    second: Sequence[Score],
    *,
    resamples: int = RESAMPLES,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> list[Comparison]:
    """Compare the scores that both have; the items must be the same and in the same order.

    The interval of the difference is a paired percentile bootstrap. The permutation test swaps
    the two captions of random items and counts how often the difference is at least as large as
    observed; p is 1 / (permutations + 1) or more. Raises WsacError when nothing compares.
    """
    others = {score.name: score for score in second if _usable(score)}
    ours = [score for score in first if score.name in others and _usable(score)]
    if not ours:
        raise WsacError("nothing to compare: no metric of both has values for single captions")
    sums = _Sums(ours)
    a, b = sums.columns, _Sums([others[score.name] for score in ours]).columns
    if a.shape != b.shape:
        raise WsacError(f"{len(a)} and {len(b)} captions; compare the same sounds")
    both = np.concatenate([a, b], axis=1)
    drawn = np.concatenate([weights @ both for weights in resampled(len(a), resamples, seed)])
    drawn_a, drawn_b = np.split(drawn, 2, axis=1)
    swapped = np.concatenate([swaps @ (b - a) for swaps in _swaps(len(a), permutations, seed)])
    total_a, total_b = a.sum(axis=0), b.sum(axis=0)
    rows = []
    for score in ours:
        name, other = score.name, others[score.name]

        def difference(a: np.ndarray, b: np.ndarray, name: str = name) -> np.ndarray:
            return sums.figure(name, b) - sums.figure(name, a)

        observed, span = float(difference(total_a, total_b)), _span(difference(drawn_a, drawn_b))
        by_chance = np.abs(difference(total_a + swapped, total_b - swapped))
        p = (1 + int((by_chance >= abs(observed) - 1e-12).sum())) / (1 + permutations)
        change = np.asarray(other.per_item) - np.asarray(score.per_item)
        spread = float(change.std(ddof=1))
        effect = float(change.mean()) / spread if spread > 1e-12 else None
        corpus = score.corpus, other.corpus
        rows.append(Comparison(name, *corpus, observed, *span, p, effect))
    return rows


def _span(values: np.ndarray) -> tuple[float, float]:
    low, high = np.percentile(values, _TAILS).tolist()
    return low, high


class _Sums:
    """What is summed over the items, ``columns`` [N, P], and the figures that its sums give.

    Counts that several metrics share, as BLEU's, are in it once.
    """

    def __init__(self, scores: Sequence[Score]) -> None:
        parts: dict[str, np.ndarray] = {}
        for score in scores:
            part = np.asarray(score.per_item if score.pooled is None else score.pooled, float)
            parts[family(score.name)] = part.reshape(len(part), -1)
        self.columns = np.concatenate([*parts.values()], axis=1)
        self.size, width = self.columns.shape
        places = np.split(np.arange(width), np.cumsum([part.shape[1] for part in parts.values()]))
        self._places = dict(zip(parts, places, strict=False))

    def figure(self, name: str, sums: np.ndarray) -> np.ndarray:
        """The corpus figure [...] of a metric from sums [..., P] over as many items."""
        own = sums[..., self._places[family(name)]]
        if name.startswith("bleu_"):
            return bleu_from_counts(own)[..., int(name[5:]) - 1]
        return meteor_from_counts(own) if name == "meteor" else own[..., 0] / self.size


def family(name: str) -> str:
    """The metrics whose counts are the same: "bleu" for "bleu_4"."""
    return "bleu" if name.startswith("bleu_") else name


def _usable(score: Score) -> bool:
    values = score.per_item
    return values is not None and len(values) > 1 and bool(np.isfinite(values).all())


def resampled(size: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """How often each item is drawn: blocks [R, N] of weights that sum to N."""
    rng = np.random.default_rng(seed)
    for count in _blocks(size, resamples):
        draws = [rng.integers(0, size, size) for _ in range(count)]
        yield np.stack([np.bincount(draw, minlength=size) for draw in draws]).astype(float)


def _swaps(size: int, permutations: int, seed: int) -> Iterator[np.ndarray]:
    """Which items change sides: blocks [R, N] of zeros and ones."""
    rng = np.random.default_rng([seed, 1])
    for count in _blocks(size, permutations):
        bits = rng.integers(0, 256, (count, -(-size // 8)), dtype=np.uint8)
        yield np.unpackbits(bits, axis=1, count=size).astype(float)


def _blocks(size: int, total: int) -> Iterator[int]:
    """Rows a block, of ``total`` rows of ``size`` weights."""
    step = max(1, _BLOCK // size)
    for start in range(0, total, step):
        yield min(step, total - start)
