"""How sure a figure is, and whether two captioners differ: bootstrap intervals and permutation tests over the items.

Every figure is a function of sums over items: of the values of single items, or of the counts behind BLEU and METEOR.
So a resample is a vector of weights, and all metrics of all resamples are a few products of matrices.
CIDEr-D keeps the document frequencies of the whole set: its items are resampled, not its references.
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
_BLOCK = 4_000_000  # weights at once


@dataclass(frozen=True, slots=True)
class Comparison:
    """One metric of two captioners on the same sounds. difference: second minus first, with its interval.

    p: two-sided, of a paired permutation test. effect: Cohen's d of the differences of single items, None when the
    metric has no value for a single item, or the differences do not vary.
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
    scores: Sequence[Score], *, resamples: int = RESAMPLES, level: float = LEVEL, seed: int = 0
) -> dict[str, tuple[float, float]]:
    """The percentile bootstrap interval of every score that has one: not of vocabulary and its like, nor of nan."""
    usable = [score for score in scores if _usable(score)]
    if not usable:
        return {}
    columns, places = _columns(usable)
    sums = np.concatenate(
        [weights @ columns for weights in resampled(len(columns), resamples, seed)]
    )
    tails = [100 * (1 - level) / 2, 100 * (1 + level) / 2]
    found = {}
    for score in usable:
        low, high = np.percentile(
            _figure(score.name, sums[:, places[score.name]], len(columns)), tails
        )
        found[score.name] = (float(low), float(high))
    return found


def compare(
    first: Sequence[Score],
    second: Sequence[Score],
    *,
    resamples: int = RESAMPLES,
    permutations: int = PERMUTATIONS,
    level: float = LEVEL,
    seed: int = 0,
) -> list[Comparison]:
    """Compare the scores that both have; the items must be the same and in the same order.

    The interval of the difference is a paired percentile bootstrap. The permutation test swaps the two captions of
    random items and counts how often the difference is at least as large as found; p is 1 / (permutations + 1) or more.
    """
    others = {score.name: score for score in second if _usable(score)}
    pairs = [
        (score, others[score.name]) for score in first if score.name in others and _usable(score)
    ]
    if not pairs:
        raise WsacError(
            "no metric that both have and that has values for single captions; nothing to compare"
        )
    (a, places), (b, _) = (
        _columns([one for one, _ in pairs]),
        _columns([other for _, other in pairs]),
    )
    if a.shape != b.shape:
        raise WsacError(f"{len(a)} and {len(b)} captions; compare the same sounds")
    size, tails = len(a), [100 * (1 - level) / 2, 100 * (1 + level) / 2]
    drawn = [(weights @ a, weights @ b) for weights in resampled(size, resamples, seed)]
    swapped = np.concatenate([swaps @ (b - a) for swaps in _swaps(size, permutations, seed)])
    rows = []
    for one, other in pairs:
        where = places[one.name]

        def difference(
            a: np.ndarray, b: np.ndarray, name: str = one.name, where: slice = where
        ) -> np.ndarray:
            return _figure(name, b[..., where], size) - _figure(name, a[..., where], size)

        total_a, total_b = a.sum(axis=0), b.sum(axis=0)
        found = float(difference(total_a, total_b))
        low, high = np.percentile(np.concatenate([difference(x, y) for x, y in drawn]), tails)
        by_chance = np.abs(difference(total_a + swapped, total_b - swapped))
        p = (1 + int((by_chance >= abs(found) - 1e-12).sum())) / (1 + permutations)
        rows.append(
            Comparison(
                one.name,
                one.corpus,
                other.corpus,
                found,
                float(low),
                float(high),
                p,
                _effect(one, other),
            )
        )
    return rows


def _usable(score: Score) -> bool:
    return (
        score.per_item is not None
        and len(score.per_item) > 1
        and bool(np.isfinite(score.per_item).all())
    )


def _columns(scores: Sequence[Score]) -> tuple[np.ndarray, dict[str, slice]]:
    """What is summed over the items, [N, P], and where in it each metric finds its own; pooled counts stand once."""
    parts: list[np.ndarray] = []
    places: dict[str, slice] = {}
    width = 0
    for score in scores:
        family = score.name.rpartition("_")[0] if score.pooled is not None else ""
        known = [places[name] for name in places if family and name.startswith(family)]
        part = score.per_item if score.pooled is None else score.pooled
        if known:
            places[score.name] = known[0]
            continue
        part = np.asarray(part, float).reshape(len(part), -1)  # type: ignore[arg-type]
        parts.append(part)
        places[score.name] = slice(width, width + part.shape[1])
        width += part.shape[1]
    return np.concatenate(parts, axis=1), places


def _figure(name: str, sums: np.ndarray, size: int) -> np.ndarray:
    """The corpus figure from sums over ``size`` items; sums: [..., P]."""
    if name.startswith("bleu_"):
        return bleu_from_counts(sums)[..., int(name[5:]) - 1]
    if name == "meteor":
        return meteor_from_counts(sums)
    return sums[..., 0] / size


def resampled(size: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """How often each item is drawn: blocks [R, N] of weights that sum to N."""
    rng = np.random.default_rng(seed)
    step = max(1, _BLOCK // size)
    for first in range(0, resamples, step):
        count = min(step, resamples - first)
        yield np.stack(
            [np.bincount(rng.integers(0, size, size), minlength=size) for _ in range(count)],
            dtype=float,
            casting="unsafe",
        )


def _swaps(size: int, permutations: int, seed: int) -> Iterator[np.ndarray]:
    """Which items change sides: blocks [R, N] of zeros and ones."""
    rng = np.random.default_rng([seed, 1])
    step = max(1, _BLOCK // size)
    for first in range(0, permutations, step):
        count = min(step, permutations - first)
        bits = rng.integers(0, 256, (count, -(-size // 8)), dtype=np.uint8)
        yield np.unpackbits(bits, axis=1, count=size).astype(float)


def _effect(one: Score, other: Score) -> float | None:
    difference = other.per_item - one.per_item  # type: ignore[operator]
    spread = float(difference.std(ddof=1))
    return float(difference.mean()) / spread if spread > 1e-12 else None
