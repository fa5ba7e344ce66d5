"""Write a CSV `audio,keywords` of the recordings of `world` whose sources no training used.

    python benchmarks/pocket/known_world.py ../shared -o runs/known-world.csv

What a recording holds is what the tagger says of it (classes with a mean score of 0.2 or more)
and what the name of its file says. class_words.toml has the words that a right caption may use for
each class. A recording of which neither says anything is left out. One whose name says something
has a second row by its name alone: a tagger shares the mistakes of its pupil, and a name leaves
sounds out, so the truth lies between.
"""

from __future__ import annotations

import argparse
import csv
import re
import tomllib
from pathlib import Path

import numpy as np
from known_sounds import write_known
from segments import held_out, phrase

from wsac.inference.confidence import names_any

LIKELY = 0.2
KINDS = tomllib.loads(Path(__file__).with_name("class_words.toml").read_text("utf-8"))["kind"]


def keywords(classes: list[str], hint: str) -> list[str]:
    """The words of all kinds that the classes or the hint name."""
    words: set[str] = set()
    for kind in KINDS:
        pattern = re.compile(rf"\b(?:{kind['classes']})")
        named = any(pattern.search(name) for name in classes)
        if named or (hint and names_any(hint, kind["words"])):
            words.update(kind["words"])
    return sorted(words)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("shared", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    with (options.shared / "teacher" / "class_map.csv").open(newline="", encoding="utf-8") as file:
        names = [row["display_name"] for row in csv.DictReader(file)]
    teacher = np.load(options.shared / "teacher" / "scores.npz")
    scores = dict(zip(teacher["files"].tolist(), teacher["scores"], strict=True))
    rows = []
    with (options.shared / "world" / "world.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if not held_out(row["source"]):
                continue
            path = f"world/{row['file']}"
            likely = [names[place] for place in np.flatnonzero(scores[path] >= LIKELY)]
            by_name = keywords([], name := phrase(row["hint"]))
            for words in (keywords(likely, name), by_name):
                if words:
                    rows.append((str(options.shared / path), "|".join(words)))
    write_known(options.output, rows)
    print(f"{options.output}: {len(rows)} recordings")


if __name__ == "__main__":
    main()
