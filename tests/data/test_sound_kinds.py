"""The kinds of sound: each parameter is audible, and every rendering repeats from its seed."""

from __future__ import annotations

import numpy as np
import pytest

from oracles.sound_measures import RATE, brightness, count_strokes, fundamental, sweeps
from wsac.data.soundworld import KINDS, Event, render_event
from wsac.data.soundworld.words import WORDS


def those_with(parameter: str) -> list[str]:
    return [name for name, kind in KINDS.items() if parameter in kind.parameters]


def render(kind: str, seed: int = 0, **parameters) -> np.ndarray:
    return render_event(Event(kind, **parameters), np.random.default_rng(seed), RATE)


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_sound_is_exact_finite_unclipped_and_repeats_from_its_seed(name):
    samples = KINDS[name].render(np.random.default_rng(1), 1.5, RATE)
    assert samples.shape == (int(1.5 * RATE),)
    assert samples.dtype == np.float32
    assert np.isfinite(samples).all()
    assert 0.05 < np.abs(samples).max() < 1
    assert abs(samples.mean()) < 0.01
    np.testing.assert_array_equal(samples, KINDS[name].render(np.random.default_rng(1), 1.5, RATE))
    assert np.abs(samples - KINDS[name].render(np.random.default_rng(2), 1.5, RATE)).max() > 0.01


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize(("seconds", "rate"), [(0.2003, 8000), (0.7, 48000)])
def test_sound_keeps_its_length_at_other_rates(name, seconds, rate):
    samples = KINDS[name].render(np.random.default_rng(3), seconds, rate)
    assert samples.shape == (round(seconds * rate),)
    assert np.isfinite(samples).all()
    assert np.abs(samples).max() < 1


def test_there_are_many_kinds_and_each_has_words_and_parameters():
    assert len(KINDS) >= 40
    assert set(KINDS) == set(WORDS)
    assert all(kind.parameters for kind in KINDS.values())
    for name in those_with("count"):
        assert WORDS[name].stroke
        assert KINDS[name].period > 0


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 2, 3, 4])
@pytest.mark.parametrize("name", those_with("count"))
def test_strokes_are_counted_exactly(name, count):
    kind = KINDS[name]
    seconds = 0.06 + (count - 1) * 1.05 * kind.period + kind.tail
    for seed in range(2):
        assert count_strokes(render(name, seed, count=count, seconds=max(1.2, seconds))) == count


def test_counted_strokes_do_not_fall_off_the_end():
    assert count_strokes(render("knocking", count=4, seconds=1.0)) == 4
    assert count_strokes(render("dog", count=3, rate=-1, seconds=1.3)) == 3


@pytest.mark.slow
@pytest.mark.parametrize("name", those_with("pitch"))
def test_pitch_is_audible(name):
    measure, least = (fundamental, 1.15) if name in ("man", "woman") else (brightness, 1.35)
    low, high = (
        np.mean([measure(render(name, seed, pitch=pitch)) for seed in range(3)])
        for pitch in (-1, 1)
    )
    assert high > least * low


@pytest.mark.slow
@pytest.mark.parametrize("name", those_with("rate"))
def test_rate_is_audible(name):
    window = {"snoring": 0.3, "crickets": 0.12, "siren": 0.06}.get(name, 0.03)

    def measure(rate: int) -> float:
        sounds = [render(name, seed, rate=rate, seconds=6.0) for seed in range(3)]
        return float(
            np.mean([sweeps(x) if name == "siren" else count_strokes(x, window) for x in sounds])
        )

    assert measure(1) > 1.35 * measure(-1)


@pytest.mark.parametrize("name", ["dog", "knocking", "clock", "footsteps"])
def test_every_level_of_rate_is_apart_from_the_next(name):
    slow, plain, fast = (
        count_strokes(render(name, 1, rate=rate, seconds=6.0), 0.03) for rate in (-1, 0, 1)
    )
    assert fast > 1.4 * plain
    assert plain > 1.4 * slow


@pytest.mark.parametrize("name", ["whistle", "hum", "owl", "alarm_clock"])
def test_every_level_of_pitch_is_apart_from_the_next(name):
    low, plain, high = (brightness(render(name, 1, pitch=pitch)) for pitch in (-1, 0, 1))
    assert high > 1.4 * plain
    assert plain > 1.4 * low


@pytest.mark.parametrize("name", ["dog", "siren", "footsteps"])
def test_faint_far_and_loud_are_so_beside_a_plain_sound(name):
    def level(**parameters) -> float:
        return float(
            20 * np.log10(np.sqrt((render(name, 3, **parameters).astype(float) ** 2).mean()))
        )

    plain = level()
    assert level(loudness=-1) == pytest.approx(plain - 14, abs=0.5)
    assert level(loudness=1) == pytest.approx(plain + 5, abs=0.5)
    assert plain - 14 < level(distance=1) < plain - 4
    assert brightness(render(name, 3, distance=1)) < brightness(render(name, 3))


@pytest.mark.slow
def test_all_kinds_are_about_equally_loud():
    def loudest(name: str) -> float:
        frames = render(name, 4, seconds=3.0).reshape(-1, 800).astype(float)
        return float(20 * np.log10(np.sqrt(np.sort((frames**2).mean(axis=1))[-6:].mean())))

    levels = [loudest(name) for name in KINDS]
    assert max(levels) - min(levels) < 14  # what is left is bass, which the ear weighs less


def test_sounds_differ_in_colour_as_they_should():
    colour = {
        name: brightness(render(name))
        for name in ("engine", "thunder", "hum", "birds", "crickets", "man", "rain")
    }
    assert max(colour["engine"], colour["thunder"], colour["hum"]) < 800
    assert min(colour["crickets"], colour["birds"]) > 2000
    assert colour["man"] < colour["rain"]


@pytest.mark.parametrize(
    "change", [{"pitch": 2}, {"loudness": -3}, {"count": 0}, {"count": 5}, {"seconds": 0.0}]
)
def test_an_event_rejects_what_it_cannot_be(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        Event("dog", **change)


def test_render_rejects_what_it_cannot_do():
    for seconds in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="seconds is"):
            KINDS["rain"].render(np.random.default_rng(0), seconds, RATE)
    with pytest.raises(ValueError, match="at 100 Hz"):
        KINDS["rain"].render(np.random.default_rng(0), 1.0, 100)
    with pytest.raises(ValueError, match="unicorn"):
        render("unicorn")
