"""Words only: every caption consists of words of the vocabulary, and nothing else changes."""

from __future__ import annotations

import pytest
import torch

from wsac import Captioner, ModelError, RecipeError
from wsac.data.tokenizer import EOS, Tokenizer
from wsac.decoder.generation import Words, vocabulary, words_of
from wsac.inference.bundle import set_words
from wsac.training.decoder import train

WAYS = {
    "beam": {},
    "greedy": {"beam_size": 1},
    "penalties": {"repetition_penalty": 1.3, "no_repeat_ngram": 2},
    "groups": {"beam_size": 4, "groups": 2},
    "mbr": {"choose": "mbr"},
    "sample": {"samples": 1},
    "hot": {"samples": 4, "choose": "mbr", "temperature": 50.0, "top_p": 1.0},
    "top-k": {"samples": 1, "top_k": 3},
}
ODD = ["a.m. news, 3.5 o'clock: rock'n'roll!", "TV, re-runs; a a.m show ...", "3 dogs"]


def random_embeddings(count, width=16):
    rng = torch.Generator().manual_seed(count)
    return torch.nn.functional.normalize(torch.randn(count, width, generator=rng), dim=1)


def strange(captions, vocabulary):
    known = {word.lower() for word in vocabulary}
    return [word for text in captions for word in words_of(text) if word.lower() not in known]


@pytest.mark.parametrize("changes", WAYS.values(), ids=WAYS)
def test_every_caption_of_random_embeddings_consists_of_words(captioner, captions, changes):
    """Also when the limit cuts a caption inside a word, which random weights often reach."""
    embeddings = random_embeddings(24)
    texts = [*captions[:30], *ODD]
    limited = captioner.with_words(texts).with_options(**changes)
    written = [caption.text for caption in limited.caption_embeddings(embeddings)]
    assert not strange(written, vocabulary(texts))
    assert all(written)
    free = captioner.with_options(**changes)
    before = free.caption_embeddings(embeddings)
    assert strange([caption.text for caption in before], vocabulary(texts))
    assert limited.with_options(only_words=False).caption_embeddings(embeddings) == before


@pytest.mark.slow
def test_a_caption_of_known_words_is_never_forbidden(captions, tokenizer):
    """Canonical tokens, marks between words, capitals at the beginning; only the rest is closed."""
    texts = [*captions, "Dogs bark, a.m. and p.m", "Rain."]
    words = Words(vocabulary(texts), tokenizer).trie(torch.device("cpu"))
    for row in tokenizer.encode(texts):
        node = torch.zeros(1, dtype=torch.long)
        for token in (*row, EOS):
            assert not words.forbidden(node)[0, token]
            node = words.after(node, torch.tensor([token]))
    for wrong in ("dogs xbark", "dogs,bark", "dogs ,, bark", "a.q"):
        node, closed = torch.zeros(1, dtype=torch.long), False
        for token in (*tokenizer.encode([wrong])[0], EOS):
            closed |= bool(words.forbidden(node)[0, token])
            node = words.after(node, torch.tensor([token]))
        assert closed, wrong


def test_where_the_captioner_writes_only_words_nothing_changes(captioner):
    embeddings = random_embeddings(12)
    before = captioner.caption_embeddings(embeddings)
    plain = [caption for caption in before if caption.text.isascii()]
    own = captioner.with_words([f"{one.text} and more words" for one in plain])
    ended = {one.text: one.logprob for one in before}
    for caption in own.caption_embeddings(embeddings):
        assert ended.get(caption.text, caption.logprob) == caption.logprob


def test_the_vocabulary():
    assert vocabulary(["A dog, (barking) loudly.", "TV plays “News”"]) == [
        *("News", "TV", "a", "barking", "dog", "loudly", "plays")
    ]
    many = ["A dog barks loudly"] * 4_999
    assert vocabulary([*many, "A dgo barks Loudly"]) == ["Loudly", "a", "barks", "dog", "loudly"]
    assert "dgo" in vocabulary([*many[:-1], "A dgo barks"])
    assert vocabulary(["dog", "cat barks"]) == vocabulary(["狗叫声很大", "雨声"]) == []
    assert vocabulary(["A dog barks"], ["meow", "a"]) == ["a", "barks", "dog", "meow"]


@pytest.mark.slow
def test_words_are_saved_with_their_checksum(captioner, captions, tmp_path):
    limited = captioner.with_words(captions)
    limited.save(tmp_path / "new", memory_precision="float32")
    captioner.save(tmp_path / "old", memory_precision="float32")
    assert Captioner.load(tmp_path / "old").words is None
    assert set_words(tmp_path / "old", captions) == len(vocabulary(captions))
    embeddings = random_embeddings(5)
    for name in ("new", "old"):
        again = Captioner.load(tmp_path / name)
        assert again.words.words == vocabulary(captions)
        assert again.caption_embeddings(embeddings) == limited.caption_embeddings(embeddings)
    with pytest.raises(RecipeError, match="goes on to write any words"):
        set_words(tmp_path / "old", ["dog"])
    with (tmp_path / "new" / "words.txt").open("a") as file:
        file.write("\nxyz")
    with pytest.raises(ModelError, match=r"words\.txt: damaged"):
        Captioner.load(tmp_path / "new")


@pytest.mark.slow
def test_training_saves_the_words_of_its_captions_and_of_its_start(tiny_recipe, tmp_path):
    first = train(tiny_recipe(), tmp_path / "first")
    assert first.words.words == (tmp_path / "first" / "words.txt").read_text().split("\n")
    (tmp_path / "more.txt").write_text("A zither hums nearby\nA zither sings softly\n" * 5)
    changes = {"corpus.captions": [str(tmp_path / "more.txt")], "start": str(tmp_path / "first")}
    second = train(tiny_recipe(**changes), tmp_path / "second")
    assert set(second.words.words) == {*first.words.words, *"a zither hums nearby".split()} | {
        "sings",
        "softly",
    }


@pytest.mark.slow
def test_the_built_in_captioner_writes_only_words_of_its_captions():
    captioner = Captioner.load(device="cpu")
    assert len(captioner.words.words) > 4_000
    written = captioner.caption_embeddings(random_embeddings(32, 256))
    assert not strange([caption.text for caption in written], captioner.words.words)


def test_other_vocabularies_write_any_words(captions):
    class Foreign(Tokenizer):
        pass

    own = Tokenizer.train(captions, 400)
    assert Words.of(captions, own)
    assert Words.of(captions, Foreign(own._backend)) is None
