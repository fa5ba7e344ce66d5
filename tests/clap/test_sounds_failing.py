"""One sound's failure is its own: whatever goes wrong, the other sounds are embedded."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
import torch

from wsac.clap.sounds import check_list, decode_many, embed_many, embed_sound, embed_stream
from wsac.types import AudioError, ModelError, RecipeError

RATE = 16_000


@pytest.fixture
def files(tmp_path):
    """Two good sounds around a bad one."""
    for name in ("a", "bad", "c"):
        samples = 0.1 * np.random.default_rng(0).standard_normal(2 * RATE)
        soundfile.write(tmp_path / f"{name}.wav", samples, RATE)
    return [tmp_path / f"{name}.wav" for name in ("a", "bad", "c")]


FAILURES = [
    (OSError(5, "Input/output error"), "input/output error"),
    (FileNotFoundError(2, "No such file"), "no such file"),
    (MemoryError(), "not enough memory"),
    (ValueError("odd\nvalue"), "odd value"),
    (RuntimeError("the decoder is lost"), "the decoder is lost"),
    (UnicodeEncodeError("ascii", "é", 0, 1, "ordinal not in range"), "ordinal not in range"),
    (ZeroDivisionError(), "zerodivisionerror"),
]


@pytest.mark.parametrize(("error", "words"), FAILURES, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("window", [None, 1.0])
@pytest.mark.parametrize("where", ["open", "decode"])
def test_any_exception_of_one_sound_is_its_audio_error(
    clap, files, monkeypatch, error, words, window, where
):
    opening, decoder, container = Path.open, soundfile.SoundFile, av.open

    def fails(path) -> bool:
        return "bad" in os.fsdecode(path)

    def open_path(path, *args, **options):
        if where == "open" and fails(path):
            raise error
        return opening(path, *args, **options)

    def open_sound(path, *args, **options):
        if where == "decode" and fails(path):
            raise error
        return decoder(path, *args, **options)

    def open_container(path, *args, **options):
        if where == "decode" and fails(path):
            raise error
        return container(path, *args, **options)

    monkeypatch.setattr(Path, "open", open_path)
    monkeypatch.setattr(soundfile, "SoundFile", open_sound)
    monkeypatch.setattr(av, "open", open_container)
    results = list(embed_stream(clap, files, window))
    failures = [result for result in results if isinstance(result, AudioError)]
    assert {result.file for result in results} == {str(file) for file in files}
    assert [failure.file for failure in failures] == [str(files[1])]
    assert str(files[1]) in str(failures[0])
    assert words in str(failures[0]).lower()
    assert "\n" not in str(failures[0])


def test_a_cause_is_kept(files, monkeypatch):
    error = RuntimeError("lost")

    def fail(*_args, **_options):
        raise error

    monkeypatch.setattr(soundfile, "SoundFile", fail)
    (failure,) = decode_many(files[:1], RATE)
    assert failure.__cause__ is error


def test_a_file_that_vanishes_while_it_is_opened(clap, files, monkeypatch):
    decoder = soundfile.SoundFile

    def vanish(path, *args, **options):
        if "bad" in os.fsdecode(path):
            files[1].unlink()
        return decoder(path, *args, **options)

    monkeypatch.setattr(soundfile, "SoundFile", vanish)
    first, second, third = embed_many(clap, files)
    assert isinstance(second, AudioError)
    assert (first.file, second.file, third.file) == tuple(map(str, files))


def test_a_bug_of_the_model_ends_the_run(clap, files, monkeypatch):
    def fail(_waveforms):
        raise ZeroDivisionError

    monkeypatch.setattr(clap, "embed_audio", fail)
    with pytest.raises(ZeroDivisionError):
        list(embed_many(clap, files))


def test_damaged_weights_are_not_blamed_on_the_sound(clap, files, monkeypatch):
    def damaged(waveforms):
        return torch.full((len(waveforms), clap.embed_dim), torch.nan)

    monkeypatch.setattr(clap, "embed_audio", damaged)
    for embed in (embed_many, lambda clap, files: embed_stream(clap, files, 1.0)):
        with pytest.raises(ModelError, match="gives no finite embeddings, so its weights are"):
            list(embed(clap, files))


def test_extreme_samples_are_not_blamed_on_the_model(clap, monkeypatch):
    embed_audio = clap.embed_audio

    def overflow(waveforms):
        embeddings = embed_audio(waveforms)
        loud = torch.tensor([bool(waveform.abs().max() > 0.9) for waveform in waveforms])
        return torch.where(loud[:, None], torch.nan, embeddings)

    monkeypatch.setattr(clap, "embed_audio", overflow)
    with pytest.raises(AudioError, match="the samples: cannot be embedded; are the samples floats"):
        embed_sound(clap, np.full(RATE, 0.95))


def test_impossible_options_end_the_run(clap, files):
    with pytest.raises(RecipeError, match="window_seconds"):
        list(embed_stream(clap, files, -1.0))


@pytest.mark.parametrize("one", ["a.wav", Path("a.wav"), {"array": [0.0]}, np.zeros(99), b"RIFF"])
def test_one_sound_where_many_belong_is_refused(one):
    with pytest.raises(AudioError, match="one sound; give a list"):
        check_list(one)


def test_lists_arrays_of_sounds_and_generators_are_many():
    for many in ([], ["a.wav"], (x for x in ["a"]), np.zeros((2, 99)), torch.zeros(2, 99)):
        assert check_list(many) is many
    for many in (np.array(["a.wav", "b.wav"]), np.array([Path("a.wav")], dtype=object)):
        assert check_list(many) is many


def test_long_sounds_of_every_form_are_read_whole(clap, tmp_path):
    samples = 0.1 * np.random.default_rng(0).standard_normal(40 * RATE).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", samples, RATE, subtype="FLOAT")
    with (tmp_path / "a.wav").open("rb") as file:
        forms = [tmp_path / "a.wav", samples, file, {"array": samples, "sampling_rate": RATE}]
        embedded = list(embed_many(clap, forms))
    for sound in embedded:
        assert sound.end == 40.0
        torch.testing.assert_close(sound.embedding, embedded[0].embedding)


NAMES = """
import json, os, sys
from wsac.clap.sounds import decode_many
from wsac.data.audio.find import find_audio
from wsac.types import AudioError
files = find_audio([os.getcwd()])
for file, sound in zip(files, decode_many(files, 16000), strict=True):
    assert not isinstance(sound, AudioError), ascii(sound)
    print(os.fsencode(file.name).hex(), sound.seconds)
print(ascii(next(iter(decode_many([os.fsdecode(b"\\xff.wav")], 16000)))))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
@pytest.mark.parametrize(
    "locale", [{}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}]
)
def test_names_that_are_not_utf8_are_names(tmp_path, locale):
    names = [b"\xe9.wav", b"\xe9.mp3", "é 音.flac".encode(), "ü.m4a".encode()]
    samples = 0.1 * np.random.default_rng(0).standard_normal(RATE)
    for name in names[:3]:
        suffix = os.fsdecode(name).rpartition(".")[2]
        soundfile.write(tmp_path / f"a.{suffix}", samples, RATE)
        (tmp_path / f"a.{suffix}").rename(tmp_path / os.fsdecode(name))
    with av.open(str(tmp_path / "ü.m4a"), "w") as container:
        stream = container.add_stream("aac", rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(
            samples[None].astype(np.float32), format="fltp", layout="mono"
        )
        frame.rate, frame.pts = RATE, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)} | locale
    result = subprocess.run(
        [sys.executable, "-c", NAMES], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    *rows, missing = result.stdout.splitlines()
    assert {row.split()[0] for row in rows} == {name.hex() for name in names}
    assert all(float(row.split()[1]) == pytest.approx(1.0, abs=0.1) for row in rows)
    assert "no such file" in missing
