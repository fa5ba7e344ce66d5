"""The fluency error detector of FENSE: a BERT that was trained on captions broken in five ways."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from wsac.clap.public.checkpoints import read_tensors, read_tokenizer
from wsac.clap.texts import cache_folder, load_or_make
from wsac.io.console import progress
from wsac.io.hub import download, hub_file
from wsac.types import ModelError

from .encoders import content_hash, equal_lengths

LABELS = ("add_tail", "repeat_event", "repeat_adv", "remove_conj", "remove_verb", "error")
THRESHOLD = 0.9  # a caption is faulty when the last of them is more probable than this
MAX_TOKENS = 64
VOCABULARY = "google-bert/bert-base-uncased"  # of both detectors
RELEASE = "https://github.com/blmoistawinde/fense/releases/download/V0.1/"
SHA256 = {
    "echecker_clotho_audiocaps_base": "1a719f090af70614bbdb9f9437530b7e133c48cfa4a58d964de0d47fc974a2fa",
    "echecker_clotho_audiocaps_tiny": "90ed0ac5033ec497ec66d4f68588053813e085671136dae312097c96c504f673",
}
DEFAULT_CHECKER = "echecker_clotho_audiocaps_base"
_UNUSED = re.compile(r"encoder\.(pooler\..*|embeddings\.position_ids)")


class FluencyChecker(nn.Module):
    """A linear layer on BERT's [CLS]: the probability of each kind of error, and of any. name: for a note."""

    def __init__(self, config: dict[str, Any], labels: int) -> None:
        from transformers import BertConfig, BertModel

        super().__init__()
        self.encoder = BertModel(BertConfig(**config), add_pooling_layer=False)
        self.clf = nn.Linear(config["hidden_size"], labels)
        self.tokenizer: Any = None
        self.name = self.fingerprint = ""

    def forward(self, ids: Tensor) -> Tensor:
        """ids ``[B, L]``, nothing padded → logits ``[B, 6]``."""
        return self.clf(
            self.encoder(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state[:, 0]
        )

    def probabilities(self, captions: Sequence[str]) -> np.ndarray:
        """``[N, 6]`` float32 in the order of LABELS. Case and punctuation are taken away first, as in FENSE."""
        texts = [re.sub(r"[^\w\s]", "", caption).lower() for caption in captions]
        return load_or_make(self.fingerprint, texts, lambda: self._probabilities(texts)).numpy()

    @torch.no_grad()
    def _probabilities(self, texts: Sequence[str]) -> Tensor:
        ids = [row.ids for row in self.tokenizer.encode_batch(list(texts))]
        out = torch.empty(len(ids), self.clf.out_features)
        with progress("fluency", len(ids), unit="captions") as tick:
            for rows in equal_lengths(ids, 64):
                batch = torch.tensor([ids[row] for row in rows], device=self.clf.weight.device)
                out[rows] = self(batch).sigmoid().cpu()
                tick(len(rows))
        return out


def fluency_errors(
    captions: Sequence[str], model: FluencyChecker, *, threshold: float = THRESHOLD
) -> np.ndarray:
    """``[N]`` bool: which captions are incomplete, repetitive or otherwise no sentence.

    Source: Zhou et al. 2022 (FENSE, arXiv 2110.04684). Their code for 32 captions or fewer compares every kind of
    error; here, as in aac-metrics, it is always the last, "error".
    """
    return model.probabilities(captions)[:, -1] > threshold


def load_checker(
    name: str | Path = DEFAULT_CHECKER,
    *,
    tokenizer: str | Path | None = None,
    device: str = "cpu",
    offline: bool = False,
) -> FluencyChecker:
    """A detector of FENSE's release by name, downloaded once, or a checkpoint file of the same layout.

    The file holds encoder.* (a BERT) and clf.*; its sizes are read from the tensors. tokenizer: a tokenizer.json, else
    the one beside the file, else that of bert-base-uncased. Raises ModelError for what is missing or not whole.
    """
    key = str(name).replace("-", "_")
    if key in SHA256:
        path = download(
            f"{RELEASE}{key}.ckpt",
            cache_folder() / "models" / f"{key}.ckpt",
            SHA256[key],
            offline=offline,
        )
    elif Path(name).is_file():
        path = Path(name)
    else:
        raise ModelError(f"{name}: no such checkpoint; give a file, or one of {', '.join(SHA256)}")
    beside = path.parent / "tokenizer.json"
    words = (
        Path(tokenizer) if tokenizer else beside if beside.is_file() and key not in SHA256 else None
    )
    words = words or hub_file(VOCABULARY, "tokenizer.json", offline=offline)
    model = _build(read_tensors(path), path).to(device)
    model.tokenizer = read_tokenizer(words)
    model.tokenizer.enable_truncation(max_length=MAX_TOKENS)
    known, entries = model.encoder.config.vocab_size, model.tokenizer.get_vocab_size()
    if known != entries:
        raise ModelError(
            f"{words}: {entries} entries where {path.name} has {known}; give the tokenizer.json of its BERT"
        )
    model.fingerprint = content_hash("fluency", [path, words])
    model.name = f"{path.stem} ({model.fingerprint.rpartition('-')[2][:8]})"
    return model


def _build(state: dict[str, Tensor], path: Path) -> FluencyChecker:
    from transformers.initialization import no_init_weights

    state = {name: value.float() for name, value in state.items() if not _UNUSED.fullmatch(name)}
    layers = {
        int(found[1])
        for name in state
        if (found := re.match(r"encoder\.encoder\.layer\.(\d+)\.", name))
    }
    try:
        vocabulary, width = state["encoder.embeddings.word_embeddings.weight"].shape
        config = {
            "vocab_size": vocabulary,
            "hidden_size": width,
            "num_hidden_layers": len(layers),
            "num_attention_heads": width // 64,  # of every BERT
            "intermediate_size": len(state["encoder.encoder.layer.0.intermediate.dense.bias"]),
            "max_position_embeddings": len(state["encoder.embeddings.position_embeddings.weight"]),
            "type_vocab_size": len(state["encoder.embeddings.token_type_embeddings.weight"]),
        }
        with no_init_weights():
            model = FluencyChecker(config, len(state["clf.weight"]))
        model.load_state_dict(state)
    except (KeyError, ValueError, RuntimeError, ZeroDivisionError) as error:
        reason = str(error).splitlines()[-1].strip()[:200]
        raise ModelError(f"{path}: not a fluency detector in FENSE's layout ({reason})") from error
    if model.clf.out_features != len(LABELS):
        raise ModelError(
            f"{path}: {model.clf.out_features} kinds of error where FENSE's detectors have {len(LABELS)}"
        )
    return model.eval().requires_grad_(False)
