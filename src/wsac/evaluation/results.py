"""The results of an evaluation: in memory, as JSON and as rows of a table."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from wsac import __version__
from wsac.evaluation.metrics.items import Item, Score
from wsac.evaluation.statistics import LEVEL, RESAMPLES, family
from wsac.io.checked_json import CHECKSUM, FILES, check_record, with_checksum
from wsac.io.files import read_json, write_text
from wsac.io.json_text import to_json
from wsac.types import WsacError

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Report:
    """An evaluation. scores: by name, in the order asked for. missing: why others are not there.

    items: in the order of the scores' values. digest: names the ids and references.
    intervals: 95 % bootstrap. skipped: rows left out of the files, with counts. about: what was
    evaluated, by name. notes: what else should be shown with the figures.
    """

    items: tuple[Item, ...]
    scores: dict[str, Score]
    missing: dict[str, str]
    digest: str
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    skipped: dict[str, int] = field(default_factory=dict)
    about: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def values(self) -> dict[str, np.ndarray]:
        """The values [N] of single clips, of metrics that have them."""
        values = {name: score.per_item for name, score in self.scores.items()}
        return {name: array for name, array in values.items() if array is not None}


def figure_rows(report: Report) -> list[tuple[str, str, str, str]]:
    """Rows for people: metric, value, interval and note of each score."""
    rows = []
    for name, score in report.scores.items():
        span = interval(*report.intervals[name]) if name in report.intervals else ""
        rows.append((name, number(score.corpus), span, score.note))
    return rows


def counted(report: Report) -> str:
    """For people: "1,045 clips with 5 references each"."""
    counts = [len(item.references) for item in report.items]
    least, most = min(counts), max(counts)
    clips = f"{len(counts):,} clip" + "s" * (len(counts) != 1)
    if most == 0:
        return f"{clips} without references"
    span = f"{least} to {most}" if least < most else str(most)
    return f"{clips} with {span} reference{'s' * (span != '1')} each"


def number(value: float) -> str:
    """A figure with the digits that people read."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}" if value > 10 else f"{value:.4f}"


def interval(low: float, high: float) -> str:
    """For people: "0.4520 to 0.5130"."""
    return f"{number(low)} to {number(high)}"


def summary(report: Report) -> dict[str, Any]:
    """The figures of a report for programs, without those of single items."""
    counts = [len(item.references) for item in report.items]
    metrics = {}
    for name, score in report.scores.items():
        facts = {"value": score.corpus, "interval": report.intervals.get(name)}
        metrics[name] = facts | {"note": score.note}
    return {
        "format": FORMAT,
        "wsac": __version__,
        "items": len(report.items),
        "references": {"least": min(counts), "most": max(counts)},
        "digest": report.digest,
        "metrics": metrics,
        "bootstrap": {"level": LEVEL, "resamples": RESAMPLES, "kind": "percentile, over items"},
        "missing": report.missing,
        "skipped": report.skipped,
        "about": report.about,
        "notes": report.notes,
    }


def report_json(report: Report, *, ensure_ascii: bool = False) -> str:
    """The summary, a checksum of all, and one line per item with its values and the counts behind
    BLEU and METEOR."""
    columns = {name: values.tolist() for name, values in report.values().items()}
    for name, score in report.scores.items():
        if score.pooled is not None:
            columns[f"counts_{family(name)}"] = score.pooled.tolist()
    rows = []
    for i, item in enumerate(report.items):
        row = {key: value for key, value in asdict(item).items() if value not in ((), "", None)}
        row = {"id": item.id, "candidate": item.candidate} | row
        row |= {name: values[i] for name, values in columns.items()}
        rows.append(row)
    record = with_checksum(summary(report) | {"per_item": rows})
    del record["per_item"]
    head = to_json(record, indent=1, ensure_ascii=ensure_ascii)
    lines = [f"  {to_json(row, ensure_ascii=ensure_ascii)}" for row in rows]
    return head.removesuffix("\n}") + ',\n "per_item": [\n' + ",\n".join(lines) + "\n ]\n}\n"


def save(report: Report, path: str | Path) -> None:
    """Write the JSON, whole or not at all."""
    write_text(path, report_json(report))


def is_evaluation(path: str | Path) -> bool:
    """Whether a file is one of ``save``, whole or not; False when it cannot be read."""
    try:
        value = read_json(path)
    except WsacError:
        return False
    return isinstance(value, dict) and ("per_item" in value or {FILES, CHECKSUM} <= value.keys())


def load(path: str | Path) -> Report:
    """Read an evaluation that ``save`` wrote. Raises WsacError for anything else, and for one that
    was changed; one of an older wsac has no checksum."""
    if not Path(path).is_file():
        what = "is a folder" if Path(path).is_dir() else "not found"
        raise WsacError(f"{path}: {what}; name a file that wsac evaluate -o wrote")
    value = read_json(path) if is_evaluation(path) else {}
    check_record(Path(path), value)
    if "digest" not in value:
        raise WsacError(f"{path}: not an evaluation; wsac evaluate … -o FILE.json writes one")
    if value.get("format") != FORMAT:
        what = f"format {value.get('format')}, and this wsac reads {FORMAT}"
        raise WsacError(f"{path}: {what}; evaluate again")
    try:
        rows = value["per_item"]

        def column(name: str) -> np.ndarray | None:
            return np.array([row[name] for row in rows], float) if name in rows[0] else None

        scores: dict[str, Score] = {}
        spans: dict[str, tuple[float, float]] = {}
        for name, facts in value["metrics"].items():
            corpus = float("nan") if facts["value"] is None else float(facts["value"])
            counts = column(f"counts_{family(name)}")
            scores[name] = Score(name, corpus, column(name), facts["note"], counts)
            if facts["interval"]:
                low, high = facts["interval"]
                spans[name] = float(low), float(high)
        items = []
        for row in rows:
            texts = row["id"], row["candidate"], tuple(row.get("references", ()))
            items.append(Item(*texts, row.get("audio"), row.get("confidence")))
        missing, digest, skipped = value["missing"], value["digest"], value["skipped"]
        about, notes = value.get("about", {}), tuple(value.get("notes", ()))
        return Report(tuple(items), scores, missing, digest, spans, skipped, about, notes)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise WsacError(f"{path}: not a whole evaluation ({error!r}); evaluate again") from error
