"""Damaged captions, tables, labels, recipes, options, bridges and captioner.json: each is read, or
refused in one line.

    python benchmarks/faults/fuzz_texts.py --count 150000 --seed 1

Texts in every layout are damaged at random (bytes, pieces, odd numbers and words, two texts in one)
and read. Prints the counts for each reader, and keeps each input that fails in --keep: an exception
that is no WsacError, a message of several lines, or more than 5 CPU-seconds.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from formats import World
from fuzzing import effort, outcome_of

from wsac.bridges import BridgeContext, inference_bridge, training_bridge
from wsac.bridges.memory import SupportMemory
from wsac.data.captions.corpus import merge, read_captions, write_jsonl
from wsac.data.captions.labels import read_labels, split_labels
from wsac.data.datasets.pairs import read_pairs
from wsac.evaluation import pairing
from wsac.inference.captioner import Captioner
from wsac.io.checked_json import CHECKSUM, FILES
from wsac.io.config import load_recipe, parse_override
from wsac.training.recipe import Recipe

WORDS = b"""nan N/A null true -1 0 1e308 -1e999 99999999999999999999 1e+16 "" '' {} [] [[
{"a": ,,, ;;; : - --- # = => == | \xff\xfe \xef\xbb\xbf \0 \r \r\n\r\n \\ud800 \xed\xa0\x80 caption
file_name captions audio sep=; id .wav ../ / $ @ ( ) noise topk pd , memory decoder inf
training.epochs""".split()
CAPTIONS = [
    b"file_name,caption_1,caption_2\na.wav,a dog barks,wind\nb.wav,rain,\n",
    b"audiocap_id,youtube_id,start_time,caption\n1,abc,30,a dog barks\n2,def,0,rain\n",
    b'{"data": [{"id": "a", "caption": "a dog barks"}, {"id": "b", "caption": "rain"}]}',
    b'{"images": [{"id": 1, "file_name": "a.wav"}], '
    b'"annotations": [{"image_id": 1, "caption": "a dog barks"}]}',
    b'{"caption": "a dog barks"}\n{"caption": "rain", "clip": "b.wav"}\n',
    b'{"a.wav": "a dog barks", "b.wav": ["rain", "water"]}',
    b"a dog barks\nrain falls on a roof\n\nwind\n",
    b'audio;caption\na.wav;"a; dog"\nb.wav;rain\n',
    b"audio\tcaption\na.wav\ta dog barks\n",
    b"- filename: a.wav\n  annotations:\n    - sentence: a dog barks\n    - sentence: rain\n",
    b"1\n00:00:01,000 --> 00:00:02,000\na dog barks\n\n2\n00:00:03,000 --> 00:00:04,000\nrain\n",
    b"WEBVTT\n\n00:01.000 --> 00:02.000\na dog barks\n",
    b'{"source": "a.wav", "target": "a dog barks"}\n',
    b'file_name,caption_predicted\na.wav,"[""a dog"", ""rain""]"\n',
    "file_name,caption\na.wav,ein Hund bellt\n".encode("utf-16"),
    b"id,cands,mrefs\n1,a dog,\"['a', 'b']\"\n",
]
LABELS = [b"dog bark\nrain\n# comment\n", b'index,mid,display_name\n0,/m/09x0r,"Speech, male"\n']
RECIPES = [path.read_bytes() for path in sorted(Path("src/wsac/recipes").glob("*.toml"))]
OPTIONS = [b"training.epochs=3", b"decoder.width=64", b"corpus.captions=['a.txt']", b"seed = 1"]
BRIDGES = [b"noise:variance=0.001", b"shift+noise:variance=0.001", b"ad", b"pd", b"santa", b"nnd"]
BRIDGES += [b"pd:temperature=0.05", b"shift", b"mix+noise", b"topk:k=3"]


def damage(content: bytes, other: bytes, rng: random.Random) -> bytes:
    """``content`` with bytes changed, pieces taken out, repeated or put in, or ``other`` in it."""
    data = bytearray(content)
    for _ in range(rng.choice([1, 1, 1, 2, 8])):
        place = rng.randrange(len(data) + 1)
        end = place + rng.choice([1, 2, 5, 30])
        match rng.randrange(7):
            case 0:
                data[place:end] = rng.choice(WORDS)
            case 1:
                data[place:place] = rng.choice(WORDS) * rng.choice([1, 1, 2, 50])
            case 2:
                del data[place:end]
            case 3:
                data[place:place] = data[place:end] * rng.choice([1, 3, 300])
            case 4:
                data[place:end] = rng.randbytes(end - place)
            case 5:
                data[place:] = other[rng.randrange(len(other) + 1) :]
            case _:
                del data[place:]
    return bytes(data)


def readers(world: World) -> dict[str, tuple[list[bytes], Callable[[Path], object]]]:
    """Name of a kind of input → (whole texts, what reads a file with one)."""
    context = BridgeContext(SupportMemory(torch.eye(4, 16)), None, 0.07)
    bundle = world.folder / "bundle"
    card = json.loads((bundle / "captioner.json").read_text())
    plain = {key: value for key, value in card.items() if key not in (CHECKSUM, FILES)}
    references = world.folder / "references.csv"
    references.write_bytes(CAPTIONS[0])
    candidates = world.folder / "candidates.csv"
    candidates.write_text("file_name,caption\na.wav,a dog\nb.wav,rain\n")

    def text(path: Path) -> str:
        return path.read_bytes().decode("utf-8", "replace")

    def rewrite(path: Path) -> None:
        examples, target = merge([path], skip_invalid=True).examples, world.folder / "merged.jsonl"
        write_jsonl(examples, target)
        if merge(target).examples != examples:
            raise AssertionError("captions are not read as they were written")

    def load_card(path: Path) -> None:
        (bundle / "captioner.json").write_bytes(path.read_bytes())
        Captioner.load(bundle, device="cpu")

    def set_option(path: Path) -> None:
        load_recipe(Recipe, overrides=dict([parse_override(text(path))]))

    return {
        "captions": (CAPTIONS, read_captions),
        "captions, merged": (CAPTIONS, rewrite),
        "captions to score": (
            CAPTIONS,
            lambda path: pairing.read_pairs(path, references, skip_invalid=True),
        ),
        "references": (
            CAPTIONS,
            lambda path: pairing.read_pairs(candidates, path, skip_invalid=True),
        ),
        "pairs": (CAPTIONS, lambda path: read_pairs([path])),
        "labels": (LABELS, read_labels),
        "labels in a line": (LABELS, lambda path: split_labels(text(path))),
        "recipe": (RECIPES, lambda path: load_recipe(Recipe, path)),
        "--set": (OPTIONS, set_option),
        "training bridge": (BRIDGES, lambda path: training_bridge(text(path), context)),
        "bridge": (BRIDGES, lambda path: inference_bridge(text(path), context)),
        "captioner.json": ([json.dumps(plain, indent=2).encode()], load_card),
    }


def read(reader: Callable[[Path], object], path: Path) -> str:
    reader(path)
    return "read"


def fuzz(count: int, seed: int, keep: Path) -> dict[str, Counter[str]]:
    """How often each outcome of ``read`` occurs, by kind of input."""
    rng, outcomes = random.Random(seed), defaultdict[str, Counter[str]](Counter)
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder), 0)
        world.captioner.save(world.folder / "bundle")
        kinds = readers(world)
        for number in range(count):
            name = rng.choice(list(kinds))
            contents, reader = kinds[name]
            data = damage(rng.choice(contents), rng.choice(contents), rng)
            if "captions" in name and rng.random() < 0.1:
                data = gzip.compress(data, 1)
            path = world.folder / f"damaged{rng.choice(['.csv', '.json', '.txt', '.jsonl', ''])}"
            path.write_bytes(data)
            outcome = outcome_of(partial(read, reader, path))
            outcomes[name][outcome] += 1
            if outcome not in ("read", "refused"):
                keep.mkdir(parents=True, exist_ok=True)
                (keep / f"{name.replace(' ', '_')}-{seed}-{number}{path.suffix}").write_bytes(data)
            path.unlink()
    return outcomes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=150_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=Path("fuzz-texts"))
    options = parser.parse_args()
    start = time.perf_counter()
    for name, counts in sorted(fuzz(options.count, options.seed, options.keep).items()):
        row = ", ".join(f"{count:,} {outcome}" for outcome, count in counts.most_common())
        print(f"{name:20} {row}")
    print(effort(start))


if __name__ == "__main__":
    main()
