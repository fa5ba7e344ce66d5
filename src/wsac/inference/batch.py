"""Caption or tag many files and print the results. A file that fails does not stop the others."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar

from wsac.clap import load_clap
from wsac.data.audio.audio_options import AS_IS, AudioOptions
from wsac.data.audio.find import find_audio
from wsac.io.console import print_json, progress, table
from wsac.io.csv_text import csv_line, spreadsheet_safe
from wsac.types import AudioError, Caption, RecipeError

from .bundle import note_unfinished
from .captioner import SILENCE, Captioner
from .tagger import Tag, TaggedSound, Tagger

BAR = 20  # characters of a full probability bar
DIGITS = {"logprob": 4, "start": 3, "end": 3, "confidence": 4, "score": 4, "probability": 4}
SPAN = {"start": None, "end": None}
CAPTION_ROW = {"file": "", "caption": "", "logprob": None, **SPAN, "notes": (), "error": ""}
CAPTION_ROW |= {"confidence": None, "guess": ""}
TAG_ROW = {"file": "", **SPAN, "tags": (), "notes": (), "error": ""}
TAG_COLUMNS = ("file", "start", "end", "label", "score", "probability", "notes", "error")

Item = TypeVar("Item", Caption, TaggedSound, Tag)
Result = TypeVar("Result", Caption, TaggedSound)


def caption_files(
    patterns: Sequence[str],
    *,
    model: str | Path = "pocket",
    clap: str | Path | None = None,
    gap: str | Path | None = None,
    window: float | None = None,
    min_confidence: float | None = None,
    device: str = "auto",
    audio_options: AudioOptions = AS_IS,
    **changes: Any,
) -> list[Caption | AudioError]:
    """Caption files, folders and globs in order; with ``window``, every window of so many seconds.

    An AudioError stands in the place of a file that fails. clap: where the model's CLAP is now, if
    it has moved. gap: for bridges that need one. min_confidence: captions below it become guesses;
    default: the calibrated threshold. audio_options: track and channel. changes: CaptionOptions by
    name; None changes nothing. Raises AudioError for a folder or glob without sounds, ModelError or
    RecipeError for the model and its options.
    """
    changes = {name: value for name, value in changes.items() if value is not None}
    if "beam_size" in changes and changes.setdefault("samples", 0):  # a beam replaces sampling
        raise RecipeError("--beam searches and --samples draws; give one of them")
    files = find_audio(patterns)
    captioner = Captioner.load(model, clap=clap, device=device)
    note_unfinished(model)
    captioner = captioner if gap is None else captioner.with_gap(gap)
    captioner = captioner.with_options(**changes)
    threshold = _threshold(captioner, min_confidence, model)

    def hide(caption: Caption) -> Caption:
        sure = caption.confidence is None or caption.confidence >= threshold
        if sure or caption.text == SILENCE:
            return caption
        return replace(caption, text="", guess=caption.text)

    captions = captioner.caption_many(files, window, audio_options=audio_options)
    return _collect("caption", captions, len(files), hide)


def tag_files(
    patterns: Sequence[str],
    labels: Sequence[str],
    *,
    clap: str | Path = "pocket",
    top: int = 5,
    window: float | None = None,
    device: str = "auto",
    audio_options: AudioOptions = AS_IS,
) -> list[TaggedSound | AudioError]:
    """The ``top`` labels of files, folders and globs in order; with ``window``, of every window.

    An AudioError stands in the place of a file that fails. window: seconds. audio_options: track
    and channel. Raises AudioError for
    a folder or glob without sounds, ModelError for the CLAP, RecipeError for labels and options.
    """
    if top < 1:
        raise RecipeError(f"top {top}: nothing would be shown; give 1 or more")
    files = find_audio(patterns)
    tagger = Tagger(load_clap(clap, device=device), labels)

    def shorten(sound: TaggedSound) -> TaggedSound:
        return replace(sound, tags=tuple(map(_rounded, sound.tags[:top])))

    sounds = tagger.tag_many(files, window, audio_options=audio_options)
    return _collect("tag", sounds, len(files), shorten)


def _collect(
    title: str,
    results: Iterable[Result | AudioError],
    files: int,
    finish: Callable[[Result], Result],
) -> list[Result | AudioError]:
    """The results, with a progress bar, after rounding and ``finish``."""
    collected: list[Result | AudioError] = []
    file = ""
    with progress(title, files, unit="files") as tick:
        for result in results:
            if result.file != file:
                tick()
            file = result.file
            if not isinstance(result, AudioError):
                result = finish(_rounded(result))
            collected.append(result)
    return collected


def _rounded(item: Item) -> Item:
    values = {name: getattr(item, name, None) for name in DIGITS}
    digits = {k: round(value, DIGITS[k]) for k, value in values.items() if value is not None}
    return replace(item, **digits)  # type: ignore[arg-type]


def _threshold(captioner: Captioner, wanted: float | None, model: str | Path) -> float:
    if wanted is None:
        return captioner.calibration.threshold if captioner.calibration else 0.0
    if not 0 <= wanted <= 1:
        hint = f", perhaps {wanted / 100:g}" if 1 < wanted <= 100 else ""
        raise RecipeError(f"minimum confidence {wanted:g}: give a number from 0 to 1{hint}")
    if captioner.calibration is None:
        raise RecipeError(f"{model}: no confidence; run wsac calibrate, or omit --min-confidence")
    return wanted


def print_captions(results: Sequence[Caption | AudioError], style: str) -> None:
    """Print captions on stdout. style: "json" (an array), "csv", "csv-safe" for spreadsheets, or
    "table", without errors."""
    if style != "table":
        return _print_rows([_row(CAPTION_ROW, result) for result in results], style, CAPTION_ROW)
    captions = [result for result in results if isinstance(result, Caption)]
    windowed = any(caption.start for caption in captions)
    lines, last = [], ""
    for c in captions:
        text = c.text or f"(unsure; perhaps: {c.guess})"
        text = "\n".join((text, *(f"({note})" for note in c.notes)))
        sure = f"{c.logprob:.2f}" if c.confidence is None else f"{100 * c.confidence:.0f} %"
        lines.append((c.file, _span(c, windowed), text, "" if c.text == SILENCE else sure))
        last = "log-prob>" if c.confidence is None else "sure>"
    if lines:
        table("", ("file", "seconds>", "caption", last), lines)
    return None


def print_tags(results: Sequence[TaggedSound | AudioError], style: str) -> None:
    """Print tags on stdout. style: "json" (an array), "csv" with a line for each tag, or "table",
    without errors."""
    if style != "table":
        rows = [_row(TAG_ROW, result) for result in results]
        if style != "json":
            rows = [row | tag for row in rows for tag in row["tags"] or [{}]]
        return _print_rows(rows, style, TAG_COLUMNS)
    sounds = [result for result in results if isinstance(result, TaggedSound)]
    windowed = any(sound.start for sound in sounds)
    full = "█" if (sys.stdout.encoding or "").lower().startswith("utf") else "#"
    lines = []
    for sound in sounds:  # only the first line of a sound names its file
        head = sound.file, _span(sound, windowed)
        for tag in sound.tags:
            bar = f"{tag.probability:4.0%} {full * round(tag.probability * BAR)}"
            lines.append((*head, tag.label, bar, f"{tag.score:.2f}"))
            head = "", ""
        for note in sound.notes:
            lines.append((*head, f"({note})", "", ""))
            head = "", ""
    if lines:
        table("", ("file", "seconds>", "label", "probability", "cosine>"), lines)
    return None


def _span(sound: Caption | TaggedSound, windowed: bool) -> str:
    end = "" if sound.end is None else f"{sound.end:.1f}"
    return f"{sound.start:.1f}–{end}" if windowed else end


def _row(empty: dict[str, Any], result: Caption | TaggedSound | AudioError) -> dict[str, Any]:
    if isinstance(result, AudioError):
        return empty | {"file": result.file, "error": str(result)}
    values = asdict(result)
    return empty | {"caption" if key == "text" else key: values[key] for key in values}


def _print_rows(rows: list[dict[str, Any]], style: str, columns: Iterable[str]) -> None:
    if style == "json":
        return print_json(rows)
    names = tuple(columns)
    sys.stdout.write(csv_line(names))
    for row in rows:
        cells = (row | {"notes": "; ".join(row["notes"])}).get
        values = [cells(name) for name in names]
        safe = map(spreadsheet_safe, values) if style == "csv-safe" else values
        sys.stdout.write(csv_line(safe))
    return None
