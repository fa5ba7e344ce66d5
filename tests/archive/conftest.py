"""Recordings to archive, and a captioner of a few kilobytes on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from wsac.archive.build import BuildOptions, build_archive


@pytest.fixture
def model(captioner, tmp_path) -> Path:
    captioner.save(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def make_sounds():
    """Writes noises of half a second as 0.wav and so on, each of another content."""

    def make(folder: Path, count: int, first: int = 0) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for i in range(first, first + count):
            noise = np.random.default_rng(i).uniform(-0.5, 0.5, 24_000)
            soundfile.write(folder / f"{i:03d}.wav", noise, 48_000, subtype="PCM_16")
        return folder

    return make


@pytest.fixture
def build(model, tmp_path):
    """Builds tmp_path/archive of tmp_path/sounds with four files a shard, in this process."""

    def call(*inputs, out=tmp_path / "archive", **changes):
        settings = {"model": str(model), "workers": 0, "shard_files": 4, "device": "cpu"}
        options = BuildOptions(**(settings | changes))
        return build_archive(inputs or [tmp_path / "sounds"], out, options)

    return call
