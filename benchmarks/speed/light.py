"""With torch and without: the same commands in turn, on torch and on NumPy with onnxruntime.

    python benchmarks/speed/light.py ../shared/audio/esc50 --clips 400

Each command runs in a new process, ``--rounds`` times for each of the two, in turn; shown is the
least of each. ``one by one`` captions each clip by itself in one process. The film is made of the
same clips. What the two write is compared: captions, cues, and rows of an archive.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
import soxr

from wsac.io.console import table

RATE = 16_000  # Hz of the film
ONE_BY_ONE = """
import json, sys
from wsac import Captioner
captioner = Captioner.load(device="cpu")
print(json.dumps([captioner.caption(path).text for path in open(sys.argv[1]).read().split("\\n")]))
"""


class Cost(NamedTuple):
    """Seconds by the clock and of processors, and the most memory in MB, of one process."""

    wall: float
    processor: float
    memory: float
    output: str


def run(words: list[str], arrays: str) -> Cost:
    with tempfile.TemporaryFile("w+") as out:
        began = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, *words],
            env={**os.environ, "WSAC_ARRAYS": arrays},
            stdout=out,
            stderr=subprocess.DEVNULL,
        )
        _, status, used = os.wait4(process.pid, 0)
        wall = time.monotonic() - began
        if status:
            raise SystemExit(f"{' '.join(words)[:200]}: ended with {status}")
        out.seek(0)
        return Cost(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1000, out.read())


def film_of(clips: list[Path], path: Path) -> None:
    parts = []
    for clip in clips:
        samples, rate = soundfile.read(clip, dtype="float32", always_2d=True)
        parts.append(soxr.resample(samples.mean(axis=1), rate, RATE))
    soundfile.write(path, np.concatenate(parts), RATE)


def rows_of(archive: Path) -> list[dict[str, object]]:
    from wsac.archive.archive_folder import Archive

    columns = ["path", "caption", "guess"]
    return [row for part in Archive.open(archive).tables(columns) for row in part.to_pylist()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="with short clips")
    parser.add_argument("--clips", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    every = sorted(path for path in options.folder.rglob("*") if path.suffix in (".ogg", ".wav"))
    clips = every[:: max(1, len(every) // options.clips)][: options.clips]
    with tempfile.TemporaryDirectory() as place:
        measure(Path(place), clips, options.rounds)


def measure(place: Path, clips: list[Path], rounds: int) -> None:
    listed, film, folder = place / "clips.txt", place / "film.flac", place / "clips"
    listed.write_text("\n".join(map(str, clips)), encoding="utf-8")
    film_of(clips[:240], film)
    folder.mkdir()
    for clip in clips:
        (folder / clip.name).symlink_to(clip.resolve())
    wsac = ["-m", "wsac"]
    rows, written = [], {}
    for name, words in {
        "one clip": [*wsac, "caption", str(clips[0]), "--json"],
        f"{len(clips)} clips": [*wsac, "caption", "--files-from", str(listed), "--json"],
        f"{len(clips)} clips, one by one": ["-c", ONE_BY_ONE, str(listed)],
        "film of 20 minutes": [*wsac, "subtitle", str(film), "--format", "srt", "--out"],
        f"archive of {len(clips)}": [*wsac, "archive", "build", str(folder), "--out"],
    }.items():
        best: dict[str, Cost] = {}
        for i in range(rounds):
            for arrays in ("torch", "numpy"):
                last = [str(place / f"{arrays}-{name}-{i}")] if words[-1] == "--out" else []
                cost = run([*words, *last], arrays)
                best[arrays] = min(cost, best.get(arrays, cost))
                written[name, arrays] = Path(last[0]) if last else cost.output
        torch, light = best["torch"], best["numpy"]
        for what, digits in (("wall", 2), ("processor", 2), ("memory", 0)):
            values = getattr(torch, what), getattr(light, what)
            shown = [f"{value:.{digits}f}" for value in values]
            rows.append((f"{name}: {what}", *shown, f"{values[1] / values[0]:.2f}"))
            print(*rows[-1], sep="\t", flush=True)
    table("", ("", "torch>", "without>", "ratio>"), rows)
    for (name, arrays), ours in written.items():
        if arrays == "numpy":
            print(f"{name}: {equal(ours, written[name, 'torch'])}")


def equal(ours: str | Path, theirs: str | Path) -> str:
    """How many captions, cues or rows are the same."""
    if isinstance(ours, str):
        pairs = zip(json.loads(ours), json.loads(str(theirs)), strict=True)
        texts = [(a, b) if isinstance(a, str) else (text_of(a), text_of(b)) for a, b in pairs]
    elif (ours / "archive.json").is_file():
        texts = list(zip(rows_of(ours), rows_of(Path(theirs)), strict=True))
    else:
        files = (next(Path(part).glob("*.srt")).read_text("utf-8") for part in (ours, theirs))
        texts = list(zip(*(text.split("\n\n") for text in files), strict=True))
    return f"{sum(a == b for a, b in texts)} of {len(texts)} are the same"


def text_of(row: dict[str, object]) -> object:
    return row.get("caption") or row.get("guess")


if __name__ == "__main__":
    main()
