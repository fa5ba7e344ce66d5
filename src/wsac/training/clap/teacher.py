"""Sentence geometry for the text tower, from a pretrained sentence encoder."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from wsac.io.console import progress
from wsac.types import ModelError, first_line

BATCH = 128  # captions of similar length at once


def teach(captions: Sequence[str], teacher: str, dim: int, *, device: str = "cpu") -> Tensor:
    """Targets [N, dim], unit norm: mean-pooled embeddings, centred, on their principal axes.

    Centring removes what all captions share, which leaves more of the space to their differences.
    teacher: a folder or Hub id of a BERT-like encoder with mean pooling, such as all-MiniLM-L6-v2.
    Raises ModelError if the encoder is missing or has fewer than ``dim`` axes.
    """
    embeddings = sentence_embeddings(captions, teacher, device=device)
    count, width = embeddings.shape
    if min(count, width) < dim:
        what = f"{count} captions of width {width} cannot give {dim} axes"
        raise ModelError(f"{teacher}: {what}; lower embed_dim or add captions")
    centred = embeddings - embeddings.mean(dim=0)
    _, axes = torch.linalg.eigh(centred.T @ centred)  # ascending
    return F.normalize(centred @ axes[:, -dim:].flip(1), dim=-1)


def sentence_embeddings(texts: Sequence[str], teacher: str, *, device: str = "cpu") -> Tensor:
    """Mean-pooled embeddings [N, width] of a BERT-like encoder, unit norm. Raises ModelError."""
    from transformers import AutoModel, AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(teacher)
        model = AutoModel.from_pretrained(teacher).eval().to(device)
    except (OSError, ValueError) as error:
        raise ModelError(f"{teacher}: no sentence encoder here ({first_line(error)})") from error

    by_length = sorted(range(len(texts)), key=lambda row: len(texts[row]))
    embeddings = torch.empty(len(texts), model.config.hidden_size)
    with torch.inference_mode(), progress("teacher", len(texts), unit="captions") as tick:
        for first in range(0, len(texts), BATCH):
            rows = by_length[first : first + BATCH]
            part = [texts[row] for row in rows]
            batch = tokenizer(part, padding=True, truncation=True, return_tensors="pt").to(device)
            hidden = model(**batch).last_hidden_state  # [B, L, width]
            mask = batch["attention_mask"].unsqueeze(-1)
            embeddings[rows] = F.normalize((hidden * mask).sum(1) / mask.sum(1), dim=-1).cpu()
            tick(len(rows))
    return embeddings
