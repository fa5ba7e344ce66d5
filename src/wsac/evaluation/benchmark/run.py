"""One table over corpora, training bridges, inference bridges and seeds, resumable row by row.

Rows share captioners, which are trained once, and sounds, which are embedded once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from wsac.bridges import parse
from wsac.bridges.bridge import Kind
from wsac.bridges.gap import fit_gap
from wsac.clap.collections import embed_sounds
from wsac.data.captions.corpus import merge
from wsac.evaluation import Item, Models, evaluate
from wsac.evaluation.metrics.registry import resolve
from wsac.inference.caption_options import CaptionOptions
from wsac.inference.captioner import Captioner
from wsac.io.checked_json import read_record, write_record
from wsac.io.config import load_recipe, pin_recipe
from wsac.io.console import say
from wsac.io.files import write_json, write_text
from wsac.io.json_text import to_json
from wsac.runtime.device import pick_device
from wsac.training.decoder import train
from wsac.training.recipe import Recipe
from wsac.types import RecipeError, WsacError

from .benchmark_data import Data, prepare
from .benchmark_recipe import BenchmarkRecipe, BenchmarkRow
from .table import RowResult, tabulate, to_markdown, to_svg

POOLED = ("bleu_1", "bleu_2", "bleu_3", "bleu_4", "meteor")  # whose corpus figures are no means
GAP_TEXTS = 5000  # texts that the gap is fitted on, at most


def run_benchmark(
    recipe: BenchmarkRecipe, out: str | Path, *, own: Sequence[Data] = (), device: str = "auto"
) -> dict[str, Any]:
    """Train, caption and score every row for every seed; returns and writes the table.

    own: data of the recipe, by name, that are ready instead of being prepared as it says. Work
    that is finished in ``out`` is not repeated. Raises RecipeError for impossible rows, before
    anything runs.
    """
    out = Path(out)
    data = {ready.name: ready for ready in own}
    check_rows(recipe, data.keys())
    tested = {row.data for row in recipe.rows}
    for name, options in recipe.data.items():
        if name not in data:
            folder = out / "data" / f"{name}-{_key(options.model_dump())}"
            data[name] = prepare(name, options, folder, tested=name in tested)
    if (out / "table.json").is_file() and _changed(recipe, out / "recipe.toml"):
        what = "the table is rewritten, and rows of both recipes are reused"
        say(f"{out}: another recipe than before; {what}")
    pin_recipe(recipe, out)
    run, results = _Run(recipe, data, out, pick_device(device)), []
    missing: dict[str, str] = {}
    for row in recipe.rows:
        seeds = [run.scores(row, seed) for seed in recipe.seeds]
        values, intervals = collect(seeds, "values"), collect(seeds, "intervals")
        single = {}
        for metric, clips in collect(seeds, "single").items():
            known = [[value for value in seed if value is not None] for seed in clips]
            single[metric] = np.mean(known, axis=0)
        results.append(RowResult(row, values, single, intervals))
        for scores in seeds:
            missing |= scores["missing"]
    for name, why in missing.items():
        say(f"{name}: left out; {why}")
    table = tabulate(recipe, results)
    write_json(out / "table.json", table)
    write_text(out / "table.md", to_markdown(table))
    write_text(out / "table.svg", to_svg(table))
    return table


def collect(seeds: Sequence[dict[str, Any]], part: str) -> dict[str, list[Any]]:
    """A part of every seed's results, by the metrics that all seeds have."""
    metrics = [name for name in seeds[0][part] if all(name in seed[part] for seed in seeds)]
    return {name: [seed[part][name] for seed in seeds] for name in metrics}


def _changed(recipe: BenchmarkRecipe, path: Path) -> bool:
    try:
        return load_recipe(BenchmarkRecipe, path) != recipe
    except RecipeError:  # of another version
        return True


def check_rows(recipe: BenchmarkRecipe, own: Collection[str] = ()) -> None:
    """Raises RecipeError for rows with unknown data, bridges or metrics, or impossible options.

    own: names of data that are not prepared as the recipe says."""
    resolve(list(recipe.metrics))
    names = [(row.data, row.name) for row in recipe.rows]
    for i, row in enumerate(recipe.rows):
        try:
            if names[i] in names[:i]:
                raise RecipeError(f"twice in {row.data}; give every row a name of its own")
            if unknown := [name for name in row.all_data if name not in recipe.data]:
                raise RecipeError(f"no data '{unknown[0]}'; there are {', '.join(recipe.data)}")
            _options(row)
            gaps, source = [_needs_gap(kinds) for kinds in _kinds(row)], row.train_on or row.data
            silent = source not in own and not recipe.data[source].sounds
            if silent and (row.supervised or any(gaps)):
                raise RecipeError(f"needs training sounds, and '{source}' says sounds = false")
        except RecipeError as error:
            raise RecipeError(f"row '{row.name}': {error}") from error
    known_rows = sorted({row.name for row in recipe.rows})
    if recipe.against and recipe.against not in known_rows:
        what = f"no row of this name; there are {', '.join(known_rows)}"
        raise RecipeError(f"against '{recipe.against}': {what}")


@dataclass(frozen=True)
class _Run:
    """A benchmark that is running: what its rows share."""

    recipe: BenchmarkRecipe
    data: dict[str, Data]
    out: Path
    device: str

    def scores(self, row: BenchmarkRow, seed: int) -> dict[str, Any]:
        """Figures and values of single clips of one row and seed, read where they are finished."""
        used = {name: self.recipe.data[name].model_dump() for name in row.all_data}
        setup = self.recipe.model_dump(mode="json", exclude={"rows", "seeds", "against", "data"})
        plan = {"row": row.model_dump(), "seed": seed, "data": used, "setup": setup}
        path = self.out / "scores" / f"{_key(plan)}.json"
        done = _stored(path, plan)
        if done and not done["missing"]:
            return done
        data = self.data[row.data]
        captions = done["captions"] if done else self.captions(row, seed)
        if not any(captions):
            say(f"note: {row.data}, {row.name}, seed {seed}: every caption is empty; train longer")
        clips = zip(data.test, captions, strict=True)
        items = [Item(clip.id, text, clip.references, clip.audio) for clip, text in clips]
        report = evaluate(items, self.recipe.metrics, Models(device=self.device))
        values = {name: score.corpus for name, score in report.scores.items()}
        single = {name: array.tolist() for name, array in report.values().items()}
        for name, judged in (data.judge(captions) if data.judge else {}).items():
            known = [value for value in judged if value is not None]
            values[name] = float(np.mean(known)) if known else float("nan")
            single[name] = judged
        spans = {name: span for name, span in report.intervals.items() if name in POOLED}
        done = plan | {"values": values, "single": single, "intervals": spans}
        done |= {"captions": captions, "missing": report.missing}  # tried again the next time
        write_record(path, done)
        shown = ", ".join(f"{name} {value:.4f}" for name, value in list(values.items())[:3])
        say(f"{row.data}, {row.name}, seed {seed}: {shown}")
        return done

    def captions(self, row: BenchmarkRow, seed: int) -> list[str]:
        """The captions of every test clip by the captioner of a row."""
        source = row.train_on or row.data
        captioner = self.captioner(row, self.data[source], seed)
        if row.memory and row.memory != source:
            corpus = self.recipe.corpus
            texts = merge(self.data[row.memory].captions, format=corpus.format, style=corpus.style)
            captioner = captioner.with_memory([example.caption for example in texts.examples])
        captioner = captioner.with_options(_options(row))
        sounds = embed_sounds([clip.audio for clip in self.data[row.data].test], captioner.clap)
        return [caption.text for caption in captioner.caption_embeddings(sounds)]

    def captioner(self, row: BenchmarkRow, data: Data, seed: int) -> Captioner:
        """The captioner of a row, trained unless it is there already."""
        corpus = {"pairs": (data.pairs,)} if row.supervised else {"captions": data.captions}
        training, inference = _kinds(row)
        paired = any(kind.pairs for kind in (*training, *inference))
        gap = self.gap(data, paired) if _needs_gap(training) else ""
        recipe = Recipe(
            clap=self.recipe.clap,
            start="none",
            corpus=self.recipe.corpus.model_copy(update=corpus),
            bridge={"train": row.train, "gap": gap},
            prompt=row.prompt,
            decoder=self.recipe.decoder,
            training=self.recipe.training.model_copy(update={"seed": seed}),
            memory=self.recipe.memory,
        )
        folder = self.out / "runs" / _key(recipe.model_dump())
        captioner = train(recipe, folder, device=self.device)
        if not gap and _needs_gap(inference):
            captioner = captioner.with_gap(self.gap(data, paired))
        return captioner

    def gap(self, data: Data, paired: bool) -> str:
        """The file of the gap between the data's training texts and sounds.

        Unless ``paired``, the sounds are of every other clip, and the texts of those between.
        """
        from wsac.clap import load_clap
        from wsac.clap.texts import embed_texts
        from wsac.data.datasets.pairs import read_pairs

        facts = {"pairs": data.pairs, "sounds": data.sounds, "paired": paired}
        key = _key({"clap": self.recipe.clap} | facts)
        path = self.out / "data" / f"{data.name}-{key}-gap.safetensors"
        if path.is_file():
            return str(path)
        if not data.pairs and not data.sounds:
            raise RecipeError(f"data '{data.name}': no training sounds for a gap; give pairs")
        clap = load_clap(self.recipe.clap, device=self.device)
        if data.sounds:
            texts = [example.caption for example in merge(data.captions).examples]
            texts = texts[:: -(-len(texts) // GAP_TEXTS)]  # evenly spaced
            sounds = list(data.sounds[:: -(-len(data.sounds) // GAP_TEXTS)])
        else:
            clips = read_pairs([data.pairs])[:GAP_TEXTS]
            apart = not paired and len(clips) >= 4
            sounds = [clip.path for clip in clips[:: 1 + apart]]
            texts = [text for clip in clips[apart :: 1 + apart] for text in clip.captions]
            if paired:
                texts = [clip.captions[0] for clip in clips]
        clouds = embed_texts(clap, texts), embed_sounds(sounds, clap)
        paired = paired and not data.sounds
        fit_gap(*clouds, paired=paired, fingerprint=clap.fingerprint).save(path)
        return str(path)


def _options(row: BenchmarkRow) -> CaptionOptions:
    decoding = {"beam_size": row.beam, "length_penalty": row.length_penalty}
    return CaptionOptions.make(bridge=row.infer, choose=row.choose, samples=row.samples, **decoding)


def _kinds(row: BenchmarkRow) -> tuple[list[Kind], list[Kind]]:
    """The row's bridges of training and of inference."""
    training, inference = parse(row.train, "training", "head"), parse(row.infer, "inference")
    return [kind for kind, _ in training], [kind for kind, _ in inference]


def _needs_gap(kinds: Sequence[Kind]) -> bool:
    return any("gap" in kind.needs for kind in kinds)


def _key(plan: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(plan, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _stored(path: Path, plan: dict[str, Any]) -> dict[str, Any]:
    """What was scored before by this plan; {} if nothing was, or it is damaged, with a note."""
    if not path.is_file():
        return {}
    try:
        done = read_record(path)
    except WsacError:
        say(f"note: {path}: damaged, or of an older wsac; this row is scored again")
        return {}
    if any(done.get(key) != json.loads(to_json(value)) for key, value in plan.items()):
        say(f"note: {path}: scores of another row; this one is scored again")
        return {}
    values = done["values"].items()  # JSON has null where a value is not a number
    return done | {"values": {n: float("nan") if v is None else v for n, v in values}}
