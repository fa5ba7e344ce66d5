"""Kill `wsac train` and `wsac train-clap` at random moments, and start them again until they end.

The weights must be those of a run that was never killed, and no temporary file may be left.

    python benchmarks/faults/kills_of_training.py --kills 30 --json kills.json
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from formats import World, digest
from kills import leftovers
from safetensors import safe_open

from wsac.io.config import save_recipe
from wsac.io.files import write_csv
from wsac.training.clap.clap_recipe import ClapRecipe

WSAC = [sys.executable, "-c", "from wsac.cli import main; main()"]
MOST = 3  # kills of one run
SIZES = {"embed_dim": 16, "channels": [8, 8, 16, 16, 16], "audio_width": 16, "audio_layers": 1}
SIZES |= {"vocab_size": 300, "text_width": 16, "text_layers": 1, "text_steps": 40}
STEPS = {"steps": 40, "batch_size": 6, "crop_seconds": 0.4, "save_every": 4, "evaluate_every": 15}


def clap_recipe(world: World) -> Path:
    """A recipe of train-clap with the three sounds of the world."""
    rows = [(sound, text) for sound, text in zip(world.sounds, world.captions, strict=False)]
    write_csv(world.folder / "clap.csv", ("audio", "caption"), rows)
    pairs, texts = str(world.folder / "clap.csv"), str(world.folder / "captions.txt")
    recipe = ClapRecipe(pairs=(pairs,), text=(texts,), **SIZES, **STEPS)
    path = world.folder / "clap.toml"
    save_recipe(recipe, path)
    return path


def decoder_recipe(world: World) -> Path:
    """The recipe of the world's decoder, with more epochs."""
    path = world.folder / "decoder.toml"
    training = world.recipe.training.model_copy(update={"epochs": 30})
    save_recipe(world.recipe.model_copy(update={"training": training}), path)
    return path


def result(out: Path) -> str:
    """A digest of the last weights and of the log but for its times."""
    parts: list[object] = []
    with safe_open(out / "checkpoint.safetensors", "pt") as file:
        parts += [
            tensor for name in sorted(file.keys()) for tensor in (name, file.get_tensor(name))
        ]
    for line in (out / "metrics.jsonl").read_text().splitlines():
        parts.append({k: v for k, v in json.loads(line).items() if k != "seconds"})
    return digest(*parts)


def training(verb: str, recipe: Path, out: Path) -> subprocess.Popen:
    command = [*WSAC, verb, "--recipe", str(recipe), "--out", str(out), "--device", "cpu"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def finish(verb: str, recipe: Path, out: Path) -> str:
    """Train to the end and return the result, or the error."""
    process = training(verb, recipe, out)
    errors = process.communicate()[1]
    return result(out) if process.returncode == 0 else f"error: {errors[-300:]}"


def kill_runs(verb: str, recipe: Path, folder: Path, kills: int, rng: random.Random) -> Counter:
    """Kill runs, each up to ``MOST`` times, and compare their ends with that of a whole run."""
    counts: Counter = Counter(kills=0, runs=0, mixed=0, errors=0, leftovers=0)
    began = time.perf_counter()
    whole = finish(verb, recipe, folder / "whole")
    length = time.perf_counter() - began
    if whole.startswith("error"):
        raise SystemExit(whole)
    while counts["kills"] < kills:
        out = folder / "run"
        for _ in range(rng.randint(1, MOST)):
            process = training(verb, recipe, out)
            time.sleep(rng.uniform(0.2, 1.1) * length)
            counts["kills"] += process.poll() is None
            process.kill()
            process.communicate()
        end = finish(verb, recipe, out)
        counts["runs"] += 1
        counts["errors"] += end.startswith("error")
        counts["mixed"] += not end.startswith("error") and end != whole
        if end != whole:
            print(end)
        counts["leftovers"] += len(leftovers(out))
        shutil.rmtree(out)
    return counts


def main(argv: list[str] | None = None) -> dict[str, dict[str, int]]:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=30, help="of each verb")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(argv)
    rng, table = random.Random(options.seed), {}
    with tempfile.TemporaryDirectory(prefix="wsac-faults-") as name:
        world = World(Path(name), 0)
        os.environ["WSAC_CACHE"] = str(world.folder / "cache")
        print(f"{'verb':12}  kills   runs  mixed  errors  leftovers")
        for verb, recipe in (("train", decoder_recipe(world)), ("train-clap", clap_recipe(world))):
            (world.folder / verb).mkdir()
            counts = kill_runs(verb, recipe, world.folder / verb, options.kills, rng)
            table[verb] = dict(counts)
            print(f"{verb:12}" + "".join(f"{counts[key]:7}" for key in counts), flush=True)
    if options.json:
        options.json.write_text(json.dumps(table, indent=2) + "\n")
    return table


if __name__ == "__main__":
    main()
