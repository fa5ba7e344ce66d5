"""The captions of a set as arrays of word numbers, cut into words once and shared by the metrics; n-grams of them.

Letters: N items, S sentences (candidates first, then the references item by item), L words of all sentences.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from wsac.evaluation.metrics.items import Item

from .ptb import tokenize

BLOCK = 4096  # items counted at once
SPAN = 1 << 18  # words numbered at once


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Some items of a set as a set of their own. spans: where its words stand among all."""

    words: Words
    spans: tuple[slice, slice]

    def cut(self, values: np.ndarray) -> np.ndarray:
        """Of values [L] those of the block's words."""
        return np.concatenate([values[span] for span in self.spans])


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
        for text in chain(
            (item.candidate for item in items), (text for item in items for text in item.references)
        ):
            words = tokenize(text)
            lengths.append(len(words))
            ids.extend(numbers.setdefault(word, len(numbers)) for word in words)
        owners = np.repeat(np.arange(len(items)), [len(item.references) for item in items])
        owners = np.concatenate([np.arange(len(items)), owners.astype(np.int64)])
        return cls(
            tuple(numbers), np.array(ids, np.int32), np.array(lengths, np.int64), owners, len(items)
        )

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

    def blocks(self, size: int = BLOCK) -> Iterator[Block]:
        """Runs of items with their references, one after the other."""
        starts = np.concatenate(([0], np.cumsum(self.lengths)))
        for first in range(0, self.size, size):
            last = min(first + size, self.size)
            a, b = (np.searchsorted(self.item[self.size :], [first, last]) + self.size).tolist()
            spans = (
                slice(int(starts[first]), int(starts[last])),
                slice(int(starts[a]), int(starts[b])),
            )
            lengths = np.concatenate((self.lengths[first:last], self.lengths[a:b]))
            item = np.concatenate((np.arange(last - first), self.item[a:b] - first))
            ids = np.concatenate([self.ids[span] for span in spans])
            yield Block(Words(self.vocabulary, ids, lengths, item, last - first), spans)

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
    for gram, kinds in number_grams(words, longest):
        yield count_numbered(words, gram, kinds)


def number_grams(words: Words, longest: int = 4) -> Iterator[tuple[np.ndarray, int]]:
    """For n = 1, 2, … the number of the n-gram that begins at each word, int32 [L], -1 where none does, and how many
    numbers there are."""
    sentence = np.repeat(np.arange(len(words.lengths), dtype=np.int32), words.lengths)  # [L]
    gram, total = words.ids, max(len(words.vocabulary), 1)
    yield gram, total
    for n in range(2, longest + 1):
        # an n-gram is the one shorter by a word, and its last word; renumbered, so that numbers stay small
        spans = [
            (first, min(first + SPAN, len(gram) - n + 1))
            for first in range(0, len(gram) - n + 1, SPAN)
        ]

        def pairs(
            first: int, last: int, gram: np.ndarray = gram, n: int = n
        ) -> tuple[np.ndarray, np.ndarray]:
            inside = (
                sentence[first:last] == sentence[first + n - 1 : last + n - 1]
            )  # the last word is of the same
            here = gram[first:last][inside].astype(np.int64)
            return inside, here * len(words.vocabulary) + words.ids[first + n - 1 : last + n - 1][
                inside
            ]

        known = np.unique(
            np.concatenate([np.empty(0, np.int64), *(np.unique(pairs(*span)[1]) for span in spans)])
        )
        longer = np.full(len(gram), -1, np.int32)
        for first, last in spans:
            inside, wanted = pairs(first, last)
            longer[first:last][inside] = np.searchsorted(known, wanted)
        gram = longer
        yield gram, max(len(known), 1)


def count_numbered(words: Words, gram: np.ndarray, kinds: int) -> Grams:
    """Count what ``number_grams`` numbered; gram: [L]."""
    sentence = np.repeat(np.arange(len(words.lengths)), words.lengths)
    valid = gram >= 0
    keys, counts = np.unique(sentence[valid] * kinds + gram[valid], return_counts=True)
    return Grams(keys // kinds, keys % kinds, counts, kinds)


def lookup(known: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Where each wanted number stands in the sorted ``known``; -1 where it does not."""
    if not len(known):
        return np.full(len(wanted), -1)
    at = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    return np.where(known[at] == wanted, at, -1)
