"""What the approximate index misses among embeddings that have the shape of real ones.

python benchmarks/speed/search_recall.py ../shared/captions ../shared/audio

A space of some ten thousand captions is searched by sounds and by other captions. The index looks
at five in a hundred of them, as of a million. Recall@10: how many of the ten nearest it has.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch

from wsac import load_clap
from wsac.archive.search.embedding_file import EmbeddingFile, IndexedShard
from wsac.archive.search.exact_search import nearest_exact
from wsac.archive.search.ivf_index import SCANNED, IvfIndex
from wsac.clap.collections import embed_audible
from wsac.data.audio.find import find_audio
from wsac.data.captions.corpus import read_captions
from wsac.io.console import table

TOP = 10
AT_ONCE = 512  # captions
OF = 1_000_000  # embeddings, of which an index looks at SCANNED


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("captions", type=Path)
    parser.add_argument("audio", type=Path)
    parser.add_argument("--queries", type=int, default=200)
    options = parser.parse_args()
    clap, rng = load_clap("pocket"), np.random.default_rng(0)
    tables = sorted(options.captions.glob("*.csv"))
    texts = list(dict.fromkeys(each.caption for path in tables for each in read_captions(path)))
    parts = [texts[start : start + AT_ONCE] for start in range(0, len(texts), AT_ONCE)]
    vectors = torch.cat([clap.embed_text(part) for part in parts])
    order = rng.permutation(len(texts))
    asked, stored = order[: options.queries], np.sort(order[options.queries :])
    files = rng.choice(
        sorted(map(str, find_audio([options.audio]))), options.queries, replace=False
    )
    sounds = embed_audible(list(files), clap)[1]
    embeddings = vectors.half().numpy()[stored]
    queries = {"captions": vectors.numpy()[asked], "sounds": sounds.numpy()}
    shard = IndexedShard("0", 1, 0, len(embeddings), len(embeddings))
    places = np.zeros((len(embeddings), 2), np.int32)
    with tempfile.TemporaryDirectory(prefix="wsac-recall-") as folder:
        source = EmbeddingFile("files", embeddings, places, (shard,), "")
        index = IvfIndex(source, Path(folder), SCANNED * len(embeddings) // OF)
        rows = []
        for name, kind in queries.items():
            pairs = [(index.nearest(q, TOP)[1], nearest_exact(embeddings, q, TOP)[1]) for q in kind]
            recall = np.mean([len({*a} & {*b}) / TOP for a, b in pairs])
            rows.append((name, f"{len(kind)}", f"{recall:.3f}"))
    table(f"{len(embeddings):,} captions", ("searched by", "queries>", "recall@10>"), rows)


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    main()
