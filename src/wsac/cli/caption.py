"""The verbs that describe sounds: ``wsac caption`` and ``wsac tag``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Option

from wsac.types import WsacError

from .common_options import (
    BeamOption,
    BridgeOption,
    ClapOption,
    CsvOption,
    DeviceOption,
    Files,
    GapOption,
    JsonOption,
    ModelOption,
    MovedClapOption,
    WindowOption,
    overrides,
    report_failures,
    row_style,
)


def caption(
    files: Files,
    model: ModelOption = "pocket",
    bridge: BridgeOption = None,
    beam: BeamOption = None,
    choose: Annotated[str | None, Option(help="Rerank: mbr (agreement), clap (fit).")] = None,
    samples: Annotated[
        int | None, Option(help="Sample this many captions and choose one, instead of beam search.")
    ] = None,
    clap: MovedClapOption = None,
    gap: GapOption = None,
    window: WindowOption = None,
    min_confidence: Annotated[
        float | None, Option(help="Hide captions below this (0-1). Default: as calibrated.")
    ] = None,
    precision: Annotated[str | None, Option(help="float32 (default), bfloat16 or auto.")] = None,
    changes: Annotated[
        list[str] | None, Option("--set", help="Change a decoding option: length_penalty=0.8.")
    ] = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
    device: DeviceOption = "auto",
) -> None:
    """Caption sound files.

    wsac caption dog.wav recordings/ --beam 4 --json
    """
    style = row_style(as_json, as_csv, window)  # before the slow imports
    from wsac.inference.batch import caption_files, print_captions

    decoding = {"bridge": bridge, "beam_size": beam, "choose": choose, "samples": samples}
    options = overrides(decoding | {"precision": precision}, changes, "length_penalty=0.8")
    options |= {"window": window, "min_confidence": min_confidence, "device": device}
    captions = caption_files(files, model=model, clap=clap, gap=gap, **options)
    print_captions(captions, style)
    report_failures(captions, "captioned")


def tag(
    files: Files,
    labels: Annotated[str | None, Option(help="Any words, separated by commas.")] = None,
    labels_file: Annotated[Path | None, Option(help="One label per line; # comments.")] = None,
    top: Annotated[int, Option(help="Number of labels to show per sound.")] = 5,
    clap: ClapOption = "pocket",
    window: WindowOption = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
    device: DeviceOption = "auto",
) -> None:
    """Score sound files against labels of your own.

    wsac tag dog.wav recordings/ --labels "dog bark, rain, siren"
    """
    from wsac.data.captions.corpus import read_labels

    style = row_style(as_json, as_csv, window)
    if labels is not None and labels_file is not None:
        raise WsacError("--labels and --labels-file exclude each other; choose one")
    if labels_file is not None:
        words = read_labels(labels_file)
    elif labels is not None and labels.strip():
        words = labels.split(",")
    else:
        raise WsacError('no labels; give --labels "dog bark, rain" or --labels-file FILE')
    from wsac.inference.batch import print_tags, tag_files

    sounds = tag_files(files, words, clap=clap, top=top, window=window, device=device)
    print_tags(sounds, style)
    report_failures(sounds, "tagged")
