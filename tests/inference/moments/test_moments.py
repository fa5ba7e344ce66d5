"""Moments by words or by a sound: queries, negative queries, clips and label tracks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from wsac import AudioError, Captioner, RecipeError
from wsac.clap import load_clap
from wsac.data.soundworld import Event, render_event
from wsac.inference.moments.find_moments import Moment, once
from wsac.inference.moments.moment_clips import clip_name, label_track, write_clips
from wsac.inference.moments.moment_scores import MomentScorer
from wsac.inference.moments.queries import Query, all_queries, parse_query

RATE = 16_000
EVENTS = (("dog", 4.0), ("siren", 13.0), ("man", 22.0), ("glass", 31.0))


@pytest.fixture(scope="module")
def scene() -> np.ndarray:
    rng = np.random.default_rng(3)
    sound = (rng.standard_normal(40 * RATE) * 10 ** (-66 / 20)).astype(np.float32)
    for name, start in EVENTS:
        event = render_event(Event(name, seconds=3.0), rng, RATE)
        sound[int(start * RATE) :][: len(event)] += event
    return sound


@pytest.fixture(scope="module")
def film(scene: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("films") / "a film.wav"
    soundfile.write(path, scene, RATE)
    return path


@pytest.mark.parametrize(
    ("text", "wanted", "without"),
    [
        ("dog barking", "dog barking", ()),
        (" a dog without speech", "a dog", ("speech",)),
        ("rain without music, speech or a car", "rain", ("music", "speech", "a car")),
        ("bells but no wind", "bells", ("wind",)),
    ],
)
def test_a_query_says_what_must_not_be_there(text: str, wanted: str, without: tuple) -> None:
    assert parse_query(text) == Query(text.strip(), wanted, without)
    assert parse_query(text, ["sirens"]).without == (*without, "sirens")


@pytest.mark.parametrize("text", ["", "  ", "without speech"])
def test_a_query_must_want_something(text: str) -> None:
    with pytest.raises(RecipeError, match="says nothing to find; give words such as 'dog barking'"):
        parse_query(text)


def test_there_must_be_a_query() -> None:
    with pytest.raises(RecipeError, match="nothing to find; give words"):
        all_queries([])
    assert [q.text for q in all_queries(["a", "b", "a"])] == ["a", "b"]


@pytest.mark.slow
def test_each_query_has_its_moment(scene: np.ndarray) -> None:
    queries = ["a dog barking", "a siren", "glass breaking"]
    moments = Captioner.load().find(scene, queries, top=1)
    assert [moment.query for moment in moments] == queries
    for moment, name in zip(moments, ("dog", "siren", "glass"), strict=True):
        start = dict(EVENTS)[name]
        assert abs(moment.start - start) < 0.25
        assert start < moment.end < start + 4
        assert moment.probability > 0.5


@pytest.mark.slow
def test_moments_are_in_order_of_score(scene: np.ndarray) -> None:
    moments = Captioner.load().find(scene, "a siren", top=3)
    scores = [moment.score for moment in moments]
    assert len(moments) == 3
    assert scores == sorted(scores, reverse=True)
    sure = [moment.probability for moment in moments]
    assert sure == sorted(sure, reverse=True)
    assert sure[0] > 0.5 > sure[-1]


@pytest.mark.slow
def test_what_is_not_wanted_lowers_the_probability(scene: np.ndarray) -> None:
    captioner = Captioner.load()
    (plain,) = captioner.find(scene, "a siren", top=1)
    (without,) = captioner.find(scene, "a siren without speech", top=1)
    assert without.start == plain.start
    assert without.probability > 0.8 * plain.probability
    (nothing,) = captioner.find(scene, "a siren", without=["a police siren wailing"], top=1)
    assert nothing.start != plain.start or nothing.probability < 0.5 * plain.probability


@pytest.mark.slow
def test_moments_like_another_sound(scene: np.ndarray, tmp_path: Path) -> None:
    other = render_event(Event("siren", seconds=4.0), np.random.default_rng(8), RATE)
    soundfile.write(tmp_path / "other.wav", other, RATE)
    (moment,) = Captioner.load().find(scene, like=tmp_path / "other.wav", top=1)
    assert abs(moment.start - dict(EVENTS)["siren"]) < 0.25
    with pytest.raises(AudioError, match="nothing"):
        Captioner.load().find(scene, like=tmp_path / "nothing.wav")


@pytest.mark.slow
def test_one_sound_is_one_moment() -> None:
    """A background around an event that fits better is not told again."""
    event, around = Moment("dog", 1.0, 3.0, 5.0), Moment("dog", 0.0, 20.0, 4.0)
    other, inside = Moment("dog", 19.0, 30.0, 3.0), Moment("dog", 25.0, 26.0, 2.0)
    assert once([event, around, other, inside]) == [event, other, inside]


def test_silence_has_no_moments() -> None:
    assert Captioner.load().find(np.zeros(5 * RATE, np.float32), "a dog") == []


def test_clips_are_the_samples_of_the_moments(
    film: Path, scene: np.ndarray, tmp_path: Path
) -> None:
    spans = ((12.5, 14.0), (1.0, 2.5), (13.0, 39.9))
    moments = [Moment("a/b: c?", start, end, 0.0, file=str(film)) for start, end in spans]
    paths = write_clips(moments, tmp_path / "clips")
    assert sorted(path.name for path in (tmp_path / "clips").iterdir()) == [
        "01-a-b-c-a-film-12.5s.wav",
        "02-a-b-c-a-film-1.0s.wav",
        "03-a-b-c-a-film-13.0s.wav",
    ]
    for path, (start, end) in zip(paths, spans, strict=True):
        samples, rate = soundfile.read(path, dtype="float32")
        assert rate == RATE
        part = scene[round(start * RATE) : round(end * RATE)]
        np.testing.assert_allclose(samples, np.clip(part, -1, 1), atol=2e-4)


@pytest.mark.parametrize("query", ["../../etc/passwd", "a" * 300, "ü ∀\n", "???"])
def test_names_of_clips_are_safe(query: str) -> None:
    name = clip_name(1, Moment(query, 3.0, 4.0, 0.0, file="/x/y z.mp4"))
    assert name.endswith("y-z-3.0s.wav")
    assert len(name.encode()) < 255
    assert not set(name) & set('/\\:*?"<>|\n ')
    assert not name.startswith(".")


def test_a_label_track_is_sorted_and_on_one_line_each() -> None:
    moments = [Moment("a\tb\nc", 5.0, 6.5, 0.0, 0.934), Moment("d", 1.25, 2.0, 0.0)]
    assert label_track(moments) == ("1.250000\t2.000000\td\n5.000000\t6.500000\ta b c (93 %)\n")


@pytest.mark.slow
def test_probabilities_are_of_the_clap_they_were_fitted_for(monkeypatch) -> None:
    clap = load_clap()
    query, passages = torch.eye(2, clap.embed_dim)[:1], torch.eye(2, clap.embed_dim)
    fitted, scores = MomentScorer(clap), {}
    for kind in ("text", "sound"):
        scores[kind] = fitted(query, passages, kind)
        assert scores[kind].probability is not None
    monkeypatch.setattr(clap, "fingerprint", "another")
    other = MomentScorer(clap)(query, passages)
    assert other.probability is None
    assert torch.equal(other.score, scores["text"].score)
