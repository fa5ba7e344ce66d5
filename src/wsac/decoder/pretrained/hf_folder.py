"""Causal language models in Hugging Face folders: read as data, checked, cut to a vocabulary."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from wsac.io.files import read_json
from wsac.io.hub import HUB_ID, hub_folder
from wsac.io.tensors import check_finite
from wsac.types import ModelError, first_line

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
TOKENIZER = "tokenizer.json"
EDGE = 1 << 20  # bytes at either end of a weight file that its fingerprint covers
VOLATILE = ("architectures", "dtype", "transformers_version")  # not part of an architecture


def locate_model(name: str) -> tuple[Path, str]:
    """The folder of a causal language model, and its address: full path, or Hub id and commit.

    name: a folder, or a Hub id, perhaps with ``@revision``. Raises ModelError when it is missing or
    incomplete.
    """
    if Path(name).is_dir():
        folder = Path(name)
        for file in ("config.json", TOKENIZER):
            if not (folder / file).is_file():
                files = f"config.json, {WEIGHTS}, {TOKENIZER}"
                raise ModelError(f"{folder}: no {file}; give a folder with {files}")
        return folder, str(folder.resolve())
    repo, _, revision = name.partition("@")
    if not is_hub_id(repo):
        remedy = "give one with a language model, or a Hub id"
        raise ModelError(f"{name or 'decoder.model'}: no such folder; {remedy}")
    folder = hub_folder(repo, ["config.json", TOKENIZER, (WEIGHTS, INDEX)], revision or None)
    if not (folder / WEIGHTS).is_file():
        hub_folder(repo, ["config.json", *_weights(folder)], folder.name)
    return folder, f"{repo}@{folder.name}"


def is_hub_id(name: str) -> bool:
    """Whether a name can be a repository on the Hub, and is not meant as a path."""
    return bool(HUB_ID.fullmatch(name)) and not name.startswith((".", "~", "/"))


def fingerprint(folder: Path) -> str:
    """A name for a model that does not need to read all its gigabytes.

    It covers the configuration, and of each weight file the size and a mebibyte at either end.
    """
    digest = hashlib.blake2b((folder / "config.json").read_bytes(), digest_size=8)
    for name in _weights(folder):
        with (folder / name).open("rb") as file:
            size = file.seek(0, 2)
            digest.update(f"{name} {size}".encode())
            for place in (0, max(0, size - EDGE)):
                file.seek(place)
                digest.update(file.read(EDGE))
    return f"lm-{digest.hexdigest()}"


def read_model(folder: Path, dtype: torch.dtype) -> Any:
    """The model in eval mode; code that comes with it is not run. Raises ModelError."""
    from transformers import AutoModelForCausalLM

    for name in _weights(folder):
        if not (folder / name).is_file():
            raise ModelError(f"{folder}: no {name}; the folder is incomplete")
    try:
        with quietly():
            loaded: Any = AutoModelForCausalLM.from_pretrained(
                folder,
                local_files_only=True,
                use_safetensors=True,
                trust_remote_code=False,
                dtype=dtype,
                ignore_mismatched_sizes=True,
                output_loading_info=True,
            )
    except Exception as error:  # of many kinds, as the file is another program's
        reason = f"not a causal language model that transformers can read ({first_line(error)})"
        raise ModelError(f"{folder}: {reason}") from error
    model, report = loaded
    missing = sorted(report["missing_keys"])
    if missing or report["mismatched_keys"]:
        wrong = f"tensor '{missing[0]}' is missing" if missing else "sizes differ from config.json"
        raise ModelError(f"{folder}: {wrong}; the checkpoint is incomplete, or of another model")
    check_finite(dict(model.named_parameters()), folder)
    return model


@torch.inference_mode()
def check_causal(model: Any, name: str) -> None:
    """Raises ModelError when a model's scores depend on later words, or it takes no soft tokens."""
    table = model.get_input_embeddings().weight
    words = table[[0, 1 % len(table)]]
    pairs = torch.stack((words[[0, 0]], words), dim=1)  # [2, 2, width]: the same first word twice
    try:
        scores, others = model(inputs_embeds=pairs).logits[:, 0]
    except (TypeError, ValueError, RuntimeError, AttributeError) as error:
        raise ModelError(f"{name}: cannot read soft tokens ({first_line(error)})") from error
    if float((scores - others).abs().max()) > 1e-3 * float(scores.abs().max()):
        problem = "not a causal language model: its words depend on those that follow"
        raise ModelError(f"{name}: {problem}; give a GPT")


def empty_model(architecture: dict[str, Any], vocab_size: int) -> Any:
    """A model of a configuration, with random weights."""
    from transformers import AutoConfig, AutoModelForCausalLM

    with quietly():
        config = AutoConfig.for_model(**architecture)
        _set_vocabulary(config, vocab_size)
        return AutoModelForCausalLM.from_config(config)


def architecture(model: Any) -> dict[str, Any]:
    """What ``empty_model`` needs, as JSON."""
    return {key: value for key, value in model.config.to_dict().items() if key not in VOLATILE}


def cut(model: Any, pieces: Sequence[int] | Tensor) -> Any:
    """Keep these rows of the embedding and of the head, in this order; tied weights stay tied."""
    embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
    rows = torch.as_tensor(pieces, dtype=torch.long, device=embedding.weight.device)
    tied = head.weight is embedding.weight
    embedding.weight = nn.Parameter(embedding.weight.detach()[rows])
    head.weight = embedding.weight if tied else nn.Parameter(head.weight.detach()[rows])
    if getattr(head, "bias", None) is not None:
        head.bias = nn.Parameter(head.bias.detach()[rows])
    embedding.num_embeddings = head.out_features = len(rows)
    embedding.padding_idx = None
    _set_vocabulary(model.config, len(rows))
    return model


def end_of(model: Any, backend: Any, name: str) -> int:
    """The id that ends a text. Raises ModelError when the tokenizer does not know it."""
    end = model.config.get_text_config().eos_token_id
    end = end[0] if isinstance(end, list) and end else end
    rows, pieces = len(model.get_input_embeddings().weight), backend.get_vocab_size()
    if not isinstance(end, int) or not 0 <= end < rows or backend.id_to_token(end) is None:
        problem = "config.json has no eos_token_id that its tokenizer knows"
        raise ModelError(f"{name}: {problem}; write it there")
    if pieces > rows:
        sizes = f"{pieces:,} pieces in {TOKENIZER}, {rows:,} in the model"
        raise ModelError(f"{name}: {sizes}; they do not belong together")
    return end


def select_rows(cache: Any, rows: Tensor) -> Any:
    """A copy of the cache with these rows of the batch; the original is unchanged."""
    other = copy.copy(cache)
    other.layers = [copy.copy(layer) for layer in cache.layers]
    for layer in other.layers:
        layer.batch_select_indices(rows)
    return other


@contextmanager
def quietly() -> Iterator[None]:
    """Silence the loading report and progress bar of transformers; our errors are one line."""
    from transformers.utils import logging

    level, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bar:
            logging.enable_progress_bar()


def _set_vocabulary(config: Any, size: int) -> None:
    """Our special ids are not known to transformers, so it gets none."""
    text = config.get_text_config()
    text.vocab_size = size
    text.bos_token_id = text.eos_token_id = text.pad_token_id = None


def _weights(folder: Path) -> list[str]:
    """Names of the weight files. Raises ModelError when the folder does not name them."""
    index = folder / INDEX
    if (folder / WEIGHTS).is_file():
        return [WEIGHTS]
    if not index.is_file():
        remedy = "load the model with transformers and save_pretrained it"
        raise ModelError(f"{folder}: no {WEIGHTS}; {remedy}")
    try:
        names = sorted(set(read_json(index)["weight_map"].values()))
    except (KeyError, TypeError, AttributeError) as error:
        problem = "not an index of weight files; is the download complete?"
        raise ModelError(f"{index}: {problem}") from error
    if any(not isinstance(name, str) or "/" in name or "\\" in name for name in names):
        raise ModelError(f"{index}: names files outside its folder; get the model again")
    return names
