"""Searching ESC-50 by the names of its classes: how many of the first ten are of the class.

python benchmarks/esc50/esc50_search.py ../shared/audio

The clips of fold 5 are embedded as in an archive (float16); each of the 50 names, with spaces for
underscores, is a query of `wsac search`; with --others, each label that two or more of the other
clips in the folder share. Prints mAP@10, beside that of `wsac tag`, which ranks the clips by the
probability of the name among all 50: it knows what else there is. AP@10 of a query is the mean of
the precisions at the ranks of the right clips, of at most ten.
"""

from __future__ import annotations

import argparse
import csv
from collections import Counter
from pathlib import Path

import numpy as np
import torch

from wsac import Tagger, load_clap
from wsac.archive.search.exact_search import nearest_exact
from wsac.archive.search.searching import RANKED, by_fit, embed_query
from wsac.clap.collections import embed_audible
from wsac.clap.sounds import AudioEmbedding
from wsac.inference.moments.moment_scores import MomentScorer
from wsac.io.console import print_json, table

TOP = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("audio", type=Path, help="the folder with manifest.csv")
    parser.add_argument("--clap", default="pocket", help="pocket, or a folder of wsac train-clap")
    parser.add_argument("--fold", default="5")
    parser.add_argument(
        "--others", action="store_true", help="what is not of ESC-50, by its labels"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()

    with (options.audio / "manifest.csv").open(newline="", encoding="utf-8") as file:
        every = list(csv.DictReader(file))
    name_of, rows = "esc50_class", [row for row in every if row["esc50_class"]]
    clips = [row for row in rows if row["fold"] == options.fold]
    if options.others:
        name_of, rows = "label", [row for row in every if not row["esc50_class"]]
        clips = rows
    counts = Counter(row[name_of] for row in rows)
    names = sorted(name for name, count in counts.items() if count > 1)
    clap = load_clap(options.clap)
    paths = [options.audio / row["file"] for row in clips]
    files, embeddings = embed_audible(paths, clap)
    class_of = {str(path): row[name_of] for path, row in zip(paths, clips, strict=True)}
    classes = np.array([class_of[file] for file in files])

    stored = embeddings.half().numpy()
    sounds = [AudioEmbedding(embedding, 0.0, 5.0) for embedding in embeddings]
    ranked = Tagger(clap, names).tag_embeddings(sounds)
    tags = [{tag.label: tag.probability for tag in row} for row in ranked]
    scorer = MomentScorer(clap)
    figures: dict[str, list[float]] = {"search": [], "cosine alone": [], "tag": []}
    for name in names:
        right = classes == name
        query = embed_query(clap, [name.replace("_", " ")])
        places = nearest_exact(stored, query, RANKED)[1]
        figures["cosine alone"].append(average_precision(right[places[:TOP]], right))
        places = places[by_fit(scorer, query, stored[places])[:TOP]]
        figures["search"].append(average_precision(right[places], right))
        order = np.argsort([-row[name] for row in tags], kind="stable")
        figures["tag"].append(average_precision(right[order[:TOP]], right))
    means = {name: float(np.mean(values)) for name, values in figures.items()}
    if options.json:
        print_json({"clips": len(files), "map_at_10": means, "classes": names, "ap": figures})
        return
    table(f"{len(files)} clips", ("", "mAP@10>"), [(n, f"{v:.3f}") for n, v in means.items()])
    worst = sorted(zip(figures["search"], figures["tag"], names, strict=True))[:8]
    columns = ("worst classes", "search>", "tag>")
    table("", columns, [(name, f"{a:.2f}", f"{b:.2f}") for a, b, name in worst])


def average_precision(hits: np.ndarray, right: np.ndarray) -> float:
    """AP@10. hits: whether each of the first is right. right: of all."""
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    return float((precision * hits).sum() / min(TOP, right.sum()))


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    main()
