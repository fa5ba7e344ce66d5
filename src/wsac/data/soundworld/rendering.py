"""From a scene to its sound."""

from __future__ import annotations

import numpy as np

from .kinds import render_event
from .scene import Scene
from .synthesis import band, noise, sample_count


def render_scene(
    scene: Scene, rng: np.random.Generator, seconds: float | None = None, sample_rate: int = 16000
) -> np.ndarray:
    """Render a scene: [T] float32 mono, |x| < 1, T = round(seconds * sample_rate); the same rng state, the same sound.

    seconds: left out, the scene's own; fewer cut the end off, more add the silence of a room.
    """
    seconds = scene.seconds if seconds is None else seconds
    count = sample_count(seconds, sample_rate)
    mix = noise(rng, count, sample_rate, band(40, 12000), tilt=1.0) * 10 ** rng.uniform(-3.6, -3.1)
    for placed in scene.placed:
        at = round(placed.start * sample_rate)
        sound = render_event(placed.event, rng, sample_rate)[: max(0, count - at)]
        mix[at : at + len(sound)] += sound * 10 ** (placed.gain_db / 20)
    mix *= 10 ** (rng.uniform(-2, 2) / 20)
    return (mix * min(1.0, 0.97 / max(float(np.abs(mix).max()), 1e-9))).astype(np.float32)
