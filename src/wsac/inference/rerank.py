"""Choosing among candidate captions: by their agreement (MBR) or their fit to the sound (CLAP)."""

from __future__ import annotations

from collections.abc import Sequence

from wsac.arrays import Tensor, torch
from wsac.clap import ClapEncoder
from wsac.types import RecipeError

CHOICES = ("", "mbr", "clap")
LOGPROB_WEIGHT = 0.05  # of the decoder's log-probability, beside the CLAP's cosine


def check_choice(choice: str) -> None:
    """Raises RecipeError for an unknown way to choose."""
    if choice not in CHOICES:
        known = ", ".join(CHOICES[1:])
        raise RecipeError(f"choice '{choice}': choose from {known}, or leave it out")


def choose(
    clap: ClapEncoder, audio: Tensor, candidates: Sequence[Sequence[tuple[str, float]]], choice: str
) -> list[int]:
    """The index of the chosen candidate of each sound. audio: [B, D] unit norm.

    candidates: texts with their mean log-probability per token, in nats, the likeliest first.
    mbr: the largest mean cosine with the other candidates' text embeddings, minimum Bayes risk
    (Kumar & Byrne 2004) as COMET (arXiv 2605.29628) uses it. clap: the largest cosine with the
    sound + LOGPROB_WEIGHT · logprob. "": the first.
    """
    if not choice:
        return [0] * len(candidates)
    embedded = clap.embed_text([text for row in candidates for text, _ in row])
    parts = embedded.split([len(row) for row in candidates])
    chosen = []
    for sound, row, texts in zip(audio.cpu().float(), candidates, parts, strict=True):
        if choice == "mbr":
            value = (texts @ texts.T).sum(dim=1)
        else:
            value = texts @ sound + LOGPROB_WEIGHT * torch.tensor([score for _, score in row])
        chosen.append(int(value.argmax()))
    return chosen
