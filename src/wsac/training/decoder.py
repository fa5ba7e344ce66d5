"""Text-only training: captions → text embeddings → training bridge → decoder → cross-entropy."""

from __future__ import annotations

import copy
import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wsac.bridges import Bridge, BridgeContext, parse, training_bridge
from wsac.bridges.gap import Gap
from wsac.bridges.memory import SupportMemory
from wsac.clap import ClapEncoder, load_clap
from wsac.clap.collections import embed_sounds
from wsac.clap.texts import embed_texts
from wsac.data.captions.corpus import merge, read_labels, restyle
from wsac.data.datasets.pairs import PAIR, sound_rows
from wsac.data.tokenizer import Tokenizer
from wsac.data.tokens import TokenRows
from wsac.decoder import CaptionDecoder
from wsac.inference.captioner import Captioner
from wsac.inference.prompts import Prompter
from wsac.io.config import pin_recipe
from wsac.io.console import progress, say
from wsac.io.files import write_bytes
from wsac.io.plots import curve_png
from wsac.runtime.device import pick_device
from wsac.runtime.process import configure_process, return_freed_memory
from wsac.runtime.seeding import generator_for, seed_for
from wsac.training.recipe import Recipe, TrainingOptions
from wsac.types import CorpusError, RecipeError

from .checkpoint import (
    append_metrics,
    check_loss,
    cut_metrics,
    digest,
    learning_rate,
    load_checkpoint,
    save_checkpoint,
)
from .distributed import Processes
from .optim import adamw, autocast, follow
from .start import first_decoder

SAVE_SECONDS = 30  # what an interruption costs at most
EPOCHS, STEPS = 4, 800  # of a run whose recipe leaves the length open
FEW = 20  # captions
LOOK_EVERY = 16  # steps after which the losses are looked at: a GPU is not waited for at each


def train(recipe: Recipe, out: str | Path, *, device: str = "auto") -> Captioner:
    """Train a captioner from text alone and return it; the folder ``out`` then holds its bundle.

    ``out`` also gets recipe.toml, metrics.jsonl, loss.png and checkpoint.safetensors. A run that was stopped goes on
    from its last checkpoint and ends with the same weights, bit for bit, as one that was never stopped. Started by a
    launcher in several processes (``accelerate launch``), each takes its share of every update.
    Raises CorpusError, RecipeError or ModelError for captions, options or a CLAP that cannot be used.
    """
    out, options = Path(out), recipe.training
    configure_process()
    processes = Processes.here(device)
    with processes.first_goes_ahead():
        run = _prepare(recipe, out, processes.device(device), processes)
    return_freed_memory()
    optimizer = run.optimizer
    per_epoch = -(-len(run.train_rows) // options.update_size)
    epochs = options.epochs or max(EPOCHS, -(-STEPS // per_epoch))
    total = per_epoch * epochs
    warmup, often = min(options.warmup_steps, total // 10), max(per_epoch, 50)
    state: dict[str, Any] = {"step": 0, "best": None, "stale": 0, "inputs": run.inputs}
    state |= {"loss_sum": 0.0, "loss_count": 0, "last": 0.0}
    checkpoint, metrics = out / "checkpoint.safetensors", out / "metrics.jsonl"
    if checkpoint.is_file():
        state |= load_checkpoint(checkpoint, run.weights, optimizer, inputs=run.inputs)
    if processes.is_first:
        cut_metrics(metrics, state["step"])
    over = _is_over(state, total, options)
    if checkpoint.is_file():
        say(
            f"{out}: already trained"
            if over
            else f"resuming at step {state['step']:,} of {total:,}"
        )
    if not over:
        _announce(run, total)
    began = saved = time.perf_counter()
    batches, batches_of = [], -1
    losses: list[Tensor] = []
    done = min(state["step"] * options.update_size, epochs * len(run.train_rows))
    with progress("train", epochs * len(run.train_rows), unit="captions", done=done) as tick:
        while not _is_over(state, total, options):
            epoch, place = divmod(state["step"], per_epoch)
            if batches_of != epoch:
                batches, batches_of = _batches(run, options, epoch), epoch
            rate = learning_rate(
                state["step"],
                total,
                peak=options.learning_rate,
                warmup=warmup,
                schedule=options.schedule,
            )
            losses.append(_step(run, batches[place], rate, options, state["step"]))
            state["step"] += 1
            evaluate = state["step"] == total or _due(
                state["step"], options.evaluate_every or often
            )
            save = (
                _due(state["step"], options.save_every or often)
                or time.perf_counter() - saved > SAVE_SECONDS
            )
            if evaluate or save or len(losses) == LOOK_EVERY:
                _look_at(losses, state)
            tick(len(batches[place]), f"loss {state['last']:.3f}" if state["last"] else "")
            if evaluate:
                _evaluate(
                    run,
                    recipe,
                    state,
                    out,
                    rate,
                    state["step"] / per_epoch,
                    time.perf_counter() - began,
                )
            ended = {"over": _is_over(state, total, options), "total": total}
            if processes.is_first and (save or ended["over"]):
                save_checkpoint(checkpoint, run.weights, optimizer, state | ended)
                saved = time.perf_counter()
    if state["stale"] and not over:
        say(
            f"ended at step {state['step']:,}; held-out captions were best {state['stale']} evaluations before: that "
            "decoder is kept; more captions would help"
        )
    if processes.is_first:
        _draw_losses(metrics, out / "loss.png")
    processes.wait()
    return Captioner.load(out, device=processes.device(device))


@dataclass(frozen=True, slots=True)
class _Run:
    """What a run holds. embeddings: [N, D], of which a batch is read at a time; train_rows, held_rows: rising.

    decoder: what is trained. The captioner's own is what is evaluated and saved: the same, or its moving average.
    """

    captioner: Captioner
    decoder: CaptionDecoder
    optimizer: torch.optim.Optimizer
    bridge: Bridge
    tokens: TokenRows
    embeddings: Tensor
    train_rows: Tensor
    held_rows: Tensor
    inputs: str
    prompter: Prompter | None = None
    processes: Processes = field(default_factory=Processes)

    @property
    def weights(self) -> nn.Module:
        """All that a checkpoint keeps."""
        average = self.captioner.decoder
        return (
            self.decoder
            if average is self.decoder
            else nn.ModuleDict({"model": self.decoder, "average": average})
        )

    def embedding(self, rows: Tensor) -> Tensor:
        """[B, D] float32, unit norm also where they are kept in half precision."""
        found = self.embeddings[rows]
        return found if found.dtype == torch.float32 else F.normalize(found.float(), dim=-1)


def _prepare(recipe: Recipe, out: Path, device: str, processes: Processes | None = None) -> _Run:
    options = recipe.training
    device = pick_device(device)
    clap = load_clap(recipe.clap, device=device)
    captions, sounds = _material(recipe, clap)
    gap = Gap.load(recipe.bridge.gap, fingerprint=clap.fingerprint) if recipe.bridge.gap else None
    anything = SupportMemory(torch.eye(2, clap.embed_dim))
    training_bridge(
        recipe.bridge.train, BridgeContext(anything, gap)
    )  # a wrong one is known at once
    held_rows, train_rows = _split(len(captions), recipe)
    if not len(train_rows):
        raise CorpusError(
            f"{len(captions)} captions leave none to train on; add captions or lower corpus.validation"
        )
    if (out / "clap.json").is_file():
        raise RecipeError(f"{out}: holds a CLAP; give a captioner another --out")
    prompt = recipe.prompt
    labels = (
        list(dict.fromkeys(read_labels(prompt.labels))) if prompt.count and prompt.labels else []
    )
    decoder, tokenizer, origin = first_decoder(recipe, clap, [*captions, *labels], out)
    pin_recipe(recipe, out)

    tokens = TokenRows.make(captions, tokenizer, decoder.max_tokens)
    texts = embed_texts(clap, captions, half=True)
    embeddings = texts if sounds is None else sounds
    memory = SupportMemory(texts, train_rows)
    kept = train_rows[memory.sample_rows(recipe.memory.size, generator_for(options.seed, "memory"))]
    memory = SupportMemory(texts, kept)
    prompter = _prompter(recipe, clap, tokenizer, memory, captions, kept, labels)
    decoder = decoder.to(device)
    average = copy.deepcopy(decoder).requires_grad_(False) if options.average else decoder
    bridge = training_bridge(recipe.bridge.train, BridgeContext(memory, gap, clap.temperature))
    captioner = Captioner(
        clap, average, tokenizer, memory, gap=gap, trained=recipe.bridge.train, prompter=prompter
    )
    measured = Path(recipe.bridge.gap).read_bytes() if recipe.bridge.gap else b""
    built_on: list[str | bytes] = [part for part in (decoder.fingerprint, origin) if part]
    inputs = digest(clap.fingerprint, measured, *built_on, *recipe.corpus.pairs, *captions)
    optimizer = adamw(decoder, options.weight_decay)
    return _Run(
        captioner,
        decoder,
        optimizer,
        bridge,
        tokens,
        embeddings,
        train_rows,
        held_rows,
        inputs,
        prompter,
        processes or Processes(),
    )


def _split(captions: int, recipe: Recipe) -> tuple[Tensor, Tensor]:
    """Rows held out and rows trained on, rising."""
    order = torch.randperm(captions, generator=generator_for(recipe.training.seed, "split"))
    held = round(captions * recipe.corpus.validation)
    if (
        recipe.corpus.validation
    ):  # of a small corpus somewhat more, as a loss over two captions says nothing
        held = max(held, min(10, captions // 10))
    return order[:held].sort().values, order[held:].sort().values


def _prompter(
    recipe: Recipe,
    clap: ClapEncoder,
    tokenizer: Tokenizer,
    memory: SupportMemory,
    captions: list[str],
    kept: Tensor,
    labels: list[str],
) -> Prompter | None:
    """What the decoder is to read before it writes: captions of the memory, whose rows are ``kept``, or labels."""
    options = recipe.prompt
    if not options.count:
        return None
    size: dict[str, Any] = {"count": options.count, "tokens": options.tokens}
    if not labels:
        written = [captions[row] for row in kept.tolist()]
        return Prompter.make(written, memory, tokenizer, low=options.low, high=options.high, **size)
    return Prompter.make(
        labels, SupportMemory(clap.embed_text(labels)), tokenizer, labels=True, **size
    )


def _material(recipe: Recipe, clap: ClapEncoder) -> tuple[list[str], Tensor | None]:
    """The captions, and the embeddings of their sounds [N, D] where the recipe gives pairs."""
    corpus = recipe.corpus
    if not corpus.pairs:
        merged = merge(corpus.captions, format=corpus.format, style=corpus.style)
        return [example.caption for example in merged.examples], None
    if corpus.captions:
        raise RecipeError("corpus.captions and corpus.pairs exclude each other; give one of them")
    heads = [
        kind.name
        for kind, _ in parse(recipe.bridge.train, "training", "head")
        if kind.stage == "head"
    ]
    if heads:
        raise RecipeError(
            f"bridge '{heads[0]}' is for texts; with corpus.pairs the sounds themselves are trained on"
        )
    rows = [
        (path, row["caption"])
        for file in corpus.pairs
        for path, row in sound_rows(file, PAIR, filled=PAIR)
    ]
    if not rows:
        raise CorpusError(f"{', '.join(corpus.pairs)}: no pairs; give rows audio,caption")
    places = {path: i for i, path in enumerate(dict.fromkeys(path for path, _ in rows))}
    sounds = embed_sounds(list(places), clap)
    return [restyle(text.strip(), corpus.style) for _, text in rows], sounds[
        [places[path] for path, _ in rows]
    ]


def _batches(run: _Run, options: TrainingOptions, epoch: int) -> list[Tensor]:
    """Rows of every update of an epoch: shuffled; within an update from short to long, so that where it is split into
    several batches little of these is padding."""
    order = torch.randperm(
        len(run.train_rows), generator=generator_for(options.seed, "order", epoch)
    )
    batches = run.train_rows[order].split(options.update_size)
    return [rows[run.tokens.lengths(rows).argsort(stable=True)] for rows in batches]


def _step(run: _Run, rows: Tensor, rate: float, options: TrainingOptions, step: int) -> Tensor:
    """One update; its loss, which a GPU need not have computed yet. Noise and dropout depend on seed and step alone."""
    device = next(run.decoder.parameters()).device
    embedding = run.embedding(rows)
    prompt = _prompt(run, embedding, generator_for(options.seed, "prompt", step))
    embedding = run.bridge(embedding, generator_for(options.seed, "bridge", step))
    several = run.processes
    torch.manual_seed(
        seed_for(options.seed, "dropout", step, *([several.rank] if several.rank else []))
    )
    run.decoder.train()
    run.optimizer.zero_grad(set_to_none=True)
    total, lengths = torch.zeros((), device=device), run.tokens.lengths(rows)
    for part in several.share(rows).split(options.batch_size):
        tokens, piece = (
            run.tokens.batch(rows[part]),
            None if prompt is None else prompt[part].to(device),
        )
        with autocast(options.precision, device.type):
            loss = run.decoder.loss(
                embedding[part].to(device),
                tokens.to(device),
                piece,
                label_smoothing=options.label_smoothing,
            )
        loss = loss * (
            int(lengths[part].sum()) / int(lengths.sum())
        )  # of the mean over all tokens of the update
        loss.backward()
        total += loss.detach()
    several.add_up(run.decoder.parameters(), total)
    nn.utils.clip_grad_norm_(run.decoder.parameters(), options.clip_norm)
    for group in run.optimizer.param_groups:
        group["lr"] = rate
    run.optimizer.step()
    if run.captioner.decoder is not run.decoder:
        follow(run.captioner.decoder, run.decoder, options.average, step)
    return total


def _look_at(losses: list[Tensor], state: dict[str, Any]) -> None:
    """Add the losses of the last steps up, and forget them. Raises ModelError for one that is not finite."""
    for step, loss in enumerate(losses, state["step"] - len(losses)):
        state["last"] = check_loss(loss.item(), step)
        state["loss_sum"] += state["last"]
        state["loss_count"] += 1
    losses.clear()


def _prompt(run: _Run, embedding: Tensor, rng: torch.Generator) -> Tensor | None:
    return (
        None if run.prompter is None else run.prompter.write(run.prompter.in_band(embedding, rng))
    )


@torch.inference_mode()
def _validation_loss(run: _Run, options: TrainingOptions) -> float:
    """Cross-entropy per token of the held-out captions, in float32, under the training bridge, its noise the same."""
    decoder = run.captioner.decoder.eval()
    device = next(decoder.parameters()).device
    rng = generator_for(options.seed, "validation")
    total, count = 0.0, 0
    rows = run.held_rows if len(run.held_rows) else run.train_rows
    for part in rows[run.tokens.lengths(rows).argsort(stable=True)].split(options.batch_size):
        embedding, tokens = run.embedding(part), run.tokens.batch(part)
        prompt = _prompt(run, embedding, rng)
        prompt = None if prompt is None else prompt.to(device)
        real = int(run.tokens.lengths(part).sum())
        total += (
            decoder.loss(run.bridge(embedding, rng).to(device), tokens.to(device), prompt).item()
            * real
        )
        count += real
    return total / count


def _evaluate(
    run: _Run,
    recipe: Recipe,
    state: dict[str, Any],
    out: Path,
    rate: float,
    epoch: float,
    seconds: float,
) -> None:
    """Measure, log, and save the bundle when it is the best so far; updates ``state``."""
    loss = run.processes.first_says(_validation_loss(run, recipe.training))
    train_loss = state["loss_sum"] / max(1, state["loss_count"])
    better = state["best"] is None or loss < state["best"]
    state |= {"loss_sum": 0.0, "loss_count": 0, "stale": 0 if better else state["stale"] + 1}
    if better:
        state["best"] = loss
    if not run.processes.is_first:
        return
    if better:
        notes = {"validation_loss": loss, "step": state["step"], "captions": len(run.tokens)}
        run.captioner.save(out, memory_precision=recipe.memory.precision, notes=notes)
    row = {"step": state["step"], "epoch": epoch, "train_loss": train_loss, "validation_loss": loss}
    row["learning_rate"] = rate
    append_metrics(out / "metrics.jsonl", row)
    say(
        f"epoch {epoch:.1f}, step {state['step']:,}: train loss {train_loss:.3f}, validation loss {loss:.3f}"
        f"{' (best)' if better else ''}, {seconds:,.0f} s"
    )


def _announce(run: _Run, total: int) -> None:
    """What will be trained, and what to think about before it."""
    size = sum(map(torch.numel, run.decoder.parameters())) / 1e6
    say(
        f"{len(run.train_rows):,} captions to train on, {len(run.held_rows):,} held out; vocabulary "
        f"{run.decoder.vocab_size:,}, {size:.1f} M parameters, {total:,} steps"
    )
    if len(run.tokens) < FEW:
        say(
            f"note: only {len(run.tokens)} different captions; is the column right? They are all that it can say"
        )
    if total < 100:
        say(
            f"note: only {total} steps of training, captions will be poor; leave the epochs out or raise them"
        )


def _is_over(state: dict[str, Any], total: int, options: TrainingOptions) -> bool:
    return state["step"] == total or 0 < options.patience <= state["stale"]


def _due(step: int, every: int) -> bool:
    return step % every == 0


def _draw_losses(metrics: Path, target: Path) -> None:
    if not metrics.is_file():
        return
    rows = [json.loads(line) for line in metrics.read_text(encoding="utf-8").splitlines()]
    series = {
        "training (with dropout)": [(row["epoch"], row["train_loss"]) for row in rows],
        "held out": [(row["epoch"], row["validation_loss"]) for row in rows],
    }
    write_bytes(target, curve_png(series, title="Loss", x_label="epoch", y_label="nats per token"))
