"""The last part of a sound that does not end."""

from __future__ import annotations

from collections import deque

import numpy as np


class SampleRing:
    """Holds at least the last ``size`` samples of what is added. Places are counted from the start
    of the whole sound. first, end: the part that is held."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._blocks: deque[np.ndarray] = deque()
        self.first, self.end = 0, 0

    def add(self, block: np.ndarray) -> None:
        if len(block):
            self._blocks.append(block)
            self.end += len(block)
        while self._blocks and self.end - self.first - len(self._blocks[0]) >= self._size:
            self.first += len(self._blocks.popleft())

    def clear(self) -> None:
        """Forget what is held; places go on."""
        self._blocks.clear()
        self.first = self.end

    def part(self, start: int, end: int) -> np.ndarray:
        """The samples from one place to another, as far as they are held: [T] float32."""
        pieces, place = [], self.end
        for block in reversed(self._blocks):
            place -= len(block)
            if place < end and place + len(block) > start:
                pieces.append(block[max(0, start - place) : max(0, end - place)])
            if place <= start:
                break
        return np.concatenate(pieces[::-1]) if pieces else np.zeros(0, np.float32)
