"""What each bridge brings on real recordings: event recall on ESC-50 fold 5, against audio decoding
without noise.

    python benchmarks/esc50/esc50_bridges.py ../shared/audio \\
        --captions ../shared/captions/*.train.csv -o runs/esc50-bridges

Every decoder reads the same captions and no sound. What bridges know of sounds (shift, centring,
CORAL, Procrustes) is fitted on the recordings of folds 1 to 4 without their labels. pls is not
here: there are no captions of these sounds.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

from event_recall import names_event

from wsac.data.datasets.layouts import DatasetItem
from wsac.evaluation.benchmark.benchmark_data import Data
from wsac.evaluation.benchmark.benchmark_recipe import BenchmarkRecipe
from wsac.evaluation.benchmark.run import run_benchmark
from wsac.io.config import load_recipe
from wsac.io.console import table

NOISE = "noise:variance=0.002"
INFERENCE = (
    "ad",
    "nnd",
    "topk",
    "pd",
    "santa",
    "shift",
    "coral",
    "procrustes",
    "wasserstein",
    "shift+pd",
    "procrustes+pd",
    "wasserstein+pd",
    "procrustes+santa:weight=0.5,sharpness=100",
)
TRAINING = ("uniform", "shaped", "replace", "mix", "project", f"shift+{NOISE}", f"centre+{NOISE}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("audio", type=Path, help="the folder with manifest.csv")
    parser.add_argument("--captions", nargs="+", required=True, help="training captions")
    parser.add_argument("--clap", default="pocket")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument(
        "--batch-size", type=int, default=64, help="smaller than usual: more steps in an epoch"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument(
        "--training",
        nargs="+",
        default=["", NOISE, *TRAINING],
        metavar="BRIDGE",
        help="only with these",
    )
    parser.add_argument("-o", "--out", type=Path, required=True)
    options = parser.parse_args()
    data = esc50(options.audio, options.captions)
    rows = [
        {"train": train, "infer": infer}
        for train in options.training
        for infer in (INFERENCE if train in ("", NOISE) else ("ad", "pd"))
    ]
    recipe = load_recipe(
        BenchmarkRecipe,
        overrides={
            "clap": options.clap,
            "seeds": options.seeds,
            "metrics": ["clapscore", "vocabulary"],
            "against": ", ad",
            "data": {"esc50": {"kind": "folder", "captions": options.captions}},
            "rows": [
                {"data": "esc50", "name": f"{row['train']}, {row['infer']}", **row} for row in rows
            ],
            "training": {"epochs": options.epochs, "batch_size": options.batch_size},
        },
    )
    results = run_benchmark(recipe, options.out, own=[data])
    plain = results["rows"][0]["metrics"]["event_recall"]["value"]
    lines = []
    for row in results["rows"]:
        cell = row["metrics"]["event_recall"]
        low, high = cell["interval"]
        gain, p = 100 * (cell["value"] - plain), cell.get("p")
        lines.append(
            (
                row["train"] or "–",
                row["infer"],
                f"{100 * cell['value']:.2f}",
                f"{100 * low:.1f}–{100 * high:.1f}",
                f"{gain:+.2f}",
                "" if p is None else f"{p:.3f}",
                f"{row['metrics']['clapscore']['value']:.3f}",
                f"{row['metrics']['vocabulary']['value']:.0f}",
            )
        )
    heads = ("training", "inference", "recall %>", "95 %>", "gain>", "p>", "clapscore>", "words>")
    table(f"Event recall, ESC-50 fold 5 ({len(data.test)} clips)", heads, lines)


def esc50(audio: Path, captions: list[str]) -> Data:
    """Fold 5 to test on, judged by its class names; folds 1 to 4 as sounds without captions."""
    with (audio / "manifest.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["esc50_class"]]
    test = [row for row in rows if row["fold"] == "5"]

    def judge(texts):
        hits = [
            float(names_event(text, row["esc50_class"]))
            for text, row in zip(texts, test, strict=True)
        ]
        return {"event_recall": hits}

    items = tuple(DatasetItem(row["file"], str(audio / row["file"]), ()) for row in test)
    others = tuple(str(audio / row["file"]) for row in rows if row["fold"] != "5")
    return Data("esc50", tuple(captions), "", items, judge, others)


if __name__ == "__main__":
    main()
