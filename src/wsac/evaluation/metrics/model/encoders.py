"""Sentence encoders: folders in the layout of sentence-transformers, read with transformers alone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from wsac.clap.public.checkpoints import read_tensors, read_tokenizer
from wsac.clap.texts import load_or_make
from wsac.decoder.pretrained.hf_folder import quietly
from wsac.io.console import progress
from wsac.io.files import read_json
from wsac.io.hub import HUB_ID, hub_folder
from wsac.types import ModelError

WEIGHTS = ("model.safetensors", "pytorch_model.bin")
BATCH = 64  # sentences of equal length at once


class SentenceEncoder:
    """Sentences to embeddings. name: for a note, with eight digits of the hash of its files; fingerprint: all of it."""

    def __init__(
        self, model: Any, tokenizer: Any, pooling: str, *, lower: bool, name: str, fingerprint: str
    ) -> None:
        self._model, self._tokenizer, self._pooling, self._lower = model, tokenizer, pooling, lower
        self.dim: int = model.config.hidden_size
        self.fingerprint = fingerprint
        self.name = f"{name} ({fingerprint.rpartition('-')[2][:8]})"

    def embed(self, sentences: Sequence[str]) -> Tensor:
        """``[N, D]`` float32, unit norm; from the cache where they are. Equal sentences are embedded once."""
        rows = {sentence: i for i, sentence in enumerate(dict.fromkeys(sentences))}
        found = load_or_make(self.fingerprint, list(rows), lambda: self._embed(list(rows)))
        return found[[rows[sentence] for sentence in sentences]]

    @torch.no_grad()
    def _embed(self, sentences: Sequence[str]) -> Tensor:
        texts = [
            sentence.strip().lower() if self._lower else sentence.strip() for sentence in sentences
        ]
        ids = [row.ids for row in self._tokenizer.encode_batch(texts)]
        device = next(self._model.parameters()).device
        out = torch.empty(len(ids), self.dim)
        with progress("sentences", len(ids), unit="sentences") as tick:
            for rows in equal_lengths(ids, BATCH):
                batch = torch.tensor(
                    [ids[row] for row in rows], device=device
                )  # [B, L], nothing padded
                hidden = self._model(
                    input_ids=batch, attention_mask=torch.ones_like(batch)
                ).last_hidden_state
                pooled = hidden[:, 0] if self._pooling == "cls" else hidden.mean(dim=1)
                out[rows] = F.normalize(pooled, dim=-1).cpu()
                tick(len(rows))
        return out


def load_encoder(
    name: str | Path, *, device: str = "cpu", offline: bool = False
) -> SentenceEncoder:
    """A sentence encoder from a folder or from the Hub, perhaps with ``@revision``.

    A name without owner is one of sentence-transformers'. What the embeddings depend on is read from the folder: the
    pooling (mean or cls), the longest input and its case. Raises ModelError for what is missing or not supported.
    """
    folder = _folder(str(name), offline)
    transformer, pooling, files = _modules(folder)
    limits_file = transformer / "sentence_bert_config.json"
    limits = read_json(limits_file) if limits_file.is_file() else {}
    tokens = transformer / "tokenizer.json"
    weights = next((transformer / n for n in WEIGHTS if (transformer / n).is_file()), None)
    if weights is None or not tokens.is_file():
        raise ModelError(
            f"{transformer}: no {'tokenizer.json' if weights else WEIGHTS[0]}; the folder is incomplete"
        )
    model = _load(transformer, weights).to(device)
    tokenizer = read_tokenizer(tokens)
    longest = (
        limits.get("max_seq_length") or getattr(model.config, "max_position_embeddings", 514) - 2
    )
    tokenizer.enable_truncation(max_length=longest)
    files += [weights, tokens, *([limits_file] if limits else [])]
    lower = bool(limits.get("do_lower_case"))
    short = Path(str(name).partition("@")[0]).name or folder.resolve().name
    return SentenceEncoder(
        model, tokenizer, pooling, lower=lower, name=short, fingerprint=content_hash("sbert", files)
    )


def content_hash(kind: str, files: Iterable[Path]) -> str:
    """A name for what the files hold, wherever they lie."""
    found = hashlib.blake2b(digest_size=8)
    for path in files:
        with path.open("rb") as file:
            while block := file.read(1 << 24):
                found.update(block)
    return f"{kind}-{found.hexdigest()}"


def equal_lengths(ids: Sequence[Sequence[int]], size: int) -> Iterator[list[int]]:
    """Rows in batches of one length: without padding, a sentence does not depend on what it is batched with."""
    order = sorted(range(len(ids)), key=lambda row: len(ids[row]))
    first = 0
    while first < len(order):
        rows = [
            row for row in order[first : first + size] if len(ids[row]) == len(ids[order[first]])
        ]
        yield rows
        first += len(rows)


def _folder(name: str, offline: bool) -> Path:
    if Path(name).is_dir():
        return Path(name)
    repo, _, revision = name.partition("@")
    repo = repo if "/" in repo else f"sentence-transformers/{repo}"
    if not HUB_ID.fullmatch(repo) or name.startswith((".", "~", "/")):
        raise ModelError(
            f"{name}: no such folder; give one in the layout of sentence-transformers, or a name on the Hub"
        )
    folder = hub_folder(repo, ["modules.json"], revision or None, offline=offline)
    transformer, pooling = (f"{path}/" if path else "" for _, path in _listed(folder)[:2])
    wanted: list[str | tuple[str, ...]] = [f"{transformer}config.json", f"{pooling}config.json"]
    wanted += [
        (f"{transformer}sentence_bert_config.json", ""),
        ("config_sentence_transformers.json", ""),
    ]
    wanted += [
        f"{transformer}tokenizer.json",
        tuple(f"{transformer}{weights}" for weights in WEIGHTS),
    ]
    return hub_folder(repo, wanted, folder.name, offline=offline)


def _listed(folder: Path) -> list[tuple[str, str]]:
    """(kind, path) of what modules.json lists: a transformer, a pooling, perhaps a normalisation, nothing else."""
    path = folder / "modules.json"
    if not path.is_file():
        raise ModelError(
            f"{folder}: no modules.json; give a folder in the layout of sentence-transformers"
        )
    try:
        found = [
            (str(row["type"]).rpartition(".")[2], str(row["path"]).strip("/"))
            for row in read_json(path)
        ]
    except (KeyError, TypeError) as error:
        raise ModelError(f"{path}: not a list of modules; is the download complete?") from error
    kinds = [kind for kind, _ in found]
    if kinds[:2] != ["Transformer", "Pooling"] or set(kinds[2:]) > {"Normalize"}:
        raise ModelError(
            f"{path}: {', '.join(kinds)}; only Transformer, Pooling and Normalize are supported"
        )
    if any(part in (".", "..") for _, place in found for part in Path(place).parts):
        raise ModelError(f"{path}: names a folder outside its own; get the model again")
    return found


def _modules(folder: Path) -> tuple[Path, str, list[Path]]:
    """The folder of the transformer, the pooling, and the files that these were read from."""
    (_, transformer), (_, pooling), *_ = _listed(folder)
    path = folder / pooling / "config.json"
    card = read_json(path)
    modes = [
        key for key, value in card.items() if key.startswith("pooling_mode_") and value is True
    ]
    mode = card.get("pooling_mode") or (modes[0] if len(modes) == 1 else modes)
    known = {
        "mean": "mean",
        "cls": "cls",
        "pooling_mode_mean_tokens": "mean",
        "pooling_mode_cls_token": "cls",
    }
    if not isinstance(mode, str) or mode not in known:
        raise ModelError(f"{path}: pooling {mode}; only mean and cls are supported")
    facts = folder / "config_sentence_transformers.json"
    if facts.is_file() and read_json(facts).get("default_prompt_name"):
        raise ModelError(
            f"{facts}: this encoder wants a prompt before each sentence, which is not supported"
        )
    return folder / transformer, known[mode], [folder / transformer / "config.json", path]


def _load(folder: Path, weights: Path) -> Any:
    """The transformer, its tensors read as untrusted data; code that came with it is not run."""
    from transformers import MODEL_MAPPING, AutoConfig

    state = read_tensors(weights)
    try:
        with quietly():
            config = AutoConfig.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False
            )
            architecture: Any = MODEL_MAPPING[type(config)]
            model, report = architecture.from_pretrained(
                None, config=config, state_dict=state, dtype=torch.float32, output_loading_info=True
            )
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise ModelError(f"{folder}: not a model that transformers can read ({reason})") from error
    missing = sorted(name for name in report["missing_keys"] if not name.startswith("pooler."))
    if missing or report["mismatched_keys"]:
        wrong = f"tensor '{missing[0]}' is missing" if missing else "sizes differ from config.json"
        raise ModelError(f"{weights}: {wrong}; the checkpoint is incomplete, or of another model")
    return model.eval().requires_grad_(False)
