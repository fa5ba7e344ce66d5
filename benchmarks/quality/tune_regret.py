"""What choosing without labels loses against choosing with them (wsac tune), on ESC-50 fold 5 and
on SoundWorld.

    python benchmarks/quality/tune_regret.py --audio ../shared/audio --model pocket
    python benchmarks/quality/tune_regret.py --soundworld runs/table/data/soundworld-*/test \\
        --model runs/table/runs/*

Every setting that wsac tune tries is also scored with labels: event recall of ESC-50, CIDEr-D of
SoundWorld. Regret is the score of the best setting by labels minus that of the setting that tune
picks; the sounds are those tuned on, so the best by labels is an optimistic one. Repeated on random
halves of the sounds, with the spread.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from wsac.bridges.gap import Gap
from wsac.clap.collections import embed_sounds
from wsac.evaluation import Item, evaluate
from wsac.evaluation.tune import Trial, best_run, setting, tune
from wsac.inference.captioner import Captioner
from wsac.io.console import table

sys.path.append(str(Path(__file__).parents[1] / "esc50"))
from event_recall import names_event

Score = Callable[[Sequence[str], Sequence[int]], float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--audio", type=Path, help="the folder with manifest.csv: ESC-50 fold 5")
    where.add_argument("--soundworld", type=Path, help="a folder of wsac soundworld")
    parser.add_argument("--model", nargs="+", default=["pocket"])
    parser.add_argument(
        "--gap", type=Path, help="of wsac gap --save: bridges that need it are tried too"
    )
    parser.add_argument("--halves", type=int, default=4, help="random halves to repeat it on")
    options = parser.parse_args()
    files, score = esc50(options.audio) if options.audio else soundworld(options.soundworld)
    rows, whole = [], []
    for model in options.model:
        captioner = Captioner.load(model)
        if options.gap:
            captioner = captioner.with_gap(Gap.load(options.gap))
        sounds = torch.as_tensor(embed_sounds(files, captioner.clap))
        rng = np.random.default_rng(0)
        parts = [np.arange(len(files))]
        parts += [
            np.sort(rng.permutation(len(files))[: len(files) // 2]) for _ in range(options.halves)
        ]
        for part in parts:
            trials = tune(captioner, sounds[part])
            if len(part) == len(files):
                whole.append(trials)
            scores = [score(trial.captions, part.tolist()) for trial in trials]
            best = int(np.argmax(scores))
            usual = next(i for i, trial in enumerate(trials) if trial.options == captioner.options)
            picked, top = scores[0], scores[best]
            fit = np.corrcoef([trial.cycle for trial in trials], scores)[0, 1]
            rows.append(
                (
                    model,
                    len(part),
                    setting(trials[0].options),
                    f"{picked:.4f}",
                    setting(trials[best].options),
                    f"{top:.4f}",
                    f"{top - picked:.4f}",
                    f"{1 - picked / top:.1%}",
                    f"{scores[usual]:.4f}",
                    f"{fit:.2f}",
                )
            )
    if len(whole) > 1:
        rows.append(among(options.model, whole, score))
    heads = (
        "model",
        "sounds>",
        "picked",
        "score>",
        "best by labels",
        "score>",
        "regret>",
        "relative>",
        "usual>",
        "cycle ~ score>",
    )
    table("Choosing without labels", heads, rows)


def among(models: Sequence[str], runs: Sequence[Sequence[Trial]], score: Score) -> tuple[str, ...]:
    """All runs in competition: the choice of a run without labels against the best run and setting
    by labels.
    """
    everything = range(len(runs[0][0].captions))
    best, first = (0.0, -1, runs[0][0]), best_run(runs)
    for i, trials in enumerate(runs):
        best = max(
            best,
            *((score(trial.captions, everything), i, trial) for trial in trials),
            key=lambda one: one[0],
        )
    picked, (top, winner, trial) = score(runs[first][0].captions, everything), best
    return (
        "all runs",
        str(len(everything)),
        f"{models[first]}: {setting(runs[first][0].options)}",
        f"{picked:.4f}",
        f"{models[winner]}: {setting(trial.options)}",
        f"{top:.4f}",
        f"{top - picked:.4f}",
        f"{1 - picked / top:.1%}",
        "",
        "",
    )


def esc50(audio: Path) -> tuple[list[str], Score]:
    """Fold 5, and event recall."""
    with (audio / "manifest.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["fold"] == "5"]

    def score(captions: Sequence[str], part: Sequence[int]) -> float:
        hits = [
            names_event(text, rows[i]["esc50_class"])
            for text, i in zip(captions, part, strict=True)
        ]
        return sum(hits) / len(hits)

    return [str(audio / row["file"]) for row in rows], score


def soundworld(folder: Path) -> tuple[list[str], Score]:
    """Scenes, and CIDEr-D."""
    with (folder / "scenes.jsonl").open(encoding="utf-8") as file:
        scenes = [json.loads(line) for line in file]

    def score(captions: Sequence[str], part: Sequence[int]) -> float:
        items = [
            Item(scenes[i]["file"], text, tuple(scenes[i]["captions"]))
            for text, i in zip(captions, part, strict=True)
        ]
        return float(evaluate(items, "cider_d").scores["cider_d"].corpus)

    return [str(folder / scene["file"]) for scene in scenes], score


if __name__ == "__main__":
    main()
