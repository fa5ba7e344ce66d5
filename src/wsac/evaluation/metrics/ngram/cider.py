"""CIDEr-D: how alike the n-grams of a caption and its references are; rare ones count more."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wsac.evaluation.metrics.items import Item, Score

from .counts import Grams, Words, count_numbered, lookup, number_grams

SIGMA = 6.0  # words of difference in length that reduce a similarity to 61 %
LONGEST = 4
SCALE = 10.0


def cider_d(items: Sequence[Item], words: Words | None = None) -> list[Score]:
    """cider_d as coco-caption computes it, in [0, 10].

    It is not CIDEr, which neither clips nor looks at lengths. Per n, the cosine of the vectors
    of count times log(N / items whose references have the n-gram), the candidate's entries cut
    to the reference's; times a Gaussian of the difference in length; then the mean over n = 1
    to 4 and over the references. Document frequencies are those of this set, so the value of an
    item depends on the others: subsets do not compare, and a single item has none (nan).
    Source: Vedantam et al. 2015 (arXiv 1411.5726), section 5, with 10 as coco-caption's scale.
    """
    words = words or Words.of(items)
    if words.size < 2:
        note = "undefined for a single item: its document frequencies say nothing"
        return [Score("cider_d", float("nan"), np.full(words.size, np.nan), note)]
    blocks = list(words.blocks())
    totals = [np.zeros(len(block.lengths)) for block, _ in blocks]
    for gram, kinds in number_grams(words, LONGEST):
        documents = np.zeros(kinds, np.int32)
        for block, places in blocks:
            grams = count_numbered(block, gram[places], kinds)
            split, of_item = grams.split(block)
            # in the references of how many items each n-gram is
            documents += np.bincount(np.unique(of_item[split:]) % kinds, minlength=kinds)
        rarity = np.log(words.size) - np.log(np.maximum(documents, 1))  # [kinds]
        for total, (block, places) in zip(totals, blocks, strict=True):
            # counted again: the counts of all blocks fill the memory
            total += _similarity(block, count_numbered(block, gram[places], kinds), rarity)
    pairs = zip(blocks, totals, strict=True)
    per_item = np.concatenate([_per_item(block, total) for (block, _), total in pairs])
    return [Score("cider_d", float(per_item.mean()), per_item)]


def _per_item(words: Words, total: np.ndarray) -> np.ndarray:
    # coco-caption measures the length of a sentence by its bigrams
    lengths = np.maximum(words.lengths - 1, 0)
    total = total * np.exp(-((lengths - lengths[words.item]) ** 2) / (2 * SIGMA**2))
    owner = words.item[words.size :]
    sums = np.bincount(owner, total[words.size :], minlength=words.size)
    return SCALE * sums / LONGEST / words.references()


def _similarity(words: Words, grams: Grams, rarity: np.ndarray) -> np.ndarray:
    """For one n the clipped cosine of each reference with its candidate, [S]; 0 for candidates."""
    split, of_item = grams.split(words)
    sentence, weight = grams.sentence, grams.count * rarity[grams.gram]
    norms = np.sqrt(np.bincount(sentence, weight**2, minlength=len(words.lengths)))  # [S]
    # of_item of the candidates is sorted: each has one sentence
    candidate = np.append(weight[:split], 0.0)[lookup(of_item[:split], of_item[split:])]
    products = np.minimum(candidate, weight[split:]) * weight[split:]
    dots = np.bincount(sentence[split:], products, minlength=len(norms))
    scale = norms * norms[words.item]
    return np.divide(dots, scale, out=np.zeros(len(norms)), where=scale != 0)
