"""The support memory: text embeddings to retrieve from when an audio embedding must become a textual one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from .files import write_tensors
from .types import ModelError


@dataclass(frozen=True, slots=True)
class SupportMemory:
    """embeddings: [N, D], unit norm, float32. Raises ValueError when there are none."""

    embeddings: Tensor

    def __post_init__(self) -> None:
        if self.embeddings.ndim != 2 or not len(self.embeddings):
            raise ValueError(f"a support memory needs embeddings [N, D] with N > 0, got {tuple(self.embeddings.shape)}")

    def __len__(self) -> int:
        return len(self.embeddings)

    def sample(self, size: int, rng: torch.Generator) -> SupportMemory:
        """At most ``size`` entries drawn without replacement, in their old order; 0 keeps all."""
        return SupportMemory(self.embeddings[self.sample_rows(size, rng)]) if 0 < size < len(self) else self

    def sample_rows(self, size: int, rng: torch.Generator) -> Tensor:
        """The rows of such a sample, rising."""
        if not 0 < size < len(self):
            return torch.arange(len(self))
        return torch.randperm(len(self), generator=rng)[:size].sort().values

    def save(self, path: str | Path, precision: str = "float16") -> None:
        """Write ``memory.safetensors`` in float32, float16 or int8 (relative to the largest value of each entry)."""
        scale = self.embeddings.abs().amax(dim=1, keepdim=True) / 127
        match precision:
            case "int8":
                tensors = {"embeddings": (self.embeddings / scale).round().to(torch.int8)}
            case "float16":
                tensors = {"embeddings": self.embeddings.half()}
            case _:
                tensors = {"embeddings": self.embeddings.float()}
        write_tensors(path, tensors)

    @classmethod
    def load(cls, path: str | Path) -> SupportMemory:
        """Read what ``save`` wrote; entries are unit-norm again. Raises ModelError when it cannot be read."""
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            embeddings = load_file(path)["embeddings"].float()  # normalising also undoes the int8 scale
        except (OSError, KeyError, SafetensorError) as error:
            raise ModelError(f"{path}: not a support memory ({error}); the model folder is incomplete") from error
        return cls(F.normalize(embeddings, dim=-1))
