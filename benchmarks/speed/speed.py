"""How fast training and captioning are against the published procedure: A B A B in one process,
medians of ratios.

    python benchmarks/speed/speed.py ../shared/captions/Clotho.train.csv \\
        --audio ../shared/audio/esc50 --json speed.json

baseline.py is the other side. Training is measured in its steady state, and 30 epochs are reckoned
from it with the one-off embedding and tokenising added, at the float32 rate of the same BERT-base.
Weights are random. The vocabulary is learned from the captions; "same vocabulary" pads it to
50,257. docs/speed.md says more. --growth adds how costs grow with the corpus, the memory, the batch
and the beam, and --picture draws them; --tiny only tries whether all runs.
"""

from __future__ import annotations

import argparse
import itertools
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import baseline
import growth
import torch
from world import (
    OurTraining,
    World,
    baseline_captioning,
    compared,
    our_captioning,
    random_units,
    rate,
    rounds,
    sizes,
    twins,
)

from wsac.bridges.retrieval import Projection
from wsac.data.audio.find import find_audio
from wsac.data.captions.corpus import merge
from wsac.data.tokenizer import Tokenizer
from wsac.data.tokens import TokenRows
from wsac.decoder import TransformerDecoder
from wsac.decoder.generation import GenerationOptions, generate
from wsac.io.console import say, table
from wsac.io.files import write_json
from wsac.runtime.device import has_bfloat16
from wsac.runtime.process import configure_process

EPOCHS = 30


def main(argv: list[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("captions", nargs="+", help="caption files, such as Clotho's for training")
    parser.add_argument(
        "--audio", nargs="+", default=[], help="recordings, folders or globs, for captioning"
    )
    parser.add_argument("--clips", type=int, default=400, help="of them, ours captions so many")
    parser.add_argument(
        "--few", type=int, default=16, help="clips that the baseline captions in a round"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=8, help="training steps of a round")
    parser.add_argument("--precision", default="auto", choices=("auto", "float32", "bfloat16"))
    parser.add_argument(
        "--memories", default="19195,1000000", help="entries of the memories to project on"
    )
    parser.add_argument("--only", nargs="+", default=list(MEASURE), choices=list(MEASURE))
    parser.add_argument(
        "--growth", nargs="?", const="1000,20000,100000,1000000", help="sizes to grow to"
    )
    parser.add_argument("--picture", type=Path, help="an SVG of the growth")
    parser.add_argument("--json", type=Path, help="all figures, for programs")
    parser.add_argument(
        "--tiny", action="store_true", help="miniature models: whether it runs, not how fast"
    )
    options = parser.parse_args(argv)
    # before the first gradient: the thread that makes them keeps the heap that it begins with
    configure_process()
    captions = [example.caption for example in merge(options.captions).examples]
    files = find_audio(options.audio)[: options.clips] if options.audio else []
    world = World(
        baseline.TINY if options.tiny else baseline.PUBLISHED,
        captions,
        files,
        options.rounds,
        options.steps,
        options.few,
        8 if options.tiny else 64,
        sizes(options.memories),
        options.precision,
        options.tiny,
    )
    gemm = {
        kind: gemm_peak(getattr(torch, kind), 64 if options.tiny else 2048)
        for kind in ("float32", "bfloat16")
    }
    results: dict[str, Any] = {
        "machine": machine(),
        "gemm_peak": gemm,
        "captions": len(captions),
        "clips": len(files),
        "vocabulary": world.tokenizer.vocab_size,
        "arguments": argv or sys.argv[1:],
    }
    table(
        "Machine",
        ("what", "is"),
        [
            *results["machine"].items(),
            *((f"GEMM peak, {kind}, GFLOP/s", f"{peak / 1e9:,.0f}") for kind, peak in gemm.items()),
        ],
    )
    for name in MEASURE:
        if name in options.only and (files or name not in ("captioning", "startup")):
            say(f"{name} …")
            rows = MEASURE[name](world, gemm)
            results[name] = rows
            table(
                name.capitalize(),
                list(rows[0]),
                [[shown(value) for value in row.values()] for row in rows],
            )
    if options.growth:
        results["growth"] = growth.measure(world, sizes(options.growth), say)
        growth.show(results["growth"], options.picture)
    if options.json:
        write_json(options.json, results)
    return results


def training(world: World, gemm: dict[str, float]) -> list[dict[str, Any]]:
    """Captions a second over 30 epochs."""
    published = baseline.CAPTION_TOKENS
    size = world.shape.vocabulary
    plain = world.decoder(baseline.PlainDecoder, size, published)
    optimizer, padded = (
        baseline.plain_optimizer(plain),
        baseline.pad(world.tokenizer.encode(world.captions)),
    )
    subset = itertools.cycle(
        torch.randperm(len(world.captions)).split(world.batch)[: 1000 if not world.tiny else 2]
    )

    def baseline_steps() -> float:
        batches = [next(subset) for _ in range(max(1, world.steps // 4))]
        return rate(
            sum(map(len, batches)),
            lambda: [
                baseline.training_step(
                    world.clap, plain, optimizer, [world.captions[i] for i in rows], padded[rows]
                )
                for rows in batches
            ],
        )

    small = Tokenizer.train(world.captions, 300 if world.tiny else 4096)
    default = TransformerDecoder(
        embed_dim=world.shape.embed_dim, vocab_size=small.vocab_size, dropout=0.0
    )
    cut = world.tokenizer.vocab_size
    ours = {
        "same vocabulary": OurTraining(
            world, world.decoder(TransformerDecoder, size, published), world.tokenizer, 64
        ),
        "vocabulary cut": OurTraining(
            world, world.decoder(TransformerDecoder, cut, published), world.tokenizer, 64
        ),
        "default decoder": OurTraining(world, default, small, 128),
    }
    results = rounds({"baseline": baseline_steps, **ours}, world.rounds)
    sample = world.captions[:: max(1, len(world.captions) // (8 if world.tiny else 512))]
    once = 1 / rate(len(sample), lambda: world.clap.embed_text(sample))
    once += 1 / rate(len(sample), lambda: TokenRows.make(sample, world.tokenizer, published))
    whole = {
        name: [EPOCHS / (once * (name in ours) + EPOCHS / step) for step in rates]
        for name, rates in results.items()
    }
    rows = compared(whole, "captions/s")
    for row, rates in zip(rows, results.values(), strict=True):
        row["steady captions/s"] = statistics.median(rates)
        part = ours[row["way"]].flops[1:] if row["way"] in ours else []
        row["of GEMM peak"] = (
            statistics.median(part) / gemm["bfloat16" if world.half else "float32"]
            if part
            else None
        )
    return rows


def captioning(world: World, gemm: dict[str, float]) -> list[dict[str, Any]]:
    """Clips a second from files to captions, greedy, projected on as many memories as there are
    captions.
    """
    ways = {"baseline": baseline_captioning(world), "ours": our_captioning(world)}
    return compared(rounds(ways, world.rounds), "clips/s")


def decoding(world: World, gemm: dict[str, float]) -> list[dict[str, Any]]:
    """Clips a second from embeddings to tokens; and of the first clips, how many have equal
    tokens.
    """
    plain, decoder = twins(world)
    embedding = random_units(4 * world.batch, world.shape.embed_dim)
    options = GenerationOptions(beam_size=1, max_tokens=baseline.STEPS)
    subset, writer = max(2, world.few // 4), world.writer(decoder)

    def ours(count: int) -> float:
        parts = embedding[: max(count, 8)].split(
            count
        )  # one clip at once: eight of them, one after the other
        return rate(
            sum(map(len, parts)), lambda: [generate(writer, part, options) for part in parts]
        )

    ways = {
        "baseline": lambda: rate(
            subset, lambda: [baseline.decode(plain, row[None]) for row in embedding[:subset]]
        )
    }
    ways |= {
        f"ours, {count} at once": lambda count=count: ours(count)
        for count in (1, world.batch, 4 * world.batch)
    }
    rows = compared(rounds(ways, world.rounds), "clips/s")
    wanted = [baseline.decode(plain, row[None]) for row in embedding[:subset]]
    written = [one.tokens for one in generate(writer, embedding[: world.batch], options)][:subset]
    pairs = [
        pair
        for one, two in zip(wanted, written, strict=True)
        for pair in itertools.zip_longest(one, two)
    ]
    for row in rows:
        row["equal tokens"] = (
            None if row["way"] == "baseline" else sum(a == b for a, b in pairs) / max(1, len(pairs))
        )
    return rows


def projection(world: World, gemm: dict[str, float]) -> list[dict[str, Any]]:
    """Embeddings a second through memories of several sizes."""
    rows = []
    queries = random_units(4 * world.batch, world.shape.embed_dim)
    for size in world.memories:
        memory = random_units(size, world.shape.embed_dim)
        bridge, subset = Projection(world.support(memory)), queries[: 8 if size < 100_000 else 2]

        @torch.inference_mode()
        def ours(count: int, bridge=bridge) -> float:
            with world.cast():
                return rate(count, lambda: bridge(queries[:count]))

        def theirs(memory=memory, subset=subset) -> float:
            return rate(
                len(subset), lambda: [baseline.project(row[None], memory) for row in subset]
            )

        ways = {f"baseline, {size:,} memories": theirs}
        ways |= {
            f"ours, {size:,} memories, {count} at once": lambda count=count, ours=ours: ours(count)
            for count in (world.batch, 4 * world.batch)
        }
        rows += compared(rounds(ways, world.rounds), "embeddings/s")
    return rows


def beam(world: World, gemm: dict[str, float]) -> list[dict[str, Any]]:
    """Captions a second with beams of 1 and 4, of the published shape and of the default one; a
    cost of 3 is 0.33.
    """
    rows = []
    embedding = random_units(world.batch, world.shape.embed_dim)
    default = TransformerDecoder(
        embed_dim=world.shape.embed_dim, vocab_size=300 if world.tiny else 4096
    ).eval()
    for name, decoder in (("published shape", twins(world)[1]), ("default decoder", default)):
        writer = world.writer(decoder)
        for count in (max(1, world.batch // 4), max(1, world.batch // 2), world.batch):

            def ours(beams: int, writer=writer, count=count) -> float:
                options = GenerationOptions(beam_size=beams, max_tokens=baseline.STEPS)
                return rate(count, lambda: generate(writer, embedding[:count], options))

            ways = {
                f"{name}, {count} clips, greedy": lambda ours=ours: ours(1),
                f"{name}, {count} clips, beam of 4": lambda ours=ours: ours(4),
            }
            rows += compared(rounds(ways, world.rounds), "clips/s")
    return rows


def startup(world: World, gemm: dict[str, float]) -> list[dict[str, Any]]:
    """Seconds of a new process, the files it reads being in the system's cache."""
    rows = []
    for words in (["--help"], ["caption", str(world.files[0])]):
        command = [sys.executable, "-m", "wsac", *words]
        seconds = [
            1
            / rate(
                1, lambda command=command: subprocess.run(command, check=True, capture_output=True)
            )
            for _ in range(world.rounds + 1)
        ]
        rows.append(
            {
                "command": f"wsac {words[0]}",
                "seconds": statistics.median(seconds[1:]),
                "worst": max(seconds),
            }
        )
    return rows


def memory(world: World, gemm: dict[str, float]) -> list[dict[str, Any]]:
    """The most memory of a process of its own for some steps of training, and for captioning."""
    names = [name for name in growth.PROCESSES if world.files or "captioning" not in name]
    return [
        {"process": name, "MB": growth.in_child(growth.peak, name, world.arguments())}
        for name in names
    ]


MEASURE = {
    "training": training,
    "captioning": captioning,
    "decoding": decoding,
    "projection": projection,
    "beam": beam,
    "startup": startup,
    "memory": memory,
}


def gemm_peak(kind: torch.dtype, size: int) -> float:
    """The most FLOP/s of a product of square matrices; slow where the processor lacks the
    precision.
    """
    left, right = torch.randn(size, size).to(kind), torch.randn(size, size).to(kind)
    left @ right
    return max(rate(2 * size**3, lambda: left @ right) for _ in range(5))


def shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.3g}" if value < 1000 else f"{value:,.0f}"
    return "" if value is None else str(value)


def machine() -> dict[str, Any]:
    return {
        "processor": torch.cpu.get_capabilities().get("cpu_name", platform.processor()),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "bfloat16": has_bfloat16("cpu"),
    }


if __name__ == "__main__":
    main()
