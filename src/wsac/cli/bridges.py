"""The verbs about bridges: ``wsac bridges``, ``gap``, ``benchmark`` and ``tune``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from wsac.io.console import print_json, say, table
from wsac.types import WsacError

from .common_options import (
    ClapOption,
    DeviceOption,
    GapOption,
    JsonOption,
    OfflineOption,
    SetOption,
    overrides,
)


def bridges(as_json: JsonOption = False) -> None:
    """All bridges over the modality gap, with their options.

    wsac bridges
    """
    from wsac.bridges import KINDS

    rows: list[dict[str, Any]] = [
        {
            "stage": kind.stage,
            "name": kind.name,
            "options": kind.options,
            "pairs": kind.pairs,
            "about": kind.about,
        }
        for kind in KINDS.values()
    ]
    if as_json:
        return print_json(rows)
    rows.sort(key=lambda row: row["stage"], reverse=True)
    cells = [
        (
            row["stage"],
            row["name"],
            ",".join(f"{k}={v}" for k, v in row["options"].items()),
            row["about"],
        )
        for row in rows
    ]
    table("", ("stage", "name", "options", "what it is"), cells)
    say(
        "training and head: wsac train --bridge; inference: wsac caption --bridge; + puts them in a row"
    )
    return None


def gap(
    audio: Annotated[
        list[str] | None, typer.Option("--audio", help="Sound files, folders or globs; repeatable.")
    ] = None,
    captions: Annotated[
        list[Path] | None,
        typer.Option("--captions", "-c", help="Caption files; they need not be of these sounds."),
    ] = None,
    pairs: Annotated[
        Path | None,
        typer.Option(help="Instead of both: CSV audio,caption, for what only pairs can tell."),
    ] = None,
    clap: ClapOption = "pocket",
    save: Annotated[
        Path | None, typer.Option(help="Keep what bridges need: safetensors for --gap.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="An HTML page with pictures.")
    ] = None,
    offline: OfflineOption = False,
    as_json: JsonOption = False,
    device: DeviceOption = "auto",
) -> None:
    """Measure the modality gap of a CLAP between sounds and texts, and what bridges do about it.

    wsac gap --audio recordings/ --captions captions.txt -o gap.html
    """
    from wsac.bridges.gap import fit_gap
    from wsac.clap import load_clap
    from wsac.clap.collections import embed_audible
    from wsac.clap.texts import embed_texts
    from wsac.data.audio.find import find_audio
    from wsac.data.captions.corpus import merge
    from wsac.data.datasets.pairs import read_pairs
    from wsac.evaluation.gap_report import (
        FEW,
        bridge_rows,
        figure_rows,
        legend,
        measure_gap,
        write_gap_page,
    )
    from wsac.runtime.device import pick_device

    if pairs is not None:
        if audio or captions:
            raise WsacError("--pairs has sounds and captions; leave --audio and --captions out")
        first = {clip.path: clip.captions[0] for clip in read_pairs([pairs])}
        paths, texts = list(first), list(first.values())
    else:
        if not audio or not captions:
            raise WsacError("give --audio FOLDER and --captions FILE, or --pairs CSV")
        paths, texts = (
            [str(path) for path in find_audio(audio)],
            [row.caption for row in merge(captions).examples],
        )
    encoder = load_clap(clap, device=pick_device(device), offline=offline)
    kept, sounds = embed_audible(paths, encoder)
    if len(kept) < FEW or len(texts) < FEW:
        say(
            f"note: {len(kept)} sounds and {len(texts)} texts say little; give {FEW} or more of each"
        )
    if pairs is not None:
        texts = [first[path] for path in kept]
    written = embed_texts(encoder, texts)
    found = fit_gap(written, sounds, paired=pairs is not None, fingerprint=encoder.fingerprint)
    figures = measure_gap(written, sounds, found, paired=pairs is not None)
    if save is not None:
        found.save(save)
        say(f"{save}: give it as --gap to wsac train and wsac caption")
    if out is not None:
        write_gap_page(out, figures, written, sounds, found, texts, kept, paired=pairs is not None)
        say(f"{out}: open it in a browser")
    if as_json:
        return print_json(figures)
    table(f"The modality gap of {clap}", ("", ">"), figure_rows(figures))
    heads, rows = bridge_rows(figures)
    table("What bridges do", heads, rows)
    for line in legend(figures):
        say(line)
    return None


def benchmark(
    recipe: Annotated[
        Path,
        typer.Argument(help="A TOML recipe, such as recipes/paper-table.toml.", metavar="RECIPE"),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="The folder, runs/RECIPE by default; what is finished in it is not done again.",
        ),
    ] = None,
    changes: SetOption = None,
    as_json: JsonOption = False,
    device: DeviceOption = "auto",
) -> None:
    """Train and score captioners over corpora, bridges and seeds: one table, with intervals.

    wsac benchmark recipes/paper-table.toml
    """
    from wsac.evaluation.benchmark.benchmark_recipe import BenchmarkRecipe
    from wsac.evaluation.benchmark.run import run_benchmark
    from wsac.evaluation.benchmark.table import to_markdown
    from wsac.io.config import load_recipe

    out = out or Path("runs") / recipe.stem
    found = run_benchmark(
        load_recipe(BenchmarkRecipe, recipe, overrides({}, changes)), out, device=device
    )
    say(f"{out / 'table.md'}, table.json and table.png")
    if as_json:
        print_json(found)
    else:
        print(to_markdown(found), end="")


def tune(
    audio: Annotated[
        list[str], typer.Option("--audio", help="Sounds without captions: files, folders or globs.")
    ],
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="A run folder, or pocket, the bundled captioner; several, such as of other noise, compete."
        ),
    ] = None,
    bridge: Annotated[
        list[str] | None,
        typer.Option(help="Try these instead of all, besides the usual one; repeatable."),
    ] = None,
    gap: GapOption = None,
    write: Annotated[
        bool,
        typer.Option(
            "--write", help="Make its best setting the usual one of a run folder, or of each."
        ),
    ] = False,
    as_json: JsonOption = False,
    device: DeviceOption = "auto",
) -> None:
    """Choose bridge and decoding on sounds without captions: by whether captions find their sounds.

    wsac tune --model runs/mine --audio recordings/
    """
    from dataclasses import asdict

    from wsac.clap.collections import embed_audible
    from wsac.data.audio.find import find_audio
    from wsac.evaluation.tune import (
        FEW,
        HEADS,
        LEAST,
        MANY,
        best_run,
        run_rows,
        set_default_options,
        setting,
        trial_rows,
        tune_runs,
    )
    from wsac.inference.batch import note_unfinished
    from wsac.inference.captioner import Captioner

    models = list(dict.fromkeys(model or ["pocket"]))
    if write and "pocket" in models:
        raise WsacError("--write: the bundled captioner stays as it is; give --model a run folder")
    captioners = [Captioner.load(name, device=device) for name in models]
    for name in models:
        note_unfinished(name, "; once it is finished, tune again" if write else "")
    captioners = captioners if gap is None else [one.with_gap(gap) for one in captioners]
    _, sounds = embed_audible([str(path) for path in find_audio(audio)], captioners[0].clap)
    if LEAST <= len(sounds) < FEW:
        say(f"note: with {len(sounds)} sounds chance has a say; give {FEW} or more")
    found = tune_runs(captioners, sounds, bridges=bridge or ())
    first = best_run(found)
    top = found[first][0]
    if top.faults > MANY:
        say(
            f"note: {top.faults:.0%} of the best captions are at fault: is the captioner trained enough?"
        )
    if write:
        for name, one, trials in zip(models, captioners, found, strict=True):
            set_default_options(trials[0].options, name, one.gap)
            say(f"{name}: its usual setting is now {setting(trials[0].options)}")
    if as_json:
        order = sorted(range(len(models)), key=lambda i: i != first)
        rows = [
            {
                "model": models[i],
                "best": one is top,
                "usual": one.options == captioners[i].options,
                **asdict(one),
            }
            for i in order
            for one in found[i]
        ]
        return print_json(rows)
    if len(models) > 1:
        table(
            f"{len(sounds):,} sounds",
            ("run", "mean cycle>", "best setting", *HEADS),
            run_rows(models, found),
        )
    else:
        table(
            f"{len(sounds):,} sounds",
            ("setting", *HEADS),
            trial_rows(found[0], captioners[0].options),
        )
    say(
        "cycle: log-probability that a caption is of its own sound among all, 0 at best; at fault: captions too short, "
        "too long or repeating themselves; different: share of different captions"
    )
    if len(models) > 1:
        say(
            "the best run has the largest mean cycle, which is over the settings that were tried with all"
        )
    whose = f"{models[first]}, " if len(models) > 1 else ""
    usual = top.options == captioners[first].options
    say(
        f"best: {whose}{setting(top.options)}"
        + (
            "; it is the usual one"
            if usual
            else ""
            if write or "pocket" in models
            else "; --write keeps it"
        )
    )
    return None
