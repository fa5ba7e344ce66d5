"""The verb that takes a captioner elsewhere: ``wsac export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wsac.io.console import print_json, say, table

from .common_options import GapOption, JsonOption


def export(
    onnx: Annotated[Path, typer.Option(help="The folder to write; a new one.")],
    model: Annotated[
        str, typer.Argument(help="A run folder, or pocket: the bundled captioner.", metavar="[RUN]")
    ] = "pocket",
    bridge: Annotated[
        str | None, typer.Option(help="Other than the model's own: santa, pd, nnd, ad, shift …")
    ] = None,
    gap: GapOption = None,
    decoder_only: Annotated[
        bool,
        typer.Option(
            "--decoder-only", help="Without the audio tower, for CLAPs other than pocket ones."
        ),
    ] = False,
    clap: Annotated[
        str | None, typer.Option(help="The model's CLAP, where it lies elsewhere now.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write a captioner as ONNX graphs, which caption without torch and without wsac.

    wsac export --onnx pocket-onnx
    """
    from wsac.inference.captioner import Captioner
    from wsac.inference.onnx.exporter import export_onnx

    captioner = Captioner.load(model, clap=clap, device="cpu")
    if gap is not None:
        captioner = captioner.with_gap(gap)
    if bridge is not None:
        captioner = captioner.with_options(bridge=bridge)
    done = export_onnx(captioner, onnx, decoder_only=decoder_only)
    if as_json:
        print_json(done)
        return
    table(
        str(onnx),
        ("file", "kB>"),
        ((name, f"{size / 1000:,.0f}") for name, size in done["files"].items()),
    )
    say(
        f"checked in onnxruntime: the tokens of {done['checked']['captions']} captions are those of torch"
    )
