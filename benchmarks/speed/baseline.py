"""The published procedure (WSAC, arXiv 2309.12242, and its code), written plainly: what speed.py
measures ours against.

Nothing here is clever. Each training step encodes its captions anew, pads them to 22 tokens and
scores all of the vocabulary at every place, padding too; float32. A caption is made one clip at a
time: the spectrogram as convolutions, the tower, a softmax over the memory by the formula, 30
tokens of which each reads the whole prefix again.

The modules are ours, with the same weights, so that what differs is the procedure. Towers are of
the published size and random: CNN14 and BERT-base of WavCaps' CNN14-BERT, without downloads.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from clap_throughput import fourier_taps, load, one_clip
from torch import Tensor, nn

from wsac.clap.public.catalog import FAMILIES
from wsac.clap.public.public_clap import PublicClap
from wsac.data.tokenizer import BOS, EOS, PAD, Tokenizer
from wsac.decoder import TransformerDecoder

CAPTION_TOKENS, STEPS, BATCH = 22, 30, 64
VOCABULARY = 50_257


@dataclass(frozen=True)
class Shape:
    """Sizes of the published system; tests use a miniature."""

    decoder: dict[str, Any]
    bert: dict[str, Any]
    channels: tuple[int, ...]
    embed_dim: int
    vocabulary: int


BERT = {
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
}
PUBLISHED = Shape(
    {"layers": 4, "heads": 4, "width": 768, "prefix_length": 1, "dropout": 0.1},
    {**BERT, "vocab_size": 30_522, "max_position_embeddings": 512},
    (64, 128, 256, 512, 1024, 2048),
    1024,
    VOCABULARY,
)
TINY = Shape(
    {"layers": 1, "heads": 2, "width": 16, "prefix_length": 1, "dropout": 0.1},
    {
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "vocab_size": 8192,
        "max_position_embeddings": 64,
    },
    (2, 2, 2, 4, 4, 8),
    16,
    1000,
)


def random_clap(shape: Shape, tokenizer: Tokenizer) -> PublicClap:
    """WavCaps' CNN14-BERT with random weights and, for want of BERT's WordPieces, the words of the
    corpus.
    """
    torch.manual_seed(0)
    family = FAMILIES["wavcaps-cnn14"]
    return PublicClap(
        family, {"channels": shape.channels}, shape.bert, shape.embed_dim, tokenizer._backend
    ).eval()


class PlainDecoder(TransformerDecoder):
    """The same network and the same weights, without scaled_dot_product_attention, cache or real
    tokens only.
    """

    def logits(self, embedding: Tensor, tokens: Tensor) -> Tensor:
        """[B, prefix + L, V] of every position. tokens: [B, L]."""
        x = torch.cat((self._opening(embedding, None), self._embed(tokens, self.before)), dim=1)
        x = F.dropout(x, self.dropout, self.training)
        future = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1)
        for block in self.blocks:
            q, k, v = (
                part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
                for part in block.qkv(block.norm_attention(x)).chunk(3, dim=-1)
            )
            weights = (
                (q @ k.transpose(2, 3) / q.shape[-1] ** 0.5)
                .masked_fill(future, -torch.inf)
                .softmax(dim=-1)
            )
            attended = (
                (F.dropout(weights, self.dropout, self.training) @ v).transpose(1, 2).flatten(2)
            )
            x = x + F.dropout(block.out(attended), self.dropout, self.training)
            hidden = block.down(F.gelu(block.up(block.norm_network(x))))
            x = x + F.dropout(hidden, self.dropout, self.training)
        return self.norm(x) @ self.tokens.weight.T

    def plain_loss(self, embedding: Tensor, tokens: Tensor) -> Tensor:
        logits = self.logits(embedding, tokens[:, :-1])[:, self.before - 1 :]
        return F.cross_entropy(logits.flatten(0, 1), tokens.flatten(), ignore_index=PAD)


def usual_memory() -> None:
    """What glibc's allocator comes to by itself: blocks above 32 MB are given back, and twice that
    at its top.
    """
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(-3, 1 << 25)
        libc.mallopt(-1, 1 << 26)


def pad(rows: Sequence[Sequence[int]]) -> Tensor:
    """[B, 22], each row ending with the end token."""
    out = torch.full((len(rows), CAPTION_TOKENS), PAD)
    for line, row in zip(out, rows, strict=True):
        ids = [*row[: CAPTION_TOKENS - 1], EOS]
        line[: len(ids)] = torch.tensor(ids)
    return out


def training_step(
    clap: PublicClap,
    decoder: PlainDecoder,
    optimizer: torch.optim.Optimizer,
    captions: Sequence[str],
    tokens: Tensor,
) -> float:
    """Encode, add noise, decode, update. tokens: of these captions, by ``pad``; the encoder pads to
    the longest.
    """
    decoder.train()
    with torch.no_grad():
        embedding = clap.encode_ids(clap.tokenize(captions))
        embedding = F.normalize(embedding + torch.randn_like(embedding) * 0.001**0.5, dim=-1)
    loss = decoder.plain_loss(embedding, tokens)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def plain_optimizer(decoder: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.AdamW(decoder.parameters(), lr=1e-5, weight_decay=0.02)


@torch.inference_mode()
def project(embedding: Tensor, memory: Tensor) -> Tensor:
    """Projection decoding of one clip ``[1, D]`` by the formula. memory: [N, D]."""
    return F.normalize((embedding @ memory.T / 0.01).softmax(dim=-1) @ memory, dim=-1)


@torch.inference_mode()
def decode(decoder: PlainDecoder, embedding: Tensor) -> list[int]:
    """Greedy tokens of one clip ``[1, D]``: the whole prefix again at every step, and a whole
    softmax.
    """
    tokens: list[int] = []
    for _ in range(STEPS):
        logits = decoder.logits(embedding, torch.tensor([tokens], dtype=torch.long))[:, -1]
        logits[:, [PAD, BOS]] = -torch.inf
        token = int(logits.softmax(dim=-1).argmax())
        if token == EOS:
            break
        tokens.append(token)
    return tokens


@torch.inference_mode()
def caption(
    clap: PublicClap, taps: Tensor, memory: Tensor, decoder: PlainDecoder, file: Path
) -> list[int]:
    """Tokens of one recording, from its file. taps: of ``fourier_taps``."""
    return decode(decoder, project(one_clip(clap, taps, load(clap, file)), memory))


__all__ = [
    "PUBLISHED",
    "TINY",
    "PlainDecoder",
    "Shape",
    "caption",
    "decode",
    "fourier_taps",
    "pad",
    "plain_optimizer",
    "project",
    "random_clap",
    "training_step",
    "usual_memory",
]
