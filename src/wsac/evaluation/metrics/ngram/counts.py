"""The captions of a set as arrays of word numbers, cut into words once and shared by the metrics.

Letters: N items, S sentences (candidates first, then the references item by item), L words of all
sentences.
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
class Words:
    """Sentences as word numbers.

    vocabulary: the words. ids: int32 [L]. lengths: int64 [S], words a sentence.
    item: int64 [S], the item of each sentence. size: N; sentences 0 to N - 1 are the candidates.
    """

    vocabulary: tuple[str, ...]
    ids: np.ndarray
    lengths: np.ndarray
    item: np.ndarray
    size: int

    @classmethod
    def of(cls, items: Sequence[Item]) -> Words:
        """Cut every caption of the items into words."""
        numbers: dict[str, int] = {}
        ids, lengths = array("i"), array("q")  # a hundred thousand items are seven million words
        references = (text for item in items for text in item.references)
        for text in chain((item.candidate for item in items), references):
            words = tokenize(text)
            lengths.append(len(words))
            ids.extend(numbers.setdefault(word, len(numbers)) for word in words)
        rows = np.arange(len(items))
        owners = np.r_[rows, np.repeat(rows, [len(item.references) for item in items])]
        sizes = np.array(lengths, np.int64)
        return cls(tuple(numbers), np.array(ids, np.int32), sizes, owners, len(items))

    @property
    def sentence(self) -> np.ndarray:
        """int64 [L], the sentence of each word."""
        return np.repeat(np.arange(len(self.lengths)), self.lengths)

    def references(self) -> np.ndarray:
        """int64 [N], references an item."""
        return np.bincount(self.item[self.size :], minlength=self.size)

    def sentences(self, start: int = 0, stop: int | None = None) -> Iterator[list[int]]:
        """The word numbers of sentences ``start`` to ``stop`` (None: to the end)."""
        ends = np.cumsum(self.lengths)
        begin = int(ends[start - 1]) if start else 0
        for end in ends[start:stop].tolist():
            yield self.ids[begin:end].tolist()
            begin = end

    def texts(self) -> Iterator[tuple[str, list[str]]]:
        """The candidate and the references of each item, words joined by single spaces."""
        texts = (" ".join([self.vocabulary[i] for i in words]) for words in self.sentences())
        candidates = [next(texts) for _ in range(self.size)]
        for candidate, count in zip(candidates, self.references().tolist(), strict=True):
            yield candidate, [next(texts) for _ in range(count)]

    def blocks(self) -> Iterator[tuple[Words, np.ndarray]]:
        """Runs of BLOCK items with their references, and where their words are, [words]."""
        for start in range(0, self.size, BLOCK):
            stop = min(start + BLOCK, self.size)
            a, b = self.size + np.searchsorted(self.item[self.size :], [start, stop])
            yield self._take(np.r_[start:stop, a:b], stop - start)

    def candidates(self) -> Words:
        """The same without references; the vocabulary is unchanged."""
        return self.subset(np.arange(self.size))

    def subset(self, chosen: np.ndarray) -> Words:
        """The candidates ``chosen`` (sorted, of 0 to N - 1) alone, without references."""
        return self._take(chosen, len(chosen))[0]

    def _take(self, chosen: np.ndarray, size: int) -> tuple[Words, np.ndarray]:
        """Some sentences, ``size`` candidates first, and the places [L'] of their words."""
        starts = np.cumsum(self.lengths) - self.lengths
        lengths = self.lengths[chosen]
        within = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        places = np.repeat(starts[chosen], lengths) + within
        item = np.searchsorted(self.item[chosen[:size]], self.item[chosen])
        return Words(self.vocabulary, self.ids[places], lengths, item, size), places


@dataclass(frozen=True, slots=True, eq=False)
class Grams:
    """How often every n-gram occurs in every sentence: rows sorted by sentence and gram.

    sentence, gram, count: int64 [R]. kinds: above every number in ``gram``. Equal numbers are
    equal n-grams, whatever the sentence.
    """

    sentence: np.ndarray
    gram: np.ndarray
    count: np.ndarray
    kinds: int

    def split(self, words: Words) -> tuple[int, np.ndarray]:
        """The first row of the references, and a number [R] for each n-gram within its item."""
        of_item = words.item[self.sentence] * self.kinds + self.gram
        return int(np.searchsorted(self.sentence, words.size)), of_item


def count_grams(words: Words, longest: int = 4) -> Iterator[Grams]:
    """The n-grams of all sentences for n = 1, 2, … ``longest``."""
    for gram, kinds in number_grams(words, longest):
        yield count_numbered(words, gram, kinds)


def number_grams(words: Words, longest: int = 4) -> Iterator[tuple[np.ndarray, int]]:
    """For n = 1, 2, … the number of the n-gram that begins at each word, and how many there are.

    The numbers are int32 [L], -1 where no n-gram begins.
    """
    sentence, gram = words.sentence.astype(np.int32), words.ids
    yield gram, max(len(words.vocabulary), 1)
    for n in range(2, longest + 1):
        starts = range(0, len(gram) - n + 1, SPAN)
        parts = [np.unique(_longer(words, sentence, gram, n, start)[1]) for start in starts]
        known = np.unique(np.concatenate([np.empty(0, np.int64), *parts]))
        longer = np.full(len(gram), -1, np.int32)
        for start in starts:  # again: stored, the pairs of all spans fill the memory
            places, pairs = _longer(words, sentence, gram, n, start)
            longer[places] = np.searchsorted(known, pairs)
        gram = longer
        yield gram, max(len(known), 1)


def _longer(
    words: Words, sentence: np.ndarray, gram: np.ndarray, n: int, start: int
) -> tuple[np.ndarray, np.ndarray]:
    """The places of a span at which an n-gram begins, and n-gram and last word as one number."""
    stop = min(start + SPAN, len(gram) - n + 1)
    within = sentence[start:stop] == sentence[start + n - 1 : stop + n - 1]
    places = start + np.flatnonzero(within)
    pairs = gram[places].astype(np.int64) * len(words.vocabulary) + words.ids[places + n - 1]
    return places, pairs


def count_numbered(words: Words, gram: np.ndarray, kinds: int) -> Grams:
    """Count n-grams [L] numbered by ``number_grams``."""
    valid = gram >= 0
    keys, counts = np.unique(words.sentence[valid] * kinds + gram[valid], return_counts=True)
    return Grams(keys // kinds, keys % kinds, counts, kinds)


def lookup(known: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The place of each wanted number in the sorted ``known``, -1 where it is not in it."""
    if not len(known):
        return np.full(len(wanted), -1)
    at = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    return np.where(known[at] == wanted, at, -1)
