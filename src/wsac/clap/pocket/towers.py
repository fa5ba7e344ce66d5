"""The towers of the pocket CLAP: a residual CNN that keeps the order of time, and a transformer."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wsac.data.tokenizer import PAD

from .melspec import log_mel, mel_filters
from .pocket_config import PocketConfig


class LogMelLayer(nn.Module):
    """``LogMel`` as a layer, on the device of the model."""

    window: Tensor
    filters: Tensor

    def __init__(
        self, sample_rate: int, n_fft: int, hop: int, n_mels: int, low: float = 40.0
    ) -> None:
        super().__init__()
        self.hop = hop
        if torch.get_default_device().type == "meta":
            # for its sizes alone, see runtime/sizes.py: arithmetic there takes two seconds
            window, filters = torch.empty(n_fft), torch.empty(n_mels, n_fft // 2 + 1)
        else:
            window = torch.hann_window(n_fft)
            filters = mel_filters(sample_rate, n_fft, n_mels, low, sample_rate / 2)
        self.register_buffer("window", window, persistent=False)
        self.register_buffer("filters", filters, persistent=False)

    def forward(self, waveforms: Tensor) -> Tensor:
        return log_mel(waveforms, self.window, self.filters, self.hop)


class Residual(nn.Module):
    """Two 3×3 convolutions and a shortcut; halves both axes when ``stride`` is 2."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut = nn.Sequential(
            nn.AvgPool2d(stride, stride, ceil_mode=True) if stride > 1 else nn.Identity(),
            nn.Conv2d(inputs, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, x: Tensor, real: Tensor | None = None) -> Tensor:
        """real: ``[B, 1, 1, frames]``, 1 for frames of the sound and 0 for padding, which stays 0
        so that each frame is what it is without padding."""
        if real is None:
            return F.relu(self.body(x) + self.shortcut(x))
        after = real[..., :: self.stride]
        shortcut = self.shortcut[0](x) / self.shortcut[0](real).clamp(min=1e-6)  # mean of real ones
        hidden = self.body[3:](self.body[:3](x) * after)
        return F.relu(hidden + self.shortcut[1:](shortcut)) * after


class AudioTower(nn.Module):
    """Log-mel ``[B, n_mels, frames]`` → embedding ``[B, D]``, not normalised.

    Every stage but the last halves time and frequency. The bands that remain are not pooled, as a
    pitch is a place and not a texture. A transformer with positions sees the moments in their
    order, so that "a bell, then a dog" and "a dog, then a bell" differ.
    """

    def __init__(self, config: PocketConfig) -> None:
        super().__init__()
        widths, width = config.channels, config.audio_width
        self.input_norm = nn.BatchNorm1d(config.n_mels)
        self.stem = nn.Conv2d(1, widths[0], 5, 2, 2, bias=False)
        self.stem_norm = nn.BatchNorm2d(widths[0])
        strides = [2] * (len(widths) - 2) + [1]
        stages = zip(widths, widths[1:], strides, strict=False)
        self.stages = nn.Sequential(*(Residual(i, o, s) for i, o, s in stages))
        bands, moments = config.n_mels, config.frames
        for _ in range(len(widths) - 1):  # the stem and the strided stages
            bands, moments = -(-bands // 2), -(-moments // 2)
        self.narrow = nn.Linear(widths[-1] * bands, width)
        self.positions = nn.Parameter(torch.randn(moments, width) * 0.02)
        self.layers = _transformer(width, config.audio_heads, config.audio_layers)
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(0.1)
        self.head = nn.Sequential(
            nn.Linear(2 * width, 512), nn.GELU(), nn.Linear(512, config.embed_dim)
        )

    def forward(self, log_mel: Tensor, frames: Tensor | None = None) -> Tensor:
        """frames: ``[B]`` of each sound, where the others are padding."""
        if frames is None:
            return self.project(pool(self.moments(log_mel)))
        real = torch.arange(log_mel.shape[-1], device=frames.device) < frames[:, None]
        mask = real[:, None, None].to(log_mel.dtype)
        x = (self.input_norm(log_mel).unsqueeze(1) * mask).to(memory_format=torch.channels_last)
        mask = mask[..., ::2]
        x = F.relu(self.stem_norm(self.stem(x))) * mask
        for stage in self.stages:
            x, mask = stage(x, mask), mask[..., :: stage.stride]
        real = mask[:, 0, 0] > 0
        x = self.narrow(x.permute(0, 3, 1, 2).flatten(2)) + self.positions[: x.shape[-1]]
        moments = self.norm(self.layers(x, src_key_padding_mask=~real))
        mean = (moments * real[..., None]).sum(dim=1) / real.sum(dim=1, keepdim=True)
        greatest = moments.masked_fill(~real[..., None], -torch.inf).amax(dim=1)
        return self.project(torch.cat((mean, greatest), dim=-1))

    def moments(self, log_mel: Tensor) -> Tensor:
        """An embedding every 0.32 s: ``[B, moments, width]``."""
        x = self.input_norm(log_mel).unsqueeze(1).to(memory_format=torch.channels_last)
        x = self.stages(F.relu(self.stem_norm(self.stem(x))))  # [B, C, bands, moments]
        x = self.narrow(x.permute(0, 3, 1, 2).flatten(2))
        return self.norm(self.layers(x + self.positions[: x.shape[1]]))

    def project(self, pooled: Tensor) -> Tensor:
        """Embedding ``[B, D]`` of pooled moments ``[B, 2 width]``."""
        return self.head(self.dropout(pooled))


def pool(moments: Tensor) -> Tensor:
    """Mean and maximum over time: ``[B, moments, width]`` → ``[B, 2 width]``."""
    return torch.cat((moments.mean(dim=1), moments.amax(dim=1)), dim=-1)


class TextTower(nn.Module):
    """Token ids ``[B, L]`` → embedding ``[B, D]``, not normalised: the mean over real tokens."""

    def __init__(self, config: PocketConfig) -> None:
        super().__init__()
        width = config.text_width
        self.tokens = nn.Embedding(config.vocab_size, width, padding_idx=PAD)
        self.positions = nn.Parameter(torch.randn(config.text_tokens, width) * 0.02)
        nn.init.normal_(self.tokens.weight, std=0.05)
        self.layers = _transformer(width, config.text_heads, config.text_layers)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, config.embed_dim)

    def forward(self, tokens: Tensor) -> Tensor:
        padding = tokens == PAD
        x = self.tokens(tokens) + self.positions[: tokens.shape[1]]
        x = self.norm(self.layers(x, src_key_padding_mask=padding))
        real = (~padding).unsqueeze(-1)
        return self.head((x * real).sum(dim=1) / real.sum(dim=1))


def _transformer(width: int, heads: int, layers: int) -> nn.TransformerEncoder:
    """Pre-norm, without dropout: its masks cost more than the rest of a small layer on a CPU."""
    layer = nn.TransformerEncoderLayer(
        width, heads, 4 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
    )
    return nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
