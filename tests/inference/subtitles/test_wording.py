"""The words of cues: the source named, the verb in the right form, within two lines, never past."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsac.inference.subtitles.caption_words import STATES, participle, third_person
from wsac.inference.subtitles.event_phrase import event_phrase
from wsac.inference.subtitles.wording import STYLES, same_sound, style_named, wordings
from wsac.types import RecipeError

SDH = STYLES["sdh"]
# written down apart from the tables of the package
PAST = set(
    "was were had did rang sang blew spoke broke ran came went drove rode shook struck stood swung "
    "threw tore flew grew heard said told began burst-out sank swam drank ate gave took wrote woke "
    "fell spun caught fought slid".split()
)


@pytest.mark.parametrize(
    ("caption", "sustained", "abrupt"),
    [
        ("A dog barks in the distance", "dog barking in distance", "dog barks in distance"),
        ("A dog barks and a man speaks", "dog barking", "dog barks"),
        ("Dogs bark", "dogs barking", "dogs bark"),
        ("A dog barked", "dog barking", "dog barks"),
        ("Barking of a dog", "dog barking", "dog barks"),
        ("A barking dog", "dog barking", "dog barks"),
        ("A person sneezes then coughs", "person sneezing", "person sneezes"),
        ("The wind is blowing while birds sing", "wind blowing", "wind blows"),
        (
            "Water is being poured into a glass",
            "water pouring into glass",
            "water pours into glass",
        ),
        ("A man and a woman are talking", "man and woman talking", "man and woman talk"),
        ("A group of people talk and laugh", "people talking", "people talk"),
        ("A car horn can be heard honking", "car horn honking", "car horn honks"),
        ("The sound of a bell ringing", "bell ringing", "bell rings"),
        (
            "There is a siren in the background",
            "siren wailing in background",
            "siren wails in background",
        ),
        ("In the background, birds begin to chirp", "birds chirping", "birds chirp"),
        ("A sewing machine runs", "sewing machine running", "sewing machine runs"),
        ("A car horn honks once", "car horn honking", "car horn honks once"),
        ("Rain", "rain falling", "rain falls"),
        ("Loud, continuous buzzing", "loud continuous buzzing", "loud continuous buzzing"),
        ("Typing on a keyboard", "typing on keyboard", "typing on keyboard"),
        ("A TV is playing", "TV playing", "TV plays"),
        ("A cat meows a few times", "cat meowing a few times", "cat meows a few times"),
        ("A few loud footsteps", "loud footsteps", "loud footsteps"),
        ("A dog is barking at the same time", "dog barking", "dog barks"),
    ],
)
def test_the_source_comes_first_and_the_verb_follows_it(caption, sustained, abrupt):
    assert wordings(caption, SDH, sustained=True)[0] == f"[{sustained}]"
    assert wordings(caption, SDH, sustained=False)[0] == f"[{abrupt}]"


@pytest.mark.parametrize(
    ("style", "sustained", "abrupt", "again"),
    [
        ("sdh", "[dog barking]", "[dog barks]", "[barking continues]"),
        ("dcmp", "[dog barking]", "[dog barks]", "[barking continues]"),
        ("netflix", "[dog barking]", "[dog barks]", "[barking continues]"),
        ("bbc", "DOG BARKS", "DOG BARKS", "BARKING CONTINUES"),
        ("plain", "A dog barks", "A dog barks", "barking continues"),
    ],
)
def test_every_style_has_its_brackets_case_and_tense(style, sustained, abrupt, again):
    def first(**how):
        return wordings("A dog barks", style_named(style), **how)[0]

    assert first(sustained=True) == sustained
    assert first(sustained=False) == abrupt
    assert first(sustained=True, again=True) == again


def test_what_is_a_sound_itself_continues_by_its_name():
    assert wordings("Rain falls", SDH, sustained=True, again=True) == ["[rain continues]"]
    assert wordings("Waves crash", SDH, sustained=True, again=True) == ["[crashing continues]"]


def test_onomatopoeia_has_a_line_of_its_own():
    def first(**how):
        return wordings("A dog barks", SDH, onomatopoeia=True, **how)[0]

    assert first(sustained=True) == "[dog barking]\nwoof, woof, woof"
    assert first(sustained=False) == "[dog barks]\nwoof"
    assert first(sustained=False, again=True) == "[barking continues]"


def test_an_unknown_style_is_named():
    with pytest.raises(RecipeError, match="did you mean 'netflix'"):
        style_named("netflx")


def test_captions_of_the_same_event_have_one_key():
    assert same_sound("A dog barks") == same_sound("A big dog is barking in the distance")
    assert same_sound("A dog barks") != same_sound("A dog growls")
    assert same_sound("Rain") == same_sound("Heavy rain falls on a roof")


@pytest.mark.parametrize(
    ("verb", "doing", "finite"),
    [
        ("run", "running", "runs"),
        ("die", "dying", "dies"),
        ("buzz", "buzzing", "buzzes"),
        ("cry", "crying", "cries"),
        ("quack", "quacking", "quacks"),
        ("squeal", "squealing", "squeals"),
        ("rattle", "rattling", "rattles"),
        ("go", "going", "goes"),
        ("moo", "mooing", "moos"),
    ],
)
def test_forms_of_verbs(verb, doing, finite):
    assert participle(verb) == doing
    assert third_person(verb) == finite


def check(text: str, style: str) -> None:
    lines = text.split("\n")
    assert 1 <= len(lines) <= 2
    assert all(0 < len(line) <= 42 for line in lines)
    assert re.search(r"\w", text)
    assert text.startswith("[") == text.endswith("]") == (style in ("sdh", "dcmp", "netflix"))
    if style == "bbc":
        assert text == text.upper()
    if style != "plain":
        for word in re.findall(r"[\w'-]+", text.lower()):
            assert word not in PAST, text
            assert not word.endswith("ed") or word in STATES, text


@given(st.text(max_size=120), st.sampled_from(sorted(STYLES)), st.booleans(), st.booleans())
def test_any_text_becomes_a_phrase_that_fits(caption, style, sustained, again):
    for text in wordings(caption, STYLES[style], sustained=sustained, again=again):
        lines = text.split("\n")
        assert 1 <= len(lines) <= 2
        assert all(0 < len(line) <= 42 for line in lines)


def captions(shared: Path) -> list[str]:
    rows = []
    for path in sorted((shared / "captions").glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                rows += [text for name, text in row.items() if name.startswith("caption") and text]
    return list(dict.fromkeys(rows))


@pytest.mark.parametrize("every", [101, pytest.param(1, marks=pytest.mark.slow)])
def test_published_captions_become_phrases_without_a_past_form(every, shared):
    texts = captions(shared)[::every]
    assert len(texts) > 500
    for i, caption in enumerate(texts):
        assert event_phrase(caption).subject
        for sustained in (True, False):
            for text in wordings(caption, SDH, sustained=sustained):
                check(text, "sdh")
        if i % 10:  # the whole takes long enough
            continue
        check(wordings(caption, SDH, sustained=True, again=True)[0], "sdh")
        check(wordings(caption, STYLES["bbc"], sustained=True)[0], "bbc")


def test_most_published_captions_have_a_verb(shared):
    texts = captions(shared)[::50]
    with_verb = sum(bool(event_phrase(caption).doing) for caption in texts)
    assert with_verb > 0.75 * len(texts)
