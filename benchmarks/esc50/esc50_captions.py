"""Event recall of a captioner on the 400 clips of ESC-50 fold 5, beside a majority and a random
caption.

python benchmarks/esc50/esc50_captions.py ../shared/audio --captions ../shared/captions/*.train.csv

A caption recalls its clip's event when it contains a word of the clip's class
(esc50_synonyms.json). Baselines: "majority" says the most frequent training caption of every clip;
"random" draws training captions, and its figure is the expectation over 2,000 of them.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import time
from collections import Counter
from pathlib import Path

from event_recall import event_recall, event_recall_per_class, names_event

from wsac.data.captions.corpus import read_captions, restyle
from wsac.inference.captioner import Captioner
from wsac.io.console import progress, say, table
from wsac.io.files import write_json

DRAWS = 2_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("audio", type=Path, help="the folder with manifest.csv")
    parser.add_argument(
        "--captions",
        type=Path,
        nargs="+",
        required=True,
        help="training captions, for the baselines",
    )
    parser.add_argument("--model", default="pocket")
    parser.add_argument("--bridges", nargs="+", default=("ad", "nnd", "pd", "santa"))
    parser.add_argument("--beam", type=int, default=4)
    parser.add_argument("-o", "--output", type=Path, help="write every caption as JSON")
    options = parser.parse_args()

    with (options.audio / "manifest.csv").open(newline="", encoding="utf-8") as file:
        clips = [row for row in csv.DictReader(file) if row["fold"] == "5"]
    classes = [clip["esc50_class"] for clip in clips]
    captioner = Captioner.load(options.model).with_options(beam_size=options.beam)
    began = time.perf_counter()
    embeddings = []
    with progress("listen", len(clips), unit="clips") as tick:
        for clip in clips:
            embeddings.append(captioner.embed(options.audio / clip["file"]))
            tick()
    say(f"listened to {len(clips)} clips in {time.perf_counter() - began:.1f} s")

    rows, outputs = [], {}
    for bridge in options.bridges:
        began = time.perf_counter()
        captions = [
            caption.text for caption in captioner.with_options(bridge=bridge).describe(embeddings)
        ]
        pairs = list(zip(captions, classes, strict=True))
        spent, distinct = time.perf_counter() - began, len(set(captions))
        rows.append(
            (
                f"wsac, {bridge}, beam {options.beam}",
                f"{100 * event_recall(pairs):.2f}",
                distinct,
                f"{spent:.1f}",
            )
        )
        outputs[bridge] = {
            "event_recall": event_recall(pairs),
            "per_class": event_recall_per_class(pairs),
        }
        outputs[bridge]["captions"] = {
            c["file"]: text for c, text in zip(clips, captions, strict=True)
        }
    rows += baselines(options.captions, classes)
    table(
        f"Event recall, ESC-50 fold 5 ({len(clips)} clips)",
        ("captions", "recall %>", "distinct>", "s>"),
        rows,
    )
    if options.output:
        write_json(options.output, outputs)
        say(f"{options.output}: every caption")
    print(json.dumps({name: round(value["event_recall"], 4) for name, value in outputs.items()}))


def baselines(paths: list[Path], classes: list[str]) -> list[tuple[str, str, int, str]]:
    """Rows of the two baselines."""
    texts = [
        restyle(example.caption, "sentence") for path in paths for example in read_captions(path)
    ]
    (majority, times), *_ = Counter(texts).most_common(1)
    say(f'majority caption: "{majority}" ({times} times in {len(texts):,})')
    constant = event_recall((majority, name) for name in classes)
    drawn = random.Random(0).choices(texts, k=DRAWS)
    share = Counter(classes)
    chance = sum(
        count * sum(names_event(text, name) for text in drawn) / DRAWS
        for name, count in share.items()
    ) / len(classes)
    return [
        ("majority", f"{100 * constant:.2f}", 1, ""),
        ("random", f"{100 * chance:.2f}", len(set(drawn)), ""),
    ]


if __name__ == "__main__":
    main()
