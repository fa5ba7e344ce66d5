"""The sentences: one true caption of a scene after another, and the templates of every form of scene.

They read like those people write for short recordings ("A dog barks twice, then rain falls in the background").
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .phrases import Phrase, pick, say_event
from .scene import Scene

# {a} {b} {c} {d}: the steps in their order; {p}: the background. f: a clause ("a dog barks"), g: a gerund ("a dog
# barking"), n: a noun phrase ("the barking of a dog"); F, G, N: the first step once more ("the dog barks").
TEMPLATES: dict[str, tuple[str, ...]] = {
    "single": ("{a.f}", "{a.f}", "{a.g}", "{a.n}", "the sound of {a.g}", "{a.n} can be heard"),
    "while": (
        "{a.f} while {p.f}",
        "{a.f} as {p.f}",
        "{a.f} while {p.f} in the background",
        "{a.f} with {p.g} in the background",
        "{a.f} with {p.n} in the background",
        "{a.g} while {p.f}",
        "as {p.f}, {a.f}",
        "while {p.f} in the background, {a.f}",
        "{a.n} over {p.n}",
        "{a.g} with {p.n} in the background",
    ),
    "then": (
        "{a.f}, then {b.f}",
        "{a.f} and then {b.f}",
        "{a.f}, followed by {b.g}",
        "{a.g} followed by {b.g}",
        "{a.n} followed by {b.n}",
        "{a.n} and then {b.n}",
        "first {a.f}, and then {b.f}",
        "{a.f} before {b.f}",
        "after {a.f}, {b.f}",
        "{b.f} after {a.f}",
        "{a.g}, and after that {b.g}",
    ),
    "then3": (
        "{a.f}, then {b.f}, and finally {c.f}",
        "first {a.f}, then {b.f}, and finally {c.f}",
        "{a.f}, followed by {b.g} and then {c.g}",
        "{a.g}, then {b.g}, and finally {c.g}",
        "{a.n} followed by {b.n} and then {c.n}",
        "{a.n}, then {b.n}, then {c.n}",
        "{a.f} before {b.f}, and then {c.f}",
        "after {a.f}, {b.f} and then {c.f}",
        "{a.g} followed by {b.g}, and {c.g} at the end",
    ),
    "again": (
        "{a.f}, then {b.f}, and then {a.F} again",
        "first {a.f}, then {b.f}, and finally {a.F} again",
        "{a.f} before and after {b.f}",
        "{a.f}, followed by {b.g}, and then {a.F} once more",
        "{a.g}, then {b.g}, then {a.G} again",
        "{a.n}, then {b.n}, and then {a.N} again",
        "{a.f}, {b.f} and {a.F} again",
    ),
    "together": (
        "{a.f} while {b.f}, and then {c.f}",
        "{a.f} as {b.f}, followed by {c.g}",
        "{a.f} and {b.f} at the same time, then {c.f}",
        "{a.g} and {b.g} together, followed by {c.g}",
        "{a.n} together with {b.n}, and then {c.n}",
        "first {a.f} while {b.f}, then {c.f}",
        "after {a.n} and {b.n} together, {c.f}",
    ),
    "background_then": (
        "while {p.f} in the background, {a.f} and then {b.f}",
        "as {p.f}, {a.f}, then {b.f}",
        "{a.f}, then {b.f}, with {p.n} throughout",
        "{a.f}, followed by {b.g}, while {p.f} in the background",
        "{a.n} followed by {b.n}, with {p.n} in the background",
        "{a.g} followed by {b.g}, with {p.n} throughout",
        "with {p.g} in the background, first {a.f}, and then {b.f}",
        "over {p.n}, {a.f} before {b.f}",
    ),
    "background_then3": (
        "while {p.f} in the background, {a.f}, then {b.f}, and finally {c.f}",
        "as {p.f}, {a.f}, followed by {b.g} and then {c.g}",
        "{a.f}, then {b.f}, and finally {c.f}, with {p.n} throughout",
        "{a.n} followed by {b.n} and then {c.n}, with {p.n} in the background",
        "with {p.g} in the background, first {a.f}, then {b.f}, and then {c.f}",
        "over {p.n}, {a.g}, then {b.g}, then {c.g}",
    ),
    "then4": (
        "{a.f}, then {b.f}, followed by {c.g}, and finally {d.g}",
        "first {a.f}, then {b.f}, then {c.f}, and finally {d.f}",
        "{a.n}, then {b.n}, then {c.n}, and finally {d.n}",
        "{a.g} followed by {b.g}, then {c.g}, and {d.g} at the end",
        "{a.f} before {b.f}, then {c.f}, and finally {d.f}",
        "after {a.f}, {b.f}, then {c.f}, and then {d.f}",
    ),
}
SHORT = {
    "f": "finite",
    "g": "gerund",
    "n": "noun",
    "F": "again",
    "G": "again_gerund",
    "N": "again_noun",
}


def write_references(scene: Scene, rng: np.random.Generator, count: int = 5) -> tuple[str, ...]:
    """Write so many different captions, all true: sentence case, no final period.

    Each names every event in its place; they differ in their words and in which of the heard parameters they say.
    Raises ValueError when the grammar does not yield so many.
    """
    found: dict[str, None] = {}
    for _ in range(40 * count):
        if len(found) >= count:
            return tuple(found)
        found.setdefault(write_caption(scene, rng))
    raise ValueError(
        f"the grammar wrote only {len(found)} of {count} captions of one scene; ask for fewer"
    )


def write_caption(scene: Scene, rng: np.random.Generator) -> str:
    """Write one true caption of a scene."""
    chance = float(pick(rng, (0.2, 0.6, 0.9)))
    return compose(scene.form, pick(rng, TEMPLATES[scene.form]), *phrases_of(scene, rng, chance))


def phrases_of(
    scene: Scene, rng: np.random.Generator, chance: float = 0.6
) -> tuple[list[Phrase], Phrase | None]:
    """Words for the events of the steps in their order (those of "again" once), and for the background."""
    events = [placed.event for step in scene.steps for placed in step]
    if scene.form == "again":
        events = events[:2]
    ongoing = scene.form in ("single", "while")
    said = [say_event(event, rng, chance=chance, ongoing=ongoing) for event in events]
    return said, say_event(
        scene.background.event, rng, chance=chance, ongoing=True
    ) if scene.background else None


def compose(form: str, template: str, steps: list[Phrase], background: Phrase | None = None) -> str:
    """Fill a template of a form with phrases. Raises ValueError when the template is none of the form's."""
    if template not in TEMPLATES.get(form, ()):
        raise ValueError(f"{template!r} is no template of {form!r}")
    text = template
    for name, phrase in [
        *zip("abcd", steps, strict=False),
        *([("p", background)] if background else []),
    ]:
        for letter, attribute in SHORT.items():
            text = text.replace(f"{{{name}.{letter}}}", getattr(phrase, attribute))
    return text[0].upper() + text[1:]


Draw = Callable[[np.random.Generator], Scene]


def distinct_captions(rng: np.random.Generator, count: int, draw: Draw) -> list[str]:
    """Write so many distinct captions, one of each scene drawn, in the order in which they were found.

    Raises ValueError when twenty scenes a caption do not yield so many.
    """
    captions: dict[str, None] = {}
    for _ in range(20 * count):
        if len(captions) >= count:
            break
        captions.setdefault(write_caption(draw(rng), rng))
    if len(captions) < count:
        raise ValueError(
            f"the grammar wrote only {len(captions)} of {count} distinct captions; ask for fewer"
        )
    return list(captions)
