"""METEOR 1.5: words aligned by form, stem, synonym and paraphrase; by its authors' Java program."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from wsac.evaluation.metrics.items import Item, MissingError, Score
from wsac.evaluation.metrics.ngram.counts import Words
from wsac.io.console import progress
from wsac.types import WsacError

from .runtime import OLDEST, complaint, find_java

JAR = "meteor/meteor-1.5.jar"  # in pycocoevalcap's folder
MEMORY = "2G"
# of METEOR 1.5's English task "rank": precision against recall, steepness and weight of the penalty for scattered
# matches, content against function words, and what a match by form, stem, synonym and paraphrase is worth
_ALPHA, _BETA, _GAMMA, _DELTA = 0.85, 0.2, 0.6, 0.75
_WEIGHTS = np.array([1.0, 0.6, 0.8, 0.6])
_COUNTS = 23  # what the program writes of a sentence


def meteor(items: Sequence[Item], words: Words | None = None) -> list[Score]:
    """meteor as coco-caption computes it, in [0, 1]: METEOR 1.5, English, ``-norm``, on words as in ptb.py.

    The best reference counts. The corpus figure comes from the alignments of all items together; it is not the mean
    over the items. Needs the extra ``meteor`` (the jar, from pycocoevalcap) and Java.
    Source: Denkowski & Lavie 2014 (METEOR Universal).
    """
    jar, (java, _) = find_jar(), find_java("METEOR")
    words = words or Words.of(items)
    counts = np.zeros((words.size, _COUNTS))
    with progress("METEOR", words.size, unit="captions") as tick:
        for i, answer in enumerate(_align(java, jar, words)):
            counts[i] = answer
            tick()
    # as the program does: a sentence that matches its reference word for word counts as not scattered at all
    whole = (counts[:, 20] == 1) & (counts[:, 21] == counts[:, 0]) & (counts[:, 22] == counts[:, 1])
    counts[whole, 20] = 0
    per_item = meteor_from_counts(counts)
    return [
        Score(
            "meteor", float(meteor_from_counts(counts.sum(axis=0))), per_item, "METEOR 1.5", counts
        )
    ]


def meteor_from_counts(counts: np.ndarray) -> np.ndarray:
    """counts: [..., 23], of an item or summed over items: words and function words of both sides, matches, chunks."""
    counts = np.asarray(counts, float)
    matches = counts[..., 4:20].reshape(
        *counts.shape[:-1], 4, 4
    )  # stage by (content, content, function, function)
    chunks, matched = counts[..., 20], (counts[..., 21] + counts[..., 22]) / 2

    def share(side: int) -> np.ndarray:
        length, function = counts[..., side], counts[..., 2 + side]
        weighted = (_DELTA * matches[..., side] + (1 - _DELTA) * matches[..., 2 + side]) @ _WEIGHTS
        return _divide(weighted, _DELTA * (length - function) + (1 - _DELTA) * function)

    precision, recall = share(0), share(1)
    mean = _divide(precision * recall, _ALPHA * precision + (1 - _ALPHA) * recall)
    return mean * (1 - _GAMMA * _divide(chunks, matched) ** _BETA)


def find_jar() -> Path:
    """METEOR's jar in the installed package. Raises MissingError naming the extra."""
    found = find_spec("pycocoevalcap")
    for folder in (found.submodule_search_locations or ()) if found else ():
        if (path := Path(folder, JAR)).is_file():
            return path
    raise MissingError("METEOR's program is not installed: pip install 'wsac[meteor]'")


def _align(java: Path, jar: Path, words: Words) -> Iterator[list[float]]:
    """The counts of each item. The program answers line by line; words hold no ``|||``, which parts its fields."""
    command: list[str | Path] = [
        java,
        "-Xmx" + MEMORY,
        "-Dfile.encoding=UTF-8",
        "-jar",
        jar,
        *["-", "-", "-stdio", "-l", "en", "-norm"],
    ]
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors,
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            encoding="utf-8",
            cwd=jar.parent,
        ) as process,
    ):
        assert process.stdin
        assert process.stdout
        try:
            for candidate, references in words.texts():
                try:
                    process.stdin.write(" ||| ".join(("SCORE", *references, candidate)) + "\n")
                    process.stdin.flush()
                    answer = [float(number) for number in process.stdout.readline().split()]
                except (BrokenPipeError, ValueError):
                    answer = []
                if len(answer) != _COUNTS:
                    process.kill()
                    process.wait()
                    errors.seek(0)
                    raise WsacError(
                        f"METEOR stopped at {candidate[:80]!r}: {complaint(errors.read())}; "
                        f"it needs {MEMORY} of memory and Java {OLDEST} or newer"
                    )
                yield answer
        finally:
            process.kill()  # it holds nothing, and ending by itself takes a second
            with suppress(OSError):  # what a dead program did not take
                process.stdin.close()


def _divide(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.divide(a, b, out=np.zeros(np.shape(a)), where=np.asarray(b) != 0)
