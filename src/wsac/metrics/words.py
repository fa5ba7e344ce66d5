"""The captions of a set as arrays of word numbers, cut into words once and shared by the metrics; n-grams of them.

Letters: N items, S sentences (candidates first, then the references item by item), L words of all sentences.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from .items import Item
from .ptb import tokenize


@dataclass(frozen=True, slots=True, eq=False)
class Words:
    """vocabulary: the words. ids: int32 [L]. lengths: int64 [S], words a sentence. item: int64 [S], whose it is."""

    vocabulary: tuple[str, ...]
    ids: np.ndarray
    lengths: np.ndarray
    item: np.ndarray
    size: int  # N; sentences 0 to N - 1 are the candidates

    @classmethod
    def of(cls, items: Sequence[Item]) -> Words:
        """Cut every caption of the items into words."""
        numbers: dict[str, int] = {}
        ids, lengths = array("i"), array("q")  # a hundred thousand items are seven million words
        for text in chain((item.candidate for item in items), (text for item in items for text in item.references)):
            words = tokenize(text)
            lengths.append(len(words))
            ids.extend(numbers.setdefault(word, len(numbers)) for word in words)
        owners = np.repeat(np.arange(len(items)), [len(item.references) for item in items])
        owners = np.concatenate([np.arange(len(items)), owners.astype(np.int64)])
        return cls(tuple(numbers), np.array(ids, np.int32), np.array(lengths, np.int64), owners, len(items))

    def sentences(self, first: int = 0, last: int | None = None) -> Iterator[list[int]]:
        """The word numbers of sentences ``first`` to ``last`` (left out: to the end)."""
        ends = np.cumsum(self.lengths)
        begin = int(ends[first - 1]) if first else 0
        for end in ends[first:last].tolist():
            yield self.ids[begin:end].tolist()
            begin = end

    def texts(self) -> Iterator[tuple[str, list[str]]]:
        """Of each item the candidate and the references, as words with single spaces between."""
        counts = np.bincount(self.item[self.size :], minlength=self.size).tolist()
        references = self.sentences(self.size)

        def join(sentence: list[int]) -> str:
            return " ".join([self.vocabulary[word] for word in sentence])

        for candidate, count in zip(self.sentences(0, self.size), counts, strict=True):
            yield join(candidate), [join(next(references)) for _ in range(count)]

    def candidates(self) -> Words:
        """The same without references; the vocabulary keeps theirs."""
        return self.subset(np.arange(self.size))

    def subset(self, chosen: np.ndarray) -> Words:
        """The candidates ``chosen`` (sorted, of 0 to N - 1) as a set of their own, without references."""
        starts = np.cumsum(self.lengths) - self.lengths
        lengths = self.lengths[chosen]
        inner = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        ids = self.ids[np.repeat(starts[chosen], lengths) + inner]
        return Words(self.vocabulary, ids, lengths, np.arange(len(chosen)), len(chosen))


@dataclass(frozen=True, slots=True, eq=False)
class Grams:
    """How often every n-gram occurs in every sentence: rows of (sentence, gram, count), sorted by sentence and gram.

    kinds: above every number in ``gram``. Equal numbers are equal n-grams, whatever the sentence.
    """

    sentence: np.ndarray  # int64 [R]
    gram: np.ndarray  # int64 [R]
    count: np.ndarray  # int64 [R]
    kinds: int


def count_grams(words: Words, longest: int = 4) -> Iterator[Grams]:
    """The n-grams of all sentences for n = 1, 2, … ``longest``."""
    sentence = np.repeat(np.arange(len(words.lengths)), words.lengths)  # [L]
    gram = words.ids.astype(np.int64)  # of the n words from each place on
    kinds = max(len(words.vocabulary), 1)
    for n in range(1, longest + 1):
        if n > 1:
            inside = sentence[: -(n - 1)] == sentence[n - 1 :]  # the last word is of the same sentence
            here = np.zeros(len(words.ids), bool)
            here[: len(inside)] = inside
            # an n-gram is the one shorter by a word, and its last word; renumbered, so that numbers stay small
            pairs = gram[here] * len(words.vocabulary) + words.ids[n - 1 :][inside]
            known, renumbered = np.unique(pairs, return_inverse=True)
            gram = np.full(len(words.ids), -1)
            gram[here] = renumbered
            kinds = max(len(known), 1)
        valid = gram >= 0
        keys, counts = np.unique(sentence[valid] * kinds + gram[valid], return_counts=True)
        yield Grams(keys // kinds, keys % kinds, counts, kinds)


def lookup(known: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Where each wanted number stands in the sorted ``known``; -1 where it does not."""
    if not len(known):
        return np.full(len(wanted), -1)
    at = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    return np.where(known[at] == wanted, at, -1)
