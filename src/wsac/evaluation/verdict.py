"""What a captioner of one's own is worth, in words: does it tell sounds apart, and what is next?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from wsac.arrays import Tensor, torch
from wsac.clap.sounds import embed_many
from wsac.inference.captioner import Captioner
from wsac.inference.read_back import STRANGE, Places, built_in, read_back
from wsac.io.console import count_of
from wsac.types import AudioError

SHOWN = 10  # captions
SCENES, SECONDS, SEED = 30, 5.0, 2_026
LITTLE = 200  # captions
LOST = 0.4  # mean place among the sounds from which they might have been drawn by lot
BEHIND = 0.1  # the built-in captioner, in mean place
SHARE = 0.75  # of the sounds that the built-in captioner finds first
NAMES = "name the sounds yourself: wsac tag FILES --labels 'one sound, another sound, …'"


@dataclass(frozen=True, slots=True)
class Verdict:
    """grade: little, useless, behind or good. captions: of the training. shown: sounds and what was
    written of them. different: of the captions of all sounds. places: how captions find their
    sounds; usual: the same of the built-in captioner. read_back: how captions of the training find
    themselves, read back by the built-in captioner if it has the same CLAP. own: whether the sounds
    are the user's.
    """

    grade: str
    captions: int
    shown: tuple[tuple[str, str], ...]
    different: int
    places: Places
    usual: Places
    read_back: Places
    own: bool

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for JSON, with the lines as ``text``."""
        return asdict(self) | {"text": self.lines()}

    def lines(self) -> list[str]:
        """The verdict in a few sentences."""
        usual, back, count = self.usual, self.read_back, self.places.count
        kind = "sounds of yours" if self.own else "synthesised scenes"
        return [
            *(f"  {name}: {text}" for name, text in self.shown),
            f"of {count} {kind}, {count_of(self.different, 'different caption')}; "
            f"{self.places.first:.0%} find "
            f"their own sound first (built-in captioner {usual.first:.0%}, "
            f"chance {1 / count:.0%}), "
            f"mean place {_place(self.places)} (built-in {_place(usual)}, chance "
            f"{(count + 1) / 2:.0f}) of {count}",
            f"your captions, written again from their own text, are alike by {back.likeness:.2f} "
            f"(0.8 or more is good with the built-in CLAP); {back.first:.0%} find themselves among "
            f"{back.count}",
            f"verdict: {self._sentence()}",
        ]

    def _sentence(self) -> str:
        if self.grade == "little":
            return (
                f"{count_of(self.captions, 'caption')}: that is few; it repeats them or writes "
                f"what the built-in captioner would; collect some hundreds, or {NAMES}"
            )
        if self.grade == "useless":
            return (
                "useless as it is: what it writes does not depend on the sound; are these captions "
                f"of sounds, in English? Else {NAMES}"
            )
        if self.grade == "behind":
            return (
                "it tells sounds apart, but less well than the built-in captioner; try wsac tune "
                f"on your sounds, more captions, or {NAMES}"
            )
        more = "" if self.own else "judge it on sounds of yours (wsac train … --sounds FOLDER), "
        return f"it tells sounds apart; next: {more}wsac evaluate, wsac tune, wsac calibrate"


def judge(
    captioner: Captioner, captions: Sequence[str], sounds: Sequence[str | Path] = ()
) -> Verdict:
    """Judge a captioner by the captions of its training, and by sounds or else by synthesised ones.

    Raises AudioError when fewer than two sounds can be read.
    """
    names, audio = _sounds(captioner, sounds)
    same = built_in(captioner.clap)
    other = same or Captioner.load(device="cpu")
    theirs = audio if same else _sounds(other, sounds)[1]
    texts, others = (
        [caption.text for caption in writer.caption_embeddings(embeddings)]
        for writer, embeddings in ((captioner, audio), (other, theirs))
    )
    places, usual = (Places.of(captioner.clap.embed_text(own), audio) for own in (texts, others))
    back, different = read_back(same or captioner, captions), len(set(texts))
    grade = "good"
    if same and back.likeness < STRANGE:
        grade = "useless"
    elif len(captions) < LITTLE:
        grade = "little"
    elif places.place > LOST or 5 * different <= len(texts):
        grade = "useless"
    elif places.place > usual.place + BEHIND or places.first < SHARE * usual.first:
        grade = "behind"
    shown = tuple(zip(names, texts, strict=True))[:: max(1, len(texts) // SHOWN)][:SHOWN]
    return Verdict(grade, len(captions), shown, different, places, usual, back, own=bool(sounds))


def _sounds(captioner: Captioner, paths: Sequence[str | Path]) -> tuple[list[str], Tensor]:
    """Names and embeddings of sounds that can be read; without paths, of scenes of one event."""
    names, sounds = [Path(path).name for path in paths], list[Any](paths)
    if not paths:
        from wsac.data.soundworld import render_scene, sample_scene

        for number in range(SCENES):
            rng = np.random.default_rng((SEED, number))
            scene = sample_scene(rng, events=(1, 1), seconds=SECONDS)
            names.append(scene.captions[0])
            sounds.append(render_scene(scene, rng, SECONDS, captioner.clap.sample_rate))
    pairs = zip(names, embed_many(captioner.clap, sounds), strict=True)
    readable = [
        (name, sound.embedding)
        for name, sound in pairs
        if not isinstance(sound, AudioError) and not sound.silent
    ]
    if len(readable) < 2:
        raise AudioError("a verdict needs two sounds or more that can be read; give others")
    return [name for name, _ in readable], torch.stack([embedding for _, embedding in readable])


def _place(places: Places) -> str:
    return f"{1 + places.place * (places.count - 1):.1f}"
