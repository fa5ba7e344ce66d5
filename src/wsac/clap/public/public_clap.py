"""A public CLAP of any family in torch."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wsac.clap.encoder import GRAPHS
from wsac.io.checked_json import write_record
from wsac.io.files import atomic_update, write_text
from wsac.io.tensors import checksum_of, write_tensors

from .catalog import Family
from .cnn14 import Cnn14
from .public_encoder import MELS, N_FFT, PublicEncoder, log_mel_decibels

LOW, HIGH = 50.0, 14_000.0  # Hz


class LogMelDecibels(nn.Module):
    """``log_mel_decibels``. filters: [513, 64], the checkpoint's own if it has any."""

    filters: Tensor
    window: Tensor

    def __init__(self, family: Family) -> None:
        super().__init__()
        self.hop = family.hop
        self.register_buffer("window", torch.hann_window(N_FFT), persistent=False)
        self.register_buffer("filters", mel_filters(family))

    def forward(self, waveforms: Tensor) -> Tensor:
        return log_mel_decibels(waveforms, self.window, self.filters, self.hop)


def mel_filters(family: Family) -> Tensor:
    """[513, 64] float32, by the family's scale and norm."""
    from transformers.audio_utils import mel_filter_bank

    norm = "slaney" if family.mel == "slaney" else None
    shape = N_FFT // 2 + 1, MELS
    filters = mel_filter_bank(*shape, LOW, HIGH, family.mel_rate, norm=norm, mel_scale=family.mel)
    return torch.from_numpy(filters).float()


class Htsat(nn.Module):
    """transformers' ClapAudioModel: log-mel ``[B, frames ≤ 1024, 64]`` → pooled ``[B, width]``."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        from transformers import ClapAudioConfig, ClapAudioModel

        self.model = ClapAudioModel(ClapAudioConfig(**config))
        for part in self.model.modules():
            if hasattr(part, "enable_fusion"):  # no window is longer than its clip: nothing to fuse
                part.enable_fusion = False  # type: ignore[assignment]

    def forward(self, log_mel: Tensor) -> Tensor:
        return self.model(input_features=log_mel[:, None]).pooler_output


class TextTower(nn.Module):
    """Ids, mask ``[B, L]`` → pooled ``[B, width]``: [CLS], RoBERTa's pooler, GPT-2's last token."""

    def __init__(self, kind: str, config: dict[str, Any]) -> None:
        super().__init__()
        import transformers as hf

        self.kind = kind
        self.model: nn.Module
        if kind == "bert":
            self.model = hf.BertModel(hf.BertConfig(**config), add_pooling_layer=False)
        elif kind == "roberta":
            self.model = hf.ClapTextModel(hf.ClapTextConfig(**config))
        else:
            self.model = hf.GPT2Model(hf.GPT2Config(**config, use_cache=False))

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        output = self.model(input_ids=ids, attention_mask=mask)
        if self.kind == "roberta":
            return output.pooler_output
        if self.kind == "bert":
            return output.last_hidden_state[:, 0]
        # MS-CLAP 2023 pads with id 0, which is "!": each "!" moves the place to the left, as there.
        last = (ids.ne(0).sum(dim=1) - 1).clamp(min=0)
        return output.last_hidden_state[torch.arange(len(ids), device=ids.device), last]


class Mlp(nn.Module):
    """linear2(ReLU(linear1 x)): WavCaps, LAION."""

    def __init__(self, width: int, dim: int) -> None:
        super().__init__()
        self.linear1, self.linear2 = nn.Linear(width, dim), nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear2(F.relu(self.linear1(x)))


class ResidualProjection(nn.Module):
    """LayerNorm(e + W2 GELU(e)), e = W1 x, without biases: MS-CLAP."""

    def __init__(self, width: int, dim: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(width, dim, bias=False)
        self.linear2 = nn.Linear(dim, dim, bias=False)
        self.layer_norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor) -> Tensor:
        embedding = self.linear1(x)
        return self.layer_norm(embedding + self.linear2(F.gelu(embedding)))


class PublicClap(nn.Module, PublicEncoder):
    """A PublicEncoder. audio, text: arguments of the towers."""

    scale: Tensor

    def __init__(
        self,
        family: Family,
        audio: dict[str, Any],
        text: dict[str, Any],
        embed_dim: int,
        tokenizer: Any = None,
    ) -> None:
        super().__init__()
        sizes = {"family": family.name, "audio": audio, "text": text, "embed_dim": embed_dim}
        self.describe(family, sizes, tokenizer)
        self.log_mel = LogMelDecibels(family)
        self.audio: nn.Module
        if "channels" in audio:
            self.audio, width = Cnn14(**audio), audio["channels"][-1]
        else:
            self.audio, width = Htsat(audio), audio["hidden_size"]
        self.text = TextTower(family.text, text)
        projection = Mlp if family.projection == "mlp" else ResidualProjection
        self.audio_projection = projection(width, embed_dim)
        self.text_projection = projection(text.get("hidden_size") or text["n_embd"], embed_dim)
        self.register_buffer("scale", torch.tensor(0.07))

    def audio_tower(self, log_mel: Tensor) -> Tensor:
        return self.audio_projection(self.audio(log_mel))

    def text_tower(self, ids: Tensor, mask: Tensor) -> Tensor:
        return self.text_projection(self.text(ids, mask))

    def save(self, folder: str | Path, **facts: Any) -> None:
        """Write ``clap.json``, ``clap.safetensors`` and, when there is one, ``tokenizer.json``.

        facts: more keys for ``clap.json``.
        """
        folder = Path(folder)
        with atomic_update(folder, whole=GRAPHS) as part:
            write_tensors(part / "clap.safetensors", self.state_dict())
            if self.tokenizer is not None:
                write_text(part / "tokenizer.json", self.tokenizer.to_str())
            card = {"kind": "public", **self.config, "front_end": asdict(self.family), **facts}
            card |= {"ways": self.ways} if self.ways else {}
            sums = {path.name: checksum_of(path) for path in part.iterdir()}
            write_record(part / "clap.json", card, sums)


def temperature_of(scales: dict[str, Tensor]) -> float:
    """From a checkpoint's scalars: the temperature itself, or the logarithm of its inverse."""
    if "temp" in scales:
        return float(scales["temp"])
    return math.exp(-float(next(iter(scales.values())))) if scales else 0.07
