"""The sizes of the pocket CLAP."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

BUNDLED = Path(__file__).parents[2] / "weights" / "pocket-clap"
AS_RECORDED = -120.0  # dBFS: no window is raised


@dataclass(frozen=True, slots=True)
class PocketConfig:
    """Sizes of the pocket CLAP. window_seconds: longer audio is cut into windows of this length.

    quietest: windows of a lower RMS, in dBFS, are raised to it, by 30 dB at most.
    """

    embed_dim: int = 256
    sample_rate: int = 16_000  # Hz
    window_seconds: float = 10.0
    n_fft: int = 1024
    hop: int = 320  # samples: 20 ms
    n_mels: int = 64
    channels: tuple[int, ...] = (32, 64, 128, 256, 256)
    audio_width: int = 256
    audio_layers: int = 2
    audio_heads: int = 4
    vocab_size: int = 4096
    text_width: int = 256
    text_layers: int = 2
    text_heads: int = 4
    text_tokens: int = 48
    quietest: float = AS_RECORDED

    @property
    def frames(self) -> int:
        """Log-mel frames of one window."""
        return 1 + int(self.window_seconds * self.sample_rate) // self.hop
