"""Scenes: one sound, two at once or two in turn, with several captions that are true of what is rendered."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .grammar import write_caption
from .sounds import KINDS
from .synthesis import sample_count

DEMO_SEED = 2309
BACKGROUND_DB = -7.0  # the second sound of a "while" scene lies this far under the first, in RMS


@dataclass(frozen=True, slots=True)
class Scene:
    """What is heard. events: names in KINDS; relation: "single", "while" or "then"; captions: distinct and true."""

    events: tuple[str, ...]
    relation: str
    captions: tuple[str, ...]


def make_scene(rng: np.random.Generator, events: tuple[str, ...], relation: str, captions: int = 5) -> Scene:
    """Write a scene of these events with up to ``captions`` distinct captions (at least two)."""
    texts: dict[str, None] = {}
    for _ in range(20 * captions):
        if len(texts) < captions:
            texts.setdefault(write_caption(rng, events, relation, manner=False))
    return Scene(events, relation, tuple(texts))


def sample_scene(rng: np.random.Generator, max_events: int = 2) -> Scene:
    """Draw a scene: with ``max_events`` 1 a single sound; with 2, two different sounds in six scenes of ten.

    Raises ValueError for another ``max_events``.
    """
    if max_events not in (1, 2):
        raise ValueError(f"max_events is {max_events}: a scene holds 1 or 2 sounds")
    relation = "single" if max_events == 1 else str(rng.choice(["single", "while", "then"], p=(0.4, 0.4, 0.2)))
    names = list(KINDS)
    picked = rng.choice(len(names), 1 if relation == "single" else 2, replace=False)
    return make_scene(rng, tuple(names[i] for i in picked), relation)


def render_scene(scene: Scene, rng: np.random.Generator, seconds: float = 10.0, sample_rate: int = 16000) -> np.ndarray:
    """Render a scene: [T] float32 mono, |x| < 1, T = round(seconds * sample_rate); the same rng state, the same sound.

    "while" mixes both for the whole time, the second BACKGROUND_DB under the first; "then" gives each about half,
    with a short cross-fade and equal loudness.
    """
    total = sample_count(seconds, sample_rate)
    match scene.relation:
        case "single":
            return KINDS[scene.events[0]].render(rng, seconds, sample_rate)
        case "while":
            front, back = (_loud(KINDS[name].render(rng, seconds, sample_rate)) for name in scene.events)
            mix = front + back * 10 ** (BACKGROUND_DB / 20)
        case "then":
            turn = seconds * rng.uniform(0.42, 0.55)
            fade = min(0.25, seconds / 20)
            first, second = scene.events
            mix = np.zeros(total)
            before = _loud(KINDS[first].render(rng, turn + fade, sample_rate))
            after = _loud(KINDS[second].render(rng, seconds - turn, sample_rate))
            ramp = np.linspace(0, 1, sample_count(fade, sample_rate))
            before[-len(ramp) :] *= ramp[::-1]
            after[: len(ramp)] *= ramp
            mix[: len(before)] += before[:total]
            mix[total - len(after) :] += after
        case _:
            raise ValueError(f"unknown relation {scene.relation!r}: use single, while or then")
    return (mix / max(np.abs(mix).max(), 1e-9) * rng.uniform(0.5, 0.95)).astype(np.float32)


def _loud(signal: np.ndarray) -> np.ndarray:
    """Bring a sound to a common loudness: unit RMS over its loudest half, so that pauses do not make it louder."""
    frames = np.array_split(signal.astype(np.float64) ** 2, 50)
    powers = np.sort([frame.mean() for frame in frames if len(frame)])
    return signal / np.sqrt(max(powers[len(powers) // 2 :].mean(), 1e-12))


def demo_scenes() -> tuple[tuple[str, Scene], ...]:
    """The eight demo scenes, always the same, as (file name, scene); six of one sound and two of two.

    Render scene i with ``np.random.default_rng(DEMO_SEED + i)`` to get the demo recordings.
    """
    rows = (
        ("dog.wav", ("dog",), "single"),
        ("rain.wav", ("rain",), "single"),
        ("siren.wav", ("siren",), "single"),
        ("birds.wav", ("birds",), "single"),
        ("church_bell.wav", ("church_bell",), "single"),
        ("typing.wav", ("typing",), "single"),
        ("dog_and_rain.wav", ("dog", "rain"), "while"),
        ("footsteps_then_knocking.wav", ("footsteps", "knocking"), "then"),
    )
    rng = np.random.default_rng(DEMO_SEED)
    return tuple((name, make_scene(rng, events, relation)) for name, events, relation in rows)
