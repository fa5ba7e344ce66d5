"""FENSE: similarity in meaning, with a penalty for captions that are no fluent sentence."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from wsac.evaluation.metrics.items import Item, Score
from wsac.types import CorpusError

from .encoders import SentenceEncoder
from .fluency import FluencyChecker, fluency_errors

DEFAULT_ENCODER = "sentence-transformers/paraphrase-TinyBERT-L6-v2"  # of FENSE's paper
PENALTY = 0.9  # the share of its score that a faulty caption loses


def sbert_sim(items: Sequence[Item], encoder: SentenceEncoder) -> list[Score]:
    """The mean over an item's references of the cosine between candidate and reference.

    It is neither the cosine with the mean reference nor the best of them. The corpus figure is
    the mean over items. Raises CorpusError for an item without references.
    Source: Zhou et al. 2022 (FENSE, arXiv 2110.04684); aac-metrics computes the same on PTB tokens.
    """
    without = [f"{item.id}: no references" for item in items if not item.references]
    if without or not items:
        what = without[0] if items else "no captions"
        raise CorpusError(f"{what}; sbert_sim compares captions with at least one reference each")
    candidates = encoder.embed([item.candidate for item in items]).double()  # [N, D]
    references = encoder.embed([text for item in items for text in item.references]).double()
    groups = references.split([len(item.references) for item in items])
    means = torch.stack([rows.mean(dim=0) for rows in groups])
    per_item = (candidates * means).sum(dim=1).numpy()
    return [Score("sbert_sim", float(per_item.mean()), per_item, encoder.name)]


def fer(items: Sequence[Item], checker: FluencyChecker) -> list[Score]:
    """The fluency error rate: the share of captions that are faulty; 1.0 or 0.0 an item."""
    if not items:
        raise CorpusError("no captions; fer needs at least one")
    per_item = fluency_errors([item.candidate for item in items], checker).astype(np.float64)
    return [Score("fer", float(per_item.mean()), per_item, checker.name)]


def penalised(score: Score, errors: Score, name: str) -> Score:
    """A metric with FENSE's penalty, such as spider_fl of spider: score · (1 - 0.9 · error).

    fense is sbert_sim with it. errors: from ``fer``. The corpus figure is the mean over the items.
    Raises CorpusError for a metric that has no value for a single caption.
    Source: Zhou et al. 2022, "Can Audio Captions Be Evaluated with Image Caption Metrics?" (arXiv
    2110.04684); for SPIDEr, the DCASE challenge of 2023.
    """
    if score.per_item is None or errors.per_item is None:
        raise CorpusError(f"{score.name}: has no value for a single caption, as {name} needs")
    per_item = score.per_item * (1 - PENALTY * errors.per_item)
    note = ", ".join(filter(None, (score.note, errors.note)))
    return Score(name, float(per_item.mean()), per_item, note)
