"""How well spans fit the truth: precision, recall and F1 of events, boundaries, captions, kinds.

    python benchmarks/spans/measure_spans.py runs/spans/soundworld-test.flac

A span that is no background is right if its overlap with an event (IoU) is at least the threshold;
the pairs are those of the assignment with the most right ones, so no event counts twice. Errors of
boundaries are those of the pairs at IoU 0.5. Intervals: 95 %, bootstrap over minutes (1,000 draws).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from truths import PIECE, Interval, iou, read_truths

from wsac import Captioner
from wsac.inference.confidence import names_any
from wsac.inference.spans.span import Span

sys.path.append(str(Path(__file__).parents[1] / "esc50"))
sys.path.append(str(Path(__file__).parents[1] / "pocket"))
from event_recall import load_synonyms, names_event
from known_sounds import KINDS


def pairs(spans: Sequence[Interval], truths: Sequence[Interval], least: float) -> list[tuple]:
    """Places of spans and of the truths that they fit."""
    overlaps = np.array([[iou(span, truth) for truth in truths] for span in spans])
    overlaps = overlaps.reshape(len(spans), len(truths))
    rows, columns = linear_sum_assignment(-np.where(overlaps >= least, 1 + overlaps / 1e3, 0))
    return [(a, b) for a, b in zip(rows, columns, strict=True) if overlaps[a, b] >= least]


def figures(right: float, spans: float, truths: float) -> tuple[float, float, float]:
    """F1, precision and recall."""
    return (2 * right / max(1, spans + truths), right / max(1, spans), right / max(1, truths))


def names(caption: str, name: str) -> bool | None:
    """Whether a caption names an event; None where no words are known for it."""
    if name in load_synonyms():
        return names_event(caption, name)
    words = KINDS.get(name)
    if words is None:
        return None
    if words.startswith("="):
        return names_event(caption, words[1:])
    return names_any(caption, words.split("|"))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("recordings", type=Path, nargs="+", help="FLAC, each with its JSON")
    parser.add_argument("--model", default="pocket")
    options = parser.parse_args()
    torch.set_num_threads(1)
    captioner = Captioner.load(options.model)
    counts: list[tuple[int, int, int]] = []  # of each minute: right at 0.5, spans, truths
    totals = dict.fromkeys((0.3, 0.5, 0.7), 0)
    errors: list[float] = []
    named: list[bool] = []
    kinds: list[tuple[str, str]] = []
    behind = np.zeros(3)
    for path in options.recordings:
        truths = read_truths(path)
        spans: list[Span] = list(captioner.spans(path))
        events = [truth for truth in truths if truth.kind != "background"]
        front = [span for span in spans if not span.background]
        for least in totals:
            totals[least] += len(pairs(front, events, least))
        fits = pairs(front, events, 0.5)
        for minute in range(int(max(x.end for x in truths)) // PIECE + 1):

            def here(item: Interval, minute: int = minute) -> bool:
                return int(item.start) // PIECE == minute

            right = sum(here(events[b]) for _, b in fits)
            counts.append((right, sum(map(here, front)), sum(map(here, events))))
        for a, b in fits:
            span, truth = front[a], events[b]
            errors += [abs(span.start - truth.start), abs(span.end - truth.end)]
            kinds.append((truth.kind, span.kind))
            fit = names(span.text, truth.name)
            named += [] if fit is None else [fit]
        grounds = [truth for truth in truths if truth.kind == "background"]
        back = [span for span in spans if span.background]
        behind += (len(pairs(back, grounds, 0.5)), len(back), len(grounds))
    table = np.array(counts)
    _, total, true = table.sum(axis=0)
    for least, right in totals.items():
        f1, precision, recall = figures(right, total, true)
        print(f"IoU {least}: F1 {f1:.3f}  precision {precision:.3f}  recall {recall:.3f}")
    rng = np.random.default_rng(0)
    draws = [table[rng.integers(len(table), size=len(table))].sum(axis=0) for _ in range(1000)]
    low, high = np.percentile([figures(*draw)[0] for draw in draws], [2.5, 97.5])
    print(f"F1 at 0.5 of {true} events, {total} spans: 95 % from {low:.3f} to {high:.3f}")
    middle, most = np.percentile(errors, [50, 90])
    print(f"boundaries: median error {middle:.3f} s, 90 % within {most:.2f} s")
    print(f"captions of matched events that name them: {np.mean(named):.3f} of {len(named)}")
    print(f"kind: {json.dumps(confusion(kinds))}")
    print("backgrounds: F1 {:.3f}  precision {:.3f}  recall {:.3f}".format(*figures(*behind)))


def confusion(kinds: list[tuple[str, str]]) -> dict[str, int]:
    """How often each true kind was taken for which."""
    return {f"{a} as {b}": kinds.count((a, b)) for a, b in sorted(set(kinds))}


if __name__ == "__main__":
    main()
