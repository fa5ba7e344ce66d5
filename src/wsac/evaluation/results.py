"""The results of an evaluation: in memory, as JSON and as rows of a table."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from wsac import __version__
from wsac.evaluation.metrics.items import Item, Score
from wsac.evaluation.statistics import LEVEL, RESAMPLES
from wsac.io.files import read_json, write_text
from wsac.types import WsacError

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Report:
    """What an evaluation found. scores: by name, in the order asked for. missing: why others are not among them.

    items: ids and candidates in the order of the scores' values. digest: names the ids and references. intervals: 95 %
    bootstrap. skipped: rows left out of the files, and how often. about: what was evaluated, by name. notes: what else
    should be told with the figures.
    """

    items: tuple[Item, ...]
    scores: dict[str, Score]
    missing: dict[str, str]
    digest: str
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    skipped: dict[str, int] = field(default_factory=dict)
    about: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def figure_rows(report: Report) -> list[tuple[str, str, str, str]]:
    """For people: metric, value, interval and note of each score."""
    rows = []
    for name, score in report.scores.items():
        span = report.intervals.get(name)
        rows.append(
            (name, number(score.corpus), "" if span is None else interval(*span), score.note)
        )
    return rows


def counted(report: Report) -> str:
    """ "1,045 clips with 5 references each"."""
    counts = sorted({len(item.references) for item in report.items})
    clips = f"{len(report.items):,} clip" + "s" * (len(report.items) != 1)
    if counts == [0]:
        return f"{clips} without references"
    span = (
        f"{counts[0]} to {counts[-1]} references" if len(counts) > 1 else f"{counts[0]} reference"
    )
    return f"{clips} with {span}{'s' * (counts[-1] != 1 and len(counts) == 1)} each"


def number(value: float) -> str:
    """A figure in as many digits as people read."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}" if value > 10 else f"{value:.4f}"


def interval(low: float, high: float) -> str:
    return f"{number(low)} to {number(high)}"


def summary(report: Report) -> dict[str, Any]:
    """The figures of a report for programs, without those of single items."""
    counts = [len(item.references) for item in report.items]
    return {
        "format": FORMAT,
        "wsac": __version__,
        "items": len(report.items),
        "references": {"least": min(counts), "most": max(counts)},
        "digest": report.digest,
        "metrics": {
            name: {
                "value": _finite(score.corpus),
                "interval": report.intervals.get(name),
                "note": score.note,
            }
            for name, score in report.scores.items()
        },
        "bootstrap": {"level": LEVEL, "resamples": RESAMPLES, "kind": "percentile, over items"},
        "missing": report.missing,
        "skipped": report.skipped,
        "about": report.about,
        "notes": report.notes,
    }


def to_json(report: Report) -> str:
    """The summary, the values of every item, and the counts behind BLEU and METEOR, an item a line."""
    singles = {
        name: score.per_item.tolist()
        for name, score in report.scores.items()
        if score.per_item is not None
    }
    pooled = {
        name: score.pooled.tolist()
        for name, score in _pooled(report).items()
        if score.pooled is not None
    }
    lines = []
    for i, item in enumerate(report.items):
        row: dict[str, Any] = {"id": item.id, "candidate": item.candidate}
        row |= {"references": item.references} if item.references else {}
        row |= {"audio": item.audio} if item.audio else {}
        row |= {"confidence": item.confidence} if item.confidence is not None else {}
        row |= {name: _finite(values[i]) for name, values in singles.items()}
        row |= {f"counts_{family}": values[i] for family, values in pooled.items()}
        lines.append("  " + json.dumps(row, ensure_ascii=False, allow_nan=False))
    head = json.dumps(summary(report), indent=1, ensure_ascii=False, allow_nan=False)
    return head.removesuffix("\n}") + ',\n "per_item": [\n' + ",\n".join(lines) + "\n ]\n}\n"


def save(report: Report, path: str | Path) -> None:
    """Write the JSON, whole or not at all."""
    write_text(path, to_json(report))


def is_evaluation(path: str | Path) -> bool:
    """Whether a file is one of ``save``, whole or not; False when it cannot be read."""
    try:
        value = read_json(path)
    except WsacError:
        return False
    return isinstance(value, dict) and "per_item" in value


def load(path: str | Path) -> Report:
    """Read what ``save`` wrote. Raises WsacError for anything else."""
    try:
        value = read_json(path)
    except WsacError:
        if not Path(path).is_file():
            raise
        value = None
    if not isinstance(value, dict) or "per_item" not in value or "digest" not in value:
        raise WsacError(f"{path}: not an evaluation; wsac evaluate … -o FILE.json writes one")
    if value.get("format") != FORMAT:
        raise WsacError(
            f"{path}: format {value.get('format')}, and this wsac reads {FORMAT}; evaluate again"
        )
    try:
        rows = value["per_item"]
        items = tuple(
            Item(
                row["id"],
                row["candidate"],
                tuple(row.get("references", ())),
                row.get("audio"),
                row.get("confidence"),
            )
            for row in rows
        )
        scores: dict[str, Score] = {}
        spans: dict[str, tuple[float, float]] = {}
        for name, facts in value["metrics"].items():
            corpus = float("nan") if facts["value"] is None else float(facts["value"])
            single = (
                np.array([row[name] for row in rows], float) if name in rows[0] else None
            )  # null is nan
            family = f"counts_{_family(name)}"
            counts = np.array([row[family] for row in rows], float) if family in rows[0] else None
            scores[name] = Score(name, corpus, single, facts["note"], counts)
            if facts["interval"]:
                low, high = facts["interval"]
                spans[name] = float(low), float(high)
        about, notes = value.get("about", {}), tuple(value.get("notes", ()))
        return Report(
            items, scores, value["missing"], value["digest"], spans, value["skipped"], about, notes
        )
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise WsacError(f"{path}: not a whole evaluation ({error!r}); evaluate again") from error


def _pooled(report: Report) -> dict[str, Score]:
    """One score of each family that has pooled counts: BLEU's are the same for all four."""
    return {
        _family(name): score for name, score in report.scores.items() if score.pooled is not None
    }


def _family(name: str) -> str:
    return "bleu" if name.startswith("bleu_") else name


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
