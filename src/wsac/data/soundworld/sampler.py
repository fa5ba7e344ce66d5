"""Scenes drawn at random: their form, their events, when each sounds, and what is special in it.

And the eight scenes of the demo.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .grammar import distinct, write_caption, write_references
from .kinds import KINDS, RATE, Kind
from .scene import BACKGROUNDS, FORMS, MAX_COUNT, SHARES, Event, Form, Placed, Scene, alike
from .take import LEAD

SHORTEST = 1.2  # seconds of an event in turn, at least, so that it can be recognised
DEMO_SEED = 2309


def sample_scene(
    rng: np.random.Generator,
    events: tuple[int, int] = (1, 4),
    seconds: float = 10.0,
    captions: int = 5,
) -> Scene:
    """Draw a scene with a number of events in this range, 5 to ``seconds`` long, with captions.

    No two kinds in it are alike, except that "again" has one twice. Every parameter that is not 0
    is audible: a louder sound has another beside it to be compared with; a faint or far one has so
    too, or the whole recording is faint.
    Raises ValueError outside 1 to 4 events, or for less than 1.5 seconds for each event.
    """
    low, high = events
    if not 1 <= low <= high <= 4:
        raise ValueError(f"events is {low} to {high}: a scene holds 1 to 4")
    if not seconds >= 1.5 * high:
        remedy = f"use at least {1.5 * high:g} s"
        raise ValueError(f"{seconds:g} s is too short for {high} events: {remedy}")
    weights = np.cumsum(SHARES[low - 1 : high])
    size = low + int(np.searchsorted(weights, rng.random() * weights[-1]))
    forms = [name for name, form in FORMS.items() if form.events == size]
    form = forms[int(rng.integers(len(forms)))]
    shortest = min(5.0, seconds) if size < 3 else 0.8 * seconds
    scene = _place(rng, form, round(float(rng.uniform(shortest, seconds)), 2))
    return replace(scene, captions=write_references(scene, rng, captions)) if captions else scene


def write_captions(
    rng: np.random.Generator, count: int, events: tuple[int, int] = (1, 4)
) -> list[str]:
    """Write ``count`` distinct captions of scenes with this range of events, without any sound.

    Raises ValueError when there are not enough, or outside 1 to 4 events.
    """

    def write() -> str:
        return write_caption(sample_scene(rng, events, captions=0), rng)

    return distinct(write, count, 20, "distinct captions")


def demo_scenes(seconds: float = 10.0) -> tuple[tuple[str, Scene], ...]:
    """The eight demo scenes, always the same, as (file name, scene): six single sounds, two pairs.

    Render scene i with ``np.random.default_rng(DEMO_SEED + i)`` to get the demo recordings.
    """

    def placed(kind: str, start: float = 0.0, gain_db: float = 0.0, share: float = 1.0) -> Placed:
        return Placed(Event(kind, seconds=seconds * share), start, gain_db)

    scenes = {}
    for kind in ("dog", "rain", "siren", "birds", "church_bell", "typing"):
        scenes[kind] = Scene("single", seconds, ((placed(kind),),))
    rain = placed("rain", gain_db=-7.0)
    scenes["dog_and_rain"] = Scene("while", seconds, ((placed("dog"),),), rain)
    steps, knocks = placed("footsteps", share=0.5), placed("knocking", seconds / 2, share=0.5)
    scenes["footsteps_then_knocking"] = Scene("then", seconds, ((steps,), (knocks,)))
    rng = np.random.default_rng(DEMO_SEED)
    return tuple(
        (f"{name}.wav", replace(scene, captions=write_references(scene, rng)))
        for name, scene in scenes.items()
    )


def _place(rng: np.random.Generator, name: str, total: float) -> Scene:
    """Draw the events of a scene of a form, and lay them out in ``total`` seconds or less."""
    form, turns = FORMS[name], len(FORMS[name].steps)
    kinds: list[str] = []
    background = None
    if form.background:
        kinds.append(BACKGROUNDS[int(rng.integers(len(BACKGROUNDS)))])
        event = replace(_draw(rng, kinds[0], total, form, "background"), seconds=total)
        background = Placed(event, 0.0, round(float(rng.uniform(-8, -4)), 1))
    steps: list[tuple[Placed, ...]] = []
    shares = _shares(rng, name, turns, total)
    remarkable = int(rng.integers(-1, turns))  # at most one step differs in level from the others
    at = float(rng.uniform(0, 0.2))
    for i, size in enumerate(form.steps):
        if name == "again" and i == 2:
            steps.append((replace(steps[0][0], start=round(at, 3)),))
        else:
            special = i == remarkable and size == 1 and (name != "again" or i == 1)
            share = float(min(shares[i], total - at))
            share *= 1.0 if turns > 1 else rng.uniform(0.6, 1)
            events = _step(rng, kinds, size, share, form, "remarkable" if special else "event")
            places = [Placed(event, round(at, 3), -2.0 * n) for n, event in enumerate(events)]
            steps.append(tuple(places))
        at = max(placed.end for placed in steps[-1]) + float(rng.uniform(-0.1, 0.3))
    if turns == 1:  # it need not start at once
        spare = max(0.0, total - steps[0][0].event.seconds)
        steps[0] = (replace(steps[0][0], start=round(float(rng.uniform(0, spare)), 3)),)
    elif not form.background:  # no long silence at the end
        total = round(max(min(5.0, total), min(total, at + 0.4)), 2)
    return _name_lengths(Scene(name, total, tuple(steps), background))


def _shares(rng: np.random.Generator, form: str, turns: int, total: float) -> np.ndarray:
    """The seconds of each step [turns]."""
    shares = rng.uniform(0.75, 1.25, turns)
    if form == "again":
        shares[2] = shares[0]
    room = total - 0.3 * (turns - 1) - (0.3 if turns > 1 else 0.0)
    return np.maximum(shares / shares.sum() * room, SHORTEST)


def _step(
    rng: np.random.Generator, kinds: list[str], size: int, share: float, form: Form, role: str
) -> list[Event]:
    """One event, or two that start together, of kinds unlike ``kinds``, to which they are added."""
    events = []
    for _ in range(size):
        kind = _unlike(rng, kinds)
        kinds.append(kind)
        if size == 1 and "length" in KINDS[kind].parameters and rng.random() < 0.25:
            share = min(share, float(rng.uniform(SHORTEST, 1.8)))
        events.append(_draw(rng, kind, share, form, role))
    longest = max(event.seconds for event in events)
    return [event if event.count else replace(event, seconds=longest) for event in events]


def _unlike(rng: np.random.Generator, names: list[str]) -> str:
    """A kind that is like none of these."""
    kinds = tuple(KINDS)
    while True:
        name = kinds[int(rng.integers(len(kinds)))]
        if not any(alike(name, other) for other in names):
            return name


def _draw(
    rng: np.random.Generator, name: str, share: float, form: Form, role: str = "event"
) -> Event:
    """An event of a kind that fits into ``share`` seconds of a scene of this form.

    role: "event", "background" (its strokes have no number) or "remarkable" (its loudness or its
    distance may differ from the others).
    """
    kind = KINDS[name]

    def lean(parameter: str, chance: float) -> int:
        if parameter not in kind.parameters or rng.random() >= chance:
            return 0
        return 1 if rng.random() < 0.5 else -1

    pitch, rate = lean("pitch", 0.5), lean("rate", 0.5)
    count: int | None = None
    if role != "background" and "count" in kind.parameters and rng.random() < 0.8:
        count, rate = _fitting(int(rng.integers(1, MAX_COUNT + 1)), rate, kind, share)
        needed = LEAD + (count - 1) * 1.05 * kind.period / RATE[rate] + kind.tail
        share = min(share, max(SHORTEST, needed))
    loudness = distance = 0
    if role == "remarkable":
        if rng.random() < 0.5:
            loudness = lean("loudness", 1.0)
        else:
            distance = lean("distance", 1.0)
        if form.events == 1:  # alone, nobody knows how loud a sound was
            loudness = min(loudness, 0)
        if form.background:  # it must stay above the background
            loudness, distance = max(loudness, 0), min(distance, 0)
    return Event(name, pitch, rate, count, loudness, distance, 0, round(share, 3))


def _fitting(wanted: int, rate: int, kind: Kind, share: float) -> tuple[int, int]:
    """The wanted number of strokes, or as many as fit into ``share`` seconds, and their rate.

    They are faster when only one would fit. A single stroke has no rate.
    """
    for speed in dict.fromkeys((rate, 0, int("rate" in kind.parameters))):
        room = (share - LEAD - kind.tail) / (1.05 * kind.period / RATE[speed])
        count = min(wanted, max(1, 1 + int(room)))
        if count > 1:
            return count, speed
    return 1, 0


def _name_lengths(scene: Scene) -> Scene:
    """Call an event brief or long where it is so beside the others in turn, and its kind can be."""
    spans = [max(placed.event.seconds for placed in step) for step in scene.steps]

    def named(placed: Placed, span: float) -> Placed:
        if "length" not in KINDS[placed.event.kind].parameters:
            return placed
        longest = max([other for other in spans if other != span] or [scene.seconds])
        brief = span <= 2.0 and scene.seconds >= 3 * span and longest >= 1.5 * span
        long = len(spans) > 1 and span >= 4.0 and span >= 1.8 * longest
        return replace(placed, event=replace(placed.event, length=-1 if brief else int(long)))

    if scene.form == "again":
        return scene
    steps = []
    for step, span in zip(scene.steps, spans, strict=True):
        steps.append(tuple(named(placed, span) for placed in step))
    return replace(scene, steps=tuple(steps))
