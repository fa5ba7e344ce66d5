"""A GPT-like decoder trained from scratch: prefix from one linear map, tied embeddings, a KV cache."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wsac.data.tokenizer import PAD, Tokenizer
from wsac.decoder.kernels.cross_entropy import Tied, linear_cross_entropy
from wsac.decoder.kernels.dropout import drop
from wsac.decoder.kernels.packing import Packing

from .base import CaptionDecoder


@dataclass(slots=True)
class KvCache:
    """keys, values: [layers, C, slots, heads, width / heads] of C clips; the first ``filled`` slots are in use.

    The beams of a clip share its slots: what they begin with lies there once, every later position once a beam. So no
    beam is ever copied; ``seen`` [C, S, filled] says which slots each of the S beams descends from (None: there is one
    beam, and it sees all). positions: of a beam so far; room: how many there may be.
    """

    keys: Tensor
    values: Tensor
    filled: int
    positions: int
    room: int
    seen: Tensor | None = None

    @property
    def beams(self) -> int:
        """S."""
        return 1 if self.seen is None else self.seen.shape[1]


class Block(nn.Module):
    """Pre-norm causal self-attention and a GELU network four times as wide."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        self.norm_attention, self.norm_network = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor, attend: Callable[[Tensor], Tensor]) -> Tensor:
        """x: [..., width]. attend: queries, keys and values [..., 3 · width] → what was attended to [..., width]."""
        attended = attend(self.qkv(self.norm_attention(x)))
        x = x + drop(self.out(attended), self.dropout, self.training)
        hidden = self.down(F.gelu(self.up(self.norm_network(x))))
        return x + drop(hidden, self.dropout, self.training)


def attention(
    q: Tensor, k: Tensor, v: Tensor, seen: Tensor | None = None, dropout: float = 0.0
) -> Tensor:
    """[B, L, width] of queries [B, L, heads, ·], keys and values [B, M, heads, ·].

    seen: [B, 1, L, M], what is added to the scores. Where None, several positions are those that are read first, and
    see what is before them; a single one sees all.
    """
    found = F.scaled_dot_product_attention(
        q.transpose(1, 2),
        k.transpose(1, 2),
        v.transpose(1, 2),
        attn_mask=seen,
        dropout_p=dropout,
        is_causal=seen is None and q.shape[1] > 1,
    )
    return found.transpose(1, 2).flatten(2)


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
        if width % heads:
            raise ValueError(f"width {width} is not a multiple of heads {heads}")
        self.config = {
            "embed_dim": embed_dim,
            "vocab_size": vocab_size,
            "width": width,
            "layers": layers,
            "heads": heads,
            "prefix_length": prefix_length,
            "max_tokens": max_tokens,
            "dropout": dropout,
            "prompt_tokens": prompt_tokens,
        }
        self.vocab_size, self.width, self.prefix_length, self.max_tokens = (
            vocab_size,
            width,
            prefix_length,
            max_tokens,
        )
        self.dropout, self.heads, self.prompt_tokens = dropout, heads, prompt_tokens
        self.before = prompt_tokens + prefix_length  # positions before the caption
        self.prefix = nn.Linear(embed_dim, prefix_length * width)
        self.tokens = nn.Embedding(vocab_size, width)
        self.positions = nn.Embedding(self.before + max_tokens, width)
        self.blocks = nn.ModuleList(Block(width, dropout) for _ in range(layers))
        self.norm, self.scores = nn.LayerNorm(width), TiedScores()
        for name, parameter in self.named_parameters():
            if parameter.ndim > 1 and not name.startswith("prefix"):
                shrink = (
                    (2 * layers) ** -0.5 if name.endswith(("out.weight", "down.weight")) else 1.0
                )
                nn.init.normal_(parameter, std=0.02 * shrink)  # GPT-2's initialisation

    @classmethod
    def begin(
        cls, options: Mapping[str, Any], texts: Sequence[str], *, embed_dim: int, prompt_tokens: int
    ) -> tuple[TransformerDecoder, Tokenizer]:
        """A BPE of the texts, and random weights."""
        tokenizer = Tokenizer.train(texts, options["vocab_size"])
        sizes = {
            name: options[name]
            for name in ("width", "layers", "heads", "prefix_length", "max_tokens", "dropout")
        }
        known = {
            "embed_dim": embed_dim,
            "vocab_size": tokenizer.vocab_size,
            "prompt_tokens": prompt_tokens,
        }
        return cls(**known, **sizes), tokenizer

    def loss(
        self,
        embedding: Tensor,
        tokens: Tensor,
        prompt: Tensor | None = None,
        *,
        label_smoothing: float = 0.0,
    ) -> Tensor:
        """Mean cross-entropy per real token. Padding costs attention alone: all else runs on real positions only, the
        vocabulary projection on those that predict a token."""
        real = tokens != PAD
        packing = Packing(F.pad(real, (self.before - 1, 0), value=True))
        dropout = self.dropout if self.training else 0.0

        def attend(qkv: Tensor) -> Tensor:
            kind = (
                qkv.dtype if qkv.is_cuda else torch.float32
            )  # a CPU takes three times as long in bfloat16
            with torch.autocast(qkv.device.type, enabled=False):
                q, k, v = (part.to(kind) for part in self._heads(packing.unpack(qkv)))
                return packing.pack(attention(q, k, v, dropout=dropout).to(qkv.dtype))

        tied = Tied(self.tokens.weight)
        caption = tied.rows(tokens[:, :-1]) + self._place(self.before, tokens.shape[1] - 1)
        x = torch.cat((self._opening(embedding, prompt), caption), dim=1)
        x = drop(packing.pack(x), self.dropout, self.training)
        for block in self.blocks:
            x = block(x, attend)
        predicts = (packing.places % packing.positions >= self.before - 1).nonzero()[:, 0]
        hidden = self.norm(x[predicts])  # [real tokens, width]
        if torch.is_grad_enabled():
            return linear_cross_entropy(
                hidden, self.tokens.weight, tokens[real], label_smoothing, tied
            )
        return F.cross_entropy(
            hidden @ self.tokens.weight.T, tokens[real], label_smoothing=label_smoothing
        )

    def prefill(
        self, embedding: Tensor, max_tokens: int, prompt: Tensor | None = None
    ) -> tuple[Tensor, KvCache]:
        room = self.before + min(max_tokens, self.max_tokens)
        shape = (len(self.blocks), len(embedding), room, self.heads, self.width // self.heads)
        cache = KvCache(
            embedding.new_empty(shape), embedding.new_empty(shape), 0, self.before, room
        )
        return self._advance(self._opening(embedding, prompt), cache)

    def step(self, token: Tensor, state: KvCache) -> tuple[Tensor, KvCache]:
        x, seen = self._embed(token[:, None], state.positions), state.seen
        if seen is not None:
            own = torch.eye(state.beams, dtype=torch.bool, device=seen.device)
            seen = torch.cat((seen, own.expand(len(seen), -1, -1)), dim=2)
        state = KvCache(
            state.keys, state.values, state.filled, state.positions + 1, state.room, seen
        )
        return self._advance(x.view(-1, state.beams, self.width), state)

    def select(self, state: KvCache, rows: Tensor) -> KvCache:
        keys, values, filled, seen = state.keys, state.values, state.filled, state.seen
        lines = rows if rows.ndim == 2 else rows[:, None]
        clips = lines[:, 0] // state.beams
        if lines.shape[1] > 1 or seen is not None:
            if seen is None:
                seen = torch.ones((keys.shape[1], 1, filled), dtype=torch.bool, device=keys.device)
            seen = seen[clips[:, None], lines % state.beams]
        slots = filled + lines.shape[1] * (state.room - state.positions)
        if rows.ndim == 1 or len(lines) < keys.shape[1] or slots > keys.shape[2]:
            keys, values = (_of_clips(part, clips, filled, slots) for part in (keys, values))
        return KvCache(keys, values, filled, state.positions, state.room, seen)

    def _advance(self, x: Tensor, cache: KvCache) -> tuple[Tensor, KvCache]:
        """x: [B, L, width], the L positions that are read first; or [C, S, width], the next one of every beam."""
        more = None
        if cache.seen is not None:
            more = torch.zeros_like(cache.seen, dtype=x.dtype).masked_fill_(
                ~cache.seen, -torch.inf
            )[:, None]
        filled = cache.filled + x.shape[1]
        for block, keys, values in zip(self.blocks, cache.keys, cache.values, strict=True):

            def attend(qkv: Tensor, keys: Tensor = keys, values: Tensor = values) -> Tensor:
                q, keys[:, cache.filled : filled], values[:, cache.filled : filled] = self._heads(
                    qkv
                )
                return attention(q, keys[:, :filled], values[:, :filled], more)

            x = block(x, attend)
        last = x if cache.filled else x[:, -1]
        logits = self.scores(self.norm(last).view(-1, self.width), self.tokens.weight)
        return logits, KvCache(
            cache.keys, cache.values, filled, cache.positions, cache.room, cache.seen
        )

    def _heads(self, qkv: Tensor) -> tuple[Tensor, ...]:
        """Queries, keys and values [B, L, heads, ·] of [B, L, 3 · width]."""
        return qkv.view(*qkv.shape[:2], 3, self.heads, -1).unbind(2)

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
        return self.tokens(tokens) + self._place(first, tokens.shape[1])

    def _place(self, first: int, length: int) -> Tensor:
        return self.positions.weight[first : first + length]


def _of_clips(part: Tensor, clips: Tensor, filled: int, slots: int) -> Tensor:
    """Keys or values of some clips, with room for so many slots; only the filled ones are copied."""
    new = part.new_empty((part.shape[0], len(clips), slots, *part.shape[3:]))
    for layer, old in zip(new, part, strict=True):
        layer[:, :filled] = old[clips, :filled]
    return new
