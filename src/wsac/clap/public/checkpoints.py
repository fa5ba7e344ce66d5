"""Reading public CLAPs from disk: pickles of tensors, ClapModel folders, and converted folders."""

from __future__ import annotations

import hashlib
import pickle
import re
import warnings
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from wsac.io.checked_json import FILES, check_file, check_record
from wsac.io.console import say
from wsac.io.files import read_json, settle
from wsac.io.tensors import check, check_finite
from wsac.types import ModelError, first_line

from .catalog import CLAP_FOLDER, FAMILIES, Family
from .public_clap import PublicClap, mel_filters, temperature_of
from .state_dicts import audio_config, canonical, text_config
from .tokenizer_file import read_tokenizer

PICKLES = (".pt", ".pth", ".ckpt", ".bin")
# Buffers that PublicClap makes itself.
OPTIONAL = (
    *("num_batches_tracked", "position_ids", "token_type_ids", "relative_position_index"),
    *("scale", "log_mel.filters"),
)


def load_public(
    path: str | Path, *, tokenizer: str | Path | None = None, device: str = "cpu"
) -> PublicClap:
    """Load a CLAP from a checkpoint file or folder on disk.

    tokenizer: a folder or tokenizer.json, where the checkpoint has none. Raises ModelError when it
    cannot be used.
    """
    path = Path(path)
    if not path.is_dir():
        model, files = _from_state(read_tensors(path), str(path)), [path]
    elif (path / "clap.json").is_file():
        model, files = _converted(path)
    else:
        model, files = _transformers(path)
    own = read_json(files[0]).get("fingerprint") if files[0].name == "clap.json" else None
    model.fingerprint = own or _fingerprint(files, model)
    if model.tokenizer is None and (words := _find_tokenizer(Path(tokenizer or path))):
        model.tokenizer = read_tokenizer(words, model.family)
        if not own:
            model.fingerprint += f"-t{hashlib.sha256(words.read_bytes()).hexdigest()[:8]}"
    return model.eval().to(device)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The state dict of a checkpoint file: safetensors, or a pickle of nothing but tensors and
    numbers.

    Raises ModelError for a file that cannot be read or holds values that are not finite, and for a
    pickle that would run code.
    """
    tensors = _read_any(path)
    check_finite(tensors, path)
    return tensors


def _read_any(path: Path) -> dict[str, Tensor]:
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(path)
        except (OSError, SafetensorError) as error:
            raise ModelError(f"{path}: cannot be read as safetensors ({error})") from error
    try:
        with path.open("rb") as file:
            magic = file.read(2)
        if magic not in (b"PK", b"\x80\x02"):  # a zip of tensors, or torch's older format
            raise ModelError(f"{path}: not a checkpoint of torch; is the download complete?")
        with warnings.catch_warnings(), torch.serialization.safe_globals(_numpy_scalars()):
            warnings.simplefilter("ignore")
            raw = torch.load(path, map_location="cpu", weights_only=True, mmap=magic == b"PK")
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror or error})") from error
    except pickle.UnpicklingError as error:
        culprit = re.search(r"GLOBAL (\S+)", str(error))
        content = culprit[1] if culprit else "of a kind that is not allowed"
        raise ModelError(
            f"{path}: holds more than tensors ({content}); loading it would run its code, so it is "
            "refused; get safetensors, or save its state dict alone where you trust it"
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError) as error:
        reason = first_line(error)
        raise ModelError(f"{path}: not a checkpoint of torch, or cut short ({reason})") from error
    raw = raw if isinstance(raw, dict) else {}
    inner = (raw[key] for key in ("model", "state_dict") if isinstance(raw.get(key), dict))
    items = next(inner, raw).items()
    if tensors := {name: value for name, value in items if isinstance(value, Tensor)}:
        return tensors
    raise ModelError(f"{path}: no state dict in it; give the checkpoint of a model")


def _numpy_scalars() -> list[Any]:
    """Two training codes save learning rates as numpy floats; reading those runs no code."""
    import numpy as np

    scalar = np.float64().__reduce__()[0]
    names = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")
    return [*((scalar, name) for name in names), np.dtype, np.dtypes.Float64DType]


def _from_state(state: dict[str, Tensor], source: str) -> PublicClap:
    family, tensors, scales = canonical(state, source)
    try:
        audio, text = audio_config(tensors, family), text_config(tensors, family)
        embed_dim = len(tensors["audio_projection.linear1.weight"])
    except KeyError as error:
        what = f"a {family.name} checkpoint without {error}"
        raise ModelError(f"{source}: {what}; it is incomplete") from error
    return _build(family, (audio, text, embed_dim), tensors, temperature_of(scales), source)


def _build(
    family: Family,
    sizes: tuple[dict[str, Any], dict[str, Any], int],
    tensors: dict[str, Tensor],
    temperature: float,
    source: str,
) -> PublicClap:
    """sizes: the arguments of PublicClap after the family."""
    from transformers.initialization import no_init_weights

    values = {name: v.float() if v.is_floating_point() else v for name, v in tensors.items()}
    try:
        with no_init_weights():  # all of them are read
            model = PublicClap(family, *sizes)
        if (own := tensors.get("log_mel.filters")) is not None:
            standard = mel_filters(family)
            same = own.shape == standard.shape
            apart = float((own - standard).abs().max()) if same else float("inf")
            if apart > 1e-6:
                whose = f"up to {apart:.1e} from those of {family.name}"
                say(f"note: {source} has its own mel filters, {whose}; they are used")
        missing, unknown = model.load_state_dict(values, strict=False)
    except (RuntimeError, ValueError, TypeError) as error:
        reason = first_line(error)
        raise ModelError(f"{source}: does not fit a {family.name} CLAP ({reason})") from error
    missing = [name for name in missing if not name.endswith(OPTIONAL)]
    if missing or unknown:
        what = f"tensor '{missing[0]}' is missing" if missing else f"unknown tensor '{unknown[0]}'"
        where = f"{what} in a {family.name} checkpoint"
        raise ModelError(f"{source}: {where}; it is incomplete, or of another version")
    model.scale.fill_(temperature)
    return model


def _converted(folder: Path) -> tuple[PublicClap, list[Path]]:
    """A folder of ``wsac convert-clap``, and the files that its embeddings depend on."""
    files = [folder / "clap.json", folder / "clap.safetensors"]
    settle(folder)
    card, tensors = read_json(files[0]), read_tensors(files[1])
    check_record(files[0], card)
    for name, checksum in card.get(FILES, {}).items():
        if name == files[1].name:
            check(files[1], checksum)
        else:
            check_file(folder / name, card)
    try:
        family, temperature = FAMILIES[card["family"]], float(tensors.pop("scale"))
        sizes = card["audio"], card["text"], card["embed_dim"]
    except KeyError as error:
        raise ModelError(f"{folder}: not a converted CLAP of this version (no {error})") from error
    model = _build(family, sizes, tensors, temperature, str(folder))
    for way in card.get("ways", ()):
        model.use(way)
    return model, files


def _transformers(folder: Path) -> tuple[PublicClap, list[Path]]:
    """A folder in the layout of ClapModel, and the files that its embeddings depend on."""
    card = folder / CLAP_FOLDER[0]
    if not card.is_file():
        raise ModelError(
            f"{folder}: no CLAP here; give a ClapModel folder (it holds config.json), one written "
            "by wsac convert-clap or train-clap, or a checkpoint file"
        )
    raw = read_json(card)
    if (kind := raw.pop("model_type", None)) != "clap":
        raise ModelError(f"{folder}: a model of type {kind!r}, not clap")
    weights = next((folder / n for n in CLAP_FOLDER[1] if (folder / n).is_file()), None)
    if weights is None:
        raise ModelError(f"{folder}: no model.safetensors; the folder is incomplete")
    from transformers import ClapConfig

    config = ClapConfig(**raw)
    family, tensors, scales = canonical(read_tensors(weights), str(folder))
    parts = []
    for part in cast("Any", (config.audio_config, config.text_config)):
        changed = part.to_diff_dict()
        changed.setdefault("hidden_size", part.hidden_size)
        for key in ("model_type", "transformers_version", "dtype", "architectures"):
            changed.pop(key, None)
        parts.append(changed)
    sizes = parts[0], parts[1], config.projection_dim
    model = _build(family, sizes, tensors, temperature_of(scales), str(folder))
    return model, [card, weights]


def _fingerprint(files: list[Path], model: PublicClap) -> str:
    """All that an embedding depends on: the bytes of the files, family, crop policy, precision."""
    digest = hashlib.blake2b(digest_size=8)
    for path in files:
        with path.open("rb") as file:
            hashlib.file_digest(file, lambda: digest)
    if model.family.text == "gpt2":
        digest.update(b"! is special")
    return f"{model.family.name}-{digest.hexdigest()}-w{model.window_seconds:g}-float32"


def _find_tokenizer(place: Path) -> Path | None:
    if not place.exists():
        raise ModelError(f"{place}: no such tokenizer; give a folder or a tokenizer.json")
    candidates = (place, place / "tokenizer.json", place.parent / "tokenizer.json")
    return next((path for path in candidates if path.suffix == ".json" and path.is_file()), None)
