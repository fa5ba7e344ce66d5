"""Given one caption, find another of the same clip among all: how well a text tower
understands English about sound.

    python benchmarks/quality/text_retrieval.py ../shared/captions/Clotho.test.csv

Each of the captions is a query; the other captions of its clip are relevant, all other captions are
not.
"""

from __future__ import annotations

import argparse

import torch

from wsac.clap import load_clap
from wsac.clap.retrieval_scores import recall_at
from wsac.data.captions.corpus import read_captions


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "captions", help="a corpus with several captions a clip, such as Clotho's test captions"
    )
    parser.add_argument("--clap", default="pocket")
    options = parser.parse_args()
    examples = list(read_captions(options.captions))
    clips: dict[str | None, int] = {}
    clip = torch.tensor([clips.setdefault(example.clip, len(clips)) for example in examples])
    embeddings = load_clap(options.clap).embed_text([example.caption for example in examples])
    similarity = embeddings @ embeddings.T
    similarity.fill_diagonal_(-torch.inf)
    relevant = clip[:, None] == clip
    relevant.fill_diagonal_(False)
    recalls = recall_at(similarity, relevant)
    print(f"{len(examples):,} captions of {len(clips):,} clips, text tower of {options.clap}")
    print("  ".join(f"{name} {100 * value:.2f} %" for name, value in recalls.items()))


if __name__ == "__main__":
    main()
