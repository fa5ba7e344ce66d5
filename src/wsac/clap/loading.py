"""Load any CLAP by its name or path."""

from __future__ import annotations

import re
from pathlib import Path

from wsac.arrays import WITH_TORCH, need_torch
from wsac.io.files import read_json
from wsac.io.hub import hub_address
from wsac.runtime.device import pick_device
from wsac.types import ModelError

from .encoder import ClapEncoder
from .pocket.pocket_config import BUNDLED as BUNDLED

WAYS = ("raw", "crop=laion")  # captions are not cleaned; sounds are as long as librosa makes them


def load_clap(
    name: str | Path = "pocket",
    *,
    device: str = "cpu",
    tokenizer: str | Path | None = None,
    offline: bool = False,
) -> ClapEncoder:
    """Load a CLAP by name or path.

    name: ``"pocket"``, the built-in model; a folder of ``wsac train-clap``, of ``wsac
    convert-clap`` or in the layout of transformers' ClapModel; a checkpoint file (.pt, .pth,
    .safetensors) of WavCaps, MS-CLAP or LAION; or a name of ``wsac clap list`` or on the Hub,
    perhaps with ``hf://`` before it or ``@revision`` behind, which is downloaded. Behind it may
    stand ``#raw`` (captions as they are, where WavCaps' code cleans them) and ``#crop=laion``
    (sounds as long as laion_clap makes them); other CLAPs ignore both. tokenizer: a folder or
    tokenizer.json for a checkpoint file without one. device: cpu, cuda or auto. offline:
    use the Hub's cache only. The encoder's ``source`` loads it again. Raises ModelError when there
    is no such model.
    """
    device, ways = pick_device(device), list[str]()
    while not Path(name).exists() and (mark := re.search("#([^#]*)$", str(name))):
        name = str(name)[: mark.start()]
        if mark[1] not in WAYS:
            known = " or ".join(f"#{way}" for way in WAYS)
            raise ModelError(f"{name}#{mark[1]}: '#{mark[1]}' is not known; {known} may follow")
        ways.insert(0, mark[1])
    path, address = BUNDLED if str(name) == "pocket" else Path(name), hub_address(name)
    if not address and (card := path / "clap.json").is_file():
        if not isinstance(facts := read_json(card), dict):
            raise ModelError(f"{card}: damaged, or not of a CLAP; get or make the model again")
        if facts.get("kind") == "pocket":
            if not WITH_TORCH:
                from .pocket.onnx_clap import OnnxClap

                return OnnxClap.load(path)
            from .pocket.pocket_clap import PocketClap

            return PocketClap.load(path, device=device)
        if not WITH_TORCH:
            from .public.onnx_public_clap import OnnxPublicClap

            return OnnxPublicClap.load(path)
    need_torch(f"the CLAP {name}", ModelError)
    from .public.checkpoints import PICKLES, load_public

    source = address or str(name)
    if not address and path.exists():
        source = str(path.resolve())
    elif not address and (
        path.suffix in (*PICKLES, ".safetensors")
        or path.is_absolute()
        or source.startswith((".", "~"))
    ):
        raise ModelError(f"{name}: no such file or folder; check the path")
    else:
        from .public.catalog import CATALOG, fetch

        try:
            path, words = fetch(source, offline=offline)
        except ModelError as error:
            if address or source.partition("@")[0] in CATALOG:
                raise
            raise ModelError(f"no file or folder {name} here, and {error}") from error
        tokenizer = tokenizer or words
    model = load_public(path, tokenizer=tokenizer, device=device)
    model.source = source
    for way in ways:
        model.source += f"#{way}" if model.use(way) else ""
    return model
