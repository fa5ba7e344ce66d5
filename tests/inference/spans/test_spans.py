"""Spans: what is heard from when to when, in a stream of any length."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from wsac import AudioError, Captioner, RecipeError
from wsac.clap.pocket.melspec import LogMel
from wsac.data.audio.stream import AudioStream
from wsac.data.soundworld import Event, render_event
from wsac.inference.spans import describe_spans, find_spans
from wsac.inference.spans.background import sample_of
from wsac.inference.spans.floor import floor_of
from wsac.inference.spans.joining import join, recurs
from wsac.inference.spans.rising import risings
from wsac.inference.spans.runs import runs_of
from wsac.inference.spans.span import Passage
from wsac.inference.spans.spectrum import DECIBELS, Spectrum
from wsac.inference.spans.thresholds import Thresholds

RATE = 16_000
NUMBERS = Thresholds()


def room(rng: np.random.Generator, seconds: float) -> np.ndarray:
    return (rng.standard_normal(int(seconds * RATE)) * 10 ** (-66 / 20)).astype(np.float32)


def blocks(samples: np.ndarray, size: int) -> list[np.ndarray]:
    return [samples[start : start + size] for start in range(0, len(samples), size)]


@pytest.fixture(scope="module")
def scene() -> tuple[np.ndarray, list[tuple[float, float, str]]]:
    """Half a minute with three events in a quiet room."""
    rng = np.random.default_rng(3)
    sound, events = room(rng, 30), []
    for name, start in (("dog", 4.0), ("siren", 13.0), ("rain", 22.0)):
        event = render_event(Event(name, seconds=4.0), rng, RATE)
        begin = int(start * RATE)
        sound[begin : begin + len(event)] += event
        events.append((start, start + 4.0, name))
    return sound, events


@pytest.mark.parametrize("size", [100, 4_321, 16_000])
def test_frames_of_a_stream_are_those_of_the_whole(size: int) -> None:
    sound = room(np.random.default_rng(0), 1.37)
    log_mel = LogMel(RATE, 1024, 320, 64)(torch.from_numpy(sound[None]))[0].T.numpy() * DECIBELS
    spectrum = Spectrum(RATE)
    parts = [spectrum.add(block) for block in blocks(sound, size)]
    parts.append(spectrum.add(np.zeros(0, np.float32), last=True))
    np.testing.assert_allclose(np.concatenate(parts), log_mel, atol=1e-3)


def test_what_rises_does_not_depend_on_the_blocks(scene: tuple) -> None:
    sound, _ = scene
    fine, coarse = (list(risings(blocks(sound, n), RATE, NUMBERS)) for n in (7_000, 48_000))
    for name in ("samples", "excess", "power", "floor_power", "change"):
        whole = [
            np.concatenate([getattr(part, name) for part in parts]) for parts in (fine, coarse)
        ]
        np.testing.assert_allclose(*whole, atol=1e-3)
    assert sum(len(part.samples) for part in fine) == len(sound)


def test_runs_are_cut_where_they_are_too_long() -> None:
    rise = np.full(2_000, 15.0)  # 40 s, with a louder event of 2 s
    rise[1_000:1_100] = 40.0
    assert runs_of(np.zeros(500), NUMBERS) == []
    assert runs_of(rise, NUMBERS) == [(1_000, 1_100)]


def test_runs_that_sound_alike_are_one_event() -> None:
    dog, cat = torch.eye(2)
    embeddings = torch.stack([dog, dog, cat, dog, dog])
    runs = [(0, 20), (60, 80), (100, 120), (150, 170), (900, 920)]
    assert join(runs, embeddings, NUMBERS) == [[0, 1, 3], [2], [4]]
    steps = [(n * 50, n * 50 + 30) for n in range(8)] + [(800, 830)]  # 8 s of steps, and later one
    assert join(steps, dog.expand(9, 2), NUMBERS) == [list(range(9))]


def test_what_sounds_again_and_again_is_background() -> None:
    dog, cat = torch.eye(2)

    def passage(start: float, seconds: float, embedding: torch.Tensor) -> Passage:
        return Passage(start, start + seconds, embedding, -20.0, 30.0, False)

    steps = [passage(start, 2.0, dog) for start in (0.0, 12.0, 24.0)]
    other = passage(8.0, 2.0, cat)
    assert [recurs(event, [*steps, other]) for event in (*steps, other)] == [True] * 3 + [False]
    assert not recurs(steps[0], steps[:2])
    assert not recurs(steps[0], [*steps[:2], passage(70.0, 2.0, dog)])
    clicks = [passage(start, 0.2, dog) for start in (0.0, 12.0, 24.0)]
    assert not recurs(clicks[0], clicks)


@pytest.mark.slow
def test_spans_of_a_scene(scene: tuple) -> None:
    sound, events = scene
    spans = [span for span in Captioner.load().spans(sound) if not span.background]
    assert len(spans) == len(events)
    for span, (start, end, _) in zip(spans, events, strict=True):
        assert abs(span.start - start) < 0.25
        assert abs(span.end - end) < 1.2
        assert span.text
        assert 0 <= span.confidence <= 1
        assert span.tags
        assert span.loudness < 0 < span.prominence
        assert span.kind == "sound"
        assert span.file == ""
    assert "bark" in spans[0].text
    assert "siren" in spans[1].text
    assert spans[2].sustained


@pytest.mark.slow
def test_a_steady_sound_is_one_background() -> None:
    rng = np.random.default_rng(5)
    sound = render_event(Event("rain", seconds=40), rng, RATE)
    (span,) = Captioner.load().spans(sound)
    assert span.background
    assert span.sustained
    assert (span.start, span.end) == (0, 40)


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.2, 20])
def test_silence_has_no_spans(seconds: float) -> None:
    captioner = Captioner.load()
    assert list(captioner.spans(np.zeros(int(seconds * RATE), np.float32))) == []
    assert list(captioner.spans(room(np.random.default_rng(0), seconds))) == []


@pytest.mark.slow
def test_spans_come_in_order_while_the_sound_is_read(tmp_path: Path) -> None:
    """Not more than some minutes are read before the first span."""
    rng = np.random.default_rng(2)
    bark = render_event(Event("dog", seconds=3), rng, RATE)
    minute = room(rng, 60)
    minute[RATE * 10 : RATE * 13] += bark
    soundfile.write(tmp_path / "long.wav", np.tile(minute, 6), RATE)
    with AudioStream(tmp_path / "long.wav", RATE) as stream:
        spans = Captioner.load().spans(stream)
        first = next(spans)
        assert stream.seconds <= 200
        starts = [first.start, *(span.start for span in spans)]
    assert starts == sorted(starts)
    assert len(starts) >= 6


def test_a_background_is_listened_to_where_nothing_else_sounds() -> None:
    power = np.zeros(1000)  # of 20 s
    assert sample_of((0, 1000), [(0, 400)], power, 0.02) is not None
    start, end = sample_of((0, 1000), [(0, 480), (560, 1000)], power, 0.02) or (0, 0)
    assert (start, end) == (480, 560)
    assert sample_of((0, 1000), [(0, 480), (500, 1000)], power, 0.02) is None
    assert sample_of((100, 1100), [(0, 2000)], power, 0.02) is None


@pytest.mark.slow
def test_a_second_core_changes_nothing(
    scene: tuple, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    soundfile.write(tmp_path / "scene.wav", np.tile(scene[0], 3), RATE)
    captioner, spans = Captioner.load(), []
    for cores in (1, 2):
        for module in (find_spans, describe_spans):
            monkeypatch.setattr(module, "usable_cpus", lambda cores=cores: cores)
        spans.append(list(captioner.spans(tmp_path / "scene.wav")))
    assert len(spans[0]) >= 9
    assert spans[0] == spans[1]


@pytest.mark.slow
def test_an_error_comes_behind_the_spans_before_it(scene: tuple) -> None:
    class Broken(AudioStream):
        def __next__(self) -> np.ndarray:
            if self.seconds > 170:
                raise AudioError("the disk is gone")
            return super().__next__()

    captioner, starts = Captioner.load(), []
    with pytest.raises(AudioError, match="disk"), Broken(np.tile(scene[0], 8), RATE) as stream:
        starts.extend(span.start for span in captioner.spans(stream))
    assert len(starts) >= 1


@pytest.mark.slow
def test_whoever_stops_listening_may_close_the_sound(scene: tuple, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "long.wav", np.tile(scene[0], 20), RATE)
    captioner = Captioner.load()
    before = threading.active_count()
    with AudioStream(tmp_path / "long.wav", RATE) as stream:
        spans = captioner.spans(stream)
        next(spans)
    assert stream.seconds < 300
    spans.close()
    assert threading.active_count() == before


@pytest.mark.slow
def test_kinds_can_be_skipped(scene: tuple) -> None:
    captioner = Captioner.load()
    spans = captioner.spans(scene[0], skip=("sound",))
    assert not list(spans)
    with pytest.raises(
        RecipeError, match=r"unknown kind of span .speach.; did you mean .speech.\?"
    ):
        next(captioner.spans(scene[0], skip=["speach"]))


@pytest.mark.parametrize("length", [1, 7, 150, 161, 420, 600])
def test_the_floor_is_a_quantile_of_the_blocks_before_and_after(length: int) -> None:
    levels = np.random.default_rng(length).normal(size=(length, 3)).round(1).astype(np.float32)
    first, last = length // 3, length
    floors = floor_of(levels, first, last, NUMBERS)
    if first:
        behind = floor_of(levels, 0, first, NUMBERS)[1]
        np.testing.assert_array_equal(floor_of(levels, first, last, NUMBERS, behind), floors)
    size, rank = 160, 40
    padded = np.pad(levels, ((size - 1, size - 1), (0, 0)), mode="symmetric")
    for place in range(first, last):
        for side, start in enumerate((place, place + size - 1)):
            window = np.sort(padded[start : start + size], axis=0)
            np.testing.assert_array_equal(floors[side, place - first], window[rank])
