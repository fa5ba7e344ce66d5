"""The steps of decoder training: batches, updates and evaluations."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from wsac.bridges.bridge import Bridge
from wsac.decoder import CaptionDecoder
from wsac.inference.captioner import Captioner
from wsac.io.console import count_of, say
from wsac.runtime.seeding import generator_for, seed_for

from .distributed import Processes
from .loop import TrainState
from .material import Material
from .optim import adamw, autocast, learning_rate, update_average
from .recipe_outline import TrainingOptions

EPOCHS, STEPS = 4, 800  # the least of both, if the recipe leaves the length open
FEW_CAPTIONS, FEW_STEPS = 20, 100  # below these a note warns


@dataclass(slots=True)
class DecoderTraining:
    """A decoder, the material it learns from, and one update as a method.

    average: the moving average of the decoder, or the decoder itself; it is evaluated and saved.
    recipe_digest, inputs: digests of the recipe and of the material.
    """

    title: ClassVar[str] = "train"
    save_seconds: ClassVar[float] = 30.0

    options: TrainingOptions
    material: Material
    bridge: Bridge
    decoder: CaptionDecoder
    average: CaptionDecoder
    recipe_digest: str = ""
    inputs: str = ""
    processes: Processes = field(default_factory=Processes)
    captioner: Captioner | None = None
    out: Path = Path()
    memory_precision: str = "float16"
    optimizer: torch.optim.Optimizer = field(init=False)
    epoch_batches: tuple[int, list[Tensor]] = field(init=False, default=(-1, []))

    def __post_init__(self) -> None:
        self.optimizer = adamw(self.decoder, self.options.weight_decay)

    @property
    def weights(self) -> nn.Module:
        if self.average is self.decoder:
            return self.decoder
        return nn.ModuleDict({"model": self.decoder, "average": self.average})

    @property
    def steps_per_epoch(self) -> int:
        return -(-len(self.material.train_rows) // self.options.update_size)

    @property
    def total(self) -> int:
        per_epoch = self.steps_per_epoch
        return per_epoch * (self.options.epochs or max(EPOCHS, -(-STEPS // per_epoch)))

    @property
    def save_every(self) -> int:
        return self.options.save_every or max(self.steps_per_epoch, 50)

    @property
    def patience(self) -> int:
        return self.options.patience

    def announce(self) -> None:
        material, count = self.material, len(self.material.tokens)
        size = sum(map(torch.numel, self.decoder.parameters())) / 1e6
        passes = self.total // self.steps_per_epoch
        say(
            f"{count_of(len(material.train_rows), 'caption')} to train on, "
            f"{len(material.validation_rows):,} held out; vocabulary "
            f"{self.decoder.vocab_size:,}, {size:.1f} M parameters, {self.total:,} steps "
            f"({passes:,} pass{'es' * (passes != 1)} over the captions)"
            + (f" in {self.processes.count} processes" if self.processes.count > 1 else "")
        )
        if count < FEW_CAPTIONS:
            say(
                f"note: only {count_of(count, 'different caption')}, and the captioner can say "
                "nothing else; is the column right?"
            )
        if self.total < FEW_STEPS:
            say(
                f"note: only {self.total} training steps, captions will be poor; "
                "raise --epochs, or leave it out"
            )

    def rate(self, step: int) -> float:
        """The learning rate of a step, counted from 0."""
        options, total = self.options, self.total
        peak, warmup = options.learning_rate, min(options.warmup_steps, total // 10)
        return learning_rate(step, total, peak=peak, warmup=warmup, schedule=options.schedule)

    def batches(self, epoch: int) -> list[Tensor]:
        """Rows of every update of an epoch: shuffled, and from short to long within an update."""
        material, rng = self.material, generator_for(self.options.seed, "order", epoch)
        order = torch.randperm(len(material.train_rows), generator=rng)
        batches = material.train_rows[order].split(self.options.update_size)
        return [material.by_length(rows) for rows in batches]

    def update(self, step: int) -> Tensor:
        epoch, place = divmod(step, self.steps_per_epoch)
        if self.epoch_batches[0] != epoch:
            self.epoch_batches = epoch, self.batches(epoch)
        return self.step(self.epoch_batches[1][place], self.rate(step), step)

    def step(self, rows: Tensor, rate: float, step: int) -> Tensor:
        """Update the weights once, on ``rows``; the loss may still be being computed by a GPU.

        Noise and dropout depend on seed and step alone.
        """
        options, material, decoder = self.options, self.material, self.decoder
        device = next(decoder.parameters()).device
        embedding = material.embed(rows)
        prompt = material.prompt(embedding, generator_for(options.seed, "prompt", step))
        embedding = self.bridge(embedding, generator_for(options.seed, "bridge", step))
        rank = self.processes.rank
        torch.manual_seed(seed_for(options.seed, "dropout", step, *([rank] if rank else [])))
        decoder.train()
        self.optimizer.zero_grad(set_to_none=True)
        total, lengths = torch.zeros((), device=device), material.tokens.lengths(rows)
        for part, counts in self.processes.batches(rows, options.batch_size):
            tokens = material.tokens.batch(rows[part]).to(device)
            phrases = None if prompt is None else prompt[part].to(device)
            with autocast(options.precision, device.type):
                inputs = embedding[part].to(device), tokens, phrases
                loss = decoder.loss(*inputs, label_smoothing=options.label_smoothing)
            # as a part of the mean over all tokens of the update
            loss = loss * (counts * int(lengths[part].sum()) / int(lengths.sum()))
            loss.backward()
            total += loss.detach()
        self.processes.sum_gradients(decoder.parameters(), total)
        nn.utils.clip_grad_norm_(decoder.parameters(), options.clip_norm)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        if self.average is not decoder:
            update_average(self.average, decoder, options.average, step)
        return total

    @torch.inference_mode()
    def validation_loss(self) -> float:
        """Cross-entropy per token of held-out captions, in float32, always with the same noise."""
        material, decoder = self.material, self.average.eval()
        device = next(decoder.parameters()).device
        rng = generator_for(self.options.seed, "validation")
        rows = material.validation_rows if len(material.validation_rows) else material.train_rows
        total, count = 0.0, 0
        for part in material.by_length(rows).split(self.options.batch_size):
            embedding, tokens = material.embed(part), material.tokens.batch(part).to(device)
            prompt = material.prompt(embedding, rng)
            prompt = None if prompt is None else prompt.to(device)
            loss = decoder.loss(self.bridge(embedding, rng).to(device), tokens, prompt).item()
            real = int(material.tokens.lengths(part).sum())
            total, count = total + loss * real, count + real
        return total / count

    def evaluates_at(self, step: int) -> bool:
        return step % (self.options.evaluate_every or max(self.steps_per_epoch, 50)) == 0

    def evaluate(self, state: TrainState, seconds: float) -> dict[str, Any]:
        loss, train_loss = self.processes.from_first(self.validation_loss()), state.mean_loss
        better, epoch = state.improves(loss), state.step / self.steps_per_epoch
        if better and self.captioner is not None and self.processes.is_first:
            notes = {
                "validation_loss": loss,
                "step": state.step,
                "captions": len(self.material.tokens),
            }
            self.captioner.save(self.out, memory_precision=self.memory_precision, notes=notes)
        say(
            f"epoch {epoch:.1f}, step {state.step:,}: train loss {train_loss:.3f}, "
            f"validation loss {loss:.3f}{' (best)' if better else ''}, {seconds:,.0f} s"
        )
        return {
            "step": state.step,
            "epoch": epoch,
            "train_loss": train_loss,
            "validation_loss": loss,
            "learning_rate": self.rate(state.step - 1),
        }
