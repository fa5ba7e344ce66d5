"""The built-in CLAP in torch: a residual CNN over log-mels and a transformer over BPE tokens."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from wsac.data.tokenizer import Tokenizer
from wsac.runtime.sizes import check_config, check_shapes

from .pocket_config import PocketConfig
from .pocket_encoder import PocketEncoder, PocketFolder, misfits
from .towers import AudioTower, LogMelLayer, TextTower


class PocketClap(nn.Module, PocketEncoder):
    """A PocketEncoder that can be trained."""

    def __init__(self, config: PocketConfig, tokenizer: Tokenizer) -> None:
        super().__init__()
        self.describe(config, tokenizer)
        self.log_mel = LogMelLayer(config.sample_rate, config.n_fft, config.hop, config.n_mels)
        self.audio, self.text = AudioTower(config), TextTower(config)
        self.log_temperature = nn.Parameter(torch.tensor(0.07).log())

    @classmethod
    def load(cls, folder: str | Path, *, device: str = "cpu") -> PocketClap:
        """Read what ``save`` wrote. Raises ModelError when it is incomplete or does not fit."""
        with misfits(Path(folder)):
            read = PocketFolder.read(Path(folder))
            shapes = {name: tuple(value.shape) for name, value in read.state.items()}
            check_config(read.sizes, shapes)
            check_shapes(lambda: cls(read.config, read.tokenizer), shapes)
            model = cls(read.config, read.tokenizer)
            model.load_state_dict(read.state)
        model.tagging, model.fingerprint = read.tagging, read.fingerprint
        return model.eval().to(device)
