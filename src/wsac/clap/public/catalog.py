"""The public CLAPs: the front ends of their families, and the checkpoints known by name."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from wsac.io.hub import HUB_ID, hub_file, hub_folder
from wsac.types import ModelError

# The files of a folder in the layout of transformers' ClapModel.
CLAP_FOLDER = ("config.json", ("model.safetensors", "pytorch_model.bin"), "tokenizer.json")


@dataclass(frozen=True, slots=True)
class Family:
    """The front end that a family of checkpoints was trained with.

    sample_rate: Hz. hop: samples between frames of 1,024. window_seconds: the clip its authors
    embed at once; longer sounds are cut into such windows. shorter: what happens to a shorter clip:
    nothing, whole repeats and then zeros up to the window, or tiling and a cut. mel: scale and norm
    of the filters. mel_rate: the rate they are made for; in MS-CLAP 2023 it differs from the rate
    of the audio. text: the architecture of the text tower. text_tokens: the longest caption.
    text_epsilon: of the layer norms of the text tower. projection: of both towers. tokenizer: the
    repository of the vocabulary on the Hub. int16: samples are rounded to 16 bits first. fused: the
    tower wants four channels and a flag for longer clips; our crop policy makes no longer clips.
    cleaned: captions lose their case and punctuation.
    """

    name: str
    sample_rate: int
    hop: int
    window_seconds: float
    shorter: Literal["as it is", "repeat", "tile"]
    mel: Literal["slaney", "htk"]
    mel_rate: int
    text: Literal["bert", "roberta", "gpt2"]
    text_tokens: int
    text_epsilon: float
    projection: Literal["mlp", "residual"]
    tokenizer: str
    int16: bool = False
    fused: bool = False
    cleaned: bool = False


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A published CLAP. repo, file: its place on the Hub; without a file the repo is a ClapModel
    folder.

    dim: D. overlap: what it has seen of Clotho and AudioCaps, as published; results on those are
    not zero-shot. manual: where to download it by hand when it is not on the Hub.
    """

    name: str
    family: str
    repo: str = ""
    file: str = ""
    dim: int = 0
    licence: str = ""
    overlap: str = ""
    manual: str = ""


_TABLES = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
FAMILIES = {name: Family(name, **row) for name, row in _TABLES["families"].items()}
CATALOG = {row["name"]: Checkpoint(**row) for row in _TABLES["checkpoints"]}


def fetch(name: str, *, offline: bool = False) -> tuple[Path, Path | None]:
    """Download a checkpoint of the catalogue, or any ``owner/model`` on the Hub, with the tokenizer
    it needs.

    name may end in ``@revision`` (a commit, tag or branch); the default is the branch main. Returns
    the file or folder, and the tokenizer.json where that lies elsewhere. Downloads are resumed,
    stored in the Hub's cache (HF_HOME) and checked against their published SHA-256. offline (or
    HF_HUB_OFFLINE): use the cache only. Raises ModelError when the checkpoint is unknown,
    unreachable or incomplete.
    """
    name, _, revision = name.partition("@")
    entry = CATALOG.get(name)
    if entry is None and HUB_ID.fullmatch(name):
        entry = Checkpoint(name, "transformers", name)
    if entry is None:
        raise ModelError(f"{name}: no CLAP of this name; wsac clap list shows those that are known")
    if not entry.repo:
        where = f"download {entry.file} from {entry.manual}"
        raise ModelError(f"{name}: not on the Hub; {where} and give its path instead")
    if not entry.file:
        return hub_folder(entry.repo, CLAP_FOLDER, revision or None, offline=offline), None
    path = hub_file(entry.repo, entry.file, revision or None, offline=offline)
    return path, hub_file(FAMILIES[entry.family].tokenizer, "tokenizer.json", offline=offline)
