"""Retrieval-augmented decoding: the decoder reads the phrases nearest to a sound before it writes.

Phrases are captions of the support memory (RECAP, arXiv 2309.09836; DRCap, arXiv 2410.09472), or
event labels as a hard prompt (arXiv 2406.06295). In training the text embedding of a caption stands
for the sound.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from wsac.arrays import Generator, Tensor, torch
from wsac.bridges import nearest_rows
from wsac.bridges.memory import SupportMemory
from wsac.data.tokenizer import BOS, PAD, Tokenizer

NEIGHBOURS = 64  # nearest phrases among which training looks for those within the band


@dataclass(frozen=True, slots=True)
class PromptSettings:
    """phrases: to choose from. count: phrases in a prompt. tokens: the length P of every prompt.

    low, high: training takes only phrases with a cosine between them, so that the decoder cannot
    copy: a caption's nearest phrase is itself. labels: the phrases are labels; always the nearest
    are taken.
    """

    phrases: tuple[str, ...]
    count: Annotated[int, Field(ge=1)] = 3
    tokens: Annotated[int, Field(ge=1)] = 48
    low: float = -1.0
    high: float = 1.1
    labels: bool = False


@dataclass(frozen=True, slots=True)
class Prompter:
    """embeddings: of the phrases, in their order. rows: token ids of each phrase."""

    settings: PromptSettings
    embeddings: SupportMemory
    rows: tuple[tuple[int, ...], ...]

    @classmethod
    def make(
        cls,
        phrases: Sequence[str],
        embeddings: SupportMemory,
        tokenizer: Tokenizer,
        **settings: Any,
    ) -> Prompter:
        """settings: of PromptSettings. Raises ValueError unless each phrase has an embedding."""
        if len(phrases) != len(embeddings):
            raise ValueError(f"{len(phrases)} phrases and {len(embeddings)} embeddings")
        rows = tuple(tuple(ids) for ids in tokenizer.encode(phrases))
        return cls(PromptSettings(tuple(phrases), **settings), embeddings, rows)

    def nearest(self, embedding: Tensor) -> list[list[int]]:
        """Rows of the nearest phrases of each embedding ``[B, D]``, the nearest first."""
        return nearest_rows(embedding, self.embeddings, self.settings.count)[1].tolist()

    def in_band(self, embedding: Tensor, rng: Generator) -> list[list[int]]:
        """The same for training: near phrases within the band, chosen at random; fewer if there are
        not enough."""
        settings = self.settings
        if settings.labels:
            return self.nearest(embedding)
        neighbours = min(NEIGHBOURS, len(self.embeddings))
        scores, rows = nearest_rows(embedding, self.embeddings, neighbours)
        chosen = []
        for values, places in zip(scores, rows, strict=True):
            inside = places[(values > settings.low) & (values < settings.high)]
            order = torch.randperm(len(inside), generator=rng)[: settings.count].sort().values
            chosen.append(inside[order].tolist())
        return chosen

    def write(self, chosen: Sequence[Sequence[int]]) -> Tensor:
        """Prompts ``[B, P]`` of token ids: each phrase after a begin token, cut or padded to P."""
        prompts = torch.full((len(chosen), self.settings.tokens), PAD)
        for prompt, rows in zip(prompts, chosen, strict=True):
            ids = [token for row in rows for token in (BOS, *self.rows[row])][: len(prompt)]
            prompt[: len(ids)] = torch.tensor(ids, dtype=torch.long)
        return prompts
