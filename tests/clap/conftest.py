"""Recordings to embed."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile


@pytest.fixture
def sounds(tmp_path):
    """Three recordings of half a second, two and twelve seconds."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "sounds"
    folder.mkdir()
    for name, seconds in (("short", 0.5), ("middle", 2.0), ("long", 12.0)):
        soundfile.write(
            folder / f"{name}.wav", 0.1 * rng.standard_normal(int(8000 * seconds)), 8000
        )
    return folder
