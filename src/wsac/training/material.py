"""What a decoder learns from: captions, embeddings, and their split for validation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from wsac.bridges.bridge import parse
from wsac.bridges.memory import SupportMemory
from wsac.clap import ClapEncoder
from wsac.clap.collections import embed_sounds
from wsac.data.captions.caption_sets import check_downloaded
from wsac.data.captions.corpus import merge, restyle
from wsac.data.captions.corpus_statistics import left_out
from wsac.data.captions.faults import Faults
from wsac.data.captions.labels import read_labels
from wsac.data.datasets.pairs import PAIR, sound_rows
from wsac.data.tokenizer import Tokenizer
from wsac.data.tokens import TokenRows
from wsac.inference.prompts import Prompter
from wsac.io.console import say
from wsac.runtime.seeding import generator_for
from wsac.types import CorpusError, RecipeError

from .recipe import Recipe
from .recipe_outline import CorpusOptions, PromptOptions


@dataclass(frozen=True, slots=True)
class Material:
    """embeddings: [N, D], memory-mapped. train_rows, validation_rows: rising, disjoint."""

    tokens: TokenRows
    embeddings: Tensor
    train_rows: Tensor
    validation_rows: Tensor
    prompter: Prompter | None = None

    def embed(self, rows: Tensor) -> Tensor:
        """[B, D] float32, unit norm even if stored in half precision."""
        embedding = self.embeddings[rows]
        if embedding.dtype == torch.float32:
            return embedding
        return F.normalize(embedding.float(), dim=-1)

    def prompt(self, embedding: Tensor, rng: Generator) -> Tensor | None:
        """Prompts [B, P] of token ids for the embeddings [B, D], None without a prompter."""
        if self.prompter is None:
            return None
        return self.prompter.write(self.prompter.in_band(embedding, rng))

    def by_length(self, rows: Tensor) -> Tensor:
        """The rows from short to long captions, so that batches of them hold little padding."""
        return rows[self.tokens.lengths(rows).argsort(stable=True)]


def read_captions(
    corpus: CorpusOptions, tell: Callable[[str], object] = say
) -> tuple[list[str], list[str] | None]:
    """The captions, and with ``corpus.pairs`` the path of the sound of each.

    tell: gets a line about rows that are left out. Raises CorpusError if there are none,
    RecipeError if both captions and pairs are set.
    """
    column = corpus.column or None
    if not corpus.pairs:
        check_downloaded(corpus.captions)
        reading: dict[str, Any] = {"column": column, "skip_invalid": corpus.skip_invalid}
        merged = merge(corpus.captions, format=corpus.format, style=corpus.style, **reading)
        for what, count in left_out(merged.stats).items():
            tell(f"left out: {what} ({count:,})")
        return [example.caption for example in merged.examples], None
    if corpus.captions:
        raise RecipeError("corpus.captions and corpus.pairs exclude each other; give one of them")
    captions, paths, faults = [], [], Faults(strict=False)
    for file in corpus.pairs:
        for path, row in sound_rows(file, PAIR, filled=PAIR, column=column, faults=faults):
            captions.append(restyle(row["caption"].strip(), corpus.style))
            paths.append(path)
    if faults.places and not (corpus.skip_invalid and captions):
        raise faults.error()
    for what, count in faults.counts().items():
        tell(f"left out: {what} ({count:,})")
    if not captions:
        raise CorpusError(f"{', '.join(corpus.pairs)}: no pairs; give rows audio,caption")
    return captions, paths


def embed_pairs(paths: Sequence[str], clap: ClapEncoder, bridge: str) -> Tensor:
    """Embeddings [N, D] of the sound of each caption, every sound embedded once.

    bridge: of training. Raises RecipeError if it needs text embeddings.
    """
    for kind, _ in parse(bridge, "training", "head"):
        if kind.stage == "head":
            what = "is for texts; with corpus.pairs the sounds themselves are trained on"
            raise RecipeError(f"bridge '{kind.name}' {what}")
    row_of = {path: row for row, path in enumerate(dict.fromkeys(paths))}
    return embed_sounds(list(row_of), clap)[[row_of[path] for path in paths]]


def split_rows(count: int, recipe: Recipe) -> tuple[Tensor, Tensor]:
    """Rows for training and for validation, rising. Raises CorpusError if none are left to train
    on.
    """
    order = torch.randperm(count, generator=generator_for(recipe.training.seed, "split"))
    held = round(count * recipe.corpus.validation)
    if recipe.corpus.validation:  # a loss over two captions says nothing
        held = max(held, min(10, count // 10))
    if held == count:
        remedy = "add captions or lower corpus.validation"
        raise CorpusError(f"{count} captions leave none to train on; {remedy}")
    return order[held:].sort().values, order[:held].sort().values


def read_prompt_labels(options: PromptOptions) -> list[str]:
    """The distinct labels that prompts choose from; none if prompts are off or hold captions."""
    use_labels = options.count and options.labels
    return list(dict.fromkeys(read_labels(options.labels))) if use_labels else []


def make_prompter(
    options: PromptOptions,
    clap: ClapEncoder,
    tokenizer: Tokenizer,
    memory: SupportMemory,
    captions: Sequence[str],
    labels: Sequence[str],
) -> Prompter | None:
    """Prompts of the labels, else of the memory's ``captions``; None if prompts are off."""
    if not options.count:
        return None
    size = {"count": options.count, "tokens": options.tokens}
    if labels:
        embeddings = SupportMemory(clap.embed_text(labels))
        return Prompter.make(labels, embeddings, tokenizer, labels=True, **size)
    band = {"low": options.low, "high": options.high}
    return Prompter.make(captions, memory, tokenizer, **band, **size)
