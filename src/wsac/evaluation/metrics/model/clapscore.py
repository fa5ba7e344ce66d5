"""CLAPScore: does a caption fit its sound? Without references, by a CLAP that hears the sound and reads the caption."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from wsac.clap import ClapEncoder
from wsac.clap.collections import embed_sounds
from wsac.clap.texts import embed_texts
from wsac.evaluation.metrics.items import Item, Score
from wsac.types import AudioError

RANKS = (1, 10)
ROWS = 1024  # captions compared with all sounds at once


def clapscore(items: Sequence[Item], clap: ClapEncoder) -> list[Score]:
    """clapscore, the cosine of sound and caption, and how well a caption finds its sound among all of the items'.

    retrieval_r1, retrieval_r10: the share of captions whose sound is among the first 1 or 10; retrieval_mrr: the mean
    of 1 / rank. Sounds as near as the right one count as before it; items of one file are all right for each other.
    A cosine has no absolute meaning: it compares captions under one CLAP, which the note names, and one that the
    captioner itself was built on flatters it. Raises AudioError for items whose sound is missing or cannot be decoded.
    Source: CLIPScore (Hessel et al. 2021, arXiv 2104.08718) with a CLAP, without its factor of 2.5 and cut at 0.
    """
    sounds = embed_sounds([_path(item) for item in items], clap)  # [N, D]
    texts = embed_texts(clap, [item.candidate for item in items])
    cosines = (sounds.double() * texts.double()).sum(dim=1).numpy()
    ranks = _ranks(texts, sounds, [_path(item) for item in items])
    scores = [Score("clapscore", float(cosines.mean()), cosines, clap.fingerprint)]
    for k in RANKS:
        found = (ranks <= k).astype(np.float64)
        scores.append(Score(f"retrieval_r{k}", float(found.mean()), found, clap.fingerprint))
    return [*scores, Score("retrieval_mrr", float((1 / ranks).mean()), 1 / ranks, clap.fingerprint)]


def _path(item: Item) -> str:
    if not item.audio:
        raise AudioError(
            f"{item.id}: no sound is named; clapscore hears the recordings, name them in the captions file"
        )
    return item.audio


def _ranks(texts: Tensor, sounds: Tensor, paths: Sequence[str]) -> np.ndarray:
    """``[N]`` int: the place, from 1, of a caption's own sound among the different sounds."""
    first: dict[str, int] = {}
    for row, path in enumerate(paths):
        first.setdefault(path, row)
    columns = {path: column for column, path in enumerate(first)}
    own, different = torch.tensor([columns[path] for path in paths]), sounds[list(first.values())]
    ranks = []
    for some, place in zip(texts.split(ROWS), own.split(ROWS), strict=True):
        similarity = some @ different.T
        right = similarity.gather(1, place[:, None])
        ranks.append((similarity >= right).sum(dim=1))
    return torch.cat(ranks).numpy()
