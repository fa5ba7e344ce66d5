"""METEOR 1.5: words aligned by form, stem, synonym and paraphrase, by its authors' program."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from wsac.evaluation.metrics.items import Item, MissingError, Score
from wsac.evaluation.metrics.ngram.counts import Words
from wsac.io.console import progress
from wsac.types import WsacError

from .runtime import OLDEST, coco_folders, complaint, find_java

MEMORY = "2G"
# METEOR 1.5, English, task "rank": weight of precision against recall, steepness and weight of the
# penalty for scattered matches, weight of content words, and of each kind of match (form, stem,
# synonym, paraphrase)
_ALPHA, _BETA, _GAMMA, _DELTA = 0.85, 0.2, 0.6, 0.75
_WEIGHTS = np.array([1.0, 0.6, 0.8, 0.6])
_COUNTS = 23  # numbers that the program writes for a sentence


def meteor(items: Sequence[Item], words: Words | None = None) -> list[Score]:
    """meteor as coco-caption computes it, in [0, 1]: METEOR 1.5, English, ``-norm``.

    Words are cut as in ptb.py. The best reference counts. The corpus figure comes from the
    alignments of all items together; it is not the mean over the items. Raises MissingError
    without Java or the extra ``meteor``, which brings the jar.
    Source: Denkowski & Lavie 2014 (METEOR Universal).
    """
    jar, (java, _) = find_jar(), find_java("METEOR")
    words = words or Words.of(items)
    counts = np.zeros((words.size, _COUNTS))
    with progress("METEOR", words.size, unit="captions") as tick:
        for i, numbers in enumerate(_align(java, jar, words)):
            counts[i] = numbers
            tick()
    # As in the program, a sentence that matches its reference word for word is in no pieces.
    whole = (counts[:, 20] == 1) & (counts[:, 21] == counts[:, 0]) & (counts[:, 22] == counts[:, 1])
    counts[whole, 20] = 0
    corpus, per_item = float(meteor_from_counts(counts.sum(axis=0))), meteor_from_counts(counts)
    return [Score("meteor", corpus, per_item, "METEOR 1.5", counts)]


def meteor_from_counts(counts: np.ndarray) -> np.ndarray:
    """METEOR [...] from counts [..., 23] of an item, or summed over items.

    The counts are words and function words of both sides, matches of four kinds, and pieces.
    """
    counts = np.asarray(counts, float)
    # matches: [..., kind, side and class of word]
    matches = counts[..., 4:20].reshape(*counts.shape[:-1], 4, 4)
    chunks, matched = counts[..., 20], (counts[..., 21] + counts[..., 22]) / 2

    def share(side: int) -> np.ndarray:
        length, function = counts[..., side], counts[..., 2 + side]
        weighted = (_DELTA * matches[..., side] + (1 - _DELTA) * matches[..., 2 + side]) @ _WEIGHTS
        return _divide(weighted, _DELTA * (length - function) + (1 - _DELTA) * function)

    precision, recall = share(0), share(1)
    mean = _divide(precision * recall, _ALPHA * precision + (1 - _ALPHA) * recall)
    return mean * (1 - _GAMMA * _divide(chunks, matched) ** _BETA)


def find_jar() -> Path:
    """METEOR's jar in pycocoevalcap. Raises MissingError naming the extra that installs it."""
    for folder in coco_folders():
        if (path := folder / "meteor" / "meteor-1.5.jar").is_file():
            return path
    raise MissingError("METEOR's program is not installed: pip install 'wsac[meteor]'")


def _align(java: Path, jar: Path, words: Words) -> Iterator[list[float]]:
    """The counts of each item, as the program writes them. No word contains ``|||``."""
    command: list[str | Path] = [java, "-Xmx" + MEMORY, "-Dfile.encoding=UTF-8", "-jar", jar]
    command += ["-", "-", "-stdio", "-l", "en", "-norm"]
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8") as requests,
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors,
    ):
        for candidate, references in words.texts():
            requests.write(" ||| ".join(("SCORE", *references, candidate)) + "\n")
        requests.seek(0)
        pipes: dict[str, Any] = {"stdin": requests, "stdout": subprocess.PIPE, "stderr": errors}
        with subprocess.Popen(command, encoding="utf-8", cwd=jar.parent, **pipes) as process:
            assert process.stdout is not None
            for candidate, _ in words.texts():
                numbers: list[float] = []
                with suppress(ValueError):
                    numbers = [float(number) for number in process.stdout.readline().split()]
                if len(numbers) != _COUNTS:
                    process.kill()
                    process.wait()
                    errors.seek(0)
                    what = f"{candidate[:80]!r}: {complaint(errors.read())}"
                    remedy = f"it needs {MEMORY} of memory and Java {OLDEST} or newer"
                    raise WsacError(f"METEOR stopped at {what}; {remedy}")
                yield numbers


def _divide(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.divide(a, b, out=np.zeros(np.shape(a)), where=np.asarray(b) != 0)
