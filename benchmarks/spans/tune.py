"""Choose the thresholds of spans on development recordings of hours.py.

    python benchmarks/spans/tune.py runs/spans/*-development*.flac \\
        --set begin=8,10,12 --set go_on=3,4,5

Prints F1, precision and recall of events at IoU 0.5 for every combination of the values, best
first; other thresholds keep their value. What rises above the floor is computed once for each
`look` and `quiet`, and runs are embedded once for each combination that cuts them differently.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import lru_cache
from itertools import product
from pathlib import Path

import numpy as np
import torch
from measure_find import Window
from measure_spans import figures, pairs
from torch import Tensor
from truths import read_truths

from wsac.clap import load_clap
from wsac.data.audio.stream import load_audio
from wsac.inference.spans.find_spans import EVENTS, with_context
from wsac.inference.spans.joining import join
from wsac.inference.spans.rising import risings
from wsac.inference.spans.runs import Run, runs_of
from wsac.inference.spans.spectrum import FRAME
from wsac.inference.spans.thresholds import DEFAULT, Thresholds

JOINING = ("alike", "join_pause", "recur")  # change nothing about the runs


class Recordings:
    """Development recordings with what does not depend on the thresholds in question."""

    def __init__(self, paths: list[Path], clap_name: str) -> None:
        self.clap = load_clap(clap_name)
        self.sounds = [load_audio(path, self.clap.sample_rate).samples for path in paths]
        self.events = [[t for t in read_truths(path) if t.kind != "background"] for path in paths]
        self.excess = lru_cache(maxsize=8)(self._excess)
        self.runs = lru_cache(maxsize=2)(self._runs)

    def _excess(self, numbers: Thresholds) -> list[np.ndarray]:
        rate = self.clap.sample_rate
        return [
            np.concatenate([part.excess for part in risings([sound], rate, numbers)])
            for sound in self.sounds
        ]

    def _runs(self, numbers: Thresholds) -> list[tuple[list[Run], Tensor]]:
        floor = replace(DEFAULT, look=numbers.look, quiet=numbers.quiet)
        hop = round(self.clap.sample_rate * FRAME)
        rows = []
        for sound, excess in zip(self.sounds, self.excess(floor), strict=True):
            runs = runs_of(excess, numbers)
            parts = [with_context(run, 0, len(excess)) for run in runs]
            sounds = [torch.from_numpy(sound[a * hop : b * hop]) for a, b in parts]
            rows.append((runs, self.clap.embed_audio(sounds)))
        return rows

    def score(self, numbers: Thresholds) -> tuple[float, float, float]:
        """F1, precision and recall."""
        cutting = replace(numbers, **{name: getattr(DEFAULT, name) for name in JOINING})
        right = total = 0
        for (runs, embeddings), events in zip(self.runs(cutting), self.events, strict=True):
            groups = join(runs, embeddings, numbers)
            spans = [Window(runs[g[0]][0] * FRAME, runs[g[-1]][1] * FRAME) for g in groups]
            spans = [s for s in spans if s.end - s.start <= EVENTS * numbers.longest]
            right += len(pairs(spans, events, 0.5))
            total += len(spans)
        return figures(right, total, sum(map(len, self.events)))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("recordings", type=Path, nargs="+", help="FLAC, each with its JSON")
    parser.add_argument("--set", action="append", default=[], help="NAME=VALUE,VALUE")
    parser.add_argument("--clap", default="pocket")
    options = parser.parse_args()
    torch.set_num_threads(1)
    recordings = Recordings(options.recordings, options.clap)
    grid = dict(text.split("=") for text in options.set)
    # joining is varied fastest, so that the runs of a combination are embedded once
    names = sorted(grid, key=lambda name: name in JOINING)
    rows = []
    for values in product(*([float(x) for x in grid[name].split(",")] for name in names)):
        chosen = dict(zip(names, values, strict=True))
        rows.append((recordings.score(replace(DEFAULT, **chosen)), chosen))
    for (f1, precision, recall), chosen in sorted(rows, key=lambda row: -row[0][0]):
        print(f"F1 {f1:.3f}  precision {precision:.3f}  recall {recall:.3f}  {chosen}")


if __name__ == "__main__":
    main()
