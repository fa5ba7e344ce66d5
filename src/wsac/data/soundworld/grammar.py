"""The sentences: true captions of a scene, from the templates of its form.

They read like those that people write for short recordings ("A dog barks twice, then rain falls").
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .phrases import Phrase, pick, say_event
from .scene import FORMS, Scene


def write_references(scene: Scene, rng: np.random.Generator, count: int = 5) -> tuple[str, ...]:
    """Write ``count`` different captions, all true: sentence case, no final period.

    Each names every event in its place. They differ in words and in the parameters they mention.
    Raises ValueError when the grammar does not yield enough.
    """
    return tuple(distinct(lambda: write_caption(scene, rng), count, 40, "captions of one scene"))


def distinct(write: Callable[[], str], count: int, tries: int, what: str) -> list[str]:
    """Write until there are ``count`` distinct captions, at most ``tries`` times a caption.

    what: their name in the ValueError that is raised when there are fewer.
    """
    captions: dict[str, None] = {}
    for _ in range(tries * count):
        if len(captions) >= count:
            break
        captions.setdefault(write())
    if len(captions) < count:
        raise ValueError(f"the grammar wrote only {len(captions)} of {count} {what}; ask for fewer")
    return list(captions)


def write_caption(scene: Scene, rng: np.random.Generator) -> str:
    """Write one true caption of a scene."""
    chance = float(pick(rng, (0.2, 0.6, 0.9)))
    template = pick(rng, FORMS[scene.form].templates)
    return compose(scene.form, template, phrases_of(scene, rng, chance))


def phrases_of(scene: Scene, rng: np.random.Generator, chance: float = 0.6) -> list[Phrase]:
    """Words for every event that a caption names, in the order of ``scene.described``."""
    ongoing = [scene.form in ("single", "while")] * len(scene.described)
    if scene.background:
        ongoing[-1] = True
    events = zip(scene.described, ongoing, strict=True)
    return [say_event(event, rng, chance=chance, ongoing=lasts) for event, lasts in events]


def compose(form: str, template: str, phrases: list[Phrase]) -> str:
    """Fill a template of a form with phrases: the steps in their order, then the background.

    Raises ValueError for a template of another form.
    """
    if form not in FORMS or template not in FORMS[form].templates:
        raise ValueError(f"{template!r} is no template of {form!r}")
    names = "abcd"[: len(phrases) - 1] + "p" if FORMS[form].background else "abcd"
    text = template.format(**dict(zip(names, phrases, strict=False)))
    return text[0].upper() + text[1:]
