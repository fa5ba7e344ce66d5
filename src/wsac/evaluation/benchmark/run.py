"""One table over corpora, training bridges, inference bridges and seeds, with intervals, resumable row by row.

Every captioner is trained once and every sound embedded once, whatever the number of rows that share them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from wsac.bridges import parse
from wsac.bridges.bridge import Stage
from wsac.bridges.gap import fit_gap
from wsac.clap.collections import embed_sounds
from wsac.data.captions.corpus import merge
from wsac.evaluation import Item, Models, evaluate
from wsac.evaluation.benchmark.benchmark_recipe import BenchmarkRecipe, BenchmarkRow
from wsac.evaluation.metrics.registry import resolve
from wsac.inference.caption_options import CaptionOptions
from wsac.inference.captioner import Captioner
from wsac.io.config import load_recipe, pin_recipe
from wsac.io.console import say
from wsac.io.files import read_json, write_bytes, write_json, write_text
from wsac.runtime.device import pick_device
from wsac.training.decoder import train
from wsac.training.recipe import Recipe
from wsac.types import RecipeError

from .benchmark_data import Data, prepare
from .table import RowResult, tabulate, to_markdown, to_png

POOLED = (
    "bleu_1",
    "bleu_2",
    "bleu_3",
    "bleu_4",
    "meteor",
)  # corpus figures that are no means over clips
GAP_TEXTS = 5000  # texts that the gap is fitted on, at most


def run_benchmark(
    recipe: BenchmarkRecipe, out: str | Path, *, own: Sequence[Data] = (), device: str = "auto"
) -> dict[str, Any]:
    """Train, caption and score every row for every seed; returns the table, which ``out`` also gets as JSON.

    own: data of the recipe, by name, that are at hand already instead of being prepared as it says. What is finished
    in ``out`` is not done again. Raises RecipeError for rows that cannot be, before anything is run.
    """
    out, device = Path(out), pick_device(device)
    check_rows(recipe, {given.name for given in own})
    tested = {row.data for row in recipe.rows}
    data = {
        name: prepare(
            name,
            options,
            out / "data" / f"{name}-{_key(options.model_dump())}",
            tested=name in tested,
        )
        for name, options in recipe.data.items()
        if name not in {given.name for given in own}
    } | {given.name: given for given in own}
    if (out / "table.json").is_file() and _changed(recipe, out / "recipe.toml"):
        say(
            f"{out}: another recipe than before; the table is written anew, and what is in both is not done again"
        )
    pin_recipe(recipe, out)
    results: list[RowResult] = []
    missing: dict[str, str] = {}
    for row in recipe.rows:
        found = [_scores(recipe, row, data, seed, out, device) for seed in recipe.seeds]
        single = {
            metric: np.mean(
                [[v for v in one["single"][metric] if v is not None] for one in found], axis=0
            )
            for metric in _common(found, "single")
        }
        values, spans = (
            {metric: [one[part][metric] for one in found] for metric in _common(found, part)}
            for part in ("values", "intervals")
        )
        results.append(RowResult(row, values, single, spans))
        missing |= {name: why for one in found for name, why in one["missing"].items()}
    for name, why in missing.items():
        say(f"{name}: left out; {why}")
    table = tabulate(recipe, results)
    write_json(out / "table.json", table)
    write_text(out / "table.md", to_markdown(table))
    write_bytes(out / "table.png", to_png(table))
    return table


def _changed(recipe: BenchmarkRecipe, path: Path) -> bool:
    try:
        return load_recipe(BenchmarkRecipe, path) != recipe
    except RecipeError:  # of another version
        return True


def _common(found: Sequence[dict[str, Any]], part: str) -> list[str]:
    """The metrics that all seeds have, in the order of the first."""
    return [metric for metric in found[0][part] if all(metric in one[part] for one in found)]


def check_rows(recipe: BenchmarkRecipe, own: Collection[str] = ()) -> None:
    """Raises RecipeError when a row names data, bridges or metrics that there are none of, or options that cannot be.

    own: names of data that are not prepared as the recipe says."""
    resolve(list(recipe.metrics))
    seen = set()
    for row in recipe.rows:
        key = (row.data, row.name)
        if key in seen:
            raise RecipeError(
                f"row '{row.name}' of {row.data}: twice; give every row a name of its own"
            )
        seen.add(key)
        for used in filter(None, (row.data, row.train_on, row.memory)):
            if used not in recipe.data:
                raise RecipeError(
                    f"row '{row.name}': no data '{used}'; there are {', '.join(recipe.data)}"
                )
        try:
            parse(row.train, "training", "head")
            parse(row.infer, "inference")
            _options(row)
        except RecipeError as error:
            raise RecipeError(f"row '{row.name}': {error}") from error
        trained_on = row.train_on or row.data
        silent = trained_on not in own and not recipe.data[trained_on].sounds
        gapped = _needs_gap(row.train, "training", "head") or _needs_gap(row.infer, "inference")
        if silent and (row.supervised or gapped):
            raise RecipeError(
                f"row '{row.name}': needs training sounds, and '{trained_on}' says sounds = false"
            )
    against = {row.name for row in recipe.rows}
    if recipe.against and recipe.against not in against:
        raise RecipeError(
            f"against '{recipe.against}': no row of this name; there are {', '.join(sorted(against))}"
        )


def _scores(
    recipe: BenchmarkRecipe,
    row: BenchmarkRow,
    data: dict[str, Data],
    seed: int,
    out: Path,
    device: str,
) -> dict[str, Any]:
    """Figures and values of single clips of one row and seed, from the file where they are."""
    used = {
        name: recipe.data[name].model_dump()
        for name in filter(None, (row.data, row.train_on, row.memory))
    }
    setup = recipe.model_dump(mode="json", exclude={"rows", "seeds", "against", "data"})
    plan = {"row": row.model_dump(), "seed": seed, "data": used, "setup": setup}
    path = out / "scores" / f"{_key(plan)}.json"
    done = read_json(path) if path.is_file() else {}
    if done and not done["missing"]:
        return done
    here = data[row.data]
    captions = done["captions"] if done else _captions(recipe, row, data, seed, out, device)
    if not any(captions):
        say(f"note: {row.data}, {row.name}, seed {seed}: every caption is empty; train longer")
    items = [
        Item(clip.id, text, clip.references, clip.audio)
        for clip, text in zip(here.test, captions, strict=True)
    ]
    report = evaluate(items, list(recipe.metrics), Models(device=device))
    values = {name: score.corpus for name, score in report.scores.items()}
    single = {
        name: score.per_item.tolist()
        for name, score in report.scores.items()
        if score.per_item is not None
    }
    if here.judge is not None:
        for name, judged in here.judge(captions).items():
            known = [value for value in judged if value is not None]
            values[name] = float(np.mean(known)) if known else float("nan")
            single[name] = judged
    spans = {
        name: report.intervals[name]
        for name in POOLED
        if name in values and name in report.intervals
    }
    done = plan | {"values": values, "single": single, "intervals": spans, "captions": captions}
    done["missing"] = report.missing  # is tried again the next time
    write_json(path, done)
    shown = ", ".join(f"{name} {value:.4f}" for name, value in list(values.items())[:3])
    say(f"{row.data}, {row.name}, seed {seed}: {shown}")
    return done


def _captions(
    recipe: BenchmarkRecipe,
    row: BenchmarkRow,
    data: dict[str, Data],
    seed: int,
    out: Path,
    device: str,
) -> list[str]:
    """What the captioner of a row says of every test clip."""
    source = data[row.train_on or row.data]
    captioner = _captioner(recipe, row, source, seed, out, device)
    if row.memory and row.memory != source.name:
        texts = merge(
            data[row.memory].captions, format=recipe.corpus.format, style=recipe.corpus.style
        )
        captioner = captioner.with_memory([example.caption for example in texts.examples])
    captioner = captioner.with_options(_options(row))
    sounds = embed_sounds([clip.audio for clip in data[row.data].test], captioner.clap)
    return [caption.text for caption in captioner.caption_embeddings(sounds)]


def _captioner(
    recipe: BenchmarkRecipe, row: BenchmarkRow, data: Data, seed: int, out: Path, device: str
) -> Captioner:
    """The captioner of a row, trained unless it lies there already."""
    training = recipe.training.model_copy(update={"seed": seed})
    corpus = {"pairs": (data.pairs,)} if row.supervised else {"captions": data.captions}
    paired = _has(row, "pairs")
    gap = (
        _gap(recipe, data, out, device, paired) if _needs_gap(row.train, "training", "head") else ""
    )
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
        captioner = captioner.with_gap(_gap(recipe, data, out, device, paired))
    return captioner


def _options(row: BenchmarkRow) -> CaptionOptions:
    decoding = {"beam_size": row.beam, "length_penalty": row.length_penalty}
    return CaptionOptions.make(bridge=row.infer, choose=row.choose, samples=row.samples, **decoding)


def _needs_gap(spec: str, *stages: Stage) -> bool:
    return any("gap" in kind.needs for kind, _ in parse(spec, *stages))


def _has(row: BenchmarkRow, what: str) -> bool:
    """Whether any bridge of the row has this property."""
    kinds = [*parse(row.train, "training", "head"), *parse(row.infer, "inference")]
    return any(getattr(kind, what) for kind, _ in kinds)


def _gap(recipe: BenchmarkRecipe, data: Data, out: Path, device: str, paired: bool) -> str:
    """The gap of the data's training texts and sounds, where only pairs are at hand too. Unless a bridge of the row
    needs pairs, the sounds are of every other clip and the texts of those between: no sound meets its own caption."""
    from wsac.clap import load_clap
    from wsac.clap.texts import embed_texts
    from wsac.data.datasets.pairs import read_pairs

    key = _key({"clap": recipe.clap, "pairs": data.pairs, "sounds": data.sounds, "paired": paired})
    path = out / "data" / f"{data.name}-{key}-gap.safetensors"
    if not path.is_file():
        if not data.pairs and not data.sounds:
            raise RecipeError(
                f"data '{data.name}': no training sounds, which a gap needs; give pairs"
            )
        clap = load_clap(recipe.clap, device=device)
        if data.sounds:
            texts = _spread([example.caption for example in merge(data.captions).examples])
            sounds = _spread(data.sounds)
        else:
            clips = read_pairs([data.pairs])[:GAP_TEXTS]
            heard, read = (clips, clips) if paired or len(clips) < 4 else (clips[::2], clips[1::2])
            sounds = [clip.path for clip in heard]
            texts = (
                [clip.captions[0] for clip in read]
                if paired
                else [text for clip in read for text in clip.captions]
            )
        found = embed_texts(clap, texts), embed_sounds(sounds, clap)
        fit_gap(*found, paired=paired and not data.sounds, fingerprint=clap.fingerprint).save(path)
    return str(path)


def _spread(values: Sequence[str]) -> list[str]:
    """Some GAP_TEXTS of them, evenly from first to last."""
    return list(values[:: -(-len(values) // GAP_TEXTS)])


def _key(plan: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(plan, sort_keys=True, default=str).encode()).hexdigest()[:16]
