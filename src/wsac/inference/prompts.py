"""Retrieval-augmented decoding: phrases that are near to a sound are given to the decoder as text, before it writes.

The phrases are captions of the support memory (RECAP, arXiv 2309.09836; DRCap, arXiv 2410.09472), or labels of events
as a hard prompt (arXiv 2406.06295). In training the text embedding of a caption stands for the sound.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor

from wsac.bridges import nearest_rows
from wsac.bridges.memory import SupportMemory
from wsac.data.tokenizer import BOS, PAD, Tokenizer

SEEN = 64  # nearest phrases that a band is looked for in


@dataclass(frozen=True, slots=True)
class Prompter:
    """phrases: [M], with their embeddings. count: of them in a prompt. tokens: the length P of every prompt.

    high, low: in training only phrases with a cosine between them are taken, so that the decoder cannot copy: a caption
    finds itself first. labels: whether the phrases are labels, of which always the nearest are taken. rows: token ids
    of each phrase.
    """

    phrases: tuple[str, ...]
    embeddings: SupportMemory
    count: int
    tokens: int
    low: float
    high: float
    labels: bool
    rows: tuple[tuple[int, ...], ...]

    @classmethod
    def make(
        cls,
        phrases: Sequence[str],
        embeddings: SupportMemory,
        tokenizer: Tokenizer,
        *,
        count: int = 3,
        tokens: int = 48,
        low: float = -1.0,
        high: float = 1.1,
        labels: bool = False,
    ) -> Prompter:
        """Raises ValueError when phrases and embeddings are not as many."""
        if len(phrases) != len(embeddings):
            raise ValueError(f"{len(phrases)} phrases and {len(embeddings)} embeddings")
        rows = tuple(tuple(ids) for ids in tokenizer.encode(phrases))
        return cls(tuple(phrases), embeddings, count, tokens, low, high, labels, rows)

    def nearest(self, embedding: Tensor) -> list[list[int]]:
        """Rows of the nearest phrases of each embedding ``[B, D]``, the nearest first."""
        return nearest_rows(embedding, self.embeddings, self.count)[1].tolist()

    def in_band(self, embedding: Tensor, rng: Generator) -> list[list[int]]:
        """The same in training: drawn among the near ones within the band, the nearer first; fewer when few are."""
        if self.labels:
            return self.nearest(embedding)
        scores, rows = nearest_rows(embedding, self.embeddings, min(SEEN, len(self.embeddings)))
        found = []
        for values, places in zip(scores, rows, strict=True):
            inside = places[(values > self.low) & (values < self.high)]
            chosen = torch.randperm(len(inside), generator=rng)[: self.count].sort().values
            found.append(inside[chosen].tolist())
        return found

    def write(self, chosen: Sequence[Sequence[int]]) -> Tensor:
        """Prompts ``[B, P]`` of token ids: each phrase after a begin token, cut at P, filled with padding."""
        out = torch.full((len(chosen), self.tokens), PAD)
        for line, rows in zip(out, chosen, strict=True):
            ids = [token for row in rows for token in (BOS, *self.rows[row])][: self.tokens]
            line[: len(ids)] = torch.tensor(ids, dtype=torch.long)
        return out

    def to_dict(self) -> dict[str, Any]:
        return {
            "count": self.count,
            "tokens": self.tokens,
            "low": self.low,
            "high": self.high,
            "labels": self.labels,
            "phrases": list(self.phrases),
        }
