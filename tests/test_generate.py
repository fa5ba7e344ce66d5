"""Decoding laws: the cache changes nothing, beam search equals exhaustive search, log-probabilities are true."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch.testing import assert_close

from wsac.decoder import TransformerDecoder
from wsac.generate import GenerationOptions, generate, generate_best, generate_samples
from wsac.tokenizer import BOS, EOS, PAD
from wsac.types import RecipeError


def score(decoder, embedding, ids):
    """Log-probabilities of ids [L] given one embedding [D], by the training path and without any cache."""
    x = torch.cat((decoder._prefix(embedding[None]), decoder._embed(torch.tensor([ids]), decoder.prefix_length)), 1)
    for block in decoder.blocks:
        x = block(x)
    logits = decoder.norm(x[0, decoder.prefix_length - 1 : -1]) @ decoder.tokens.weight.T
    logits[:, [PAD, BOS]] = -torch.inf
    return logits.log_softmax(-1)[torch.arange(len(ids)), ids]


@torch.inference_mode()
def test_cached_steps_equal_the_training_path(decoder, embeddings):
    ids = [5, 9, 7, EOS]
    logits, state = decoder.prefill(embeddings, 10)
    for i, token in enumerate(ids):
        for row in range(len(embeddings)):
            whole = score(decoder, embeddings[row], ids)[i]
            masked = logits[row].clone()
            masked[[PAD, BOS]] = -torch.inf
            assert_close(masked.log_softmax(-1)[token], whole)
        logits, state = decoder.step(torch.full((len(embeddings),), token), state)


@torch.inference_mode()
def test_loss_is_the_mean_over_real_tokens(decoder, embeddings):
    rows = [[5, 9, 7, EOS], [4, EOS]]
    tokens = torch.tensor([rows[0], [*rows[1], PAD, PAD]])
    x = [
        torch.cat((decoder._prefix(e[None]), decoder._embed(torch.tensor([ids]), 2)), 1)
        for e, ids in zip(embeddings, rows, strict=False)
    ]
    total = 0.0
    for hidden, ids in zip(x, rows, strict=True):
        for block in decoder.blocks:
            hidden = block(hidden)
        logits = decoder.norm(hidden[0, 1:-1]) @ decoder.tokens.weight.T
        total += torch.nn.functional.cross_entropy(logits, torch.tensor(ids), reduction="sum")
    assert_close(decoder.loss(embeddings[:2], tokens), total / 6)


def small(vocab, max_tokens, seed):
    torch.manual_seed(seed)
    made = TransformerDecoder(
        embed_dim=16, vocab_size=vocab, width=16, layers=1, heads=2, prefix_length=1, max_tokens=max_tokens
    ).eval()
    for parameter in made.parameters():  # larger weights: peaked, untied choices
        parameter.data *= 4
    return made


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("penalty", [0.0, 1.0])
@torch.inference_mode()
def test_beam_equals_exhaustive_search(embeddings, seed, penalty):
    decoder, length = small(6, 4, seed), 4
    words = [t for t in range(6) if t not in (PAD, BOS, EOS)]
    options = GenerationOptions(beam_size=200, max_tokens=length, length_penalty=penalty)
    found = generate(decoder, embeddings, options)
    for row, best in zip(embeddings, found, strict=True):
        candidates = [[*ids, EOS] for n in range(length) for ids in itertools.product(words, repeat=n)]
        candidates += [list(ids) for ids in itertools.product(words, repeat=length)]  # cut at the limit
        sums = {tuple(ids): float(score(decoder, row, ids).sum()) for ids in candidates}
        ranked = sorted(sums, key=lambda ids: -sums[ids] / len(ids) ** penalty)
        [several] = generate_best(decoder, row[None], options, 5)
        assert several[0].tokens == best.tokens
        for one, expected in zip(several, ranked, strict=False):
            assert one.tokens == [t for t in expected if t != EOS]
            assert one.logprob == pytest.approx(sums[expected] / len(expected), abs=1e-4)


@torch.inference_mode()
def test_greedy_takes_the_largest_each_time(decoder, embeddings):
    for row, made in zip(embeddings, generate(decoder, embeddings, GenerationOptions(1, 8)), strict=True):
        ids: list[int] = []
        for _ in range(8):
            x = torch.cat((decoder._prefix(row[None]), decoder._embed(torch.tensor([[*ids, 3]]), 2)), 1)
            for block in decoder.blocks:
                x = block(x)
            logits = decoder.norm(x[0, -2]) @ decoder.tokens.weight.T
            logits[[PAD, BOS]] = -torch.inf
            ids.append(int(logits.argmax()))
            if ids[-1] == EOS:
                break
        assert made.tokens == [i for i in ids if i != EOS]


@pytest.mark.parametrize("beam", [1, 3])
def test_batching_changes_nothing(decoder, embeddings, beam):
    options = GenerationOptions(beam, 10)
    together = generate(decoder, embeddings, options)
    alone = [generate(decoder, row[None], options)[0] for row in embeddings]
    assert [g.tokens for g in together] == [g.tokens for g in alone]
    assert_close(torch.tensor([g.logprob for g in together]), torch.tensor([g.logprob for g in alone]))


def test_a_wider_beam_is_never_worse(embeddings):
    """Ranking is by mean log-probability; an exhaustive beam bounds every narrower one."""
    decoder = small(6, 4, 11)
    widest = generate(decoder, embeddings, GenerationOptions(200, 4))
    for beam in (1, 2, 4):
        narrow = generate(decoder, embeddings, GenerationOptions(beam, 4))
        assert all(n.logprob <= w.logprob + 1e-5 for n, w in zip(narrow, widest, strict=True))


def test_several_hypotheses(decoder, embeddings):
    found = generate_best(decoder, embeddings, GenerationOptions(4, 8), 4)
    for row in found:
        assert 1 <= len(row) <= 4
        assert len({tuple(one.tokens) for one in row}) == len(row)
        assert [one.logprob for one in row] == sorted((one.logprob for one in row), reverse=True)
    few = generate_best(small(6, 1, 0), embeddings, GenerationOptions(200, 1), 50)
    assert all(len(row) == 4 for row in few)  # four tokens may come: there are no more


def test_special_tokens_never_come_out_and_limits_hold(decoder, embeddings):
    with torch.no_grad():
        decoder.tokens.weight[PAD] *= 100
        decoder.tokens.weight[BOS] *= -100
    for made in generate(decoder, embeddings, GenerationOptions(2, 500)):
        assert not {PAD, BOS, EOS} & set(made.tokens)
        assert len(made.tokens) <= decoder.max_tokens
    assert generate(decoder, embeddings[:0]) == []
    with pytest.raises(RecipeError, match="a beam of 1 to"):
        GenerationOptions(0)


# -- sampling ---------------------------------------------------------------------------------------------------------
def test_samples_follow_the_distribution(embeddings):
    """First tokens of 4,000 draws against the softmax, and log-probabilities against the training path."""
    decoder = small(8, 4, 3)
    options = GenerationOptions(max_tokens=4)
    (drawn,) = generate_samples(decoder, embeddings[:1], options, 4000, top_p=1.0)
    first = torch.bincount(torch.tensor([(one.tokens or [EOS])[0] for one in drawn]), minlength=8) / 4000
    with torch.inference_mode():
        logits, _ = decoder.prefill(embeddings[:1], 4)
        logits[:, [PAD, BOS]] = -torch.inf
        assert_close(first, logits[0].softmax(-1), rtol=0, atol=0.03)  # 4 standard deviations of a half
        for one in drawn[:5]:
            ids = one.tokens if len(one.tokens) == 4 else [*one.tokens, EOS]
            assert one.logprob == pytest.approx(float(score(decoder, embeddings[0], ids).mean()), abs=1e-5)


def test_a_narrow_nucleus_is_greedy_and_a_wide_one_drops_the_tail(embeddings):
    decoder = small(8, 4, 3)
    options = GenerationOptions(beam_size=1, max_tokens=4)
    greedy = generate(decoder, embeddings, options)
    narrow = generate_samples(decoder, embeddings, options, 3, top_p=1e-6)
    assert [row[i].tokens for row in narrow for i in range(3)] == [one.tokens for one in greedy for _ in range(3)]
    with torch.inference_mode():
        logits, _ = decoder.prefill(embeddings[:1], 4)
        logits[:, [PAD, BOS]] = -torch.inf
        ranked = logits[0].softmax(-1).sort(descending=True)
    kept = ranked.indices[: int((ranked.values.cumsum(0) < 0.6).sum()) + 1]
    (drawn,) = generate_samples(decoder, embeddings[:1], options, 500, top_p=0.6)
    assert {(one.tokens or [EOS])[0] for one in drawn} == set(kept.tolist())


def test_samples_do_not_depend_on_the_batch(decoder, embeddings):
    together = generate_samples(decoder, embeddings, GenerationOptions(), 5)
    alone = [generate_samples(decoder, row[None], GenerationOptions(), 5)[0] for row in embeddings]
    assert [[one.tokens for one in row] for row in together] == [[one.tokens for one in row] for row in alone]
    other = generate_samples(decoder, embeddings, GenerationOptions(), 5, seed=1)
    assert [[one.tokens for one in row] for row in together] != [[one.tokens for one in row] for row in other]
    assert generate_samples(decoder, embeddings[:0], GenerationOptions(), 5) == []
