"""Sampled captions: temperature, top-k and nucleus sampling."""

from __future__ import annotations

from dataclasses import dataclass

from wsac.arrays import Tensor, torch
from wsac.data.tokenizer import EOS, PAD
from wsac.runtime.seeding import generator_for

from .penalties import log_probabilities, penalise
from .search import Generated, Search, SearchState

SORTED_FIRST = 256  # tokens; the nucleus usually lies within them


@dataclass(slots=True)
class SampleState(SearchState):
    """Samples that are still written. tokens: [R, t]. node: [R]."""

    sample: Tensor  # [R] index among all samples of the batch
    logprob: Tensor  # [R] sums of log-probabilities
    ended: Tensor  # [R]


class Sampling(Search[SampleState]):
    """Draws each token as the largest of score + Gumbel noise.

    Penalties come first, then the temperature, ``top_k``, ``top_p``. logprob is that of the whole
    distribution.
    Source: nucleus sampling, Holtzman et al. 2020.
    """

    def advance(self, logits: Tensor) -> tuple[Tensor | None, Tensor] | None:
        options, rows = self.options, None
        if not self.length:
            rows = torch.arange(len(logits), device=logits.device).repeat_interleave(self.count)
            logits = logits[rows]
            self.state = self._begin(len(rows), logits.device)
        state = self.state
        logprob = log_probabilities(logits)
        score = penalise(logprob, state.tokens, options.repetition_penalty, options.no_repeat_ngram)
        if (forbidden := self._forbidden()) is not None:
            score = score.masked_fill(forbidden, -torch.inf)
        if score is not logprob or options.temperature != 1:
            score = (score / options.temperature).log_softmax(-1)
        ranked, order = within(score, options.top_k, options.top_p)
        place = (ranked + self._noise(order, logits.shape[-1])).argmax(-1, keepdim=True)
        token = order.gather(1, place)
        added = torch.where(state.ended, 0.0, logprob.gather(1, token)[:, 0])
        token = torch.where(state.ended, PAD, token[:, 0])
        state.logprob = state.logprob + added
        state.tokens = torch.cat((state.tokens, token[:, None]), dim=1)
        state.ended = state.ended | (token == EOS)
        if self.words is not None:
            state.node = self.words.after(state.node, token)
        self.length += 1
        done = state.ended.tolist()  # the step's one sync
        if self.length == self.limit or all(done):
            self.finished.append(state)
            return None
        stay = self._release(done)
        if stay is not None:
            rows, token = stay if rows is None else rows[stay], token[stay]
        return rows, token

    def results(self) -> list[list[Generated]]:
        drawn: dict[int, Generated] = {}
        for state in self.finished:
            columns = (state.sample.tolist(), state.logprob.tolist(), state.tokens.tolist())
            for sample, logprob, ids in zip(*columns, strict=True):
                tokens = [token for token in ids if token not in (PAD, EOS)]
                tokens = self._whole(tokens, ended=EOS in ids)
                drawn[sample] = Generated(tokens, logprob / (len(ids) - ids.count(PAD)))
        return [[drawn[i + j] for j in range(self.count)] for i in range(0, len(drawn), self.count)]

    def _begin(self, samples: int, device: torch.device) -> SampleState:
        return SampleState(
            sample=torch.arange(samples, device=device),
            logprob=torch.zeros(samples, device=device),
            tokens=torch.zeros((samples, 0), dtype=torch.long, device=device),
            node=torch.zeros(samples, dtype=torch.long, device=device),
            ended=torch.zeros(samples, dtype=torch.bool, device=device),
        )

    def _noise(self, order: Tensor, vocab: int) -> Tensor:
        """Gumbel noise [R, W] of tokens [R, W]: the same for a seed, length, sample and token."""
        rng = generator_for(self.options.seed, "sample", self.length)
        chance = torch.rand((self.count, vocab), generator=rng)
        noise = -(-chance.clamp(1e-20).log()).log().to(order.device)
        return noise[(self.state.sample % self.count)[:, None], order]


def within(score: Tensor, top_k: int, top_p: float) -> tuple[Tensor, Tensor]:
    """The likeliest tokens with ``top_p`` of the probability, among the ``top_k`` likeliest.

    top_k 0: all. score: [R, V] log-probabilities. Returns scores [R, W], falling, minus
    infinity beyond, and their ids [R, W]. At least one token of each row remains.
    """
    vocab = score.shape[-1]
    if top_p == 1 and not top_k:
        return score, torch.arange(vocab, device=score.device).expand_as(score)
    # a GPU sorts everything sooner than it tells whether that is needed
    ranked, order = score.topk(min(top_k or (vocab if score.is_cuda else SORTED_FIRST), vocab))
    if top_k:
        ranked = ranked.log_softmax(-1)
    mass = ranked.exp().cumsum(-1)
    if not top_k and ranked.shape[1] < vocab and bool((mass[:, -1] < top_p).any()):
        ranked, order = score.sort(dim=-1, descending=True)
        mass = ranked.exp().cumsum(-1)
    return ranked.masked_fill(mass - ranked.exp() >= top_p, -torch.inf), order
