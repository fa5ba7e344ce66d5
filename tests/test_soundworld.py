"""The sound world: every sound is finite, unclipped, of the exact length, its own; every caption names its sounds."""

from __future__ import annotations

import numpy as np
import pytest

from wsac.soundworld import (
    DEMO_SEED,
    KINDS,
    demo_scenes,
    make_scene,
    render_scene,
    sample_scene,
    write_caption,
    write_captions,
)
from wsac.soundworld.vocabulary import WORDS, Clause, Words

RATE = 16000

FEW = Words((Clause("a cow", "moos", "mooing"),), ("a moo",), ("loudly",))


def mentions(caption: str, event: str) -> bool:
    """Whether a caption without adverbs holds one of the event's clauses or nouns whole."""
    words = WORDS[event]
    said = [form for clause in words.clauses for form in (clause.finite(), clause.gerund())]
    return any(phrase in caption.lower() for phrase in (*said, *words.nouns))


def spectrum_shape(samples: np.ndarray) -> float:
    """Spectral centroid, Hz."""
    power = np.abs(np.fft.rfft(samples)) ** 2
    return float((power * np.fft.rfftfreq(len(samples), 1 / RATE)).sum() / power.sum())


@pytest.mark.parametrize("name", KINDS)
def test_sound_is_exact_finite_unclipped_and_repeats_from_its_seed(name):
    render = KINDS[name].render
    samples = render(np.random.default_rng(1), 1.5, RATE)
    assert samples.shape == (int(1.5 * RATE),)
    assert samples.dtype == np.float32
    assert np.isfinite(samples).all()
    assert 0.05 < np.abs(samples).max() <= 1
    assert abs(samples.mean()) < 0.02
    np.testing.assert_array_equal(samples, render(np.random.default_rng(1), 1.5, RATE))
    assert np.abs(samples - render(np.random.default_rng(2), 1.5, RATE)).max() > 0.01


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize(("seconds", "rate"), [(0.2003, 8000), (0.7, 48000)])
def test_sound_keeps_its_length_at_other_rates(name, seconds, rate):
    samples = KINDS[name].render(np.random.default_rng(3), seconds, rate)
    assert samples.shape == (round(seconds * rate),)
    assert np.isfinite(samples).all()
    assert np.abs(samples).max() <= 1


def test_sounds_differ_in_colour_as_they_should():
    colour = {name: spectrum_shape(KINDS[name].render(np.random.default_rng(5), 4.0, RATE)) for name in KINDS}
    assert max(colour["engine"], colour["thunder"]) < 1000
    assert min(colour["crickets"], colour["birds"]) > 2500
    assert colour["man"] < colour["rain"]


def test_steady_sounds_last_and_struck_sounds_are_sparse():
    def active(name: str) -> float:
        frames = KINDS[name].render(np.random.default_rng(6), 4.0, RATE).reshape(200, -1)
        power = (frames.astype(np.float64) ** 2).mean(axis=1)
        return float((power > 0.02 * power.max()).mean())

    assert min(active(name) for name in ("rain", "stream", "engine", "vacuum_cleaner")) > 0.9
    assert max(active(name) for name in ("clock", "knocking", "footsteps")) < 0.5


def test_render_rejects_what_it_cannot_do():
    for seconds, rate in ((0.0, RATE), (-1.0, RATE), (float("nan"), RATE), (1.0, 100)):
        with pytest.raises(ValueError, match="cannot render"):
            KINDS["rain"].render(np.random.default_rng(0), seconds, rate)


def test_every_kind_has_words_and_phrases_that_compose():
    assert set(KINDS) == set(WORDS)
    assert len(KINDS) >= 20
    for kind in KINDS.values():
        assert kind.phrases
        for phrase in kind.phrases:
            assert phrase == phrase.lower().strip(" .")
            assert len(phrase.split()) >= 2


def test_adverbs_stand_where_english_puts_them():
    wave, horn = WORDS["sea_waves"].clauses[0], WORDS["car_horn"].clauses[1]
    assert wave.finite("loudly") == "waves crash loudly on the shore"
    assert horn.gerund("loudly") == "a car honking its horn loudly"
    assert horn.finite() == "a car honks its horn"


def test_grammar_writes_many_distinct_sentences_about_every_kind():
    captions = write_captions(np.random.default_rng(0), 3500)
    assert len(set(captions)) == len(captions) == 3500
    assert captions == write_captions(np.random.default_rng(0), 3500)
    for caption in captions:
        assert caption[0].isupper()
        assert not caption.endswith(".")
        assert "  " not in caption
    subjects = {name: {clause.subject for clause in words.clauses} for name, words in WORDS.items()}
    text = " ".join(captions).lower()
    assert all(any(subject in text for subject in group) for group in subjects.values())


def test_grammar_says_when_it_runs_out(monkeypatch):
    monkeypatch.setattr("wsac.soundworld.grammar.WORDS", dict.fromkeys(("cat", "cow"), FEW))
    with pytest.raises(ValueError, match="ask for fewer"):
        write_captions(np.random.default_rng(0), 500)


@pytest.mark.parametrize("relation", ["single", "while", "then"])
def test_every_caption_of_every_scene_mentions_its_sounds(relation):
    rng = np.random.default_rng(0)
    names = list(KINDS)
    for i, name in enumerate(names):
        events = (name,) if relation == "single" else (name, names[i - 1])
        scene = make_scene(rng, events, relation)
        assert len(set(scene.captions)) == len(scene.captions) >= 3
        for caption in scene.captions:
            assert all(mentions(caption, event) for event in events), (caption, events)


def test_then_captions_keep_the_order():
    for seed in range(50):
        caption = write_caption(np.random.default_rng(seed), ("dog", "rain"), "then", manner=False).lower()
        assert caption.index("dog") < caption.index("rain")


def test_caption_needs_events_that_fit_the_relation():
    with pytest.raises(ValueError, match="do not fit"):
        write_caption(np.random.default_rng(0), ("dog",), "while")


def test_scenes_render_to_length_and_repeat():
    rng = np.random.default_rng(4)
    for seed in range(12):
        scene = sample_scene(rng)
        assert len(set(scene.events)) == len(scene.events) == (1 if scene.relation == "single" else 2)
        samples = render_scene(scene, np.random.default_rng(seed), 2.0, RATE)
        assert samples.shape == (2 * RATE,)
        assert samples.dtype == np.float32
        assert np.isfinite(samples).all()
        assert 0.05 < np.abs(samples).max() <= 1
        np.testing.assert_array_equal(samples, render_scene(scene, np.random.default_rng(seed), 2.0, RATE))
    assert all(sample_scene(rng, max_events=1).relation == "single" for _ in range(20))
    with pytest.raises(ValueError, match="1 or 2"):
        sample_scene(rng, max_events=3)


def test_then_puts_the_second_sound_after_the_first():
    scene = make_scene(np.random.default_rng(0), ("engine", "crickets"), "then")
    samples = render_scene(scene, np.random.default_rng(0), 4.0, RATE)
    quarter = len(samples) // 4
    assert spectrum_shape(samples[:quarter]) < 1000 < spectrum_shape(samples[-quarter:])


def test_demo_scenes_are_eight_and_fixed():
    scenes = demo_scenes()
    assert scenes == demo_scenes()
    assert len({name for name, _ in scenes}) == 8
    assert sorted(len(scene.events) for _, scene in scenes) == [1] * 6 + [2] * 2
    for i, (name, scene) in enumerate(scenes):
        assert name.endswith(".wav")
        samples = render_scene(scene, np.random.default_rng(DEMO_SEED + i), 1.0, RATE)
        assert np.abs(samples).max() > 0.05
