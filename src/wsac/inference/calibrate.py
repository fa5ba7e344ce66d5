"""Fit the confidence of a captioner on recordings whose content is known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from wsac.arrays import Tensor, torch
from wsac.clap.sounds import embed_many
from wsac.data.captions.faults import Faults
from wsac.data.datasets.pairs import sound_rows
from wsac.io.console import progress, say
from wsac.types import AudioError, CorpusError, ModelError

from .bundle import decoder_checksum, set_calibration
from .captioner import Captioner
from .confidence import Calibration, calibration_error, main_event, names_any

UNCLEAR_BELOW = 0.98  # the threshold hides the captions of this share of unrecognisable sounds
BATCH = 32  # sounds compared with the whole support memory at once
FIGURES = {
    "recordings": "recordings",
    "accuracy": "right captions",
    "confidence": "mean confidence",
    "calibration_error": "calibration error",
    "abstained_clear": "unsure of clear sounds",
    "abstained_unclear": "unsure of unclear sounds",
}


@dataclass(frozen=True, slots=True)
class Known:
    """A recording, and keywords: the main event of a right caption has one of them.

    Without keywords nothing in the recording is recognisable, and every caption is wrong.
    """

    path: str
    keywords: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Judged:
    """The captions of N known recordings. features: [N, F]; right: [N] bool."""

    known: tuple[Known, ...]
    captions: tuple[str, ...]
    features: Tensor
    right: Tensor

    @property
    def clear(self) -> Tensor:
        """[N] bool: whether anything is recognisable."""
        return torch.tensor([bool(row.keywords) for row in self.known])


def read_known(
    path: str | Path, *, column: str | None = None, skip_invalid: bool = False
) -> list[Known]:
    """Read a CSV ``audio,keywords``: words, pairs of words or beginnings (``bark*``), separated by
    ``|``.

    No keywords mean that nothing is recognisable. column: of the keywords, if it has another name.
    skip_invalid: leave out, and report, rows that cannot be used. A relative path counts from the
    CSV's folder if a file is there, else from the working folder. Raises CorpusError with the file
    and line.
    """
    rows, faults = [], Faults(strict=False)
    for audio, row in sound_rows(path, ("audio", "keywords"), column=column, faults=faults):
        words = map(str.strip, row["keywords"].split("|"))
        rows.append(Known(audio, tuple(filter(None, words))))
    if faults.places and not (skip_invalid and rows):
        raise faults.error()
    for what, count in faults.counts().items():
        say(f"left out: {what} ({count:,})")
    if not rows:
        raise CorpusError(f"{path}: no rows; give recordings with their key words")
    return rows


def judge(captioner: Captioner, rows: Sequence[Known]) -> Judged:
    """Caption known recordings and say which captions are right. Leaves out silent recordings, and
    those that cannot be decoded. Raises AudioError when nothing is left."""
    known: list[Known] = []
    embeddings: list[Tensor] = []
    sounds = embed_many(captioner.clap, [row.path for row in rows])
    with progress("calibrate", len(rows), unit="files") as tick:
        for row, sound in zip(rows, sounds, strict=True):
            tick()
            if isinstance(sound, AudioError):
                say(f"skipped: {sound}")
            elif not sound.silent:
                known.append(row)
                embeddings.append(sound.embedding)
    if not known:
        raise AudioError(f"none of the {len(rows)} recordings could be used; see the lines above")
    audio = torch.stack(embeddings)
    captions = captioner.caption_embeddings(audio)
    texts = tuple(caption.text for caption in captions)
    pairs = zip(known, texts, strict=True)
    right = [names_any(main_event(text), row.keywords) for row, text in pairs]
    features = []
    for i in range(0, len(known), BATCH):
        features.append(captioner.features(audio[i : i + BATCH], captions[i : i + BATCH]))
    return Judged(tuple(known), texts, torch.cat(features), torch.tensor(right))


def fit(judged: Judged) -> Calibration:
    """Fit. The threshold is above nearly all unrecognisable sounds, or 0.25 if there are none."""
    clear = judged.clear
    calibration = Calibration.fit(judged.features, judged.right, clear)
    if clear.all():
        return calibration
    limit = float(calibration(judged.features[~clear]).quantile(UNCLEAR_BELOW))
    return replace(calibration, threshold=math.ceil(1e4 * limit) / 1e4)


def calibrate(
    folder: str | Path,
    pairs: str | Path,
    test: str | Path | None = None,
    *,
    device: str = "auto",
    column: str | None = None,
    skip_invalid: bool = False,
) -> dict[str, Any]:
    """Fit the confidence of the captioner in ``folder`` on ``pairs`` and save it there.

    column, skip_invalid: as for ``read_known``.
    Returns the threshold and the figures of ``measure`` on ``pairs`` ("fit") and on ``test``.
    Raises CorpusError, AudioError or ModelError.
    """
    if str(folder) == "pocket":
        raise ModelError("pocket: it is calibrated already; give the folder of a wsac train run")
    reading: dict[str, Any] = {"column": column, "skip_invalid": skip_invalid}
    known = read_known(pairs, **reading)
    others = None if test is None else read_known(test, **reading)
    checksum = decoder_checksum(folder)
    captioner = Captioner.load(folder, device=device)
    judged = judge(captioner, known)
    calibration = fit(judged)
    figures: dict[str, Any] = {"threshold": calibration.threshold}
    figures["fit"] = measure(calibration, judged)
    if others is not None:
        figures["test"] = measure(calibration, judge(captioner, others))
    set_calibration(folder, calibration, of=checksum)
    return figures


def measure(calibration: Calibration, judged: Judged) -> dict[str, float | None]:
    """Accuracy, mean confidence, calibration error, and the shares of clear and of unclear sounds
    below the threshold, each in [0, 1]; None where there are no such sounds."""
    confidence, clear = calibration(judged.features), judged.clear
    below = (confidence < calibration.threshold).float()
    return {
        "recordings": len(confidence),
        "accuracy": float(judged.right.float().mean()),
        "confidence": float(confidence.mean()),
        "calibration_error": calibration_error(confidence, judged.right),
        "abstained_clear": float(below[clear].mean()) if clear.any() else None,
        "abstained_unclear": None if clear.all() else float(below[~clear].mean()),
    }


def figure_rows(figures: dict[str, Any]) -> list[tuple[str, ...]]:
    """Rows for a table: a name, its value in the fit and, if there is one, in the test."""
    rows = []
    for key, name in FIGURES.items():
        values = [figures[part][key] for part in ("fit", "test") if part in figures]
        form = "{:,}" if key == "recordings" else "{:.1%}"
        cells = ("–" if v is None else form.format(v).replace("%", " %") for v in values)
        rows.append((name, *cells))
    return rows
