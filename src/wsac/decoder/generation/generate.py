"""The loop: the decoder scores, a search chooses tokens, until all rows are complete."""

from __future__ import annotations

from wsac.arrays import Tensor, torch
from wsac.decoder.decoder_runtime import DecoderRuntime

from .beam import BeamSearch
from .generation_options import GenerationOptions
from .sampling import Sampling
from .search import Generated, Search
from .word_trie import WordTrie


def generate(
    decoder: DecoderRuntime, embedding: Tensor, options: GenerationOptions = GenerationOptions()
) -> list[Generated]:
    """The best hypothesis of each embedding [B, D], unit norm."""
    return [hypotheses[0] for hypotheses in generate_best(decoder, embedding, options, 1)]


def generate_best(
    decoder: DecoderRuntime,
    embedding: Tensor,
    options: GenerationOptions,
    count: int,
    prompt: Tensor | None = None,
    words: WordTrie | None = None,
) -> list[list[Generated]]:
    """Beam search: up to ``count`` hypotheses of each embedding [B, D], best first.

    prompt: [B, P] for a decoder that reads one. words: the only ones to write. With groups, the
    best of each group come first, then their second ones. Raises ModelError when the decoder gives
    no finite scores.
    """
    limit = min(options.max_tokens, decoder.max_tokens)
    return _run(decoder, embedding, prompt, BeamSearch(options, limit, count, words))


def generate_samples(
    decoder: DecoderRuntime,
    embedding: Tensor,
    options: GenerationOptions,
    count: int,
    prompt: Tensor | None = None,
    words: WordTrie | None = None,
) -> list[list[Generated]]:
    """Sampling: ``count`` hypotheses of each embedding [B, D]. prompt, words: see above.

    All rows share the random numbers of a seed, so a row gives the same alone and in any batch.
    """
    limit = min(options.max_tokens, decoder.max_tokens)
    return _run(decoder, embedding, prompt, Sampling(options, limit, count, words))


@torch.inference_mode()
def _run(
    decoder: DecoderRuntime, embedding: Tensor, prompt: Tensor | None, search: Search
) -> list[list[Generated]]:
    if not len(embedding):
        return []
    # autocast would round every matrix again at each step
    with torch.autocast(embedding.device.type, enabled=False):
        logits, state = decoder.prefill(embedding, search.limit, prompt)
        while (choice := search.advance(logits)) is not None:
            rows, token = choice
            if rows is not None:
                state = decoder.select(state, rows)
            logits, state = decoder.step(token, state)
    return search.results()
