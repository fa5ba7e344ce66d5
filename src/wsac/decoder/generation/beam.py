"""Batched beam search, in one group or in diverse groups. A beam of one is greedy search."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from wsac.arrays import F, Tensor, torch
from wsac.data.tokenizer import EOS
from wsac.types import ModelError

from .generation_options import GenerationOptions
from .penalties import likeliest, likeliest_tokens, log_probabilities, penalise
from .search import Generated, Search, SearchState
from .word_trie import WordTrie


@dataclass(slots=True)
class BeamState(SearchState):
    """Live beams and finished hypotheses of b clips.

    tokens: [b, S, t]. node: [b, S]. Sizes: S beams of a clip in all G groups (1 before the first
    token), t tokens so far, C = ``count``.
    """

    clip: Tensor  # [b] index in the whole batch
    live: Tensor  # [b, S] sums of scores, falling within each group
    logprob: Tensor  # [b, S] sums of log-probabilities
    ends: Tensor  # [b, G] hypotheses that have ended; counted for early stopping
    best: Tensor  # [b, G, C] ranking scores of finished hypotheses, falling
    best_logprob: Tensor  # [b, G, C]
    best_length: Tensor  # [b, G, C] 0: none yet
    best_tokens: Tensor  # [b, G, C, limit]


class Candidates(NamedTuple):
    """Continuations of the beams. w is twice a group's beams: at most half of them end."""

    sums: Tensor  # [b, G, w] sums of scores, falling
    source: Tensor  # [b, G, w] the beam that each continues
    token: Tensor  # [b, G, w]
    live: Tensor  # [b, G, S / G] sums of those that go on
    chosen: Tensor  # [b, G, S / G] their places in w


class BeamSearch(Search[BeamState]):
    """Beam search with an exact stop.

    A row stops when no live beam can beat the worst of its ``count`` finished hypotheses in each
    group. A hypothesis that reaches the limit counts as finished. With a length penalty above 0 the
    bound takes the longest length: no token makes a sum larger, so the search is exact. For
    ``early_stopping`` see GenerationOptions.

    Source of the groups: diverse beam search with Hamming diversity, Vijayakumar et al. 2016 (arXiv
    1610.02424). As there, a group's sums include the penalty. Beams that have ended do not count
    for it.
    """

    def __init__(
        self, options: GenerationOptions, limit: int, count: int, words: WordTrie | None = None
    ) -> None:
        super().__init__(options, limit, count, words)
        self.beams = options.beam_size // options.groups  # in a group
        self.early = options.early_stopping or options.beam_size == 1

    def advance(self, logits: Tensor) -> tuple[Tensor | None, Tensor] | None:
        if not self.length:
            self.state = self._begin(len(logits), logits.device)
        self.length += 1
        clips, beams = self.state.live.shape
        candidates, logprob = self._candidates(logits)
        done = self._finish(candidates, logprob)
        state, chosen = self.state, candidates.chosen
        if self.length == self.limit or all(done):
            self.finished.append(state)
            return None
        source = candidates.source.gather(2, chosen).flatten(1)  # [b, S]
        token = candidates.token.gather(2, chosen).flatten(1)
        state.live, state.logprob = candidates.live.flatten(1), logprob.gather(2, chosen).flatten(1)
        state.tokens = torch.cat((_of_beams(state.tokens, source), token[:, :, None]), dim=2)
        if self.words is not None:
            state.node = self.words.after(state.node.gather(1, source), token)
        rows = torch.arange(clips, device=logits.device)[:, None] * beams + source
        stay = self._release(done)
        if stay is not None:
            rows, token = rows[stay], token[stay]
        same = stay is None and rows.shape[1] == 1
        return (None if same else rows), token.flatten()

    def results(self) -> list[list[Generated]]:
        names = ("clip", "best_logprob", "best_length", "best_tokens")
        clip, *parts = (torch.cat([getattr(state, n) for state in self.finished]) for n in names)
        order = clip.argsort()
        clips = zip(*(part[order].tolist() for part in parts), strict=True)
        return [self._merge(zip(*groups, strict=True)) for groups in clips]

    def _begin(self, clips: int, device: torch.device) -> BeamState:
        finished = clips, self.options.groups, self.count
        zeros = torch.zeros(clips, 1, device=device)
        integers: Any = {"dtype": torch.long, "device": device}
        return BeamState(
            clip=torch.arange(clips, device=device),
            live=zeros,
            logprob=zeros,
            tokens=torch.zeros((clips, 1, 0), **integers),
            node=torch.zeros((clips, 1), **integers),
            ends=torch.zeros(finished[:2], **integers),
            best=torch.full(finished, -torch.inf, device=device),
            best_logprob=torch.zeros(finished, device=device),
            best_length=torch.zeros(finished, **integers),
            best_tokens=torch.zeros((*finished, self.limit), **integers),
        )

    def _candidates(self, logits: Tensor) -> tuple[Candidates, Tensor]:
        """The best continuations, and their log-probabilities [b, G, w]. logits: [b · S, V]."""
        options, state, vocab = self.options, self.state, logits.shape[-1]
        clips, beams = state.live.shape
        width = min(2 * self.beams, vocab)
        if options.groups == 1 and options.repetition_penalty == 1 and not options.no_repeat_ngram:
            best, token = likeliest_tokens(logits, width, self._forbidden())
            group = self._continue(best.view(clips, beams, -1), token.view(clips, beams, -1), 0)
            candidates = Candidates(*(part[:, None] for part in group))
            return candidates, candidates.sums
        logprob = log_probabilities(logits)
        before = state.tokens.flatten(0, 1)
        score = penalise(logprob, before, options.repetition_penalty, options.no_repeat_ngram)
        if (forbidden := self._forbidden()) is not None:
            score = score.masked_fill(forbidden, -torch.inf)
        score = score.view(clips, beams, vocab)
        size = max(1, beams // options.groups)
        groups, taken = [], torch.zeros_like(score[:, 0])  # [b, V] beams that chose each token
        for number in range(options.groups):
            start = number * size if beams > 1 else 0  # at first, all groups are one beam
            own = score[:, start : start + size]
            if number:
                own = own - options.diversity_penalty * taken[:, None]
            best, token = likeliest(own, width)
            group = self._continue(best, token, start)
            alive = group.live.isfinite().float()
            taken.scatter_add_(1, group.token.gather(1, group.chosen), alive)
            groups.append(group)
        candidates = Candidates(*(torch.stack(part, dim=1) for part in zip(*groups, strict=True)))
        source, token = candidates.source.flatten(1), candidates.token.flatten(1)
        added = logprob.view(clips, -1).gather(1, source * vocab + token)
        return candidates, (state.logprob.gather(1, source) + added).view_as(candidates.sums)

    def _continue(self, best: Tensor, token: Tensor, start: int) -> Candidates:
        """The candidates of one group, without the dimension G.

        best, token: [b, beams, w] scores and ids of each beam's likeliest tokens; start: the
        group's first beam.
        """
        total = (self.state.live[:, start : start + best.shape[1], None] + best).flatten(1)
        sums, place = total.topk(min(2 * self.beams, total.shape[1]))
        source, token = start + place // best.shape[-1], token.flatten(1).gather(1, place)
        going = torch.where(token == EOS, -torch.inf, sums)
        live, chosen = going.topk(min(self.beams, sums.shape[1]))
        return Candidates(sums, source, token, live, chosen)

    def _finish(self, candidates: Candidates, logprob: Tensor) -> list[bool]:
        """Rank hypotheses that end here. Returns whether each row is done: the step's one sync."""
        state, penalty, length = self.state, self.options.length_penalty, self.length
        ended = (candidates.token == EOS) | (length == self.limit)
        score = torch.where(ended, candidates.sums, -torch.inf) / length**penalty
        if self.early:
            score[:, :, self.beams :] = -torch.inf
            score = score.masked_fill((state.ends >= self.beams)[:, :, None], -torch.inf)
            state.ends = state.ends + score.isfinite().sum(-1)
        # at a tie the earlier hypothesis stays
        best, place = torch.cat((state.best, score), dim=2).topk(self.count)
        reach = self.limit if penalty > 0 else length
        over = candidates.live[:, :, 0] / reach**penalty <= best[:, :, -1]
        if self.early:
            over = over | (state.ends >= self.beams)
        improved = (score > state.best[:, :, -1:]).any()
        better, *done = torch.cat((improved[None], over.all(1))).tolist()
        if better:
            earlier = _of_beams(state.tokens, candidates.source.flatten(1))
            earlier = earlier.view(*score.shape, length - 1)
            tokens = torch.cat((earlier, candidates.token[..., None]), dim=3)
            tokens = torch.cat((state.best_tokens, F.pad(tokens, (0, self.limit - length))), dim=2)
            lengths = torch.where(score.isfinite(), length, 0)
            state.best = best
            state.best_logprob = torch.cat((state.best_logprob, logprob), dim=2).gather(2, place)
            state.best_length = torch.cat((state.best_length, lengths), dim=2).gather(2, place)
            state.best_tokens = tokens.gather(2, place[..., None].expand(-1, -1, -1, self.limit))
        return done

    def _merge(self, groups) -> list[Generated]:
        """The best of one clip: the first of each group by score, then the second ones, …"""
        ranked = []
        for logprobs, lengths, rows in groups:
            for place, (logprob, length, row) in enumerate(
                zip(logprobs, lengths, rows, strict=True)
            ):
                if length:
                    tokens = [token for token in row[:length] if token != EOS]
                    tokens = self._whole(tokens, ended=len(tokens) < length)
                    score = logprob / length**self.options.length_penalty
                    rank = place, -score if self.options.groups > 1 else 0.0
                    ranked.append((rank, Generated(tokens, logprob / length)))
        if not ranked:
            remedy = "is the model whole, and are the embeddings finite?"
            raise ModelError(f"the decoder gives no finite scores; {remedy}")
        distinct: dict[tuple[int, ...], Generated] = {}  # two groups may write the same
        for _, hypothesis in sorted(ranked, key=lambda pair: pair[0]):
            distinct.setdefault(tuple(hypothesis.tokens), hypothesis)
        return list(distinct.values())[: self.count]


def _of_beams(tokens: Tensor, beams: Tensor) -> Tensor:
    """The tokens [b, S, t] of some beams [b, n]: [b, n, t]."""
    return tokens.gather(1, beams[:, :, None].expand(-1, -1, tokens.shape[2]))
