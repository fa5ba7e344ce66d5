"""What an ear would measure in a sound: strokes, brightness, pitch and sweeps."""

from __future__ import annotations

import numpy as np

RATE = 16000  # Hz


def count_strokes(samples: np.ndarray, window: float = 0.06) -> int:
    """Onsets: the envelope rises from a dip to a fair part of the loudest."""
    hop = RATE // 100
    power = (samples[: len(samples) // hop * hop].astype(float).reshape(-1, hop) ** 2).mean(axis=1)
    smooth = np.hanning(round(window * 100) + 2)
    envelope = np.sqrt(np.convolve(np.pad(power, 8), smooth / smooth.sum(), mode="same"))
    strokes, rising, peak, dip = 0, True, 0.0, 0.0
    for level in envelope:
        if rising:
            dip = min(dip, level)
            if level > max(0.25 * envelope.max(), 1.8 * dip):
                strokes, rising, peak = strokes + 1, False, level
        else:
            peak = max(peak, level)
            if level < 0.55 * peak:
                rising, dip = True, level
    return strokes


def brightness(samples: np.ndarray) -> float:
    """Geometric spectral centroid, Hz."""
    power = np.abs(np.fft.rfft(samples)) ** 2
    return float(
        np.exp(
            (power * np.log(np.maximum(np.fft.rfftfreq(len(samples), 1 / RATE), 20))).sum()
            / power.sum()
        )
    )


def fundamental(samples: np.ndarray) -> float:
    """The median pitch of the loud frames by autocorrelation between 60 and 400 Hz, Hz."""
    frames = samples[: len(samples) // 1024 * 1024].reshape(-1, 1024).astype(float)
    frames = frames[(frames**2).mean(axis=1) > 0.5 * (samples**2).mean()]
    spectrum = np.abs(np.fft.rfft(frames, 4096)) ** 2
    correlation = np.fft.irfft(spectrum)[:, RATE // 400 : RATE // 60]
    return float(np.median(RATE / (RATE // 400 + correlation.argmax(axis=1))))


def sweeps(samples: np.ndarray) -> float:
    """How often a second the brightness goes up and down: its strongest modulation, Hz."""
    curve = np.array(
        [brightness(frame) for frame in samples[: len(samples) // 800 * 800].reshape(-1, 800)]
    )
    power = np.abs(np.fft.rfft((curve - curve.mean()) * np.hanning(len(curve)), 1024)) ** 2
    return float(np.fft.rfftfreq(1024, 0.05)[power.argmax()])
