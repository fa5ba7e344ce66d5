"""The table of a benchmark: means over seeds, intervals over clips, ratios to one row; as Markdown and as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from wsac.evaluation import Score
from wsac.evaluation.benchmark.benchmark_recipe import BenchmarkRecipe, BenchmarkRow
from wsac.evaluation.statistics import LEVEL, RESAMPLES, compare, intervals, resampled
from wsac.io.plots import bars_png


@dataclass(frozen=True, slots=True)
class RowResult:
    """A row of the table. values: per metric the corpus figure of every seed; single: per metric the mean over seeds of
    the value of every clip that has one, [N]; intervals: per metric the interval of every seed, of metrics whose corpus
    figure is no mean over clips."""

    row: BenchmarkRow
    values: dict[str, list[float]]
    single: dict[str, np.ndarray]
    intervals: dict[str, list[tuple[float, float]]]

    def figure(self, metric: str) -> float:
        return float(np.mean(self.values[metric]))


def tabulate(recipe: BenchmarkRecipe, results: Sequence[RowResult]) -> dict[str, Any]:
    """Rows with the mean over seeds, its interval over clips, the spread of the seeds, and the ratio and the paired p
    against the row ``against`` of the same data."""
    rows = []
    for result in results:
        base = next(
            (r for r in results if r.row.data == result.row.data and r.row.name == recipe.against),
            None,
        )
        row: dict[str, Any] = {
            "data": result.row.data,
            "name": result.row.name,
            **_specs(result.row),
            "metrics": {},
        }
        for metric in result.values:
            cell: dict[str, Any] = {"value": result.figure(metric), "seeds": result.values[metric]}
            if metric in result.intervals:
                low, high = np.mean(result.intervals[metric], axis=0).tolist()
                cell["interval"] = (low, high)
            elif metric in result.single and (span := _interval(result.single[metric])):
                cell["interval"] = span
            if (
                base is not None
                and base is not result
                and metric in base.values
                and base.figure(metric)
            ):
                cell["ratio"] = result.figure(metric) / base.figure(metric)
                if metric in result.single and metric in base.single:
                    cell |= _paired(result.single[metric], base.single[metric])
            row["metrics"][metric] = cell
        rows.append(row)
    return {
        "against": recipe.against,
        "seeds": list(recipe.seeds),
        "clap": recipe.clap,
        "level": LEVEL,
        "rows": rows,
    }


def _specs(row: BenchmarkRow) -> dict[str, Any]:
    return {key: value for key, value in row.model_dump().items() if key not in ("data", "name")}


def _interval(values: np.ndarray) -> tuple[float, float] | None:
    """Of the mean over clips; None where there is nothing to resample."""
    return intervals([Score("mean", float(values.mean()), values)]).get("mean")


def _paired(values: np.ndarray, base: np.ndarray) -> dict[str, Any]:
    """The interval of the ratio of means, and p of a permutation test of the difference; both paired by clip."""
    if _interval(values) is None or _interval(base) is None:
        return {}
    (found,) = compare(
        [Score("mean", float(base.mean()), base)], [Score("mean", float(values.mean()), values)]
    )
    both = np.stack((values, base), axis=1)
    sums = np.concatenate([weights @ both for weights in resampled(len(both), RESAMPLES, 0)])
    ratios = sums[:, 0] / np.where(sums[:, 1] == 0, np.nan, sums[:, 1])
    low, high = np.nanpercentile(ratios, [50 * (1 - LEVEL), 50 * (1 + LEVEL)])
    return {"ratio_interval": (float(low), float(high)), "p": found.p}


def to_png(table: dict[str, Any]) -> bytes:
    """The rows as a picture: the first metric with its interval."""
    metric = next(iter(table["rows"][0]["metrics"]))
    several = len({row["data"] for row in table["rows"]}) > 1
    bars = {}
    for row in table["rows"]:
        cell = row["metrics"][metric]
        low, high = cell.get("interval", (cell["value"], cell["value"]))
        bars[f"{row['data']}: {row['name']}" if several else row["name"]] = (
            cell["value"],
            low,
            high,
        )
    return bars_png(bars, title=f"{metric}, {LEVEL:.0%} intervals over clips")


def to_markdown(table: dict[str, Any], metrics: Sequence[str] = ()) -> str:
    """The table for a README: a line a row, the figures with their intervals, and the ratio of the first metric."""
    shown = [
        m
        for m in (metrics or table["rows"][0]["metrics"])
        if any(m in row["metrics"] for row in table["rows"])
    ]
    heads = ["data", "row", "training", "inference", *shown]
    against = table["against"]
    if against:
        heads.append(f"{shown[0]} / {against}")
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for row in table["rows"]:
        cells = [
            row["data"],
            row["name"],
            "sounds" if row["supervised"] else row["train"] or "–",
            row["infer"],
        ]
        for metric in shown:
            cell = row["metrics"].get(metric)
            span = (
                ""
                if cell is None or "interval" not in cell
                else " ({:.3f}–{:.3f})".format(*cell["interval"])
            )
            cells.append("" if cell is None else f"{cell['value']:.3f}{span}")
        if against:
            cell = row["metrics"].get(shown[0], {})
            span = (
                " ({:.0%}–{:.0%})".format(*cell["ratio_interval"])
                if "ratio_interval" in cell
                else ""
            )
            cells.append(f"{cell['ratio']:.0%}{span}" if "ratio" in cell else "")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"
