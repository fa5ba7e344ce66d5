"""Caption or tag many files: one bad file does not stop the others; printed for people and for programs."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar

from wsac.clap import load_clap
from wsac.data.audio.find import find_audio
from wsac.io.console import print_json, progress, table
from wsac.runtime.device import pick_device
from wsac.types import AudioError, Caption, RecipeError

from .bundle import note_unfinished
from .captioner import SILENCE, Captioner
from .tagger import TaggedSound, Tagger

BAR = 20  # characters of a full probability bar
CAPTION_COLUMNS = (
    *("file", "caption", "logprob", "start", "end"),
    *("notes", "error", "confidence", "guess"),
)
TAG_COLUMNS = ("file", "start", "end", "label", "score", "probability", "notes", "error")

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
    **changes: Any,
) -> list[Caption | AudioError]:
    """Caption files, folders and globs in order; with ``window`` (seconds) one caption a window.

    An error takes the place of a file that cannot be decoded. clap: the model's, where it lies elsewhere now.
    gap: for bridges that need one. min_confidence: a caption below it becomes a guess; default: the calibrated
    threshold. changes: of the captioner's options, by name; None leaves one as it is.
    Raises AudioError when a folder or glob has no sound, ModelError or RecipeError for the model and its options.
    """
    changes = {name: value for name, value in changes.items() if value is not None}
    if "beam_size" in changes and changes.setdefault("samples", 0):  # a beam replaces sampling
        raise RecipeError("--beam searches and --samples draws; give one of them")
    files = find_audio(patterns)
    captioner = Captioner.load(model, clap=clap, device=device)
    note_unfinished(model)
    captioner = captioner if gap is None else captioner.with_gap(gap)
    captioner = captioner.with_options(**changes)
    threshold = _threshold(captioner, min_confidence, str(model))
    captions = _with_progress("caption", captioner.caption_many(files, window), len(files))
    return [
        c if isinstance(c, AudioError) else apply_threshold(_rounded(c), threshold)
        for c in captions
    ]


def tag_files(
    patterns: Sequence[str],
    labels: Sequence[str],
    *,
    clap: str | Path = "pocket",
    top: int = 5,
    window: float | None = None,
    device: str = "auto",
) -> list[TaggedSound | AudioError]:
    """Tag files, folders and globs in order with their ``top`` labels; with ``window`` (seconds) window by window.

    An error takes the place of a file that cannot be decoded. Raises AudioError when a folder or glob has no sound,
    ModelError for the CLAP, RecipeError for labels and options.
    """
    if top < 1:
        raise RecipeError(f"top {top}: nothing would be shown; give 1 or more")
    files = find_audio(patterns)
    tagger = Tagger(load_clap(clap, device=pick_device(device)), labels)
    results = []
    for result in _with_progress("tag", tagger.tag_many(files, window), len(files)):
        if isinstance(result, TaggedSound):
            tags = tuple(
                replace(tag, score=round(tag.score, 4), probability=round(tag.probability, 4))
                for tag in result.tags[:top]
            )
            start, end = round(result.start, 3), round(result.end, 3)
            result = replace(result, start=start, end=end, tags=tags)
        results.append(result)
    return results


def _with_progress(
    title: str, results: Iterable[Result | AudioError], files: int
) -> Iterator[Result | AudioError]:
    file = ""
    with progress(title, files, unit="files") as tick:
        for result in results:
            if result.file != file:
                tick()
            file = result.file
            yield result


def _threshold(captioner: Captioner, wanted: float | None, model: str) -> float:
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


def apply_threshold(caption: Caption, threshold: float) -> Caption:
    """A caption whose confidence is below the threshold as a guess with an empty text."""
    if caption.confidence is None or caption.confidence >= threshold or caption.text == SILENCE:
        return caption
    return replace(caption, text="", guess=caption.text)


def _rounded(caption: Caption) -> Caption:
    end = None if caption.end is None else round(caption.end, 3)
    confidence = None if caption.confidence is None else round(caption.confidence, 4)
    numbers: Any = {"logprob": round(caption.logprob, 4), "start": round(caption.start, 3)}
    return replace(caption, **numbers, end=end, confidence=confidence)


def print_captions(results: Sequence[Caption | AudioError], style: str) -> None:
    """Print captions on stdout. style: "table" (without errors), "json" (an array) or "csv"."""
    if style != "table":
        rows = [dict.fromkeys(CAPTION_COLUMNS) | _caption_row(result) for result in results]
        return print_json(rows) if style == "json" else _print_csv(CAPTION_COLUMNS, rows)
    captions = [result for result in results if isinstance(result, Caption)]
    if not captions:
        return None
    windowed = any(caption.start for caption in captions)
    lines = []
    for c in captions:
        text = c.text or f"(unsure; perhaps: {c.guess})"
        sure = f"{c.logprob:.2f}" if c.confidence is None else f"{100 * c.confidence:.0f} %"
        text = "\n".join((text, *(f"({note})" for note in c.notes)))
        lines.append((c.file, _span(c, windowed), text, "" if c.text == SILENCE else sure))
    last = "log-prob>" if captions[0].confidence is None else "sure>"
    return table("", ("file", "seconds>", "caption", last), lines)


def _caption_row(result: Caption | AudioError) -> dict[str, Any]:
    if isinstance(result, AudioError):
        texts = {"caption": "", "guess": "", "error": str(result)}
        return {"file": result.file, "notes": (), **texts}
    row = asdict(result)
    return {"caption": row.pop("text"), "error": "", **row}


def print_tags(results: Sequence[TaggedSound | AudioError], style: str) -> None:
    """Print tags on stdout. style: "table" (without errors), "json" (an array) or "csv", with a line for each tag."""
    match style:
        case "json":
            print_json([_tag_row(result) for result in results])
        case "csv":
            rows = []
            for row in map(_tag_row, results):
                rows += [row | tag for tag in row["tags"] or [{}]]
            _print_csv(TAG_COLUMNS, rows)
        case _:
            sounds = [result for result in results if isinstance(result, TaggedSound)]
            windowed = any(sound.start for sound in sounds)
            lines = [line for sound in sounds for line in _tag_lines(sound, windowed)]
            if lines:
                table("", ("file", "seconds>", "label", "probability", "cosine>"), lines)


def _tag_row(result: TaggedSound | AudioError) -> dict[str, Any]:
    if isinstance(result, TaggedSound):
        return asdict(result) | {"error": ""}
    empty = {"start": None, "end": None, "tags": (), "notes": ()}
    return {"file": result.file, **empty, "error": str(result)}


def _tag_lines(sound: TaggedSound, windowed: bool) -> Iterator[tuple[str, ...]]:
    """The table lines of a sound: its tags, then its notes; only the first one names the file."""
    head = (sound.file, _span(sound, windowed))
    full = "█" if (sys.stdout.encoding or "").lower().startswith("utf") else "#"
    for tag in sound.tags:
        bar = f"{tag.probability:4.0%} {full * round(tag.probability * BAR)}"
        yield (*head, tag.label, bar, f"{tag.score:.2f}")
        head = ("", "")
    for note in sound.notes:
        yield (*head, f"({note})", "", "")
        head = ("", "")


def _span(sound: Caption | TaggedSound, windowed: bool) -> str:
    end = "" if sound.end is None else f"{sound.end:.1f}"
    return f"{sound.start:.1f}–{end}" if windowed else end


def _print_csv(columns: Sequence[str], rows: Iterable[dict[str, Any]]) -> None:
    writer = csv.DictWriter(sys.stdout, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(row | {"notes": "; ".join(row["notes"])} for row in rows)
