"""Options that several verbs share, and what they do with them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from wsac.io.console import say
from wsac.types import WsacError

OutOption = Annotated[
    Path, typer.Option("--out", "-o", help="The run folder; a stopped run in it goes on.")
]
RecipeOption = Annotated[
    Path | None, typer.Option("--recipe", help="A TOML recipe, such as recipes/wsac.toml.")
]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", help="Change a recipe value: training.epochs=3.")
]
ClapOption = Annotated[
    str, typer.Option("--clap", help="pocket, a name of wsac clap list, a folder or a file.")
]
TokenizerOption = Annotated[
    Path | None, typer.Option(help="A folder or tokenizer.json, for a file without one.")
]
GapOption = Annotated[
    Path | None, typer.Option("--gap", help="A file of wsac gap --save, for bridges that need it.")
]
OfflineOption = Annotated[
    bool, typer.Option("--offline", help="Only models that are here already.")
]
DeviceOption = Annotated[str, typer.Option(help="cpu, cuda, or auto.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Write JSON for programs.")]
CsvOption = Annotated[bool, typer.Option("--csv", help="Write CSV for spreadsheets.")]


def overrides(
    options: dict[str, Any], changes: list[str] | None, example: str = "training.epochs=3"
) -> dict[str, Any]:
    from wsac.io.config import parse_override

    given = {key: value for key, value in options.items() if value is not None}
    return given | dict(parse_override(change, example) for change in changes or ())


def row_style(as_json: bool, as_csv: bool, window: float | None) -> str:
    if as_json and as_csv:
        raise WsacError("--json and --csv exclude each other; choose one")
    if window is not None and not window >= 0.5:
        raise WsacError(
            f"--window {window:g}: give seconds, at least 0.5; shorter sounds cannot be told apart"
        )
    return "json" if as_json else "csv" if as_csv else "table"


def report_failures(rows: Sequence[Any], done: str) -> None:
    failed = [row for row in rows if row.error]
    for row in failed:
        say(f"error: {row.error}")
    if failed:
        say(f"{len(failed)} of {len({row.file for row in rows})} files could not be {done}")
        raise typer.Exit(1)
