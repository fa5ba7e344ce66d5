"""The fluency error detector of FENSE: a BERT trained on captions broken in five ways."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from wsac.clap.public.checkpoints import read_tensors
from wsac.clap.public.tokenizer_file import read_tokenizer
from wsac.clap.texts import cache_folder, load_or_make
from wsac.io.console import progress
from wsac.io.hub import hub_file
from wsac.io.mirrors import download
from wsac.types import ModelError

from .encoders import content_hash

LABELS = ("add_tail", "repeat_event", "repeat_adv", "remove_conj", "remove_verb", "error")
THRESHOLD = 0.9  # a caption is faulty when the last label is more probable than this
MAX_TOKENS = 64
BATCH = 64  # captions of equal length at once
VOCABULARY = "google-bert/bert-base-uncased"  # of both detectors
RELEASE = "https://github.com/blmoistawinde/fense/releases/download/V0.1/"
DEFAULT_CHECKER = "echecker_clotho_audiocaps_base"
_TINY = "echecker_clotho_audiocaps_tiny"
SHA256 = {
    DEFAULT_CHECKER: "1a719f090af70614bbdb9f9437530b7e133c48cfa4a58d964de0d47fc974a2fa",
    _TINY: "90ed0ac5033ec497ec66d4f68588053813e085671136dae312097c96c504f673",
}
_UNUSED = re.compile(r"encoder\.(pooler\..*|embeddings\.position_ids)")
_LAYER = re.compile(r"encoder\.encoder\.layer\.(\d+)\.")


class FluencyChecker(nn.Module):
    """The probability of each kind of error: a linear layer on BERT's [CLS]. name: for a note."""

    def __init__(self, config: dict[str, Any], labels: int) -> None:
        from transformers import BertConfig, BertModel

        super().__init__()
        self.encoder = BertModel(BertConfig(**config), add_pooling_layer=False)
        self.clf = nn.Linear(config["hidden_size"], labels)
        self.tokenizer: Any = None
        self.name = self.fingerprint = ""

    def forward(self, ids: Tensor) -> Tensor:
        """Logits ``[B, 6]`` of ids ``[B, L]`` without padding."""
        hidden = self.encoder(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
        return self.clf(hidden[:, 0])

    def probabilities(self, captions: Sequence[str]) -> np.ndarray:
        """``[N, 6]`` float32 in the order of LABELS; case and punctuation do not count."""
        texts = [re.sub(r"[^\w\s]", "", caption).lower() for caption in captions]
        return load_or_make(self.fingerprint, texts, lambda: self._probabilities(texts)).numpy()

    @torch.no_grad()
    def _probabilities(self, texts: Sequence[str]) -> Tensor:
        ids = [row.ids for row in self.tokenizer.encode_batch(list(texts))]
        out = torch.empty(len(ids), self.clf.out_features)
        with progress("fluency", len(ids), unit="captions") as tick:
            # batches of one length: without padding, no caption depends on its batch
            order = sorted(range(len(ids)), key=lambda row: len(ids[row]))
            for _, group in groupby(order, key=lambda row: len(ids[row])):
                same = list(group)
                for start in range(0, len(same), BATCH):
                    rows = same[start : start + BATCH]
                    batch = torch.tensor([ids[row] for row in rows], device=self.clf.weight.device)
                    out[rows] = self(batch).sigmoid().cpu()
                    tick(len(rows))
        return out


def fluency_errors(
    captions: Sequence[str], model: FluencyChecker, *, threshold: float = THRESHOLD
) -> np.ndarray:
    """``[N]`` bool: which captions are incomplete, repetitive or otherwise no sentence.

    Source: Zhou et al. 2022 (FENSE, arXiv 2110.04684). Their code for 32 captions or fewer
    compares every kind of error; here, as in aac-metrics, it is always the last, "error".
    """
    return model.probabilities(captions)[:, -1] > threshold


def load_checker(
    name: str | Path = DEFAULT_CHECKER,
    *,
    tokenizer: str | Path | None = None,
    device: str = "cpu",
    offline: bool = False,
) -> FluencyChecker:
    """A detector of FENSE's release by name, downloaded once, or a checkpoint of the same layout.

    The file holds encoder.* (a BERT) and clf.*; its sizes are read from the tensors.
    tokenizer: a tokenizer.json, else the one beside the file, else that of bert-base-uncased.
    Raises ModelError for files that are missing or damaged.
    """
    key = str(name).replace("-", "_")
    path, beside = Path(name), Path(name).with_name("tokenizer.json")
    if key in SHA256:
        path = cache_folder() / "models" / f"{key}.ckpt"
        download(f"{RELEASE}{key}.ckpt", path, SHA256[key], offline=offline)
    elif not path.is_file():
        raise ModelError(f"{name}: no such checkpoint; give a file, or one of {', '.join(SHA256)}")
    if tokenizer is None and key not in SHA256 and beside.is_file():
        tokenizer = beside
    vocabulary = Path(tokenizer or hub_file(VOCABULARY, "tokenizer.json", offline=offline))
    model = _build(read_tensors(path), path).to(device)
    model.tokenizer = read_tokenizer(vocabulary)
    model.tokenizer.enable_truncation(max_length=MAX_TOKENS)
    rows, entries = model.encoder.config.vocab_size, model.tokenizer.get_vocab_size()
    if rows != entries:
        what = f"{entries} entries where {path.name} has {rows}"
        raise ModelError(f"{vocabulary}: {what}; give the tokenizer.json of its BERT")
    model.fingerprint = content_hash("fluency", [path, vocabulary])
    model.name = f"{path.stem} ({model.fingerprint.rpartition('-')[2][:8]})"
    return model


def _build(state: dict[str, Tensor], path: Path) -> FluencyChecker:
    from transformers.initialization import no_init_weights

    state = {name: value.float() for name, value in state.items() if not _UNUSED.fullmatch(name)}
    layers = {match[1] for name in state if (match := _LAYER.match(name))}
    embeddings = "encoder.embeddings"
    try:
        vocabulary, width = state[f"{embeddings}.word_embeddings.weight"].shape
        config = {
            "vocab_size": vocabulary,
            "hidden_size": width,
            "num_hidden_layers": len(layers),
            "num_attention_heads": width // 64,  # of every BERT
            "intermediate_size": len(state["encoder.encoder.layer.0.intermediate.dense.bias"]),
            "max_position_embeddings": len(state[f"{embeddings}.position_embeddings.weight"]),
            "type_vocab_size": len(state[f"{embeddings}.token_type_embeddings.weight"]),
        }
        with no_init_weights():
            model = FluencyChecker(config, len(state["clf.weight"]))
        model.load_state_dict(state)
    except (KeyError, ValueError, RuntimeError, ZeroDivisionError) as error:
        reason = str(error).splitlines()[-1].strip()[:200]
        raise ModelError(f"{path}: not a fluency detector in FENSE's layout ({reason})") from error
    if (kinds := model.clf.out_features) != len(LABELS):
        what = f"{kinds} kinds of error where FENSE's detectors have {len(LABELS)}"
        raise ModelError(f"{path}: {what}")
    return model.eval().requires_grad_(False)
