"""Zero-shot accuracy of a CLAP over the 50 classes of ESC-50: the labels as ESC-50 writes them,
wsac's own prompts.

python benchmarks/esc50/esc50_zeroshot.py ../shared/audio -o runs/esc50-zeroshot.svg

Each clip is tagged with the 50 class names (underscores read as spaces) through the prompts of
`wsac tag`, which were fixed beforehand. Prints top-1 and top-5 accuracy, the worst classes and the
most frequent confusions; draws the matrix.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from collections import Counter
from html import escape
from pathlib import Path

import numpy as np

from wsac import Tagger, load_clap
from wsac.io.console import progress, say, table
from wsac.io.files import write_text

SHOWN = 10  # rows of the tables of worst classes and of confusions
SILENT = "(silent)"  # what has no tags is wrong, and in no column of the matrix


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("audio", type=Path, help="the folder with manifest.csv")
    parser.add_argument("--clap", default="pocket", help="pocket, or a folder of wsac train-clap")
    parser.add_argument(
        "--fold", default="5", help="the fold to tag; the pocket CLAP was trained on the others"
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("runs/esc50-zeroshot.svg"),
        help="the matrix, as SVG",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    options = parser.parse_args()

    with (options.audio / "manifest.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["esc50_class"]]
    clips = [row for row in rows if row["fold"] == options.fold]
    if not clips:
        parser.error(f"no ESC-50 clips of fold {options.fold} in {options.audio / 'manifest.csv'}")
    names = sorted(
        {row["esc50_class"] for row in rows}
    )  # of all folds: the task is the same in each
    tagger = Tagger(load_clap(options.clap), names)
    began, ranked = time.perf_counter(), []
    with progress("tag", len(clips), unit="clips") as tick:
        for clip in clips:
            ranked.append(
                [tag.label for tag in tagger.tag(options.audio / clip["file"])] or [SILENT]
            )
            tick()
    say(f"tagged {len(clips)} clips in {time.perf_counter() - began:.1f} s")

    truth = [clip["esc50_class"] for clip in clips]
    report = score(truth, ranked)
    matrix = np.array(
        [[report["counts"].get((true, predicted), 0) for predicted in names] for true in names]
    )
    title = f"ESC-50 fold {options.fold}, zero-shot, {options.clap}: top-1 {report['top1']:.2%}"
    draw(matrix, names, title, options.output)
    if options.json:
        head = {"clap": tagger.clap.fingerprint, "fold": options.fold, "clips": len(clips)}
        print(
            json.dumps(
                head | {name: value for name, value in report.items() if name != "counts"}, indent=2
            )
        )
        return
    share = [(f"top-{k}", f"{100 * report[f'top{k}']:.2f}") for k in (1, 5)]
    what = f"zero-shot, {len(names)} classes, {len(clips)} clips"
    table(f"ESC-50 fold {options.fold}", (what, "accuracy %>"), share)
    worst = sorted(report["per_class"].items(), key=lambda item: item[1])[:SHOWN]
    table(
        "Worst classes",
        ("class", "top-1 %>"),
        [(name, f"{100 * value:.1f}") for name, value in worst],
    )
    table("Most frequent confusions", ("class", "taken for", "clips>"), report["confusions"])


def score(truth: list[str], ranked: list[list[str]]) -> dict:
    """Accuracies in [0, 1] and counts of (class, best label), from the labels of every clip, best
    first.
    """
    pairs = list(zip(truth, ranked, strict=True))
    counts = Counter((true, labels[0]) for true, labels in pairs)
    clips = Counter(truth)
    wrong = sorted((-count, *pair) for pair, count in counts.items() if pair[0] != pair[1])
    return {
        "top1": sum(true == labels[0] for true, labels in pairs) / len(pairs),
        "top5": sum(true in labels[:5] for true, labels in pairs) / len(pairs),
        "per_class": {name: counts[name, name] / clips[name] for name in sorted(clips)},
        "confusions": [(true, predicted, -count) for count, true, predicted in wrong[:SHOWN]],
        "counts": counts,
    }


def draw(matrix: np.ndarray, names: list[str], title: str, output: Path) -> None:
    """Draw counts [class, label] with every name readable, and the number in each cell that is not
    empty.
    """
    size, left, top = 20, 130, 160  # pixels of a cell; room for names and title
    side, most = size * len(names), max(1, matrix.sum(axis=1).max())
    parts = [f'<rect x="{left}" y="{top}" width="{side}" height="{side}" fill="#f7fafc"/>']
    for row, column in np.argwhere(matrix):
        x, y, count = left + column * size, top + row * size, matrix[row, column]
        shade = f'fill="#0b4a8f" fill-opacity="{count / most:.2f}"'
        parts.append(f'<rect x="{x}" y="{y}" width="{size}" height="{size}" {shade}/>')
        colour = "#fff" if count > most / 2 else "#000"
        parts.append(f'<text x="{x + 10}" y="{y + 14}" fill="{colour}">{count}</text>')
    for number, name in enumerate(escape(name.replace("_", " ")) for name in names):
        middle = number * size + 14
        place = f'x="{left - 5}" y="{top + middle}"'
        parts.append(f'<text {place} text-anchor="end">{name}</text>')
        place = f"translate({left + middle} {top - 5}) rotate(-90)"
        parts.append(f'<text transform="{place}" text-anchor="start">{name}</text>')
    look = 'font-family="system-ui, sans-serif" font-size="11" fill="#333" text-anchor="middle"'
    box = f'viewBox="0 0 {left + side + 10} {top + side + 10}"'
    parts.insert(0, '<rect width="100%" height="100%" fill="#fff"/>')
    title = f"{escape(title)}; rows: class, columns: best label"
    parts.insert(1, f'<text x="{left + side / 2}" y="18" font-size="14">{title}</text>')
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {box} {look}>'
    write_text(output, "\n".join((head, *parts, "</svg>\n")))
    say(f"{output}: the confusion matrix")


if __name__ == "__main__":
    main()
