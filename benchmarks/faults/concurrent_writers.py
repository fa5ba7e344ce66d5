"""Let several processes write to one place at the same moment.

Caches: every process gets the right rows. A run folder and a collection: one process wins, the
others end with one line that names it. A captioner's folder: a reader never gets a mixture.

    python benchmarks/faults/concurrent_writers.py --rounds 5 --json writers.json
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import shutil
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from formats import World, next_start, two_worlds
from kills import leftovers

from wsac.training.decoder import train
from wsac.types import WsacError

FORK = multiprocessing.get_context("fork")


def together(works: list[Callable[[], str]]) -> list[str]:
    """The results of all, each in a process of its own, begun at one moment."""
    barrier, results = FORK.Barrier(len(works)), FORK.Queue()

    def go(place: int) -> None:
        next_start()
        barrier.wait()
        try:
            results.put((place, works[place]()))
        except WsacError as error:
            text = str(error)
            results.put((place, "busy" if ": in use by " in text else f"error: {text}"))
        except BaseException as error:
            results.put((place, f"traceback: {error!r}"))

    children = [FORK.Process(target=go, args=(place,)) for place in range(len(works))]
    for child in children:
        child.start()
    answers = dict(results.get(timeout=300) for _ in works)
    for child in children:
        child.join()
    return [answers[place] for place in range(len(works))]


def main(argv: list[str] | None = None) -> dict[str, dict[str, int]]:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(argv)
    table = {}
    with two_worlds() as (one, two):
        right = {name: getattr(one, name)() for name in ("read_texts", "read_cache")}
        states = set()
        two.folder = one.folder
        for world in (two, one):
            world.captioner.save(one.folder / "bundle")
            states.add(one.read_bundle())

        def train_one(seed: int) -> str:
            options = one.recipe.training.model_copy(update={"seed": seed, "epochs": 20})
            train(one.recipe.model_copy(update={"training": options}), one.folder / "run")
            return "done"

        def save(world: World) -> str:
            until = time.monotonic() + 2
            while time.monotonic() < until:
                world.captioner.save(one.folder / "bundle")
            return "saved"

        def reader() -> str:
            until, seen = time.monotonic() + 2, set()
            while time.monotonic() < until:
                seen.add(one.read_bundle())
            return "right" if seen <= states else "mixed"

        count = options.processes
        rounds: dict[str, tuple[list[Callable[[], str]], Callable[[list[str]], bool]]] = {
            "text cache": (
                [one.read_texts] * count,
                lambda got: set(got) == {right["read_texts"]},
            ),
            "sound cache": (
                [one.read_cache] * count,
                lambda got: set(got) == {right["read_cache"]},
            ),
            "train, other seeds": (
                [lambda seed=seed: train_one(seed) for seed in range(count)],
                lambda got: Counter(got) == {"done": 1, "busy": count - 1},
            ),
            "embed audio --out": (
                [lambda: one.read_collection() and "done"] * count,
                lambda got: got.count("done") >= 1 and set(got) <= {"done", "busy"},
            ),
            "save and load": (
                [*(lambda world=world: save(world) for world in (one, two)), reader, reader],
                lambda got: got == ["saved", "saved", "right", "right"],
            ),
        }
        print(f"{'place':20} rounds  wrong  leftovers")
        for name, (works, is_right) in rounds.items():
            wrong = left = 0
            for _ in range(options.rounds):
                for place in ("cache", "run", "collection"):
                    shutil.rmtree(one.folder / place, ignore_errors=True)
                got = together(works)
                if not is_right(got):
                    wrong += 1
                    print(name, got)
                left += len(leftovers(one.folder))
            table[name] = {"rounds": options.rounds, "wrong": wrong, "leftovers": left}
            print(f"{name:20} {options.rounds:6} {wrong:6} {left:10}", flush=True)
    if options.json:
        options.json.write_text(json.dumps(table, indent=2) + "\n")
    return table


if __name__ == "__main__":
    main()
