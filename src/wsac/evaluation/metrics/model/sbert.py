"""SBERT similarity: how near a caption is in meaning to what people wrote, by a sentence encoder."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wsac.evaluation.metrics.items import Item, Score
from wsac.types import CorpusError

from .encoders import SentenceEncoder

DEFAULT_ENCODER = (
    "sentence-transformers/paraphrase-TinyBERT-L6-v2"  # of the FENSE paper's reported figures
)


def sbert_sim(items: Sequence[Item], encoder: SentenceEncoder) -> list[Score]:
    """The mean over an item's references of the cosine between candidate and reference; the corpus is their mean.

    Not the cosine with the mean reference, nor the best of them. Texts are embedded as they are in the items.
    Raises CorpusError for an item without references.
    Source: Zhou et al. 2022 (FENSE, arXiv 2110.04684); aac-metrics' sbert_sim is the same, on PTB tokens.
    """
    without = next((item.id for item in items if not item.references), None)
    if without is not None or not items:
        what = f"{without}: no references" if items else "no captions"
        raise CorpusError(f"{what}; sbert_sim compares captions with at least one reference each")
    candidates = encoder.embed([item.candidate for item in items]).double()  # [N, D]
    references = encoder.embed([text for item in items for text in item.references]).double()
    means = [
        rows.mean(dim=0) for rows in references.split([len(item.references) for item in items])
    ]
    per_item = np.array(
        [float(candidate @ mean) for candidate, mean in zip(candidates, means, strict=True)]
    )
    return [Score("sbert_sim", float(per_item.mean()), per_item, encoder.name)]
