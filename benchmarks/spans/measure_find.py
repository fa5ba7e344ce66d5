"""Moment retrieval: R1 and mAP of `wsac find`, beside the best window of a fixed length.

    python benchmarks/spans/measure_find.py runs/spans/soundworld-test.flac

Recordings are taken in pieces of a minute, as those of Clotho-Moment are. Each text of an event
that lies in a piece as a whole is a query; all its events there are its moments. Measures, as
defined for QVHighlights (Lei et al. 2021, arXiv 2107.09609, section 5) and used by the task "audio
moment retrieval from long audio" of DCASE 2026 (Munakata et al. 2024, arXiv 2409.15672):

R1@t: the share of queries whose first moment overlaps (IoU) one of theirs by t or more.
mAP@t: mean over the queries of the average precision, where each moment takes the best free one of
theirs if they overlap by t or more; precision is interpolated. mAP: the mean over t = 0.5, 0.55, …,
0.95. In per cent. The plain baseline scores windows of a fixed length by their cosine with the
query, as a sliding window of clip-level retrieval does, each half a window after the last; windows
that overlap a better one by more than a half are left out. Intervals: 95 %, bootstrap over pieces.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from truths import PIECE, Interval, Truth, iou, read_truths

from wsac.clap import load_clap
from wsac.clap.sounds import embed_stream, raise_errors
from wsac.data.audio.stream import load_audio
from wsac.inference.confidence import calibration_error
from wsac.inference.moments.find_moments import MomentFinder
from wsac.inference.moments.moment_scores import MomentScorer
from wsac.inference.moments.queries import parse_query

THRESHOLDS = np.linspace(0.5, 0.95, 10)
MOST = 10  # moments of a query
WINDOWS = (2.0, 3.0, 5.0)  # seconds of the plain baseline


@dataclass(frozen=True, slots=True)
class Window:
    start: float
    end: float


def average_precision(moments: Sequence[Interval], truths: Sequence[Interval], t: float) -> float:
    """Of ranked moments, with the precision interpolated."""
    free, right = list(truths), []
    for moment in moments:
        best = max(free, key=lambda truth: iou(moment, truth), default=None)
        hit = best is not None and iou(moment, best) >= t
        if hit:
            free.remove(best)
        right.append(hit)
    hits = np.cumsum(right)
    precision = hits / np.arange(1, len(right) + 1) if right else np.zeros(0)
    for place in range(len(precision) - 2, -1, -1):
        precision[place] = max(precision[place], precision[place + 1])
    return float(precision[np.array(right, bool)].sum() / len(truths)) if right else 0.0


def measures(moments: Sequence[Interval], truths: Sequence[Truth]) -> list[float]:
    """R1@0.5, R1@0.7, mAP@0.5, mAP@0.75, mAP of one query."""
    first = max((iou(moments[0], truth) for truth in truths), default=0.0) if moments else 0.0
    precisions = [average_precision(moments, truths, t) for t in (*THRESHOLDS, 0.75)]
    mean = float(np.mean(precisions[:-1]))
    return [float(first >= 0.5), float(first >= 0.7), precisions[0], precisions[-1], mean]


def best_windows(windows: list[Window], scores: torch.Tensor) -> list[Window]:
    """The best, without those that overlap a better one by more than a half."""
    chosen: list[Window] = []
    for place in scores.argsort(descending=True).tolist():
        window = windows[place]
        if all(
            min(window.end, w.end) - max(window.start, w.start) <= (w.end - w.start) / 2
            for w in chosen
        ):
            chosen.append(window)
        if len(chosen) == MOST:
            break
    return chosen


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("recordings", type=Path, nargs="+", help="FLAC, each with its JSON")
    parser.add_argument("--clap", default="pocket")
    parser.add_argument("--minutes", type=int, help="of each recording, at most")
    options = parser.parse_args()
    torch.set_num_threads(1)
    clap = load_clap(options.clap)
    scorer = MomentScorer(clap)
    rows: dict[str, list[list[list[float]]]] = {}  # of each way, piece and query
    sure: list[tuple[float, bool]] = []
    for path in options.recordings:
        truths = [truth for truth in read_truths(path) if truth.kind != "background"]
        most = options.minutes and 60.0 * options.minutes
        samples = load_audio(path, clap.sample_rate, max_seconds=most).samples
        for start in range(0, len(samples) // clap.sample_rate, PIECE):
            piece = samples[start * clap.sample_rate : (start + PIECE) * clap.sample_rate]
            events = [
                Truth(t.start - start, t.end - start, t.text, t.kind)
                for t in truths
                if start <= t.start and t.end <= start + PIECE
            ]
            texts = sorted({event.text for event in events})
            if not texts:
                continue
            theirs = {text: [e for e in events if e.text == text] for text in texts}
            finder = MomentFinder(clap, [parse_query(text) for text in texts], MOST, scorer)
            moments = finder.find(piece)
            ranked = [[m for m in moments if m.query == text] for text in texts]
            results = [measures(r, theirs[x]) for x, r in zip(texts, ranked, strict=True)]
            rows.setdefault("spans (wsac find)", []).append(results)
            for text, row in zip(texts, ranked, strict=True):
                for moment in row:
                    best = max(iou(moment, event) for event in theirs[text])
                    sure.append((moment.probability or 0.0, best >= 0.5))
            queries = scorer.embed_texts(texts)
            for length in WINDOWS:
                sounds = list(raise_errors(embed_stream(clap, [piece], length, length / 2)))
                windows = [Window(sound.start, sound.end) for sound in sounds]
                cosines = queries @ torch.stack([sound.embedding for sound in sounds]).T
                ranked = [best_windows(windows, row) for row in cosines]
                results = [measures(r, theirs[x]) for x, r in zip(texts, ranked, strict=True)]
                rows.setdefault(f"windows of {length:g} s", []).append(results)
    rng = np.random.default_rng(0)
    print(
        "| | queries | R1@0.5 | R1@0.7 | mAP@0.5 | mAP@0.75 | mAP |\n|---|---|---|---|---|---|---|"
    )
    for name, pieces in rows.items():
        values = np.array([query for piece in pieces for query in piece])
        sums = np.array([[len(piece), *np.sum(piece, axis=0)] for piece in pieces])
        draws = [sums[rng.integers(len(sums), size=len(sums))].sum(axis=0) for _ in range(1000)]
        low, high = np.percentile([100 * d[1] / d[0] for d in draws], [2.5, 97.5])
        first, *others = (f"{100 * value:.1f}" for value in values.mean(axis=0))
        cells = (name, len(values), f"{first} ({low:.1f}–{high:.1f})", *others)
        print("| " + " | ".join(map(str, cells)) + " |")
    probability, right = (torch.tensor(x, dtype=torch.float64) for x in zip(*sure, strict=True))
    error = calibration_error(probability, right)
    print(f"probabilities of {len(sure)} moments: mean {probability.mean():.3f}, ", end="")
    print(f"right {right.mean():.3f}, calibration error {error:.3f}")


if __name__ == "__main__":
    main()
