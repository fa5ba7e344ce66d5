"""Score captions with several metrics, and compare two evaluations of the same sounds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from wsac.evaluation.metrics.items import Item, MissingError
from wsac.evaluation.metrics.registry import METRICS, Models, Task, resolve
from wsac.types import WsacError

from .pairing import digest
from .results import Report
from .statistics import Comparison, compare, intervals


def evaluate(
    items: Iterable[Item], names: str | Sequence[str] = "fast", models: Models | None = None
) -> Report:
    """Score items with metrics and sets of metrics by name.

    A member of a set that needs what is not installed is reported as missing; one asked for by
    name is an error. Raises WsacError for unknown names, no items, ids that occur twice, and
    metrics that need references which items do not have.
    """
    items = tuple(items)
    wanted, explicit = resolve([names] if isinstance(names, str) else names)
    if not items:
        raise WsacError("no captions to score")
    if len({item.id for item in items}) < len(items):
        raise WsacError("an id occurs more than once among the items; give every caption its own")
    without = [item.id for item in items if not item.references]
    needing = [name for name in wanted if METRICS[name].references]
    if without and needing:
        what = f"{len(without):,} of {len(items):,} sounds have none, such as {without[0]!r}"
        remedy = "give --references FILE, or --metrics reference-free"
        raise WsacError(f"{needing[0]} needs references, and {what}; {remedy}")
    task = Task(items, models or Models())
    missing = {}
    for name in wanted:
        try:
            task.score(name)
        except MissingError as error:
            missing[name] = str(error)
            if name in explicit:
                message = f"{name}: {missing[name].removeprefix(f'{name}: ')}"
                raise MissingError(message) from error
    scores = {name: task.done[name] for name in wanted if name in task.done}
    if not scores:
        raise MissingError(f"nothing to compute: {'; '.join(dict.fromkeys(missing.values()))}")
    return Report(items, scores, missing, digest(items), intervals(list(scores.values())))


def compare_reports(
    first: Report, second: Report, *, names: Sequence[str]
) -> tuple[list[Comparison], list[str]]:
    """The comparison of every metric that both have, and notes about those left out.

    names: of both, for messages. Raises WsacError when ids or references differ.
    """
    if first.digest != second.digest:
        a, b = ({item.id for item in report.items} for report in (first, second))
        what = "the same sounds have other references"
        if only := sorted(a ^ b):
            where = names[0] if only[0] in a else names[1]
            what = f"{len(only):,} sounds are in only one of them, such as {only[0]!r} in {where}"
        remedy = "evaluate both on the same sounds and references"
        raise WsacError(f"{names[0]} and {names[1]} do not compare: {what}; {remedy}")
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
