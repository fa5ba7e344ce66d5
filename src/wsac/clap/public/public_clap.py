"""A public CLAP of any family, behind the ClapEncoder protocol."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wsac.clap.encoder import check_texts, embed_windows
from wsac.io.checked_json import write_record
from wsac.io.files import atomic_update, write_text
from wsac.io.tensors import checksum_of, write_tensors
from wsac.runtime.determinism import full_float32
from wsac.types import ModelError

from .catalog import Family
from .cnn14 import LEAST_FRAMES, Cnn14

N_FFT, MELS, LOW, HIGH = 1024, 64, 50.0, 14_000.0


class LogMelDecibels(nn.Module):
    """Waveform ``[B, T]`` → log-mel power in dB, ``[B, frames, 64]``, floored at -100 dB.

    Equal to torchlibrosa's within 0.04 dB. filters: [513, 64], the checkpoint's own if it has any.
    """

    filters: Tensor
    window: Tensor

    def __init__(self, family: Family) -> None:
        super().__init__()
        self.hop = family.hop
        self.register_buffer("window", torch.hann_window(N_FFT), persistent=False)
        self.register_buffer("filters", mel_filters(family))

    def forward(self, waveforms: Tensor) -> Tensor:
        spectrum = torch.stft(
            waveforms, N_FFT, self.hop, window=self.window, pad_mode="reflect", return_complex=True
        )
        with torch.autocast(waveforms.device.type, enabled=False):
            power = (spectrum.real.square() + spectrum.imag.square()).transpose(1, 2)
            return 10 * torch.log10((power @ self.filters).clamp(min=1e-10))


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
        self.fused = bool(config.get("enable_fusion"))

    def forward(self, log_mel: Tensor) -> Tensor:
        features, longer = log_mel[:, None], None
        if self.fused:
            features = features.expand(-1, 4, -1, -1)
            longer = torch.zeros(len(log_mel), 1, dtype=torch.bool, device=log_mel.device)
        return self.model(input_features=features, is_longer=longer).pooler_output


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


class PublicClap(nn.Module):
    """A ClapEncoder of a family's front end and towers of any size.

    Crop policy: windows of ``window_seconds`` from the start (the tail included when it is at least
    a tenth of one), each made as long as its family wants it. The mean of their embeddings,
    weighted by length, is normalised again. Crops are never random. audio, text: arguments of the
    towers. tokenizer: a ``tokenizers.Tokenizer``; without one only ``encode_ids`` reads text.
    """

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
        self.family, self.tokenizer = family, tokenizer
        self.config = {"family": family.name, "audio": audio, "text": text, "embed_dim": embed_dim}
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
        self.sample_rate, self.window_seconds = family.sample_rate, family.window_seconds
        self.embed_dim, self.cleaned, self.librosa_length = embed_dim, family.cleaned, False
        self.fingerprint, self.source = "public-untrained", ""
        self.ways: list[str] = []

    @property
    def temperature(self) -> float:
        """Divides cosines before a softmax, as in training."""
        return float(self.scale)

    def use(self, way: str) -> bool:
        """From now on "raw" or "crop=laion" (see load_clap); False where that changes nothing."""
        laion = self.family.name.startswith("laion")
        if not (self.cleaned if way == "raw" else laion and not self.librosa_length):
            return False
        self.cleaned = self.cleaned and way != "raw"
        self.librosa_length = self.librosa_length or way != "raw"
        self.fingerprint += f"-{way}"
        self.ways.append(way)
        return True

    def prepare(self, waveforms: Tensor) -> Tensor:
        """Windows ``[B, T]`` of equal length, as long and as precise as the towers are used to."""
        if self.family.int16:
            waveforms = (waveforms.clamp(-1, 1) * 32767).trunc() / 32767
        length, window = waveforms.shape[-1], round(self.window_seconds * self.sample_rate)
        if length < window and self.family.shorter == "repeat":
            waveforms = waveforms.repeat(1, window // length)
            return F.pad(waveforms, (0, window - waveforms.shape[-1]))
        if length < window and self.family.shorter == "tile":
            return waveforms.repeat(1, -(-window // length))[:, :window]
        least = self.family.hop * (LEAST_FRAMES - 1) if isinstance(self.audio, Cnn14) else N_FFT
        return F.pad(waveforms, (0, max(0, least - length)))

    def encode_audio(self, waveforms: Tensor) -> Tensor:
        """Windows ``[B, T]`` of equal length, ``window_seconds`` or less → unit-norm ``[B, D]``."""
        pooled = self.audio(self.log_mel(self.prepare(waveforms)))
        return F.normalize(self.audio_projection(pooled).float(), dim=-1)

    def encode_ids(self, ids: Sequence[Sequence[int]]) -> Tensor:
        """Rows of token ids → unit-norm ``[B, D]``."""
        rows = [torch.tensor(row) for row in ids]
        pad = 1 if self.family.text == "roberta" else 0
        padded = nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=pad)
        lengths = torch.tensor([[len(row)] for row in rows])
        mask = (torch.arange(padded.shape[1]) < lengths).long()
        pooled = self.text(padded.to(self.scale.device), mask.to(self.scale.device))
        return F.normalize(self.text_projection(pooled).float(), dim=-1)

    def tokenize(self, captions: Sequence[str]) -> list[list[int]]:
        """``text_tokens`` ids or less, with special ones. Raises ModelError without a tokenizer."""
        if self.tokenizer is None:
            raise ModelError(
                f"this {self.family.name} checkpoint has no tokenizer beside it; put the "
                f"tokenizer.json of {self.family.tokenizer} there, or convert it: "
                "wsac convert-clap --tokenizer"
            )
        limit = self.family.text_tokens
        if self.cleaned:
            captions = [clean_caption(caption) for caption in captions]
        if self.family.text == "gpt2":
            end = self.tokenizer.token_to_id("<|endoftext|>")
            rows = self.tokenizer.encode_batch([f"{caption} " for caption in captions])
            return [[*row.ids[: limit - 1], end] for row in rows]
        ids = [row.ids for row in self.tokenizer.encode_batch(list(captions))]
        return [row if len(row) <= limit else [*row[: limit - 1], row[-1]] for row in ids]

    @torch.inference_mode()
    def embed_text(self, captions: Sequence[str], *, batch_size: int = 64) -> Tensor:
        """Unit-norm ``[B, D]`` float32 on the CPU; captions of similar length share a batch."""
        check_texts(captions)
        rows = self.tokenize(captions)
        order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
        out = torch.empty(len(rows), self.embed_dim)
        for first in range(0, len(order), batch_size):
            batch = order[first : first + batch_size]
            with full_float32(self.scale.device):
                out[batch] = self.encode_ids([rows[i] for i in batch]).cpu()
        return out

    @torch.inference_mode()
    def embed_audio(self, waveforms: Sequence[Tensor], *, batch_size: int = 8) -> Tensor:
        """Unit-norm ``[B, D]`` float32 on the CPU. waveforms: mono at ``sample_rate``."""
        return embed_windows(self, waveforms, batch_size, self.scale.device)

    def save(self, folder: str | Path) -> None:
        """Write ``clap.json``, ``clap.safetensors`` and, when there is one, ``tokenizer.json``."""
        folder = Path(folder)
        with atomic_update(folder) as part:
            write_tensors(part / "clap.safetensors", self.state_dict())
            if self.tokenizer is not None:
                write_text(part / "tokenizer.json", self.tokenizer.to_str())
            card = {"kind": "public", **self.config, "front_end": asdict(self.family)}
            card |= {"ways": self.ways} if self.ways else {}
            sums = {path.name: checksum_of(path) for path in part.iterdir()}
            write_record(part / "clap.json", card, sums)


def temperature_of(scales: dict[str, Tensor]) -> float:
    """From a checkpoint's scalars: the temperature itself, or the logarithm of its inverse."""
    if "temp" in scales:
        return float(scales["temp"])
    return math.exp(-float(next(iter(scales.values())))) if scales else 0.07


def clean_caption(caption: str) -> str:
    """WavCaps' cleaning: lower case, no punctuation; double spaces become single, in one pass."""
    caption = re.sub(r'\s([,.!?;:"](?:\s|$))', r"\1", caption.lower())
    caption = re.sub(r'[(,.!?;:|*")]', " ", caption.replace("  ", " "))
    return caption.replace("  ", " ")
