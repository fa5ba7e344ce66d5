"""Copies are found whatever was done to them; other sounds of the same kind are none."""

from __future__ import annotations

import av
import numpy as np
import pytest
import soundfile
import soxr

from wsac.archive.export.fingerprints import Copies, most_errors

RATE = 44_100
SECONDS = 4.0


def rain(rng):
    """Noise with drops."""
    sound = 0.05 * rng.standard_normal(int(RATE * SECONDS))
    for start in rng.integers(0, len(sound) - 800, 200):
        sound[start : start + 800] += rng.uniform(0.1, 0.5) * _ring(rng, 800, 3000)
    return sound


def barks(rng):
    """Bursts of a voice, with silence between them."""
    sound = np.zeros(int(RATE * SECONDS))
    for start in rng.integers(0, len(sound) - 12_000, 5):
        voice = sum(_ring(rng, 12_000, 250 * k * rng.uniform(0.9, 1.1)) / k for k in range(1, 9))
        sound[start : start + 12_000] += 0.1 * voice
    return sound + 1e-4 * rng.standard_normal(len(sound))


def engine(rng):
    """A hum whose pitch and strength waver."""
    steps = np.cumsum(rng.standard_normal(int(SECONDS * 20) + 2)) * 4 + 120
    pitch = np.interp(np.arange(int(RATE * SECONDS)) / RATE * 20, np.arange(len(steps)), steps)
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    return sum(0.2 / k * np.sin(k * phase) for k in range(1, 20)) + 0.01 * rng.standard_normal(
        len(phase)
    )


def _ring(rng, samples, hertz):
    time = np.arange(samples) / RATE
    return np.sin(2 * np.pi * hertz * time + rng.uniform(0, 6)) * np.exp(-time * 12)


KINDS = (rain, barks, engine)


def encode(path, sound, codec, bit_rate):
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=RATE, layout="mono")
        stream.bit_rate = bit_rate
        frame = av.AudioFrame.from_ndarray(
            sound.astype(np.float32)[None], format="fltp", layout="mono"
        )
        frame.sample_rate = RATE
        resampler = av.AudioResampler(stream.format, stream.layout, RATE)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))


def mp3(path, sound):
    encode(path.with_suffix(".mp3"), sound, "libmp3lame", 64_000)


def ogg(path, sound):
    soundfile.write(path.with_suffix(".ogg"), sound, RATE)


def faint(path, sound):
    soundfile.write(path, 0.05 * sound, RATE)


def trimmed(path, sound):
    soundfile.write(path, sound[int(0.613 * RATE) : int(3.1 * RATE)], RATE)


def longer(path, sound):
    """In a longer recording."""
    around = 0.02 * np.random.default_rng(99).standard_normal(2 * RATE + 77)
    soundfile.write(path, np.concatenate([around, sound, around]), RATE)


def telephone(path, sound):
    soundfile.write(path, soxr.resample(sound, RATE, 8000), 8000)


def stereo_clipped(path, sound):
    soundfile.write(path, np.stack([np.clip(2 * sound, -1, 1), sound], axis=1), RATE)


CHANGES = (mp3, ogg, faint, trimmed, longer, telephone, stereo_clipped)


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    folder = tmp_path_factory.mktemp("originals")
    for kind in KINDS:
        for seed in range(3):
            sound = kind(np.random.default_rng(seed))
            soundfile.write(folder / f"{kind.__name__}{seed}.wav", sound, RATE)
    return Copies([str(folder)])


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_changed_copy_is_found(kind, change, originals, tmp_path):
    change(tmp_path / "copy.wav", kind(np.random.default_rng(1)))
    (copy,) = tmp_path.iterdir()
    assert originals.find(copy).name == f"{kind.__name__}1.wav"


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_other_sounds_of_the_same_kind_are_none(kind, originals, tmp_path):
    for seed in range(100, 108):
        soundfile.write(tmp_path / "other.wav", kind(np.random.default_rng(seed)), RATE)
        assert originals.find(tmp_path / "other.wav") is None


def test_equal_content_is_known_without_listening(originals, tmp_path):
    (name,) = [name for name, number in originals._ids.items() if number == 2]
    assert originals.find(tmp_path / "not there.wav", name) == originals.files[2]


@pytest.mark.parametrize("samples", [100, 4000])
def test_a_short_or_silent_sound_is_no_copy(samples, originals, tmp_path):
    for sound in (np.zeros(samples), 0.1 * np.ones(samples)):
        soundfile.write(tmp_path / "a.wav", sound, RATE)
        assert originals.find(tmp_path / "a.wav") is None


def test_short_sounds_must_agree_more():
    limits = [most_errors(frames) for frames in (24, 50, 100, 300, 1000)]
    assert limits == sorted(limits)
    assert 0.1 < limits[0] < 0.2
    assert limits[-1] == pytest.approx(0.35)
