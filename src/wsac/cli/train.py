"""The verbs that make models: ``wsac train``, ``train-clap``, ``calibrate`` and others."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

from wsac.io.console import print_json, say
from wsac.types import CorpusError, WsacError

from . import common_options as common

Fast = Annotated[
    bool, Option("--fast-nondeterministic", help="On a GPU: a seed may give other weights.")
]


def train(
    out: common.Out,
    captions: common.Captions = None,
    column: common.Column = None,
    skip_invalid: common.SkipInvalid = False,
    clap: Annotated[str | None, Option(help="pocket, a name, a folder or a file.")] = None,
    start: Annotated[
        str | None, Option(help="Continue from pocket (usual for few captions), a run, or none.")
    ] = None,
    recipe: common.Recipe = None,
    epochs: Annotated[
        int | None, Option(help="Passes over the captions. 0: as many as suit their number.")
    ] = None,
    bridge: Annotated[str | None, Option(help="Such as shift+noise:variance=0.001.")] = None,
    noise: Annotated[float | None, Option(help="Short for --bridge noise:variance=…")] = None,
    gap: common.Gap = None,
    dedupe: Annotated[
        float | None, Option(help="Leave near-duplicates out of the memory: cosine, as 0.98.")
    ] = None,
    seed: common.Seed = None,
    changes: common.Set = None,
    fast: Fast = False,
    shard: Annotated[
        bool, Option("--shard", help="Split a frozen language model over the processes (FSDP).")
    ] = False,
    sounds: Annotated[
        list[str] | None, Option(help="Your sounds, to judge the result by. Repeatable.")
    ] = None,
    verdict: Annotated[bool, Option(help="Judge the captioner after training.")] = True,
    as_json: common.Json = False,
    device: common.Device = "auto",
) -> None:
    """Train a captioner from text alone.

    wsac train --captions corpus.jsonl --out runs/mine
    """
    from wsac.io.config import load_recipe

    if bridge is not None and noise is not None:
        raise WsacError("--noise is short for a --bridge; give one of them")
    options = {
        "corpus.captions": captions,
        "corpus.column": column,
        "corpus.skip_invalid": skip_invalid or None,
        "clap": clap,
        "start": start,
        "training.epochs": epochs,
        "bridge.train": bridge if noise is None else f"noise:variance={noise}",
        "bridge.gap": None if gap is None else str(gap),
        "memory.dedupe": dedupe,
        "training.seed": seed,
        "training.deterministic": False if fast else None,
    }
    options = common.overrides(options, changes)
    _check_early(recipe, options)
    from wsac.training.decoder import train as run
    from wsac.training.recipe import Recipe

    settings = load_recipe(Recipe, recipe, options)
    paths = common.find_sounds(sounds) if sounds else []
    with common.resumable(out):
        captioner = run(settings, out, device=device, shard=shard)
        if verdict:
            from wsac.evaluation.verdict import judge
            from wsac.training.material import read_captions

            texts, _ = read_captions(settings.corpus, tell=lambda line: None)  # told before
            result = judge(captioner, texts, paths)
            print_json(result.to_dict()) if as_json else say("\n".join(result.lines()))
    say(f"done: wsac caption FILE --model {out}")


def _check_early(recipe: str | None, options: dict[str, Any]) -> None:
    """Raises WsacError for what is wrong in a recipe and its files, as far as torch is not needed.

    A recipe in a pipe, which can be read only once, is not looked at.
    """
    from wsac.data.captions.caption_sets import check_downloaded
    from wsac.inference.captioner_folder import check_captioner
    from wsac.io.config import find_recipe, load_recipe
    from wsac.training.recipe_outline import Outline

    if recipe is not None and find_recipe(recipe).is_fifo():
        return
    outline = load_recipe(Outline, recipe, options)
    files = outline.corpus.captions + outline.corpus.pairs
    if not files:
        raise CorpusError("no caption files given; name at least one, as in --captions FILE")
    check_downloaded(files)
    common.existing(files)
    if outline.start not in ("", "none"):
        check_captioner(outline.start)


def train_clap(
    out: common.Out,
    pairs: Annotated[
        common.Paths,
        Option("--pairs", "-p", callback=common.existing, help="CSV audio,caption[,label]."),
    ] = None,
    validation: Annotated[common.Paths, Option(help="The same, to measure the CLAP with.")] = None,
    scenes: Annotated[
        common.Paths, Option(help="CSV audio,caption[,negative] of whole scenes.")
    ] = None,
    text: Annotated[common.Paths, Option(help="Caption files for the text tower.")] = None,
    recipe: common.Recipe = None,
    steps: Annotated[int | None, Option(help="Number of batches of sounds.")] = None,
    seed: common.Seed = None,
    changes: common.Set = None,
    fast: Fast = False,
    device: common.Device = "auto",
) -> None:
    """Train a small CLAP from sounds with captions.

    wsac train-clap --pairs pairs.csv --out runs/clap
    """
    from wsac.io.config import load_recipe
    from wsac.training.clap.clap_recipe import ClapRecipe

    options = {
        "pairs": pairs,
        "validation": validation,
        "scenes": scenes,
        "text": text,
        "steps": steps,
        "seed": seed,
        "deterministic": False if fast else None,
    }
    settings = load_recipe(ClapRecipe, recipe, common.overrides(options, changes))
    from wsac.training.clap.contrastive import train_clap as run

    with common.resumable(out):
        run(settings, out, device=device)
    say(f"done: wsac train --clap {out} --captions FILE --out RUN")


def calibrate(
    model: Annotated[Path, Argument(help="A run folder of wsac train.")],
    pairs: Annotated[
        Path,
        Option(
            "--pairs", "-p", callback=common.existing, help="CSV audio,keywords (none if unclear)."
        ),
    ],
    test: Annotated[
        Path | None, Option(callback=common.existing, help="The same, to measure the fit with.")
    ] = None,
    column: common.Column = None,
    skip_invalid: common.SkipInvalid = False,
    as_json: common.Json = False,
    device: common.Device = "auto",
) -> None:
    """Fit the confidence on recordings whose content you know.

    wsac calibrate runs/mine --pairs known.csv --test other.csv
    """
    from wsac.inference.captioner_folder import check_captioner

    check_captioner(model, change=True)
    from wsac.inference.calibrate import calibrate as run
    from wsac.inference.calibrate import figure_rows

    figures = run(model, pairs, test, device=device, column=column, skip_invalid=skip_invalid)
    columns = ("", *(f"{part}>" for part in ("fit", "test") if part in figures))
    title = f"{model}: unsure below {figures['threshold']:g}"
    common.show(as_json, figures, title, columns, figure_rows(figures))


def convert_captioner(
    checkpoint: Annotated[Path, Argument(help="An epoch-N.pt of the published WSAC code.")],
    out: Annotated[Path, common.Folder],
    clap: Annotated[str, Option(help="The CLAP it was trained with: a name, folder or file.")],
    tokenizer: Annotated[Path, Option(help="bert-base-uncased's: a folder or a file.")],
    captions: common.Captions = None,
) -> None:
    """Convert a checkpoint of the published WSAC code.

    wsac convert-captioner epoch-29.pt --clap wavcaps-cnn14-bert --tokenizer bert/ -o runs/published
    """
    from wsac.inference.convert import convert_captioner as run

    captioner = run(checkpoint, out, clap=clap, tokenizer=tokenizer, captions=captions or ())
    say(f"{out}: bridge {captioner.options.bridge}; wsac caption FILE --model {out}")
