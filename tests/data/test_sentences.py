"""The captions of scenes: the true ones are true, the false ones false, and they can be read."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from oracles.sentences import EXPRESSIONS, order_of, position
from wsac.data.soundworld import (
    FORMS,
    KINDS,
    Event,
    Placed,
    Scene,
    sample_scene,
    swap_order,
    write_caption,
    write_captions,
    write_false,
)
from wsac.data.soundworld.falsehoods import false_kind, false_order, false_parameter
from wsac.data.soundworld.grammar import compose
from wsac.data.soundworld.phrases import Phrase, say_event, with_adjective
from wsac.data.soundworld.reading import read_kinds
from wsac.data.soundworld.scene import Form, alike
from wsac.data.soundworld.words import WORDS
from wsac.data.soundworld.write import draw_scene

# of the 4,000 captions of seed 0, one a line
CAPTIONS_SHA256 = "c07295e3c6461ba64353a5c7124abf4251fd3dbca1638ab78ad1854fe93cf5b5"


def scenes(count: int, **options) -> list[Scene]:
    return [sample_scene(np.random.default_rng([11, i]), **options) for i in range(count)]


def test_references_are_five_distinct_sentences_that_name_everything_in_order():
    for scene in scenes(150):
        assert len(scene.captions) == len(set(scene.captions)) == 5
        right = list(dict.fromkeys(p.event.kind for step in scene.steps for p in step))
        for caption in scene.captions:
            assert caption[0].isupper()
            assert not caption.endswith(".")
            assert "  " not in caption
            assert "{" not in caption
            assert all(position(caption, kind) >= 0 for kind in scene.events), (
                caption,
                scene.events,
            )
            order = order_of(caption, scene)
            if scene.form == "together":
                assert order[2] == right[2], caption
            else:
                assert order == right, caption


def test_every_form_has_many_templates_that_use_every_step():
    fields = "|".join(Phrase._fields)
    for name, form in FORMS.items():
        assert len(form.templates) >= 6
        steps = 2 if name == "again" else sum(form.steps)
        for template in form.templates:
            used = set(re.findall(rf"\{{([a-dp])\.(?:{fields})\}}", template))
            assert used == set("abcd"[:steps]) | ({"p"} if form.background else set())
    with pytest.raises(ValueError, match="no template"):
        compose("then", "{a.f} instead of {b.f}", [])


@pytest.mark.slow
def test_what_is_said_of_a_sound_is_so_and_all_of_it_is_said_some_time():
    expressed = Counter()
    for scene in scenes(400):
        for caption in scene.captions:
            for (parameter, value), words in EXPRESSIONS.items():
                if re.search(words, caption.lower()):
                    expressed[parameter, value] += 1
                    assert any(getattr(p.event, parameter) == value for p in scene.placed), (
                        caption,
                        parameter,
                    )
    assert set(expressed) == set(EXPRESSIONS)


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (Event("dog", count=2), ("twice", "two barks of a dog")),
        (Event("knocking", count=3), ("three times", "three knocks on a door")),
        (Event("gunshot", count=1), ("once", "a single gunshot")),
        (Event("whistle", pitch=1), ("at a high pitch", "high-pitched")),
        (Event("man", pitch=-1), ("in a deep voice", "low-pitched")),
        (Event("clock", rate=-1), ("slow", "slow")),
    ],
)
def test_a_parameter_is_said_in_english(event, words):
    parameter = next(name for name in ("count", "pitch", "rate") if getattr(event, name))
    for seed in range(20):
        phrase = say_event(event, np.random.default_rng(seed), parameter)
        assert words[0] in phrase.clause
        assert words[0] in phrase.gerund
        assert words[1] in phrase.noun


def test_words_stand_where_english_puts_them():
    wave, horn = WORDS["sea_waves"].clauses[0], WORDS["car_horn"].clauses[1]
    assert wave.finite("waves", "loudly") == "waves crash loudly on the shore"
    assert horn.gerund("a car", "loudly") == "a car honking its horn loudly"
    assert (
        horn.finite("a car", "slowly", "twice", "in the distance")
        == "a car honks its horn slowly twice in the distance"
    )
    assert with_adjective("a siren", "emergency") == "an emergency siren"
    assert with_adjective("an alarm", "faint") == "a faint alarm"
    assert with_adjective("the barking of a dog", "loud") == "the loud barking of a dog"
    assert with_adjective("rain", "distant") == "distant rain"


@pytest.mark.slow
def test_a_corpus_is_distinct_repeats_and_knows_its_end(monkeypatch):
    captions = write_captions(np.random.default_rng(0), 4000)
    assert len(set(captions)) == len(captions) == 4000
    assert captions == write_captions(np.random.default_rng(0), 4000)
    assert captions != write_captions(np.random.default_rng(1), 4000)
    assert (
        sum(
            len(caption.split())
            for caption in write_captions(np.random.default_rng(0), 300, (1, 2))
        )
        < 300 * 13
    )
    text = "\n".join(captions).encode()
    assert hashlib.sha256(text).hexdigest() == CAPTIONS_SHA256  # they are the same everywhere
    monkeypatch.setitem(FORMS, "single", Form(False, (1,), ("a sound",)))
    with pytest.raises(ValueError, match="only 1 of 20"):
        write_captions(np.random.default_rng(0), 20, events=(1, 1))


@pytest.mark.slow
def test_false_captions_are_none_of_the_true_ones_and_mostly_about_order():
    orders = 0
    sequences = scenes(120, events=(3, 4))
    for i, scene in enumerate(sequences):
        rng = np.random.default_rng(i)
        false = write_false(scene, rng)
        assert false == write_false(scene, np.random.default_rng(i))
        assert false not in {write_caption(scene, rng) for _ in range(60)}
        right = list(dict.fromkeys(p.event.kind for step in scene.steps for p in step))
        named = all(position(false, kind) >= 0 for kind in scene.events)
        orders += named and order_of(false, scene) != right
    assert orders > 0.5 * len(sequences)


def test_a_false_order_is_wrong_and_names_everything():
    for i, scene in enumerate(scenes(200, events=(2, 4), captions=0)):
        if len(scene.steps) < 2:
            with pytest.raises(ValueError, match="nothing in it follows"):
                false_order(scene, np.random.default_rng(i))
            continue
        false = false_order(scene, np.random.default_rng(i))
        right = list(dict.fromkeys(p.event.kind for step in scene.steps for p in step))
        order = order_of(false, scene)
        assert all(position(false, kind) >= 0 for kind in scene.events)
        if scene.form == "together":
            assert order[2] != right[2], false
        else:
            assert sum(a != b for a, b in zip(order, right, strict=True)) == 2, (false, right)


def test_a_false_kind_replaces_one():
    for i, scene in enumerate(scenes(100, captions=0)):
        false = false_kind(scene, np.random.default_rng(i))
        assert sum(position(false, kind) < 0 for kind in scene.events) == 1, (false, scene.events)
        strangers = [
            kind for kind in KINDS if not any(alike(kind, there) for there in scene.events)
        ]
        assert any(position(false, kind) >= 0 for kind in strangers)


@pytest.mark.parametrize(
    ("parameter", "value"), [("pitch", 1), ("pitch", -1), ("rate", 1), ("rate", -1), ("count", 3)]
)
def test_a_false_parameter_contradicts_what_is_heard(parameter, value):
    event = Event("church_bell", **{parameter: value})
    scene = Scene("single", 5.0, ((Placed(event, 0.0),),))
    for seed in range(20):
        false = false_parameter(scene, np.random.default_rng(seed))
        assert position(false, "church_bell") >= 0
        assert not re.search(EXPRESSIONS[parameter, value], false.lower())
        wrong = [
            w for (name, other), w in EXPRESSIONS.items() if name == parameter and other != value
        ]
        assert any(re.search(words, false.lower()) for words in wrong), false
    plain = replace(scene, steps=((Placed(Event("church_bell"), 0.0),),))
    assert false_parameter(plain, np.random.default_rng(0)) is None


def test_swapped_captions_are_one_sentence_in_two_orders():
    pairs = 0
    for i, scene in enumerate(scenes(80, events=(2, 2), captions=0)):
        if scene.form != "then":
            with pytest.raises(ValueError, match="'then'"):
                swap_order(scene, np.random.default_rng(i))
            continue
        pairs += 1
        true, false = swap_order(scene, np.random.default_rng(i))
        right = [step[0].event.kind for step in scene.steps]
        assert order_of(true, scene) == right
        assert order_of(false, scene) == right[::-1]
        link = r"first|followed by|before|after that|after|then|and"
        assert re.findall(rf"\b({link})\b", true.lower()) == re.findall(
            rf"\b({link})\b", false.lower()
        )
    assert pairs > 20


def test_sentences_are_read_back():
    """What the grammar writes is read again: nearly every kind, nothing else, and the order."""
    named = correct = 0
    for i in range(80):
        scene, _ = draw_scene(11, i)
        for caption in scene.captions:
            kinds = read_kinds(caption)
            assert set(kinds) <= set(scene.events), caption
            named, correct = named + len(scene.events), correct + len(kinds)
            if scene.form == "then" and len(kinds) == 2:
                assert kinds == [step[0].event.kind for step in scene.steps], caption
    assert correct / named > 0.97


def test_what_cannot_be_read_is_passed_over():
    assert read_kinds("") == []
    assert read_kinds("Colourless green ideas sleep") == []
    assert read_kinds("A dog barks after a bear sings") == ["dog"]
    assert read_kinds("After a dog barks, birds chirp") == ["dog", "birds"]
