"""Caption many files: one bad file does not stop the others; rows for people and for programs."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from .audio import AudioStream, find_audio
from .captioner import Captioner
from .console import progress, table
from .listening import Heard
from .types import Caption, WsacError

BATCH = 32  # files decoded together


@dataclass(frozen=True, slots=True)
class Row:
    """One caption of one file; or, when ``error`` says why, a file without one. start, end: seconds."""

    file: str
    caption: str = ""
    logprob: float | None = None
    start: float | None = None
    end: float | None = None
    notes: tuple[str, ...] = ()
    error: str = ""


def caption_files(
    patterns: Sequence[str],
    *,
    model: str | Path = "pocket",
    bridge: str | None = None,
    beam: int | None = None,
    window: float | None = None,
    device: str = "auto",
) -> list[Row]:
    """Caption files, folders and globs in order; with ``window`` (seconds) one row a window.

    Raises AudioError when a folder or glob holds no sound, ModelError or RecipeError for the model and its options.
    """
    files = find_audio(patterns)
    changes = {"bridge": bridge, "beam_size": beam}
    captioner = Captioner.load(model, device=device)
    captioner = captioner.with_options(**{key: value for key, value in changes.items() if value is not None})
    rows: list[Row] = []
    with progress("caption", len(files), unit="files") as tick:
        if window is not None:
            for file in files:
                rows += _windows(captioner, file, window)
                tick()
            return rows
        for first in range(0, len(files), BATCH):
            rows += _batch(captioner, files[first : first + BATCH], tick)
    return rows


def _batch(captioner: Captioner, files: Sequence[Path], tick) -> list[Row]:
    heard: list[tuple[Path, Heard | WsacError]] = []
    for file in files:
        try:
            heard.append((file, captioner.listen(file)))
        except WsacError as error:
            heard.append((file, error))
        tick()
    captions = iter(captioner.describe([one for _, one in heard if isinstance(one, Heard)]))
    return [
        _row(file, next(captions), one.notes) if isinstance(one, Heard) else Row(str(file), error=str(one))
        for file, one in heard
    ]


def _windows(captioner: Captioner, file: Path, window: float) -> list[Row]:
    rows = []
    try:
        with AudioStream(file, captioner.clap.sample_rate) as stream:
            for caption in captioner.caption_windows(stream, window_seconds=window):
                rows.append(_row(file, caption, ()))
            if rows and stream.notes:  # known at the end of the file only
                rows[-1] = replace(rows[-1], notes=stream.notes)
    except WsacError as error:
        rows.append(Row(str(file), error=str(error)))
    return rows


def _row(file: Path, caption: Caption, notes: tuple[str, ...]) -> Row:
    end = None if caption.end is None else round(caption.end, 3)
    return Row(str(file), caption.text, round(caption.logprob, 4), round(caption.start, 3), end, notes)


def print_rows(rows: Sequence[Row], style: str) -> None:
    """Print rows on stdout. style: "table", "json" (an array) or "csv"."""
    match style:
        case "json":
            print(json.dumps([asdict(row) for row in rows], indent=2, ensure_ascii=False))
        case "csv":
            writer = csv.writer(sys.stdout, lineterminator="\n")
            writer.writerow(("file", "caption", "logprob", "start", "end", "notes", "error"))
            for row in rows:
                values = asdict(row)
                writer.writerow([*list(values.values())[:5], "; ".join(row.notes), row.error])
        case _:
            good = [row for row in rows if not row.error]
            if good:
                windowed = any(row.start for row in good)
                cells = [
                    (
                        r.file,
                        _span(r, windowed),
                        "\n".join((r.caption, *(f"({note})" for note in r.notes))),
                        f"{r.logprob:.2f}",
                    )
                    for r in good
                ]
                table("", ("file", "seconds>", "caption", "log-prob>"), cells)


def _span(row: Row, windowed: bool) -> str:
    end = "" if row.end is None else f"{row.end:.1f}"
    return f"{row.start:.1f}–{end}" if windowed else end
