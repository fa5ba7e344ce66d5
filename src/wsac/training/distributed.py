"""Training in several processes that share an update: ``torchrun -m wsac train …``."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor

from wsac.io.console import be_quiet
from wsac.types import RecipeError

TIMEOUT = timedelta(hours=6)  # the first process may have a million captions to embed


@dataclass(frozen=True, slots=True)
class Processes:
    """This process and its peers; alone without a launcher. state: accelerate's PartialState.

    All hold the same weights, since all apply the same summed gradients. Only the first writes
    files and messages.
    """

    rank: int = 0
    count: int = 1
    state: Any = None

    @classmethod
    def here(cls, device: str) -> Processes:
        """As set in the environment by the launcher. device: ``"cpu"`` avoids GPUs.

        Raises RecipeError if accelerate is missing.
        """
        if int(os.environ.get("WORLD_SIZE", "1")) < 2:
            return cls()
        try:
            from accelerate import PartialState
        except ImportError as error:
            what = "needs accelerate; pip install 'wsac[distributed]'"
            raise RecipeError(f"several processes: {what}") from error
        state = PartialState(cpu=device == "cpu" or not torch.cuda.is_available(), timeout=TIMEOUT)
        if state.process_index:
            be_quiet()
        return cls(state.process_index, state.num_processes, state)

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def device(self, requested: str) -> str:
        """The GPU of this process, unless it is alone or a device was requested by number."""
        own = self.state is not None and requested in ("auto", "cuda")
        return str(self.state.device) if own else requested

    def first_goes_ahead(self) -> AbstractContextManager[Any]:
        """A context that the others enter when the first process has left it."""
        return nullcontext() if self.state is None else self.state.main_process_first()

    def share(self, rows: Tensor) -> Tensor:
        """Indices of the rows of this process: every n-th, as neighbours are of similar length."""
        return torch.arange(len(rows))[self.rank :: self.count]

    def batches(self, rows: Tensor, size: int) -> Iterator[tuple[Tensor, bool]]:
        """The share, at most ``size`` at once, and True. All processes have equally many batches,
        since they may gather weights; one that has no rows left gets the first, and False.
        """
        batches = [batch for batch in self.share(rows).split(size) if len(batch)]
        largest = -(-len(rows) // self.count)
        for place in range(-(-largest // size)):
            counts = place < len(batches)
            yield batches[place] if counts else torch.zeros(1, dtype=torch.long), counts

    def sum_gradients(self, parameters: Iterable[torch.nn.Parameter], loss: Tensor) -> None:
        """Replace gradients and loss by their sums over all processes, in place."""
        if self.state is None:
            return
        from accelerate.utils import reduce

        trainable = [p for p in parameters if p.requires_grad]
        parts = [torch.zeros_like(p) if p.grad is None else p.grad for p in trainable]
        flat: Tensor = reduce(torch.cat([part.flatten() for part in (*parts, loss)]), "sum")
        *sums, loss_sum = flat.split([*(part.numel() for part in parts), 1])
        for parameter, gradient in zip(trainable, sums, strict=True):
            parameter.grad = gradient.view_as(parameter)
        loss.copy_(loss_sum.view_as(loss))

    def from_first(self, value: float) -> float:
        """The value of the first process, so that all decide alike."""
        if self.state is None:
            return value
        from accelerate.utils import broadcast_object_list

        return float(broadcast_object_list([value])[0])

    def wait(self) -> None:
        """Wait for all processes."""
        if self.state is not None:
            self.state.wait_for_everyone()
