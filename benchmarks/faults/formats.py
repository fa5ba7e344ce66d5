"""Every kind of file that wsac writes and reads again: how it is made, and what is read from it."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from wsac import Captioner
from wsac.bridges.gap import Gap, fit_gap
from wsac.bridges.memory import SupportMemory
from wsac.clap.collections import embed_folder, embed_sounds, read_embeddings
from wsac.clap.loading import load_clap
from wsac.clap.pocket.pocket_clap import PocketClap
from wsac.clap.pocket.pocket_config import PocketConfig
from wsac.clap.texts import embed_texts
from wsac.data.datasets.pairs import read_pairs
from wsac.data.soundworld import write_captions
from wsac.data.tokenizer import Tokenizer
from wsac.decoder import TransformerDecoder
from wsac.evaluation import Item, evaluate
from wsac.evaluation import results as evaluations
from wsac.evaluation.benchmark.run import _stored as stored_scores
from wsac.inference.caption_options import CaptionOptions
from wsac.io import console, locks
from wsac.io.checked_json import write_record
from wsac.io.config import load_recipe, pin_recipe
from wsac.io.files import write_csv, write_wav
from wsac.training.clap.store import AudioStore
from wsac.training.decoder import prepare, train
from wsac.training.loop import run
from wsac.training.recipe import Recipe

RATE, DIM = 16_000, 16


@dataclass(frozen=True)
class Format:
    """A file of a folder. read: everything that the program gets from it, as a digest.

    folder: whatever ``read`` may change.
    alone: the file is a whole result by itself; that of another run in its place is no damage.
    """

    name: str
    folder: Path
    file: Path
    read: Callable[[], str]
    alone: bool = False


def digest(*parts: Any) -> str:
    """A digest of tensors, arrays and anything with a repr."""
    total = hashlib.sha256()
    for part in parts:
        array = part.detach().numpy() if isinstance(part, torch.Tensor) else part
        total.update(array.tobytes() if isinstance(array, np.ndarray) else repr(array).encode())
    return total.hexdigest()


class World:
    """A tiny model of everything in a folder; another seed gives other contents of equal sizes."""

    def __init__(self, folder: Path, seed: int) -> None:
        console.be_quiet()
        os.environ["WSAC_CACHE"] = str(folder / "cache")
        self.folder, rng = folder, np.random.default_rng(seed)
        self.captions = write_captions(rng, 60, events=(1, 2))
        self.tokenizer = Tokenizer.train(write_captions(np.random.default_rng(0), 240, (1, 2)), 400)
        torch.manual_seed(seed)
        size, text = self.tokenizer.vocab_size, {"text_width": 16, "text_layers": 1}
        config = PocketConfig(
            embed_dim=DIM,
            channels=(4, 4, 8, 8, 8),
            vocab_size=size,
            text_heads=2,
            audio_width=16,
            audio_layers=1,
            audio_heads=2,
            window_seconds=1.0,
            **text,
        )
        PocketClap(config, self.tokenizer).save(folder / "clap")
        self.clap = load_clap(folder / "clap")
        sizes = {"width": 16, "layers": 1, "heads": 2, "prefix_length": 2, "max_tokens": 8}
        decoder = TransformerDecoder(embed_dim=DIM, vocab_size=size, **sizes)
        texts, probe = self.clap.embed_text(self.captions), torch.randn(40, DIM)
        self.probe = torch.nn.functional.normalize(probe, dim=-1)
        gap = fit_gap(texts, self.probe, fingerprint=self.clap.fingerprint)
        options = CaptionOptions.make(beam_size=2)
        parts = self.clap, decoder.eval(), self.tokenizer, SupportMemory(texts), options
        self.captioner = Captioner(*parts, gap=gap)
        (folder / "sounds").mkdir()
        self.sounds = []
        for number in range(3):
            path = folder / "sounds" / f"{number}.wav"
            write_wav(path, rng.normal(0, 0.1, RATE // 2).astype(np.float32), RATE)
            self.sounds.append(str(path))
        rows = [(path, f"a sound of {path}") for path in self.sounds]
        write_csv(folder / "pairs.csv", ("audio", "caption"), rows)
        (folder / "captions.txt").write_text("\n".join(self.captions) + "\n")
        values: dict[str, Any] = {f"decoder.{key}": value for key, value in sizes.items()}
        values |= {"decoder.vocab_size": 400, "clap": str(folder / "clap")}
        values |= {"corpus.captions": [str(folder / "captions.txt")], "training.seed": seed}
        values |= {"training.epochs": 2, "training.batch_size": 16}
        self.recipe = load_recipe(Recipe, overrides=values)

    def save_all(self) -> None:
        """Write a file of every format."""
        self.captioner.save(self.folder / "bundle")
        self.captioner.gap.save(self.folder / "gap" / "gap.safetensors")  # type: ignore[union-attr]
        train(self.recipe, self.folder / "run", device="cpu")
        self.training = prepare(self.recipe, self.folder / "run", device="cpu")
        read = (self.read_texts, self.read_collection, self.read_cache)
        for make in (*read, self.read_store, self.read_scores, self.read_evaluation):
            make()

    def read_bundle(self) -> str:
        captioner = Captioner.load(self.folder / "bundle", device="cpu")
        captions = captioner.caption_embeddings(self.probe[:2])
        gap = captioner.gap.audio_covariance if captioner.gap else None
        clap, options = captioner.clap.embed_text(["a dog"]), captioner.options
        return digest([(c.text, c.logprob) for c in captions], gap, clap, options)

    def read_clap(self) -> str:
        clap = load_clap(self.folder / "clap")
        return digest(clap.embed_text(["a dog barks"]), clap.window_seconds, clap.sample_rate)

    def read_gap(self) -> str:
        path = self.folder / "gap" / "gap.safetensors"
        gap = Gap.load(path, fingerprint=self.clap.fingerprint)
        return digest(gap.text_mean, gap.audio_covariance, gap.rotation, gap.transport)

    def read_texts(self) -> str:
        return digest(embed_texts(self.clap, self.captions))

    def read_collection(self) -> str:
        out = self.folder / "collection"
        embed_folder(self.clap, self.sounds, out, shard=2)
        array, names = read_embeddings(out)
        return digest(np.ascontiguousarray(array), names, (out / "files.csv").read_text())

    def read_cache(self) -> str:
        return digest(embed_sounds(self.sounds, self.clap))

    def read_store(self) -> str:
        folder = self.folder / "store"
        folder.mkdir(exist_ok=True)
        store = AudioStore(read_pairs([self.folder / "pairs.csv"]), RATE, folder)
        return digest(*(store[row] for row in range(3)))

    def read_scores(self) -> str:
        path, row = self.folder / "scores" / "row.json", {"row": {"name": "PD"}, "seed": 0}
        if not (done := stored_scores(path, row)):
            done = row | {"values": {"cider_d": 0.5}, "single": {"cider_d": [0.25, 0.75]}}
            write_record(path, done)
        return digest(*(done[key] for key in ("row", "seed", "values", "single")))

    def read_evaluation(self) -> str:
        path = self.folder / "evaluation" / "scores.json"
        if not path.exists():
            path.parent.mkdir()
            items = [Item(str(i), self.captions[i], (self.captions[i + 1],)) for i in range(3)]
            evaluations.save(evaluate(items, ("rouge_l", "cider_d")), path)
        report = evaluations.load(path)
        values = sorted(report.values().items())
        return digest(report.items, report.digest, report.missing, *(v for _, v in values))

    def read_run(self) -> str:
        out = self.folder / "run"
        pin_recipe(self.recipe, out)
        run(self.training, out)
        weights = [value for _, value in sorted(self.training.weights.state_dict().items())]
        log = (out / "metrics.jsonl").read_text(), (out / "recipe.toml").read_text()
        return digest(*weights, *log)

    def formats(self) -> Iterator[Format]:
        """All files, by what reads them."""
        readers = {
            "bundle": self.read_bundle,
            "clap": self.read_clap,
            "gap": self.read_gap,
            "collection": self.read_collection,
            "store": self.read_store,
            "scores": self.read_scores,
            "evaluation": self.read_evaluation,
            "run": self.read_run,
        }
        for name, read in readers.items():
            folder = self.folder / name
            for file in sorted(path for path in folder.rglob("*") if path.is_file()):
                parts = set(file.relative_to(folder).parts)
                if name != "run" or parts & {
                    "checkpoint.safetensors",
                    "metrics.jsonl",
                    "recipe.toml",
                }:
                    label = f"{name}/{file.relative_to(folder)}"
                    yield Format(label, folder, file, read, alone=name == "evaluation")
        for name, pattern, read in (
            ("text cache", "*.npy", self.read_texts),
            ("sound cache", "sounds/*/*", self.read_cache),
        ):
            for file in sorted((self.folder / "cache").glob(pattern)):
                yield Format(f"{name}/{file.name}", file.parent, file, read)


@contextmanager
def two_worlds(*, saved: bool = False) -> Iterator[tuple[World, World]]:
    """Two worlds of other contents in a temporary folder; the cache is that of the first.

    saved: with a file of every format.
    """
    with tempfile.TemporaryDirectory(prefix="wsac-faults-", ignore_cleanup_errors=True) as folder:
        worlds = []
        for name, seed in (("b", 1), ("a", 0)):  # the cache is that of the last one
            Path(folder, name).mkdir()
            worlds.append(World(Path(folder, name), seed))
            if saved:
                worlds[-1].save_all()
        yield worlds[1], worlds[0]


def next_start() -> None:
    """Forget what this process has done, as if it had just been started."""
    locks._swept.clear()
