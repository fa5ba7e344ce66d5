"""Two evaluations of the same sounds, brought into one order and compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from wsac.evaluation.results import Report
from wsac.types import WsacError

from .statistics import Comparison, compare


def compare_reports(
    first: Report, second: Report, *, names: Sequence[str]
) -> tuple[list[Comparison], list[str]]:
    """The comparison of every metric that both have, and notes about those left out.

    names: of both, for messages. Raises WsacError when ids or references differ.
    """
    if first.digest != second.digest:
        raise WsacError(_difference(first, second, names))
    place = {item.id: i for i, item in enumerate(second.items)}
    order = np.array([place[item.id] for item in first.items])
    notes, scores, others = [], [], []
    for name, score in first.scores.items():
        other = second.scores.get(name)
        if other is None:
            continue
        if score.per_item is None:
            notes.append(f"{name}: not compared, it has no value for a single caption")
        elif score.note != other.note:
            what = f"it is not the same metric: {score.note!r} and {other.note!r}"
            notes.append(f"{name}: not compared, as {what}")
        else:
            pooled = None if other.pooled is None else other.pooled[order]
            per_item = None if other.per_item is None else other.per_item[order]
            scores.append(score)
            others.append(replace(other, per_item=per_item, pooled=pooled))
    if one_sided := sorted(first.scores.keys() ^ second.scores.keys()):
        notes.append(f"only in one of them: {', '.join(one_sided)}")
    return compare(scores, others), notes


def _difference(first: Report, second: Report, names: Sequence[str]) -> str:
    a, b = ({item.id for item in report.items} for report in (first, second))
    what = "the same sounds have other references"
    if only := sorted(a ^ b):
        where = names[0] if only[0] in a else names[1]
        what = f"{len(only):,} sounds are in only one of them, such as {only[0]!r} in {where}"
    remedy = "evaluate both on the same sounds and references"
    return f"{names[0]} and {names[1]} do not compare: {what}; {remedy}"
