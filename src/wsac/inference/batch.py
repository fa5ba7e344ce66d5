"""Caption or tag many files. A file that fails does not stop the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from wsac.clap import load_clap
from wsac.data.audio.audio_options import AS_IS, AudioOptions
from wsac.data.audio.find import find_audio
from wsac.types import AudioError, Caption, RecipeError

from .bundle import note_unfinished
from .captioner import Captioner
from .sound_results import SILENCE, Result, Results, Tag, TaggedSound
from .tagger import Tagger

DIGITS = {
    "logprob": 4,
    "start": 3,
    "end": 3,
    "confidence": 4,
    "score": 4,
    "probability": 4,
    "none": 4,
}

Item = TypeVar("Item", Caption, TaggedSound, Tag)


def stream_captions(
    patterns: Sequence[str] = (),
    *,
    names: Sequence[str | Path] = (),
    model: str | Path = "pocket",
    clap: str | Path | None = None,
    gap: str | Path | None = None,
    window: float | None = None,
    min_confidence: float | None = None,
    device: str = "auto",
    audio_options: AudioOptions = AS_IS,
    **changes: Any,
) -> Results[Caption]:
    """Caption files, folders and globs in order; with ``window``, every window of so many seconds.

    names: more files, as they are. clap: where the model's CLAP is now, if
    it has moved. gap: for bridges that need one. min_confidence: captions below it become guesses;
    default: the calibrated threshold. audio_options: track and channel. changes: CaptionOptions by
    name; None changes nothing. Raises AudioError for a folder or glob without sounds, ModelError or
    RecipeError for the model and its options.
    """
    changes = {name: value for name, value in changes.items() if value is not None}
    if "beam_size" in changes and changes.setdefault("samples", 0):  # a beam replaces sampling
        raise RecipeError("--beam searches and --samples draws; give one of them")
    files = find_audio(patterns, names)
    captioner = Captioner.load(model, clap=clap, device=device)
    note_unfinished(model)
    captioner = captioner if gap is None else captioner.with_gap(gap)
    captioner = captioner.with_options(**changes)
    hide = unsure_hidden(captioner, min_confidence, model)
    captions = captioner.caption_many(files, window, audio_options=audio_options)
    return Results("caption", files, _finished(captions, hide))


def unsure_hidden(
    captioner: Captioner, min_confidence: float | None, model: str | Path
) -> Callable[[Caption], Caption]:
    """Makes a guess of the text of a caption below this confidence, or else the calibrated one.

    model: the name of the captioner. Raises RecipeError for an impossible threshold.
    """
    threshold = _threshold(captioner, min_confidence, model)

    def hide(caption: Caption) -> Caption:
        sure = caption.confidence is None or caption.confidence >= threshold
        if sure or caption.text == SILENCE:
            return caption
        return replace(caption, text="", guess=caption.text)

    return hide


def stream_tags(
    patterns: Sequence[str],
    labels: Sequence[str],
    *,
    names: Sequence[str | Path] = (),
    clap: str | Path = "pocket",
    top: int = 5,
    window: float | None = None,
    device: str = "auto",
    audio_options: AudioOptions = AS_IS,
) -> Results[TaggedSound]:
    """The ``top`` labels of files, folders and globs in order; with ``window``, of every window.

    names: more files, as they are. window: seconds. audio_options: track and channel. Raises
    AudioError for a folder or glob without sounds, ModelError for the CLAP, RecipeError for labels
    and options.
    """
    if top < 1:
        raise RecipeError(f"top {top}: nothing would be shown; give 1 or more")
    files = find_audio(patterns, names)
    tagger = Tagger(load_clap(clap, device=device), labels)

    def shorten(sound: TaggedSound) -> TaggedSound:
        return replace(sound, tags=tuple(map(rounded, sound.tags[:top])))

    sounds = tagger.tag_many(files, window, audio_options=audio_options)
    return Results("tag", files, _finished(sounds, shorten))


def caption_files(patterns: Sequence[str] = (), **options: Any) -> list[Caption | AudioError]:
    """What ``stream_captions`` gives, as a list."""
    return list(stream_captions(patterns, **options))


def _finished(
    results: Iterable[Result | AudioError], finish: Callable[[Result], Result]
) -> Iterator[Result | AudioError]:
    """The results after rounding and ``finish``."""
    for result in results:
        yield result if isinstance(result, AudioError) else finish(rounded(result))


def rounded(item: Item) -> Item:
    """A result with its numbers rounded to DIGITS."""
    values = {name: getattr(item, name, None) for name in DIGITS}
    digits: dict[str, Any] = {
        name: round(value, DIGITS[name]) for name, value in values.items() if value is not None
    }
    return replace(item, **digits)


def _threshold(captioner: Captioner, wanted: float | None, model: str | Path) -> float:
    if wanted is None:
        return captioner.calibration.threshold if captioner.calibration else 0.0
    if not 0 <= wanted <= 1:
        hint = f", perhaps {wanted / 100:g}" if 1 < wanted <= 100 else ""
        raise RecipeError(f"minimum confidence {wanted:g}: give a number from 0 to 1{hint}")
    if captioner.calibration is None:
        raise RecipeError(f"{model}: no confidence; run wsac calibrate, or omit --min-confidence")
    return wanted
