"""Prefix mappers: an embedding [B, D] to soft tokens [B, P, width] for a language model.

Source: ClipCap, Mokady et al. 2021 (arXiv 2111.09734): its mappers are the MLP and the transformer.
"""

from __future__ import annotations

import math
from collections import OrderedDict

import torch
from torch import Tensor, nn

MAPPERS = ("linear", "mlp", "transformer")


def make_mapper(
    kind: str, embed_dim: int, prefix_length: int, width: int, layers: int = 8
) -> nn.Module:
    """A mapper of MAPPERS. layers: of the transformer. Raises ValueError for another name.

    linear: one linear map. mlp: two with a tanh between, the hidden layer half as wide as the
    result.
    """
    size, parts = prefix_length * width, OrderedDict[str, nn.Module]()
    match kind:
        case "linear":
            parts["map"] = nn.Linear(embed_dim, size)
        case "mlp":
            parts["up"], parts["tanh"] = nn.Linear(embed_dim, size // 2), nn.Tanh()
            parts["out"] = nn.Linear(size // 2, size)
        case "transformer":
            return TransformerMapper(embed_dim, prefix_length, width, layers)
        case _:
            raise ValueError(f"mapper '{kind}': choose from {', '.join(MAPPERS)}")
    parts["shape"] = nn.Unflatten(1, (prefix_length, width))
    return nn.Sequential(parts)


class TransformerMapper(nn.Module):
    """P positions made of the embedding and P learned ones attend to each other.

    The learned ones are the result. Eight heads (or what divides the width), pre-norm, networks
    twice as wide: ClipCap's sizes.
    """

    def __init__(self, embed_dim: int, prefix_length: int, width: int, layers: int) -> None:
        super().__init__()
        self.linear = make_mapper("linear", embed_dim, prefix_length, width)
        self.queries = nn.Parameter(torch.randn(prefix_length, width) * 0.02)
        block = nn.TransformerEncoderLayer(
            width, math.gcd(8, width), 2 * width, dropout=0.0, batch_first=True, norm_first=True
        )
        self.blocks = nn.TransformerEncoder(block, layers, enable_nested_tensor=False)

    def forward(self, embedding: Tensor) -> Tensor:
        queries = self.queries.expand(len(embedding), -1, -1)
        positions = torch.cat((self.linear(embedding), queries), dim=1)
        return self.blocks(positions)[:, len(self.queries) :]
