"""Decoding laws: the cache changes nothing, beam search equals exhaustive search,
log-probabilities are true.
"""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from miniatures.decoder_kinds import tiny_decoder
from oracles.plain_search import PlainScores, penalised, plain_beam, plain_blocks, plain_greedy
from wsac.data.tokenizer import BOS, EOS, PAD
from wsac.decoder.generation import GenerationOptions, generate, generate_best, generate_samples
from wsac.decoder.generation.sampling import within
from wsac.inference.captioner import Captioner
from wsac.types import RecipeError


def score(decoder, embedding, ids):
    """Log-probabilities of ids [L] given one embedding [D],
    by the training path and without any cache.
    """
    x = torch.cat(
        (
            decoder._opening(embedding[None], None),
            decoder._embed(torch.tensor([ids]), decoder.prefix_length),
        ),
        1,
    )
    logits = (
        decoder.norm(plain_blocks(decoder, x)[0, decoder.prefix_length - 1 : -1])
        @ decoder.tokens.weight.T
    )
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
        torch.cat((decoder._opening(e[None], None), decoder._embed(torch.tensor([ids]), 2)), 1)
        for e, ids in zip(embeddings, rows, strict=False)
    ]
    total = 0.0
    for hidden, ids in zip(x, rows, strict=True):
        logits = decoder.norm(plain_blocks(decoder, hidden)[0, 1:-1]) @ decoder.tokens.weight.T
        total += torch.nn.functional.cross_entropy(logits, torch.tensor(ids), reduction="sum")
    assert_close(decoder.loss(embeddings[:2], tokens), total / 6)


def small(vocab, max_tokens, seed):
    torch.manual_seed(seed)
    sizes = {"layers": 1, "prefix_length": 1, "max_tokens": max_tokens}
    made = tiny_decoder(vocab_size=vocab, **sizes).eval()
    for parameter in made.parameters():  # larger weights: peaked, untied choices
        parameter.data *= 4
    return made


def ending(vocab, max_tokens, seed):
    """The same, whose end token is the likelier the later: captions of several lengths."""
    made = small(vocab, max_tokens, seed)
    with torch.no_grad():
        towards = torch.nn.functional.normalize(torch.randn(16), dim=0)
        made.tokens.weight -= (made.tokens.weight @ towards)[:, None] * towards
        made.tokens.weight[EOS] += 0.5 * towards
        made.positions.weight += (
            torch.linspace(-1.5, 3, len(made.positions.weight))[:, None] * towards
        )
    return made


PENALTIES = {
    "sum": GenerationOptions(200, 4, length_penalty=0.0),
    "mean": GenerationOptions(200, 4),
    "long": GenerationOptions(200, 4, length_penalty=1.7),
    "short": GenerationOptions(200, 4, length_penalty=-0.5),
    "repetition": GenerationOptions(200, 4, repetition_penalty=1.4),
    "encouraged": GenerationOptions(200, 4, repetition_penalty=0.5, length_penalty=0.3),
    "bigrams": GenerationOptions(200, 4, no_repeat_ngram=2),
    "all": GenerationOptions(200, 4, length_penalty=0.6, repetition_penalty=1.2, no_repeat_ngram=1),
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("options", PENALTIES.values(), ids=PENALTIES)
@torch.inference_mode()
def test_beam_equals_exhaustive_search(embeddings, seed, options):
    decoder, length = small(6, 4, seed), 4
    words = [t for t in range(6) if t not in (PAD, BOS, EOS)]
    whole = [[*ids, EOS] for n in range(length) for ids in itertools.product(words, repeat=n)]
    whole += [list(ids) for ids in itertools.product(words, repeat=length)]  # cut at the limit
    for row, several in zip(
        embeddings[:2], generate_best(decoder, embeddings[:2], options, 5), strict=True
    ):
        plain, sums, trues = PlainScores(decoder, row), {}, {}
        for ids in map(tuple, whole):
            before = [plain(ids[:i]) for i in range(len(ids))]
            scores = [penalised(known, ids[:i], options) for i, known in enumerate(before)]
            sums[ids] = sum(score[token] for score, token in zip(scores, ids, strict=True))
            trues[ids] = sum(known[token] for known, token in zip(before, ids, strict=True)) / len(
                ids
            )
        ranked = sorted(sums, key=lambda ids: -sums[ids] / len(ids) ** options.length_penalty)
        assert len(several) == 5
        for one, expected in zip(several, ranked, strict=False):
            assert one.tokens == [t for t in expected if t != EOS]
            assert one.logprob == pytest.approx(trues[expected], abs=1e-4)


SEARCHES = {
    "beam": GenerationOptions(4, 7),
    "early": GenerationOptions(4, 7, early_stopping=True),
    "repetition": GenerationOptions(3, 7, repetition_penalty=1.5, length_penalty=0.5),
    "ngrams": GenerationOptions(3, 7, no_repeat_ngram=2),
    "groups": GenerationOptions(4, 7, groups=2),
    "groups of one": GenerationOptions(3, 7, groups=3, diversity_penalty=2.0),
    "early groups": GenerationOptions(4, 7, groups=2, early_stopping=True, diversity_penalty=1.0),
    "everything": GenerationOptions(6, 7, 0.7, True, 1.2, 2, 3, 0.8),
}


@pytest.mark.parametrize("options", SEARCHES.values(), ids=SEARCHES)
def test_every_search_equals_the_plain_one(embeddings, options):
    """In a batch, with a cache and with rows that leave, against one clip at a time,
    whole prefixes and lists.
    """
    decoder, count = ending(12, 7, 5), 3
    together = generate_best(decoder, embeddings, options, count)
    assert len({len(one.tokens) for row in together for one in row}) > 1
    for embedding, found in zip(embeddings, together, strict=True):
        groups = [group[:count] for group in plain_beam(decoder, embedding, options, 7)]
        if options.groups == 1:
            expected = groups[0]
        else:  # the best of each group first
            expected = []
            for place in range(count):
                some = [group[place] for group in groups if place < len(group)]
                some.sort(
                    key=lambda one: (
                        -one[2] * (len(one[1]) + (len(one[1]) < 7)) ** (1 - options.length_penalty)
                    )
                )
                for one in some:
                    if one[1] not in [other[1] for other in expected]:
                        expected.append(one)
        assert [one.tokens for one in found] == [ids for _, ids, _ in expected[:count]]
        assert_close(
            [one.logprob for one in found],
            [mean for *_, mean in expected[:count]],
            atol=1e-4,
            rtol=0,
        )


def test_groups_without_a_penalty_are_the_same_beam(decoder, embeddings):
    """And with a large one no two groups begin alike."""
    one = generate_best(decoder, embeddings, GenerationOptions(2, 8), 2)
    three = generate_best(
        decoder, embeddings, GenerationOptions(6, 8, groups=3, diversity_penalty=0.0), 2
    )
    assert [[g.tokens for g in row] for row in one] == [[g.tokens for g in row] for row in three]
    apart = generate_best(
        decoder, embeddings, GenerationOptions(4, 8, groups=4, diversity_penalty=100.0), 4
    )
    assert all(len({g.tokens[0] for g in row}) == 4 for row in apart)


@pytest.mark.parametrize("way", ["beam", "samples"])
def test_no_ngram_comes_twice(embeddings, way):
    decoder = small(8, 12, 5)

    def written(n):
        options = GenerationOptions(2, 12, no_repeat_ngram=n)
        if way == "beam":
            return [one.tokens for one in generate(decoder, embeddings, options)]
        return [
            one.tokens for row in generate_samples(decoder, embeddings, options, 4) for one in row
        ]

    def repeated(tokens, n):
        grams = [tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)]
        return len(set(grams)) < len(grams)

    assert any(repeated(tokens, 2) for tokens in written(0))
    for n in (1, 2, 3):
        assert not any(repeated(tokens, n) for tokens in written(n))


def test_early_greedy_is_argmax_until_the_end_token(embeddings):
    decoder = ending(10, 9, 5)
    found = generate(decoder, embeddings, GenerationOptions(1, 9, early_stopping=True))
    expected = [plain_greedy(decoder, row, 9) for row in embeddings]
    assert [one.tokens for one in found] == expected
    assert min(map(len, expected)) < 9


@pytest.mark.slow
def test_the_bundled_decoder_writes_what_the_plain_loop_writes():
    captioner = Captioner.load(device="cpu")
    embeddings = captioner.memory.embeddings[:3].float()
    found = generate(captioner.decoder, embeddings, GenerationOptions(1, 40, early_stopping=True))
    assert [one.tokens for one in found] == [
        plain_greedy(captioner.decoder, row, 40) for row in embeddings
    ]
    options = GenerationOptions(2, 8)
    best = [plain_beam(captioner.decoder, row, options, 8)[0][0] for row in embeddings]
    assert [one.tokens for one in generate(captioner.decoder, embeddings, options)] == [
        ids for _, ids, _ in best
    ]


@pytest.mark.parametrize("way", ["greedy", "beam", "samples"])
def test_rows_that_have_ended_leave_the_batch(way):
    decoder = ending(10, 12, 5)
    embeddings = torch.nn.functional.normalize(
        torch.randn(16, 16, generator=torch.Generator().manual_seed(5)), dim=-1
    )
    sizes: list[int] = []
    step = decoder.step
    decoder.step = lambda token, state: sizes.append(len(token)) or step(token, state)
    options = GenerationOptions(1 if way == "greedy" else 3, 12, early_stopping=True)

    def write(rows):
        if way == "samples":
            return [
                one.tokens for row in generate_samples(decoder, rows, options, 2) for one in row
            ]
        return [one.tokens for one in generate(decoder, rows, options)]

    together = write(embeddings)
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] < sizes[0] / 2
    assert together == [tokens for row in embeddings for tokens in write(row[None])]


@torch.inference_mode()
def test_greedy_takes_the_largest_each_time(decoder, embeddings):
    for row, made in zip(
        embeddings, generate(decoder, embeddings, GenerationOptions(1, 8)), strict=True
    ):
        ids: list[int] = []
        for _ in range(8):
            x = torch.cat(
                (decoder._opening(row[None], None), decoder._embed(torch.tensor([[*ids, 3]]), 2)), 1
            )
            logits = decoder.norm(plain_blocks(decoder, x)[0, -2]) @ decoder.tokens.weight.T
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
    assert_close(
        torch.tensor([g.logprob for g in together]), torch.tensor([g.logprob for g in alone])
    )


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
    with pytest.raises(RecipeError, match="give a whole number from 1"):
        GenerationOptions(0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"beam_size": 2.0}, "beam_size = 2.0: give a whole number"),
        ({"length_penalty": "long"}, "give a number"),
        ({"length_penalty": float("nan")}, "length penalty nan"),
        ({"early_stopping": 1}, "give true or false"),
        ({"repetition_penalty": 0.0}, "more than 0; 1 is none"),
        ({"no_repeat_ngram": -1}, "or 0 for none"),
        ({"groups": 3}, "divides the beam"),
        ({"diversity_penalty": -1.0}, "0 or more"),
        ({"temperature": 0}, "greedy is a beam of 1"),
        ({"top_k": -1}, "top_k -1"),
        ({"top_p": 1.1}, "at most 1"),
    ],
)
def test_impossible_options_say_what_is_possible(changes, message):
    with pytest.raises(RecipeError, match=message):
        GenerationOptions(**changes)


# -- sampling --
def test_samples_follow_the_distribution(embeddings):
    """First tokens of 4,000 draws against the softmax,
    and log-probabilities against the training path.
    """
    decoder = small(8, 4, 3)
    options = GenerationOptions(max_tokens=4, top_p=1.0)
    (drawn,) = generate_samples(decoder, embeddings[:1], options, 4000)
    first = (
        torch.bincount(torch.tensor([(one.tokens or [EOS])[0] for one in drawn]), minlength=8)
        / 4000
    )
    with torch.inference_mode():
        logits, _ = decoder.prefill(embeddings[:1], 4)
        logits[:, [PAD, BOS]] = -torch.inf
        assert_close(
            first, logits[0].softmax(-1), rtol=0, atol=0.03
        )  # 4 standard deviations of a half
        for one in drawn[:5]:
            ids = one.tokens if len(one.tokens) == 4 else [*one.tokens, EOS]
            assert one.logprob == pytest.approx(
                float(score(decoder, embeddings[0], ids).mean()), abs=1e-5
            )


def test_a_narrow_nucleus_is_greedy_and_a_wide_one_drops_the_tail(embeddings):
    decoder = small(8, 4, 3)
    options = GenerationOptions(beam_size=1, max_tokens=4)
    greedy = generate(decoder, embeddings, options)
    narrow = generate_samples(decoder, embeddings, replace(options, top_p=1e-6), 3)
    assert [row[i].tokens for row in narrow for i in range(3)] == [
        one.tokens for one in greedy for _ in range(3)
    ]
    with torch.inference_mode():
        logits, _ = decoder.prefill(embeddings[:1], 4)
        logits[:, [PAD, BOS]] = -torch.inf
        ranked = logits[0].softmax(-1).sort(descending=True)
    kept = ranked.indices[: int((ranked.values.cumsum(0) < 0.6).sum()) + 1]
    (drawn,) = generate_samples(decoder, embeddings[:1], replace(options, top_p=0.6), 500)
    assert {(one.tokens or [EOS])[0] for one in drawn} == set(kept.tolist())


def test_temperature_and_top_k(embeddings):
    decoder = small(8, 4, 3)
    options = GenerationOptions(1, 4, early_stopping=True)
    greedy = [one.tokens for one in generate(decoder, embeddings, options)]
    for changes in ({"top_k": 1}, {"temperature": 1e-4}):
        drawn = generate_samples(decoder, embeddings, replace(options, **changes), 2)
        assert [one.tokens for row in drawn for one in row] == [
            tokens for tokens in greedy for _ in range(2)
        ]
    with torch.inference_mode():
        logits, _ = decoder.prefill(embeddings[:1], 4)
        logits[:, [PAD, BOS]] = -torch.inf
        kept = logits[0].topk(3).indices
        expected = torch.zeros(8).index_copy(0, kept, (logits[0, kept] / 2).softmax(-1))
    hot = replace(options, temperature=2.0, top_k=3, top_p=1.0)
    (drawn,) = generate_samples(decoder, embeddings[:1], hot, 4000)
    first = (
        torch.bincount(torch.tensor([(one.tokens or [EOS])[0] for one in drawn]), minlength=8)
        / 4000
    )
    assert_close(first, expected, rtol=0, atol=0.03)


def test_the_nucleus_is_the_same_whether_all_or_the_nearest_are_sorted():
    flat, peaked = torch.randn(3, 600), 4 * torch.randn(3, 600)
    for scores in (flat.log_softmax(-1), peaked.log_softmax(-1)):
        ranked, order = within(scores, 0, 0.8)
        whole, places = scores.sort(dim=-1, descending=True)
        keep = whole.exp().cumsum(-1) - whole.exp() < 0.8
        for row in range(3):
            assert order[row, ranked[row].isfinite()].tolist() == places[row, keep[row]].tolist()
    assert (
        within(flat.log_softmax(-1), 0, 0.8)[0].shape
        != within(peaked.log_softmax(-1), 0, 0.8)[0].shape
    )


def test_samples_do_not_depend_on_the_batch(decoder, embeddings):
    together = generate_samples(decoder, embeddings, GenerationOptions(), 5)
    alone = [generate_samples(decoder, row[None], GenerationOptions(), 5)[0] for row in embeddings]
    assert [[one.tokens for one in row] for row in together] == [
        [one.tokens for one in row] for row in alone
    ]
    other = generate_samples(decoder, embeddings, GenerationOptions(seed=1), 5)
    assert [[one.tokens for one in row] for row in together] != [
        [one.tokens for one in row] for row in other
    ]
    assert generate_samples(decoder, embeddings[:0], GenerationOptions(), 5) == []
