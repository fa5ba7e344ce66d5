"""Projection of audio embeddings on a large support memory, which stays in its file.

Writes N random entries, projects 64 queries (``pd``) in a fresh process and prints, as JSON, the
time and the memory taken above the mapped file, in MB.

    python benchmarks/speed/large_memory.py --entries 5000000 --dim 512 --folder /tmp
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from time import perf_counter

import torch
import torch.nn.functional as F

from wsac.bridges.memory import SupportMemory
from wsac.bridges.retrieval import Projection
from wsac.io.tensors import write_tensor

BLOCK = 100_000  # entries written at once


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--entries", type=int, default=5_000_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--folder", default=None, help="where the file is written for a while")
    parser.add_argument("--project", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.project:
        print(json.dumps(project(Path(args.project))))
        return
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        path = Path(folder, "memory.safetensors")
        shape = (args.entries, args.dim)
        write_tensor(path, "embeddings", random_entries(*shape), shape, torch.float16)
        command = [sys.executable, __file__, "--project", str(path)]
        subprocess.run(command, check=True)


def random_entries(entries: int, dim: int):
    """Blocks of unit-norm rows, as float32."""
    rng = torch.Generator().manual_seed(0)
    for start in range(0, entries, BLOCK):
        size = min(BLOCK, entries - start)
        yield F.normalize(torch.randn(size, dim, generator=rng), dim=-1)


def project(path: Path) -> dict[str, float]:
    """Time and memory of a projection of 64 queries."""
    before = own_megabytes()
    memory = SupportMemory.load(path)
    rows = torch.arange(0, len(memory), len(memory) // 64)[:64]
    queries = F.normalize(memory.take(rows) + 0.02 * torch.randn(64, memory.dim), dim=-1)
    start, peak = perf_counter(), [before]
    over = threading.Event()
    sampler = threading.Thread(target=sample, args=(peak, over))
    sampler.start()
    projected = Projection(memory)(queries)
    seconds = perf_counter() - start
    over.set()
    sampler.join()
    return {
        "entries": len(memory),
        "dim": memory.dim,
        "seconds": round(seconds, 2),
        "megabytes_above_the_file": round(peak[0] - before),
        "cosine_to_the_nearest_entry": round(
            float((projected * memory.take(rows)).sum(1).mean()), 4
        ),
    }


def sample(peak: list[float], over: threading.Event) -> None:
    """Keep the most memory seen in ``peak[0]``."""
    while not over.wait(0.02):
        peak[0] = max(peak[0], own_megabytes())


def own_megabytes() -> float:
    """Memory of this process that belongs to no file (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    return int(fields["RssAnon"].split()[0]) / 1024


if __name__ == "__main__":
    main()
