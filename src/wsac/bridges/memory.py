"""The support memory: text embeddings that audio embeddings are brought to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from wsac.arrays import F, Tensor, torch
from wsac.io.tensors import read_tensors, write_tensor
from wsac.types import ModelError

WHOLE = 1 << 26  # numbers (256 MB); a larger memory stays in its file, in the precision written
TILE = 1 << 21  # numbers handled at once: 8 MB, which stays in the processor's cache
ROWS = 256  # embeddings compared at once
PART = 4096  # entries that are compared with each other, to find near-duplicates
DTYPES = {"float32": torch.float32, "float16": torch.float16, "int8": torch.int8}


class SupportMemory:
    """Entries ``[N, D]``, unit norm. They may be stored in half precision or int8, or lie in a
    file; what is read is float32.

    embeddings: [M, D]. rows: which of them are the entries, in this order; default: all. Nothing is
    copied. Raises ValueError when there are none.
    """

    __slots__ = ("_rows", "_stored")

    def __init__(self, embeddings: Tensor, rows: Tensor | None = None) -> None:
        if embeddings.ndim != 2 or not len(embeddings if rows is None else rows):
            shape = tuple(embeddings.shape)
            raise ValueError(f"a support memory needs embeddings [N, D] with N > 0, got {shape}")
        self._stored, self._rows = embeddings, rows

    def __len__(self) -> int:
        return len(self._stored if self._rows is None else self._rows)

    @property
    def dim(self) -> int:
        """D."""
        return self._stored.shape[1]

    @property
    def embeddings(self) -> Tensor:
        """All entries, [N, D] float32, copied unless stored so. Prefer tiles of a large memory."""
        if self._rows is None and self._stored.dtype == torch.float32:
            return self._stored
        return torch.cat(list(self.tiles()))

    def take(self, rows: Tensor) -> Tensor:
        """Entries ``[..., D]`` float32 of rows ``[...]``, of any shape, on the CPU."""
        return _unit(self._stored[rows if self._rows is None else self._rows[rows]])

    def tiles(self, dtype: torch.dtype = torch.float32) -> Iterator[Tensor]:
        """All entries in their order, some at a time: ``[n, D]``."""
        size = max(1, TILE // self.dim)
        for start in range(0, len(self), size):
            rows = slice(start, start + size)
            tile = self._stored[rows if self._rows is None else self._rows[rows]]
            yield tile if tile.dtype == dtype else _unit(tile).to(dtype)

    def tiles_for(self, embedding: Tensor, dtype: torch.dtype | None = None) -> Iterator[Tensor]:
        """The tiles on the device of embeddings ``[B, D]``, in their dtype or another.

        Raises ValueError when the dimensions differ.
        """
        if embedding.shape[-1] != self.dim:
            dims = f"embedding has {embedding.shape[-1]} dimensions, the memory {self.dim}"
            raise ValueError(dims)
        for entries in self.tiles(dtype or embedding.dtype):
            yield entries.to(embedding.device, non_blocking=True)

    def only(self, rows: Tensor) -> SupportMemory:
        """A memory of these rows of this one."""
        return SupportMemory(self._stored, rows if self._rows is None else self._rows[rows])

    def sample_rows(self, size: int, rng: torch.Generator) -> Tensor:
        """At most ``size`` rows drawn without replacement, rising; 0 takes all."""
        if not 0 < size < len(self):
            return torch.arange(len(self))
        return torch.randperm(len(self), generator=rng)[:size].sort().values

    def save(self, path: str | Path, precision: str = "float16") -> None:
        """Write safetensors in float32, float16 or int8, scaled to the maximum of each entry."""

        def rounded(tile: Tensor) -> Tensor:
            if precision != "int8":
                return tile
            return (tile / tile.abs().amax(dim=1, keepdim=True) * 127).round()

        shape, dtype = (len(self), self.dim), DTYPES[precision]
        write_tensor(path, "embeddings", map(rounded, self.tiles()), shape, dtype)

    @classmethod
    def load(cls, path: str | Path, checksum: str | None = None) -> SupportMemory:
        """Read what ``save`` wrote; entries are unit-norm again.

        checksum: of the file that is expected. Raises ModelError for another or a damaged file.
        """
        from safetensors import SafetensorError

        try:
            memory = cls(read_tensors(path, checksum)[0]["embeddings"])  # mapped into memory
        except (OSError, KeyError, ValueError, SafetensorError) as error:
            what = f"not a support memory ({error}); the model folder is incomplete"
            raise ModelError(f"{path}: {what}") from error
        if len(memory) * memory.dim > WHOLE:
            return memory
        return cls(F.normalize(memory._stored.float(), dim=-1))


def nearest(embedding: Tensor, memory: SupportMemory, k: int) -> tuple[Tensor, Tensor]:
    """Cosines ``[B, K]``, falling, and entries ``[B, K, D]`` of the K = min(k, N) nearest."""
    scores, rows = nearest_rows(embedding, memory, k)
    return scores, memory.take(rows.cpu()).to(embedding)


def nearest_rows(embedding: Tensor, memory: SupportMemory, k: int) -> tuple[Tensor, Tensor]:
    """Cosines ``[B, K]``, falling, and rows of the memory ``[B, K]``."""
    if not len(embedding):
        return torch.empty(0, k), torch.empty(0, k, dtype=torch.long)
    k = min(k, len(memory))
    parts = [_nearest_rows(part, memory, k) for part in embedding.split(ROWS)]
    return torch.cat([scores for scores, _ in parts]), torch.cat([rows for _, rows in parts])


def _nearest_rows(embedding: Tensor, memory: SupportMemory, k: int) -> tuple[Tensor, Tensor]:
    scores = torch.empty(len(embedding), 0).to(embedding)
    rows = torch.empty(len(embedding), 0, dtype=torch.long, device=embedding.device)
    start = 0
    for entries in memory.tiles_for(embedding):
        best, places = (embedding @ entries.T).topk(min(k, len(entries)), dim=1)
        scores, rows = torch.cat((scores, best), dim=1), torch.cat((rows, places + start), dim=1)
        scores, order = scores.topk(min(k, scores.shape[1]), dim=1)
        rows = rows.gather(1, order)
        start += len(entries)
    return scores, rows


def _unit(entries: Tensor) -> Tensor:
    """float32, unit norm: undoes the rounding of half precision and the scale of int8."""
    return entries if entries.dtype == torch.float32 else F.normalize(entries.float(), dim=-1)


def rows_unlike(memory: SupportMemory, threshold: float, rng: torch.Generator) -> Tensor:
    """Rows, rising, without near-duplicates: entries whose cosine to an earlier one that stays is
    at least ``threshold``.

    A memory of more than 8,192 entries is divided into parts, by the nearest of N / 4096 random
    entries, and what stays is divided once more by others. Near-duplicates that fall into different
    parts both times both stay.
    """
    rows = torch.arange(len(memory))
    if len(memory) < 2 * PART:
        return rows[_unlike(memory.embeddings, threshold)]
    for _ in range(2):
        rows = rows[_unlike_in_parts(memory.only(rows), threshold, rng)]
    return rows


def _unlike_in_parts(memory: SupportMemory, threshold: float, rng: torch.Generator) -> Tensor:
    """Rows, rising, that stay when only entries of one part are compared."""
    centres = SupportMemory(memory.take(memory.sample_rows(max(1, len(memory) // PART), rng)))
    owner = torch.cat([nearest_rows(tile, centres, 1)[1].flatten() for tile in memory.tiles()])
    parts = owner.argsort(stable=True).split(owner.bincount().tolist())
    rows = [part[_unlike(memory.take(part), threshold)] for part in parts if len(part)]
    return torch.cat(rows).sort().values


def _unlike(entries: Tensor, threshold: float) -> Tensor:
    """Which of ``[n, D]`` stay: ``[n]``, bool."""
    stays = torch.ones(len(entries), dtype=torch.bool)
    for start in range(0, len(entries), ROWS):
        block, earlier = entries[start : start + ROWS], entries[:start][stays[:start]]
        here = stays[start : start + ROWS]  # a view
        here &= (block @ earlier.T < threshold).all(dim=1)
        alike = (block @ block.T >= threshold).tril(-1)
        for row in alike.any(dim=1).nonzero().flatten().tolist():
            here[row] &= not (alike[row] & here).any()
    return stays
