"""The KV cache of the transformer: preallocated, and shared by the beams of a clip."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(slots=True)
class KvCache:
    """Keys and values of C clips; the first ``filled`` slots are in use.

    The beams of a clip share its slots: their common beginning lies there once, every later
    position once per beam. So no beam is ever copied.
    """

    keys: Tensor  # [layers, C, slots, heads, width / heads]
    values: Tensor
    room: int  # the most positions of a beam
    positions: int = 0  # of a beam so far
    filled: int = 0
    seen: Tensor | None = None  # [C, S, filled] the slots each of S beams descends from; None: all

    @property
    def beams(self) -> int:
        """S."""
        return 1 if self.seen is None else self.seen.shape[1]

    def extend(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Write a layer's next positions [C, n, heads, ·]; returns all, [C, M, heads, ·]."""
        end = self.filled + keys.shape[1]
        self.keys[layer, :, self.filled : end] = keys
        self.values[layer, :, self.filled : end] = values
        return self.keys[layer, :, :end], self.values[layer, :, :end]

    def before_step(self) -> KvCache:
        """The cache in which each beam also sees its own next position."""
        if self.seen is None:
            return self
        own = torch.eye(self.beams, dtype=torch.bool, device=self.seen.device)
        return replace(self, seen=torch.cat((self.seen, own.expand(len(self.seen), -1, -1)), dim=2))

    def mask(self, dtype: torch.dtype) -> Tensor | None:
        """[C, 1, S, filled + S] to add to the scores of a step, or None when all slots are seen."""
        if self.seen is None:
            return None
        zeros = torch.zeros_like(self.seen, dtype=dtype)
        return zeros.masked_fill_(~self.seen, -torch.inf)[:, None]

    def after(self, positions: int) -> KvCache:
        """The cache after every layer was extended by ``positions`` of each beam."""
        return replace(
            self,
            positions=self.positions + positions,
            filled=self.filled + positions * self.beams,
        )

    def select(self, rows: Tensor) -> KvCache:
        """The cache of other beams; see ``CaptionDecoder.select``."""
        lines = rows if rows.ndim == 2 else rows[:, None]
        clips, seen = lines[:, 0] // self.beams, self.seen
        if lines.shape[1] > 1 or seen is not None:
            if seen is None:
                shape = (self.keys.shape[1], 1, self.filled)
                seen = torch.ones(shape, dtype=torch.bool, device=self.keys.device)
            seen = seen[clips[:, None], lines % self.beams]
        slots = self.filled + lines.shape[1] * (self.room - self.positions)
        if rows.ndim == 2 and len(lines) == self.keys.shape[1] and slots <= self.keys.shape[2]:
            return replace(self, seen=seen)
        keys, values = self._copy(self.keys, clips, slots), self._copy(self.values, clips, slots)
        return replace(self, keys=keys, values=values, seen=seen)

    def _copy(self, part: Tensor, clips: Tensor, slots: int) -> Tensor:
        """Keys or values of some clips in a new tensor; only filled slots are copied."""
        copy = part.new_empty((part.shape[0], len(clips), slots, *part.shape[3:]))
        for new, old in zip(copy, part, strict=True):
            new[:, : self.filled] = old[clips, : self.filled]
        return copy
