"""Simulate a build of an archive on many machines, with stragglers and machines that go.

Workers take shards from one queue. A shard takes the mean time of its files, times a lognormal
factor of its own, and longer on a slow machine. A machine that goes takes the shards of its workers
with it, which begin again elsewhere; a new one comes after a while. Lost work, the tail at the end
and the time beyond the ideal are told for sizes of shards.

    python benchmarks/archive/scale_simulation.py --clips 100000000 --rate 30 --machines 64
"""

from __future__ import annotations

import argparse
import heapq
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Cluster:
    """rate: clips a second of a worker. spread: sigma of the logarithm of a shard's time. slow,
    factor: share of machines that take so many times as long. losses: of a machine, an hour.
    back: hours until another takes its place. start: hours until a worker takes its first shard."""

    machines: int
    workers: int
    rate: float
    spread: float = 0.15
    slow: float = 0.02
    factor: float = 3.0
    losses: float = 0.01
    back: float = 0.25
    start: float = 30 / 3600


@dataclass(frozen=True)
class Outcome:
    """hours: of the build. ideal: with no loss, straggler or tail. lost: hours of workers on shards
    that were lost. idle: hours of workers at the end with nothing left to do. twice: shards."""

    hours: float
    ideal: float
    lost: float
    idle: float
    machines_lost: int
    twice: int


def simulate(cluster: Cluster, clips: int, shard: int, rng: np.random.Generator) -> Outcome:
    """One build. Events: (hour, kind, machine, worker, generation of the machine, up at a loss)."""
    mean = shard / cluster.rate / 3600  # hours of a shard
    left, again, done = -(-clips // shard), 0, 0
    total = left
    speed = np.where(rng.random(cluster.machines) < cluster.slow, cluster.factor, 1.0)
    generation = np.zeros(cluster.machines, int)
    begun: list[dict[int, float]] = [{} for _ in range(cluster.machines)]
    events: list[tuple[float, str, int, int, int]] = []
    waiting: list[tuple[int, int]] = []
    lost = end = 0.0
    idle_since: dict[tuple[int, int], float] = {}
    losses = 0
    factor = rng.lognormal(-(cluster.spread**2) / 2, cluster.spread, 65_536).tolist()

    def take(now: float, machine: int, worker: int) -> None:
        nonlocal left
        if not left:
            idle_since[machine, worker] = now
            waiting.append((machine, worker))
            return
        left -= 1
        begun[machine][worker] = now
        finish = now + mean * factor[left % len(factor)] * speed[machine]
        heapq.heappush(events, (finish, "end", machine, worker, int(generation[machine])))

    def arrive(now: float, machine: int) -> None:
        for worker in range(cluster.workers):
            mark = (now + cluster.start, "ready", machine, worker, int(generation[machine]))
            heapq.heappush(events, mark)
        if cluster.losses:
            gone = now + rng.exponential(1 / cluster.losses)
            heapq.heappush(events, (gone, "gone", machine, 0, int(generation[machine])))

    for machine in range(cluster.machines):
        arrive(0.0, machine)
    idle = 0.0
    while done < total:
        now, kind, machine, worker, born = heapq.heappop(events)
        if kind == "back":
            arrive(now, machine)
        elif born != generation[machine]:
            continue
        elif kind == "ready":
            take(now, machine, worker)
        elif kind == "end":
            del begun[machine][worker]
            done, end = done + 1, now
            take(now, machine, worker)
        else:  # the machine goes
            losses += 1
            generation[machine] += 1
            lost += sum(now - start for start in begun[machine].values())
            again += len(begun[machine])
            left += len(begun[machine])
            begun[machine].clear()
            waiting = [place for place in waiting if place[0] != machine]
            heapq.heappush(events, (now + cluster.back, "back", machine, 0, 0))
            while left and waiting:
                place = waiting.pop()
                idle += now - idle_since.pop(place)
                take(now, *place)
    idle += sum(end - idle_since[place] for place in waiting)
    ideal = clips / cluster.rate / 3600 / (cluster.machines * cluster.workers)
    return Outcome(end, ideal, lost, idle, losses, again)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=100_000_000)
    parser.add_argument("--rate", type=float, required=True, help="clips a second of a worker")
    parser.add_argument("--machines", type=int, default=64)
    parser.add_argument("--workers", type=int, default=16, help="of a machine")
    parser.add_argument("--losses", type=float, default=0.01, help="of a machine, an hour")
    parser.add_argument("--shards", type=int, nargs="+", default=[256, 1024, 4096, 16384])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    cluster = Cluster(args.machines, args.workers, args.rate, losses=args.losses)
    rows = []
    for shard in args.shards:
        rng = np.random.default_rng([args.seed, shard])
        runs = [simulate(cluster, args.clips, shard, rng) for _ in range(args.runs)]
        mean = {k: float(np.mean([getattr(r, k) for r in runs])) for k in vars(runs[0])}
        rows.append({"shard": shard} | {k: round(v, 3) for k, v in mean.items()})
        print(json.dumps(rows[-1]), flush=True)
    if args.json:
        args.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
