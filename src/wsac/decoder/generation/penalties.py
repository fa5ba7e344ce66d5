"""Log-probabilities of the next token, the likeliest of them, and penalties on repetition."""

from __future__ import annotations

from wsac.arrays import Tensor, torch
from wsac.data.tokenizer import EOS, PAD

ROWS = 32  # of scores at once: with a vocabulary of 50,000 they stay in the processor's cache
BLOCK = 128
MIN_BLOCKS = 32  # with fewer, torch's topk is as fast


def log_probabilities(logits: Tensor) -> Tensor:
    """[R, V] float32, minus infinity for padding and beginning. Changes the logits."""
    logits[:, PAD:EOS] = -torch.inf  # a slice: an index list would be copied to a GPU at every step
    return logits.float().log_softmax(-1)


def likeliest_tokens(
    logits: Tensor, count: int, forbidden: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """[R, count] log-probabilities of each row's likeliest tokens, falling, and their ids.

    forbidden: [R, V] tokens whose log-probability is minus infinity instead.
    """
    rows = ROWS if logits.device.type == "cpu" else len(logits)
    parts = []
    for start in range(0, len(logits), rows):
        logprob = log_probabilities(logits[start : start + rows])
        if forbidden is not None:
            logprob.masked_fill_(forbidden[start : start + rows], -torch.inf)
        parts.append(likeliest(logprob, count))
    best, token = (torch.cat(part) for part in zip(*parts, strict=True))
    return best, token


def likeliest(values: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The ``count`` largest of the last dimension and their places, as ``values.topk(count)``."""
    size = values.shape[-1]
    blocks = size // BLOCK
    if values.device.type != "cpu" or blocks < max(MIN_BLOCKS, 2 * count):
        best, place = values.topk(min(count, size))
        return best, place
    split = blocks * BLOCK
    whole, rest = values[..., :split].unflatten(-1, (blocks, BLOCK)), values[..., split:]
    # the largest values lie in the blocks with the largest maxima, or in the rest
    chosen = whole.amax(-1).topk(count).indices[..., None]
    near = whole.gather(-2, chosen.expand(*chosen.shape[:-1], BLOCK)).flatten(-2)
    places = (chosen * BLOCK + torch.arange(BLOCK)).flatten(-2)
    tail = torch.arange(split, size).expand(*rest.shape[:-1], -1)
    best, place = torch.cat((near, rest), dim=-1).topk(count)
    return best, torch.cat((places, tail), dim=-1).gather(-1, place)


def penalise(logprob: Tensor, before: Tensor, repetition: float, ngram: int) -> Tensor:
    """Scores with penalties; the same tensor when there is none.

    The end token is never penalised. logprob: [R, V]; before: [R, t] the tokens of each row so far.
    Sources: repetition penalty, Keskar et al. 2019 (CTRL), on log-probabilities as beam searches
    use it; no repeated n-grams, Paulus et al. 2018.
    """
    length = before.shape[1]
    if repetition != 1 and length:
        logprob = logprob.scatter(1, before, logprob.gather(1, before) * repetition)
    if ngram and length >= ngram:
        ngrams = before.unfold(1, ngram, 1)  # [R, t - n + 1, n]
        last = before[:, None, length - ngram + 1 :]
        again = (ngrams[:, :, :-1] == last).all(-1)
        banned = torch.where(again, ngrams[:, :, -1], PAD)  # padding is forbidden anyway
        logprob = logprob.scatter(1, banned, -torch.inf)
    return logprob
