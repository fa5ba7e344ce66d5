"""Text-only training: captions → text embeddings → training bridge → decoder → cross-entropy."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .audio_embeddings import embed_sounds
from .bridges import Bridge, Given, parse, training_bridge
from .cache import embed_texts
from .captioner import Captioner
from .checkpoint import append_metrics, check_loss, cut_metrics, digest, learning_rate, load_checkpoint, save_checkpoint
from .clap import ClapEncoder, load_clap
from .clap.pairs import PAIR, sound_rows
from .console import progress, say
from .corpora import merge, read_labels, restyle
from .decoder import TransformerDecoder
from .device import pick_device
from .files import write_bytes
from .gap import Gap
from .memory import SupportMemory
from .pictures import curve_png
from .prompts import Prompter
from .recipe import Recipe, TrainingOptions, pin_recipe
from .seeding import generator_for, seed_for
from .tokenizer import EOS, PAD, Tokenizer
from .types import CorpusError, RecipeError

SAVE_SECONDS = 30  # what an interruption costs at most
EPOCHS, STEPS = 4, 800  # of a run whose recipe leaves the length open
CHUNK = 64  # batches: captions are sorted by length within chunks of so many batches


def train(recipe: Recipe, out: str | Path, *, device: str = "auto") -> Captioner:
    """Train a captioner from text alone and return it; the folder ``out`` then holds its bundle.

    ``out`` also gets recipe.toml, metrics.jsonl, loss.png and checkpoint.safetensors. A run that was stopped goes on
    from its last checkpoint and ends with the same weights, bit for bit, as one that was never stopped.
    Raises CorpusError, RecipeError or ModelError for captions, options or a CLAP that cannot be used.
    """
    out, options = Path(out), recipe.training
    run = _prepare(recipe, out, device)
    decoder, optimizer = run.decoder, run.optimizer
    per_epoch = -(-len(run.train_rows) // options.batch_size)
    epochs = options.epochs or max(EPOCHS, -(-STEPS // per_epoch))
    total = per_epoch * epochs
    warmup, often = min(options.warmup_steps, total // 10), max(per_epoch, 50)
    state: dict[str, Any] = {
        "step": 0,
        "best": None,
        "stale": 0,
        "loss_sum": 0.0,
        "loss_count": 0,
        "inputs": run.inputs,
    }
    checkpoint, metrics = out / "checkpoint.safetensors", out / "metrics.jsonl"
    if checkpoint.is_file():
        state = load_checkpoint(checkpoint, decoder, optimizer, inputs=run.inputs)
        say(
            f"{out}: already trained"
            if _is_over(state, total, options)
            else f"resuming at step {state['step']:,} of {total:,}"
        )
    cut_metrics(metrics, state["step"])
    say(
        f"{len(run.train_rows):,} captions to train on, {len(run.held_rows):,} held out; vocabulary "
        f"{decoder.vocab_size:,}, {sum(map(torch.numel, decoder.parameters())) / 1e6:.1f} M parameters, {total:,} steps"
    )

    if total < 100:
        say(f"note: only {total} steps of training, captions will be poor; leave the epochs out or raise them")
    began = saved = time.perf_counter()
    batches, batches_of = [], -1
    done = min(state["step"] * options.batch_size, epochs * len(run.train_rows))
    with progress("train", epochs * len(run.train_rows), unit="captions", done=done) as tick:
        while not _is_over(state, total, options):
            epoch, place = divmod(state["step"], per_epoch)
            if batches_of != epoch:
                batches, batches_of = _batches(run, options, epoch), epoch
            rate = learning_rate(state["step"], total, peak=options.learning_rate, warmup=warmup,
                                 schedule=options.schedule)  # fmt: skip
            loss = _step(run, batches[place], rate, options, state["step"])
            state["step"] += 1
            state["loss_sum"] += loss
            state["loss_count"] += 1
            tick(len(batches[place]), f"loss {loss:.3f}")

            if state["step"] == total or _due(state["step"], options.evaluate_every or often):
                _evaluate(run, recipe, state, out, rate, state["step"] / per_epoch, time.perf_counter() - began)
            due = _due(state["step"], options.save_every or often) or time.perf_counter() - saved > SAVE_SECONDS
            if due or _is_over(state, total, options):
                save_checkpoint(checkpoint, decoder, optimizer, state)
                saved = time.perf_counter()
    _draw_losses(metrics, out / "loss.png")
    return Captioner.load(out, device=device)


@dataclass(frozen=True, slots=True)
class _Run:
    """What a run holds. tokens: ids of each caption, the end token last; embeddings: [N, D]; rows index both."""

    captioner: Captioner
    decoder: TransformerDecoder
    optimizer: torch.optim.Optimizer
    bridge: Bridge
    tokens: list[Tensor]
    embeddings: Tensor
    train_rows: list[int]
    held_rows: list[int]
    inputs: str
    prompter: Prompter | None = None

    def batch(self, rows: list[int]) -> tuple[Tensor, Tensor]:
        """embeddings [B, D] and padded tokens [B, L]."""
        padded = nn.utils.rnn.pad_sequence([self.tokens[i] for i in rows], batch_first=True, padding_value=PAD)
        return self.embeddings[rows], padded


def _prepare(recipe: Recipe, out: Path, device: str) -> _Run:
    options = recipe.training
    device = pick_device(device)
    clap = load_clap(recipe.clap, device=device)
    captions, sounds = _material(recipe, clap)
    gap = Gap.load(recipe.bridge.gap, fingerprint=clap.fingerprint) if recipe.bridge.gap else None
    anything = SupportMemory(torch.eye(2, clap.embed_dim))
    training_bridge(recipe.bridge.train, Given(anything, gap))  # a wrong one is known at once
    order = torch.randperm(len(captions), generator=generator_for(options.seed, "split")).tolist()
    held = round(len(order) * recipe.corpus.validation)
    if recipe.corpus.validation:  # of a small corpus somewhat more, as a loss over two captions says nothing
        held = max(held, min(10, len(order) // 10))
    held_rows, train_rows = sorted(order[:held]), sorted(order[held:])
    if not train_rows:
        raise CorpusError(f"{len(captions)} captions leave none to train on; add captions or lower corpus.validation")
    if (out / "clap.json").is_file():
        raise RecipeError(f"{out}: holds a CLAP; give a captioner another --out")
    pin_recipe(recipe, out)

    tokenizer = Tokenizer.train(captions, recipe.decoder.vocab_size)
    limit = recipe.decoder.max_tokens - 1
    tokens = [torch.tensor([*ids[:limit], EOS]) for ids in tokenizer.encode(captions)]
    texts = embed_texts(clap, captions)
    embeddings = texts if sounds is None else sounds
    memory = SupportMemory(texts[train_rows])
    kept = memory.sample_rows(recipe.memory.size, generator_for(options.seed, "memory"))
    memory = SupportMemory(memory.embeddings[kept])
    prompter = _prompter(recipe, clap, tokenizer, memory, [captions[train_rows[i]] for i in kept.tolist()])
    torch.manual_seed(seed_for(options.seed, "weights"))
    sizes = recipe.decoder.model_dump(exclude={"vocab_size"})
    sizes |= {"prompt_tokens": recipe.prompt.tokens if prompter else 0}
    decoder = TransformerDecoder(embed_dim=clap.embed_dim, vocab_size=tokenizer.vocab_size, **sizes)
    decoder = decoder.to(device)
    matrices = [p for p in decoder.parameters() if p.ndim > 1]
    vectors = [p for p in decoder.parameters() if p.ndim < 2]  # biases and norms are not decayed
    groups = [{"params": matrices, "weight_decay": options.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    bridge = training_bridge(recipe.bridge.train, Given(memory, gap, getattr(clap, "temperature", 0.07)))
    captioner = Captioner(clap, decoder, tokenizer, memory, gap=gap, trained=recipe.bridge.train, prompter=prompter)
    measured = Path(recipe.bridge.gap).read_bytes() if recipe.bridge.gap else b""
    inputs = digest(clap.fingerprint, measured, *recipe.corpus.pairs, *captions)
    optimizer = torch.optim.AdamW(groups)
    return _Run(captioner, decoder, optimizer, bridge, tokens, embeddings, train_rows, held_rows, inputs, prompter)


def _prompter(
    recipe: Recipe, clap: ClapEncoder, tokenizer: Tokenizer, memory: SupportMemory, captions: list[str]
) -> Prompter | None:
    """What the decoder is to read before it writes: captions of the memory, or labels."""
    options = recipe.prompt
    if not options.count:
        return None
    size: dict[str, Any] = {"count": options.count, "tokens": options.tokens}
    if not options.labels:
        return Prompter.make(captions, memory, tokenizer, low=options.low, high=options.high, **size)
    labels = list(dict.fromkeys(read_labels(options.labels)))
    return Prompter.make(labels, SupportMemory(clap.embed_text(labels)), tokenizer, labels=True, **size)


def _material(recipe: Recipe, clap: ClapEncoder) -> tuple[list[str], Tensor | None]:
    """The captions, and the embeddings of their sounds [N, D] where the recipe gives pairs."""
    corpus = recipe.corpus
    if not corpus.pairs:
        merged = merge(corpus.captions, format=corpus.format, style=corpus.style)
        return [example.caption for example in merged.examples], None
    if corpus.captions:
        raise RecipeError("corpus.captions and corpus.pairs exclude each other; give one of them")
    heads = [kind.name for kind, _ in parse(recipe.bridge.train, "training", "head") if kind.stage == "head"]
    if heads:
        raise RecipeError(f"bridge '{heads[0]}' is for texts; with corpus.pairs the sounds themselves are trained on")
    rows = [(path, row["caption"]) for file in corpus.pairs for path, row in sound_rows(file, PAIR, filled=PAIR)]
    if not rows:
        raise CorpusError(f"{', '.join(corpus.pairs)}: no pairs; give rows audio,caption")
    places = {path: i for i, path in enumerate(dict.fromkeys(path for path, _ in rows))}
    sounds = embed_sounds(list(places), clap)
    return [restyle(text.strip(), corpus.style) for _, text in rows], sounds[[places[path] for path, _ in rows]]


def _batches(run: _Run, options: TrainingOptions, epoch: int) -> list[list[int]]:
    """Rows of every batch of an epoch: shuffled, then of similar length within a batch, so little is padding."""
    rng = generator_for(options.seed, "order", epoch)
    rows = [run.train_rows[i] for i in torch.randperm(len(run.train_rows), generator=rng).tolist()]
    size, batches = options.batch_size, []
    for first in range(0, len(rows), CHUNK * size):
        chunk = sorted(rows[first : first + CHUNK * size], key=lambda row: len(run.tokens[row]))
        batches += [chunk[i : i + size] for i in range(0, len(chunk), size)]
    return [batches[i] for i in torch.randperm(len(batches), generator=rng).tolist()]


def _step(run: _Run, rows: list[int], rate: float, options: TrainingOptions, step: int) -> float:
    """One update. Noise and dropout depend on the seed and the step alone."""
    device = next(run.decoder.parameters()).device
    embedding, tokens = run.batch(rows)
    prompt = _prompt(run, embedding, generator_for(options.seed, "prompt", step))
    embedding = run.bridge(embedding, generator_for(options.seed, "bridge", step))
    torch.manual_seed(seed_for(options.seed, "dropout", step))
    run.decoder.train()
    prompt = None if prompt is None else prompt.to(device)
    loss = run.decoder.loss(embedding.to(device), tokens.to(device), prompt, label_smoothing=options.label_smoothing)
    run.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(run.decoder.parameters(), options.clip_norm)
    for group in run.optimizer.param_groups:
        group["lr"] = rate
    run.optimizer.step()
    return check_loss(loss.item(), step)


def _prompt(run: _Run, embedding: Tensor, rng: torch.Generator) -> Tensor | None:
    return None if run.prompter is None else run.prompter.write(run.prompter.in_band(embedding, rng))


@torch.inference_mode()
def _validation_loss(run: _Run, options: TrainingOptions) -> float:
    """Cross-entropy per token of the held-out captions under the training bridge, its noise always the same."""
    run.decoder.eval()
    device = next(run.decoder.parameters()).device
    rng = generator_for(options.seed, "validation")
    total, count = 0.0, 0
    rows = sorted(run.held_rows or run.train_rows, key=lambda row: len(run.tokens[row]))
    for first in range(0, len(rows), options.batch_size):
        embedding, tokens = run.batch(rows[first : first + options.batch_size])
        prompt = _prompt(run, embedding, rng)
        prompt = None if prompt is None else prompt.to(device)
        real = int((tokens != PAD).sum())
        total += run.decoder.loss(run.bridge(embedding, rng).to(device), tokens.to(device), prompt).item() * real
        count += real
    return total / count


def _evaluate(
    run: _Run, recipe: Recipe, state: dict[str, Any], out: Path, rate: float, epoch: float, seconds: float
) -> None:
    """Measure, log, and save the bundle when it is the best so far; updates ``state``."""
    loss = _validation_loss(run, recipe.training)
    train_loss = state["loss_sum"] / max(1, state["loss_count"])
    better = state["best"] is None or loss < state["best"]
    state |= {"loss_sum": 0.0, "loss_count": 0, "stale": 0 if better else state["stale"] + 1}
    if better:
        state["best"] = loss
        notes = {"validation_loss": loss, "step": state["step"], "captions": len(run.tokens)}
        run.captioner.save(out, memory_precision=recipe.memory.precision, notes=notes)
    row = {
        "step": state["step"],
        "epoch": epoch,
        "train_loss": train_loss,
        "validation_loss": loss,
        "learning_rate": rate,
    }
    append_metrics(out / "metrics.jsonl", row)
    say(f"epoch {epoch:.1f}, step {state['step']:,}: train loss {train_loss:.3f}, validation loss {loss:.3f}"
        f"{' (best)' if better else ''}, {seconds:,.0f} s")  # fmt: skip


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
