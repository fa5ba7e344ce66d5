"""Caption many files: one bad file does not stop the others; rows for people and for programs."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from wsac.clap.sounds import AudioEmbedding, embed_many
from wsac.data.audio.find import find_audio
from wsac.data.audio.stream import AudioStream
from wsac.inference.bundle import unfinished
from wsac.io.console import progress, say, table
from wsac.types import Caption, RecipeError, WsacError

from .captioner import SILENCE, Captioner

BATCH = 32  # files decoded together


@dataclass(frozen=True, slots=True)
class Row:
    """One caption of one file; or, when ``error`` says why, a file without one. start, end: seconds.

    guess: what the caption would be, were the captioner sure enough; ``caption`` is then empty.
    """

    file: str
    caption: str = ""
    logprob: float | None = None
    start: float | None = None
    end: float | None = None
    notes: tuple[str, ...] = ()
    error: str = ""
    confidence: float | None = None
    guess: str = ""


def caption_files(
    patterns: Sequence[str],
    *,
    model: str | Path = "pocket",
    clap: str | Path | None = None,
    gap: str | Path | None = None,
    bridge: str | None = None,
    beam: int | None = None,
    choose: str | None = None,
    samples: int | None = None,
    window: float | None = None,
    min_confidence: float | None = None,
    precision: str | None = None,
    settings: dict[str, Any] | None = None,
    device: str = "auto",
) -> list[Row]:
    """Caption files, folders and globs in order; with ``window`` (seconds) one row a window.

    clap: that of the model, where it lies elsewhere now. gap: for bridges that need one.
    min_confidence: below it there is only a guess; left out, the threshold that the model was calibrated to.
    settings: more CaptionOptions by name.
    Raises AudioError when a folder or glob holds no sound, ModelError or RecipeError for the model and its options.
    """
    if beam is not None and samples:
        raise RecipeError("--beam searches and --samples draws; give one of them")
    files = find_audio(patterns)
    changes = {
        "bridge": bridge,
        "beam_size": beam,
        "choose": choose,
        "samples": samples,
        "precision": precision,
    }
    captioner = Captioner.load(model, clap=clap, device=device)
    note_unfinished(model)
    captioner = captioner if gap is None else captioner.with_gap(gap)
    given = {key: value for key, value in changes.items() if value is not None}
    usual = (
        {} if beam is None else {"samples": 0}
    )  # who names a beam wants it, though the captioner may sample
    captioner = captioner.with_options(**usual | (settings or {}) | given)
    least = _least(captioner, min_confidence, str(model))
    rows: list[Row] = []
    with progress("caption", len(files), unit="files") as tick:
        if window is not None:
            for file in files:
                rows += _windows(captioner, file, window)
                tick()
        else:
            for first in range(0, len(files), BATCH):
                rows += _batch(captioner, files[first : first + BATCH], tick)
    return [apply_threshold(row, least) for row in rows]


def note_unfinished(model: str | Path, more: str = "") -> None:
    if stopped := unfinished(Path(model)):
        say(
            f"note: {model} is of a run that is not finished, its checkpoint is {stopped}; wsac train goes on{more}"
        )


def _least(captioner: Captioner, wanted: float | None, model: str) -> float:
    if wanted is None:
        return captioner.calibration.threshold if captioner.calibration else 0.0
    if not 0 <= wanted <= 1:
        hint = f", perhaps {wanted / 100:g}" if 1 < wanted <= 100 else ""
        raise RecipeError(f"minimum confidence {wanted:g}: give a number from 0 to 1{hint}")
    if captioner.calibration is None:
        raise RecipeError(
            f"{model}: has no confidence yet; fit it with wsac calibrate, or leave --min-confidence out"
        )
    return wanted


def apply_threshold(row: Row, least: float) -> Row:
    if row.confidence is None or row.confidence >= least or row.caption in ("", SILENCE):
        return row
    return replace(row, caption="", guess=row.caption)


def _batch(captioner: Captioner, files: Sequence[Path], tick) -> list[Row]:
    heard = list(zip(files, embed_many(captioner.clap, files), strict=True))
    tick(len(files))
    captions = iter(
        captioner.describe([one for _, one in heard if isinstance(one, AudioEmbedding)])
    )
    return [
        _row(file, next(captions), one.notes)
        if isinstance(one, AudioEmbedding)
        else Row(str(file), error=str(one))
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
    sure = None if caption.confidence is None else round(caption.confidence, 4)
    row = Row(
        str(file), caption.text, round(caption.logprob, 4), round(caption.start, 3), end, notes
    )
    return replace(row, confidence=sure)


def print_rows(rows: Sequence[Row], style: str) -> None:
    """Print rows on stdout. style: "table", "json" (an array) or "csv"."""
    match style:
        case "json":
            print(json.dumps([asdict(row) for row in rows], indent=2, ensure_ascii=False))
        case "csv":
            writer = csv.writer(sys.stdout, lineterminator="\n")
            writer.writerow(field.name for field in fields(Row))
            for row in rows:
                writer.writerow((asdict(row) | {"notes": "; ".join(row.notes)}).values())
        case _:
            good = [row for row in rows if not row.error]
            if good:
                windowed = any(row.start for row in good)
                cells = [
                    (
                        r.file,
                        _span(r, windowed),
                        "\n".join(
                            (
                                r.caption or f"(unsure; perhaps: {r.guess})",
                                *(f"({note})" for note in r.notes),
                            )
                        ),
                        "" if r.caption == SILENCE else _sure(r),
                    )
                    for r in good
                ]
                last = "log-prob>" if good[0].confidence is None else "sure>"
                table("", ("file", "seconds>", "caption", last), cells)


def _sure(row: Row) -> str:
    return f"{row.logprob:.2f}" if row.confidence is None else f"{100 * row.confidence:.0f} %"


def _span(row: Row, windowed: bool) -> str:
    end = "" if row.end is None else f"{row.end:.1f}"
    return f"{row.start:.1f}–{end}" if windowed else end
