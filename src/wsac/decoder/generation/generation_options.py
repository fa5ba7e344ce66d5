"""The options of beam search and sampling."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

from wsac.types import RecipeError

MAX_BEAMS = 256  # more only costs memory


@dataclass(frozen=True, slots=True)
class GenerationOptions:
    """How tokens are chosen; docs/decoding.md has the formulas. Raises RecipeError for bad values.

    beam_size: beams in all groups together; 1 is greedy search. max_tokens: length limit, with the
    end token.
    length_penalty: hypotheses are ranked by log-probability / length ** penalty.
    early_stopping: stop a row after its first ``beam_size`` ends among the likeliest ``beam_size``
    tokens, as greedy search always does. Otherwise search until no live beam can beat the finished
    ones.
    repetition_penalty: multiplies the log-probability of tokens that were written before; 1 is
    none.
    no_repeat_ngram: forbid repeated n-grams of this length; 0 allows all.
    groups, diversity_penalty: diverse beam search. A token costs the penalty once for every beam of
    an earlier group that chose it at the same position.
    temperature, top_k, top_p, seed: for sampling; top_k 0 is the whole vocabulary.
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
        for valid, problem, remedy in self._rules():
            if not valid:
                raise RecipeError(f"{problem}: give {remedy}")

    def _rules(self) -> list[tuple[bool, str, str]]:
        """Whether each rule holds, what is wrong if it does not, and the remedy."""
        beams, groups, ngram = self.beam_size, self.groups, self.no_repeat_ngram
        length, repeated = self.length_penalty, self.repetition_penalty
        diverse, heat = self.diversity_penalty, self.temperature
        by_length = "a number; 0 ranks by the sum, 1 by the mean"
        no_ngram, pairs = f"no repeated n-grams of {ngram}", f"{groups} groups of {beams} beams"
        divides = groups >= 1 and beams % groups == 0
        return [
            (1 <= beams <= MAX_BEAMS, f"beam {beams}", f"a whole number from 1 to {MAX_BEAMS}"),
            (self.max_tokens >= 1, f"max_tokens {self.max_tokens}", "1 or more"),
            (math.isfinite(length), f"length penalty {length:g}", by_length),
            (0 < repeated < math.inf, f"repetition penalty {repeated:g}", "more than 0; 1 is none"),
            (ngram >= 0, no_ngram, "a length of 1 or more, or 0 for none"),
            (divides, pairs, "a number of groups that divides the beam"),
            (0 <= diverse < math.inf, f"diversity penalty {diverse:g}", "a number, 0 or more"),
            (0 < heat < math.inf, f"temperature {heat:g}", "more than 0; greedy is a beam of 1"),
            (self.seed >= 0, f"seed {self.seed}", "0 or more"),
            (self.top_k >= 0, f"top_k {self.top_k}", "a number of tokens, or 0 for all"),
            (0 < self.top_p <= 1, f"top_p {self.top_p:g}", "a share above 0, at most 1"),
        ]


def check_kinds(options: Any) -> None:
    """Raise RecipeError when an option of a dataclass has another type than its default."""
    names = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
    for field in fields(options):
        value, kind = getattr(options, field.name), type(field.default)
        if kind in names and type(value) is not kind and (kind, type(value)) != (float, int):
            raise RecipeError(f"{field.name} = {value!r}: give {names[kind]}")
