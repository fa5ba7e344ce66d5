"""Where the folder of a captioner is, and whether it holds one: known before torch is imported."""

from __future__ import annotations

from pathlib import Path

from wsac.io.files import settle
from wsac.types import ModelError

BUNDLED_CAPTIONER = Path(__file__).parents[1] / "weights" / "captioner"
CARD = "captioner.json"


def find_captioner(name: str | Path) -> Path:
    """The folder of a captioner, by its path or as "pocket", the built-in captioner."""
    return BUNDLED_CAPTIONER if str(name) == "pocket" else Path(name)


def check_captioner(name: str | Path) -> Path:
    """The folder of a captioner. Raises ModelError where there is none."""
    if not str(name):
        raise ModelError("an empty name of a captioner; give a folder of wsac train, or pocket")
    folder = find_captioner(name)
    settle(folder)
    if not (folder / CARD).is_file():
        if (folder / "recipe.toml").is_file():
            raise ModelError(f"{name}: an unfinished run; give its wsac train command again")
        raise ModelError(f"{name}: no captioner here; give a folder of wsac train, or pocket")
    return folder
