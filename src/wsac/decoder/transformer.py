"""A GPT-like decoder trained from scratch: prefix from one linear map, tied embeddings, a KV cache."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..tokenizer import PAD, Tokenizer
from .base import CaptionDecoder
from .cross_entropy import linear_cross_entropy


@dataclass(slots=True)
class KvCache:
    """keys, values: [layers, B, heads, positions, width / heads]; the first ``filled`` positions are in use.

    Positions come first in memory, so that what is in use lies together.
    """

    keys: Tensor
    values: Tensor
    filled: int


class Block(nn.Module):
    """Pre-norm causal self-attention and a GELU network four times as wide."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.norm_attention, self.norm_network = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor, cache: tuple[Tensor, Tensor] | None = None, filled: int = 0) -> Tensor:
        """x: [B, L, width]. With a cache ([B, heads, positions, ·] keys and values) the L positions are appended."""
        batch, length, width = x.shape
        q, k, v = self.qkv(self.norm_attention(x)).view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        if cache is not None:
            keys, values = cache
            keys[:, :, filled : filled + length], values[:, :, filled : filled + length] = k, v
            k, v = keys[:, :, : filled + length], values[:, :, : filled + length]
        dropout = self.dropout if self.training else 0.0
        # a single new position sees the whole cache; several start from an empty one
        attended = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout, is_causal=length > 1)
        x = x + F.dropout(self.out(attended.transpose(1, 2).reshape(batch, length, width)), self.dropout, self.training)
        hidden = self.down(F.gelu(self.up(self.norm_network(x))))
        return x + F.dropout(hidden, self.dropout, self.training)


class TiedScores(nn.Module):
    """Scores over the vocabulary by the embeddings of the tokens; has no weights of its own."""

    def forward(self, hidden: Tensor, weight: Tensor) -> Tensor:
        """hidden: [R, W], weight: [V, W]. Returns [R, V]."""
        return hidden @ weight.T


class TransformerDecoder(CaptionDecoder):
    """A prompt of ``prompt_tokens``, prefix_length soft tokens, then the caption; the last prefix position predicts the
    first token. Every prompt has the same length, its padding is a token like others: so no mask is needed."""

    kind = "transformer"

    def __init__(
        self, *, embed_dim: int, vocab_size: int, width: int = 256, layers: int = 2, heads: int = 4,
        prefix_length: int = 4, max_tokens: int = 40, dropout: float = 0.1, prompt_tokens: int = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        if width % heads:
            raise ValueError(f"width {width} is not a multiple of heads {heads}")
        self.config = {
            "embed_dim": embed_dim, "vocab_size": vocab_size, "width": width, "layers": layers, "heads": heads,
            "prefix_length": prefix_length, "max_tokens": max_tokens, "dropout": dropout,
            "prompt_tokens": prompt_tokens,
        }  # fmt: skip
        self.vocab_size, self.width, self.prefix_length, self.max_tokens = vocab_size, width, prefix_length, max_tokens
        self.dropout, self.heads, self.prompt_tokens = dropout, heads, prompt_tokens
        self.before = prompt_tokens + prefix_length  # positions before the caption
        self.prefix = nn.Linear(embed_dim, prefix_length * width)
        self.tokens = nn.Embedding(vocab_size, width)
        self.positions = nn.Embedding(self.before + max_tokens, width)
        self.blocks = nn.ModuleList(Block(width, heads, dropout) for _ in range(layers))
        self.norm, self.scores = nn.LayerNorm(width), TiedScores()
        for name, parameter in self.named_parameters():
            if parameter.ndim > 1 and not name.startswith("prefix"):
                shrink = (2 * layers) ** -0.5 if name.endswith(("out.weight", "down.weight")) else 1.0
                nn.init.normal_(parameter, std=0.02 * shrink)  # GPT-2's initialisation

    @classmethod
    def begin(
        cls, options: Mapping[str, Any], texts: Sequence[str], *, embed_dim: int, prompt_tokens: int
    ) -> tuple[TransformerDecoder, Tokenizer]:
        """A BPE of the texts, and random weights."""
        tokenizer = Tokenizer.train(texts, options["vocab_size"])
        sizes = {name: options[name] for name in ("width", "layers", "heads", "prefix_length", "max_tokens", "dropout")}
        known = {"embed_dim": embed_dim, "vocab_size": tokenizer.vocab_size, "prompt_tokens": prompt_tokens}
        return cls(**known, **sizes), tokenizer

    def loss(
        self, embedding: Tensor, tokens: Tensor, prompt: Tensor | None = None, *, label_smoothing: float = 0.0
    ) -> Tensor:
        """Mean cross-entropy per real token; the vocabulary projection runs on real tokens only."""
        x = torch.cat((self._opening(embedding, prompt), self._embed(tokens[:, :-1], self.before)), dim=1)
        x = F.dropout(x, self.dropout, self.training)
        for block in self.blocks:
            x = block(x)
        real = tokens != PAD
        hidden = self.norm(x[:, self.before - 1 :][real])  # [real tokens, width]
        if torch.is_grad_enabled():
            return linear_cross_entropy(hidden, self.tokens.weight, tokens[real], label_smoothing)
        return F.cross_entropy(hidden @ self.tokens.weight.T, tokens[real], label_smoothing=label_smoothing)

    def prefill(self, embedding: Tensor, max_tokens: int, prompt: Tensor | None = None) -> tuple[Tensor, KvCache]:
        room = self.before + min(max_tokens, self.max_tokens)
        shape = (room, len(self.blocks), len(embedding), self.heads, self.width // self.heads)
        keys, values = (embedding.new_empty(shape).permute(1, 2, 3, 0, 4) for _ in range(2))
        cache = KvCache(keys, values, 0)
        return self._advance(self._opening(embedding, prompt), cache)

    def step(self, token: Tensor, state: KvCache) -> tuple[Tensor, KvCache]:
        return self._advance(self._embed(token[:, None], state.filled), state)

    def select(self, state: KvCache, rows: Tensor) -> KvCache:
        filled = state.filled
        return KvCache(_rows(state.keys, rows, filled), _rows(state.values, rows, filled), filled)

    def _advance(self, x: Tensor, cache: KvCache) -> tuple[Tensor, KvCache]:
        length = x.shape[1]
        for block, keys, values in zip(self.blocks, cache.keys, cache.values, strict=True):
            x = block(x, (keys, values), cache.filled)
        logits = self.scores(self.norm(x[:, -1]), self.tokens.weight)
        return logits, KvCache(cache.keys, cache.values, cache.filled + length)

    def _opening(self, embedding: Tensor, prompt: Tensor | None) -> Tensor:
        """What stands before the caption, [B, P + prefix_length, width]; no prompt is one of padding."""
        if not self.prompt_tokens:
            return self._prefix(embedding)
        if prompt is None:
            prompt = torch.full((len(embedding), self.prompt_tokens), PAD, device=embedding.device)
        return torch.cat((self._embed(prompt, 0), self._prefix(embedding)), dim=1)

    def _prefix(self, embedding: Tensor) -> Tensor:
        positions = self.positions.weight[self.prompt_tokens : self.before]
        return self.prefix(embedding).view(-1, self.prefix_length, self.width) + positions

    def _embed(self, tokens: Tensor, first: int) -> Tensor:
        return self.tokens(tokens) + self.positions.weight[first : first + tokens.shape[1]]


def _rows(cache: Tensor, rows: Tensor, filled: int) -> Tensor:
    """The cache of some rows; only the filled positions are copied."""
    old = cache.permute(3, 0, 1, 2, 4)
    new = old.new_empty((*old.shape[:2], len(rows), *old.shape[3:]))
    torch.index_select(old[:filled], 2, rows, out=new[:filled])
    return new.permute(1, 2, 3, 0, 4)
