"""The verbs that listen: ``wsac caption`` and ``wsac tag``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from wsac.types import WsacError

from .common_options import (
    ClapOption,
    CsvOption,
    DeviceOption,
    GapOption,
    JsonOption,
    overrides,
    report_failures,
    row_style,
)


def caption(
    files: Annotated[
        list[str], typer.Argument(help="Sound files, folders or globs.", metavar="FILE...")
    ],
    model: Annotated[
        str, typer.Option(help="A run folder, or pocket: the bundled captioner.")
    ] = "pocket",
    bridge: Annotated[
        str | None,
        typer.Option(
            help="The model's own unless given: santa, pd, nnd, ad …; wsac bridges lists them."
        ),
    ] = None,
    beam: Annotated[int | None, typer.Option(help="Beam size, 4 by default; 1 is greedy.")] = None,
    choose: Annotated[
        str | None,
        typer.Option(help="Among the best captions: mbr (agreement) or clap (fit to the sound)."),
    ] = None,
    samples: Annotated[
        int | None,
        typer.Option(help="Choose among so many captions that are drawn, not the beam's best."),
    ] = None,
    clap: Annotated[
        str | None, typer.Option(help="The model's CLAP, where it lies elsewhere now.")
    ] = None,
    gap: GapOption = None,
    window: Annotated[
        float | None, typer.Option(help="Caption every so many seconds instead of whole files.")
    ] = None,
    min_confidence: Annotated[
        float | None,
        typer.Option(
            help="Below it say nothing, 0 to 1; left out, what the model was calibrated to."
        ),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(help="Of the decoder: float32 (the default), bfloat16, or auto."),
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="Decoding: length_penalty=0.8, no_repeat_ngram=3, groups=2 …; docs/decoding.md.",
        ),
    ] = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
    device: DeviceOption = "auto",
) -> None:
    """Caption sound files.

    wsac caption dog.wav recordings/ --beam 4 --json
    """
    style = row_style(as_json, as_csv, window)  # before what takes long to import
    options: dict[str, Any] = {
        "bridge": bridge,
        "beam_size": beam,
        "choose": choose,
        "samples": samples,
        "precision": precision,
    }
    from wsac.inference.batch import caption_files, print_captions

    options = overrides(options, changes, "length_penalty=0.8")
    captions = caption_files(
        files,
        model=model,
        clap=clap,
        gap=gap,
        window=window,
        min_confidence=min_confidence,
        device=device,
        **options,
    )
    print_captions(captions, style)
    report_failures(captions, "captioned")


def tag(
    files: Annotated[
        list[str], typer.Argument(help="Sound files, folders or globs.", metavar="FILE...")
    ],
    labels: Annotated[str | None, typer.Option(help="Any words, separated by commas.")] = None,
    labels_file: Annotated[
        Path | None, typer.Option(help="The same, one a line; # begins a comment.")
    ] = None,
    top: Annotated[int, typer.Option(help="How many labels to show of each sound.")] = 5,
    clap: ClapOption = "pocket",
    window: Annotated[
        float | None, typer.Option(help="Tag every so many seconds instead of whole files.")
    ] = None,
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
