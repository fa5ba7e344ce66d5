"""Options of a tiny decoder of every kind."""

from __future__ import annotations

import torch

from wsac.data.tokenizer import EOS, PAD

ODD = ["A dog's bark, low-pitched.", "Rain falls; it isn't (very) loud!"]
KINDS = {
    "transformer": {"layers": 1, "heads": 2, "width": 16, "prefix_length": 2, "dropout": 0.1},
    "gpt2": {"mapper": "transformer", "mapper_layers": 1, "prefix_length": 3},
    "gpt2-trained": {"frozen": False, "prefix_length": 2, "mapper": "linear"},
    "llm": {"prefix_length": 2, "lora_rank": 2, "instruction": "Describe the sound"},
    "wsac": {"layers": 2, "heads": 2, "width": 16, "vocabulary": "corpus"},
}


def rows_of(tokenizer, texts):
    ids = [torch.tensor([*row, EOS]) for row in tokenizer.encode(texts)]
    return torch.nn.utils.rnn.pad_sequence(ids, batch_first=True, padding_value=PAD)
