"""What is added to a token's log-probability because of the tokens that are there already."""

from __future__ import annotations

import torch
from torch import Tensor

from wsac.data.tokenizer import EOS, PAD
from wsac.decoder.kernels.topk import likeliest

ROWS = 32  # of scores looked at together: with a vocabulary of 50,000 they stay in the processor's cache


def log_probabilities(logits: Tensor) -> Tensor:
    """[R, V] float32 of the tokens that may come: padding and beginning never do. Changes the logits."""
    logits[
        :, PAD:EOS
    ] = -torch.inf  # one slice: an index list would be copied to a GPU at every step
    return logits.float().log_softmax(-1)


def likeliest_tokens(logits: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """[R, count] log-probabilities of each row's likeliest tokens, falling, and their ids. Nothing else is kept."""
    rows = ROWS if logits.device.type == "cpu" else len(logits)
    parts = [likeliest(log_probabilities(part), count) for part in logits.split(rows)]
    best, token = (torch.cat(part) for part in zip(*parts, strict=True))
    return best, token


def penalise(logprob: Tensor, before: Tensor, repetition: float, ngram: int) -> Tensor:
    """The scores that tokens are chosen by; the same tensor where there is no penalty. The end is never penalised.

    logprob: [R, V]; before: [R, t] the tokens of each row so far.
    Sources: the penalty for repetitions, Keskar et al. 2019 (CTRL), on log-probabilities as beam searches use it; no
    repeated n-grams, Paulus et al. 2018.
    """
    length = before.shape[1]
    if repetition != 1 and length:
        logprob = logprob.scatter(1, before, logprob.gather(1, before) * repetition)
    if ngram and length >= ngram:
        there = before.unfold(1, ngram, 1)  # [R, t - n + 1, n]
        now = before[:, None, length - ngram + 1 :]
        again = (there[:, :, :-1] == now).all(-1)
        banned = torch.where(again, there[:, :, -1], PAD)  # padding is forbidden anyway
        logprob = logprob.scatter(1, banned, -torch.inf)
    return logprob
