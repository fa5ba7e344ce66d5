"""A GPT-like decoder trained from scratch: a linear prefix, tied embeddings, a KV cache."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wsac.data.tokenizer import PAD, Tokenizer

from .base import CaptionDecoder, constructor_config
from .kernels.cross_entropy import linear_cross_entropy
from .kernels.dropout import drop
from .kernels.packing import Packing
from .kv_cache import KvCache

SIZES = ("width", "layers", "heads", "prefix_length", "max_tokens", "dropout")  # of the recipe


class Block(nn.Module):
    """Pre-norm causal self-attention and a GELU network four times as wide."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        self.norm_attention, self.norm_network = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor, attend: Callable[[Tensor], Tensor]) -> Tensor:
        """x: [..., width]. attend: queries, keys, values [..., 3 · width] → [..., width]."""
        attended = attend(self.qkv(self.norm_attention(x)))
        x = x + drop(self.out(attended), self.dropout, self.training)
        hidden = self.down(F.gelu(self.up(self.norm_network(x))))
        return x + drop(hidden, self.dropout, self.training)


def attention(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, dropout: float = 0.0
) -> Tensor:
    """[B, L, width] of queries [B, L, heads, ·], keys and values [B, M, heads, ·].

    mask: [B, 1, L, M], added to the scores. When None, several queries are causal, and a single one
    sees all.
    """
    q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
    causal = mask is None and q.shape[2] > 1
    x = F.scaled_dot_product_attention(q, k, v, mask, dropout_p=dropout, is_causal=causal)
    return x.transpose(1, 2).flatten(2)


class TransformerDecoder(CaptionDecoder):
    """Reads a prompt and ``prefix_length`` soft tokens, then writes the caption.

    The last prefix position predicts the first token. Every prompt has the same length and its
    padding is a token like others, so no mask is needed.
    """

    kind = "transformer"

    def __init__(
        self,
        *,
        embed_dim: int,
        vocab_size: int,
        width: int = 256,
        layers: int = 2,
        heads: int = 4,
        prefix_length: int = 4,
        max_tokens: int = 40,
        dropout: float = 0.1,
        prompt_tokens: int = 0,
    ) -> None:
        super().__init__()
        self.config = constructor_config(locals())
        if width % heads:
            raise ValueError(f"width {width} is not a multiple of heads {heads}")
        self.vocab_size, self.max_tokens, self.prompt_tokens = vocab_size, max_tokens, prompt_tokens
        self.width, self.heads, self.dropout = width, heads, dropout
        self.prefix_length = prefix_length
        self.before = prompt_tokens + prefix_length  # positions before the caption
        self.prefix = nn.Linear(embed_dim, prefix_length * width)
        self.tokens = nn.Embedding(vocab_size, width)
        self.positions = nn.Embedding(self.before + max_tokens, width)
        self.blocks = nn.ModuleList(Block(width, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        for name, parameter in self.named_parameters():  # GPT-2's initialisation
            if parameter.ndim > 1 and not name.startswith("prefix"):
                residual = name.endswith(("out.weight", "down.weight"))
                nn.init.normal_(parameter, std=0.02 * ((2 * layers) ** -0.5 if residual else 1.0))

    @classmethod
    def begin(
        cls, options: Mapping[str, Any], texts: Sequence[str], *, embed_dim: int, prompt_tokens: int
    ) -> tuple[TransformerDecoder, Tokenizer]:
        """A BPE of the texts, and random weights."""
        tokenizer = Tokenizer.train(texts, options["vocab_size"])
        sizes = {"embed_dim": embed_dim, "vocab_size": tokenizer.vocab_size}
        sizes |= {name: options[name] for name in SIZES}
        return cls(prompt_tokens=prompt_tokens, **sizes), tokenizer

    def loss(
        self,
        embedding: Tensor,
        tokens: Tensor,
        prompt: Tensor | None = None,
        *,
        label_smoothing: float = 0.0,
    ) -> Tensor:
        """Mean cross-entropy in nats per real token; see ``CaptionDecoder.loss``.

        Padding costs attention only. Everything else runs on real positions, the vocabulary
        projection on those that predict a token.
        """
        real = tokens != PAD
        packing = Packing(F.pad(real, (self.before - 1, 0), value=True))
        dropout = self.dropout if self.training else 0.0

        def attend(qkv: Tensor) -> Tensor:
            # a CPU takes three times as long in bfloat16
            dtype = qkv.dtype if qkv.is_cuda else torch.float32
            with torch.autocast(qkv.device.type, enabled=False):
                q, k, v = (part.to(dtype) for part in self._heads(packing.unpack(qkv)))
                return packing.pack(attention(q, k, v, dropout=dropout).to(qkv.dtype))

        caption = self._embed(tokens[:, :-1], self.before)
        x = torch.cat((self._opening(embedding, prompt), caption), dim=1)
        x = drop(packing.pack(x), self.dropout, self.training)
        for block in self.blocks:
            x = block(x, attend)
        predicts = (packing.places % packing.shape[1] >= self.before - 1).nonzero()[:, 0]
        hidden, weight, target = self.norm(x[predicts]), self.tokens.weight, tokens[real]
        if torch.is_grad_enabled():
            return linear_cross_entropy(hidden, weight, target, label_smoothing)
        return F.cross_entropy(hidden @ weight.T, target, label_smoothing=label_smoothing)

    def prefill(
        self, embedding: Tensor, max_tokens: int, prompt: Tensor | None = None
    ) -> tuple[Tensor, KvCache]:
        room = self.before + min(max_tokens, self.max_tokens)
        shape = (len(self.blocks), len(embedding), room, self.heads, self.width // self.heads)
        cache = KvCache(embedding.new_empty(shape), embedding.new_empty(shape), room)
        return self.begin_caption(embedding, cache, prompt)

    def begin_caption(
        self, embedding: Tensor, cache: KvCache, prompt: Tensor | None = None
    ) -> tuple[Tensor, KvCache]:
        """``prefill`` with an empty cache."""
        hidden = self._advance(self._opening(embedding, prompt), cache)
        return self._logits(hidden[:, -1]), cache.after(self.before)

    def step(self, token: Tensor, state: KvCache) -> tuple[Tensor, KvCache]:
        x = self.tokens(token) + self.positions.weight[state.positions]
        cache = state.before_step()
        hidden = self._advance(x.view(-1, cache.beams, self.width), cache)
        return self._logits(hidden.view(-1, self.width)), cache.after(1)

    def select(self, state: KvCache, rows: Tensor) -> KvCache:
        return state.select(rows)

    def _advance(self, x: Tensor, cache: KvCache) -> Tensor:
        """Hidden states of x: the first positions [B, L, width], or the next ones [C, S, width]."""
        mask = cache.mask(x.dtype)
        for layer, block in enumerate(self.blocks):

            def attend(qkv: Tensor, layer: int = layer) -> Tensor:
                q, k, v = self._heads(qkv)
                return attention(q, *cache.extend(layer, k, v), mask)

            x = block(x, attend)
        return x

    def _logits(self, hidden: Tensor) -> Tensor:
        """[R, V] of hidden states [R, width]."""
        return self.norm(hidden) @ self.tokens.weight.T

    def _heads(self, qkv: Tensor) -> tuple[Tensor, ...]:
        """Queries, keys and values [B, L, heads, ·] of [B, L, 3 · width]."""
        return qkv.view(*qkv.shape[:2], 3, self.heads, -1).unbind(2)

    def _opening(self, embedding: Tensor, prompt: Tensor | None) -> Tensor:
        """[B, P + prefix_length, width] that come before the caption; no prompt is all padding."""
        positions = self.positions.weight[self.prompt_tokens : self.before]
        prefix = self.prefix(embedding).view(-1, self.prefix_length, self.width) + positions
        if not self.prompt_tokens:
            return prefix
        if prompt is None:
            prompt = torch.full((len(embedding), self.prompt_tokens), PAD, device=embedding.device)
        return torch.cat((self._embed(prompt, 0), prefix), dim=1)

    def _embed(self, tokens: Tensor, start: int) -> Tensor:
        """[B, L, width] of tokens [B, L] whose positions begin at ``start``."""
        return self.tokens(tokens) + self.positions.weight[start : start + tokens.shape[1]]
