"""``wsac download``: what others publish and a strong captioner needs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Argument, Option

from wsac.io.console import say
from wsac.types import WsacError

from . import common_options as common

if TYPE_CHECKING:
    from wsac.data.captions.caption_sets import CaptionSet

download = typer.Typer(name="download", help="Get the official caption files.", **common.PLAIN)


@download.callback()
def _group() -> None: ...


@download.command()
def captions(
    names: Annotated[
        list[str] | None, Argument(metavar="SET...", help="Without one they are listed.")
    ] = None,
    out: Annotated[Path, common.Folder] = Path("captions"),
    accept: Annotated[
        bool, Option("--accept-licences", help="Accept the licences, without a question.")
    ] = False,
    as_json: common.Json = False,
) -> None:
    """Get the official captions of clotho, audiocaps and wavcaps.

    A stopped download is resumed. Files are checked against their published checksums.

    wsac download captions clotho audiocaps wavcaps
    """
    from dataclasses import asdict

    from wsac.data.captions.caption_sets import CAPTION_SETS, fetch_captions

    if not names:
        sets = [asdict(each) for each in CAPTION_SETS.values()]
        keys = ("name", "megabytes", "licence", "terms")
        cells = [[each[key] for key in keys] for each in sets]
        common.show(as_json, sets, "", ("name", "MB>", "licence", "terms"), cells)
        return
    rows = fetch_captions(names, out, lambda each: accept or _ask(each))
    cells = [[row["file"], f"{row['captions']:,}", f"{row['left_out']:,}"] for row in rows]
    common.show(as_json, rows, f"{out}", ("file", "captions>", "left out>"), cells)
    train = [f" -c {out / row['file']}" for row in rows if row["file"].startswith("train/")]
    own = out == Path("captions") and len(train) == len(CAPTION_SETS)  # what the recipes name
    say(f"done: wsac train --recipe laion{'' if own else ''.join(train)} --out runs/strong")


def _ask(each: CaptionSet) -> bool:
    """Show a licence, and ask for it. Raises WsacError where nobody can answer."""
    say(f"{each.title}: {each.licence}; {each.terms}")
    if not sys.stdin.isatty():
        what = "its licence is not accepted; read it, then give --accept-licences"
        raise WsacError(f"{each.title}: {what}")
    return typer.confirm("Do you accept it?", err=True)
