"""Drawing captions: temperature, the likeliest k tokens, the nucleus."""

from __future__ import annotations

import torch
from torch import Tensor

from wsac.data.tokenizer import EOS, PAD
from wsac.runtime.seeding import generator_for

from .generation_options import Generated, GenerationOptions
from .penalties import log_probabilities, penalise

NEAR = 256  # tokens that are sorted first: mostly the nucleus lies within them


class Sampling:
    """``count`` hypotheses of each row, each token the largest of score + Gumbel noise, which is a draw.

    Penalties come first, then the temperature, ``top_k``, ``top_p``. logprob is that of the whole distribution.
    Source: nucleus sampling, Holtzman et al. 2020.
    """

    def __init__(self, options: GenerationOptions, limit: int, count: int) -> None:
        self.options, self.limit, self.count, self.length = options, limit, count, 0
        self.left: list[tuple[Tensor, ...]] = []

    def advance(self, logits: Tensor) -> tuple[Tensor | None, Tensor] | None:
        options, device = self.options, logits.device
        rows = None
        if not self.length:
            rows = torch.arange(len(logits), device=device).repeat_interleave(self.count)
            logits = logits[rows]
            self.row = torch.arange(len(rows), device=device)  # which of all that were begun
            self.total = torch.zeros(len(rows), device=device)
            self.tokens = torch.zeros((len(rows), 0), dtype=torch.long, device=device)
            self.ended = torch.zeros(len(rows), dtype=torch.bool, device=device)
        logprob = log_probabilities(logits)
        score = penalise(logprob, self.tokens, options.repetition_penalty, options.no_repeat_ngram)
        if score is not logprob or options.temperature != 1:
            score = (score / options.temperature).log_softmax(-1)
        ranked, order = within(score, options.top_k, options.top_p)
        chance = torch.rand(
            (self.count, logits.shape[-1]),
            generator=generator_for(options.seed, "sample", self.length),
        )
        noise = -(-chance.clamp(1e-20).log()).log().to(device)
        drawn = (ranked + noise[(self.row % self.count)[:, None], order]).argmax(-1, keepdim=True)
        token = order.gather(1, drawn)
        self.total = self.total + torch.where(self.ended, 0.0, logprob.gather(1, token)[:, 0])
        token = torch.where(self.ended, PAD, token[:, 0])
        self.tokens = torch.cat((self.tokens, token[:, None]), dim=1)
        self.ended = self.ended | (token == EOS)
        self.length += 1
        stay = (~self.ended).nonzero()[:, 0]  # the step's one sync
        if not len(stay) or self.length == self.limit:
            self._leave(torch.ones_like(self.ended))
            return None
        if 8 * len(stay) <= 7 * len(token):
            self._leave(self.ended)
            rows = stay if rows is None else rows[stay]
            for name in ("row", "total", "tokens", "ended"):
                setattr(self, name, getattr(self, name)[stay])
            token = token[stay]
        return rows, token

    def _leave(self, which: Tensor) -> None:
        self.left.append((self.row[which], self.total[which], self.tokens[which]))

    def found(self) -> list[list[Generated]]:
        drawn: dict[int, Generated] = {}
        for rows, totals, tokens in self.left:
            for row, total, ids in zip(
                rows.tolist(), totals.tolist(), tokens.tolist(), strict=True
            ):
                length = len(ids) - ids.count(PAD)
                drawn[row] = Generated(
                    [token for token in ids if token not in (PAD, EOS)], total / length
                )
        return [[drawn[i + j] for j in range(self.count)] for i in range(0, len(drawn), self.count)]


def within(score: Tensor, top_k: int, top_p: float) -> tuple[Tensor, Tensor]:
    """The likeliest tokens whose probabilities make up ``top_p`` among the likeliest ``top_k`` (0: all); one at least.

    score: [R, V] log-probabilities. Returns scores [R, W], falling, minus infinity beyond, and their ids [R, W].
    """
    vocab = score.shape[-1]
    if top_p == 1 and not top_k:
        return score, torch.arange(vocab, device=score.device).expand_as(score)
    # a GPU sorts everything sooner than it tells whether that is needed
    ranked, order = score.topk(min(top_k or (vocab if score.is_cuda else NEAR), vocab))
    if top_k:
        ranked = ranked.log_softmax(-1)
    mass = ranked.exp().cumsum(-1)
    if not top_k and ranked.shape[1] < vocab and bool((mass[:, -1] < top_p).any()):
        ranked, order = score.sort(dim=-1, descending=True)
        mass = ranked.exp().cumsum(-1)
    return ranked.masked_fill(mass - ranked.exp() >= top_p, -torch.inf), order
