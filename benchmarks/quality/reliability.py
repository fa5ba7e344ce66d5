"""How far the confidence of captions can be trusted: a reliability diagram, its error, and what is
abstained from.

    python benchmarks/quality/reliability.py runs/known-test.csv -o reliability.svg

The CSV is one of known_sounds.py, of recordings that neither trained the models nor fitted the
confidence. Silent ones count as abstained from: `wsac caption` says "Silence" of them by rule. The
calibration error is that of the recordings with key words; of the others every caption is wrong,
and what matters is how many are held back.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import torch

from wsac.inference.calibrate import Known, judge, read_known
from wsac.inference.captioner import Captioner
from wsac.inference.confidence import calibration_error
from wsac.io.console import table
from wsac.io.files import write_text
from wsac.io.svg_plots import curve_svg

BINS = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("known", type=Path, help="CSV audio,keywords")
    parser.add_argument(
        "--labels", type=Path, help="CSV audio,caption,label that names the kinds of unclear sounds"
    )
    parser.add_argument("--model", default="pocket")
    parser.add_argument("-o", "--output", type=Path, help="the diagram, as SVG")
    options = parser.parse_args()
    captioner = Captioner.load(options.model)
    if captioner.calibration is None:
        parser.error(f"{options.model} has no confidence; wsac calibrate fits one")
    known = read_known(options.known)
    judged = judge(captioner, known)
    confidence, threshold = captioner.calibration(judged.features), captioner.calibration.threshold

    kinds = labels(options.labels)
    group = [kinds.get(row.path) or source(row) for row in judged.known]
    silent = {row.path for row in known} - {row.path for row in judged.known}
    rows = []
    for name in sorted(set(group) | {kinds.get(path, "silent") for path in silent}):
        here = torch.tensor([kind == name for kind in group])
        quiet = sum(kinds.get(path, "silent") == name for path in silent)
        below = int((confidence[here] < threshold).sum()) + quiet
        count = int(here.sum()) + quiet
        right = f"{100 * float(judged.right[here].float().mean()):.1f}" if here.any() else ""
        error = (
            f"{100 * calibration_error(confidence[here], judged.right[here]):.1f}"
            if here.any()
            else ""
        )
        rows.append((name, count, right, error, f"{100 * below / count:.1f}"))
    title = f"{options.model}: unsure below {threshold:g}"
    table(title, ("sounds", "count>", "right %>", "calibration error %>", "unsure %>"), rows)
    clear = judged.clear
    confident = confidence[clear] >= threshold
    right = judged.right[clear]
    print(f"calibration error, clear sounds: {calibration_error(confidence[clear], right):.3f}")
    print(
        f"right captions among all clear sounds {100 * float(right.float().mean()):.1f} %, "
        f"among those above the threshold {100 * float(right[confident].float().mean()):.1f} %"
    )
    if options.output:
        points = diagram(confidence[clear], judged.right[clear])
        series = {"captions": points, "perfect": [(0.0, 0.0), (1.0, 1.0)]}
        axes = {"x_label": "confidence", "y_label": "share of right captions"}
        write_text(options.output, curve_svg(series, title="Reliability", **axes))


def diagram(confidence: torch.Tensor, right: torch.Tensor) -> list[tuple[float, float]]:
    """(mean confidence, share of right captions) of each tenth of the range that holds ten captions
    or more.
    """
    place = (confidence * BINS).long().clamp(max=BINS - 1)
    bins = [place == k for k in range(BINS)]
    return [
        (float(confidence[i].mean()), float(right[i].float().mean()))
        for i in bins
        if int(i.sum()) >= 10
    ]


def labels(path: Path | None) -> dict[str, str]:
    if path is None:
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        return {row["audio"]: row["label"] for row in csv.DictReader(file)}


def source(row: Known) -> str:
    return (
        "unclear" if not row.keywords else "ESC-50" if "esc50" in row.path else "SoundWorld scenes"
    )


if __name__ == "__main__":
    main()
