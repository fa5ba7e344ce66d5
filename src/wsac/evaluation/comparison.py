"""Two evaluations of the same sounds: refuse what does not compare, bring both into one order, compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from wsac.evaluation.metrics.items import Score
from wsac.evaluation.results import Report
from wsac.types import WsacError

from .statistics import Comparison, compare


def compare_reports(
    first: Report, second: Report, *, names: Sequence[str]
) -> tuple[list[Comparison], list[str]]:
    """The comparison of every metric that both have, and what to tell of those left out.

    names: of both, for messages. Raises WsacError when ids or references differ.
    """
    if first.digest != second.digest:
        raise WsacError(_difference(first, second, names))
    place = {item.id: i for i, item in enumerate(second.items)}
    order = np.array([place[item.id] for item in first.items])
    notes, pairs = [], []
    for name, score in first.scores.items():
        other = second.scores.get(name)
        if other is None:
            continue
        if score.per_item is None:
            notes.append(f"{name}: not compared, it has no value for a single caption")
        elif score.note != other.note:
            notes.append(
                f"{name}: not compared, as it is not the same metric: {score.note!r} and {other.note!r}"
            )
        else:
            pairs.append((score, _ordered(other, order)))
    one_sided = sorted(first.scores.keys() ^ second.scores.keys())
    if one_sided:
        notes.append(f"only in one of them: {', '.join(one_sided)}")
    return compare([one for one, _ in pairs], [other for _, other in pairs]), notes


def _ordered(score: Score, order: np.ndarray) -> Score:
    pooled = None if score.pooled is None else score.pooled[order]
    return replace(
        score, per_item=None if score.per_item is None else score.per_item[order], pooled=pooled
    )


def _difference(first: Report, second: Report, names: Sequence[str]) -> str:
    a, b = ({item.id for item in report.items} for report in (first, second))
    if only := sorted(a ^ b):
        where = names[0] if only[0] in a else names[1]
        what = f"{len(only):,} sounds are in only one of them, such as {only[0]!r} in {where}"
    else:
        what = "the same sounds have other references"
    return f"{names[0]} and {names[1]} do not compare: {what}; evaluate both on the same sounds and references"
