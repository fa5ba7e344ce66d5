"""Log-mel spectrograms and their pictures: PNG, bare or with axes around it."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np

from .rendering import data_uri
from .svg_plots import Axes

MELS = 64
LOWEST_HZ = 40.0
FLOOR_DB = -80.0  # below the loudest cell; drawn black
TICKS_HZ = (100, 500, 1000, 2000, 4000, 8000, 16000)
PIECE = 1 << 21  # values that are transformed together
# evenly spaced from black over purple and orange to light yellow; close to matplotlib's "magma"
COLOURS = "000004 150e38 3b0f70 641a80 8c2981 b73779 de4968 f66e5c fe9f6d fecf92 fcfdbf"


def mel_power(samples: np.ndarray, sample_rate: int, *, hop_seconds: float = 0.01) -> np.ndarray:
    """The mel spectrogram for a picture: [M, frames], means over a band of the power per hertz.

    samples: [T] mono float, any length; what is not finite counts as silence. The bands run from 40
    Hz to half the sample rate. This is for the eye; the encoders have their own features. Raises
    ValueError when samples is not one-dimensional or is empty.
    """
    if samples.ndim != 1 or not len(samples):
        remedy = "give one channel [T] with at least one sample"
        raise ValueError(f"samples have shape {samples.shape}: {remedy}")
    window = max(64, round(0.032 * sample_rate))
    hop = max(1, round(hop_seconds * sample_rate))
    # zero-padded: each of the narrow low bands has a bin
    size = 1 << (2 * max(window, hop) - 1).bit_length()
    edges = np.linspace(_to_mel(LOWEST_HZ), _to_mel(sample_rate / 2), MELS + 2)
    mels = _to_mel(np.fft.rfftfreq(size, 1 / sample_rate))
    distance = np.abs(mels[None, :] - edges[1:-1, None]) / (edges[1] - edges[0])
    filters = np.clip(1 - distance, 0, None)  # [M, F] triangles
    filters /= np.maximum(filters.sum(axis=1, keepdims=True), 1e-9)
    shape = np.hanning(window)
    filters *= 2 / sample_rate / (shape @ shape)
    filters[:, [0, -1]] /= 2  # these bins have no twin among the negative frequencies
    frames = len(samples) // hop + 1
    power, few = [], max(1, PIECE // size)
    for first in range(0, frames, few):
        start = first * hop - window // 2
        stop = start + window + (min(few, frames - first) - 1) * hop
        piece = np.asarray(samples[max(0, start) : stop], np.float64)
        piece = np.nan_to_num(piece, posinf=0, neginf=0)
        piece = np.pad(piece, (max(0, -start), max(0, stop - len(samples))))
        windows = np.lib.stride_tricks.sliding_window_view(piece, window)[::hop]
        power.append(filters @ (np.abs(np.fft.rfft(windows * shape, size)) ** 2).T)
    return np.concatenate(power, axis=1)


def in_decibels(power: np.ndarray) -> np.ndarray:
    """Of powers, in dB against the largest, from -80 to 0."""
    floor = np.finfo(float).tiny
    return np.maximum(10 * np.log10(np.maximum(power, floor) / max(power.max(), floor)), FLOOR_DB)


def mel_svg(samples: np.ndarray, sample_rate: int) -> str:
    """The log-mel spectrogram of samples [T]: seconds across, kHz up, magma colours."""
    seconds = len(samples) / sample_rate
    # 500 columns are enough for a card
    png = strip_png(mel_power(samples, sample_rate, hop_seconds=max(0.01, seconds / 500)))
    mels = (_to_mel(LOWEST_HZ), _to_mel(sample_rate / 2))
    ticks = [
        (_to_mel(hertz), f"{hertz / 1000:g}") for hertz in TICKS_HZ if hertz <= sample_rate / 2
    ]
    axes = Axes((0, seconds), mels, "", "seconds", "kHz", ticks, left=46, top=8, height=100)
    axes.image = data_uri("image/png", png)
    return axes.svg()


def strip_png(power: np.ndarray, most: int = 65_535) -> bytes:
    """Mel powers [M, columns] as a bare picture, a pixel a cell, in magma colours.

    most: columns of the picture; of those that fall together it shows the largest.
    Source: https://www.w3.org/TR/png-3/, a palette and no filters.
    """
    if power.shape[1] > most:
        edges = np.linspace(0, power.shape[1], most, endpoint=False).astype(int)
        power = np.maximum.reduceat(power, edges, axis=1)
    pixels = np.uint8(255.5 - 255 / FLOOR_DB * in_decibels(power)[::-1])  # the highest band on top
    anchors = np.frombuffer(bytes.fromhex(COLOURS), np.uint8).reshape(-1, 3).T
    places = np.linspace(0, 255, anchors.shape[1])
    palette = np.stack([np.interp(np.arange(256), places, channel) for channel in anchors], axis=1)
    chunks = (
        (b"IHDR", struct.pack(">2I5B", *power.shape[::-1], 8, 3, 0, 0, 0)),
        (b"PLTE", np.uint8(palette + 0.5).tobytes()),
        (b"IDAT", zlib.compress(np.pad(pixels, ((0, 0), (1, 0))).tobytes())),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )


def _to_mel(hertz: Any) -> Any:
    return 2595 * np.log10(1 + hertz / 700)
