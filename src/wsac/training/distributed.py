"""Several processes that train one decoder, each on its share of an update: ``accelerate launch -m wsac train …``."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor

from wsac.io.console import be_quiet
from wsac.types import RecipeError

PATIENCE = timedelta(
    hours=6
)  # others wait so long for the first, which may have a million captions to embed


@dataclass(frozen=True, slots=True)
class Processes:
    """This process among those of a launcher; alone where there is none. state: accelerate's PartialState, or None.

    All hold the same weights, since all make the same update of the gradients that they add up. Only the first writes
    files and speaks.
    """

    rank: int = 0
    count: int = 1
    state: Any = None

    @classmethod
    def here(cls, device: str) -> Processes:
        """As the launcher says, by its environment. device: ``"cpu"`` keeps off GPUs that there are.

        Raises RecipeError where accelerate is missing.
        """
        if int(os.environ.get("WORLD_SIZE", "1")) < 2:
            return cls()
        try:
            from accelerate import PartialState
        except ImportError as error:
            raise RecipeError(
                "several processes: needs accelerate; pip install 'wsac[distributed]'"
            ) from error
        state = PartialState(cpu=device == "cpu" or not torch.cuda.is_available(), timeout=PATIENCE)
        if state.process_index:
            be_quiet()
        return cls(state.process_index, state.num_processes, state)

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def device(self, asked: str) -> str:
        """Of this process: its own GPU where several share the work and none was asked for by number."""
        return (
            asked if self.state is None or asked not in ("auto", "cuda") else str(self.state.device)
        )

    def first_goes_ahead(self) -> AbstractContextManager[Any]:
        """In its context the first does what the others then find done."""
        return nullcontext() if self.state is None else self.state.main_process_first()

    def share(self, rows: Tensor) -> Tensor:
        """Places in ``rows`` that this process takes: every n-th, as neighbours are of similar length."""
        return torch.arange(self.rank, len(rows), self.count)

    def add_up(self, parameters: Iterable[torch.nn.Parameter], total: Tensor) -> None:
        """Gradients and a loss become their sums over all processes."""
        if self.state is None:
            return
        from accelerate.utils import reduce

        trained = [each for each in parameters if each.requires_grad]
        parts = [torch.zeros_like(each) if each.grad is None else each.grad for each in trained]
        flat: Tensor = reduce(
            torch.cat([*(part.flatten() for part in parts), total.flatten()]), "sum"
        )
        *sums, whole = flat.split([*(part.numel() for part in parts), 1])
        for each, found in zip(trained, sums, strict=True):
            each.grad = found.view_as(each)
        total.copy_(whole.view_as(total))

    def first_says(self, value: float) -> float:
        """The value of the first process, so that all decide alike."""
        if self.state is None:
            return value
        from accelerate.utils import broadcast_object_list

        return float(broadcast_object_list([value])[0])

    def wait(self) -> None:
        """Until all are here."""
        if self.state is not None:
            self.state.wait_for_everyone()
