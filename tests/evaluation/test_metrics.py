"""Metrics without models or Java: by hand, laws, and the golden figures of Clotho's test set."""

from __future__ import annotations

import csv
import json
import math
import sys
import time

import numpy as np
import pytest

from wsac.evaluation import METRICS, SETS, Item, MissingError, Models, Score, evaluate
from wsac.evaluation.metrics.ngram.bleu import bleu, bleu_from_counts, self_bleu
from wsac.evaluation.metrics.ngram.cider import cider_d
from wsac.evaluation.metrics.ngram.counts import Words, count_grams
from wsac.evaluation.metrics.ngram.diversity import distinct, length, novelty, vocabulary
from wsac.evaluation.metrics.ngram.ptb import tokenize
from wsac.evaluation.metrics.ngram.rouge import rouge_l
from wsac.evaluation.results import load, save
from wsac.evaluation.statistics import compare, intervals
from wsac.types import WsacError

# What Stanford's PTBTokenizer 3.4.1 makes of them with -preserveLines -lowerCase, without the
# punctuation that coco-caption drops.
TOKENS = {
    "A dog barks, then a car passes by.": "a dog barks then a car passes by",
    "High -pitched whirring; a walkie-talkie - coo-": "high pitched whirring a walkie-talkie coo",
    "It's - coo- cooing": "it 's coo cooing",
    "the dogs' bowl; they're James's, he'd say.": "the dogs bowl they 're james 's he 'd say",
    "They can't, won't and cannot; don’t!": "they ca n't wo n't and can not do n't",
    "gonna wanna gotta gimme lemme gonnabe": "gon na wan na got ta gim me lem me gonnabe",
    "'Tis night, 'twasn't day": "'t is night 't was n't day",
    "rock 'n' roll at five o'clock, ma'am, y'all": "rock 'n' roll at five o'clock ma'am y' all",
    "O'Reilly's l'eau d'you": "o'reilly 's l'eau d'you",
    "Mr. Smith, Dr. No, no. 5 and no. She": "mr. smith dr. no no. 5 and no she",
    "at 10 a.m. over a p.a. system, etc.": "at 10 a.m. over a p.a. system etc.",
    "The vitamin C. is here. Plan B. The end": "the vitamin c. is here plan b the end",
    "It says no.": "it says no",
    "laughing.then a talk.s in dog.wav": "laughing.then a talk.s in dog.wav",
    "(siren) in [brackets]": "-lrb- siren -rrb- in -lsb- brackets -rsb-",
    "and {braces}": "and -lcb- braces -rcb-",
    "“USA” ‘single’ \"double\" ``back'' «guillemets»": "usa single double back guillemets",
    "wait... what?! No!! yes? … — – --": "wait what ?! no !! yes",
    "and/or inhales/exhales w/ A & B, AT&T r&b": "and/or inhales/exhales w / a & b at&t r & b",
    "3.5 kHz, 1,000Hz 50% $5 £3 5¢ 20°C 5km 10:30pm": (
        "3.5 khz 1,000 hz 50 % $ 5 # 3 5 cents 20 ° c 5km 10:30 pm"
    ),
    "½ cup 2 1/2 24/7 -5 +3 5-10": "1/2 cup 2 1/2 24/7 -5 +3 5-10",
    "3.5-inch '90s 1990's": "3.5-inch '90s 1990 's",
    "C# and F# at #1 #tag @user * ** |||": "c# and f# at # 1 #tag @user * ** | | |",
    "<unk> tokens <3 x<y &amp; &lt;": "<unk> tokens < 3 x < y & <",
    "café naïve 日本語 русский 😀 dog🐶dog": "café naïve 日本語 русский dog dog",
    "soft\u00adhyphen non\u00a0breaking zero\u200bwidth": "softhyphen non breaking zero width",
    "a\ttab": "a tab",
    "a_b file_name.wav _x_": "a_b file_name wav _ x _",
    "see http://a.b/c. or www.a.com, a.b@c.org.": "see http://a.b/c or www.a.com a.b@c.org",
    "": "",
    " ... ": "",
    "a\nb\r\nc": "a b c",
}


def items(*rows):
    return [
        Item(str(i), candidate, tuple(references))
        for i, (candidate, *references) in enumerate(rows)
    ]


@pytest.mark.parametrize("caption", TOKENS)
def test_words_are_those_of_the_treebank_tokenizer(caption):
    assert " ".join(tokenize(caption)) == TOKENS[caption]


def test_the_quick_way_and_the_patterns_cut_alike(captions):
    for caption in (*captions, "He said no.", "It cost etc.", "A dog, a cat. ", "We cannot"):
        assert tokenize(caption) == tokenize(caption + " \u00ad")


def test_long_captions_take_no_time():
    began = time.perf_counter()
    for unit in ("a", "a'", "a.b", "x-", "<a ", "@a.", "1,2.", "can't ", "(((", "https://a"):
        tokenize(unit * 3000)
    assert time.perf_counter() - began < 3


def test_words_as_arrays():
    words = Words.of(items(("A dog barks.", "A dog", "barks!"), ("rain", "rain rain")))
    assert words.vocabulary == ("a", "dog", "barks", "rain")
    assert words.lengths.tolist() == [3, 1, 2, 1, 2]
    assert words.item.tolist() == [0, 1, 0, 0, 1]
    assert list(words.texts()) == [("a dog barks", ["a dog", "barks"]), ("rain", ["rain rain"])]
    assert list(words.sentences(1, 3)) == [[3], [0, 1]]
    assert words.candidates().ids.tolist() == [0, 1, 2, 3]


def test_grams_are_counted_within_sentences():
    words = Words.of(items(("a a a", "a a"), ("b a", "")))
    ones, twos, threes, fours = count_grams(words)
    assert ones.count.tolist() == [3, 1, 1, 2]
    assert twos.sentence.tolist() == [0, 1, 2]
    assert twos.count.tolist() == [2, 1, 1]
    assert threes.count.tolist() == [1]
    assert fours.count.tolist() == []


def test_bleu_by_hand():
    # closest lengths 3 and 5 around 4: the shorter; 4 of 4 words, 2 of 3 pairs, 1 of 2 triples
    rows = items(("a dog barks loudly", "a dog barks", "the dog barks very loudly"))
    one, two, three, four = (score.per_item[0] for score in bleu(rows))
    assert one == pytest.approx(1)
    assert two == pytest.approx(math.sqrt(2 / 3))
    assert three == pytest.approx((1 / 3) ** (1 / 3))
    assert four == pytest.approx((1e-15 / 3) ** 0.25, rel=1e-6)
    # no word counts more often than in one reference; a third of the length costs exp(1 - 3)
    clipped, brief = bleu(items(("dog dog dog", "dog barks dog", "a dog"), ("dog", "a dog barks")))[
        0
    ].per_item
    assert clipped == pytest.approx(2 / 3)
    assert brief == pytest.approx(math.exp(-2))


def test_bleu_of_a_corpus_pools_the_counts():
    rows = items(("dog dog dog", "dog barks dog"), ("rain", "rain falls hard"))
    scores = bleu(rows)
    # 3 of 4 words, 4 words where the references have 6
    assert scores[0].corpus == pytest.approx(3 / 4 * math.exp(1 - 6 / 4))
    assert scores[0].corpus != pytest.approx(scores[0].per_item.mean())
    assert scores[0].pooled.sum(axis=0)[:2].tolist() == [4, 6]


def test_rouge_by_hand():
    # "a dog in park" is 4 of 6 words, "dog barks" all of 2: precision and recall of two references
    rows = items(("a dog barks in the park", "a dog runs in a park", "dog barks"), ("rain", "wind"))
    precision, recall, beta = 4 / 6, 1, 1.2
    expected = (1 + beta**2) * precision * recall / (recall + beta**2 * precision)
    [score] = rouge_l(rows)
    assert score.per_item.tolist() == pytest.approx([expected, 0])
    assert score.corpus == pytest.approx(expected / 2)


def test_rouge_is_the_longest_common_subsequence():
    def table(a, b):
        row = [0] * (len(b) + 1)
        for x in a:
            new = [0]
            for j, y in enumerate(b):
                new.append(row[j] + 1 if x == y else max(row[j + 1], new[j]))
            row = new
        return row[-1]

    rng = np.random.default_rng(0)
    for _ in range(50):
        a, b = (" ".join(rng.choice(list("vwxyz"), rng.integers(1, 90))) for _ in range(2))
        common = table(a.split(), b.split())
        precision, recall = common / len(a.split()), common / len(b.split())
        expected = 2.44 * precision * recall / (recall + 1.44 * precision) if common else 0
        assert rouge_l(items((a, b)))[0].per_item[0] == pytest.approx(expected)


def test_cider_d_by_hand():
    # every n-gram is of one item, so all weigh log 2; n = 3 and 4 have none
    [score] = cider_d(items(("a dog", "a dog"), ("a cat", "the cat")))
    assert score.per_item.tolist() == pytest.approx([10 * (1 + 1) / 4, 10 * (1 / 2) / 4])
    assert score.corpus == pytest.approx((5 + 1.25) / 2)
    # a word twice is cut to the reference's once: 1 / (2 sqrt 2); one bigram where it has three
    [score] = cider_d(items(("dog dog", "dog barks so loud"), ("x", "y")))
    once = 1 / (2 * math.sqrt(4))
    assert score.per_item[0] == pytest.approx(10 / 4 * once * math.exp(-(2**2) / 72))
    # a word in the references of every item weighs nothing
    assert cider_d(items(("a", "a"), ("a", "a")))[0].corpus == 0


def test_cider_d_takes_the_mean_over_references_and_needs_two_items():
    one, two = cider_d(items(("a dog", "a dog", "wind"), ("x y", "x y")))[0].per_item
    assert one == pytest.approx(two / 2)
    [alone] = cider_d(items(("a dog", "a dog")))
    assert math.isnan(alone.corpus)
    assert "single item" in alone.note


def test_variety_by_hand():
    rows = items(("a dog barks", "r"), ("a dog", "r"), ("rain", "r"))
    assert vocabulary(rows)[0].corpus == 4
    assert length(rows)[0].per_item.tolist() == [3, 2, 1]
    assert [score.corpus for score in distinct(rows)] == [4 / 6, 2 / 3]
    assert novelty(rows, ["A dog barks!", "rain falls"])[0].per_item.tolist() == [0, 1, 1]


def test_self_bleu_is_bleu_against_the_others(captions):
    texts = [*captions[:40], captions[3], captions[3], "dog"]
    expected = np.mean(
        [
            bleu([Item("", text, tuple(other for j, other in enumerate(texts) if j != i))])[
                3
            ].per_item[0]
            for i, text in enumerate(texts)
        ]
    )
    rows = items(*((text, "r") for text in texts))
    assert self_bleu(rows)[0].corpus == pytest.approx(expected)
    assert self_bleu(rows)[0].note == "among 43 candidates"
    assert self_bleu(rows, sample=20)[0].note == "among 20 candidates"
    assert self_bleu(rows, sample=20)[0].corpus == self_bleu(rows, sample=20)[0].corpus
    assert math.isnan(self_bleu(rows[:1])[0].corpus)


def test_captions_without_words_score_zero():
    rows = items(("...", "a dog"), ("a dog", "a dog"), ("rain", "..."))
    for function in (bleu, rouge_l, cider_d):
        for score in function(rows):
            assert np.isfinite(score.per_item).all()
            assert score.per_item[0] == pytest.approx(0, abs=1e-12)


@pytest.fixture(scope="module")
def golden(shared_golden):
    rows = list(csv.DictReader(shared_golden[0].read_text(encoding="utf-8").splitlines()))
    corpus = json.loads(shared_golden[1].read_text(encoding="utf-8"))
    items = [
        Item(row["file"], row["candidate"], tuple(json.loads(row["references"]))) for row in rows
    ]
    return items, rows, corpus


@pytest.fixture(scope="module")
def shared_golden(shared):
    files = [
        shared / "golden" / "metrics" / f"clotho_eval_conette{end}"
        for end in (".csv", ".corpus.json")
    ]
    if not all(file.is_file() for file in files):
        pytest.skip("needs the golden figures of golden/metrics beside the checkout")
    return files


def test_golden_figures(golden):
    rows, expected, corpus = golden
    began = time.process_time()
    report = evaluate(rows, "fast")
    assert time.process_time() - began < 2
    for name in ("bleu_1", "bleu_2", "bleu_3", "bleu_4", "rouge_l", "cider_d"):
        values = [float(row[name]) for row in expected]
        np.testing.assert_allclose(report.scores[name].per_item, values, atol=1e-9, err_msg=name)
        assert report.scores[name].corpus == pytest.approx(corpus[name], abs=1e-9), name
    others = {
        "vocabulary": "vocab_len",
        "length": "sent_len",
        "distinct_1": "corpus_div1",
        "distinct_2": "corpus_div2",
    }
    for name, theirs in others.items():
        assert report.scores[name].corpus == pytest.approx(corpus[f"{theirs}.cands"], abs=1e-9), (
            name
        )


def test_golden_spider(golden):
    """SPICE's figures are given, ours is the rest of SPIDEr and SPIDEr-FL."""
    from wsac.evaluation.metrics.java.spice import spider
    from wsac.evaluation.metrics.model.fense import penalised

    rows, expected, corpus = golden

    def column(name):
        values = np.array([float(row[name]) for row in expected])
        return Score(name, float(values.mean()), values)

    whole = spider(column("spice"), cider_d(rows)[0])
    for score in (whole, penalised(whole, column("fer"), "spider_fl")):
        np.testing.assert_allclose(score.per_item, column(score.name).per_item, atol=1e-9)
        assert score.corpus == pytest.approx(corpus[score.name], abs=1e-9)


def test_evaluate_gives_each_metric_once_and_in_order():
    rows = items(("a dog barks", "a dog is barking"), ("rain falls", "it rains"))
    report = evaluate(rows, ["rouge_l", "fast", "bleu_2"])
    assert list(report.scores) == ["rouge_l", *(name for name in SETS["fast"] if name != "rouge_l")]
    assert list(evaluate(rows, "bleu_2").scores) == ["bleu_2"]
    assert set(report.intervals) == {
        "bleu_1",
        "bleu_2",
        "bleu_3",
        "bleu_4",
        "rouge_l",
        "cider_d",
        "length",
    }
    assert {name for members in SETS.values() for name in members} <= set(METRICS)


@pytest.mark.parametrize(
    ("rows", "names", "what"),
    [
        ([], "fast", "no captions"),
        ([Item("a", "x", ("y",))] * 2, "fast", "more than once"),
        ([Item("a", "x")], "fast", "--references"),
        ([Item("a", "x", ("y",)), Item("b", "x")], "rouge_l", "'b'"),
        ([Item("a", "x", ("y",))], "cider", "cider_d"),
        ([Item("a", "x", ("y",))], "bleu", "bleu_1"),
        ([Item("a", "x", ("y",))], "rogue_l", "no metric 'rogue_l'; did you mean 'rouge_l'"),
        ([Item("a", "x", ("y",))], [], "no metrics"),
        ([Item("a", "x")], "clapscore", "--audio"),
        ([Item("a", "x")], "novelty", "--training-text"),
    ],
)
def test_what_cannot_be_scored_is_an_error(rows, names, what):
    with pytest.raises(WsacError, match=what) as caught:
        evaluate(rows, names)
    assert "\n" not in str(caught.value)


def test_a_set_goes_on_without_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setenv("WSAC_DATA", str(tmp_path))
    monkeypatch.setitem(sys.modules, "pycocoevalcap", None)  # as if it were not installed
    rows = items(("a dog barks", "a dog is barking"), ("rain falls", "it rains"))
    report = evaluate(rows, "classic")
    assert list(report.scores) == ["bleu_1", "bleu_2", "bleu_3", "bleu_4", "rouge_l", "cider_d"]
    assert "pip install 'wsac[meteor]'" in report.missing["meteor"]
    assert (
        "wsac metrics install spice --from" in report.missing["spice"] == report.missing["spider"]
    )
    for name, what in (
        ("meteor", "wsac\\[meteor\\]"),
        ("spider", "^spider: SPICE is not installed"),
    ):
        with pytest.raises(MissingError, match=what):
            evaluate(rows, ["fast", name])
    path = tmp_path / "training.txt"
    path.write_text("Rain falls.\nA cat\n", encoding="utf-8")
    report = evaluate(
        [Item("a", "x"), Item("b", "rain falls")], "reference-free", Models(training=path)
    )
    assert report.scores["novelty"].corpus == 0.5
    assert "2 of 2" in report.missing["clapscore"]


def test_intervals_are_those_of_resampled_items():
    rng = np.random.default_rng(0)
    values = rng.normal(3.0, 2.0, 400)
    low, high = intervals([Score("rouge_l", values.mean(), values)])["rouge_l"]
    error = 2.0 / math.sqrt(400)
    assert low == pytest.approx(values.mean() - 1.96 * error, abs=0.3 * error)
    assert high == pytest.approx(values.mean() + 1.96 * error, abs=0.3 * error)
    assert intervals([Score("x", 1.0, np.ones(5)), Score("y", 1.0)]) == {"x": (1, 1)}
    assert intervals([Score("x", math.nan, np.full(5, np.nan)), Score("y", 1.0, np.ones(1))]) == {}


def test_bleu_is_resampled_from_its_counts(captions):
    rows = items(*((captions[i], captions[i + 1], captions[i + 2]) for i in range(30)))
    score = bleu(rows)[3]
    resamples = 40
    rng = np.random.default_rng(5)
    drawn = [rng.integers(0, 30, 30) for _ in range(resamples)]
    again = [
        bleu([Item(str(n), rows[i].candidate, rows[i].references) for n, i in enumerate(d)])[
            3
        ].corpus
        for d in drawn
    ]
    low, high = intervals([score], resamples=resamples, seed=5)["bleu_4"]
    assert (low, high) == pytest.approx(tuple(np.percentile(again, [2.5, 97.5])))
    assert bleu_from_counts(score.pooled.sum(axis=0))[3] == pytest.approx(score.corpus)


def test_compare_sees_a_difference_and_none():
    rng = np.random.default_rng(1)
    base = rng.normal(size=200)

    def scores(values):
        return [Score("rouge_l", values.mean(), values)]

    [same] = compare(scores(base), scores(base))
    assert (same.difference, same.low, same.high, same.p, same.effect) == (0, 0, 0, 1, None)
    [better] = compare(scores(base), scores(base + 1 + 0.1 * rng.normal(size=200)))
    assert better.p == pytest.approx(1 / 10_001)
    assert better.low < better.difference < better.high
    assert better.effect == pytest.approx(10, rel=0.2)
    [other_way] = compare(scores(base + 1), scores(base))
    assert other_way.difference == pytest.approx(-1)
    noise = rng.normal(size=200)
    [chance] = compare(scores(base), scores(base + noise - noise.mean() + 0.05))
    z = 0.05 / (noise.std(ddof=1) / math.sqrt(200))
    assert chance.p == pytest.approx(math.erfc(z / math.sqrt(2)), abs=0.03)


def test_compare_swaps_the_counts_of_bleu(captions):
    def score(shift):
        return bleu(
            items(*((captions[i + shift], captions[i], captions[i + 1]) for i in range(40)))
        )

    rows = compare(score(0), score(2), permutations=500)
    assert [row.name for row in rows] == ["bleu_1", "bleu_2", "bleu_3", "bleu_4"]
    assert all(row.difference < 0 and row.p < 0.01 for row in rows)
    assert rows[0].difference == pytest.approx(score(2)[0].corpus - score(0)[0].corpus)
    # of two items there are four ways to swap, two of which leave the difference as large
    two = [
        score[:2]
        for score in (items(("a dog", "a dog"), ("x", "y")), items(("x", "a dog"), ("y y", "y")))
    ]
    [row] = compare(*(bleu(rows)[:1] for rows in two), permutations=4000)
    assert row.p == pytest.approx(_all_swaps(*two), abs=0.03)


def _all_swaps(first, second):
    """The share of all swaps with a difference in BLEU-1 at least as large as found."""
    found = abs(bleu(second)[0].corpus - bleu(first)[0].corpus)
    ways = 0
    for mask in range(4):
        swapped = [
            [(b, a)[mask >> i & 1], (a, b)[mask >> i & 1]]
            for i, (a, b) in enumerate(zip(first, second, strict=True))
        ]
        b, a = (bleu(list(side))[0].corpus for side in zip(*swapped, strict=True))
        ways += abs(b - a) >= found - 1e-12
    return ways / 4


def test_a_report_comes_back_as_it_was(tmp_path):
    rows = items(("a dog barks", "a dog is barking"), ("rain é", "it rains"), ("x", "y"))
    report = evaluate(rows, "fast")
    save(report, tmp_path / "a.json")
    again = load(tmp_path / "a.json")
    assert (again.digest, list(again.scores)) == (report.digest, list(report.scores))
    for name, score in report.scores.items():
        assert again.scores[name].corpus == pytest.approx(score.corpus, abs=0)
        np.testing.assert_array_equal(again.scores[name].per_item, score.per_item)
        np.testing.assert_array_equal(again.scores[name].pooled, score.pooled)
    value = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    assert value["per_item"][1]["candidate"] == "rain é"
    save(evaluate(rows[:1], "fast"), tmp_path / "one.json")  # nan is no JSON
    assert json.loads((tmp_path / "one.json").read_text())["metrics"]["cider_d"]["value"] is None
    assert math.isnan(load(tmp_path / "one.json").scores["cider_d"].corpus)


def test_the_digest_is_of_ids_and_references():
    rows = items(("a", "x", "y"), ("b", "z"))
    digest = evaluate(rows, "length").digest
    assert evaluate(rows[::-1], "length").digest == digest
    assert (
        evaluate([Item(row.id, "other", row.references) for row in rows], "length").digest == digest
    )
    assert evaluate(items(("a", "y", "x"), ("b", "z")), "length").digest != digest
    assert evaluate(items(("a", "x"), ("b", "y", "z")), "length").digest != digest
