"""Choosing among several captions of a sound: by agreement (MBR), or by how well the CLAP says that each fits."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from wsac.clap import ClapEncoder
from wsac.types import RecipeError

WAYS = ("", "mbr", "clap")


def check_way(way: str) -> None:
    if way not in WAYS:
        raise RecipeError(f"choice '{way}': choose of {', '.join(WAYS[1:])}, or leave it out")


def choose(
    clap: ClapEncoder,
    audio: Tensor,
    candidates: Sequence[Sequence[str]],
    logprobs: Sequence[Sequence[float]],
    way: str,
    weight: float = 0.05,
) -> list[int]:
    """The place of the chosen candidate of each sound. audio: [B, D] unit norm; logprobs: mean per token, nats.

    mbr: the largest mean cosine with the other candidates' text embeddings, minimum Bayes risk (Kumar & Byrne 2004) as
    COMET (arXiv 2605.29628) uses it. clap: the largest cosine with the sound, plus weight · logprob. "": the first.
    """
    check_way(way)
    if not way:
        return [0] * len(candidates)
    texts = clap.embed_text([text for some in candidates for text in some])
    chosen, first = [], 0
    for sound, some, scores in zip(audio.cpu().float(), candidates, logprobs, strict=True):
        embedded = texts[first : first + len(some)]
        first += len(some)
        agreement = (embedded @ embedded.T).sum(dim=1)
        value = agreement if way == "mbr" else embedded @ sound + weight * torch.tensor(scores)
        chosen.append(int(value.argmax()))
    return chosen
