"""Where the folder of a captioner is, and whether it holds one: known before torch is imported."""

from __future__ import annotations

from pathlib import Path

from wsac.io.files import settle
from wsac.io.hub import HUB_ID, hub_address
from wsac.types import ModelError

from .hub_captioner import CARD, fetch_captioner

BUNDLED_CAPTIONER = Path(__file__).parents[1] / "weights" / "captioner"


def find_captioner(name: str | Path) -> Path:
    """The folder of a captioner, by its path or as "pocket", the built-in captioner."""
    return BUNDLED_CAPTIONER if str(name) == "pocket" else Path(name)


def published(name: str | Path) -> str:
    """``owner/name`` of a captioner on the Hub, perhaps with ``@revision``; "" of a folder.

    ``hf://owner/name`` always is one. ``owner/name`` is one unless a folder ``owner`` is here, so
    that a misspelt ``runs/mine`` asks nobody.
    """
    if address := hub_address(name):
        return address
    owner = str(name).partition("/")[0]
    is_repo = HUB_ID.fullmatch(str(name).partition("@")[0]) and not owner.startswith((".", "~"))
    return str(name) if is_repo and not Path(owner).exists() else ""


def check_captioner(name: str | Path, *, change: bool = False) -> Path:
    """The folder of a captioner; one on the Hub is downloaded. Raises ModelError where there is
    none.

    change: it is to be changed, so one on the Hub is refused.
    """
    if not str(name):
        raise ModelError("an empty name of a captioner; give a folder of wsac train, or pocket")
    if address := published(name):
        if change:
            what = "no such folder; a captioner on the Hub is changed or pushed from a folder"
            raise ModelError(f"{name}: {what}: Captioner.from_pretrained(…).save(FOLDER)")
        try:
            return fetch_captioner(*address.split("@", 1))
        except ModelError as error:
            if hub_address(name):
                raise
            raise ModelError(f"no folder {name} here, and {error}") from error
    folder = find_captioner(name)
    settle(folder)
    if not (folder / CARD).is_file():
        if (folder / "recipe.toml").is_file():
            raise ModelError(f"{name}: an unfinished run; give its wsac train command again")
        raise ModelError(f"{name}: no captioner here; give a folder of wsac train, or pocket")
    return folder
