"""Sentence encoders: folders in the layout of sentence-transformers, or names on the Hub."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from wsac.clap.public.checkpoints import read_tensors
from wsac.clap.texts import load_or_make
from wsac.decoder.pretrained.hf_folder import quietly
from wsac.evaluation.metrics.items import MissingError
from wsac.io.files import read_json
from wsac.io.hub import HUB_ID, hub_folder
from wsac.types import ModelError, first_line

WEIGHTS = ("model.safetensors", "pytorch_model.bin")
# The longest sentence: max_seq_length, else model_max_length, at most the model's positions.
LIMITS = ("sentence_bert_config.json", "tokenizer_config.json")
OPTIONAL = (*LIMITS, "special_tokens_map.json", "vocab.txt")
_REMEDY = "give a folder in the layout of sentence-transformers"


class SentenceEncoder:
    """Sentences to embeddings.

    fingerprint: of the files that the embeddings depend on. name: for a note, with eight digits
    of the fingerprint.
    """

    def __init__(self, model: Any, name: str, fingerprint: str) -> None:
        self._model, self.fingerprint = model, fingerprint
        self.name = f"{name} ({fingerprint.rpartition('-')[2][:8]})"

    def embed(self, sentences: Sequence[str]) -> Tensor:
        """Embeddings ``[N, D]`` float32, unit norm, from the cache where they are in it."""
        rows = {sentence: i for i, sentence in enumerate(dict.fromkeys(sentences))}
        unique = load_or_make(self.fingerprint, list(rows), lambda: self._embed(list(rows)))
        return unique[[rows[sentence] for sentence in sentences]]

    @torch.no_grad()
    def _embed(self, sentences: list[str]) -> Tensor:
        options = {"batch_size": 64, "normalize_embeddings": True, "show_progress_bar": False}
        embeddings = self._model.encode(sentences or [""], convert_to_tensor=True, **options)
        return embeddings[: len(sentences)].float().cpu()


def load_encoder(
    name: str | Path, *, device: str = "cpu", offline: bool = False
) -> SentenceEncoder:
    """A sentence encoder from a folder or from the Hub, perhaps with ``@revision``.

    A name without owner is one of sentence-transformers'. Raises MissingError without the extra
    ``sbert``, and ModelError for an encoder that is not there, not whole, or needs code of its own.
    """
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        what = "sentence-transformers is not installed: pip install 'wsac[sbert]'"
        raise MissingError(what) from error
    folder = _folder(str(name), offline)
    transformer, pooling = _modules(folder)
    weights = next((path for file in WEIGHTS if (path := transformer / file).is_file()), None)
    tokens = transformer / "tokenizer.json"
    if weights is None or not tokens.is_file():
        file = "tokenizer.json" if weights else WEIGHTS[0]
        raise ModelError(f"{transformer}: no {file}; the folder is incomplete")
    stored = read_tensors(weights)  # refuses pickles that run code
    try:
        with quietly():
            model: Any = SentenceTransformer(str(folder), device=device, local_files_only=True)
    except Exception as error:  # the libraries raise many kinds
        what = f"not a model that sentence-transformers can read ({first_line(error)})"
        raise ModelError(f"{folder}: {what}") from error
    names = stored.keys() | {name.partition(".")[2] for name in stored}  # without "bert."
    lacking = model[0].auto_model.state_dict().keys() - names
    if lacking := sorted(name for name in lacking if not name.startswith("pooler.")):
        raise ModelError(f"{weights}: tensor '{lacking[0]}' is missing; the file is incomplete")
    if model.default_prompt_name:
        raise ModelError(f"{folder}: wants a prompt before each sentence, which is not supported")
    files = [transformer / "config.json", pooling / "config.json", weights, tokens]
    files += [path for file in LIMITS if (path := transformer / file).is_file()]
    short = Path(str(name).partition("@")[0]).name or folder.resolve().name
    return SentenceEncoder(model, short, content_hash("sbert", files))


def content_hash(kind: str, files: Iterable[Path]) -> str:
    """A name for the content of files, wherever they lie."""
    digest = hashlib.blake2b(digest_size=8)
    for path in files:
        with path.open("rb") as file:
            hashlib.file_digest(file, lambda: digest)
    return f"{kind}-{digest.hexdigest()}"


def _folder(name: str, offline: bool) -> Path:
    if Path(name).is_dir():
        return Path(name)
    repo, _, revision = name.partition("@")
    repo = repo if "/" in repo else f"sentence-transformers/{repo}"
    if not HUB_ID.fullmatch(repo) or name.startswith((".", "~", "/")):
        raise ModelError(f"{name}: no such folder; {_REMEDY}, or a name on the Hub")
    folder = hub_folder(repo, ["modules.json"], revision or None, offline=offline)
    paths = [path.relative_to(folder) for path in _modules(folder)]
    transformer, pooling = ("" if path == Path() else f"{path.as_posix()}/" for path in paths)
    optional = ["config_sentence_transformers.json", *(transformer + file for file in OPTIONAL)]
    weights = tuple(transformer + file for file in WEIGHTS)
    wanted = [transformer + "config.json", pooling + "config.json", transformer + "tokenizer.json"]
    wanted_or = [(file, "") for file in optional]
    return hub_folder(repo, [*wanted, *wanted_or, weights], folder.name, offline=offline)


def _modules(folder: Path) -> tuple[Path, Path]:
    """The folders of the transformer and of the pooling, which modules.json lists."""
    path = folder / "modules.json"
    if not path.is_file():
        raise ModelError(f"{folder}: no modules.json; {_REMEDY}")
    try:
        kinds = {str(row["type"]): str(row["path"]).strip("/") for row in read_json(path)}
    except (KeyError, TypeError) as error:
        raise ModelError(f"{path}: not a list of modules; is the download complete?") from error
    if any(part in (".", "..") for place in kinds.values() for part in Path(place).parts):
        raise ModelError(f"{path}: names a folder outside its own; get the model again")
    names = [kind.rpartition(".")[2] for kind in kinds]
    if names not in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"]):
        known = "only Transformer, Pooling and Normalize are supported"
        raise ModelError(f"{path}: {', '.join(names)}; {known}")
    transformer, pooling, *_ = kinds.values()
    return folder / transformer, folder / pooling
