"""Tiny decoders: a transformer, and options of every kind."""

from __future__ import annotations

import torch

from wsac.data.tokenizer import EOS, PAD
from wsac.decoder import TransformerDecoder

ODD = ["A dog's bark, low-pitched.", "Rain falls; it isn't (very) loud!"]
KINDS = {
    "transformer": {"layers": 1, "heads": 2, "width": 16, "prefix_length": 2, "dropout": 0.1},
    "gpt2": {"mapper": "transformer", "mapper_layers": 1, "prefix_length": 3},
    "gpt2-trained": {"frozen": False, "prefix_length": 2, "mapper": "linear"},
    "llm": {"prefix_length": 2, "lora_rank": 2, "instruction": "Describe the sound"},
    "wsac": {"layers": 2, "heads": 2, "width": 16, "vocabulary": "corpus"},
}
SIZES = {"layers": 2, "heads": 2, "width": 16, "prefix_length": 2, "max_tokens": 12}


def tiny_decoder(embed_dim=16, vocab_size=50, **changes):
    """Random weights, those of the seed of torch."""
    return TransformerDecoder(embed_dim=embed_dim, vocab_size=vocab_size, **SIZES | changes)


def rows_of(tokenizer, texts):
    ids = [torch.tensor([*row, EOS]) for row in tokenizer.encode(texts)]
    return torch.nn.utils.rnn.pad_sequence(ids, batch_first=True, padding_value=PAD)
