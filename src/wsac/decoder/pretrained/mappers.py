"""Prefix mappers: an embedding [B, D] to soft tokens [B, P, width] that a language model reads before it writes.

Source: ClipCap, Mokady et al. 2021 (arXiv 2111.09734), whose mappers are the MLP and the transformer.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

MAPPERS = ("linear", "mlp", "transformer")


def make_mapper(
    kind: str, embed_dim: int, prefix_length: int, width: int, layers: int = 8
) -> nn.Module:
    """One of MAPPERS. layers: of the transformer."""
    match kind:
        case "linear":
            return LinearMapper(embed_dim, prefix_length, width)
        case "mlp":
            return MlpMapper(embed_dim, prefix_length, width)
        case "transformer":
            return TransformerMapper(embed_dim, prefix_length, width, layers)
    raise ValueError(f"mapper '{kind}': choose of {', '.join(MAPPERS)}")


class LinearMapper(nn.Module):
    """One linear map."""

    def __init__(self, embed_dim: int, prefix_length: int, width: int) -> None:
        super().__init__()
        self.shape = (-1, prefix_length, width)
        self.map = nn.Linear(embed_dim, prefix_length * width)

    def forward(self, embedding: Tensor) -> Tensor:
        return self.map(embedding).view(self.shape)


class MlpMapper(nn.Module):
    """Two linear maps with a tanh between, the hidden layer half as wide as the result."""

    def __init__(self, embed_dim: int, prefix_length: int, width: int) -> None:
        super().__init__()
        self.shape = (-1, prefix_length, width)
        size = prefix_length * width
        self.up, self.out = nn.Linear(embed_dim, size // 2), nn.Linear(size // 2, size)

    def forward(self, embedding: Tensor) -> Tensor:
        return self.out(self.up(embedding).tanh()).view(self.shape)


class TransformerMapper(nn.Module):
    """As many positions made of the embedding and as many learned ones look at each other; the learned ones are it.

    Eight heads (or what divides the width), pre-norm, networks twice as wide: ClipCap's sizes.
    """

    def __init__(self, embed_dim: int, prefix_length: int, width: int, layers: int) -> None:
        super().__init__()
        self.linear = LinearMapper(embed_dim, prefix_length, width)
        self.queries = nn.Parameter(torch.randn(prefix_length, width) * 0.02)
        block = nn.TransformerEncoderLayer(
            width, math.gcd(8, width), 2 * width, dropout=0.0, batch_first=True, norm_first=True
        )
        self.blocks = nn.TransformerEncoder(block, layers, enable_nested_tensor=False)

    def forward(self, embedding: Tensor) -> Tensor:
        queries = self.queries.expand(len(embedding), -1, -1)
        return self.blocks(torch.cat((self.linear(embedding), queries), dim=1))[
            :, len(self.queries) :
        ]
