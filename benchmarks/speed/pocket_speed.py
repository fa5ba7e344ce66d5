"""Sizes and latencies of the built-in models on this machine:

python benchmarks/speed/pocket_speed.py
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from wsac.clap.loading import BUNDLED
from wsac.data.soundworld import demo_scenes, render_scene
from wsac.inference.bundle import BUNDLED_CAPTIONER
from wsac.inference.captioner import Captioner
from wsac.io.console import table

ROUNDS = 15


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    captioner = Captioner.load()
    clap = captioner.clap
    _, scene = demo_scenes()[0]
    ten = torch.from_numpy(render_scene(scene, np.random.default_rng(0), 10.0, clap.sample_rate))
    minute = ten.repeat(6)
    embedding = captioner.embed(ten)
    parameters = sum(p.numel() for p in clap.parameters())
    rows = [
        ("the CLAP on disk", f"{size(BUNDLED):.1f} MB, {parameters / 1e6:.1f} M parameters"),
        ("the captioner on disk", f"{size(BUNDLED_CAPTIONER):.1f} MB"),
        ("embed 10 s of sound", milliseconds(lambda: clap.embed_audio([ten]))),
        ("embed 60 s of sound", milliseconds(lambda: clap.embed_audio([minute]))),
        (
            "embed a caption",
            milliseconds(lambda: clap.embed_text(["a dog barks while rain falls on a roof"])),
        ),
        (
            "write a caption, beam 4, with its confidence",
            milliseconds(lambda: captioner.describe([embedding])),
        ),
        ("10 s of sound to a caption", milliseconds(lambda: captioner.caption(ten))),
    ]
    threads = torch.get_num_threads()
    table(f"median of {ROUNDS} after warm-up, {threads} threads", ("", ">"), rows)


def size(folder: Path) -> float:
    """Megabytes of what is loaded."""
    return sum(path.stat().st_size for path in folder.iterdir() if path.suffix != ".md") / 1e6


def milliseconds(work: Callable[[], object]) -> str:
    for _ in range(3):
        work()
    spent = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        spent.append(time.perf_counter() - began)
    return f"{1000 * statistics.median(spent):.1f} ms"


if __name__ == "__main__":
    main()
