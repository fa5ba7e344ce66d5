"""Render single sounds of the procedural SoundWorld to FLAC and list them as training pairs ``audio,caption,label``.

python benchmarks/soundworld_pairs.py runs/soundworld -o runs/soundworld.csv --per-kind 12
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
import soundfile

from wsac.soundworld import DEMO_SEED, KINDS, make_scene, render_scene

SAMPLE_RATE = 16_000  # Hz


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the recordings go")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the CSV")
    parser.add_argument("--per-kind", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=5.0)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    with options.output.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(("audio", "caption", "label"))
        for k, name in enumerate(KINDS):
            for i in range(options.per_kind):
                rng = np.random.default_rng([DEMO_SEED + 1, k, i])  # never the seed of a demo recording
                scene = make_scene(rng, (name,), "single")
                path = options.folder / f"{name}-{i}.flac"
                soundfile.write(path, render_scene(scene, rng, options.seconds, SAMPLE_RATE), SAMPLE_RATE)
                rows.writerows((path.as_posix(), caption, f"synthetic {name}") for caption in scene.captions)


if __name__ == "__main__":
    main()
