"""Archives of short SoundWorld clips: engines compared, and builds that are killed over and over.

``engines``: one process, two processes and ray build the same clips, one after the other; shards
compared byte for byte. ``workers``: ray, with actors killed at random and the driver twice.
``everything``: the local engine, all its processes killed at random moments, until it is done.

    python benchmarks/archive/killed_builds.py --clips 20000 engines workers everything

20,000 clips take about 20 minutes for each build on two quiet cores, which is four hours in all.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from wsac.archive.archive_folder import Archive
from wsac.data.soundworld.write import write_scenes

SECONDS = 2.0  # of a clip


def shards(archive: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (archive / "shards").glob("part-*")}


def start(clips: Path, archive: Path, options: list[str], files: int) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-m", "wsac", "archive", "build", str(clips), "--out", str(archive)]
    words += ["--shard-files", str(files), *options]
    return subprocess.Popen(words, start_new_session=True, stderr=subprocess.DEVNULL)


def timed_build(clips: Path, archive: Path, options: list[str], files: int) -> dict[str, float]:
    """Seconds of a whole build, and until its first shard is there."""
    began, first = time.monotonic(), 0.0
    process = start(clips, archive, options, files)
    while process.poll() is None:
        time.sleep(0.05)
        if not first and any((archive / "shards").glob("part-*")):
            first = time.monotonic() - began
    if process.returncode:
        raise SystemExit(f"{archive.name}: exit code {process.returncode}")
    return {"seconds": time.monotonic() - began, "first_rows": first}


def compare_engines(clips: Path, folder: Path, files: int) -> dict[str, object]:
    engines = {
        "one process": ["--workers", "1"],
        "local": ["--workers", "2"],
        "ray": ["--workers", "2", "--engine", "ray"],
    }
    os.environ["OMP_NUM_THREADS"] = "1"
    times: dict[str, object] = {}
    for name, options in engines.items():
        times[name] = timed_build(clips, folder / name, options, files)
        print(f"{name}: {times[name]}", flush=True)
    same = shards(folder / "local") == shards(folder / "ray") == shards(folder / "one process")
    return {"times": times, "same_shards": same}


def actors_of(session: int) -> list[int]:
    """The processes of the actors that a driver of this session has."""
    lines = subprocess.run(
        ["ps", "-eo", "pid=,sid=,args="], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    rows = [line.split(None, 2) for line in lines]
    return [int(pid) for pid, sid, name in rows if sid == str(session) and "ray::Actor" in name]


def kill_workers(
    clips: Path, folder: Path, files: int, kills: int, rng: random.Random, total: int
) -> dict[str, object]:
    """Spread over the build: actors ``kills`` times and the driver twice, by SIGKILL."""
    archive, done, drivers = folder / "killed actors", 0, 0
    moments = sorted(rng.uniform(0.02, 0.9) for _ in range(kills + 2))
    at_driver = set(rng.sample(range(kills + 2), 2))
    options = ["--workers", "2", "--engine", "ray"]
    process = start(clips, archive, options, files)
    lost, place = 0, 0
    while process.poll() is None or process.returncode == -signal.SIGKILL:
        if process.returncode == -signal.SIGKILL:
            process = start(clips, archive, options, files)
        time.sleep(0.1)
        written = len(shards_written(archive))
        if place == len(moments) or written < moments[place] * total:
            continue
        if place in at_driver:
            process.kill()
            process.wait()
            drivers += 1
        elif actors := actors_of(process.pid):
            os.kill(rng.choice(actors), signal.SIGKILL)
            done += 1
        else:
            continue
        place += 1
        lost += len(shards_written(archive)) < written
    return {"actors_killed": done, "drivers_killed": drivers, "shards_lost": lost} | check(
        archive, folder / "local", process.returncode
    )


def shards_written(archive: Path) -> set[str]:
    return {path.name for path in (archive / "shards").glob("part-*")}


def kill_everything(
    clips: Path, folder: Path, files: int, kills: int, rng: random.Random, total: int
) -> dict[str, object]:
    """All processes of the local engine by SIGKILL, at moments spread over the whole build.

    What is done again is at most what was under way: a shard for each of the two workers.
    """
    archive, lost = folder / "killed", 0
    moments = sorted(rng.uniform(0, 0.95) for _ in range(kills))
    options = ["--workers", "2"]
    for moment in moments:
        process = start(clips, archive, options, files)
        while process.poll() is None and len(shards_written(archive)) < moment * total:
            time.sleep(0.02)
        time.sleep(rng.uniform(0, 4))
        before = shards_written(archive)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        time.sleep(0.3)
        lost += not before <= shards_written(archive)
    process = start(clips, archive, options, files)
    return {"kills": kills, "shards_lost": lost} | check(archive, folder / "local", process.wait())


def check(archive: Path, whole: Path, code: int) -> dict[str, object]:
    """Compare with a build that nobody stopped."""
    paths = [row for table in Archive.open(archive).tables(["path"]) for row in table["path"]]
    paths = [path.as_py() for path in paths]
    leftovers = [path.name for path in (archive / "shards").iterdir()]
    return {
        "exit_code": code,
        "rows": len(paths),
        "twice": len(paths) - len(set(paths)),
        "same_shards": shards(archive) == shards(whole),
        "leftovers": sum(not name.startswith("part-") for name in leftovers),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="+", choices=("engines", "workers", "everything"))
    parser.add_argument("--clips", type=int, default=2000)
    parser.add_argument("--folder", type=Path, help="keeps clips and archives for the next run")
    parser.add_argument("--shard-files", type=int, default=64)
    parser.add_argument("--kills", type=int, default=10, help="of actors")
    parser.add_argument("--stops", type=int, default=20, help="of everything")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    folder = args.folder or Path(tempfile.mkdtemp())
    clips, rng = folder / "clips", random.Random(args.seed)
    if not clips.is_dir():
        write_scenes(clips, args.clips, args.seed, events=(1, 1), seconds=SECONDS)
    total = -(-args.clips // args.shard_files)
    results: dict[str, object] = {"clips": args.clips, "shard_files": args.shard_files}
    if "engines" in args.what:
        results["engines"] = compare_engines(clips, folder, args.shard_files)
    elif not (folder / "local").is_dir():
        timed_build(clips, folder / "local", ["--workers", "2"], args.shard_files)
    if "workers" in args.what:
        results["workers"] = kill_workers(clips, folder, args.shard_files, args.kills, rng, total)
    if "everything" in args.what:
        results["everything"] = kill_everything(
            clips, folder, args.shard_files, args.stops, rng, total
        )
    print(json.dumps(results, indent=2))
    if args.json:
        args.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
