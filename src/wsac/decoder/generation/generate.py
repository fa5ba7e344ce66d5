"""The loop: the decoder gives scores, a way of choosing gives the next tokens, until it has chosen the last."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from wsac.decoder import CaptionDecoder

from .beam import BeamSearch
from .generation_options import Generated, GenerationOptions
from .sampling import Sampling


class Way(Protocol):
    """What is chosen, and when it is over. Rows that are over leave the batch."""

    def advance(self, logits: Tensor) -> tuple[Tensor | None, Tensor] | None:
        """logits: [R, V], which it may change. Returns the rows to go on from, as ``CaptionDecoder.select`` takes them,
        None for all as they are, and their tokens [R']; or None when there is nothing more to write."""

    def found(self) -> list[list[Generated]]:
        """The hypotheses of each embedding, in order."""


def generate(
    decoder: CaptionDecoder, embedding: Tensor, options: GenerationOptions = GenerationOptions()
) -> list[Generated]:
    """The best hypothesis of each row. embedding: [B, D] unit norm."""
    return [found[0] for found in generate_best(decoder, embedding, options, 1)]


def generate_best(
    decoder: CaptionDecoder,
    embedding: Tensor,
    options: GenerationOptions,
    count: int,
    prompt: Tensor | None = None,
) -> list[list[Generated]]:
    """The ``count`` best hypotheses of each row, or fewer where there are not as many, the best first.

    prompt: [B, P] for a decoder that reads one. With groups the best of each group come first, then their second ones.
    Raises ModelError when the decoder gives no finite scores.
    """
    limit = min(options.max_tokens, decoder.max_tokens)
    return _write(decoder, embedding, limit, prompt, BeamSearch(options, limit, count))


def generate_samples(
    decoder: CaptionDecoder,
    embedding: Tensor,
    options: GenerationOptions,
    count: int,
    prompt: Tensor | None = None,
) -> list[list[Generated]]:
    """``count`` hypotheses of each row, drawn by the temperature, ``top_k`` and ``top_p`` of the options.

    All rows share the random numbers of a seed, so a row gives the same alone and in any batch.
    """
    limit = min(options.max_tokens, decoder.max_tokens)
    return _write(decoder, embedding, limit, prompt, Sampling(options, limit, count))


@torch.inference_mode()
def _write(
    decoder: CaptionDecoder, embedding: Tensor, limit: int, prompt: Tensor | None, way: Way
) -> list[list[Generated]]:
    if not len(embedding):
        return []
    with torch.autocast(
        embedding.device.type, enabled=False
    ):  # would round every matrix anew at each step
        logits, state = decoder.prefill(embedding, limit, prompt)
        while (chosen := way.advance(logits)) is not None:
            rows, token = chosen
            if rows is not None:
                state = decoder.select(state, rows)
            logits, state = decoder.step(token, state)
    return way.found()
