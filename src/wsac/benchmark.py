"""One table over corpora, training bridges, inference bridges and seeds, with intervals, resumable row by row.

Every captioner is trained once and every sound embedded once, whatever the number of rows that share them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .audio_embeddings import embed_sounds
from .benchmark_data import Data, prepare
from .bridges import parse
from .captioner import Captioner
from .console import say
from .corpora import merge
from .files import read_json, write_bytes, write_json, write_text
from .gap import fit_gap
from .listening import Heard
from .metrics import Item, Models, evaluate
from .metrics.registry import resolve
from .metrics.resampling import LEVEL, RESAMPLES
from .recipe import BenchmarkRecipe, BenchmarkRow, Recipe, pin_recipe
from .train_decoder import train
from .types import RecipeError

POOLED = ("bleu_1", "bleu_2", "bleu_3", "bleu_4", "meteor")  # corpus figures that are no means over clips
GAP_TEXTS = 5000  # texts that the gap is fitted on, at most


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


def run_benchmark(
    recipe: BenchmarkRecipe, out: str | Path, *, own: Sequence[Data] = (), device: str = "auto"
) -> dict[str, Any]:
    """Train, caption and score every row for every seed; returns the table, which ``out`` also gets as JSON.

    own: data of the recipe, by name, that are at hand already instead of being prepared as it says. What is finished
    in ``out`` is not done again. Raises RecipeError for rows that cannot be, before anything is run.
    """
    out = Path(out)
    check_rows(recipe)
    pin_recipe(recipe, out)
    tested = {row.data for row in recipe.rows}
    data = {
        name: prepare(name, options, out / "data" / f"{name}-{_key(options.model_dump())}", tested=name in tested)
        for name, options in recipe.data.items()
        if name not in {given.name for given in own}
    } | {given.name: given for given in own}
    results = []
    for row in recipe.rows:
        found = [_scores(recipe, row, data, seed, out, device) for seed in recipe.seeds]
        single = {
            metric: np.mean([[v for v in one["single"][metric] if v is not None] for one in found], axis=0)
            for metric in found[0]["single"]
        }
        values, spans = (
            {metric: [one[part][metric] for one in found] for metric in found[0][part]}
            for part in ("values", "intervals")
        )
        results.append(RowResult(row, values, single, spans))
    table = tabulate(recipe, results)
    write_json(out / "table.json", table)
    write_text(out / "table.md", to_markdown(table))
    write_bytes(out / "table.png", to_png(table))
    return table


def check_rows(recipe: BenchmarkRecipe) -> None:
    """Raises RecipeError when a row names data, bridges or metrics that there are none of."""
    resolve(list(recipe.metrics))
    seen = set()
    for row in recipe.rows:
        key = (row.data, row.name)
        if key in seen:
            raise RecipeError(f"row '{row.name}' of {row.data}: twice; give every row a name of its own")
        seen.add(key)
        for used in filter(None, (row.data, row.train_on, row.memory)):
            if used not in recipe.data:
                raise RecipeError(f"row '{row.name}': no data '{used}'; there are {', '.join(recipe.data)}")
        parse(row.train, "training", "head")
        parse(row.infer, "inference")
    against = {row.name for row in recipe.rows}
    if recipe.against and recipe.against not in against:
        raise RecipeError(f"against '{recipe.against}': no row of this name; there are {', '.join(sorted(against))}")


def _scores(
    recipe: BenchmarkRecipe, row: BenchmarkRow, data: dict[str, Data], seed: int, out: Path, device: str
) -> dict[str, Any]:
    """Figures and values of single clips of one row and seed, from the file where they are."""
    used = {name: recipe.data[name].model_dump() for name in filter(None, (row.data, row.train_on, row.memory))}
    setup = recipe.model_dump(mode="json", exclude={"rows", "seeds", "against", "data"})
    plan = {"row": row.model_dump(), "seed": seed, "data": used, "setup": setup}
    path = out / "scores" / f"{_key(plan)}.json"
    if path.is_file():
        return read_json(path)
    here, source = data[row.data], data[row.train_on or row.data]
    captioner = _captioner(recipe, row, source, seed, out, device)
    if row.memory and row.memory != source.name:
        texts = merge(data[row.memory].captions, format=recipe.corpus.format, style=recipe.corpus.style)
        captioner = captioner.with_memory([example.caption for example in texts.examples])
    captioner = captioner.with_options(bridge=row.infer, beam_size=row.beam, choose=row.choose, samples=row.samples)
    sounds = embed_sounds([clip.audio for clip in here.test], captioner.clap)
    heard = [Heard(embedding, 0.0, 0.0) for embedding in sounds]
    captions = [c.text for first in range(0, len(heard), 64) for c in captioner.describe(heard[first : first + 64])]
    items = [Item(clip.id, text, clip.references, clip.audio) for clip, text in zip(here.test, captions, strict=True)]
    report = evaluate(items, list(recipe.metrics), Models(device=device))
    values = {name: score.corpus for name, score in report.scores.items()}
    single = {name: score.per_item.tolist() for name, score in report.scores.items() if score.per_item is not None}
    if here.judge is not None:
        for name, judged in here.judge(captions).items():
            known = [value for value in judged if value is not None]
            values[name] = float(np.mean(known)) if known else float("nan")
            single[name] = judged
    spans = {name: report.intervals[name] for name in POOLED if name in values and name in report.intervals}
    done = plan | {"values": values, "single": single, "intervals": spans, "captions": captions}
    for name, why in report.missing.items():
        say(f"{name}: left out; {why}")
    write_json(path, done)
    shown = ", ".join(f"{name} {value:.4f}" for name, value in list(values.items())[:3])
    say(f"{row.data}, {row.name}, seed {seed}: {shown}")
    return done


def _captioner(recipe: BenchmarkRecipe, row: BenchmarkRow, data: Data, seed: int, out: Path, device: str) -> Captioner:
    """The captioner of a row, trained unless it lies there already."""
    training = recipe.training.model_copy(update={"seed": seed})
    corpus = {"pairs": (data.pairs,)} if row.supervised else {"captions": data.captions}
    gap = _gap(recipe, data, out, device) if _needs_gap(row.train, "training", "head") else ""
    made = Recipe(
        clap=recipe.clap,
        corpus=recipe.corpus.model_copy(update=corpus),
        bridge={"train": row.train, "gap": gap},
        prompt=row.prompt,
        decoder=recipe.decoder,
        training=training,
        memory=recipe.memory,
    )
    folder = out / "runs" / _key(made.model_dump())
    captioner = train(made, folder, device=device)
    if not gap and _needs_gap(row.infer, "inference"):
        captioner = captioner.with_gap(_gap(recipe, data, out, device))
    return captioner


def _needs_gap(spec: str, *stages: str) -> bool:
    return any("gap" in kind.given for kind, _ in parse(spec, *stages))


def _gap(recipe: BenchmarkRecipe, data: Data, out: Path, device: str) -> str:
    """The gap of the data's training texts and sounds: of pairs, unless there are sounds without captions."""
    from .cache import embed_texts
    from .clap import load_clap
    from .clap.pairs import sound_rows

    path = (
        out
        / "data"
        / f"{data.name}-{_key({'clap': recipe.clap, 'pairs': data.pairs, 'sounds': data.sounds})}-gap.safetensors"
    )
    if not path.is_file():
        if not data.pairs and not data.sounds:
            raise RecipeError(f"data '{data.name}': no training sounds, which a gap needs; give pairs")
        clap = load_clap(recipe.clap, device=device)
        if data.sounds:
            texts = _spread([example.caption for example in merge(data.captions).examples])
            sounds = _spread(data.sounds)
        else:
            first: dict[str, str] = {}
            for audio, row in sound_rows(data.pairs, ("audio", "caption")):
                first.setdefault(audio, str(row["caption"]))
            sounds = list(first)[:GAP_TEXTS]
            texts = [first[sound] for sound in sounds]
        found = embed_texts(clap, texts), embed_sounds(sounds, clap)
        fit_gap(*found, paired=not data.sounds, fingerprint=clap.fingerprint).save(path)
    return str(path)


def _spread(values: Sequence[str]) -> list[str]:
    """Some GAP_TEXTS of them, evenly from first to last."""
    return list(values[:: -(-len(values) // GAP_TEXTS)])


def _key(plan: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(plan, sort_keys=True, default=str).encode()).hexdigest()[:16]


# -- the table -------------------------------------------------------------------------------------------------------
def tabulate(recipe: BenchmarkRecipe, results: Sequence[RowResult]) -> dict[str, Any]:
    """Rows with the mean over seeds, its interval over clips, the spread of the seeds, and the ratio and the paired p
    against the row ``against`` of the same data."""
    rows = []
    for result in results:
        base = next((r for r in results if r.row.data == result.row.data and r.row.name == recipe.against), None)
        row: dict[str, Any] = {"data": result.row.data, "name": result.row.name, **_specs(result.row), "metrics": {}}
        for metric in result.values:
            cell: dict[str, Any] = {"value": result.figure(metric), "seeds": result.values[metric]}
            if metric in result.intervals:
                low, high = np.mean(result.intervals[metric], axis=0).tolist()
                cell["interval"] = (low, high)
            elif metric in result.single:
                cell["interval"] = _interval(result.single[metric])
            if base is not None and base is not result and metric in base.values and base.figure(metric):
                cell["ratio"] = result.figure(metric) / base.figure(metric)
                if metric in result.single and metric in base.single:
                    cell |= _paired(result.single[metric], base.single[metric])
            row["metrics"][metric] = cell
        rows.append(row)
    return {"against": recipe.against, "seeds": list(recipe.seeds), "clap": recipe.clap, "level": LEVEL, "rows": rows}


def _specs(row: BenchmarkRow) -> dict[str, Any]:
    return {key: value for key, value in row.model_dump().items() if key not in ("data", "name")}


def _interval(values: np.ndarray) -> tuple[float, float]:
    means = _means(values[None])[0]
    low, high = np.percentile(means, [50 * (1 - LEVEL), 50 * (1 + LEVEL)])
    return float(low), float(high)


def _paired(values: np.ndarray, base: np.ndarray) -> dict[str, Any]:
    """The interval of the ratio of means, and p of a permutation test of the difference; both paired by clip."""
    means = _means(np.stack((values, base)))
    ratios = means[0] / np.where(means[1] == 0, np.nan, means[1])
    low, high = np.nanpercentile(ratios, [50 * (1 - LEVEL), 50 * (1 + LEVEL)])
    difference = values - base
    signs = np.random.default_rng(1).choice((-1.0, 1.0), (2000, len(difference)))
    chance = np.abs(signs @ difference)
    p = (1 + int((chance >= abs(difference.sum()) - 1e-12).sum())) / 2001
    return {"ratio_interval": (float(low), float(high)), "p": p}


def _means(values: np.ndarray) -> np.ndarray:
    """Means of resampled clips, [R, RESAMPLES] for values [R, N]."""
    rng = np.random.default_rng(0)
    size = values.shape[1]
    drawn = [np.bincount(rng.integers(0, size, size), minlength=size) for _ in range(RESAMPLES)]
    return values @ np.stack(drawn, axis=1) / size


def to_png(table: dict[str, Any]) -> bytes:
    """The rows as a picture: the first metric with its interval."""
    from .pictures import bars_png

    metric = next(iter(table["rows"][0]["metrics"]))
    several = len({row["data"] for row in table["rows"]}) > 1
    bars = {}
    for row in table["rows"]:
        cell = row["metrics"][metric]
        low, high = cell.get("interval", (cell["value"], cell["value"]))
        bars[f"{row['data']}: {row['name']}" if several else row["name"]] = (cell["value"], low, high)
    return bars_png(bars, title=f"{metric}, {LEVEL:.0%} intervals over clips")


def to_markdown(table: dict[str, Any], metrics: Sequence[str] = ()) -> str:
    """The table for a README: a line a row, the figures with their intervals, and the ratio of the first metric."""
    shown = [m for m in (metrics or table["rows"][0]["metrics"]) if any(m in row["metrics"] for row in table["rows"])]
    heads = ["data", "row", "training", "inference", *shown]
    against = table["against"]
    if against:
        heads.append(f"{shown[0]} / {against}")
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for row in table["rows"]:
        cells = [row["data"], row["name"], "sounds" if row["supervised"] else row["train"] or "–", row["infer"]]
        for metric in shown:
            cell = row["metrics"].get(metric)
            span = "" if cell is None or "interval" not in cell else " ({:.3f}–{:.3f})".format(*cell["interval"])
            cells.append("" if cell is None else f"{cell['value']:.3f}{span}")
        if against:
            cell = row["metrics"].get(shown[0], {})
            span = " ({:.0%}–{:.0%})".format(*cell["ratio_interval"]) if "ratio_interval" in cell else ""
            cells.append(f"{cell['ratio']:.0%}{span}" if "ratio" in cell else "")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"
