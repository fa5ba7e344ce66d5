"""Time and memory of searches in a million embeddings, exact and approximate.

python benchmarks/speed/search_speed.py --count 1000000 --dim 512

The embeddings lie in clusters, as those of recordings do, in a mapped file that is made in a
temporary folder. Beside the exact search stand its bounds on this machine: reading all numbers
once, and the product of matrix and vector alone, in half and in single precision. The approximate
index is built of nine tenths of them; the rest is then added. The exact search is also timed in
processes of its own, with torch and without, for what they hold in memory.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

from wsac.archive.search.embedding_file import EmbeddingFile, IndexedShard
from wsac.archive.search.exact_search import nearest_exact
from wsac.archive.search.ivf_index import IvfIndex
from wsac.io.arrays import map_array, write_array
from wsac.io.console import print_json, table

PART = 50_000  # embeddings made at once
CLUSTERED = 200  # embeddings of a cluster
NOISE = 0.6  # length of what is added to the centre of a cluster
TOP = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--queries", type=int, default=50)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory(prefix="wsac-search-") as folder:
        figures = measure(Path(folder), options)
    if options.json:
        print_json(figures)
    else:
        table("", ("", ">"), [(name, f"{value:,.4g}") for name, value in figures.items()])


def measure(folder: Path, options: argparse.Namespace) -> dict[str, float]:
    count, dim = options.count, options.dim
    path = folder / "files.npy"
    write_array(path, embeddings(count, dim), (count, dim), np.dtype(np.float16), "benchmark")
    began = time.perf_counter()
    mapped = map_array(path, "benchmark")
    assert mapped is not None
    figures = {"embeddings": count, "numbers": dim, "threads": options.threads}
    figures["open and check, s"] = time.perf_counter() - began
    rng = np.random.default_rng(1)
    queries = mapped[np.sort(rng.choice(count, options.queries, replace=False))].astype(np.float32)
    queries += NOISE / 2 * rng.standard_normal(queries.shape, np.float32) / dim**0.5
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)

    half = torch.from_numpy(mapped)
    query = torch.from_numpy(queries[0])
    figures["read all, ms"] = milliseconds(lambda: mapped.view(np.int16).max())
    figures["half product, ms"] = milliseconds(lambda: torch.mv(half, query.half()))
    figures["single product of a tenth, times ten, ms"] = single_product(half, query)
    exact = timed(lambda q: nearest_exact(mapped, q, TOP)[1], queries)
    figures["exact, ms a query"] = exact[0]
    np.save(folder / "queries.npy", queries)
    for name, kind in (("torch", ""), ("NumPy", "numpy")):
        took, megabytes = alone(folder, kind, options.threads)
        figures[f"exact, {name} alone, ms a query"] = took
        figures[f"exact, {name} alone, memory MB"] = megabytes

    first = count * 9 // 10
    began = time.perf_counter()
    IvfIndex(source(mapped[:first]), folder)
    figures["index of nine tenths, s"] = time.perf_counter() - began
    began = time.perf_counter()
    index = IvfIndex(source(mapped[:first], mapped), folder)
    figures[f"index: add {count - first:,}, s"] = time.perf_counter() - began
    near = timed(lambda q: index.nearest(q, TOP)[1], queries)
    shares = [len({*a} & {*b}) / TOP for a, b in zip(exact[1], near[1], strict=True)]
    figures |= {"index, ms a query": near[0], "index, recall@10": statistics.mean(shares)}
    return figures


def embeddings(count: int, dim: int) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((max(1, count // CLUSTERED), dim), np.float32)
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    for start in range(0, count, PART):
        size = min(PART, count - start)
        part = NOISE * rng.standard_normal((size, dim), np.float32) / dim**0.5
        part += centres[rng.integers(len(centres), size=size)]
        yield part / np.linalg.norm(part, axis=1, keepdims=True)


def source(first: np.ndarray, whole: np.ndarray | None = None) -> EmbeddingFile:
    """The file of one shard, or of that and a second one with the rest."""
    sizes = [len(first), *([len(whole) - len(first)] if whole is not None else [])]
    shards = tuple(IndexedShard(f"{i}", size, 0, size, size) for i, size in enumerate(sizes))
    values = first if whole is None else whole
    return EmbeddingFile("files", values, np.zeros((len(values), 2), np.int32), shards, "")


def milliseconds(act: Callable[[], object], rounds: int = 5) -> float:
    """The median."""
    act()
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        act()
        times.append(1000 * (time.perf_counter() - began))
    return statistics.median(times)


def single_product(half: torch.Tensor, query: torch.Tensor) -> float:
    part = half[: max(1, len(half) // 10)].float()
    return milliseconds(lambda: torch.mv(part, query)) * len(half) / len(part)


def timed(
    search: Callable[[np.ndarray], np.ndarray], queries: np.ndarray
) -> tuple[float, list[list[int]]]:
    """(median milliseconds of a query, the rows of each)."""
    search(queries[0])
    times, rows = [], []
    for query in queries:
        began = time.perf_counter()
        rows.append(search(query).tolist())
        times.append(1000 * (time.perf_counter() - began))
    return statistics.median(times), rows


ALONE = """
import statistics, sys, time
from pathlib import Path
import numpy as np
from wsac.arrays import WITH_TORCH, torch
from wsac.archive.search.exact_search import nearest_exact
from wsac.io.arrays import map_array

if WITH_TORCH:
    torch.set_num_threads(int(sys.argv[2]))
mapped, times = map_array(Path(sys.argv[1], "files.npy"), "benchmark"), []
for query in np.load(Path(sys.argv[1], "queries.npy")):
    began = time.perf_counter()
    nearest_exact(mapped, query, 10)
    times.append(1000 * (time.perf_counter() - began))
pages = Path("/proc/self/statm").read_text().split()[1]  # those of mapped files, too
print(statistics.median(times), int(pages) * 4096 / 1e6)
"""


def alone(folder: Path, arrays: str, threads: int) -> tuple[float, float]:
    """(median milliseconds of an exact search, MB in memory) of a process that does just that."""
    command = [sys.executable, "-W", "ignore", "-c", ALONE, str(folder), str(threads)]
    done = subprocess.run(
        command, env=dict(os.environ, WSAC_ARRAYS=arrays), capture_output=True, check=True
    )
    took, megabytes = map(float, done.stdout.split())
    return took, megabytes


if __name__ == "__main__":
    main()
