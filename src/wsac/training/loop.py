"""The training loop of decoders and CLAPs: resume, update, evaluate, save a checkpoint."""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from wsac.io.console import progress, say
from wsac.io.files import write_text
from wsac.io.json_text import to_json
from wsac.types import ModelError

from .checkpoint import append_metrics, load_checkpoint, save_checkpoint
from .distributed import Processes

LOSS_EVERY = 16  # steps between two reads of the losses: each read makes the CPU wait for a GPU


@dataclass(slots=True)
class TrainState:
    """The progress of a run, as its checkpoint stores it.

    recipe, inputs: digests of the recipe and of the training material. best: lowest validation
    loss. stale: evaluations since. loss_sum, loss_count: training losses since the last evaluation.
    last: the latest of them. rows: of metrics.jsonl, which is written from them.
    """

    step: int = 0
    best: float | None = None
    stale: int = 0
    recipe: str = ""
    inputs: str = ""
    loss_sum: float = 0.0
    loss_count: int = 0
    last: float = 0.0
    over: bool = False
    total: int = 0
    rows: list[dict[str, Any]] = field(default_factory=list)

    @property
    def mean_loss(self) -> float:
        """Training loss since the last evaluation."""
        return self.loss_sum / max(1, self.loss_count)

    def add_losses(self, losses: list[Tensor]) -> None:
        """Add the latest losses and clear the list. Raises ModelError if one is not finite."""
        for step, loss in enumerate(losses, self.step - len(losses)):
            self.last = loss.item()
            if not math.isfinite(self.last):
                remedy = "lower the learning rate or the noise, and use another --out"
                raise ModelError(f"step {step}: the loss is {self.last}; {remedy}")
            self.loss_sum += self.last
            self.loss_count += 1
        losses.clear()

    def improves(self, loss: float) -> bool:
        """Record a validation loss. True if it is the best so far, and a number."""
        better = math.isfinite(loss) and (self.best is None or loss < self.best)
        if better:
            self.best = loss
        self.stale = 0 if better else self.stale + 1
        return better


class Training(Protocol):
    """What differs between trainings.

    title: of the progress bar. weights: everything a checkpoint stores. total, save_every: steps.
    save_seconds: the longest time between checkpoints. patience: stale evaluations that end the
    run, 0 for never.
    """

    title: ClassVar[str]
    save_seconds: ClassVar[float]
    optimizer: torch.optim.Optimizer
    recipe_digest: str
    inputs: str
    processes: Processes

    @property
    def weights(self) -> nn.Module: ...
    @property
    def total(self) -> int: ...
    @property
    def save_every(self) -> int: ...
    @property
    def patience(self) -> int: ...

    def announce(self) -> None:
        """Say what will be trained."""

    def update(self, step: int) -> Tensor:
        """Update the weights once and return the loss, which a GPU may still be computing."""

    def evaluates_at(self, step: int) -> bool:
        """Whether to evaluate after ``step`` steps. The last step is always evaluated."""

    def evaluate(self, state: TrainState, seconds: float) -> dict[str, Any]:
        """Evaluate, save the model if it is the best, and return the row for metrics.jsonl."""


def run(training: Training, out: Path) -> TrainState:
    """Train to the end, from the checkpoint in ``out`` if there is one, and return the last state.

    A resumed run gives the same weights, bit for bit, as an uninterrupted one. Only the first
    process writes files.
    Raises ModelError if a loss is not finite or the checkpoint is damaged, RecipeError if the
    recipe or the material has changed.
    """
    checkpoint, metrics = out / "checkpoint.safetensors", out / "metrics.jsonl"
    total, is_first = training.total, training.processes.is_first
    digests = {"recipe": training.recipe_digest, "inputs": training.inputs}
    state = TrainState(recipe=training.recipe_digest, inputs=training.inputs)
    resumed = checkpoint.is_file()
    if resumed:
        meta = load_checkpoint(checkpoint, training.weights, training.optimizer, **digests)
        state = TrainState(**meta)
    state.total, state.over = total, _is_over(state, training)
    if is_first and (state.rows or metrics.is_file()):
        write_text(metrics, "".join(to_json(row) + "\n" for row in state.rows))
    if state.over:
        say(f"{out}: already trained")
        return state
    if resumed:
        say(f"resuming at step {state.step:,} of {total:,}")
    training.announce()
    losses: list[Tensor] = []
    began = saved = time.perf_counter()
    with progress(training.title, total, unit="steps", done=state.step) as tick:
        while not state.over:
            losses.append(training.update(state.step))
            state.step += 1
            evaluate = state.step == total or training.evaluates_at(state.step)
            overdue = time.perf_counter() - saved > training.save_seconds
            save = overdue or state.step % training.save_every == 0
            if evaluate or save or len(losses) == LOSS_EVERY:
                state.add_losses(losses)
            tick(1, f"loss {state.last:.3f}" if state.last else "")
            if evaluate:
                row = training.evaluate(state, time.perf_counter() - began)
                state.loss_sum, state.loss_count = 0.0, 0
                state.rows.append(row)
                if is_first:
                    append_metrics(metrics, row)
            state.over = _is_over(state, training)
            if is_first and (save or state.over):
                save_checkpoint(checkpoint, training.weights, training.optimizer, asdict(state))
                saved = time.perf_counter()
    if state.stale:
        say(
            f"ended at step {state.step:,}; the decoder of {state.stale} evaluations ago did best "
            "on held-out captions and is the one saved; more captions would help"
        )
    return state


def _is_over(state: TrainState, training: Training) -> bool:
    return state.step >= training.total or 0 < training.patience <= state.stale
