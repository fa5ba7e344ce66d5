"""The verbs that make captioners and CLAPs: ``wsac train``, ``train-clap``, ``calibrate``, ``convert-captioner``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wsac.io.console import print_json, say, table
from wsac.types import WsacError

from .common_options import (
    DeviceOption,
    GapOption,
    JsonOption,
    OutOption,
    RecipeOption,
    SetOption,
    overrides,
)


def train(
    out: OutOption,
    captions: Annotated[
        list[Path] | None, typer.Option("--captions", "-c", help="Caption files; repeatable.")
    ] = None,
    clap: Annotated[
        str | None, typer.Option(help="pocket, a name of wsac clap list, a folder or a file.")
    ] = None,
    start: Annotated[
        str | None, typer.Option(help="A captioner to go on from: pocket, or a run's folder.")
    ] = None,
    recipe: RecipeOption = None,
    epochs: Annotated[
        int | None,
        typer.Option(help="Passes over the captions; 0 or left out: 4, or more if they are few."),
    ] = None,
    bridge: Annotated[
        str | None, typer.Option(help="In training: such as shift+noise:variance=0.001.")
    ] = None,
    noise: Annotated[float | None, typer.Option(help="Short for --bridge noise:variance=…")] = None,
    gap: GapOption = None,
    seed: Annotated[int | None, typer.Option(help="Same seed, same weights.")] = None,
    changes: SetOption = None,
    device: DeviceOption = "auto",
) -> None:
    """Train a captioner from text alone.

    wsac train --captions corpus.jsonl --out runs/mine
    """
    from wsac.io.config import load_recipe
    from wsac.training.decoder import train as run
    from wsac.training.recipe import Recipe

    if bridge is not None and noise is not None:
        raise WsacError("--noise is short for a --bridge; give one of them")
    options = {
        "corpus.captions": [str(path) for path in captions] if captions else None,
        "clap": clap,
        "start": start,
        "training.epochs": epochs,
        "bridge.train": bridge if noise is None else f"noise:variance={noise}",
        "bridge.gap": None if gap is None else str(gap),
        "training.seed": seed,
    }
    run(load_recipe(Recipe, recipe, overrides(options, changes)), out, device=device)
    say(f"done: wsac caption FILE --model {out}")


def train_clap(
    out: OutOption,
    pairs: Annotated[
        list[Path] | None, typer.Option("--pairs", "-p", help="CSV audio,caption[,label].")
    ] = None,
    validation: Annotated[
        list[Path] | None,
        typer.Option(help="The same, to measure retrieval and zero-shot accuracy."),
    ] = None,
    scenes: Annotated[
        list[Path] | None,
        typer.Option(help="CSV audio,caption[,negative] of sounds that are described as a whole."),
    ] = None,
    text: Annotated[
        list[Path] | None, typer.Option(help="Caption files for the text tower.")
    ] = None,
    recipe: RecipeOption = None,
    steps: Annotated[int | None, typer.Option(help="Batches of sounds.")] = None,
    seed: Annotated[int | None, typer.Option(help="Same seed, same weights.")] = None,
    changes: SetOption = None,
    device: DeviceOption = "auto",
) -> None:
    """Train a pocket CLAP from sounds with captions.

    wsac train-clap --pairs pairs.csv --out runs/clap
    """
    from wsac.io.config import load_recipe
    from wsac.training.clap.clap_recipe import ClapRecipe
    from wsac.training.clap.contrastive import train_clap as run

    options = {
        "pairs": [str(path) for path in pairs] if pairs else None,
        "validation": [str(path) for path in validation] if validation else None,
        "scenes": [str(path) for path in scenes] if scenes else None,
        "text": [str(path) for path in text] if text else None,
        "steps": steps,
        "seed": seed,
    }
    run(load_recipe(ClapRecipe, recipe, overrides(options, changes)), out, device=device)
    say(f"done: wsac train --clap {out} --captions FILE --out RUN")


def calibrate(
    model: Annotated[Path, typer.Argument(help="The folder of a wsac train run.")],
    pairs: Annotated[
        Path, typer.Option("--pairs", "-p", help="CSV audio,keywords; none when nothing is clear.")
    ],
    test: Annotated[
        Path | None, typer.Option(help="The same, of other recordings, to measure with.")
    ] = None,
    as_json: JsonOption = False,
    device: DeviceOption = "auto",
) -> None:
    """Fit how sure a captioner is of its captions, on recordings of which you know what is heard.

    wsac calibrate runs/mine --pairs known.csv --test other.csv
    """
    from wsac.inference.calibrate import calibrate as run
    from wsac.inference.calibrate import figure_rows

    figures = run(model, pairs, test, device=device)
    if as_json:
        print_json(figures)
    else:
        parts = [name for name in ("fit", "test") if name in figures]
        table(
            f"{model}: unsure below {figures['threshold']:g}",
            ("", *(f"{p}>" for p in parts)),
            figure_rows(figures),
        )


def convert_captioner(
    checkpoint: Annotated[Path, typer.Argument(help="An epoch-N.pt of the published code.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to write.")],
    clap: Annotated[
        str, typer.Option(help="The CLAP of its training: a name, a folder or a file.")
    ],
    tokenizer: Annotated[
        Path, typer.Option(help="Of bert-base-uncased: a folder, tokenizer.json or vocab.txt.")
    ],
    captions: Annotated[
        list[Path] | None,
        typer.Option("--captions", "-c", help="Caption files for the support memory; repeatable."),
    ] = None,
) -> None:
    """Read a captioner that the published WSAC code trained, and write it as one of ours.

    wsac convert-captioner epoch-29.pt --clap wavcaps-cnn14-bert --tokenizer bert/ -o runs/published
    """
    from wsac.inference.convert import convert_captioner as run

    made = run(checkpoint, out, clap=clap, tokenizer=tokenizer, captions=captions or ())
    say(f"{out}: captions by {made.options.bridge}; wsac caption FILE --model {out}")
