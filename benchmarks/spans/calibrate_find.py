"""Fit the probabilities of `wsac find` on development recordings of hours.py.

    python benchmarks/spans/calibrate_find.py runs/spans/*-development*.flac

Writes `src/wsac/inference/moments/moment_calibration.json` with the fingerprint of the CLAP, which
alone uses it: run this again when the built-in weights change. Recordings are taken in pieces of a
minute. Each text of its events is a query, and so are as many texts of which the piece has no
event. A passage is right if its overlap with an event of the query (IoU) is 0.5 or more; it is left
out if it is less, but not 0. Queries by sound are other events of the same name.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from truths import PIECE, Truth, iou, read_truths

from wsac.clap import load_clap
from wsac.data.audio.stream import AudioStream
from wsac.inference.confidence import Logistic, calibration_error
from wsac.inference.moments.moment_scores import CALIBRATION, MomentScorer
from wsac.inference.spans.find_spans import find_spans
from wsac.inference.spans.span import Passage


def overlap(passage: Passage, truths: list[Truth]) -> float:
    """The best overlap with one of the events."""
    return max((iou(passage, truth) for truth in truths), default=0.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("recordings", type=Path, nargs="+", help="FLAC, each with its JSON")
    parser.add_argument("--clap", default="pocket")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rng = np.random.default_rng(options.seed)
    clap = load_clap(options.clap)
    scorer = MomentScorer(clap)
    rows: dict[str, list] = {"text": [], "sound": []}
    right: dict[str, list] = {"text": [], "sound": []}

    def add(kind: str, query: torch.Tensor, passages: list[Passage], events: list[Truth]) -> None:
        features = scorer.features(query, torch.stack([p.embedding for p in passages]))
        for row, passage in zip(features.tolist(), passages, strict=True):
            best = overlap(passage, events)
            if best == 0 or best >= 0.5:
                rows[kind].append(row)
                right[kind].append(best >= 0.5)

    for path in options.recordings:
        truths = [truth for truth in read_truths(path) if truth.kind != "background"]
        names = sorted({truth.name for truth in truths})
        texts = {truth.name: truth.text for truth in truths}
        embeddings = dict(zip(names, scorer.embed_texts([texts[n] for n in names]), strict=True))
        passages = list(find_spans(clap, AudioStream(path, clap.sample_rate)))
        sounds = [(p, t.name) for t in truths for p in passages if iou(p, t) >= 0.5]
        for start in range(0, int(truths[-1].end), PIECE):
            inside = [t for t in truths if start <= t.start and t.end <= start + PIECE]
            present = {t.name for t in inside}
            absent = [name for name in names if name not in present]
            asked = [*present, *rng.permutation(absent)[: len(present)]]
            here = [p for p in passages if start <= p.start < start + PIECE]
            for name in asked if here else ():
                events = [t for t in truths if t.name == name]
                add("text", embeddings[name], here, events)
                elsewhere = [p for p, n in sounds if n == name and p not in here]
                if elsewhere:
                    example = elsewhere[int(rng.integers(len(elsewhere)))]
                    add("sound", example.embedding, here, events)
    fitted: dict[str, object] = {"fingerprint": clap.fingerprint}
    for kind, values in rows.items():
        features, true = torch.tensor(values), torch.tensor(right[kind])
        logistic = Logistic.fit(features, true)
        error = calibration_error(logistic(features), true)
        print(f"{kind}: {len(true)} pairs, {int(true.sum())} right, error {error:.3f}")
        fitted[kind] = asdict(logistic)
    CALIBRATION.write_text(json.dumps(fitted, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
