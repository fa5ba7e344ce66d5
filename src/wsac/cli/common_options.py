"""The options that several verbs share, each declared once, and what is checked about them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

from typer import Argument, BadParameter, CallbackParam, Option

from wsac.io.console import is_utf8, print_json, table, write_out
from wsac.types import WsacError


def _device(name: str) -> str:
    from wsac.runtime.device import check_device

    return check_device(name)


def new_folder(option: CallbackParam, path: Path | None) -> Path | None:
    """A folder to write. Raises WsacError where a file is in its place."""
    for place in (path, *path.parents) if path is not None else ():
        if place.exists() and not place.is_dir():
            what = "cannot make the folder, since there is a file here"
            raise WsacError(f"{place}: {what}; give {option.opts[0]} a folder")
    return path


def new_file(path: Path | None) -> Path | None:
    """A file to write. Raises WsacError where a folder is in its place."""
    if path is not None and path.is_dir():
        what = "this is a folder, and a file is to be written"
        raise WsacError(f"{path}: {what}; name a file in it")
    return path


def existing(paths: Iterable[str | Path] | str | Path | None) -> Any:
    """Files to read, "-" among them. Raises WsacError for one that is not there."""
    for path in [paths] if isinstance(paths, (str, Path)) else paths or ():
        if str(path) != "-" and not Path(path).exists():
            raise WsacError(f"{path}: not found; check the path")
    return paths


# what a sub-group of verbs is made with
PLAIN: dict[str, Any] = {"no_args_is_help": True, "add_completion": False, "rich_markup_mode": None}
Paths = list[Path] | None
Words = list[str] | None

# sounds and models
Files = Annotated[Words, Argument(metavar="FILE...", help="Sound files, folders or globs.")]
FilesFrom = Annotated[
    str | None, Option(metavar="LIST", help="File of names of sounds, one a line; - for stdin.")
]
Null = Annotated[bool, Option("-0", "--null", help="Names in it end in zero bytes (find -print0).")]
Recordings = Annotated[Words, Option("--audio", help="Sound files, folders or globs. Repeatable.")]
Captions = Annotated[
    Paths, Option("--captions", "-c", callback=existing, help="Caption files. Repeatable.")
]
Archive = Annotated[Path, Argument(metavar="ARCHIVE", help="A folder of wsac archive build.")]
Model = Annotated[str, Option("--model", help="pocket (built in), a run folder or owner/name.")]
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
LabelsFile = Annotated[Path | None, Option(help="One label per line; # comments.")]
Column = Annotated[str | None, Option(help="Column of the captions, if it has another name.")]
SkipInvalid = Annotated[bool, Option("--skip-invalid", help="Leave out and count bad rows.")]
Window = Annotated[float | None, Option(help="Split files into windows of this many seconds.")]

# runs and recipes
Folder = Option("--out", "-o", callback=new_folder, help="The folder to write.")
NewFile = Option("--out", "-o", callback=new_file, help="The file to write.")
Out = Annotated[
    Path, Option("--out", "-o", callback=new_folder, help="Run folder. A stopped run is resumed.")
]
Recipe = Annotated[str | None, Option(help="A recipe by name, such as wsac, or a TOML file.")]
Set = Annotated[Words, Option("--set", help="Change a recipe value, as in training.epochs=3.")]
Seed = Annotated[int | None, Option(help="The same seed gives the same weights.")]

# devices and output
Device = Annotated[str, Option(callback=_device, help="cpu, cuda or auto.")]
Offline = Annotated[bool, Option("--offline", help="Use downloaded models only.")]
Json = Annotated[bool, Option("--json", help="Write JSON.")]
JsonLines = Annotated[bool, Option("--jsonl", help="Write JSON, an object a line.")]
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


def print_rows(style: str, rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> None:
    """Print rows that are all there. style: json, jsonl, csv or csv-safe. columns: of CSV."""
    from wsac.io.csv_text import csv_line, spreadsheet_safe
    from wsac.io.json_text import to_json

    if style == "json":
        return print_json(rows)
    if style == "jsonl":
        lines = [to_json(row, ensure_ascii=not is_utf8()) + "\n" for row in rows]
    else:
        safe = spreadsheet_safe if style == "csv-safe" else lambda cell: cell
        lines = [csv_line(columns)]
        lines += [csv_line(safe(row[name]) for name in columns) for row in rows]
    write_out("".join(lines))


def row_style(
    as_json: bool, as_jsonl: bool, as_csv: bool, csv_safe: bool, window: float | None
) -> str:
    """``json``, ``jsonl``, ``csv``, ``csv-safe`` or ``table``.

    Raises WsacError for several of them, and for short windows.
    """
    styles = {"--json": as_json, "--jsonl": as_jsonl, "--csv": as_csv or csv_safe}
    wanted = [style for style, is_wanted in styles.items() if is_wanted]
    if len(wanted) > 1:
        raise WsacError(f"{' and '.join(wanted)} exclude each other; choose one")
    if window is not None and not window >= 0.5:
        raise WsacError(f"--window {window:g}: give at least 0.5 seconds, to tell sounds apart")
    if csv_safe:
        return "csv-safe"
    return wanted[0].removeprefix("--") if wanted else "table"


def listed_files(files: Words, files_from: str | None, null: bool) -> list[str]:
    """The names in the list of ``--files-from``.

    Raises WsacError for a list that cannot be read, BadParameter for neither files nor a list.
    """
    if files_from is None:
        if null:
            raise WsacError("-0 is for --files-from: names end with zero bytes; give both")
        if not files:
            raise BadParameter("no sounds; name files, folders or globs, or give --files-from LIST")
        return []
    if files_from == "-" and "-" in (files or ()):
        raise WsacError("-: a sound and --files-from cannot both come from stdin; choose one")
    from wsac.io.name_lists import read_names

    return read_names(files_from, null=null)


def chosen_labels(labels: str | None, labels_file: Path | None) -> list[str]:
    """The labels of ``--labels`` or ``--labels-file``; none without both.

    Raises WsacError for both, and for what is no list of labels.
    """
    from wsac.data.captions.labels import check_labels, read_labels, split_labels

    if labels is not None and labels_file is not None:
        raise WsacError("--labels and --labels-file exclude each other; choose one")
    if labels is None and labels_file is None:
        return []
    words = split_labels(labels or "") if labels_file is None else read_labels(labels_file)
    return check_labels(words)[0]


def find_sounds(patterns: Iterable[str], names: Iterable[str] = ()) -> list[str]:
    """The sounds of patterns and names. Raises AudioError if none of them is there."""
    from wsac.data.audio.find import all_missing, find_audio
    from wsac.types import AudioError

    files = find_audio(list(patterns), list(names))
    if errors := all_missing(files):
        raise AudioError(f"{errors[0]}; none of the {len(files)} recordings can be embedded")
    return list(map(str, files))


def check_openable(file: str | Path, track: Any = None, channel: Any = None) -> None:
    """Read the head of a sound, before a model is loaded. Raises AudioError."""
    from wsac.data.audio.audio_options import AudioOptions
    from wsac.data.audio.stream import AudioStream

    AudioStream(file, 16_000, AudioOptions.parse(track, channel)).close()


class StoppedError(WsacError):
    """Ctrl-C, with how far the work has come."""


@contextmanager
def resumable(out: Path) -> Iterator[None]:
    """Say after Ctrl-C whether the run in ``out`` can be resumed. Raises StoppedError."""
    try:
        yield
    except KeyboardInterrupt:
        what = "interrupted before its first checkpoint, so the same command begins anew"
        if (out / "checkpoint.safetensors").is_file():
            what = "interrupted; the same command resumes from its last checkpoint"
        raise StoppedError(f"{out}: {what}") from None
