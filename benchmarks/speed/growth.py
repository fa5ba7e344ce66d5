"""How costs grow with the corpus, the memory, the batch and the beam; each process's peak memory.
Used by speed.py.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import baseline
from world import (
    OurTraining,
    World,
    baseline_captioning,
    our_captioning,
    random_units,
    rate,
    twins,
)

from wsac.bridges.retrieval import Projection
from wsac.decoder import TransformerDecoder
from wsac.decoder.generation import GenerationOptions, generate
from wsac.runtime.process import configure_process

BATCHES, BEAMS = (1, 4, 16, 64, 256), (1, 2, 4, 8)
PROCESSES = (
    "CLAP alone",
    "baseline training",
    "our training",
    "our training, default decoder",
    "baseline captioning",
    "our captioning",
)
TINY_RECIPE = {
    "decoder.width": 16,
    "decoder.layers": 1,
    "decoder.vocab_size": 300,
    "training.batch_size": 16,
}


def in_child(work: Callable[..., Any], *arguments: Any) -> Any:
    """What it returns, in a new process, whose peak memory is its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, arguments)


def most() -> float:
    """MB that this process has held at most; ru_maxrss would begin with what its parent held. Linux
    only.
    """
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def peak(name: str, arguments: dict[str, Any]) -> float:
    """MB at most of a process that does this, one of PROCESSES."""
    world = World(**arguments | {"steps": 4})
    size, subset = world.shape.vocabulary, world.captions[: world.batch]
    match name:
        case "baseline training":
            plain = world.decoder(baseline.PlainDecoder, size, baseline.CAPTION_TOKENS)
            optimizer, tokens = (
                baseline.plain_optimizer(plain),
                baseline.pad(world.tokenizer.encode(subset)),
            )
            for _ in range(world.steps):
                baseline.training_step(world.clap, plain, optimizer, subset, tokens)
        case "our training" | "our training, default decoder":
            decoder = world.decoder(TransformerDecoder, size, baseline.CAPTION_TOKENS)
            if name.endswith("default decoder"):
                decoder = TransformerDecoder(
                    embed_dim=world.shape.embed_dim, vocab_size=world.tokenizer.vocab_size
                )
            configure_process()
            OurTraining(world, decoder, world.tokenizer, world.batch)()
        case "baseline captioning":
            baseline_captioning(world)()
        case "our captioning":
            our_captioning(world)()
    return most()


def corpus(count: int, tiny: bool) -> dict[str, float]:
    """Train for an epoch on so many captions of SoundWorld, from their file to the bundle. In a
    process of its own.
    """
    from wsac.clap import load_clap
    from wsac.io.config import load_recipe
    from wsac.training.decoder import train
    from wsac.training.recipe import Recipe

    load_clap("pocket")
    before = most()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "captions.txt"
        write_corpus(path, count)
        changes = {
            "corpus.captions": [str(path)],
            "training.epochs": 1,
            **(TINY_RECIPE if tiny else {}),
        }
        began = time.perf_counter()
        train(load_recipe(Recipe, overrides=changes), Path(folder) / "run")
        seconds = time.perf_counter() - began
    return {
        "size": count,
        "seconds": seconds,
        "microseconds": 1e6 * seconds / count,
        "MB above": most() - before,
    }


def write_corpus(path: Path, count: int) -> None:
    """By a process that is not measured."""
    code = f"""
import numpy as np
from pathlib import Path
from wsac.data.soundworld import write_captions
captions = write_captions(np.random.default_rng(0), {count})
Path({str(path)!r}).write_text("\\n".join(captions) + "\\n")
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def measure(
    world: World, sizes: list[int], say: Callable[[str], None]
) -> dict[str, list[dict[str, float]]]:
    """Rows of size and cost for the corpus, the memory, the batch and the beam."""
    results: dict[str, list[dict[str, float]]] = {
        "corpus": [],
        "memory": [],
        "batch": [],
        "beam": [],
    }
    with tempfile.TemporaryDirectory() as cache:  # so that every size pays for its embeddings
        previous_cache = os.environ.get("WSAC_CACHE")
        os.environ["WSAC_CACHE"] = cache
        for size in sizes:
            say(f"growth: {size:,} captions …")
            results["corpus"].append(in_child(corpus, size, world.tiny))
            say(
                "growth: "
                + ", ".join(f"{name} {value:,.4g}" for name, value in results["corpus"][-1].items())
            )
        os.environ.pop("WSAC_CACHE")
        if previous_cache is not None:
            os.environ["WSAC_CACHE"] = previous_cache

    def seconds(work: Callable[[], Any]) -> float:
        with world.cast():
            work()
            return statistics.median(1 / rate(1, work) for _ in range(max(1, world.rounds)))

    queries = random_units(world.batch, world.shape.embed_dim)
    for size in sizes:
        bridge = Projection(world.support(random_units(size, world.shape.embed_dim)))
        results["memory"].append(
            {"size": size, "ms a clip": 1e3 * seconds(lambda b=bridge: b(queries)) / len(queries)}
        )
    decoder = world.writer(twins(world)[1])
    for name, counts in (("batch", BATCHES), ("beam", BEAMS)):
        for count in counts[:2] if world.tiny else counts:
            beams, rows = (1, count) if name == "batch" else (count, world.batch)
            options = GenerationOptions(beam_size=beams, max_tokens=baseline.STEPS)
            embedding = random_units(rows, world.shape.embed_dim)
            took = seconds(lambda e=embedding, o=options: generate(decoder, e, o))
            results[name].append({"size": count, "ms a clip": 1e3 * took / rows})
    return results


def show(results: dict[str, list[dict[str, float]]], picture: Path | None) -> None:
    """Tables, and a picture of five panels."""
    from wsac.io.console import table
    from wsac.io.files import write_text
    from wsac.io.svg_plots import curve_svg

    for name, rows in results.items():
        table(
            f"Growth with {name}",
            list(rows[0]),
            [[f"{value:,.4g}" for value in row.values()] for row in rows],
        )
    if picture is None:
        return
    panels = [("corpus", "microseconds", "microseconds a caption")]
    panels += [("corpus", "MB above", "MB above the model")]
    panels += [(name, "ms a clip", "ms a clip") for name in ("memory", "batch", "beam")]
    nested = []
    for number, (name, cost, label) in enumerate(panels):
        points = [(math.log10(row["size"]), row[cost]) for row in results[name]]
        svg = curve_svg({name: points}, title="", x_label=f"log10 of {name}", y_label=label)
        place = f'x="{number % 2 * 480}" y="{number // 2 * 280}"'
        nested.append(svg.replace("<svg", f"<svg {place}", 1))
    frame = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 960 840" width="960" height="840">'
    )
    write_text(picture, "\n".join((frame, *nested, "</svg>\n")))
