"""The token ids of many captions in one flat array, and batches of them without a loop in Python."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .tokenizer import EOS, PAD, Tokenizer

AT_ONCE = 8192  # captions tokenised at once: what a tokenizer returns is fat


@dataclass(frozen=True, slots=True)
class TokenRows:
    """ids: of all captions one after the other, int32, each ending with the end token. offsets: [N + 1], where they
    begin. A million captions of 15 tokens take 70 MB; as a list of tensors they would take 300."""

    ids: Tensor
    offsets: Tensor

    @classmethod
    def make(cls, captions: Sequence[str], tokenizer: Tokenizer, limit: int) -> TokenRows:
        """limit: tokens of a caption, the end token among them; longer ones are cut."""
        parts, lengths = [], []
        for first in range(0, len(captions), AT_ONCE):
            rows = [
                [*ids[: limit - 1], EOS]
                for ids in tokenizer.encode(captions[first : first + AT_ONCE])
            ]
            lengths.append(np.fromiter(map(len, rows), np.int64, len(rows)))
            parts.append(
                np.fromiter((i for row in rows for i in row), np.int32, int(lengths[-1].sum()))
            )
        offsets = np.concatenate([np.zeros(1, np.int64), *lengths]).cumsum()
        return cls(
            torch.from_numpy(np.concatenate([*parts, np.empty(0, np.int32)])),
            torch.from_numpy(offsets),
        )

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def lengths(self, rows: Tensor) -> Tensor:
        """[B] tokens of each row, the end token among them."""
        return self.offsets[rows + 1] - self.offsets[rows]

    def batch(self, rows: Tensor) -> Tensor:
        """[B, L] ids, int64, padded to the longest."""
        length = self.lengths(rows)
        place = torch.arange(int(length.max()))
        found = self.ids[(self.offsets[rows, None] + place).clamp(max=len(self.ids) - 1)]
        return torch.where(place < length[:, None], found, PAD).long()
