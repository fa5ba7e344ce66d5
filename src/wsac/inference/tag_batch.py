"""Tag many files: one bad file does not stop the others; rows for people and for programs."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from wsac.clap import load_clap
from wsac.clap.sounds import AudioEmbedding, embed_sound
from wsac.data.audio.find import find_audio
from wsac.data.audio.stream import AudioStream
from wsac.io.console import progress, table
from wsac.runtime.device import pick_device
from wsac.types import RecipeError, WsacError

from .tagger import Tag, Tagger

BAR = 20  # characters of a full probability bar
SILENT_WINDOW = "silent: no sound above -60 dBFS in this window"


@dataclass(frozen=True, slots=True)
class Row:
    """A file, or a window of it, with its best tags; or, when ``error`` says why, a file without. start, end: seconds.

    What is silent has no tags, and a note says so.
    """

    file: str
    start: float | None = None
    end: float | None = None
    tags: tuple[Tag, ...] = ()
    notes: tuple[str, ...] = ()
    error: str = ""


def tag_files(
    patterns: Sequence[str],
    labels: Sequence[str],
    *,
    clap: str | Path = "pocket",
    top: int = 5,
    window: float | None = None,
    device: str = "auto",
) -> list[Row]:
    """Tag files, folders and globs in order with their ``top`` labels; with ``window`` (seconds) one row a window.

    Raises AudioError when a folder or glob holds no sound, ModelError for the CLAP, RecipeError for labels and options.
    """
    if top < 1:
        raise RecipeError(f"top {top}: nothing would be shown; give 1 or more")
    files = find_audio(patterns)
    tagger = Tagger(load_clap(clap, device=pick_device(device)), labels)
    rows: list[Row] = []
    with progress("tag", len(files), unit="files") as tick:
        for file in files:
            rows += (
                [_whole(tagger, file, top)]
                if window is None
                else _windows(tagger, file, top, window)
            )
            tick()
    return rows


def _whole(tagger: Tagger, file: Path, top: int) -> Row:
    try:
        heard = embed_sound(tagger.clap, file)
    except WsacError as error:
        return Row(str(file), error=str(error))
    return _row(file, heard, tagger.tag_heard([heard])[0][:top], heard.notes)


def _windows(tagger: Tagger, file: Path, top: int, window: float) -> list[Row]:
    rows: list[Row] = []
    try:
        with AudioStream(file, tagger.clap.sample_rate) as stream:
            for heard, tags in tagger.tag_windows(stream, window_seconds=window):
                rows.append(_row(file, heard, tags[:top], (SILENT_WINDOW,) if heard.silent else ()))
            if rows:  # what is wrong with the file is known at its end only
                own = () if stream.silent else rows[-1].notes
                rows[-1] = replace(rows[-1], notes=(*stream.notes, *own))
    except WsacError as error:
        rows.append(Row(str(file), error=str(error)))
    return rows


def _row(file: Path, heard: AudioEmbedding, tags: Sequence[Tag], notes: tuple[str, ...]) -> Row:
    rounded = tuple(Tag(tag.label, round(tag.score, 4), round(tag.probability, 4)) for tag in tags)
    return Row(str(file), round(heard.start, 3), round(heard.end, 3), rounded, notes)


def print_rows(rows: Sequence[Row], style: str) -> None:
    """Print rows on stdout. style: "table", "json" (an array) or "csv", which has a line for each tag."""
    match style:
        case "json":
            print(json.dumps([asdict(row) for row in rows], indent=2, ensure_ascii=False))
        case "csv":
            writer = csv.writer(sys.stdout, lineterminator="\n")
            writer.writerow(
                ("file", "start", "end", "label", "score", "probability", "notes", "error")
            )
            for row in rows:
                for tag in map(asdict, row.tags) if row.tags else ({},):
                    values = (tag.get(name) for name in ("label", "score", "probability"))
                    writer.writerow(
                        (row.file, row.start, row.end, *values, "; ".join(row.notes), row.error)
                    )
        case _:
            good = [row for row in rows if not row.error]
            windowed = any(row.start for row in good)
            lines = [line for row in good for line in _lines(row, windowed)]
            if lines:
                table("", ("file", "seconds>", "label", "probability", "cosine>"), lines)


def _lines(row: Row, windowed: bool) -> Iterator[tuple[str, ...]]:
    """The table lines of a row: its tags, then its notes; only the first one names the file."""
    head = (row.file, f"{row.start:.1f}–{row.end:.1f}" if windowed else f"{row.end:.1f}")
    full = "█" if (sys.stdout.encoding or "").lower().startswith("utf") else "#"
    for tag in row.tags:
        bar = f"{tag.probability:4.0%} {full * round(tag.probability * BAR)}"
        yield (*head, tag.label, bar, f"{tag.score:.2f}")
        head = ("", "")
    for note in row.notes:
        yield (*head, f"({note})", "", "")
        head = ("", "")
