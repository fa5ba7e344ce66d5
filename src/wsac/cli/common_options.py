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

# sounds and models
Files = Annotated[list[str], Argument(metavar="FILE...", help="Sound files, folders or globs.")]
RecordingsOption = Annotated[
    list[str] | None, Option("--audio", help="Sound files, folders or globs. Repeatable.")
]
CaptionsOption = Annotated[
    list[Path] | None, Option("--captions", "-c", help="Caption files. Repeatable.")
]
ModelOption = Annotated[
    str, Option("--model", help="A run folder, or pocket: the built-in captioner.")
]
ClapOption = Annotated[
    str, Option("--clap", help="pocket, a name from wsac clap list, a folder or a file.")
]
MovedClapOption = Annotated[
    str | None, Option("--clap", help="The captioner's CLAP, if it has moved.")
]
TokenizerOption = Annotated[
    Path | None, Option(help="A folder or tokenizer.json, for a checkpoint without one.")
]

# decoding
BridgeOption = Annotated[
    str | None, Option(help="Such as santa, pd, nnd or ad (wsac bridges). Default: the model's.")
]
BeamOption = Annotated[int | None, Option(help="Beam size; 1 is greedy. Default: the model's, 4.")]
GapOption = Annotated[
    Path | None, Option("--gap", help="A gap from wsac gap --save, for bridges that need one.")
]
WindowOption = Annotated[
    float | None, Option(help="Split each file into windows of this many seconds.")
]

# runs and recipes
OutOption = Annotated[Path, Option("--out", "-o", help="Run folder. A stopped run is resumed.")]
RecipeOption = Annotated[
    str | None, Option("--recipe", help="A recipe by name, such as wsac, or a TOML file.")
]
SetOption = Annotated[
    list[str] | None, Option("--set", help="Change a recipe value, as in training.epochs=3.")
]
SeedOption = Annotated[int | None, Option(help="The same seed gives the same weights.")]

# devices and output
DeviceOption = Annotated[str, Option(help="cpu, cuda or auto.")]
OfflineOption = Annotated[bool, Option("--offline", help="Use downloaded models only.")]
JsonOption = Annotated[bool, Option("--json", help="Write JSON.")]
CsvOption = Annotated[bool, Option("--csv", help="Write CSV.")]


def overrides(
    options: dict[str, Any], changes: list[str] | None, example: str = "training.epochs=3"
) -> dict[str, Any]:
    """The options that were set and the ``--set`` changes, which win, by recipe key."""
    from wsac.io.config import parse_override

    options = {key: value for key, value in options.items() if value is not None}
    return options | dict(parse_override(change, example) for change in changes or ())


def show(
    as_json: bool, value: Any, title: str, columns: Iterable[str], rows: Iterable[Iterable[Any]]
) -> None:
    """Print the value as JSON, or else the rows as a table."""
    if as_json:
        print_json(value)
    else:
        table(title, columns, rows)


def row_style(as_json: bool, as_csv: bool, window: float | None) -> str:
    """``json``, ``csv`` or ``table``. Raises WsacError for both at once and for short windows."""
    if as_json and as_csv:
        raise WsacError("--json and --csv exclude each other; choose one")
    if window is not None and not window >= 0.5:
        raise WsacError(
            f"--window {window:g}: give at least 0.5 seconds; shorter sounds cannot be told apart"
        )
    return "json" if as_json else "csv" if as_csv else "table"


def report_failures(results: Sequence[Any], done: str) -> None:
    """Print each error of the results on stderr and end with code 1, if there is any."""
    errors = [result for result in results if isinstance(result, AudioError)]
    for error in errors:
        say(f"error: {error}")
    if errors:
        files = {result.file for result in results}
        say(f"{len(errors)} of {len(files)} files could not be {done}")
        raise Exit(1)
