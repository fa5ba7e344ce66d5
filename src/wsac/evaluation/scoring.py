"""Score captions with several metrics."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from wsac.evaluation.metrics.items import Item, MissingError
from wsac.evaluation.metrics.registry import METRICS, Models, Task, resolve
from wsac.types import WsacError

from .pairing import digest
from .results import Report
from .statistics import intervals


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
    _check(items, wanted)
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


def _check(items: Sequence[Item], names: Sequence[str]) -> None:
    if not items:
        raise WsacError("no captions to score")
    if len({item.id for item in items}) < len(items):
        raise WsacError("an id occurs more than once among the items; give every caption its own")
    without = [item.id for item in items if not item.references]
    needing = [name for name in names if METRICS[name].references]
    if without and needing:
        what = f"{len(without):,} of {len(items):,} sounds have none, such as {without[0]!r}"
        remedy = "give --references FILE, or --metrics reference-free"
        raise WsacError(f"{needing[0]} needs references, and {what}; {remedy}")
