"""The verb that takes a captioner elsewhere: ``wsac export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, cast

from typer import Argument, Option

from wsac.io.console import say
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
