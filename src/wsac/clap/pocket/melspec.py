"""Batched log-mel spectrograms."""

from __future__ import annotations

import math

from wsac.arrays import Tensor, torch


def mel_filters(sample_rate: int, n_fft: int, n_mels: int, low: float, high: float) -> Tensor:
    """Triangular filters ``[n_mels, n_fft // 2 + 1]`` on the HTK mel scale, with peaks of 1.

    The scale is 2595 log10(1 + f / 700). sample_rate, low, high: Hz.
    """
    lowest, highest = (2595.0 * math.log10(1.0 + hertz / 700.0) for hertz in (low, high))
    mels = torch.linspace(lowest, highest, n_mels + 2, dtype=torch.float64)
    edges = 700.0 * (10.0 ** (mels / 2595.0) - 1.0)
    bins = torch.linspace(0, sample_rate / 2, n_fft // 2 + 1, dtype=torch.float64)
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    return torch.minimum(rising, falling).clamp(min=0).float()


class LogMel:
    """Waveform ``[B, T]`` → log-mel power ``[B, n_mels, 1 + T // hop]``, in nats, at least -14."""

    def __init__(
        self, sample_rate: int, n_fft: int, hop: int, n_mels: int, low: float = 40.0
    ) -> None:
        self.hop, self.window = hop, torch.hann_window(n_fft)
        self.filters = mel_filters(sample_rate, n_fft, n_mels, low, sample_rate / 2)

    def __call__(self, waveforms: Tensor) -> Tensor:
        return log_mel(waveforms, self.window, self.filters, self.hop)


def log_mel(waveforms: Tensor, window: Tensor, filters: Tensor, hop: int) -> Tensor:
    """``LogMel`` with the window ``[n_fft]`` and the filters ``[n_mels, n_fft // 2 + 1]``."""
    n_fft = len(window)
    spectrum = torch.stft(
        *(waveforms, n_fft, hop),
        window=window,
        pad_mode="constant",  # reflection fails on clips shorter than half a window
        return_complex=True,
    )
    power = spectrum.real.square() + spectrum.imag.square()  # [B, n_fft // 2 + 1, frames]
    with torch.autocast(waveforms.device.type, enabled=False):  # half precision loses quiet bands
        return (filters @ power / n_fft).clamp(min=math.exp(-14.0)).log()
