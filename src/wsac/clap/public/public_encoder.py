"""What both forms of a public CLAP share: sounds made ready, captions as ids, embeddings out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from wsac.arrays import F, Tensor, torch
from wsac.clap.encoder import check_texts, embed_windows
from wsac.runtime.determinism import full_float32
from wsac.types import ModelError

from .catalog import Family

N_FFT, MELS = 1024, 64
LEAST_FRAMES = 64  # fewer are pooled away to nothing by a CNN14


def log_mel_decibels(waveforms: Tensor, window: Tensor, filters: Tensor, hop: int) -> Tensor:
    """Waveform ``[B, T]`` → log-mel power in dB, ``[B, frames, 64]``, floored at -100 dB.

    Equal to torchlibrosa's within 0.04 dB. window: [1024]. filters: [513, 64].
    """
    spectrum = torch.stft(
        waveforms, N_FFT, hop, window=window, pad_mode="reflect", return_complex=True
    )
    with torch.autocast(waveforms.device.type, enabled=False):
        power = (spectrum.real.square() + spectrum.imag.square()).swapaxes(1, 2)
        return 10 * (power @ filters).clamp(min=1e-10).log10()


class PublicEncoder:
    """A ClapEncoder of a family's front end and towers of any size; torch or onnxruntime computes
    them.

    Crop policy: windows of ``window_seconds`` from the start (the tail included when it is at least
    a tenth of one), each made as long as its family wants it. The mean of their embeddings,
    weighted by length, is normalised again. Crops are never random. tokenizer: a
    ``tokenizers.Tokenizer``; without one only ``encode_ids`` reads text.
    """

    log_mel: Any  # waveforms [B, T] → [B, frames, 64]
    audio_tower: Any  # log-mels → [B, D]
    text_tower: Any  # ids, mask [B, L] → [B, D]
    scale: Tensor

    def describe(self, family: Family, config: dict[str, Any], tokenizer: Any) -> None:
        """Set what is known of it without its weights. config: as in its ``clap.json``."""
        self.family, self.tokenizer, self.config = family, tokenizer, config
        self.sample_rate, self.window_seconds = family.sample_rate, family.window_seconds
        self.embed_dim, self.cleaned = config["embed_dim"], family.cleaned
        self.librosa_length = False
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
            waveforms = (waveforms.clamp(-1, 1) * 32767).to(torch.int32).float() / 32767
        length, window = waveforms.shape[-1], round(self.window_seconds * self.sample_rate)
        if length < window and self.family.shorter == "repeat":
            waveforms = torch.cat([waveforms] * (window // length), dim=1)
            return F.pad(waveforms, (0, window - waveforms.shape[-1]))
        if length < window and self.family.shorter == "tile":
            return torch.cat([waveforms] * -(-window // length), dim=1)[:, :window]
        cnn14 = "channels" in self.config["audio"]
        least = self.family.hop * (LEAST_FRAMES - 1) if cnn14 else N_FFT
        return F.pad(waveforms, (0, max(0, least - length)))

    def encode_audio(self, waveforms: Tensor) -> Tensor:
        """Windows ``[B, T]`` of equal length, ``window_seconds`` or less → unit-norm ``[B, D]``."""
        return F.normalize(self.audio_tower(self.log_mel(self.prepare(waveforms))).float(), dim=-1)

    def encode_ids(self, ids: Sequence[Sequence[int]]) -> Tensor:
        """Rows of token ids → unit-norm ``[B, D]``."""
        pad = 1 if self.family.text == "roberta" else 0
        length = max(map(len, ids))
        padded = torch.tensor([[*row, *[pad] * (length - len(row))] for row in ids])
        mask = (torch.arange(length) < torch.tensor([[len(row)] for row in ids])).long()
        pooled = self.text_tower(padded.to(self.scale.device), mask.to(self.scale.device))
        return F.normalize(pooled.float(), dim=-1)

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


def clean_caption(caption: str) -> str:
    """WavCaps' cleaning: lower case, no punctuation; double spaces become single, in one pass."""
    caption = re.sub(r'\s([,.!?;:"](?:\s|$))', r"\1", caption.lower())
    caption = re.sub(r'[(,.!?;:|*")]', " ", caption.replace("  ", " "))
    return caption.replace("  ", " ")
