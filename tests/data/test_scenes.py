"""The scenes: sounds lie where the scene says, and the files on disk repeat."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter

import numpy as np
import pytest
import soundfile

from oracles.sound_measures import RATE, brightness, count_strokes
from wsac.cli import main
from wsac.data.soundworld import (
    DEMO_SEED,
    FORMS,
    KINDS,
    Event,
    Placed,
    Scene,
    demo_scenes,
    render_event,
    render_scene,
    sample_scene,
    write_corpus,
    write_scenes,
)
from wsac.data.soundworld.scene import Form, alike
from wsac.types import WsacError


def scenes(count: int, **options) -> list[Scene]:
    return [sample_scene(np.random.default_rng([11, i]), **options) for i in range(count)]


@pytest.mark.slow
def test_scenes_are_drawn_as_often_as_they_should_and_in_every_form():
    drawn = [sample_scene(np.random.default_rng([5, i]), captions=0) for i in range(1500)]
    sizes = Counter(FORMS[scene.form].events for scene in drawn)
    for size, share in {1: 0.15, 2: 0.35, 3: 0.3, 4: 0.2}.items():
        assert sizes[size] / 1500 == pytest.approx(share, abs=0.05)
    assert {scene.form for scene in drawn} == set(FORMS)
    assert {name for scene in drawn for name in scene.events} == set(KINDS)
    spread = Counter(p.event.count for scene in drawn for p in scene.placed)
    assert all(spread[count] > 50 for count in (1, 2, 3, 4))
    for parameter in ("pitch", "rate", "loudness", "distance", "length"):
        assert {getattr(p.event, parameter) for scene in drawn for p in scene.placed} == {-1, 0, 1}


def test_what_follows_follows_and_what_lies_behind_lasts():
    for scene in (sample_scene(np.random.default_rng([6, i]), captions=0) for i in range(600)):
        form = FORMS[scene.form]
        assert 5 <= scene.seconds <= 10
        assert tuple(len(step) for step in scene.steps) == form.steps
        assert all(p.start >= 0 and p.end <= scene.seconds + 0.002 for p in scene.placed)
        for step, after in zip(scene.steps, scene.steps[1:], strict=False):
            assert max(p.end for p in step) - min(p.start for p in after) <= 0.2
        assert all(p.event.seconds >= 1.19 for p in scene.placed)
        assert (scene.background is not None) is form.background
        if scene.background:
            assert scene.background.event.seconds == scene.seconds
            assert -8 <= scene.background.gain_db <= -4
            assert all(p.event.loudness >= 0 and p.event.distance <= 0 for p in scene.placed)
        kinds = [p.event.kind for p in scene.placed]
        if scene.form == "again":
            assert scene.steps[0][0].event == scene.steps[2][0].event
            kinds = kinds[:2]
        assert not any(alike(a, b) for i, a in enumerate(kinds) for b in kinds[:i])
        for p in scene.placed:
            levels = {
                name
                for name in ("pitch", "rate", "loudness", "distance", "length")
                if getattr(p.event, name)
            }
            assert levels <= KINDS[p.event.kind].parameters
            assert p.event.count is None or "count" in KINDS[p.event.kind].parameters
            assert not (p.event.count == 1 and p.event.rate)


def test_counted_events_of_scenes_have_their_count():
    counted = 0
    for scene in scenes(90, events=(2, 4), captions=0):
        for p in scene.placed:
            if p.event.count and p.event.kind in (
                "dog",
                "knocking",
                "gunshot",
                "church_bell",
                "door",
                "duck",
            ):
                counted += 1
                assert (
                    count_strokes(render_event(p.event, np.random.default_rng(0), RATE))
                    == p.event.count
                ), p.event
    assert counted >= 5


@pytest.mark.slow
def test_a_scene_renders_to_length_unclipped_and_repeats():
    for i, scene in enumerate(scenes(12, captions=0)):
        samples = render_scene(scene, np.random.default_rng(i), sample_rate=8000)
        assert samples.shape == (round(scene.seconds * 8000),)
        assert samples.dtype == np.float32
        assert np.isfinite(samples).all()
        assert 0.005 < np.abs(samples).max() < 1
        np.testing.assert_array_equal(
            samples, render_scene(scene, np.random.default_rng(i), sample_rate=8000)
        )
    assert render_scene(scene, np.random.default_rng(0), 3.0, RATE).shape == (3 * RATE,)
    assert render_scene(scene, np.random.default_rng(0), 12.0, RATE).shape == (12 * RATE,)


def test_sounds_lie_where_the_scene_says():
    first = Placed(Event("engine", seconds=2.0), 0.5)
    second = Placed(Event("crickets", seconds=2.0), 2.5)
    samples = render_scene(Scene("then", 5.0, ((first,), (second,))), np.random.default_rng(0))
    assert (
        brightness(samples[RATE : 2 * RATE])
        < 1000
        < 2000
        < brightness(samples[3 * RATE : 4 * RATE])
    )
    quiet = np.abs(samples[: RATE // 3]).max()
    assert 0 < quiet < 0.01 < np.abs(samples[RATE : 2 * RATE]).max()


def test_sample_scene_says_what_it_cannot_draw():
    with pytest.raises(ValueError, match="1 to 4"):
        sample_scene(np.random.default_rng(0), events=(1, 5))
    with pytest.raises(ValueError, match="too short"):
        sample_scene(np.random.default_rng(0), seconds=2.0)
    assert all(len(scene.events) == 1 for scene in scenes(20, events=(1, 1)))


def test_demo_scenes_are_eight_and_fixed():
    demos = demo_scenes()
    assert demos == demo_scenes()
    assert len({name for name, _ in demos}) == 8
    assert sorted(len(scene.events) for _, scene in demos) == [1] * 6 + [2] * 2
    for i, (name, scene) in enumerate(demos):
        assert set(scene.events) <= set(re.split(r"_and_|_then_", name.removesuffix(".wav")))
        assert len(scene.captions) == 5
        samples = render_scene(scene, np.random.default_rng(DEMO_SEED + i), 2.0, RATE)
        assert np.abs(samples).max() > 0.05


def world(folder, *words) -> int:
    return main(
        ["soundworld", "--scenes", "4", "--seed", "3", "--rate", "8000", "-o", str(folder), *words]
    )


def contents(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.slow
def test_the_command_writes_what_it_says_and_the_same_bytes_again(tmp_path, capsys):
    assert world(tmp_path / "a", "--json") == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["scenes"], summary["captions"], summary["seed"]) == (4, 20, 3)
    with (tmp_path / "a/captions.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    records = [
        json.loads(line)
        for line in (tmp_path / "a/scenes.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    assert len(rows) == 20
    for i, record in enumerate(records):
        assert record["file"] == f"{i:05d}.wav"
        info = soundfile.info(tmp_path / "a" / record["file"])
        assert (info.samplerate, info.channels, info.subtype) == (8000, 1, "PCM_16")
        assert info.frames == round(record["seconds"] * 8000)
        mine = [row for row in rows if row["audio"] == record["file"]]
        assert [row["caption"] for row in mine] == record["captions"]
        assert not {row["negative"] for row in mine} & set(record["captions"])
        scene = sample_scene(np.random.default_rng([3, i]))
        assert record == {"file": record["file"], **scene.record()}
        assert [event["kind"] for event in record["events"]] == [p.event.kind for p in scene.placed]
    assert world(tmp_path / "b", "--jobs", "2") == 0
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert "4 scenes" in capsys.readouterr().err


def test_a_scene_depends_on_the_seed_and_its_number_only(tmp_path):
    write_scenes(tmp_path / "few", 2, 3, sample_rate=8000)
    write_scenes(tmp_path / "more", 3, 3, sample_rate=8000)
    write_scenes(tmp_path / "other", 2, 4, sample_rate=8000)
    few, more, other = (contents(tmp_path / name) for name in ("few", "more", "other"))
    assert few["00001.wav"] == more["00001.wav"] != other["00001.wav"]
    assert more["scenes.jsonl"].startswith(few["scenes.jsonl"])


def test_captions_only_writes_no_sound(tmp_path):
    assert (
        main(
            [
                "soundworld",
                "--scenes",
                "50",
                "--captions-only",
                "-o",
                str(tmp_path),
                "--events",
                "1-2",
            ]
        )
        == 0
    )
    assert [path.name for path in tmp_path.iterdir()] == ["captions.csv"]
    lines = (tmp_path / "captions.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "caption"
    assert len(set(lines)) == 51


@pytest.mark.parametrize(
    ("arguments", "cause"),
    [
        (("--events", "0-2"), "--events 0-2"),
        (("--events", "3-2"), "within 1-4"),
        (("--events", "many"), "within 1-4"),
        (("--scenes", "0"), "--scenes 0"),
        (("--seed", "-1"), "--seed -1"),
        (("--rate", "100"), "8000 to"),
        (("--seconds", "2"), "--seconds 2"),
        (("--seconds", "nan"), "--seconds nan"),
        (("--jobs", "0"), "--jobs 0"),
    ],
)
def test_wrong_arguments_are_one_line(tmp_path, capsys, arguments, cause):
    assert world(tmp_path / "x", *arguments) == 1
    error = capsys.readouterr().err.strip()
    assert cause in error
    assert error.startswith("error: ")
    assert "\n" not in error
    assert not (tmp_path / "x").exists()


def test_a_corpus_larger_than_the_grammar_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setitem(FORMS, "single", Form(False, (1,), ("a sound",)))
    with pytest.raises(WsacError, match="only 1 of 20"):
        write_corpus(tmp_path, 20, 0, events=(1, 1))
