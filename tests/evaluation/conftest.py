"""Twelve sounds with captions, and a captioner."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile

RATE = 16_000
RECIPES = Path(__file__).parents[2] / "src" / "wsac" / "recipes"


@pytest.fixture
def folder(captioner, captions, tmp_path):
    """Twelve tones, captions of them, pairs, and a captioner."""
    sounds = tmp_path / "sounds"
    sounds.mkdir()
    rng = np.random.default_rng(0)
    with (tmp_path / "pairs.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("audio", "caption"))
        for i in range(12):
            sound = 0.1 * np.sin(np.arange(RATE) / (2 + i)) + 0.01 * rng.standard_normal(RATE)
            soundfile.write(sounds / f"{i}.wav", sound, RATE)
            rows.writerow((f"sounds/{i}.wav", captions[i]))
    (tmp_path / "captions.txt").write_text("\n".join(captions) + "\n")
    captioner.save(tmp_path / "run")
    return tmp_path
