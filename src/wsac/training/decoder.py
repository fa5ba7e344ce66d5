"""Text-only training: captions → text embeddings → training bridge → decoder → cross-entropy."""

from __future__ import annotations

import copy
from contextlib import nullcontext
from pathlib import Path

import torch
from torch import Tensor

from wsac.bridges.bridge import BridgeContext, training_bridge
from wsac.bridges.gap import Gap
from wsac.bridges.memory import SupportMemory, rows_unlike
from wsac.clap import load_clap
from wsac.clap.texts import embed_texts
from wsac.data.tokens import TokenRows
from wsac.decoder.generation import Words
from wsac.inference.captioner import Captioner
from wsac.io.config import pin_recipe, recipe_digest
from wsac.io.console import say
from wsac.io.files import settle, write_text
from wsac.io.locks import alone_in
from wsac.io.svg_plots import curve_svg
from wsac.runtime.determinism import deterministic
from wsac.runtime.device import pick_device
from wsac.runtime.process import configure_process, return_freed_memory
from wsac.runtime.seeding import generator_for
from wsac.types import RecipeError

from .checkpoint import digest
from .distributed import Processes
from .loop import TrainState, run
from .material import (
    Material,
    embed_pairs,
    make_prompter,
    read_captions,
    read_prompt_labels,
    split_rows,
)
from .recipe import Recipe
from .sharding import check_shard, split_frozen
from .start import first_decoder, note_strange, origin
from .steps import DecoderTraining


def train(
    recipe: Recipe, out: str | Path, *, device: str = "auto", shard: bool = False
) -> Captioner:
    """Train a captioner from text alone, write its bundle to the folder ``out`` and return it.

    ``out`` also gets recipe.toml, metrics.jsonl, loss.svg and checkpoint.safetensors. A stopped run
    resumes from its last checkpoint and ends with the same weights, bit for bit. Under a launcher
    (``torchrun``) each process takes its share of every update, and with ``shard`` also of
    a frozen language model; the captioner is then returned on the CPU.
    Raises CorpusError, RecipeError or ModelError for unusable captions, options or CLAPs,
    WsacError while another process trains in ``out``.
    """
    out = Path(out)
    configure_process()
    processes = Processes.here(device)
    device = pick_device(processes.device(device))
    if shard:
        check_shard(recipe, processes)
    with alone_in(out) if processes.is_first else nullcontext():
        settle(out)
        with deterministic(device, recipe.training.deterministic):
            with processes.first_goes_ahead():
                place = "cpu" if shard else device
                training = prepare(recipe, out, device=device, processes=processes, place=place)
            if shard:
                split_frozen(training.decoder, processes, device)
            return_freed_memory()
            state = run(training, out)
        if processes.is_first:
            _plot_losses(state, out)
        processes.wait()
        return Captioner.load(out, device="cpu" if shard else device)


def prepare(
    recipe: Recipe,
    out: Path,
    *,
    device: str = "auto",
    processes: Processes | None = None,
    half: bool = True,
    place: str | None = None,
    kind: type[DecoderTraining] = DecoderTraining,
) -> DecoderTraining:
    """Read the captions, embed them and make the decoder. half: keep embeddings in float16.
    place: device of the decoder, if not ``device``.

    Writes recipe.toml to ``out``. Raises CorpusError, RecipeError or ModelError like ``train``.
    """
    options, device = recipe.training, pick_device(device)
    captions, paths = read_captions(recipe.corpus)  # first: its errors are likelier
    clap = load_clap(recipe.clap, device=device)
    sounds = None if paths is None else embed_pairs(paths, clap, recipe.bridge.train)
    gap_file = recipe.bridge.gap
    gap = Gap.load(gap_file, fingerprint=clap.fingerprint) if gap_file else None
    placeholder = SupportMemory(torch.eye(2, clap.embed_dim))
    training_bridge(recipe.bridge.train, BridgeContext(placeholder, gap))  # fails early
    train_rows, validation_rows = split_rows(len(captions), recipe)
    if (out / "clap.json").is_file():
        raise RecipeError(f"{out}: holds a CLAP; give a captioner another --out")
    labels = read_prompt_labels(recipe.prompt)
    start = origin(recipe, clap, len(captions))
    material = [*captions, *labels]
    decoder, tokenizer, known, before = first_decoder(recipe, clap, material, out, start)
    pin_recipe(recipe, out)
    if not recipe.corpus.pairs:
        note_strange(clap, captions)

    tokens = TokenRows.make(captions, tokenizer, decoder.max_tokens)
    texts = embed_texts(clap, captions, half=half)
    memory_rows = _memory_rows(SupportMemory(texts, train_rows), train_rows, recipe)
    memory = SupportMemory(texts, memory_rows)
    phrases = [captions[row] for row in memory_rows.tolist()] if recipe.prompt.count else []
    prompter = make_prompter(recipe.prompt, clap, tokenizer, memory, phrases, labels)
    decoder = decoder.to(place or device)
    average = copy.deepcopy(decoder).requires_grad_(False) if options.average else decoder
    context = BridgeContext(memory, gap, clap.temperature)
    gap_bytes = Path(gap_file).read_bytes() if gap_file else b""
    origins = [part for part in (decoder.fingerprint, before) if part]
    embeddings = texts if sounds is None else sounds
    captioner = Captioner(
        clap,
        average,
        tokenizer,
        memory,
        gap=gap,
        trained=recipe.bridge.train,
        prompter=prompter,
        words=Words.of(captions, tokenizer, known),
    )
    return kind(
        options,
        Material(tokens, embeddings, train_rows, validation_rows, prompter),
        training_bridge(recipe.bridge.train, context),
        decoder,
        average,
        recipe_digest(recipe),
        digest(clap.fingerprint, gap_bytes, *origins, *recipe.corpus.pairs, *captions),
        processes or Processes(),
        captioner,
        out,
        recipe.memory.precision,
    )


def _memory_rows(memory: SupportMemory, rows: Tensor, recipe: Recipe) -> Tensor:
    """The rows of the captions that the bundle's memory holds, of those of a memory of all."""
    options, seed = recipe.memory, recipe.training.seed
    if options.dedupe:
        unlike = rows_unlike(memory, options.dedupe, generator_for(seed, "dedupe"))
        say(f"support memory: {len(memory) - len(unlike):,} near-duplicates left out")
        memory, rows = memory.only(unlike), rows[unlike]
    return rows[memory.sample_rows(options.size, generator_for(seed, "memory"))]


def _plot_losses(state: TrainState, out: Path) -> None:
    if rows := state.rows:
        series = {
            "training (with dropout)": [(row["epoch"], row["train_loss"]) for row in rows],
            "held out": [(row["epoch"], row["validation_loss"]) for row in rows],
        }
        svg = curve_svg(series, title="Loss", x_label="epoch", y_label="nats per token")
        write_text(out / "loss.svg", svg)
