"""A stream of samples as log-mel frames of 20 ms, the same as of the whole sound at once."""

from __future__ import annotations

import math

import numpy as np

from wsac.arrays import torch
from wsac.clap.pocket.melspec import LogMel

FRAME = 0.02  # seconds
BANDS = 64
WINDOW = 0.064  # seconds of a Fourier transform
DECIBELS = 10 / math.log(10)  # of a neper of power
MARGIN = 2  # frames on either side that a window reaches into


class Spectrum:
    """Turns blocks of samples into frames ``[N, BANDS]`` in dB.

    Frame i is centred at i * FRAME seconds. What comes last is held back until its window is
    complete.
    """

    def __init__(self, sample_rate: int) -> None:
        self.hop = round(sample_rate * FRAME)
        size = 2 ** round(math.log2(WINDOW * sample_rate))
        self._log_mel = LogMel(sample_rate, size, self.hop, BANDS)
        self._pending = np.zeros(0, np.float32)  # from MARGIN frames before the next one
        self._before = 0  # frames of margin in `pending`

    def add(self, samples: np.ndarray, *, last: bool = False) -> np.ndarray:
        """The frames that are complete with these samples. last: nothing follows."""
        self._pending = np.concatenate((self._pending, samples))
        after = 0 if last else MARGIN
        ready = len(self._pending) // self.hop + 1 - self._before - after
        if ready <= 0:
            return np.empty((0, BANDS), np.float32)
        with torch.inference_mode():
            log_mel = self._log_mel(torch.from_numpy(self._pending[None]))[0].T
        frames = log_mel[self._before : self._before + ready].numpy() * np.float32(DECIBELS)
        drop = max(0, self._before + ready - MARGIN)
        self._pending = self._pending[drop * self.hop :]
        self._before += ready - drop
        return frames
