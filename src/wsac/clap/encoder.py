"""The protocol that every CLAP follows here, and the one way to load one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor

from wsac.data.audio.windows import shortest_tail


@runtime_checkable
class ClapEncoder(Protocol):
    """Both embeds return unit-norm ``[B, D]`` float32 and are deterministic: no random crops, no dropout."""

    fingerprint: str  # model, revision, crop policy, dtype: the key of every cached embedding
    embed_dim: int
    sample_rate: int  # Hz
    window_seconds: float  # the longest piece that is embedded at once
    source: str  # what load_clap loads it by again; "" when it is only in memory, or small enough to be copied

    @property
    def temperature(self) -> float: ...  # learned, of the softmax; 0.07 where a checkpoint has none

    def embed_text(self, captions: Sequence[str]) -> Tensor: ...

    def embed_audio(self, waveforms: Sequence[Tensor]) -> Tensor: ...  # mono float32, any length

    def save(self, folder: str | Path) -> None: ...


class WindowPool:
    """The embedding of a sound that arrives in windows, equal to ``embed_audio`` of the whole.

    The mean of the window embeddings, weighted by length, is normalised again; a tail shorter than a tenth of a window
    is left out unless it is all there is.
    """

    def __init__(self, clap: ClapEncoder) -> None:
        self._clap = clap
        self._total = torch.zeros(clap.embed_dim)
        self._empty = True
        self._shortest = shortest_tail(clap.window_seconds * clap.sample_rate)

    def add(self, windows: Sequence[Tensor]) -> None:
        """windows: mono float32, each at most ``window_seconds`` long, in order."""
        kept = [
            w for i, w in enumerate(windows) if len(w) >= self._shortest or (self._empty and i == 0)
        ]
        if kept:
            self._empty = False
            weights = torch.tensor([float(len(window)) for window in kept])
            self._total = self._total + (weights[:, None] * self._clap.embed_audio(kept)).sum(dim=0)

    def embedding(self) -> Tensor:
        """[D] unit norm."""
        return F.normalize(self._total, dim=-1)


def embed_windows(
    model: Any, waveforms: Sequence[Tensor], batch_size: int, device: torch.device
) -> Tensor:
    """Unit-norm ``[B, D]`` on the CPU by the crop policy of ``WindowPool``; model has ``encode_audio`` and the sizes.

    Only windows of equal length share a batch, so that batching changes nothing.
    """
    size = round(model.window_seconds * model.sample_rate)
    pieces: list[tuple[int, Tensor]] = []
    for row, waveform in enumerate(waveforms):
        windows = list(torch.as_tensor(waveform).split(size))
        if len(windows) > 1 and len(windows[-1]) < shortest_tail(size):
            windows.pop()
        pieces += ((row, window) for window in windows)
    pieces.sort(key=lambda piece: len(piece[1]))
    out = torch.zeros(len(waveforms), model.embed_dim)
    first = 0
    while first < len(pieces):
        length = len(pieces[first][1])
        batch = [piece for piece in pieces[first : first + batch_size] if len(piece[1]) == length]
        stacked = torch.stack([window for _, window in batch]).to(device)
        rows = torch.tensor([row for row, _ in batch])
        out.index_add_(0, rows, model.encode_audio(stacked).cpu() * length)
        first += len(batch)
    return F.normalize(out, dim=-1)
