"""What beam search and sampling share: state, hypotheses, rows that leave the batch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import Generic, Self, TypeVar

from wsac.arrays import Tensor, torch

from .generation_options import GenerationOptions
from .word_trie import WordTrie


@dataclass(frozen=True, slots=True)
class Generated:
    """tokens: ids without the end token.

    logprob: mean per token in nats, with the end token, without penalties.
    """

    tokens: list[int]
    logprob: float


@dataclass(slots=True)
class SearchState:
    """Tensors with one entry per row of the batch in their first dimension."""

    tokens: Tensor  # so far, in the last dimension
    node: Tensor  # of the trie of words, for each of the tokens' rows; zeros without one

    def take(self, rows: Tensor) -> Self:
        """The state of these rows (indices [R]), in their order."""
        return type(self)(*(getattr(self, field.name)[rows] for field in fields(self)))


State = TypeVar("State", bound=SearchState)


class Search(ABC, Generic[State]):
    """Chooses the next tokens of every row until all rows are complete.

    options: of the search. limit: the most tokens. count: hypotheses per embedding. words: the only
    words that may be written, None for any.
    """

    def __init__(
        self, options: GenerationOptions, limit: int, count: int, words: WordTrie | None = None
    ) -> None:
        self.options, self.limit, self.count, self.words = options, limit, count, words
        self.length = 0  # tokens so far
        self.state: State  # of the rows that go on
        self.finished: list[State] = []  # of the rows that have left the batch

    @abstractmethod
    def advance(self, logits: Tensor) -> tuple[Tensor | None, Tensor] | None:
        """Choose the next tokens by logits [R, V], which it may change.

        Returns the rows to go on from, as ``CaptionDecoder.select`` takes them (None: all as they
        are), and their tokens [R']; or None when every row is complete.
        """

    @abstractmethod
    def results(self) -> list[list[Generated]]:
        """The hypotheses of each embedding, in order."""

    def _forbidden(self) -> Tensor | None:
        """[R, V] tokens that would not make a word, None if all may be written."""
        return None if self.words is None else self.words.forbidden(self.state.node.flatten())

    def _whole(self, tokens: list[int], ended: bool) -> list[int]:
        """Tokens without the beginning of a word that the limit has cut."""
        return tokens if ended or self.words is None else self.words.trim(tokens)

    def _release(self, done: list[bool]) -> Tensor | None:
        """Move completed rows out of the batch. Returns the others, or None when few are complete.

        Copying the cache of the other rows pays once an eighth of them is complete.
        """
        if 8 * sum(done) < len(done):
            return None
        device = self.state.tokens.device
        leave = torch.tensor([i for i, end in enumerate(done) if end], device=device)
        stay = torch.tensor([i for i, end in enumerate(done) if not end], device=device)
        self.finished.append(self.state.take(leave))
        self.state = self.state.take(stay)
        return stay
