"""The table of a benchmark: means over seeds, intervals over clips, ratios to one row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from wsac.evaluation.metrics.items import Score
from wsac.evaluation.statistics import LEVEL, RESAMPLES, compare, intervals, resampled
from wsac.io.svg_plots import bars_svg

from .benchmark_recipe import BenchmarkRecipe, BenchmarkRow


@dataclass(frozen=True, slots=True)
class RowResult:
    """A row of the table.

    values: per metric the corpus figure of every seed. single: per metric the mean over seeds of
    the value of every clip that has one, [N]. intervals: per metric the interval of every seed,
    of metrics whose corpus figure is no mean over clips.
    """

    row: BenchmarkRow
    values: dict[str, list[float]]
    single: dict[str, np.ndarray]
    intervals: dict[str, list[tuple[float, float]]]

    def figure(self, metric: str) -> float:
        """The mean over seeds."""
        return float(np.mean(self.values[metric]))

    def interval(self, metric: str) -> tuple[float, float] | None:
        """The interval over clips; None where nothing can be resampled."""
        if metric in self.intervals:
            low, high = np.mean(self.intervals[metric], axis=0).tolist()
            return low, high
        values = self.single.get(metric)
        return None if values is None else intervals([_mean(values)]).get("mean")


def tabulate(recipe: BenchmarkRecipe, results: Sequence[RowResult]) -> dict[str, Any]:
    """Rows with the mean over seeds, its interval over clips, and the seeds.

    Where the same data have the row ``against``: the ratio to it, and p of a paired test.
    """
    bases = {result.row.data: result for result in results if result.row.name == recipe.against}
    rows = []
    for result in results:
        base = bases.get(result.row.data)
        metrics = {}
        for metric, seeds in result.values.items():
            cell: dict[str, Any] = {"value": result.figure(metric), "seeds": seeds}
            if span := result.interval(metric):
                cell["interval"] = span
            if base and base is not result and metric in base.values and base.figure(metric):
                cell["ratio"] = result.figure(metric) / base.figure(metric)
                if metric in result.single and metric in base.single:
                    cell |= _paired(result.single[metric], base.single[metric])
            metrics[metric] = cell
        specs = result.row.model_dump()
        names = {"data": specs.pop("data"), "name": specs.pop("name")}
        rows.append(names | specs | {"metrics": metrics})
    facts = {"against": recipe.against, "seeds": list(recipe.seeds), "clap": recipe.clap}
    return facts | {"level": LEVEL, "rows": rows}


def _mean(values: np.ndarray) -> Score:
    return Score("mean", float(values.mean()), values)


def _paired(values: np.ndarray, base: np.ndarray) -> dict[str, Any]:
    """The interval of the ratio of means, and p of a permutation test; both paired by clip."""
    if len(values) < 2 or not np.isfinite([values, base]).all():
        return {}
    (comparison,) = compare([_mean(base)], [_mean(values)])
    both = np.stack((values, base), axis=1)
    sums = np.concatenate([weights @ both for weights in resampled(len(both), RESAMPLES, 0)])
    ratios = sums[:, 0] / np.where(sums[:, 1] == 0, np.nan, sums[:, 1])
    low, high = np.nanpercentile(ratios, [50 * (1 - LEVEL), 50 * (1 + LEVEL)])
    return {"ratio_interval": (float(low), float(high)), "p": comparison.p}


def to_svg(table: dict[str, Any]) -> str:
    """The rows as a picture: the first metric with its interval."""
    metric = next(iter(table["rows"][0]["metrics"]))
    several = len({row["data"] for row in table["rows"]}) > 1
    bars = {}
    for row in table["rows"]:
        cell = row["metrics"][metric]
        span = cell.get("interval", (cell["value"], cell["value"]))
        name = f"{row['data']}: {row['name']}" if several else row["name"]
        bars[name] = (cell["value"], *span)
    return bars_svg(bars, title=f"{metric}, {LEVEL:.0%} intervals over clips")


def to_markdown(table: dict[str, Any]) -> str:
    """The table for a README: figures with intervals, and the ratio of the first metric."""
    metrics = list(table["rows"][0]["metrics"])
    lines = [["data", "row", "training", "inference", *metrics]]
    if table["against"]:
        lines[0].append(f"{metrics[0]} / {table['against']}")
    for row in table["rows"]:
        training = "sounds" if row["supervised"] else row["train"] or "–"
        cells = [row["data"], row["name"], training, row["infer"]]
        for metric in metrics:
            cell = row["metrics"].get(metric, {})
            cells.append(_figure(cell.get("value"), cell.get("interval"), ".3f"))
        if table["against"]:
            cell = row["metrics"].get(metrics[0], {})
            cells.append(_figure(cell.get("ratio"), cell.get("ratio_interval"), ".0%"))
        lines.append(cells)
    head, *body = (f"| {' | '.join(cells)} |\n" for cells in lines)
    return head + "|" + "---|" * len(lines[0]) + "\n" + "".join(body)


def _figure(value: float | None, span: tuple[float, float] | None, form: str) -> str:
    """For people: "0.482 (0.452–0.513)"."""
    if value is None:
        return ""
    return f"{value:{form}}" + (f" ({span[0]:{form}}–{span[1]:{form}})" if span else "")
