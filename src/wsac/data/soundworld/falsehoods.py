"""Captions that are false in one respect: the order, one kind, or one parameter. They test what a model attends to."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .alike import alike
from .events import MOST, Event
from .grammar import TEMPLATES, compose, phrases_of
from .kinds import KINDS
from .phrases import heard, pick, say_event
from .scene import Scene

ORDER = 0.7  # how often a scene with an order gets a false order


def write_false(scene: Scene, rng: np.random.Generator) -> str:
    """Write one caption in the style of the true ones that is false of the scene in exactly one respect.

    Where something follows something, mostly two neighbours change places. Else another kind takes the place of one,
    or a pitch, a rate or a number is contradicted.
    """
    if len(scene.steps) > 1 and rng.random() < ORDER:
        return false_order(scene, rng)
    wrong = false_parameter(scene, rng) if rng.random() < 0.5 else None
    return wrong or false_kind(scene, rng)


def swap_order(scene: Scene, rng: np.random.Generator) -> tuple[str, str]:
    """A true caption of "A then B", and the same sentence with A and B exchanged, which is false.

    Raises ValueError for a scene of another form.
    """
    if scene.form != "then":
        raise ValueError(
            f"the form is {scene.form!r}: only scenes of the form 'then' have an order to swap"
        )
    template = pick(rng, TEMPLATES["then"])
    steps, _ = phrases_of(scene, rng)
    return compose("then", template, steps), compose("then", template, steps[::-1])


def false_order(scene: Scene, rng: np.random.Generator) -> str:
    """Exchange two neighbouring steps. Raises ValueError for a scene without an order."""
    if len(scene.steps) < 2:
        raise ValueError(f"the form is {scene.form!r}: nothing in it follows anything")
    template = pick(rng, TEMPLATES[scene.form])
    steps, background = phrases_of(scene, rng)
    if scene.form == "together":  # of "A and B, then C" make "A and C, then B"
        i = int(rng.integers(2))
        steps[i], steps[2] = steps[2], steps[i]
    else:
        i = int(rng.integers(len(steps) - 1))
        steps[i], steps[i + 1] = steps[i + 1], steps[i]
    return compose(scene.form, template, steps, background)


def false_kind(scene: Scene, rng: np.random.Generator) -> str:
    """Name another kind, unlike all in the scene, in the place of one; of its parameters only what fits is said."""
    names = list(KINDS)
    other = pick(
        rng, [name for name in names if not any(alike(name, there) for there in scene.events)]
    )
    return _with_changed(scene, rng, lambda event: Event(other, seconds=event.seconds), None)


def false_parameter(scene: Scene, rng: np.random.Generator) -> str | None:
    """Contradict a pitch, a rate or a number that is heard; None where nothing of the kind is."""
    places = [
        (i, name)
        for i, event in enumerate(_events(scene))
        for name in heard(event)
        if name in ("pitch", "rate", "count")
    ]
    if not places:
        return None
    i, name = pick(rng, places)

    def contradicted(event: Event) -> Event:
        if name == "count":
            return replace(
                event, count=pick(rng, [n for n in range(1, MOST + 1) if n != event.count])
            )
        return replace(event, **{name: -getattr(event, name)})

    return _with_changed(scene, rng, contradicted, name, i)


def _events(scene: Scene) -> list[Event]:
    """The events that a caption has words for: those of the steps in their order, then the background."""
    events = [placed.event for step in scene.steps for placed in step]
    events = events[:2] if scene.form == "again" else events
    return [*events, scene.background.event] if scene.background else events


def _with_changed(
    scene: Scene, rng: np.random.Generator, change, must: str | None, at: int | None = None
) -> str:  # type: ignore[no-untyped-def]
    """A caption in which one event is another: ``change(event)``, with the parameter ``must`` said."""
    steps, background = phrases_of(scene, rng)
    events = _events(scene)
    at = int(rng.integers(len(events))) if at is None else at
    phrase = say_event(change(events[at]), rng, must)
    if at < len(steps):
        steps[at] = phrase
    else:
        background = phrase
    return compose(scene.form, pick(rng, TEMPLATES[scene.form]), steps, background)
