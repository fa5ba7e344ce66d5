"""Beam search in a batch, in one group or in several that avoid each other's tokens; a beam of one is greedy."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from wsac.data.tokenizer import EOS
from wsac.decoder.kernels.topk import likeliest
from wsac.types import ModelError

from .generation_options import Generated, GenerationOptions
from .penalties import likeliest_tokens, log_probabilities, penalise


class BeamSearch:
    """A row stops when no live beam can still beat the worst of its ``count`` finished hypotheses (of each group's); a
    hypothesis that reaches the limit counts as finished. With a length penalty > 0 the bound takes the longest length,
    so it is exact: no token makes a sum larger. For ``early_stopping`` see GenerationOptions.

    Source of the groups: diverse beam search with Hamming diversity, Vijayakumar et al. 2016 (arXiv 1610.02424). A
    group's sums hold the penalty, as theirs do. Beams that have ended are in no one's way.

    Sizes: b rows that are still written, G groups, S beams of a row in all groups (1 before the first token), w = twice
    a group's beams of candidates, of which at most half end, C = count.
    """

    def __init__(self, options: GenerationOptions, limit: int, count: int) -> None:
        self.options, self.limit, self.count, self.length = options, limit, count, 0
        self.beams = options.beam_size // options.groups  # of a group
        self.early = options.early_stopping or options.beam_size == 1
        self.left: list[tuple[Tensor, ...]] = []

    def _begin(self, clips: int, device: torch.device) -> None:
        finished = (clips, self.options.groups, self.count)
        self.clip = torch.arange(clips, device=device)
        self.live = torch.zeros(
            (clips, 1), device=device
        )  # [b, S] sums of scores, of which each group's fall
        self.true = self.live  # [b, S] sums of log-probabilities
        self.tokens = torch.zeros((clips, 1, 0), dtype=torch.long, device=device)  # [b, S, t]
        self.ends = torch.zeros(finished[:2], dtype=torch.long, device=device)
        self.best = torch.full(
            finished, -torch.inf, device=device
        )  # ranking scores of what is finished, falling
        self.best_true = torch.zeros(finished, device=device)
        self.best_length = torch.zeros(finished, dtype=torch.long, device=device)
        self.best_tokens = torch.zeros((*finished, self.limit), dtype=torch.long, device=device)

    def advance(self, logits: Tensor) -> tuple[Tensor | None, Tensor] | None:
        if not self.length:
            self._begin(len(logits), logits.device)
        self.length += 1
        options, length, (clips, beams) = self.options, self.length, self.live.shape
        if options.groups == 1 and options.repetition_penalty == 1 and not options.no_repeat_ngram:
            best, token = likeliest_tokens(logits, min(2 * self.beams, logits.shape[-1]))
            parts = self._continued(best.view(clips, beams, -1), token.view(clips, beams, -1), 0)
            sums, source, token, live, chosen = (part[:, None] for part in parts)
            true = sums
        else:
            logprob = log_probabilities(logits)
            score = penalise(
                logprob,
                self.tokens.flatten(0, 1),
                options.repetition_penalty,
                options.no_repeat_ngram,
            )
            sums, source, token, live, chosen = self._candidates(score)
            flat = (source * logits.shape[-1] + token).flatten(1)
            true = (
                self.true.gather(1, source.flatten(1)) + logprob.view(clips, -1).gather(1, flat)
            ).view_as(sums)

        done = self._finish(sums, true, source, token, live)
        if length == self.limit or all(done):
            self._leave(torch.arange(clips, device=logits.device))
            return None

        source, token = (
            source.gather(2, chosen).flatten(1),
            token.gather(2, chosen).flatten(1),
        )  # [b, S]
        self.live, self.true = live.flatten(1), true.gather(2, chosen).flatten(1)
        earlier = self.tokens.gather(1, source[:, :, None].expand(-1, -1, length - 1))
        self.tokens = torch.cat((earlier, token[:, :, None]), dim=2)
        rows = torch.arange(clips, device=logits.device)[:, None] * beams + source
        leave = 8 * sum(done) >= clips  # to copy the others pays when some have ended
        if leave:
            self._leave(
                torch.tensor([i for i, over in enumerate(done) if over], device=logits.device)
            )
            stay = torch.tensor(
                [i for i, over in enumerate(done) if not over], device=logits.device
            )
            rows, token = rows[stay], token[stay]
            for name in (
                "clip",
                "live",
                "true",
                "tokens",
                "ends",
                "best",
                "best_true",
                "best_length",
                "best_tokens",
            ):
                setattr(self, name, getattr(self, name)[stay])
        return (rows if leave or rows.shape[1] > 1 else None), token.flatten()

    def _candidates(self, score: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Sums, source beams and tokens [b, G, w] of the best continuations, falling; sums and places in w of those
        that go on, [b, G, S / G]."""
        clips, beams = self.live.shape
        score = score.view(clips, beams, -1)
        size = max(1, beams // self.options.groups)
        several = self.options.groups > 1 and self.options.diversity_penalty > 0
        found, taken = [], score.new_zeros(clips, score.shape[-1]) if several else score
        for group in range(self.options.groups):
            first = (
                group * size if beams > 1 else 0
            )  # before the first token all groups are one beam
            own = score[:, first : first + size]
            if group and several:
                own = own - self.options.diversity_penalty * taken[:, None]
            found.append(
                self._continued(*likeliest(own, min(2 * self.beams, own.shape[-1])), first)
            )
            if several:
                _, _, token, live, chosen = found[-1]
                taken.scatter_add_(1, token.gather(1, chosen), live.isfinite().float())
        sums, source, token, live, chosen = (
            torch.stack(part, dim=1) for part in zip(*found, strict=True)
        )
        return sums, source, token, live, chosen

    def _continued(
        self, best: Tensor, token: Tensor, first: int
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Of one group, what ``_candidates`` gives, without G. best, token: [b, G's beams, w] scores of each beam's
        likeliest tokens; first: its first beam."""
        total = (self.live[:, first : first + best.shape[1], None] + best).flatten(1)
        sums, place = total.topk(min(2 * self.beams, total.shape[1]))
        source, token = first + place // best.shape[-1], token.flatten(1).gather(1, place)
        live, chosen = torch.where(token == EOS, -torch.inf, sums).topk(
            min(self.beams, sums.shape[1])
        )
        return sums, source, token, live, chosen

    def _finish(
        self, sums: Tensor, true: Tensor, source: Tensor, token: Tensor, live: Tensor
    ) -> list[bool]:
        """Put what ends here among the best; whether each row is over. The step's one sync is here."""
        penalty, length = self.options.length_penalty, self.length
        ended = (token == EOS) | (length == self.limit)
        score = torch.where(ended, sums, -torch.inf) / length**penalty
        if self.early:
            score[:, :, self.beams :] = -torch.inf
            score = score.masked_fill((self.ends >= self.beams)[:, :, None], -torch.inf)
            self.ends = self.ends + score.isfinite().sum(-1)
        ranked, kept = torch.cat((self.best, score), dim=2).topk(
            self.count
        )  # at a tie the earlier stays
        reach = self.limit if penalty > 0 else length
        over = live[:, :, 0] / reach**penalty <= ranked[:, :, -1]
        if self.early:
            over = over | (self.ends >= self.beams)
        better, *done = torch.cat(
            ((score > self.best[:, :, -1:]).any()[None], over.all(1))
        ).tolist()
        if better:
            earlier = self.tokens.gather(
                1, source.flatten(1)[:, :, None].expand(-1, -1, length - 1)
            )
            written = torch.cat((earlier.view(*token.shape, length - 1), token[..., None]), dim=3)
            written = F.pad(written, (0, self.limit - length))
            lengths = torch.where(score.isfinite(), length, 0)
            self.best = ranked
            self.best_true = torch.cat((self.best_true, true), dim=2).gather(2, kept)
            self.best_length = torch.cat((self.best_length, lengths), dim=2).gather(2, kept)
            kept = kept[..., None].expand(-1, -1, -1, self.limit)
            self.best_tokens = torch.cat((self.best_tokens, written), dim=2).gather(2, kept)
        return done

    def _leave(self, rows: Tensor) -> None:
        parts = (self.clip, self.best_true, self.best_length, self.best_tokens)
        self.left.append(tuple(part[rows] for part in parts))

    def found(self) -> list[list[Generated]]:
        clip, *parts = (torch.cat(part) for part in zip(*self.left, strict=True))
        order = clip.argsort()
        return [
            self._merge(zip(*row, strict=True))
            for row in zip(*(part[order].tolist() for part in parts), strict=True)
        ]

    def _merge(self, groups) -> list[Generated]:
        """One row's best: of each group the first, the likeliest before the others, then the second ones, and so on."""
        ranked = []
        for trues, lengths, rows in groups:
            for place, (true, length, row) in enumerate(zip(trues, lengths, rows, strict=True)):
                if length:
                    tokens = [token for token in row[:length] if token != EOS]
                    rank = (
                        place,
                        -true / length**self.options.length_penalty
                        if self.options.groups > 1
                        else 0.0,
                    )
                    ranked.append((rank, Generated(tokens, true / length)))
        if not ranked:
            raise ModelError(
                "the decoder gives no finite scores; is the model whole, and are the embeddings finite?"
            )
        ranked.sort(key=lambda pair: pair[0])
        different = {tuple(one.tokens): one for _, one in reversed(ranked)}  # groups may meet
        return [one for _, one in ranked if different[tuple(one.tokens)] is one][: self.count]
