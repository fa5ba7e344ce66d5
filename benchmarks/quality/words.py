"""Captions with and without the constraint to known words: non-words, length, tokens per second.

python benchmarks/quality/words.py --world ../shared/world --audio ../shared/audio
"""

from __future__ import annotations

import argparse
import csv
import random
import time
from pathlib import Path

import torch

from wsac.clap.sounds import embed_many
from wsac.decoder.generation import generate_best, words_of
from wsac.inference.captioner import Captioner
from wsac.types import AudioError

COUNT, SEED, BATCH, ROUNDS = 500, 22, 50, 4  # sounds of each set


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--world", type=Path, default=Path("../shared/world"))
    parser.add_argument("--audio", type=Path, default=Path("../shared/audio"))
    options = parser.parse_args()
    captioner, rng = Captioner.load(device="cpu"), random.Random(SEED)
    with (options.world / "world.csv").open(encoding="utf-8") as file:
        world = [options.world / row["file"] for row in csv.DictReader(file)]
    with (options.audio / "manifest.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["file"].startswith("esc50")]
    folds = [options.audio / row["file"] for row in rows if row["fold"] in ("1", "2", "3", "4")]
    paths = [*rng.sample(world, COUNT), *rng.sample(folds, COUNT)]
    sounds = [x for x in embed_many(captioner.clap, paths) if not isinstance(x, AudioError)]
    audio = torch.stack([sound.embedding for sound in sounds if not sound.silent])
    batches = [captioner.bridge(part) for part in audio.split(BATCH)]
    known = {word.lower() for word in captioner.words.words}
    tries = {"any words": None, "known words": captioner.words.trie(audio.device)}
    seconds, tokens, written = dict.fromkeys(tries, 0.0), dict.fromkeys(tries, 0), {}
    for turn in range(ROUNDS):
        for batch in batches:
            for name in sorted(tries, reverse=bool(turn % 2)):
                began = time.process_time()
                best = generate_best(
                    captioner.decoder, batch, captioner.options.generation, 1, None, tries[name]
                )
                seconds[name] += time.process_time() - began
                tokens[name] += sum(len(row[0].tokens) + 1 for row in best)
                if not turn:
                    texts = captioner.tokenizer.decode(row[0].tokens for row in best)
                    written[name] = written.get(name, []) + texts
    for name, texts in written.items():
        strange = sum(any(word.lower() not in known for word in words_of(t)) for t in texts)
        length = sum(len(text.split()) for text in texts) / len(texts)
        rate = tokens[name] / seconds[name]
        print(f"{name}: {strange} of {len(texts)} with others, {length:.2f} words, {rate:,.0f}/s")


if __name__ == "__main__":
    main()
