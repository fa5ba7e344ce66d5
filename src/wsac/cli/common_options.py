"""The options that several verbs share, each declared once, and what is checked about them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Exit, Option

from wsac.io.console import print_json, say, table
from wsac.types import AudioError, WsacError

# what a sub-group of verbs is made with
PLAIN: dict[str, Any] = {"no_args_is_help": True, "add_completion": False, "rich_markup_mode": None}
Paths = list[Path] | None
Words = list[str] | None

# sounds and models
Files = Annotated[list[str], Argument(metavar="FILE...", help="Sound files, folders or globs.")]
Recordings = Annotated[Words, Option("--audio", help="Sound files, folders or globs. Repeatable.")]
Captions = Annotated[Paths, Option("--captions", "-c", help="Caption files. Repeatable.")]
Model = Annotated[str, Option("--model", help="A run folder, or pocket: the built-in captioner.")]
Clap = Annotated[str, Option("--clap", help="pocket, a name (wsac clap list), a folder or a file.")]
MovedClap = Annotated[str | None, Option("--clap", help="The captioner's CLAP, if it has moved.")]
Tokenizer = Annotated[Path | None, Option(help="Folder or tokenizer.json, for a bare checkpoint.")]

# decoding
Bridge = Annotated[str | None, Option(help="Such as santa, pd or nnd. Default: the model's.")]
Beam = Annotated[int | None, Option(help="Beam size; 1 is greedy. Default: the model's, 4.")]
Gap = Annotated[Path | None, Option("--gap", help="From wsac gap --save, for some bridges.")]
Track = Annotated[int | None, Option(help="Audio track, from 1. Default: the loudest.")]
Channel = Annotated[
    str | None, Option(help="Channel, from 1, or mix. Default: mix, unless it cancels.")
]
Column = Annotated[str | None, Option(help="Column of the captions, if it has another name.")]
SkipInvalid = Annotated[bool, Option("--skip-invalid", help="Leave out and count bad rows.")]
Window = Annotated[float | None, Option(help="Split files into windows of this many seconds.")]

# runs and recipes
Out = Annotated[Path, Option("--out", "-o", help="Run folder. A stopped run is resumed.")]
Recipe = Annotated[str | None, Option(help="A recipe by name, such as wsac, or a TOML file.")]
Set = Annotated[Words, Option("--set", help="Change a recipe value, as in training.epochs=3.")]
Seed = Annotated[int | None, Option(help="The same seed gives the same weights.")]

# devices and output
Device = Annotated[str, Option(help="cpu, cuda or auto.")]
Offline = Annotated[bool, Option("--offline", help="Use downloaded models only.")]
Json = Annotated[bool, Option("--json", help="Write JSON.")]
Csv = Annotated[bool, Option("--csv", help="Write CSV.")]
Safe = Annotated[bool, Option("--csv-safe", help="CSV in which no cell is a formula.")]


def overrides(
    options: dict[str, Any], changes: Words, example: str = "training.epochs=3"
) -> dict[str, Any]:
    """The options that were set and the ``--set`` changes, which win, by recipe key."""
    from wsac.io.config import parse_override

    for key, value in options.items():
        options[key] = [str(path) for path in value] if isinstance(value, list) else value
    options = {key: value for key, value in options.items() if value not in (None, [])}
    return options | dict(parse_override(change, example) for change in changes or ())


def show(
    as_json: bool, value: Any, title: str, columns: Iterable[str], rows: Iterable[Iterable[Any]]
) -> None:
    """Print the value as JSON, or else the rows as a table."""
    print_json(value) if as_json else table(title, columns, rows)


def row_style(as_json: bool, as_csv: bool, csv_safe: bool, window: float | None) -> str:
    """``json``, ``csv``, ``csv-safe`` or ``table``.

    Raises WsacError for JSON and CSV at once, and for short windows.
    """
    if as_json and (as_csv or csv_safe):
        raise WsacError("--json and --csv exclude each other; choose one")
    if window is not None and not window >= 0.5:
        raise WsacError(f"--window {window:g}: give at least 0.5 seconds, to tell sounds apart")
    if csv_safe:
        return "csv-safe"
    return "json" if as_json else "csv" if as_csv else "table"


def report_failures(results: Sequence[Any], done: str) -> None:
    """Print each error of the results on stderr and end with code 1, if there is any."""
    errors = [result for result in results if isinstance(result, AudioError)]
    for error in errors:
        say(f"error: {error}")
    if errors:
        files = {result.file for result in results}
        say(f"{len(errors)} of {len(files)} file{'s' * (len(files) > 1)} could not be {done}")
        raise Exit(1)
