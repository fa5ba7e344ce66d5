"""A public CLAP by onnxruntime: the folder of ``PublicClap.save`` with two graphs."""

from __future__ import annotations

import shutil
from pathlib import Path

from wsac.arrays import torch
from wsac.clap.encoder import GRAPHS
from wsac.io.checked_json import FILES, check_file, check_record
from wsac.io.files import atomic_update, read_json, settle
from wsac.io.tensors import read_tensors
from wsac.runtime.onnx_session import NO_GRAPHS, Session
from wsac.types import ModelError

from .catalog import FAMILIES
from .public_encoder import N_FFT, PublicEncoder, log_mel_decibels
from .tokenizer_file import read_tokenizer

PARTS = ("clap.safetensors", "tokenizer.json", *GRAPHS)


class OnnxPublicClap(PublicEncoder):
    """A PublicEncoder that needs no torch."""

    folder: Path  # that it was read from

    @classmethod
    def load(cls, folder: str | Path) -> OnnxPublicClap:
        """Read what ``wsac export --light`` wrote. Raises ModelError when it is incomplete."""
        folder, clap = Path(folder), cls()
        settle(folder)
        card = read_json(folder / "clap.json")
        check_record(folder / "clap.json", card)
        if not all((folder / name).is_file() for name in GRAPHS):
            raise ModelError(f"{folder}: {NO_GRAPHS}")
        for name in PARTS[1:]:
            check_file(folder / name, card)
        try:
            family = FAMILIES[card["family"]]
            config = {key: card[key] for key in ("family", "audio", "text", "embed_dim")}
            words = read_tokenizer(folder / "tokenizer.json", family)
            weights = read_tensors(folder / PARTS[0], card[FILES][PARTS[0]])[0]
            window, filters = torch.hann_window(N_FFT), weights["log_mel.filters"]
            clap.describe(family, config, words)
            clap.scale = weights["scale"]
            clap.folder, fingerprint = folder, card["fingerprint"]
            audio, text = (Session(folder / name, weights) for name in GRAPHS)
        except (LookupError, ValueError, OSError) as error:
            raise ModelError(f"{folder}: not a CLAP of this version ({error})") from error
        clap.log_mel = lambda x: log_mel_decibels(x, window, filters, family.hop)
        clap.audio_tower = lambda log_mel: audio(log_mel)[0]
        clap.text_tower = lambda ids, mask: text(ids, mask)[0]
        for way in card.get("ways", ()):
            clap.use(way)
        clap.fingerprint = fingerprint
        return clap

    def save(self, folder: str | Path) -> None:
        """Copy ``folder``."""
        with atomic_update(Path(folder), whole=GRAPHS) as part:
            for name in (*PARTS, "clap.json"):
                shutil.copyfile(self.folder / name, part / name)
