"""The ``wsac`` command: one verb a function, heavy imports inside the verb, every user's mistake in one line."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from . import __version__, cli_bridges, cli_clap, cli_metrics
from .console import print_json, say, table
from .types import WsacError

app = typer.Typer(
    name="wsac",
    help="Text-only audio captioning: from a text file of captions to a captioner of real recordings.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help answers in half the time
)

app.add_typer(cli_clap.clap)
app.add_typer(cli_clap.embed)
app.command("convert-clap")(cli_clap.convert)
app.command()(cli_bridges.bridges)
app.command()(cli_bridges.gap)
app.add_typer(cli_metrics.metrics)
app.command()(cli_metrics.evaluate)
app.command()(cli_metrics.compare)
app.command()(cli_metrics.report)

OutOption = Annotated[Path, typer.Option("--out", "-o", help="The run folder; a stopped run in it goes on.")]
RecipeOption = Annotated[Path | None, typer.Option("--recipe", help="A TOML recipe, such as recipes/wsac.toml.")]
GapOption = Annotated[Path | None, typer.Option("--gap", help="A file of wsac gap --save, for bridges that need it.")]
SetOption = Annotated[list[str] | None, typer.Option("--set", help="Change a recipe value: training.epochs=3.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Write JSON for programs.")]
CsvOption = Annotated[bool, typer.Option("--csv", help="Write CSV for spreadsheets.")]
DeviceOption = Annotated[str, typer.Option(help="cpu, cuda, or auto.")]


@app.command()
def corpus(
    inputs: Annotated[list[Path], typer.Argument(help="Caption files, plain or gzipped.", metavar="IN...")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The JSONL to write (.gz compresses).")],
    format: Annotated[str, typer.Option(help="auto, clotho, audiocaps, csv, wavcaps, json, jsonl or text.")] = "auto",
    style: Annotated[
        str, typer.Option(help="keep, sentence (first letter upper-case, no full stop) or lower.")
    ] = "keep",
    as_json: JsonOption = False,
) -> None:
    """Merge caption files into one clean corpus.

    wsac corpus clotho.csv audiocaps.csv notes.txt -o corpus.jsonl
    """
    from .corpora import merge, stats_rows, write_jsonl

    merged = merge(inputs, format=format, style=style)
    write_jsonl(merged.examples, out)
    if as_json:
        from dataclasses import asdict

        print_json(asdict(merged.stats))
    else:
        table(f"{out}", ("", ">"), stats_rows(merged.stats))


@app.command()
def train(
    out: OutOption,
    captions: Annotated[list[Path] | None, typer.Option("--captions", "-c", help="Caption files; repeatable.")] = None,
    clap: Annotated[str | None, typer.Option(help="pocket, a name of wsac clap list, a folder or a file.")] = None,
    recipe: RecipeOption = None,
    epochs: Annotated[
        int | None, typer.Option(help="Passes over the captions; left out: 4, or more if they are few.")
    ] = None,
    bridge: Annotated[str | None, typer.Option(help="In training: such as shift+noise:variance=0.002.")] = None,
    noise: Annotated[float | None, typer.Option(help="Short for --bridge noise:variance=…")] = None,
    gap: GapOption = None,
    seed: Annotated[int | None, typer.Option(help="Same seed, same weights.")] = None,
    changes: SetOption = None,
    device: DeviceOption = "auto",
) -> None:
    """Train a captioner from text alone.

    wsac train --captions corpus.jsonl --out runs/mine
    """
    from .recipe import Recipe, load_recipe
    from .train_decoder import train as run

    if bridge is not None and noise is not None:
        raise WsacError("--noise is short for a --bridge; give one of them")
    options = {
        "corpus.captions": [str(path) for path in captions] if captions else None,
        "clap": clap,
        "training.epochs": epochs,
        "bridge.train": bridge if noise is None else f"noise:variance={noise}",
        "bridge.gap": None if gap is None else str(gap),
        "training.seed": seed,
    }
    run(load_recipe(Recipe, recipe, _overrides(options, changes)), out, device=device)
    say(f"done: wsac caption FILE --model {out}")


@app.command("train-clap")
def train_clap(
    out: OutOption,
    pairs: Annotated[list[Path] | None, typer.Option("--pairs", "-p", help="CSV audio,caption[,label].")] = None,
    validation: Annotated[
        list[Path] | None, typer.Option(help="The same, to measure retrieval and zero-shot accuracy.")
    ] = None,
    scenes: Annotated[
        list[Path] | None, typer.Option(help="CSV audio,caption[,negative] of sounds that are described as a whole.")
    ] = None,
    text: Annotated[list[Path] | None, typer.Option(help="Caption files for the text tower.")] = None,
    recipe: RecipeOption = None,
    steps: Annotated[int | None, typer.Option(help="Batches of sounds.")] = None,
    seed: Annotated[int | None, typer.Option(help="Same seed, same weights.")] = None,
    changes: SetOption = None,
    device: DeviceOption = "auto",
) -> None:
    """Train a pocket CLAP from sounds with captions.

    wsac train-clap --pairs pairs.csv --out runs/clap
    """
    from .recipe import ClapRecipe, load_recipe
    from .train_clap import train_clap as run

    options = {
        "pairs": [str(path) for path in pairs] if pairs else None,
        "validation": [str(path) for path in validation] if validation else None,
        "scenes": [str(path) for path in scenes] if scenes else None,
        "text": [str(path) for path in text] if text else None,
        "steps": steps,
        "seed": seed,
    }
    run(load_recipe(ClapRecipe, recipe, _overrides(options, changes)), out, device=device)
    say(f"done: wsac train --clap {out} --captions FILE --out RUN")


@app.command()
def caption(
    files: Annotated[list[str], typer.Argument(help="Sound files, folders or globs.", metavar="FILE...")],
    model: Annotated[str, typer.Option(help="A run folder, or pocket: the bundled captioner.")] = "pocket",
    bridge: Annotated[
        str | None, typer.Option(help="pd (projection, the default), nnd, ad, shift …: wsac bridges lists them.")
    ] = None,
    beam: Annotated[int | None, typer.Option(help="Beam size, 4 by default; 1 is greedy.")] = None,
    clap: Annotated[str | None, typer.Option(help="The model's CLAP, where it lies elsewhere now.")] = None,
    gap: GapOption = None,
    window: Annotated[float | None, typer.Option(help="Caption every so many seconds instead of whole files.")] = None,
    min_confidence: Annotated[
        float | None, typer.Option(help="Below it say nothing, 0 to 1; left out, what the model was calibrated to.")
    ] = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
    device: DeviceOption = "auto",
) -> None:
    """Caption sound files.

    wsac caption dog.wav recordings/ --beam 4 --json
    """
    from .captioning import caption_files, print_rows

    style = _row_style(as_json, as_csv, window)
    options: dict[str, Any] = {"bridge": bridge, "beam": beam, "window": window, "min_confidence": min_confidence}
    rows = caption_files(files, model=model, clap=clap, gap=gap, device=device, **options)
    print_rows(rows, style)
    _report_failures(rows, "captioned")


@app.command()
def tag(
    files: Annotated[list[str], typer.Argument(help="Sound files, folders or globs.", metavar="FILE...")],
    labels: Annotated[str | None, typer.Option(help="Any words, separated by commas.")] = None,
    labels_file: Annotated[Path | None, typer.Option(help="The same, one a line; # begins a comment.")] = None,
    top: Annotated[int, typer.Option(help="How many labels to show of each sound.")] = 5,
    clap: Annotated[str, typer.Option(help="pocket, a name of wsac clap list, a folder or a file.")] = "pocket",
    window: Annotated[float | None, typer.Option(help="Tag every so many seconds instead of whole files.")] = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
    device: DeviceOption = "auto",
) -> None:
    """Score sound files against labels of your own.

    wsac tag dog.wav recordings/ --labels "dog bark, rain, siren"
    """
    from .tagging import print_rows, read_labels, tag_files

    style = _row_style(as_json, as_csv, window)
    if labels is not None and labels_file is not None:
        raise WsacError("--labels and --labels-file exclude each other; choose one")
    if labels_file is not None:
        words = read_labels(labels_file)
    elif labels is not None and labels.strip():
        words = labels.split(",")
    else:
        raise WsacError('no labels; give --labels "dog bark, rain" or --labels-file FILE')
    if top < 1:
        raise WsacError(f"--top {top}: nothing would be shown; give 1 or more")
    rows = tag_files(files, words, clap=clap, top=top, window=window, device=device)
    print_rows(rows, style)
    _report_failures(rows, "tagged")


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder for recordings, model and report.")] = Path(
        "demo"
    ),
    epochs: Annotated[int, typer.Option(min=1, help="Training passes.")] = 8,
) -> None:
    """Train a captioner from a small grammar's captions and describe eight synthesised recordings.

    wsac demo --out demo
    """
    from .demo import run_demo

    run_demo(out, epochs=epochs)


@app.command()
def calibrate(
    model: Annotated[Path, typer.Argument(help="The folder of a wsac train run.")],
    pairs: Annotated[Path, typer.Option("--pairs", "-p", help="CSV audio,keywords; none when nothing is clear.")],
    test: Annotated[Path | None, typer.Option(help="The same, of other recordings, to measure with.")] = None,
    as_json: JsonOption = False,
    device: DeviceOption = "auto",
) -> None:
    """Fit how sure a captioner is of its captions, on recordings of which you know what is heard.

    wsac calibrate runs/mine --pairs known.csv --test other.csv
    """
    from .calibrate import calibrate as run
    from .calibrate import figure_rows

    figures = run(model, pairs, test, device=device)
    if as_json:
        print_json(figures)
    else:
        parts = [name for name in ("fit", "test") if name in figures]
        table(f"{model}: unsure below {figures['threshold']:g}", ("", *(f"{p}>" for p in parts)), figure_rows(figures))


@app.command()
def soundworld(
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder for recordings and captions.")],
    scenes: Annotated[int, typer.Option(help="Scenes, of five captions each; or captions, without sound.")] = 500,
    seed: Annotated[int, typer.Option(help="Same seed, same files.")] = 7,
    rate: Annotated[int, typer.Option(help="Samples a second.")] = 16_000,
    events: Annotated[str, typer.Option(help="Sounds in a scene, least and most.")] = "1-4",
    seconds: Annotated[float, typer.Option(help="The longest scene.")] = 10.0,
    captions_only: Annotated[bool, typer.Option("--captions-only", help="A text corpus and no sound.")] = False,
    jobs: Annotated[int, typer.Option(help="Processes.")] = 1,
    as_json: JsonOption = False,
) -> None:
    """Synthesise scenes with exact captions and false ones: a paired benchmark, or a text corpus.

    wsac soundworld --scenes 500 --seed 7 -o soundworld
    """
    from .soundworld.write import parse_events, write_corpus, write_scenes

    span = parse_events(events)
    if captions_only:
        done = write_corpus(out, scenes, seed, events=span)
    else:
        done = write_scenes(out, scenes, seed, sample_rate=rate, events=span, seconds=seconds, jobs=jobs)
    if as_json:
        print_json(done)
    else:
        say(f"{out}: {done['scenes']:,} scenes, {done['hours']:.2f} hours of sound, {done['captions']:,} captions")


def _overrides(options: dict[str, Any], changes: list[str] | None) -> dict[str, Any]:
    from .recipe import parse_override

    given = {key: value for key, value in options.items() if value is not None}
    return given | dict(parse_override(change) for change in changes or ())


def _row_style(as_json: bool, as_csv: bool, window: float | None) -> str:
    if as_json and as_csv:
        raise WsacError("--json and --csv exclude each other; choose one")
    if window is not None and not window >= 0.5:
        raise WsacError(f"--window {window:g}: give seconds, at least 0.5; shorter sounds cannot be told apart")
    return "json" if as_json else "csv" if as_csv else "table"


def _report_failures(rows: Sequence[Any], done: str) -> None:
    failed = [row for row in rows if row.error]
    for row in failed:
        say(f"error: {row.error}")
    if failed:
        say(f"{len(failed)} of {len({row.file for row in rows})} files could not be {done}")
        raise typer.Exit(1)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"wsac {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None: ...


def main(argv: list[str] | None = None) -> int:
    """Run the command line and return the exit code: 0 well, 1 an error in one line, 2 wrong usage, 130 interrupted."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # file names need not be valid text, and terminals need not be UTF-8
            stream.reconfigure(errors="backslashreplace")
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # a scheduler's stop is like Ctrl-C
    try:
        app(args=argv, prog_name="wsac", standalone_mode=True)
    except SystemExit as stop:
        if stop.code == 130:
            say("interrupted; the same command goes on from the last checkpoint")
        return stop.code if isinstance(stop.code, int) else 1
    except WsacError as error:
        say(f"error: {error}")
        return 1
    except BrokenPipeError:  # the reader of our output went away, as `head` does
        sys.stderr.close()
        return 1
    except OSError as error:
        say(f"error: {error.filename or 'output'}: {error.strerror or error}; check the path, its rights and the space")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
