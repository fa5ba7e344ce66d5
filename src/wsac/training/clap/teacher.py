"""Sentence geometry for the text tower from a pretrained sentence encoder, at training time only."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from wsac.io.console import progress
from wsac.types import ModelError


def teach(
    captions: Sequence[str], teacher: str, dim: int, *, batch_size: int = 128, device: str = "cpu"
) -> Tensor:
    """Targets ``[N, dim]``, unit norm: mean-pooled teacher embeddings, centred, on their first principal axes.

    Centring takes away what all captions share, so that the space is spent on what tells sounds apart.
    teacher: a local folder or Hub id of a BERT-like encoder with mean pooling (all-MiniLM-L6-v2 and its kin).
    Raises ModelError when the encoder is missing.
    """
    from transformers import AutoModel, AutoTokenizer

    try:
        tokenizer, model = (
            AutoTokenizer.from_pretrained(teacher),
            AutoModel.from_pretrained(teacher).eval().to(device),
        )
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{teacher}: no sentence encoder here ({str(error).splitlines()[0]})"
        ) from error

    order = sorted(range(len(captions)), key=lambda i: (len(captions[i]), i))
    out = torch.empty(len(captions), model.config.hidden_size)
    with torch.inference_mode(), progress("teacher", len(captions), unit="captions") as tick:
        for first in range(0, len(order), batch_size):
            rows = order[first : first + batch_size]
            batch = tokenizer(
                [captions[i] for i in rows], padding=True, truncation=True, return_tensors="pt"
            ).to(device)
            hidden = model(**batch).last_hidden_state  # [B, L, width]
            mask = batch["attention_mask"].unsqueeze(-1)
            out[rows] = F.normalize((hidden * mask).sum(1) / mask.sum(1), dim=-1).cpu()
            tick(len(rows))
    if min(out.shape) < dim:
        raise ModelError(
            f"{teacher}: {len(captions)} captions of width {out.shape[1]} cannot give {dim} axes; "
            "lower embed_dim or add captions"
        )
    centred = out - out.mean(dim=0)
    _, axes = torch.linalg.eigh(centred.T @ centred)  # ascending
    return F.normalize(centred @ axes[:, -dim:].flip(1), dim=-1)
