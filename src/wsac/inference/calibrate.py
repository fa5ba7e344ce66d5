"""Fit the confidence of a captioner on recordings of which it is known what can be heard."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from wsac.clap.sounds import embed_many
from wsac.data.datasets.pairs import sound_rows
from wsac.io.console import progress, say
from wsac.types import AudioError, CorpusError, ModelError

from .bundle import set_calibration
from .captioner import Captioner
from .confidence import Calibration, calibration_error, names_any

ABSTAINED = 0.98  # the threshold is put where this part of the unrecognisable sounds falls below it


@dataclass(frozen=True, slots=True)
class Known:
    """A recording and the words of which a right caption has one; without words, whatever is said of it is wrong."""

    path: str
    keywords: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Judged:
    """What a captioner said of known recordings. features: [N, F]; right: [N] bool."""

    known: tuple[Known, ...]
    captions: tuple[str, ...]
    features: Tensor
    right: Tensor

    @property
    def clear(self) -> Tensor:
        """[N] bool: whether anything can be made out."""
        return torch.tensor([bool(row.keywords) for row in self.known])


def read_known(path: str | Path) -> list[Known]:
    """Read a CSV ``audio,keywords``: words or pairs of words, separated by ``|``; empty when nothing can be made out.

    A relative path counts from the CSV's folder if a file is there, else from the working folder.
    Raises CorpusError with the file and line.
    """
    rows = [
        Known(
            audio,
            tuple(word.strip() for word in (row["keywords"] or "").split("|") if word.strip()),
        )
        for audio, row in sound_rows(path, ("audio", "keywords"))
    ]
    if not rows:
        raise CorpusError(f"{path}: no rows; give recordings with their key words")
    return rows


def judge(captioner: Captioner, rows: Sequence[Known]) -> Judged:
    """Caption known recordings and say which captions are right, leaving out the silent and those that cannot be read.

    Raises AudioError when nothing is left.
    """
    known: list[Known] = []
    embeddings: list[Tensor] = []
    with progress("calibrate", len(rows), unit="files") as tick:
        sounds = embed_many(captioner.clap, [row.path for row in rows])
        for row, sound in zip(rows, sounds, strict=True):
            tick()
            if isinstance(sound, AudioError):
                say(f"skipped: {sound}")
            elif not sound.silent:
                known.append(row)
                embeddings.append(sound.embedding)
    if not known:
        raise AudioError(f"none of the {len(rows)} recordings could be heard; see the lines above")
    audio = torch.stack(embeddings)
    captions = captioner.caption_embeddings(audio)
    texts = tuple(caption.text for caption in captions)
    right = [names_any(text, row.keywords) for row, text in zip(known, texts, strict=True)]
    features = captioner.features(audio, captions)
    return Judged(tuple(known), texts, features, torch.tensor(right))


def fit(judged: Judged) -> Calibration:
    """Fit, and put the threshold where nearly all unrecognisable sounds fall below it, or at 0.25 if there are none."""
    clear = judged.clear
    calibration = Calibration.fit(judged.features, judged.right, clear)
    if clear.all():
        return calibration
    unclear = calibration(judged.features[~clear])
    return replace(calibration, threshold=math.ceil(1e4 * float(unclear.quantile(ABSTAINED))) / 1e4)


def calibrate(
    folder: str | Path, pairs: str | Path, test: str | Path | None = None, *, device: str = "auto"
) -> dict:
    """Fit the confidence of the captioner in ``folder`` on ``pairs`` and write it there; measure it on ``test``.

    Returns figures: recordings, accuracy, calibration error, threshold, and the same of the test.
    Raises CorpusError, AudioError or ModelError.
    """
    if str(folder) == "pocket":
        remedy = "give the folder of a wsac train run"
        raise ModelError(f"pocket: the bundled captioner is calibrated already; {remedy}")
    captioner = Captioner.load(folder, device=device)
    judged = judge(captioner, read_known(pairs))
    calibration = fit(judged)
    figures = {"threshold": calibration.threshold, "fit": measure(calibration, judged)}
    if test is not None:
        figures["test"] = measure(calibration, judge(captioner, read_known(test)))
    set_calibration(folder, calibration)
    return figures


def measure(calibration: Calibration, judged: Judged) -> dict[str, float | None]:
    """Accuracy, mean confidence, calibration error, and which part is abstained from, of clear and unclear sounds."""
    confidence = calibration(judged.features)
    clear = judged.clear
    below = (confidence < calibration.threshold).float()
    return {
        "recordings": len(confidence),
        "accuracy": float(judged.right.float().mean()),
        "confidence": float(confidence.mean()),
        "calibration_error": calibration_error(confidence, judged.right),
        "abstained_clear": _mean(below[clear]),
        "abstained_unclear": _mean(below[~clear]),
    }


def _mean(values: Tensor) -> float | None:
    return float(values.mean()) if len(values) else None


NAMES = {
    "recordings": "recordings",
    "accuracy": "right captions",
    "confidence": "mean confidence",
    "calibration_error": "calibration error",
    "abstained_clear": "unsure of clear sounds",
    "abstained_unclear": "unsure of unclear sounds",
}


def figure_rows(figures: dict) -> list[tuple[str, ...]]:
    """Rows for a table: a name, and a value for the fit and, where there is one, for the test."""
    parts = [figures[part] for part in ("fit", "test") if part in figures]
    return [(name, *(_shown(key, part[key]) for part in parts)) for key, name in NAMES.items()]


def _shown(key: str, value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,}" if key == "recordings" else f"{100 * value:.1f} %"
