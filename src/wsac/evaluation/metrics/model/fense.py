"""FENSE: similarity in meaning, with a penalty for captions that are no fluent sentence."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wsac.evaluation.metrics.items import Item, Score
from wsac.types import CorpusError

from .encoders import SentenceEncoder
from .fluency import FluencyChecker, fluency_errors
from .sbert import sbert_sim

PENALTY = 0.9  # the share of its score that a faulty caption loses


def fense(items: Sequence[Item], encoder: SentenceEncoder, checker: FluencyChecker) -> list[Score]:
    """sbert_sim, fer and fense = sbert_sim · (1 - 0.9 · error); fense is the mean over the items.

    Source: Zhou et al. 2022, "Can Audio Captions Be Evaluated with Image Caption Metrics?" (arXiv 2110.04684).
    """
    [similarity], [errors] = sbert_sim(items, encoder), fer(items, checker)
    return [similarity, errors, penalised(similarity, errors, "fense")]


def fer(items: Sequence[Item], checker: FluencyChecker) -> list[Score]:
    """The fluency error rate: the share of captions that the detector takes for faulty; 1.0 or 0.0 an item."""
    if not items:
        raise CorpusError("no captions; fer needs at least one")
    per_item = fluency_errors([item.candidate for item in items], checker).astype(np.float64)
    return [Score("fer", float(per_item.mean()), per_item, checker.name)]


def penalised(score: Score, errors: Score, name: str) -> Score:
    """Another metric with FENSE's penalty, such as spider_fl of spider (DCASE 2023): score · (1 - 0.9 · error).

    The corpus is the mean over the items. errors: what ``fer`` gives. Raises CorpusError for a metric that has no value
    for a single caption.
    """
    if score.per_item is None or errors.per_item is None:
        raise CorpusError(
            f"{score.name}: has no value for a single caption, so {name} cannot be computed"
        )
    per_item = score.per_item * (1 - PENALTY * errors.per_item)
    return Score(
        name, float(per_item.mean()), per_item, ", ".join(filter(None, (score.note, errors.note)))
    )
