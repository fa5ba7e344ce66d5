"""The verbs that compare settings: ``wsac benchmark`` and ``wsac tune``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from wsac.io.console import print_json, say, table
from wsac.types import WsacError

from . import common_options as common

LEGEND = (
    "cycle: how well each caption, read back, picks out its own recording (0 is best); "
    "at fault: captions too short, too long or repetitive; different: share of distinct captions"
)


def benchmark(
    recipe: Annotated[str, Argument(help="A recipe by name, such as paper-table, or a TOML file.")],
    out: Annotated[
        Path | None, Option("--out", "-o", callback=common.new_folder, help="Default: runs/RECIPE.")
    ] = None,
    changes: common.Set = None,
    as_json: common.Json = False,
    device: common.Device = "auto",
) -> None:
    """Train and score many captioners in one table.

    Rows are corpora and bridges; every figure has an interval over clips.

    wsac benchmark paper-table
    """
    from wsac.evaluation.benchmark.benchmark_recipe import BenchmarkRecipe
    from wsac.evaluation.benchmark.run import run_benchmark
    from wsac.evaluation.benchmark.table import to_markdown
    from wsac.io.config import load_recipe

    out = out or Path("runs") / Path(recipe).stem
    options = load_recipe(BenchmarkRecipe, recipe, common.overrides({}, changes))
    results = run_benchmark(options, out, device=device)
    say(f"{out / 'table.md'}, table.json and table.svg")
    if as_json:
        print_json(results)
    else:
        print(to_markdown(results), end="")


def tune(
    audio: Annotated[list[str], Option(help="Sounds without captions: files, folders or globs.")],
    model: Annotated[common.Words, Option(help="As of wsac caption. Repeatable.")] = None,
    bridge: Annotated[common.Words, Option(help="Try only these and the model's own.")] = None,
    gap: common.Gap = None,
    write: Annotated[bool, Option("--write", help="Save the best as the run's default.")] = False,
    as_json: common.Json = False,
    device: common.Device = "auto",
) -> None:
    """Choose bridge and decoding on unlabelled recordings.

    A setting is good when its captions pick out their own recordings.

    wsac tune --model runs/mine --audio recordings/
    """
    from wsac.inference.captioner_folder import check_captioner

    models = list(dict.fromkeys(model or ["pocket"]))
    if write and "pocket" in models:
        raise WsacError("--write: the built-in captioner is read-only; give --model a run folder")
    for name in models:
        check_captioner(name, change=write)
    files = common.find_sounds(audio)
    from wsac.clap.collections import embed_audible
    from wsac.evaluation import tune as tuning
    from wsac.inference.bundle import decoder_checksum, note_unfinished, set_default_options
    from wsac.inference.captioner import Captioner

    checksums = [decoder_checksum(name) if write else "" for name in models]
    captioners = [Captioner.load(name, device=device) for name in models]
    for name in models:
        note_unfinished(name, "; tune again when it is finished" if write else "")
    if gap is not None:
        captioners = [captioner.with_gap(gap) for captioner in captioners]
    _, sounds = embed_audible(files, captioners[0].clap)
    limits = tuning.LIMITS
    if limits.least_sounds <= len(sounds) < limits.few_sounds:
        say(f"note: {len(sounds)} sounds leave much to chance; give {limits.few_sounds} or more")
    runs = tuning.tune_runs(captioners, sounds, bridges=bridge or ())
    winner = tuning.best_run(runs)
    best = runs[winner][0]
    if best.faults > limits.many_faults:
        say(f"note: {best.faults:.0%} of the best captions are at fault; train the captioner more")
    if write:
        for i, (name, trials) in enumerate(zip(models, runs, strict=True)):
            options, gap_here = trials[0].options, captioners[i].gap
            set_default_options(name, options, gap_here, of=checksums[i])
            say(f"{name}: its default is now {tuning.setting(trials[0].options)}")
    if as_json:
        objects = []
        for i in sorted(range(len(models)), key=lambda i: i != winner):
            for trial in runs[i]:
                default = trial.options == captioners[i].options
                marks = {"model": models[i], "best": trial is best, "usual": default}
                objects.append(marks | asdict(trial) | {"options": trial.options.to_dict()})
        return print_json(objects)
    title, setting = f"{len(sounds):,} sounds", tuning.setting(best.options)
    if len(models) > 1:
        rows, columns = tuning.run_rows(models, runs), ["run", "mean cycle>", "best setting"]
        setting = f"{models[winner]}, {setting}"
    else:
        rows, columns = tuning.trial_rows(runs[0], captioners[0].options), ["setting"]
    table(title, [*columns, *tuning.HEADS], rows)
    say(LEGEND)
    if len(models) > 1:
        say("mean cycle: over the settings tried with every run; the best run has the largest")
    hint = "" if write or "pocket" in models else "; --write makes it the default"
    if best.options == captioners[winner].options:
        hint = "; it is the default already"
    say(f"best: {setting}{hint}")
