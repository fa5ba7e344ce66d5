"""Write a training CSV `audio,caption,label` from a folder of labelled recordings and a
hand-written phrase table.

    python benchmarks/pocket/pocket_pairs.py ../shared/audio -o pairs.csv
    python benchmarks/pocket/pocket_pairs.py ../shared/audio -o held-out.csv --part held-out

Parts: `train` is ESC-50 folds 1 to 4 and the other sources, without `held-out`: three clips or so
of each class of fold 4, kept for validation and for the calibration of confidence. `test` is fold
5, of which nothing is ever in the others.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

PHRASES = Path(__file__).with_name("pocket_phrases.json")
TEST_FOLD = "5"
HELD_OUT = 3  # clips of each class


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "audio", type=Path, help="folder that holds manifest.csv and the recordings"
    )
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--part", choices=("train", "held-out", "test"), default="train")
    parser.add_argument("--per-clip", type=int, default=6, help="phrases drawn for each recording")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(argv)
    if options.per_clip < 1:
        parser.error("--per-clip must be 1 or more")

    with (options.audio / "manifest.csv").open(newline="", encoding="utf-8") as file:
        clips = select(list(csv.DictReader(file)), options.part)
    phrases = json.loads(PHRASES.read_text(encoding="utf-8"))
    with options.output.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["audio", "caption", "label"])
        rows = 0
        for clip in clips:
            for caption in draw(clip, phrases, options.per_clip, options.seed):
                writer.writerow([options.audio / clip["file"], caption, label(clip)])
                rows += 1
    print(f"{options.output}: {rows} rows from {len(clips)} recordings")
    return 0


def select(clips: list[dict[str, str]], part: str) -> list[dict[str, str]]:
    """The recordings of a part, none of which shares its Freesound recording with another
    part's.
    """
    test = [clip for clip in clips if clip["fold"] == TEST_FOLD]
    if part == "test":
        return test
    tested = {freesound(clip) for clip in test}
    rest = [
        clip
        for clip in clips
        if clip["fold"] != TEST_FOLD and not (clip["fold"] and freesound(clip) in tested)
    ]
    held = held_out(rest)
    return [
        clip
        for clip in rest
        if (clip["fold"] != "" and freesound(clip) in held) == (part == "held-out")
    ]


def held_out(clips: list[dict[str, str]]) -> set[str]:
    """Freesound ids in fold 4, all takes of each, so many that every class has HELD_OUT clips or a
    few more.
    """
    elsewhere = {freesound(clip) for clip in clips if clip["fold"] not in ("", "4")}
    chosen: set[str] = set()
    taken: Counter[str] = Counter()
    for clip in sorted(
        (clip for clip in clips if clip["fold"] == "4"), key=lambda clip: clip["file"]
    ):
        if freesound(clip) in elsewhere:
            continue
        if freesound(clip) in chosen or taken[clip["esc50_class"]] < HELD_OUT:
            chosen.add(freesound(clip))
            taken[clip["esc50_class"]] += 1
    return chosen


def label(clip: dict[str, str]) -> str:
    """The class that balances the training; the ten spoken digits are one."""
    return (
        "a man saying a digit"
        if clip["label"].startswith("a man saying the word")
        else clip["label"]
    )


def freesound(clip: dict[str, str]) -> str:
    """The id of the recording that an ESC-50 clip was cut from; its files are named
    fold-ID-take-class.
    """
    return clip["file"].split("-")[1]


def draw(
    clip: dict[str, str], phrases: dict[str, list[str]], per_clip: int, seed: int
) -> Iterator[str]:
    """Yield up to `per_clip` different phrases of the clip's label; templates fill up a list that
    is too short.

    An ESC-50 clip has the name of its class besides, alone and in a template: people search for
    sounds in such words.
    """
    label, name = clip["label"], clip["esc50_class"].replace("_", " ")
    # seeded by the file, so a clip keeps its phrases whichever part is asked for
    rng = random.Random(f"{seed}/{clip['file']}")
    own = phrases.get(label, [])
    chosen = rng.sample(own, min(per_clip, len(own)))
    if len(chosen) < per_clip:
        spare = [text for t in phrases["_templates"] if (text := t.format(label=label)) not in own]
        chosen += rng.sample(spare, min(per_clip - len(chosen), len(spare)))
    if name:
        chosen += [name, rng.choice(phrases["_templates"]).format(label=name)]
    yield from dict.fromkeys(chosen)


if __name__ == "__main__":
    raise SystemExit(main())
