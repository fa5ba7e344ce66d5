"""Many sounds in one stream: each as it is alone, in order, errors in their places, little read
ahead.
"""

from __future__ import annotations

import numpy as np
import pytest
import soundfile
from torch.testing import assert_close

from wsac.clap.sounds import (
    FILES_AT_ONCE,
    LONG,
    decode_many,
    embed_many,
    embed_sound,
    embed_stream,
    map_sounds,
)
from wsac.data.audio.stream import AudioStream
from wsac.io.console import progress
from wsac.types import AudioError

RATE = 16_000


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Sounds of many lengths; one is streamed, one is silent, one is broken."""
    folder = tmp_path_factory.mktemp("sounds")
    rng = np.random.default_rng(0)
    for name, seconds in (("short", 0.7), ("middle", 2.5), ("most", LONG), ("long", LONG + 1)):
        noise = 0.1 * rng.standard_normal(round(RATE * seconds))
        soundfile.write(folder / f"{name}.wav", noise, RATE, subtype="FLOAT")
    soundfile.write(folder / "silent.wav", np.zeros(RATE), RATE)
    (folder / "broken.wav").write_text("no sound")
    return folder


def test_many_sounds_are_embedded_as_one_by_one(clap, files):
    samples = soundfile.read(files / "short.wav", dtype="float32")[0]
    sounds = [*sorted(files.glob("*.wav")), samples, *[files / "short.wav"] * FILES_AT_ONCE]
    with pytest.raises(AudioError) as broken:
        embed_sound(clap, files / "broken.wav")
    alone = {str(p): embed_sound(clap, p) for p in files.glob("*.wav") if p.stem != "broken"}
    together = list(embed_many(clap, iter(sounds)))
    assert len(together) == len(sounds)
    for sound, embedded in zip(sounds, together, strict=True):
        assert embedded.file == ("" if sound is samples else str(sound))
        if isinstance(embedded, AudioError):
            assert str(embedded) == str(broken.value)
            assert sound == files / "broken.wav"
            continue
        expected = alone[str(files / "short.wav" if sound is samples else sound)]
        assert_close(embedded.embedding, expected.embedding)
        assert (embedded.start, embedded.end) == (expected.start, expected.end)
        assert (embedded.notes, embedded.silent) == (expected.notes, expected.silent)
    assert sum(isinstance(result, AudioError) for result in together) == 1
    assert [result.silent for result in together if not isinstance(result, AudioError)].count(
        True
    ) == 1


@pytest.mark.parametrize("many", [embed_many, lambda clap, sounds: decode_many(sounds, RATE)])
def test_no_more_is_read_ahead_than_is_said(clap, many):
    taken = []

    def endless():
        while True:
            taken.append(1)
            yield np.full(1600, 0.1, np.float32)

    stream = many(clap, endless())
    next(stream)
    assert len(taken) <= FILES_AT_ONCE
    for _ in range(FILES_AT_ONCE):
        next(stream)
    assert len(taken) <= 2 * FILES_AT_ONCE
    stream.close()


def test_decoding_keeps_the_order_and_the_first_seconds(files):
    names = [files / f"{name}.wav" for name in ("long", "broken", "short", "silent")]
    long, broken, short, silent = decode_many(names, RATE, max_seconds=1.5)
    assert isinstance(broken, AudioError)
    assert [recording.seconds for recording in (long, short, silent)] == [1.5, 0.7, 1.0]
    assert (short.silent, silent.silent) == (False, True)


@pytest.mark.parametrize("seconds", [2, 20, 50])
def test_windows_before_a_failure_are_embedded(clap, files, seconds):
    """A decoder that fails midway: every whole window read until then, then the error."""

    class Failing(AudioStream):
        def __iter__(self):
            for _ in range(seconds):
                yield np.full(RATE, 0.1, np.float32)
            raise AudioError("the decoder fails")

    *windows, error = embed_stream(clap, [Failing(files / "short.wav", RATE)], 2.0)
    assert isinstance(error, AudioError)
    assert error.file == str(files / "short.wav")
    assert [(w.start, w.end) for w in windows] == [(t, t + 2) for t in range(0, seconds, 2)]


@pytest.mark.parametrize("window", [None, 10.0])
def test_a_long_sound_says_how_far_it_is(clap, tmp_path, monkeypatch, capsys, window):
    monkeypatch.setattr("wsac.io.console.LINE_SECONDS", 0.0)
    samples = 0.1 * np.random.default_rng(0).standard_normal(75 * 8000)
    soundfile.write(tmp_path / "talk.wav", samples, 8000)
    with progress("embed", 1, unit="files"):
        list(embed_stream(clap, [tmp_path / "talk.wav"], window))
    lines = capsys.readouterr().err.splitlines()
    assert lines
    assert all(line.startswith("embed: 0 of 1 files; ") for line in lines)
    assert all(line.endswith(" of 1.2 min") for line in lines)
    assert "talk.wav: " in lines[-1]


@pytest.mark.parametrize(("long", "sizes"), [(30.0, [32, 8]), (0.01, [1] * 40)])
def test_results_of_long_sounds_do_not_wait_for_others(clap, monkeypatch, long, sizes):
    """Batches end after 32 sounds, or after 32 times the length of a long one."""
    monkeypatch.setattr("wsac.clap.sounds.LONG", long)
    batches = []

    def write(sounds):
        batches.append(len(sounds))
        return sounds

    sound = np.full(8000, 0.1, np.float32)
    assert len(list(map_sounds(write, clap, [sound] * 40))) == 40
    assert batches == sizes
