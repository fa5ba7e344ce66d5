"""Core types, the errors, and the shape legend.

Shape letters used in docstrings: B batch, D embedding dimension, N memory entries, T samples, L
tokens, V vocabulary.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Caption:
    """A sentence about a sound.

    text: the caption. logprob: mean log-probability per token, in nats. start, end: the span it
    describes, in seconds; ``end`` is None when the length of the sound is not known. confidence:
    the probability that the text is right, in [0, 1]; None from a captioner without calibration.
    file: the path, "" for samples. notes: what is wrong with the sound. guess: the text of a
    caption whose confidence is below the threshold; ``text`` is then empty.
    """

    text: str
    logprob: float
    start: float = 0.0
    end: float | None = None
    confidence: float | None = None
    file: str = ""
    notes: tuple[str, ...] = ()
    guess: str = ""


@dataclass(frozen=True, slots=True)
class Example:
    """One caption row of a corpus: its text, and the id of the clip it describes when the corpus
    names one."""

    caption: str
    clip: str | None = None


class WsacError(Exception):
    """A user's mistake or a broken input, in one line: what is wrong, where, and the remedy."""

    def __str__(self) -> str:
        """The message on one line, also where it quotes a name or a value of several lines."""
        return " ".join(super().__str__().splitlines())


class CorpusError(WsacError):
    """A caption file that cannot be read as one."""


class AudioError(WsacError):
    """A sound that cannot be decoded. file: its path, where the error stands for it in a stream of
    results."""

    file: str = ""


class RecipeError(WsacError):
    """A recipe or option with an unknown key or an impossible value."""


class ModelError(WsacError):
    """A model folder that is missing, incomplete or does not fit its use."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """``"did you mean 'x'? "`` where a known name is similar, else ""."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"did you mean '{near[0]}'? " if near else ""


def first_line(error: BaseException) -> str:
    """What another library says is wrong, in at most 200 characters."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
