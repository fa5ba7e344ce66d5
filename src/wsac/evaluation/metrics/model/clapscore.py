"""CLAPScore: how well a caption fits its sound in the space of a CLAP, without references."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wsac.arrays import Tensor, torch
from wsac.clap import ClapEncoder
from wsac.clap.collections import embed_sounds
from wsac.clap.texts import embed_texts
from wsac.evaluation.metrics.items import Item, Score
from wsac.types import AudioError

RANKS = (1, 10)
ROWS = 1024  # captions compared with all sounds at once


def clapscore(items: Sequence[Item], clap: ClapEncoder) -> list[Score]:
    """clapscore, the cosine of sound and caption, and how well a caption finds its own sound.

    retrieval_r1, retrieval_r10: the share of captions whose sound is among the first 1 or 10 of
    all sounds; retrieval_mrr: the mean of 1 / rank. Ties count against the caption. Items of one
    file are right for each other. A cosine has no absolute meaning: it compares captions under
    one CLAP, and flatters a captioner that was built on it. Raises AudioError for a sound that
    is not there or cannot be decoded.
    Source: CLIPScore (Hessel et al. 2021, arXiv 2104.08718) with a CLAP, neither times 2.5 nor
    cut at 0.
    """
    if silent := [item.id for item in items if not item.audio]:
        remedy = "name the recordings in the captions file"
        raise AudioError(f"{silent[0]}: no sound is named, which clapscore needs; {remedy}")
    paths = [str(item.audio) for item in items]
    sounds, texts = embed_sounds(paths, clap), embed_texts(clap, [i.candidate for i in items])
    ranks = _ranks(texts, sounds, paths)
    scores = {"clapscore": (sounds.double() * texts.double()).sum(dim=1).numpy()}
    scores |= {f"retrieval_r{k}": (ranks <= k).astype(np.float64) for k in RANKS}
    scores["retrieval_mrr"] = 1 / ranks
    return [Score(name, float(v.mean()), v, clap.fingerprint) for name, v in scores.items()]


def _ranks(texts: Tensor, sounds: Tensor, paths: Sequence[str]) -> np.ndarray:
    """The place of a caption's own sound among the different sounds, int ``[N]``, from 1."""
    row_of = {path: row for row, path in enumerate(paths)}
    column_of = {path: column for column, path in enumerate(row_of)}
    own, different = torch.tensor([column_of[path] for path in paths]), sounds[[*row_of.values()]]
    ranks = []
    for rows, places in zip(texts.split(ROWS), own.split(ROWS), strict=True):
        similarity = rows @ different.T
        right = similarity.gather(1, places[:, None])
        ranks.append((similarity >= right).sum(dim=1))
    return torch.cat(ranks).numpy()
