"""The verbs that take a captioner elsewhere: ``wsac export`` and ``wsac push``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, cast

from typer import Argument, Option

from wsac.io.console import print_json, say
from wsac.types import RecipeError

from . import common_options as common


def export(
    model: Annotated[
        str, Argument(help="pocket, a run folder or owner/name.", metavar="[RUN]")
    ] = "pocket",
    onnx: Annotated[Path | None, Option(help="The new folder to write.")] = None,
    light: Annotated[
        bool, Option("--light", help="Add the graphs to RUN, for a wsac without torch.")
    ] = False,
    bridge: common.Bridge = None,
    gap: common.Gap = None,
    decoder_only: Annotated[bool, Option("--decoder-only", help="No audio tower.")] = False,
    clap: common.MovedClap = None,
    as_json: common.Json = False,
) -> None:
    """Write a captioner as ONNX graphs.

    They run in onnxruntime, without torch and without wsac.

    wsac export --onnx pocket-onnx
    """
    from wsac.inference.captioner_folder import check_captioner

    check_captioner(model)
    from wsac.inference.captioner import Captioner
    from wsac.inference.onnx.exporter import export_light, export_onnx

    if light == (onnx is not None):
        raise RecipeError("give either --onnx with a new folder, or --light")
    captioner = Captioner.load(model, clap=clap, device="cpu")
    if light:
        places = export_light(captioner, check_captioner(model))
        common.show(as_json, {"files": places}, str(model), ("file",), [(x,) for x in places])
        return
    if gap is not None:
        captioner = captioner.with_gap(gap)
    if bridge is not None:
        captioner = captioner.with_options(bridge=bridge)
    done = export_onnx(captioner, cast(Path, onnx), decoder_only=decoder_only)
    sizes = [(name, f"{size / 1000:,.0f}") for name, size in done["files"].items()]
    common.show(as_json, done, str(onnx), ("file", "kB>"), sizes)
    count = done["checked"]["captions"]
    say(f"checked: onnxruntime writes the same tokens as torch for {count} captions")


def push(
    model: Annotated[str, Argument(help="A run folder.", metavar="RUN")],
    repo: Annotated[str, Argument(help="Where on the Hub.", metavar="OWNER/NAME")],
    licence: Annotated[str, Option(help="Of its files, such as mit or cc-by-4.0.")] = "",
    data: Annotated[str, Option(help="What it was trained on, in a sentence.")] = "",
    scores: Annotated[
        common.Paths, Option(callback=common.existing, help="Of wsac evaluate -o. Repeatable.")
    ] = None,
    private: Annotated[
        bool, Option("--private", help="Only for you and your organisation.")
    ] = False,
    clap: Annotated[
        str | None, Option(help="Its CLAP for others, where that is a folder here.")
    ] = None,
    as_json: common.Json = False,
) -> None:
    """Publish a captioner on the Hub.

    It is public unless you say --private. The token comes from hf auth login, or HF_TOKEN.

    wsac push runs/mine owner/name
    """
    from wsac.inference.captioner_folder import check_captioner

    folder = check_captioner(model, change=True)
    from wsac.inference.captioner import Captioner
    from wsac.inference.publishing import check_repo, push_folder

    check_repo(repo)
    Captioner.load(folder, clap=clap, device="cpu")  # it is whole, and its CLAP fits
    address = push_folder(
        folder,
        repo,
        clap=clap or "",
        licence=licence,
        data=data,
        scores=scores or (),
        private=private,
    )
    print_json({"repo": repo, "commit": address}) if as_json else print(address)
