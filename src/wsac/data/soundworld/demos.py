"""The eight recordings of the demo."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .events import Event
from .grammar import write_references
from .scene import Placed, Scene

DEMO_SEED = 2309


def demo_scenes(seconds: float = 10.0) -> tuple[tuple[str, Scene], ...]:
    """The eight demo scenes, always the same, as (file name, scene); six of one sound and two of two.

    Render scene i with ``np.random.default_rng(DEMO_SEED + i)`` to get the demo recordings.
    """
    rng = np.random.default_rng(DEMO_SEED)
    found = []
    for name in ("dog", "rain", "siren", "birds", "church_bell", "typing"):
        found.append(
            (
                f"{name}.wav",
                Scene("single", seconds, ((Placed(Event(name, seconds=seconds), 0.0),),)),
            )
        )
    dog, rain = (
        Placed(Event("dog", seconds=seconds), 0.0),
        Placed(Event("rain", seconds=seconds), 0.0, -7.0),
    )
    found.append(("dog_and_rain.wav", Scene("while", seconds, ((dog,),), rain)))
    half = seconds / 2
    turns = tuple(
        (Placed(Event(name, seconds=half), i * half),)
        for i, name in enumerate(("footsteps", "knocking"))
    )
    found.append(("footsteps_then_knocking.wav", Scene("then", seconds, turns)))
    return tuple(
        (name, replace(scene, captions=write_references(scene, rng))) for name, scene in found
    )
