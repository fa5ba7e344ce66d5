"""Augmentation of log-mel spectrograms: masks, level, colour, band limits, rooms, noise.

On spectrograms these cost a thousandth of what they cost on samples. All take and return log-mel
power in nats, ``[B, n_mels, frames]``, and draw from torch's global generator, which the training
seeds at every step.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

FLOOR = -14.0  # of LogMel
NATS_PER_DECIBEL = 0.23  # of power
FRAME_SECONDS = 0.02


def augment(log_mel: Tensor) -> Tensor:
    """Colour, a room, noise, band limits and a low level, each for a part of the batch; SpecAugment
    for all.
    """
    return spec_augment(level(band_limits(noise(room(colour(log_mel))))))


def spec_augment(log_mel: Tensor, *, masks: int = 2, widest: tuple[int, int] = (10, 30)) -> Tensor:
    """Mask frequency bands and time spans of each clip with its mean (Park et al. 2019)."""
    mean = log_mel.mean(dim=(1, 2), keepdim=True)
    for axis, limit in zip((1, 2), widest, strict=True):
        size = log_mel.shape[axis]
        shape = (1, size, 1) if axis == 1 else (1, 1, size)
        place = torch.arange(size, device=log_mel.device).view(shape)
        for _ in range(masks):
            width = _uniform(log_mel, 0, min(limit, size // 2) + 1).long()
            start = (_uniform(log_mel, 0, 1) * (size - width)).long()
            log_mel = torch.where((place >= start) & (place < start + width), mean, log_mel)
    return log_mel


def level(log_mel: Tensor, *, chance: float = 0.4) -> Tensor:
    """A level from 25 dB below the clip's to 5 dB above it; what falls below the floor is lost."""
    shift = _uniform(log_mel, -25, 5) * NATS_PER_DECIBEL
    return torch.where(_chosen(log_mel, chance), (log_mel + shift).clamp(min=FLOOR), log_mel)


def colour(log_mel: Tensor, *, chance: float = 0.5, decibels: float = 9.0) -> Tensor:
    """A smooth random frequency response through six points, like that of a microphone."""
    batch, mels, _ = log_mel.shape
    points = (torch.rand(batch, 1, 6) * 2 - 1).to(log_mel) * decibels * NATS_PER_DECIBEL
    curve = F.interpolate(points, mels, mode="linear", align_corners=True).transpose(1, 2)
    return torch.where(_chosen(log_mel, chance), (log_mel + curve).clamp(min=FLOOR), log_mel)


def room(log_mel: Tensor, *, chance: float = 0.25) -> Tensor:
    """Late reverberation: the power of each frame decays by 60 dB in 0.2 to 1.2 s."""
    power = log_mel.exp()
    decay = torch.exp(-13.8 * FRAME_SECONDS / _uniform(log_mel, 0.2, 1.2))  # per frame
    tail = power
    for k in range(5):  # the product of (1 + decay^(2^k) z^-(2^k)) sums 32 frames
        tail = tail + decay ** (2**k) * F.pad(tail, (2**k, 0))[..., : tail.shape[-1]]
    wet = power + _uniform(log_mel, 0.05, 0.5) * (1 - decay) * 4 * tail
    return torch.where(_chosen(log_mel, chance), wet.clamp(min=1e-6).log(), log_mel)


def noise(log_mel: Tensor, *, chance: float = 0.3) -> Tensor:
    """Steady noise of a random colour, 5 to 35 dB below the clip's mean power."""
    mels, power = log_mel.shape[1], log_mel.exp()
    slope = torch.linspace(-1, 1, mels, device=log_mel.device).view(1, mels, 1)
    tilt = slope * _uniform(log_mel, -3, 3)
    flicker = torch.rand_like(log_mel) + torch.rand_like(log_mel)
    level = torch.exp(-NATS_PER_DECIBEL * _uniform(log_mel, 5, 35))
    added = power.mean(dim=(1, 2), keepdim=True) * level * tilt.exp() * flicker
    return torch.where(_chosen(log_mel, chance), (power + added).log(), log_mel)


def band_limits(log_mel: Tensor, *, chance: float = 0.25) -> Tensor:
    """Nothing above some band, as by telephone, or below one, as with small microphones."""
    mels = log_mel.shape[1]
    place = torch.arange(mels, device=log_mel.device).view(1, mels, 1)

    def limit(chance: float, inside: tuple[float, float], outside: tuple[float, float]) -> Tensor:
        chosen = _chosen(log_mel, chance)
        return torch.where(chosen, _uniform(log_mel, *inside), _uniform(log_mel, *outside)) * mels

    top = limit(0.7, (0.45, 0.95), (1.0, 1.01))
    bottom = limit(0.4, (0.02, 0.2), (-0.01, 0.0))
    lost = (place - top).clamp(min=0) + (bottom - place).clamp(min=0)
    limited = (log_mel - 2.0 * lost).clamp(min=FLOOR)
    return torch.where(_chosen(log_mel, chance), limited, log_mel)


def _uniform(like: Tensor, low: float, high: float) -> Tensor:
    """A number per clip, ``[B, 1, 1]``, drawn on the CPU so that every device draws the same."""
    return (torch.rand(len(like), 1, 1) * (high - low) + low).to(like)


def _chosen(like: Tensor, chance: float) -> Tensor:
    """True for about this part of the batch, ``[B, 1, 1]``."""
    return (torch.rand(len(like), 1, 1) < chance).to(like.device)
