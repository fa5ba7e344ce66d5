"""Spectrograms are those of the formula, and their pictures can be read."""

from __future__ import annotations

import base64
from xml.etree import ElementTree

import numpy as np
import pytest

from oracles.png_pixels import png_pixels
from wsac.io.mel_pictures import LOWEST_HZ, MELS, in_decibels, mel_power, mel_svg, strip_png

RATE = 16000


def tone(hertz: float, seconds: float = 1.0, rate: int = RATE) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)


def log_mel(samples: np.ndarray, rate: int, **hop: float) -> np.ndarray:
    return in_decibels(mel_power(samples, rate, **hop))


def plain_mel_power(samples: np.ndarray, rate: int, hop_seconds: float) -> np.ndarray:
    """By the formula, sum by sum: a Fourier transform of each Hann window, its power per hertz on
    one side of the spectrum, and means weighted by triangles over evenly spaced mels."""
    window, hop = max(64, round(0.032 * rate)), max(1, round(hop_seconds * rate))
    size = 2
    while size < 2 * max(window, hop):
        size *= 2
    mel = lambda hertz: 2595 * np.log10(1 + hertz / 700)  # noqa: E731
    shape = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / (window - 1))
    bins = np.arange(size // 2 + 1)
    wave = np.exp(-2j * np.pi * np.outer(bins, np.arange(window)) / size)
    centres = np.linspace(mel(LOWEST_HZ), mel(rate / 2), MELS + 2)
    columns = []
    for middle in range(0, len(samples) + 1, hop):
        places = np.arange(middle - window // 2, middle - window // 2 + window)
        inside = (places >= 0) & (places < len(samples))
        frame = np.where(inside, samples[np.clip(places, 0, len(samples) - 1)], 0) * shape
        power = np.abs(wave @ frame) ** 2 / rate / (shape**2).sum()
        power[1:-1] *= 2
        heard = mel(bins * rate / size)
        column = []
        for centre in centres[1:-1]:
            weights = np.maximum(0, 1 - np.abs(heard - centre) / (centres[1] - centres[0]))
            column.append(weights @ power / weights.sum())
        columns.append(column)
    return np.array(columns).T


@pytest.mark.parametrize(
    ("rate", "count", "hop"),
    [(2000, 700, 0.01), (8000, 5000, 0.1), (16000, 1, 0.01), (11025, 900, 0.001), (2001, 500, 1.0)],
)
def test_powers_are_those_of_the_formula(rate, count, hop, monkeypatch):
    samples = np.random.default_rng(3).standard_normal(count)
    expected = plain_mel_power(samples, rate, hop)
    np.testing.assert_allclose(mel_power(samples, rate, hop_seconds=hop), expected, rtol=1e-9)
    monkeypatch.setattr("wsac.io.mel_pictures.PIECE", 5000)  # also piece by piece
    np.testing.assert_allclose(mel_power(samples, rate, hop_seconds=hop), expected, rtol=1e-9)


def test_powers_are_those_of_older_versions():
    """Values of wsac with matplotlib 3.11."""
    power = mel_power(np.sin(np.arange(40.0) ** 2 / 7), 1000, hop_seconds=0.02)
    expected = [
        [4.01133761e-04, 9.87338767e-04, 1.47582051e-04],
        [6.99826172e-04, 2.25610734e-03, 7.37034209e-04],
        [6.96348854e-05, 3.43961229e-05, 4.41912234e-05],
        [4.68107809e-04, 1.15165190e-03, 6.18017898e-04],
    ]
    np.testing.assert_allclose(power[::21], expected, rtol=1e-6)


@pytest.mark.parametrize("rate", [8000, 16000, 48000])
def test_log_mel_puts_a_tone_in_its_band_and_is_relative(rate):
    mels = [log_mel(tone(hertz, 1.0, rate), rate) for hertz in (200, 1000, 3000)]
    rows = [mel.mean(axis=1).argmax() for mel in mels]
    assert rows[0] < rows[1] < rows[2]
    assert mels[0].shape[0] == MELS
    assert abs(mels[0].shape[1] - 101) <= 1
    assert mels[0].max() == 0
    assert mels[0].min() >= -80
    np.testing.assert_allclose(mels[1], log_mel(0.1 * tone(1000, 1.0, rate), rate), atol=1e-3)


def test_pictures_of_silence_short_and_broken_sounds():
    for samples in (np.zeros(RATE), np.ones(1), np.full(RATE, np.nan), np.full(9, np.inf)):
        assert np.isfinite(log_mel(samples, RATE)).all()
        picture = mel_svg(samples, RATE)
        assert ElementTree.fromstring(picture).get("height")
        png_pixels(base64.b64decode(picture.split("base64,")[1].split('"')[0]))
    with pytest.raises(ValueError, match="one channel"):
        log_mel(np.zeros(0), RATE)


def test_log_mel_of_windows_that_lie_apart():
    """A column each half second, as every fiftieth of those each 10 ms."""
    samples = np.concatenate([tone(300, 10.0), tone(3000, 10.0)])
    fine, coarse = (log_mel(samples, RATE, hop_seconds=hop) for hop in (0.01, 0.5))
    assert coarse.shape == (MELS, 41)
    np.testing.assert_array_equal(coarse.argmax(0)[1:-1], fine[:, ::50].argmax(0)[1:-1])


def test_a_strip_has_a_pixel_a_cell_and_goes_from_black_to_light_yellow():
    power = np.logspace(-9, 0, 128).reshape(2, 64)
    pixels = png_pixels(strip_png(power))
    assert pixels.shape == (2, 64, 3)
    assert pixels[1, 0].tolist() == [0, 0, 4]  # the lowest band is the last row
    assert pixels[0, -1].tolist() == [252, 253, 191]
    light = pixels.astype(int) @ [299, 587, 114]
    assert (np.diff(np.concatenate((light[1], light[0]))) >= 0).all()


def test_a_narrow_strip_shows_the_largest_of_its_columns():
    power = np.full((3, 1000), 1e-6)
    power[:, 777] = 1.0
    pixels = png_pixels(strip_png(power, 10))
    assert pixels.shape == (3, 10, 3)
    assert pixels.sum((0, 2)).argmax() == 7
