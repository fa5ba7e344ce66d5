"""From embeddings to token rows over a KV cache: a batched beam search (a beam of one is greedy), and sampling."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .decoder import CaptionDecoder
from .seeding import generator_for
from .tokenizer import BOS, EOS, PAD
from .types import ModelError, RecipeError

WIDEST = 256  # beams; more only costs memory


@dataclass(frozen=True, slots=True)
class GenerationOptions:
    """beam_size: 1 is greedy. length_penalty: hypotheses are ranked by log-probability / length ** penalty."""

    beam_size: int = 4
    max_tokens: int = 40
    length_penalty: float = 1.0

    def __post_init__(self) -> None:
        whole = isinstance(self.beam_size, int) and isinstance(self.max_tokens, int)
        if not whole or not 1 <= self.beam_size <= WIDEST or self.max_tokens < 1:
            raise RecipeError(
                f"beam {self.beam_size}, max_tokens {self.max_tokens}: give whole numbers, a beam of 1 to {WIDEST}"
            )


@dataclass(frozen=True, slots=True)
class Generated:
    """tokens: ids without the end token. logprob: mean per token in nats, the end token counted."""

    tokens: list[int]
    logprob: float


def generate(
    decoder: CaptionDecoder, embedding: Tensor, options: GenerationOptions = GenerationOptions()
) -> list[Generated]:
    """The best hypothesis of each row. embedding: [B, D] unit norm."""
    return [found[0] for found in generate_best(decoder, embedding, options, 1)]


@torch.inference_mode()
def generate_best(
    decoder: CaptionDecoder, embedding: Tensor, options: GenerationOptions, count: int, prompt: Tensor | None = None
) -> list[list[Generated]]:
    """The ``count`` best hypotheses of each row, or fewer where there are not as many, the best first.

    prompt: [B, P] for a decoder that reads one.

    A row stops when no live beam can still beat the worst of its ``count`` finished hypotheses; a hypothesis that
    reaches ``max_tokens`` counts as finished. With ``length_penalty`` > 0 the bound takes the longest length, so it is
    exact.
    """
    if not len(embedding):
        return []
    batch, beams, limit = len(embedding), options.beam_size, min(options.max_tokens, decoder.max_tokens)
    logits, state = decoder.prefill(embedding, limit, prompt)
    device, vocab = logits.device, logits.shape[-1]
    state = decoder.select(state, torch.arange(batch, device=device).repeat_interleave(beams))
    logits = logits.repeat_interleave(beams, dim=0)
    width = min(2 * beams, beams * vocab)

    live = torch.full((batch, beams), -torch.inf, device=device)  # sums of log-probabilities
    live[:, 0] = 0.0  # all beams start equal: only the first one counts
    prefix = torch.zeros((batch, beams, limit), dtype=torch.long, device=device)
    best = torch.full((batch, count), -torch.inf, device=device)  # ranking scores of finished hypotheses, falling
    best_sum = torch.zeros((batch, count), device=device)
    best_length = torch.zeros((batch, count), dtype=torch.long, device=device)
    best_tokens = torch.zeros((batch, count, limit), dtype=torch.long, device=device)
    row = torch.arange(batch, device=device)

    for length in range(1, limit + 1):
        logits[:, [PAD, BOS]] = -torch.inf
        total = live[:, :, None] + logits.float().log_softmax(-1).view(batch, beams, vocab)
        sums, flat = total.view(batch, -1).topk(width)  # [B, 2K]: at most K of them end here
        source, token = flat // vocab, flat % vocab
        ended = (token == EOS) | (length == limit)
        score = torch.where(ended, sums, -torch.inf) / length**options.length_penalty
        if bool((score > best[:, -1:]).any()):
            hypotheses = prefix.gather(1, source[:, :, None].expand(-1, -1, limit)).clone()
            hypotheses[:, :, length - 1] = token
            best, kept = torch.cat((best, score), dim=1).topk(count, dim=1)  # at a tie the earlier stays
            best_sum = torch.cat((best_sum, sums), dim=1).gather(1, kept)
            lengths = torch.where(score.isfinite(), length, 0)
            best_length = torch.cat((best_length, lengths), dim=1).gather(1, kept)
            kept = kept[:, :, None].expand(-1, -1, limit)
            best_tokens = torch.cat((best_tokens, hypotheses), dim=1).gather(1, kept)
        if length == limit:
            break

        live, kept = torch.where(token == EOS, -torch.inf, sums).topk(beams)  # sorted, so the first is the best
        source, token = source.gather(1, kept), token.gather(1, kept)
        prefix = prefix.gather(1, source[:, :, None].expand(-1, -1, limit)).clone()
        prefix[:, :, length - 1] = token
        reach = limit if options.length_penalty > 0 else length
        if bool((live[:, 0] / reach**options.length_penalty <= best[:, -1]).all()):
            break
        rows = (row[:, None] * beams + source).view(-1)
        if beams > 1:
            state = decoder.select(state, rows)
        logits, state = decoder.step(token.view(-1), state)

    out = []
    for found in zip(best_tokens.tolist(), best_length.tolist(), best_sum.tolist(), strict=True):
        written = [
            Generated([token for token in tokens[:length] if token != EOS], total_sum / length)
            for tokens, length, total_sum in zip(*found, strict=True)
            if length
        ]
        if not written:
            raise ModelError("the decoder gives no finite scores; is the model whole, and are the embeddings finite?")
        out.append(written)
    return out


@torch.inference_mode()
def generate_samples(
    decoder: CaptionDecoder,
    embedding: Tensor,
    options: GenerationOptions,
    count: int,
    *,
    top_p: float = 0.9,
    seed: int = 0,
    prompt: Tensor | None = None,
) -> list[list[Generated]]:
    """``count`` hypotheses of each row, drawn from the likeliest tokens whose probabilities make up ``top_p``.

    All rows share the random numbers of a seed, so a row gives the same alone and in any batch. logprob is that of the
    whole distribution. Source: nucleus sampling, Holtzman et al. 2020; drawn as the largest of logit + Gumbel noise.
    """
    if not len(embedding):
        return []
    batch, limit = len(embedding), min(options.max_tokens, decoder.max_tokens)
    logits, state = decoder.prefill(embedding, limit, prompt)
    device, vocab = logits.device, logits.shape[-1]
    state = decoder.select(state, torch.arange(batch, device=device).repeat_interleave(count))
    logits = logits.repeat_interleave(count, dim=0)
    total, length = torch.zeros(len(logits), device=device), torch.zeros(len(logits), dtype=torch.long, device=device)
    ended = torch.zeros(len(logits), dtype=torch.bool, device=device)
    tokens = torch.zeros((len(logits), limit), dtype=torch.long, device=device)
    for place in range(limit):
        logits[:, [PAD, BOS]] = -torch.inf
        logprob = logits.float().log_softmax(-1)
        chance = torch.rand((count, vocab), generator=generator_for(seed, "sample", place)).clamp(1e-20)
        noise = -(-chance.log()).log()
        token = (_nucleus(logprob, top_p) + noise.to(device).repeat(batch, 1)).argmax(-1)
        live = ~ended
        total += torch.where(live, logprob.gather(1, token[:, None])[:, 0], 0)
        length += live
        tokens[:, place] = torch.where(live, token, PAD)
        ended |= token == EOS
        if bool(ended.all()) or place + 1 == limit:
            break
        logits, state = decoder.step(token, state)
    mean = (total / length).tolist()
    drawn = [Generated([t for t in row if t not in (PAD, EOS)], mean[i]) for i, row in enumerate(tokens.tolist())]
    return [drawn[i : i + count] for i in range(0, len(drawn), count)]


def _nucleus(logprob: Tensor, top_p: float) -> Tensor:
    """The same with minus infinity for the tokens beyond the likeliest that make up ``top_p``; one is always kept."""
    ranked, order = logprob.sort(dim=-1, descending=True)
    beyond = ranked.exp().cumsum(-1) - ranked.exp() >= top_p
    return logprob.masked_fill(beyond.scatter(-1, order, beyond), -torch.inf)
