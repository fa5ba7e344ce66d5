"""CIDEr-D: how alike the n-grams of a caption and of its references are, rare ones counting more."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wsac.evaluation.metrics.items import Item, Score

from .counts import Grams, Words, count_numbered, lookup, number_grams

SIGMA = 6.0  # words of difference in length that reduce a similarity to 61 %
LONGEST = 4
SCALE = 10.0


def cider_d(items: Sequence[Item], words: Words | None = None) -> list[Score]:
    """cider_d as coco-caption computes it, in [0, 10]; it is not CIDEr, which neither clips nor looks at lengths.

    Per n, the cosine of the vectors of count times log(N / number of items whose references have the n-gram), the
    candidate's entries cut to the reference's; times a Gaussian of the difference in length; then the mean over n = 1
    to 4 and over the references. Document frequencies are those of this set, so the value of an item depends on the
    others: subsets do not compare, and of a single item it is undefined (nan).
    Source: Vedantam et al. 2015 (arXiv 1411.5726), section 5, with 10 as coco-caption's scale.
    """
    words = words or Words.of(items)
    if words.size < 2:
        note = "undefined for a single item: its document frequencies say nothing"
        return [Score("cider_d", float("nan"), np.full(words.size, np.nan), note)]
    blocks = list(words.blocks())
    total = [np.zeros(len(block.words.lengths)) for block in blocks]
    for gram, kinds in number_grams(words, LONGEST):
        documents = np.zeros(kinds, np.int32)
        for block in blocks:
            documents[:] += _documents(
                block.words, count_numbered(block.words, block.cut(gram), kinds)
            )
        rarity = np.log(words.size) - np.log(np.maximum(documents, 1))  # [kinds]
        for sums, block in zip(total, blocks, strict=True):
            grams = count_numbered(
                block.words, block.cut(gram), kinds
            )  # again: kept, they fill the memory
            sums += _similarity(block.words, grams, rarity)
    per_item = np.concatenate(
        [_per_item(block.words, sums) for block, sums in zip(blocks, total, strict=True)]
    )
    return [Score("cider_d", float(per_item.mean()), per_item)]


def _documents(words: Words, grams: Grams) -> np.ndarray:
    """Of how many items the references have each n-gram, [kinds]."""
    split = int(np.searchsorted(grams.sentence, words.size))
    of_item = words.item[grams.sentence[split:]] * grams.kinds + grams.gram[split:]
    return np.bincount(np.unique(of_item) % grams.kinds, minlength=grams.kinds)


def _per_item(words: Words, total: np.ndarray) -> np.ndarray:
    # coco-caption measures the length of a sentence by its bigrams
    lengths = np.maximum(words.lengths - 1, 0)
    total = total * np.exp(-((lengths - lengths[words.item]) ** 2) / (2 * SIGMA**2))
    owner = words.item[words.size :]
    sums = np.bincount(owner, total[words.size :], minlength=words.size)
    return SCALE * sums / LONGEST / np.bincount(owner, minlength=words.size)


def _similarity(words: Words, grams: Grams, rarity: np.ndarray) -> np.ndarray:
    """The clipped cosine of each reference with its candidate for one n; float64 [S], zeros for the candidates."""
    split = int(np.searchsorted(grams.sentence, words.size))
    of_item = words.item[grams.sentence] * grams.kinds + grams.gram  # an n-gram within an item
    weight = grams.count * rarity[grams.gram]
    norms = np.sqrt(np.bincount(grams.sentence, weight**2, minlength=len(words.lengths)))  # [S]
    # of_item of the candidates is sorted: each has one sentence
    candidate = np.append(weight[:split], 0.0)[lookup(of_item[:split], of_item[split:])]
    reference = weight[split:]
    dots = np.bincount(
        grams.sentence[split:], np.minimum(candidate, reference) * reference, minlength=len(norms)
    )
    scale = norms * norms[words.item]
    return np.divide(dots, scale, out=np.zeros(len(norms)), where=scale != 0)
