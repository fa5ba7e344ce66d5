"""Captions that are false in one respect: the order, one kind, or one parameter of an event.

They test what a model attends to.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from .grammar import compose, phrases_of
from .kinds import KINDS
from .phrases import notable, pick, say_event
from .scene import FORMS, MAX_COUNT, Event, Scene, alike

ORDER_SHARE = 0.7  # how often a scene with an order gets a false order


def write_false(scene: Scene, rng: np.random.Generator) -> str:
    """Write a caption in the style of the true ones that is false in exactly one respect.

    Where one event follows another, mostly two neighbours change places. Else another kind
    takes the place of one, or a pitch, a rate or a number is contradicted.
    """
    if len(scene.steps) > 1 and rng.random() < ORDER_SHARE:
        return false_order(scene, rng)
    wrong = false_parameter(scene, rng) if rng.random() < 0.5 else None
    return wrong or false_kind(scene, rng)


def swap_order(scene: Scene, rng: np.random.Generator) -> tuple[str, str]:
    """A true caption of "A then B", and the same sentence with A and B exchanged, which is false.

    Raises ValueError for a scene of another form.
    """
    if scene.form != "then":
        remedy = "only scenes of the form 'then' have an order to swap"
        raise ValueError(f"the form is {scene.form!r}: {remedy}")
    template = pick(rng, FORMS["then"].templates)
    phrases = phrases_of(scene, rng)
    return compose("then", template, phrases), compose("then", template, phrases[::-1])


def false_order(scene: Scene, rng: np.random.Generator) -> str:
    """Exchange two neighbouring steps. Raises ValueError for a scene without an order."""
    if len(scene.steps) < 2:
        raise ValueError(f"the form is {scene.form!r}: nothing in it follows anything")
    template = pick(rng, FORMS[scene.form].templates)
    phrases = phrases_of(scene, rng)
    together = scene.form == "together"  # "A and B, then C" becomes "A and C, then B"
    i = int(rng.integers(2 if together else len(phrases) - FORMS[scene.form].background - 1))
    j = 2 if together else i + 1
    phrases[i], phrases[j] = phrases[j], phrases[i]
    return compose(scene.form, template, phrases)


def false_kind(scene: Scene, rng: np.random.Generator) -> str:
    """Name another kind, unlike all in the scene, in the place of one, without its parameters."""
    unlike = [name for name in KINDS if not any(alike(name, kind) for kind in scene.events)]
    other, phrases = pick(rng, unlike), phrases_of(scene, rng)
    i = int(rng.integers(len(phrases)))
    phrases[i] = say_event(Event(other, seconds=scene.described[i].seconds), rng)
    return compose(scene.form, pick(rng, FORMS[scene.form].templates), phrases)


def false_parameter(scene: Scene, rng: np.random.Generator) -> str | None:
    """Contradict an audible pitch, rate or number. None for a scene without any."""
    places = []
    for i, event in enumerate(scene.described):
        places += [(i, name) for name in notable(event) if name in ("pitch", "rate", "count")]
    if not places:
        return None
    (i, name), phrases = pick(rng, places), phrases_of(scene, rng)
    event = scene.described[i]
    counts = [count for count in range(1, MAX_COUNT + 1) if count != event.count]
    change: dict[str, Any] = {name: pick(rng, counts) if name == "count" else -getattr(event, name)}
    phrases[i] = say_event(replace(event, **change), rng, must=name)
    return compose(scene.form, pick(rng, FORMS[scene.form].templates), phrases)
