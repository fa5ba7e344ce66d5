"""Load any CLAP by its name or path."""

from __future__ import annotations

from pathlib import Path

from wsac.clap.encoder import ClapEncoder
from wsac.io.files import read_json
from wsac.types import ModelError

BUNDLED = Path(__file__).parent.parent / "weights" / "pocket-clap"


def load_clap(
    name: str | Path = "pocket",
    *,
    device: str = "cpu",
    tokenizer: str | Path | None = None,
    offline: bool = False,
) -> ClapEncoder:
    """Load a CLAP by name or path.

    name: ``"pocket"``, the built-in model; a folder of ``wsac train-clap``, of ``wsac convert-clap`` or in the layout
    of transformers' ClapModel; a checkpoint file (.pt, .pth, .safetensors) of WavCaps, MS-CLAP or LAION; or a name of
    ``wsac clap list`` or on the Hub, perhaps with ``@revision``, which is downloaded.
    tokenizer: a folder or tokenizer.json for a checkpoint file without one. offline: only what the Hub's cache has.
    The encoder's ``source`` is what loads it again. Raises ModelError when there is no such model.
    """
    path = BUNDLED if str(name) == "pocket" else Path(name)
    if (path / "clap.json").is_file() and read_json(path / "clap.json").get("kind") == "pocket":
        from wsac.clap.pocket.pocket_clap import PocketClap

        return PocketClap.load(path, device=device)
    from wsac.clap.public.checkpoints import PICKLES, load_public

    if path.exists():
        model = load_public(path, tokenizer=tokenizer, device=device)
        model.source = str(path.resolve())
    elif (
        path.suffix in (*PICKLES, ".safetensors")
        or path.is_absolute()
        or str(name).startswith((".", "~"))
    ):
        raise ModelError(f"{name}: no such file or folder; check the path")
    else:
        from wsac.clap.public.catalog import CATALOG, fetch

        try:
            found, beside = fetch(str(name), offline=offline)
        except ModelError as error:
            if str(name).partition("@")[0] in CATALOG:
                raise
            raise ModelError(f"no file or folder {name} here, and {error}") from error
        model = load_public(found, tokenizer=tokenizer or beside, device=device)
        model.source = str(name)
    return model
