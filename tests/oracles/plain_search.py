"""The searches written plainly: one clip at a time,
the whole prefix computed again for every token, lists.
"""

from __future__ import annotations

from collections import Counter

import torch

from wsac.data.tokenizer import BOS, EOS, PAD


def plain_blocks(decoder, x):
    """[B, L, width] through all blocks, attention by its formula, without a cache or packing."""

    def attend(qkv):
        q, k, v = (
            part.unflatten(-1, (decoder.heads, -1)).transpose(1, 2) for part in qkv.chunk(3, dim=-1)
        )
        future = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1)
        weights = (
            (q @ k.transpose(2, 3) / q.shape[-1] ** 0.5)
            .masked_fill(future, -torch.inf)
            .softmax(dim=-1)
        )
        return (weights @ v).transpose(1, 2).flatten(2)

    for block in decoder.blocks:
        x = block(x, attend)
    return x


class PlainScores:
    """Log-probabilities [V] after a prefix of ids, for one embedding [D],
    by the training path and without a cache.
    """

    def __init__(self, decoder, embedding):
        self.decoder, self.embedding, self.known = decoder, embedding, {}

    @torch.inference_mode()
    def __call__(self, ids):
        if ids not in self.known:
            decoder = self.decoder
            x = decoder._opening(self.embedding[None], None)
            if ids:
                x = torch.cat(
                    (x, decoder._embed(torch.tensor([ids]), decoder.prefix_length)), dim=1
                )
            logits = decoder.norm(plain_blocks(decoder, x)[0, -1]) @ decoder.tokens.weight.T
            logits[[PAD, BOS]] = -torch.inf
            self.known[ids] = logits.log_softmax(-1).tolist()
        return self.known[ids]


def penalised(logprob, ids, options):
    """Scores of the next token, from its log-probabilities and the tokens before."""
    score = list(logprob)
    for token in set(ids):
        score[token] *= options.repetition_penalty
    n = options.no_repeat_ngram
    for start in range(len(ids) - n + 1 if n else 0):
        if ids[start : start + n - 1] == ids[len(ids) - n + 1 :]:
            score[ids[start + n - 1]] = -float("inf")
    return score


def plain_greedy(decoder, embedding, limit):
    """Argmax until the end token; ids without it."""
    scores, ids = PlainScores(decoder, embedding), ()
    while len(ids) < limit:
        logprob = scores(ids)
        token = max(range(len(logprob)), key=logprob.__getitem__)
        if token == EOS:
            break
        ids += (token,)
    return list(ids)


def plain_beam(decoder, embedding, options, limit):
    """Finished hypotheses of each group:
    (ranking score, ids without the end, mean log-probability), best first.
    """
    scores, size = PlainScores(decoder, embedding), options.beam_size // options.groups
    live = [[((), 0.0, 0.0)] for _ in range(options.groups)]
    finished = [[] for _ in range(options.groups)]
    for length in range(1, limit + 1):
        taken = Counter()
        for group in range(options.groups):
            candidates = []
            for ids, total, true in live[group]:
                logprob = scores(ids)
                for token, score in enumerate(penalised(logprob, ids, options)):
                    score -= options.diversity_penalty * taken[token]
                    if score > -float("inf"):
                        candidates.append((total + score, true + logprob[token], ids, token))
            candidates = sorted(candidates, key=lambda one: -one[0])[: 2 * size]
            closed = options.early_stopping and len(finished[group]) >= size
            for place, (total, true, ids, token) in enumerate(candidates):
                if (
                    (token == EOS or length == limit)
                    and not closed
                    and not (options.early_stopping and place >= size)
                ):
                    whole = ids if token == EOS else (*ids, token)
                    finished[group].append(
                        (total / length**options.length_penalty, list(whole), true / length)
                    )
            going = [one for one in candidates if one[3] != EOS][:size]
            taken.update(one[3] for one in going)
            live[group] = [((*ids, token), total, true) for total, true, ids, token in going]
        if options.early_stopping and all(len(some) >= size for some in finished):
            break
    return [sorted(some, key=lambda one: -one[0]) for some in finished]
