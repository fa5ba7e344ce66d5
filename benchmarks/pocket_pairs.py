"""Write a training CSV `audio,caption,label` from a folder of labelled recordings and a hand-written phrase table.

    python benchmarks/pocket_pairs.py ../shared/audio -o pairs.csv
    python benchmarks/pocket_pairs.py ../shared/audio -o val.csv --folds 5

Fold 5 of ESC-50 is test data: it is written only when it is the one fold asked for, and then nothing else is.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
from collections.abc import Iterator
from pathlib import Path

PHRASES = Path(__file__).with_name("pocket_phrases.json")
TEST_FOLD = "5"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("audio", type=Path, help="folder that holds manifest.csv and the recordings")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--folds", default="1,2,3,4", help="ESC-50 folds; 5 alone makes the validation CSV")
    parser.add_argument("--per-clip", type=int, default=6, help="phrases drawn for each recording")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(argv)
    folds = frozenset(fold.strip() for fold in options.folds.split(","))
    if not folds <= set("12345") or (TEST_FOLD in folds and len(folds) > 1):
        parser.error(f"--folds {options.folds}: give some of 1,2,3,4, or 5 alone (fold 5 is test data)")
    if options.per_clip < 1:
        parser.error("--per-clip must be 1 or more")

    with (options.audio / "manifest.csv").open(newline="", encoding="utf-8") as file:
        clips = select(list(csv.DictReader(file)), folds)
    phrases = json.loads(PHRASES.read_text(encoding="utf-8"))
    with options.output.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["audio", "caption", "label"])
        rows = 0
        for clip in clips:
            for caption in draw(clip, phrases, options.per_clip, options.seed):
                writer.writerow([options.audio / clip["file"], caption, clip["label"]])
                rows += 1
    print(f"{options.output}: {rows} rows from {len(clips)} recordings")
    return 0


def select(clips: list[dict[str, str]], folds: frozenset[str]) -> list[dict[str, str]]:
    """Keep the ESC-50 clips of `folds`, and the other sources unless this is the test fold."""
    if folds == {TEST_FOLD}:
        return [clip for clip in clips if clip["fold"] == TEST_FOLD]
    # recordings of the other sources have no fold
    chosen = [clip for clip in clips if clip["fold"] in folds or not clip["fold"]]
    assert all(clip["fold"] != TEST_FOLD for clip in chosen), "ESC-50 fold 5 is test data"
    # freesound ids stand in ESC-50's file names (fold-ID-take-class): no take of a test recording may stay
    held_out = {clip["file"].split("-")[1] for clip in clips if clip["fold"] == TEST_FOLD}
    return [clip for clip in chosen if not clip["fold"] or clip["file"].split("-")[1] not in held_out]


def draw(clip: dict[str, str], phrases: dict[str, list[str]], per_clip: int, seed: int) -> Iterator[str]:
    """Yield up to `per_clip` different phrases of the clip's label; templates fill up a list that is too short."""
    label = clip["label"]
    # seeded by the file, so a clip keeps its phrases whichever folds are asked for
    rng = random.Random(f"{seed}/{clip['file']}")
    own = phrases.get(label, [])
    chosen = rng.sample(own, min(per_clip, len(own)))
    if len(chosen) < per_clip:
        spare = [text for t in phrases["_templates"] if (text := t.format(label=label)) not in own]
        chosen += rng.sample(spare, min(per_clip - len(chosen), len(spare)))
    yield from chosen


if __name__ == "__main__":
    raise SystemExit(main())
