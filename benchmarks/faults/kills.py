"""Kill writers at random moments, over and over, and see what the next start finds.

After each kill a new process must read the old state or the new one, whole, and after one more run
of the writer no temporary file may be left.

    python benchmarks/faults/kills.py --kills 40 --json kills.json
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import shutil
import signal
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import torch
from formats import World, digest, next_start, two_worlds

from wsac.data.soundworld.write import write_scenes
from wsac.training.decoder import train

FORK = multiprocessing.get_context("fork")
LEFTOVERS = (".part", ".lock", ".commit")


def in_child(work: Callable[[], str]) -> str:
    """What ``work`` returns in a process of its own, or its error."""
    receive, send = FORK.Pipe(duplex=False)

    def report() -> None:
        next_start()
        try:
            send.send(work())
        except BaseException:
            send.send("error: " + traceback.format_exc()[-400:])

    child = FORK.Process(target=report)
    child.start()
    child.join()
    return receive.recv() if receive.poll() else "error: the child died"


def kill(work: Callable[[], object], seconds: float) -> bool:
    """Start ``work`` again and again in a process, and kill that after some seconds."""

    def repeat() -> None:
        next_start()
        while True:
            work()

    child = FORK.Process(target=repeat)
    child.start()
    time.sleep(seconds)
    alive = child.is_alive()
    os.kill(child.pid or 0, signal.SIGKILL)
    child.join()
    return alive


def leftovers(folder: Path) -> list[str]:
    return [str(p) for p in folder.rglob("*") if any(part in p.name for part in LEFTOVERS)]


def bundle_writer(one: World, two: World) -> tuple[Callable, Callable, set[str]]:
    """Saves two captioners over each other in one folder."""
    two.folder, states = one.folder, set()

    def write() -> str:
        for world in (one, two):
            world.captioner.save(one.folder / "bundle")
        return one.read_bundle()

    for world in (one, two):
        world.captioner.save(one.folder / "bundle")
        states.add(one.read_bundle())
    return write, one.read_bundle, states


def fresh(read: Callable[[], str], *places: Path) -> Callable[[], str]:
    """Reads what is made when it is missing, after deleting it."""

    def write() -> str:
        for place in places:
            shutil.rmtree(place, ignore_errors=True)
        return read()

    return write


def training_writer(world: World, out: Path) -> tuple[Callable, Callable, set[str]]:
    """Trains to the end, whatever a killed run left; the weights are those of one never killed."""

    def state() -> str:
        weights = torch.cat([p.flatten() for p in train(world.recipe, out).decoder.parameters()])
        return digest(weights, (out / "metrics.jsonl").read_text())

    def write() -> str:
        shutil.rmtree(out, ignore_errors=True)
        return state()

    return write, state, {in_child(write)}  # autograd and forks: never in this process


def main(argv: list[str] | None = None) -> dict[str, dict[str, int]]:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=40, help="of each writer")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(argv)
    rng, table = random.Random(options.seed), dict[str, dict[str, int]]()
    with two_worlds() as (one, two):
        cache = one.folder / "cache"

        def scenes() -> str:
            write_scenes(one.folder / "world", 3, 0)
            return digest(sorted(p.read_bytes() for p in (one.folder / "world").iterdir()))

        writers = {
            "bundle over another": bundle_writer(one, two),
            "text cache": (fresh(one.read_texts, cache), one.read_texts, {one.read_texts()}),
            "sound cache": (fresh(one.read_cache, cache), one.read_cache, {one.read_cache()}),
            "collection": (
                fresh(one.read_collection, one.folder / "collection"),
                one.read_collection,
                {one.read_collection()},
            ),
            "decoded sounds": (
                fresh(one.read_store, one.folder / "store"),
                one.read_store,
                {one.read_store()},
            ),
            "soundworld": (scenes, scenes, {scenes()}),
            "training": training_writer(one, one.folder / "run"),
        }
        print(f"{'writer':22} kills  mixed  errors  leftovers")
        for name, (write, read, right) in writers.items():
            counts: Counter = Counter(kills=0, mixed=0, errors=0, leftovers=0)
            began = time.perf_counter()
            in_child(write)
            length = time.perf_counter() - began
            for _ in range(options.kills):
                counts["kills"] += kill(write, rng.uniform(0.0, 1.5 * length))
                state = in_child(read)
                counts["errors"] += state.startswith("error")
                counts["mixed"] += not state.startswith("error") and state not in right
                if state not in right:
                    print(state)
                in_child(write if name == "bundle over another" else read)
                counts["leftovers"] += len(leftovers(one.folder))
            table[name] = dict(counts)
            print(f"{name:22}" + "".join(f"{counts[key]:7}" for key in counts), flush=True)
    if options.json:
        options.json.write_text(json.dumps(table, indent=2) + "\n")
    return table


if __name__ == "__main__":
    main()
