"""The options of beam search and sampling."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from wsac.types import RecipeError

MAX_BEAMS = 256  # more only costs memory
MAX_TOKENS = 10_000
MAX_PENALTY = 10.0  # length ** 10 is still far from the largest float
MAX_FACTOR = 1000.0  # of other penalties and the temperature
MAX_SEED = 2**63 - 1  # of torch's generators


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
        tokens, diverse, heat = self.max_tokens, self.diversity_penalty, self.temperature
        by_length = f"a number, {MAX_PENALTY:g} at most; 0 ranks by the sum, 1 by the mean"
        most = f"; {MAX_FACTOR:g} is the most"
        no_ngram, pairs = f"no repeated n-grams of {ngram}", f"{groups} groups of {beams} beams"
        divides = groups >= 1 and beams % groups == 0
        return [
            (1 <= beams <= MAX_BEAMS, f"beam {beams}", f"a whole number from 1 to {MAX_BEAMS}"),
            (1 <= tokens <= MAX_TOKENS, f"max_tokens {tokens}", f"1 to {MAX_TOKENS:,}"),
            (abs(length) <= MAX_PENALTY, f"length penalty {length:g}", by_length),
            (
                0 < repeated <= MAX_FACTOR,
                f"repetition penalty {repeated:g}",
                f"more than 0; 1 is none{most}",
            ),
            (0 <= ngram <= MAX_TOKENS, no_ngram, "a length of 1 or more, or 0 for none"),
            (divides, pairs, "a number of groups that divides the beam"),
            (0 <= diverse <= MAX_FACTOR, f"diversity penalty {diverse:g}", f"0 or more{most}"),
            (
                0 < heat <= MAX_FACTOR,
                f"temperature {heat:g}",
                f"more than 0; greedy is a beam of 1{most}",
            ),
            (0 <= self.seed <= MAX_SEED, f"seed {self.seed}", "0 or more, below 2 ** 63"),
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
