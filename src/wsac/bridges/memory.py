"""The support memory: text embeddings to retrieve from when an audio embedding must become a textual one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from wsac.io.files import write_tensor
from wsac.types import ModelError

KEPT_WHOLE = (
    1 << 26
)  # numbers (256 MB); a larger memory stays in its file, in the precision it was written in
TILE = (
    1 << 21
)  # numbers handled at once: 8 MB, so that a second look at them finds them in the processor's cache


class SupportMemory:
    """Entries ``[N, D]``, unit norm. They may be kept in half precision or int8, in a file: what is given is float32.

    embeddings: [M, D]. rows: which of them are the entries, in this order; None means all. Nothing is copied.
    Raises ValueError when there are none.
    """

    __slots__ = ("_kept", "_rows")

    def __init__(self, embeddings: Tensor, rows: Tensor | None = None) -> None:
        if embeddings.ndim != 2 or not len(embeddings) or (rows is not None and not len(rows)):
            raise ValueError(
                f"a support memory needs embeddings [N, D] with N > 0, got {tuple(embeddings.shape)}"
            )
        self._kept, self._rows = embeddings, rows

    def __len__(self) -> int:
        return len(self._kept if self._rows is None else self._rows)

    @property
    def dim(self) -> int:
        """D."""
        return self._kept.shape[1]

    @property
    def embeddings(self) -> Tensor:
        """All of them, [N, D] float32; a copy where they are kept otherwise. Of a large memory, better take tiles."""
        if self._rows is None and self._kept.dtype == torch.float32:
            return self._kept
        return torch.cat(list(self.tiles()))

    def take(self, rows: Tensor) -> Tensor:
        """Entries ``[..., D]`` float32 of rows ``[...]``, any shape, as long as they lie on the CPU."""
        return _unit(self._kept[rows if self._rows is None else self._rows[rows]])

    def tiles(self, dtype: torch.dtype = torch.float32) -> Iterator[Tensor]:
        """All entries in their order, some at a time: ``[n, D]``."""
        for first in range(0, len(self), size := max(1, TILE // self.dim)):
            last = first + size
            tile = (
                self._kept[first:last] if self._rows is None else self._kept[self._rows[first:last]]
            )
            yield tile if tile.dtype == dtype else _unit(tile).to(dtype)

    def sample(self, size: int, rng: torch.Generator) -> SupportMemory:
        """At most ``size`` entries drawn without replacement, in their old order; 0 keeps all."""
        return self.only(self.sample_rows(size, rng)) if 0 < size < len(self) else self

    def only(self, rows: Tensor) -> SupportMemory:
        """A memory of these rows of this one."""
        return SupportMemory(self._kept, rows if self._rows is None else self._rows[rows])

    def sample_rows(self, size: int, rng: torch.Generator) -> Tensor:
        """The rows of such a sample, rising."""
        if not 0 < size < len(self):
            return torch.arange(len(self))
        return torch.randperm(len(self), generator=rng)[:size].sort().values

    def save(self, path: str | Path, precision: str = "float16") -> None:
        """Write ``memory.safetensors`` in float32, float16 or int8 (relative to the largest value of each entry)."""

        def written(tile: Tensor) -> Tensor:
            match precision:
                case "int8":
                    return (
                        (tile / tile.abs().amax(dim=1, keepdim=True) * 127).round().to(torch.int8)
                    )
                case "float16":
                    return tile.half()
                case _:
                    return tile

        dtype = {"int8": torch.int8, "float16": torch.float16}.get(precision, torch.float32)
        write_tensor(path, "embeddings", map(written, self.tiles()), (len(self), self.dim), dtype)

    @classmethod
    def load(cls, path: str | Path) -> SupportMemory:
        """Read what ``save`` wrote; entries are unit-norm again. Raises ModelError when it cannot be read."""
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            memory = cls(load_file(path)["embeddings"])  # mapped: nothing is read yet
        except (OSError, KeyError, ValueError, SafetensorError) as error:
            raise ModelError(
                f"{path}: not a support memory ({error}); the model folder is incomplete"
            ) from error
        if len(memory) * memory.dim > KEPT_WHOLE:
            return memory
        return cls(F.normalize(memory._kept.float(), dim=-1))


def _unit(entries: Tensor) -> Tensor:
    """float32, unit norm: what half precision rounded, and the scale that int8 left out."""
    return entries if entries.dtype == torch.float32 else F.normalize(entries.float(), dim=-1)


ROWS = 256  # embeddings compared at once


def nearest(embedding: Tensor, memory: SupportMemory, k: int) -> tuple[Tensor, Tensor]:
    """Cosines ``[B, K]``, falling, and entries ``[B, K, D]`` of the K = min(k, N) nearest."""
    scores, rows = nearest_rows(embedding, memory, k)
    return scores, memory.take(rows.cpu()).to(embedding)


def nearest_rows(embedding: Tensor, memory: SupportMemory, k: int) -> tuple[Tensor, Tensor]:
    """The same as rows of the memory ``[B, K]``."""
    found = [_nearest_rows(rows, memory, min(k, len(memory))) for rows in embedding.split(ROWS)]
    if not found:
        return torch.empty(0, k), torch.empty(0, k, dtype=torch.long)
    return torch.cat([scores for scores, _ in found]), torch.cat([rows for _, rows in found])


def _nearest_rows(embedding: Tensor, memory: SupportMemory, k: int) -> tuple[Tensor, Tensor]:
    scores = torch.empty(len(embedding), 0).to(embedding)
    rows = torch.empty(len(embedding), 0, dtype=torch.long, device=embedding.device)
    first = 0
    for entries in _tiles(memory, embedding):
        found, places = (embedding @ entries.T).topk(min(k, len(entries)), dim=1)
        scores, rows = torch.cat((scores, found), dim=1), torch.cat((rows, places + first), dim=1)
        scores, kept = scores.topk(min(k, scores.shape[1]), dim=1)
        rows = rows.gather(1, kept)
        first += len(entries)
    return scores, rows


def _tiles(
    memory: SupportMemory, embedding: Tensor, kind: torch.dtype | None = None
) -> Iterator[Tensor]:
    if embedding.shape[-1] != memory.dim:
        raise ValueError(f"embedding has {embedding.shape[-1]} dimensions, the memory {memory.dim}")
    for entries in memory.tiles(kind or embedding.dtype):
        yield entries.to(embedding.device, non_blocking=True)
