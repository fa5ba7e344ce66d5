"""Randomness by seed and place of use alone, so that a resumed run repeats exactly."""

from __future__ import annotations

import hashlib

import numpy as np

from wsac.arrays import torch


def seed_for(seed: int, *place: int | str) -> int:
    """A 63-bit seed for a place such as ``("dropout", step)``."""
    text = "/".join(str(part) for part in (seed, *place))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


def generator_for(seed: int, *place: int | str) -> torch.Generator:
    """A torch generator for a place."""
    return torch.Generator().manual_seed(seed_for(seed, *place))


def numpy_for(seed: int, *place: int | str) -> np.random.Generator:
    """A NumPy generator for a place."""
    return np.random.default_rng(seed_for(seed, *place))
