"""Scenes drawn at random: their form, their events, when each sounds, and what can be said of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .alike import alike
from .events import LEAD, MOST, RATE, Event
from .grammar import distinct_captions, write_references
from .kinds import KINDS, Kind
from .scene import FORMS, Placed, Scene

SIZES = {1: 0.15, 2: 0.35, 3: 0.3, 4: 0.2}  # how often a scene has so many events
SHORTEST = 1.2  # seconds of an event in turn, at least, so that it can be recognised
# What can go on all through a scene, and is still heard behind others.
BACKGROUNDS = (
    *(
        "rain",
        "wind",
        "sea_waves",
        "stream",
        "fire",
        "drip",
        "birds",
        "crickets",
        "insect",
        "man",
        "woman",
        "crowd",
    ),
    *(
        "baby",
        "snoring",
        "whistle",
        "clapping",
        "engine",
        "helicopter",
        "vacuum_cleaner",
        "train",
        "siren",
        "static",
    ),
    *("alarm_clock", "hum", "clock", "typing", "footsteps", "horse", "piano", "guitar", "drums"),
)


def sample_scene(
    rng: np.random.Generator,
    events: tuple[int, int] = (1, 4),
    seconds: float = 10.0,
    captions: int = 5,
) -> Scene:
    """Draw a scene with so many events at least and at most, 5 to ``seconds`` long, and write its captions.

    No two kinds in it are alike, except that "again" has one twice. Every parameter that is not 0 is audible: a louder
    sound has another beside it to be compared with; a faint or far one has so too, or the whole recording is faint.
    Raises ValueError for numbers of events outside 1 to 4, or less than 1.5 seconds for each event.
    """
    least, most = events
    if not 1 <= least <= most <= 4:
        raise ValueError(f"events is {least} to {most}: a scene holds 1 to 4")
    if not seconds >= 1.5 * most:
        raise ValueError(
            f"{seconds:g} s is too short for {most} events: use at least {1.5 * most:g} s"
        )
    sizes = [size for size in SIZES if least <= size <= most]
    weights = np.cumsum([SIZES[size] for size in sizes])
    size = sizes[int(np.searchsorted(weights, rng.random() * weights[-1]))]
    forms = [form for form, (_, _, count) in FORMS.items() if count == size]
    form = forms[int(rng.integers(len(forms)))]
    total = round(float(rng.uniform(min(5.0, seconds) if size < 3 else 0.8 * seconds, seconds)), 2)
    scene = _place(rng, form, total)
    return replace(scene, captions=write_references(scene, rng, captions)) if captions else scene


def write_captions(
    rng: np.random.Generator, count: int, events: tuple[int, int] = (1, 4)
) -> list[str]:
    """Write ``count`` distinct captions of scenes with so many events, without any sound; there are millions.

    Raises ValueError when there are not so many, or for numbers of events outside 1 to 4.
    """
    return distinct_captions(rng, count, lambda rng: sample_scene(rng, events, captions=0))


def _place(rng: np.random.Generator, form: str, total: float) -> Scene:
    behind, sizes, _ = FORMS[form]
    names: list[str] = []
    background = None
    if behind:
        names.append(BACKGROUNDS[int(rng.integers(len(BACKGROUNDS)))])
        event = _draw(rng, names[0], total, _Context(), counted=False)
        background = Placed(
            replace(event, seconds=total), 0.0, round(float(rng.uniform(-8, -4)), 1)
        )
    steps: list[tuple[Placed, ...]] = []
    turns = len(sizes)
    shares = rng.uniform(0.75, 1.25, turns)
    if form == "again":
        shares[2] = shares[0]
    room = total - 0.3 * (turns - 1) - (0.3 if turns > 1 else 0.0)
    shares = np.maximum(shares / shares.sum() * room, SHORTEST)
    remarkable = int(
        rng.integers(-1, turns)
    )  # at most one step is louder, fainter or farther than the others
    at = float(rng.uniform(0, 0.2))
    for i, size in enumerate(sizes):
        if form == "again" and i == 2:
            steps.append((replace(steps[0][0], start=round(at, 3)),))
        else:
            level = i == remarkable and size == 1 and (form != "again" or i == 1)
            context = _Context(level=level, relative=turns > 1 or behind, solo=not behind)
            share = float(min(shares[i], total - at))
            steps.append(
                _step(
                    rng,
                    names,
                    size,
                    share if turns > 1 else share * rng.uniform(0.6, 1),
                    at,
                    context,
                )
            )
        at = max(placed.end for placed in steps[-1]) + float(rng.uniform(-0.1, 0.3))
    if turns == 1:  # it need not start at once
        spare = max(0.0, total - steps[0][0].event.seconds)
        steps[0] = (replace(steps[0][0], start=round(float(rng.uniform(0, spare)), 3)),)
    elif not behind:  # no long silence at the end
        total = round(max(min(5.0, total), min(total, at + 0.4)), 2)
    return _lengths(Scene(form, total, tuple(steps), background))


@dataclass(frozen=True, slots=True)
class _Context:
    """Where an event stands. level: it may be fainter, louder, nearer or farther than others; relative: there are
    others to compare it with; solo: nothing lies behind it."""

    level: bool = False
    relative: bool = False
    solo: bool = True


def _step(
    rng: np.random.Generator,
    names: list[str],
    size: int,
    share: float,
    at: float,
    context: _Context,
) -> tuple[Placed, ...]:
    """One event, or two from the first to the last together, of kinds that are unlike ``names``, which they join."""
    step = []
    for n in range(size):
        name = _unlike(rng, names)
        names.append(name)
        if size == 1 and "length" in KINDS[name].parameters and rng.random() < 0.25:
            share = min(share, float(rng.uniform(SHORTEST, 1.8)))
        step.append(Placed(_draw(rng, name, share, context), round(at, 3), -2.0 * n))
    longest = max(placed.event.seconds for placed in step)
    return tuple(
        placed
        if placed.event.count
        else replace(placed, event=replace(placed.event, seconds=longest))
        for placed in step
    )


def _unlike(rng: np.random.Generator, names: list[str]) -> str:
    """A kind that none of these is like."""
    everything = tuple(KINDS)
    while True:
        name = everything[int(rng.integers(len(everything)))]
        if not any(alike(name, other) for other in names):
            return name


def _draw(
    rng: np.random.Generator, name: str, share: float, context: _Context, counted: bool = True
) -> Event:
    """An event of a kind that fits into ``share`` seconds. counted: its strokes may have a number."""
    kind = KINDS[name]

    def lean(parameter: str, chance: float) -> int:
        if parameter not in kind.parameters or rng.random() >= chance:
            return 0
        return 1 if rng.random() < 0.5 else -1

    pitch, rate = lean("pitch", 0.5), lean("rate", 0.5)
    count: int | None = None
    if counted and "count" in kind.parameters and rng.random() < 0.8:
        count, rate = _fitting(int(rng.integers(1, MOST + 1)), rate, kind, share)
        share = min(
            share, max(SHORTEST, LEAD + (count - 1) * 1.05 * kind.period / RATE[rate] + kind.tail)
        )
    loudness = distance = 0
    if context.level:
        if rng.random() < 0.5:
            loudness = lean("loudness", 1.0)
        else:
            distance = lean("distance", 1.0)
        if not context.relative:
            loudness = min(
                loudness, 0
            )  # alone, a sound is faint or not; how loud it was nobody knows
        if not context.solo:
            loudness, distance = (
                max(loudness, 0),
                min(distance, 0),
            )  # it must stay above what lies behind it
    return Event(name, pitch, rate, count, loudness, distance, 0, round(share, 3))


def _fitting(wanted: int, rate: int, kind: Kind, share: float) -> tuple[int, int]:
    """As many strokes as are wanted, or as fit into ``share`` seconds; faster when only one would fit; and the rate.

    A single stroke has no rate.
    """
    for speed in dict.fromkeys((rate, 0, int("rate" in kind.parameters))):
        count = min(
            wanted, max(1, 1 + int((share - LEAD - kind.tail) / (1.05 * kind.period / RATE[speed])))
        )
        if count > 1:
            return count, speed
    return 1, 0


def _lengths(scene: Scene) -> Scene:
    """Call an event brief or long where it is so beside the others in turn, and its kind can go on."""
    spans = [max(placed.event.seconds for placed in step) for step in scene.steps]

    def named(placed: Placed, span: float) -> Placed:
        others = [other for other in spans if other != span] or [scene.seconds]
        if "length" not in KINDS[placed.event.kind].parameters:
            return placed
        brief = span <= 2.0 and scene.seconds >= 3 * span and max(others) >= 1.5 * span
        long = len(spans) > 1 and span >= 4.0 and span >= 1.8 * max(others)
        return replace(placed, event=replace(placed.event, length=-1 if brief else int(long)))

    if scene.form == "again":
        return scene
    steps = tuple(
        tuple(named(placed, span) for placed in step)
        for step, span in zip(scene.steps, spans, strict=True)
    )
    return replace(scene, steps=steps)
