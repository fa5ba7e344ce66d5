"""Causal language models of others, from a folder or the Hub: read as data, checked, cut to a vocabulary."""

from __future__ import annotations

import copy
import hashlib
import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from wsac.io.files import read_json
from wsac.io.hub import HUB_ID, hub_folder
from wsac.types import ModelError

INDEX = "model.safetensors.index.json"
TOKENIZER = "tokenizer.json"
EDGE = 1 << 20  # bytes of a weight file, at either end, that its fingerprint is made of


def find_model(name: str) -> tuple[Path, str]:
    """The folder of a causal language model, and what finds it again: its full path, or its Hub id and commit.

    name: a folder, or a Hub id, perhaps with ``@revision``. Raises ModelError when it is not there or not whole.
    """
    if Path(name).is_dir():
        folder, source = Path(name), str(Path(name).resolve())
        for file in ("config.json", TOKENIZER):
            if not (folder / file).is_file():
                raise ModelError(
                    f"{folder}: no {file}; give a folder with config.json, model.safetensors, {TOKENIZER}"
                )
        return folder, source
    repo, _, revision = name.partition("@")
    if not HUB_ID.fullmatch(repo) or name.startswith((".", "~", "/")):
        raise ModelError(
            f"{name or 'decoder.model'}: no such folder; give one with a language model, or a Hub id"
        )
    wanted: list[str | tuple[str, ...]] = ["config.json", TOKENIZER, ("model.safetensors", INDEX)]
    folder = hub_folder(repo, wanted, revision or None)
    if not (folder / "model.safetensors").is_file():
        hub_folder(repo, ["config.json", *_shards(folder)], folder.name)
    return folder, f"{repo}@{folder.name}"


def fingerprint(folder: Path) -> str:
    """A name for a model that does not need all of its gigabytes: its configuration, and of each weight file the size
    and a mebibyte at either end."""
    found = hashlib.blake2b((folder / "config.json").read_bytes(), digest_size=8)
    for name in _weights(folder):
        with (folder / name).open("rb") as file:
            size = file.seek(0, 2)
            found.update(f"{name} {size}".encode())
            for place in (0, max(0, size - EDGE)):
                file.seek(place)
                found.update(file.read(EDGE))
    return f"lm-{found.hexdigest()}"


def read_model(folder: Path, dtype: torch.dtype) -> Any:
    """The model in ``eval`` mode; code that came with it is not run. Raises ModelError for what is no causal LM."""
    from transformers import AutoModelForCausalLM

    _weights(folder)
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
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise ModelError(
            f"{folder}: not a causal language model that transformers can read ({reason})"
        ) from error
    model, report = loaded
    missing = sorted(report["missing_keys"])
    if missing or report["mismatched_keys"]:
        wrong = f"tensor '{missing[0]}' is missing" if missing else "sizes differ from config.json"
        raise ModelError(f"{folder}: {wrong}; the checkpoint is incomplete, or of another model")
    return model


@torch.inference_mode()
def check_causal(model: Any, name: str) -> None:
    """Raises ModelError when what a model says of a word depends on the words after it, or it takes no soft tokens."""
    table = model.get_input_embeddings().weight
    words = table[[0, 1 % len(table)]]
    try:
        one, two = (
            model(inputs_embeds=torch.stack((words[0], last))[None]).logits[0, 0] for last in words
        )
    except (TypeError, ValueError, RuntimeError, AttributeError) as error:
        raise ModelError(
            f"{name}: cannot be given soft tokens ({str(error).splitlines()[0][:200]})"
        ) from error
    if float((one - two).abs().max()) > 1e-3 * float(one.abs().max()):
        raise ModelError(
            f"{name}: not a causal language model: its words depend on those that follow; give a GPT"
        )


def empty_model(architecture: dict[str, Any], vocab_size: int) -> Any:
    """A model of a configuration, with random weights."""
    from transformers import AutoConfig, AutoModelForCausalLM

    with quietly():
        config = AutoConfig.for_model(**architecture)
        _plain(config, vocab_size)
        return AutoModelForCausalLM.from_config(config)


def architecture(model: Any) -> dict[str, Any]:
    """What ``empty_model`` needs, as JSON has it."""
    facts = model.config.to_dict()
    return {
        key: value
        for key, value in facts.items()
        if key not in ("architectures", "dtype", "transformers_version")
    }


def cut(model: Any, kept: Sequence[int] | Tensor) -> Any:
    """Keep so many rows of the embedding and of the head, in this order; tied weights stay tied."""
    embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
    rows = torch.as_tensor(kept, dtype=torch.long, device=embedding.weight.device)
    tied = head.weight is embedding.weight
    embedding.weight = nn.Parameter(embedding.weight.detach()[rows])
    head.weight = embedding.weight if tied else nn.Parameter(head.weight.detach()[rows])
    if getattr(head, "bias", None) is not None:
        head.bias = nn.Parameter(head.bias.detach()[rows])
    embedding.num_embeddings = head.out_features = len(rows)
    embedding.padding_idx = None
    _plain(model.config, len(rows))
    return model


def end_of(model: Any, backend: Any, name: str) -> int:
    """The id that ends a text. Raises ModelError when the model names none that its tokenizer has."""
    found = model.config.get_text_config().eos_token_id
    found = found[0] if isinstance(found, list) and found else found
    rows = len(model.get_input_embeddings().weight)
    if not isinstance(found, int) or not 0 <= found < rows or backend.id_to_token(found) is None:
        raise ModelError(
            f"{name}: config.json has no eos_token_id that its tokenizer knows; write it there"
        )
    if backend.get_vocab_size() > rows:
        raise ModelError(
            f"{name}: {backend.get_vocab_size():,} pieces in {TOKENIZER}, {rows:,} in the model; they do "
            "not belong together"
        )
    return found


def new_cache(model: Any) -> Any:
    """An empty KV cache that grows with what is read."""
    from transformers import DynamicCache

    return DynamicCache(config=model.config)


def select_rows(cache: Any, rows: Tensor) -> Any:
    """Another cache with these rows of the batch; the first stays as it is."""
    other = copy.copy(cache)
    other.layers = [copy.copy(layer) for layer in cache.layers]
    for layer in other.layers:
        layer.batch_select_indices(rows)
    return other


def takes(model: Any, option: str) -> bool:
    """Whether its forward has a parameter of this name."""
    return option in inspect.signature(model.forward).parameters


@contextmanager
def quietly() -> Iterator[None]:
    """Without the loading report and the bar of transformers; what is wrong is said in one line of ours."""
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


def _plain(config: Any, vocab_size: int) -> None:
    """Sizes of the cut vocabulary, in which the special tokens have other ids: ours are not known to transformers."""
    text = config.get_text_config()
    text.vocab_size = vocab_size
    text.bos_token_id = text.eos_token_id = text.pad_token_id = None


def _weights(folder: Path) -> list[str]:
    if (folder / "model.safetensors").is_file():
        return ["model.safetensors"]
    if not (folder / INDEX).is_file():
        raise ModelError(
            f"{folder}: no model.safetensors; load the model with transformers and save_pretrained it"
        )
    shards = _shards(folder)
    for name in shards:
        if not (folder / name).is_file():
            raise ModelError(f"{folder}: no {name}; the folder is incomplete")
    return shards


def _shards(folder: Path) -> list[str]:
    try:
        names = sorted(set(read_json(folder / INDEX)["weight_map"].values()))
    except (KeyError, TypeError, AttributeError) as error:
        raise ModelError(
            f"{folder / INDEX}: not an index of weight files; is the download complete?"
        ) from error
    if any(not isinstance(name, str) or "/" in name or "\\" in name for name in names):
        raise ModelError(f"{folder / INDEX}: names files outside its folder; get the model again")
    return names
