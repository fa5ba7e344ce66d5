"""How to search or to draw, checked; and what is found."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

from wsac.types import RecipeError

WIDEST = 256  # beams; more only costs memory


@dataclass(frozen=True, slots=True)
class GenerationOptions:
    """How hypotheses grow; docs/decoding.md has the formulas.

    beam_size: in all groups together; 1 is greedy search. max_tokens: with the end.
    length_penalty: hypotheses are ranked by log-probability / length ** penalty.
    early_stopping: a row ends with its first ``beam_size`` ends among the likeliest ``beam_size`` tokens, as a beam of
    one always does. Otherwise it goes on until nothing can beat what is found.
    repetition_penalty: the log-probability of a token that is there already is multiplied by it; 1 is none.
    no_repeat_ngram: no n-gram of so many tokens comes twice; 0 allows all.
    groups, diversity_penalty: diverse beam search; a token costs the penalty for every earlier group's beam that has it
    at the same place.
    temperature, top_k, top_p, seed: of drawn samples; top_k 0 is the whole vocabulary.
    """

    beam_size: int = 4
    max_tokens: int = 40
    length_penalty: float = 0.5
    early_stopping: bool = False
    repetition_penalty: float = 1.0
    no_repeat_ngram: int = 0
    groups: int = 1
    diversity_penalty: float = 0.5
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 0.9
    seed: int = 0

    def __post_init__(self) -> None:
        check_kinds(self)
        if not 1 <= self.beam_size <= WIDEST:
            raise RecipeError(
                f"beam {self.beam_size}: give a whole number from 1, which is greedy, to {WIDEST}"
            )
        if self.max_tokens < 1:
            raise RecipeError(f"max_tokens {self.max_tokens}: give 1 or more")
        if not math.isfinite(self.length_penalty):
            raise RecipeError(
                f"length penalty {self.length_penalty:g}: give a number; 0 ranks by the sum, 1 by the mean"
            )
        if not 0 < self.repetition_penalty < math.inf:
            raise RecipeError(
                f"repetition penalty {self.repetition_penalty:g}: give a number above 0; 1 is none"
            )
        if self.no_repeat_ngram < 0:
            raise RecipeError(
                f"no repeated n-grams of {self.no_repeat_ngram}: give a length of 1 or more, or 0 for none"
            )
        if self.groups < 1 or self.beam_size % self.groups:
            raise RecipeError(
                f"{self.groups} groups of {self.beam_size} beams: give a number of groups that divides the beam"
            )
        if not 0 <= self.diversity_penalty < math.inf:
            raise RecipeError(
                f"diversity penalty {self.diversity_penalty:g}: give a number, 0 or more"
            )
        if not 0 < self.temperature < math.inf:
            raise RecipeError(
                f"temperature {self.temperature:g}: give a number above 0; a beam of one is greedy"
            )
        if self.seed < 0:
            raise RecipeError(f"seed {self.seed}: give 0 or more")
        if self.top_k < 0 or not 0 < self.top_p <= 1:
            raise RecipeError(
                f"top_k {self.top_k}, top_p {self.top_p:g}: give 0 (all) or more tokens, and a part above 0, at most 1"
            )


def check_kinds(options: Any) -> None:
    """Raises RecipeError when a value of a dataclass of options is not of its default's kind."""
    names = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
    for field in fields(options):
        value, kind = getattr(options, field.name), type(field.default)
        if type(value) is not kind and not (kind is float and type(value) is int):
            raise RecipeError(f"{field.name} = {value!r}: give {names[kind]}")


@dataclass(frozen=True, slots=True)
class Generated:
    """tokens: ids without the end token. logprob: mean per token in nats, the end token counted, without penalties."""

    tokens: list[int]
    logprob: float
