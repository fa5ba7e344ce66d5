"""Reading public checkpoints from disk: pickles of tensors, ClapModel folders, and the folders that we write."""

from __future__ import annotations

import hashlib
import pickle
import re
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from wsac.io.console import say
from wsac.io.files import read_json
from wsac.types import ModelError

from .cnn14 import Cnn14
from .families import FAMILIES, Family
from .public_clap import PublicClap, mel_filters, temperature_of
from .state_dicts import audio_config, canonical, text_config

PICKLES = (".pt", ".pth", ".ckpt", ".bin")
OPTIONAL = (
    "num_batches_tracked",
    "position_ids",
    "token_type_ids",
    "relative_position_index",
)  # buffers we make


def load_public(
    path: str | Path, *, tokenizer: str | Path | None = None, device: str = "cpu"
) -> PublicClap:
    """A CLAP from a checkpoint file or folder on disk.

    tokenizer: a folder or tokenizer.json, where the checkpoint has none. Raises ModelError for what cannot be used.
    """
    path = Path(path)
    if path.is_dir():
        model = _ours(path) if (path / "clap.json").is_file() else _transformers(path)
    else:
        model = _from_state(read_tensors(path), str(path))
        model.fingerprint = _fingerprint([path], model)
    if model.tokenizer is None and (found := _find_tokenizer(tokenizer or path)):
        model.tokenizer = read_tokenizer(found)
        model.fingerprint += f"-t{hashlib.sha256(found.read_bytes()).hexdigest()[:8]}"
    if isinstance(model.audio, Cnn14):
        model.audio.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # half the time of its convolutions on a CPU
    return model.eval().to(device)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The state dict of a checkpoint file: safetensors, or a pickle that holds nothing but tensors and numbers.

    Raises ModelError for a file that cannot be read, and for a pickle that would run code.
    """
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(path)
        except (OSError, SafetensorError) as error:
            raise ModelError(f"{path}: cannot be read as safetensors ({error})") from error
    try:
        with path.open("rb") as file:
            kind = file.read(2)
        if kind not in (b"PK", b"\x80\x02"):  # a zip of tensors, or torch's older format
            raise ModelError(f"{path}: not a checkpoint of torch; is the download complete?")
        with warnings.catch_warnings(), torch.serialization.safe_globals(_numpy_scalars()):
            warnings.simplefilter("ignore")
            raw = torch.load(path, map_location="cpu", weights_only=True, mmap=kind == b"PK")
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror or error})") from error
    except pickle.UnpicklingError as error:
        found = re.search(r"GLOBAL (\S+)", str(error))
        raise ModelError(
            f"{path}: holds more than tensors ({found[1] if found else 'of a kind that is not allowed'}); to load it "
            "would run its code, so it is refused; get safetensors, or save its state dict alone where you trust it"
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError) as error:
        raise ModelError(
            f"{path}: not a checkpoint of torch, or cut short ({_first(error)})"
        ) from error
    for name in ("model", "state_dict"):
        if isinstance(raw, dict) and isinstance(raw.get(name), dict):
            raw = raw[name]
            break
    tensors = (
        {name: value for name, value in raw.items() if isinstance(value, Tensor)}
        if isinstance(raw, dict)
        else {}
    )
    if not tensors:
        raise ModelError(f"{path}: no state dict in it; give the checkpoint of a model")
    return tensors


def _numpy_scalars() -> list[Any]:
    """The learning rates of two of the training codes are numpy floats; to read one runs no code of the file."""
    import numpy as np
    from numpy._core import multiarray

    scalar: Any = multiarray.scalar  # type: ignore[attr-defined]
    return [
        (scalar, "numpy.core.multiarray.scalar"),
        (scalar, "numpy._core.multiarray.scalar"),
        np.dtype,
        np.dtypes.Float64DType,
    ]


def _from_state(state: dict[str, Tensor], source: str) -> PublicClap:
    family, tensors, scales = canonical(state, source)
    try:
        audio, text = audio_config(tensors, family), text_config(tensors, family)
        embed_dim = len(tensors["audio_projection.linear1.weight"])
    except KeyError as error:
        raise ModelError(
            f"{source}: a {family.name} checkpoint without {error}; it is incomplete"
        ) from error
    return _build(family, audio, text, embed_dim, tensors, temperature_of(scales), source)


def _build(
    family: Family,
    audio: dict,
    text: dict,
    embed_dim: int,
    tensors: dict[str, Tensor],
    scale: float,
    source: str,
) -> PublicClap:
    from transformers.initialization import no_init_weights

    try:
        with no_init_weights():  # every one of them is read
            model = PublicClap(family, audio, text, embed_dim)
        if (own := tensors.get("log_mel.filters")) is not None:
            apart = (
                float((own - mel_filters(family)).abs().max())
                if own.shape == (513, 64)
                else float("inf")
            )
            if apart > 1e-6:
                say(
                    f"note: {source} has mel filters of its own, up to {apart:.1e} from those of {family.name}; used"
                )
        missing, unknown = model.load_state_dict(
            {
                name: value.float() if value.is_floating_point() else value
                for name, value in tensors.items()
            },
            strict=False,
        )
    except (RuntimeError, ValueError, TypeError) as error:
        raise ModelError(
            f"{source}: does not fit a {family.name} CLAP ({_first(error)})"
        ) from error
    missing = [
        name for name in missing if not name.endswith((*OPTIONAL, "scale", "log_mel.filters"))
    ]
    if missing or unknown:
        what = f"tensor '{missing[0]}' is missing" if missing else f"unknown tensor '{unknown[0]}'"
        raise ModelError(
            f"{source}: {what} in a {family.name} checkpoint; it is incomplete, or of another version"
        )
    model.scale.fill_(scale)
    return model


def _ours(folder: Path) -> PublicClap:
    card = read_json(folder / "clap.json")
    tensors = read_tensors(folder / "clap.safetensors")
    try:
        family = FAMILIES[card["family"]]
        scale = float(tensors.pop("scale"))
        model = _build(
            family, card["audio"], card["text"], card["embed_dim"], tensors, scale, str(folder)
        )
    except KeyError as error:
        raise ModelError(f"{folder}: not a converted CLAP of this version (no {error})") from error
    model.fingerprint = _fingerprint([folder / "clap.json", folder / "clap.safetensors"], model)
    return model


def _transformers(folder: Path) -> PublicClap:
    """A folder in the layout of ClapModel: config.json and model.safetensors, or the older pytorch_model.bin."""
    if not (folder / "config.json").is_file():
        raise ModelError(
            f"{folder}: no CLAP here; give a ClapModel folder (it holds config.json), one written by wsac "
            "convert-clap or train-clap, or a checkpoint file"
        )
    raw = read_json(folder / "config.json")
    if raw.get("model_type") != "clap":
        raise ModelError(f"{folder}: a model of type {raw.get('model_type')!r}, not clap")
    weights = next(
        (folder / n for n in ("model.safetensors", "pytorch_model.bin") if (folder / n).is_file()),
        None,
    )
    if weights is None:
        raise ModelError(f"{folder}: no model.safetensors; the folder is incomplete")
    from transformers import ClapConfig

    config = ClapConfig(**{key: value for key, value in raw.items() if key != "model_type"})
    family, tensors, scales = canonical(read_tensors(weights), str(folder))
    audio_part, text_part = cast("Any", config.audio_config), cast("Any", config.text_config)
    audio, text = audio_part.to_diff_dict(), text_part.to_diff_dict()
    for part in (audio, text):
        for key in ("model_type", "transformers_version", "dtype", "architectures"):
            part.pop(key, None)
    audio.setdefault("hidden_size", audio_part.hidden_size)
    text.setdefault("hidden_size", text_part.hidden_size)
    model = _build(
        family, audio, text, config.projection_dim, tensors, temperature_of(scales), str(folder)
    )
    model.fingerprint = _fingerprint([folder / "config.json", weights], model)
    return model


def _fingerprint(paths: Iterable[Path], model: PublicClap) -> str:
    """Everything that an embedding depends on: the bytes of the files, family, crop policy, precision."""
    found = hashlib.blake2b(digest_size=8)
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(1 << 24):
                found.update(block)
    return f"{model.family.name}-{found.hexdigest()}-w{model.window_seconds:g}-float32"


def _find_tokenizer(place: str | Path) -> Path | None:
    place = Path(place)
    if not place.exists():
        raise ModelError(f"{place}: no such tokenizer; give a folder or a tokenizer.json")
    for candidate in (place, place / "tokenizer.json", place.parent / "tokenizer.json"):
        if candidate.is_file() and candidate.name.endswith(".json"):
            return candidate
    return None


def read_tokenizer(path: Path) -> Any:
    """A tokenizer.json, without truncation and padding. Raises ModelError when it is none."""
    from tokenizers import Tokenizer

    try:
        found = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises plain Exceptions
        raise ModelError(f"{path}: not a tokenizer.json ({_first(error)})") from error
    found.no_truncation()
    found.no_padding()
    return found


def _first(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
