"""CNN14 (Kong et al. 2020, PANNs): the audio tower of WavCaps' CNN14-BERT and of MS-CLAP 2022."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ConvBlock(nn.Module):
    """Two 3×3 convolutions, each with batch norm and ReLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(outputs), nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        return F.relu(self.bn2(self.conv2(x)), inplace=True)


class Cnn14(nn.Module):
    """Log-mel in dB ``[B, frames, mels]`` → pooled ``[B, width]``, before the projection.

    channels: of the six blocks. pools_last: whether the sixth halves too, as WavCaps' does and
    MS-CLAP's does not. fc: MS-CLAP's last layer, ReLU(fc1 x). Channels lie last in memory, which
    halves the time of convolutions on a CPU.
    """

    def __init__(
        self, channels: Sequence[int], *, mels: int = 64, pools_last: bool = True, fc: bool = False
    ) -> None:
        super().__init__()
        self.bn0 = nn.BatchNorm2d(mels)
        for i, (inputs, outputs) in enumerate(zip((1, *channels), channels, strict=False), 1):
            self.add_module(f"conv_block{i}", ConvBlock(inputs, outputs))
        self.blocks, self.pools_last = len(channels), pools_last
        self.fc1 = nn.Linear(channels[-1], channels[-1]) if fc else None
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, log_mel: Tensor) -> Tensor:
        x = self.bn0(log_mel[:, None].transpose(1, 3)).transpose(
            1, 3
        )  # the norm is over the mel bands
        for i in range(1, self.blocks + 1):
            x = self.get_submodule(f"conv_block{i}")(x)
            if i < self.blocks or self.pools_last:
                x = F.avg_pool2d(x, 2)
        x = x.mean(dim=3)  # [B, C, frames]
        x = x.amax(dim=2) + x.mean(dim=2)
        return x if self.fc1 is None else F.relu(self.fc1(x))
