"""The protocol that every CLAP follows, and its crop policy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from wsac.arrays import F, Tensor, torch
from wsac.data.audio.windows import shortest_tail
from wsac.runtime.determinism import full_float32
from wsac.types import RecipeError

GRAPHS = ("audio.onnx", "text.onnx")  # the towers for onnxruntime, in the folder of a CLAP


@runtime_checkable
class ClapEncoder(Protocol):
    """Embeds texts and sounds in one space, always the same: no random crops, no dropout."""

    fingerprint: str  # of model, revision, crop policy and dtype: the key of cached embeddings
    embed_dim: int  # D
    sample_rate: int  # Hz
    window_seconds: float  # the longest piece that is embedded at once
    source: str  # load_clap loads it again by this; "" for one in memory, or small enough to copy

    @property
    def temperature(self) -> float:
        """The learned temperature of the softmax over cosines; 0.07 where a checkpoint has none."""

    def embed_text(self, captions: Sequence[str]) -> Tensor:
        """Unit-norm ``[B, D]`` float32 on the CPU, in the order of the captions."""

    def embed_audio(self, waveforms: Sequence[Tensor]) -> Tensor:
        """Unit-norm ``[B, D]`` float32 on the CPU. waveforms: mono float32, of any length."""

    def save(self, folder: str | Path) -> None: ...


def check_texts(texts: Sequence[str]) -> None:
    """Raises RecipeError for text that is not UTF-8, which no tokenizer reads."""
    for text in texts:
        try:
            text.encode()
        except UnicodeEncodeError as error:
            what = "not UTF-8 text, so it cannot be embedded"
            raise RecipeError(f"{text!a}: {what}; write it in UTF-8") from error


class WindowPool:
    """The embedding of a sound that arrives in windows, equal to ``embed_audio`` of the whole.

    It is the mean of the window embeddings, weighted by length and normalised again. A tail shorter
    than a tenth of a window is left out, unless it is all there is.
    """

    def __init__(self, clap: ClapEncoder) -> None:
        self._clap = clap
        self._total = torch.zeros(clap.embed_dim)
        self._empty = True
        self._shortest = shortest_tail(clap.window_seconds * clap.sample_rate)

    def add(self, windows: Sequence[Tensor]) -> None:
        """windows: mono float32, each at most ``window_seconds`` long, in order."""
        long = [window for window in windows if len(window) >= self._shortest]
        if self._empty and windows and not long:
            long = [windows[0]]
        if long:
            self._empty = False
            weights = torch.tensor([float(len(window)) for window in long])
            self._total = self._total + (weights[:, None] * self._clap.embed_audio(long)).sum(dim=0)

    def embedding(self) -> Tensor:
        """[D] unit norm."""
        return F.normalize(self._total, dim=-1)


def embed_windows(
    model: Any,
    waveforms: Sequence[Tensor],
    batch_size: int,
    device: torch.device,
    slack: float = 1.0,
) -> Tensor:
    """Unit-norm ``[B, D]`` on the CPU by the crop policy of ``WindowPool``.

    model: has ``encode_audio`` and the sizes of a ClapEncoder. Only windows of equal length share a
    batch, so that batching changes nothing. With a slack above 1 so do windows that are longer by
    this factor at most; ``encode_audio`` must then take lengths.
    """
    size = round(model.window_seconds * model.sample_rate)
    pieces: list[tuple[int, Tensor]] = []
    for row, waveform in enumerate(waveforms):
        windows = list(torch.as_tensor(waveform).split(size))
        if len(windows) > 1 and len(windows[-1]) < shortest_tail(size):
            windows.pop()
        pieces += ((row, window) for window in windows)
    pieces.sort(key=lambda piece: len(piece[1]))
    total = torch.zeros(len(waveforms), model.embed_dim)
    start = 0
    while start < len(pieces):
        length = len(pieces[start][1])
        end = start + batch_size
        batch = [piece for piece in pieces[start:end] if len(piece[1]) <= slack * length]
        lengths = torch.tensor([len(window) for _, window in batch])
        longest = int(lengths[-1])
        mixed = (lengths.to(device),) if longest > length else ()
        stacked = torch.stack([F.pad(x, (0, longest - len(x))) for _, x in batch]).to(device)
        rows = torch.tensor([row for row, _ in batch])
        with full_float32(device):
            total.index_add_(0, rows, model.encode_audio(stacked, *mixed).cpu() * lengths[:, None])
        start += len(batch)
    return F.normalize(total, dim=-1)
