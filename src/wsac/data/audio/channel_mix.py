"""Channels to one: their mean, one of them, or the loudest where the mean cancels."""

from __future__ import annotations

import numpy as np

from wsac.types import AudioError

CANCELLED = 0.01  # of the power of the loudest channel: a mix below is of opposite channels
DECIDING_FRAMES = 2048  # with sound, after which the decision stands
AUDIBLE = 1e-3  # -60 dBFS


class Mixer:
    """Turns blocks [C, T] into [T]. channel: its number from 1, or "mix", the mean of all.

    With None it is the mean too, but where the channels cancel each other in the first frames with
    sound, the loudest channel is taken, and ``note`` says so. Raises AudioError for a channel that
    does not exist.
    """

    def __init__(self, name: str, channel: int | str | None) -> None:
        self.name, self.note = name, ""
        self.channel = None if isinstance(channel, str) else channel
        self._decided, self._frames = channel is not None, 0
        self._power = np.zeros(0)
        self._mix_power = 0.0

    def __call__(self, channels: np.ndarray) -> np.ndarray:
        count = len(channels)
        if self.channel is not None:
            if self.channel > count:
                if self.note:  # a later part of the file is mono
                    return _mono(channels)
                plural = "s" * (count > 1)
                what = f"has {count} channel{plural}; there is no channel {self.channel}"
                raise AudioError(f"{self.name}: {what}")
            return _mono(channels[self.channel - 1 : self.channel])
        mix = _mono(channels)
        if self._decided or count == 1:
            return mix
        self._weigh(channels, mix)
        return mix if self.channel is None else _mono(channels[self.channel - 1 : self.channel])

    def _weigh(self, channels: np.ndarray, mix: np.ndarray) -> None:
        """Compare the power of the mix with that of the loudest channel, until it is clear."""
        peak = np.abs(channels).max(initial=0.0)
        if not (np.isfinite(peak) and peak >= AUDIBLE):
            return
        if len(self._power) != len(channels):
            self._power, self._mix_power, self._frames = np.zeros(len(channels)), 0.0, 0
        self._power += np.square(channels, dtype=np.float64).sum(axis=1)
        self._mix_power += float(np.square(mix, dtype=np.float64).sum())
        self._frames += len(mix)
        if self._frames < DECIDING_FRAMES:
            return
        self._decided = True
        if self._mix_power < CANCELLED * self._power.max():
            self.channel = int(self._power.argmax()) + 1
            which = f"channel {self.channel} is read; --channel chooses another"
            # of channels that have nothing in common, the mix has the sum of powers / count²
            opposite = self._mix_power < self._power.sum() / len(channels) ** 2 / 2
            why = "antiphase: the channels cancel each other"
            why = why if opposite else "channels: most of them are silent"
            self.note = f"{why}, so {which}"


def _mono(channels: np.ndarray) -> np.ndarray:
    """Mean of channels [C, T], as float32 [T]; NaN and infinity pass through."""
    with np.errstate(invalid="ignore", over="ignore"):
        return channels.mean(axis=0, dtype=np.float32)
