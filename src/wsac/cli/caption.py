"""The verbs that describe sounds: ``wsac caption`` and ``wsac tag``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Option

from wsac.types import WsacError

from . import common_options as common


def caption(
    files: common.Files = None,
    files_from: common.FilesFrom = None,
    null: common.Null = False,
    model: common.Model = "pocket",
    bridge: common.Bridge = None,
    beam: common.Beam = None,
    choose: Annotated[str | None, Option(help="Rerank: mbr (agreement), clap (fit).")] = None,
    samples: Annotated[int | None, Option(help="Sample this many captions; choose one.")] = None,
    clap: common.MovedClap = None,
    gap: common.Gap = None,
    window: common.Window = None,
    track: common.Track = None,
    channel: common.Channel = None,
    min_confidence: Annotated[float | None, Option(help="Hide captions below it (0-1).")] = None,
    precision: Annotated[str | None, Option(help="float32 (default), bfloat16 or auto.")] = None,
    changes: Annotated[common.Words, Option("--set", help="As in length_penalty=0.8.")] = None,
    as_json: common.Json = False,
    as_jsonl: common.JsonLines = False,
    as_csv: common.Csv = False,
    csv_safe: common.Safe = False,
    device: common.Device = "auto",
) -> None:
    """Caption sound files.

    wsac caption dog.wav recordings/ --beam 4 --json
    """
    style = common.row_style(as_json, as_jsonl, as_csv, csv_safe, window)  # before the slow imports
    names = common.listed_files(files, files_from, null)
    from wsac.data.audio.audio_options import AudioOptions
    from wsac.inference.batch import stream_captions
    from wsac.inference.caption_options import check_names

    from .rows import print_results

    decoding = {"bridge": bridge, "beam_size": beam, "choose": choose, "samples": samples}
    options = common.overrides(decoding | {"precision": precision}, changes, "length_penalty=0.8")
    check_names(options)  # or --set model=x would reach stream_captions
    options |= {"window": window, "min_confidence": min_confidence, "device": device}
    options |= {"audio_options": AudioOptions.parse(track, channel)}
    options |= {"names": names, "model": model, "clap": clap, "gap": gap}
    print_results(stream_captions(files or (), **options), style, windowed=window is not None)


def tag(
    files: common.Files = None,
    files_from: common.FilesFrom = None,
    null: common.Null = False,
    labels: Annotated[str | None, Option(help="Any words, separated by commas.")] = None,
    labels_file: Annotated[Path | None, Option(help="One label per line; # comments.")] = None,
    top: Annotated[int, Option(help="Number of labels to show per sound.")] = 5,
    clap: common.Clap = "pocket",
    window: common.Window = None,
    track: common.Track = None,
    channel: common.Channel = None,
    as_json: common.Json = False,
    as_jsonl: common.JsonLines = False,
    as_csv: common.Csv = False,
    csv_safe: common.Safe = False,
    device: common.Device = "auto",
) -> None:
    """Score sound files against labels of your own.

    wsac tag dog.wav recordings/ --labels "dog bark, rain, siren"
    """
    from wsac.data.captions.labels import read_labels, split_labels

    style = common.row_style(as_json, as_jsonl, as_csv, csv_safe, window)
    names = common.listed_files(files, files_from, null)
    if labels is not None and labels_file is not None:
        raise WsacError("--labels and --labels-file exclude each other; choose one")
    if labels_file is not None:
        words = read_labels(labels_file)
    elif labels is not None and labels.strip():
        words = split_labels(labels)
    else:
        raise WsacError('no labels; give --labels "dog bark, rain" or --labels-file FILE')
    from wsac.data.audio.audio_options import AudioOptions
    from wsac.inference.batch import stream_tags

    from .rows import print_results

    sounds = stream_tags(
        files or (),
        words,
        names=names,
        clap=clap,
        top=top,
        window=window,
        device=device,
        audio_options=AudioOptions.parse(track, channel),
    )
    print_results(sounds, style, windowed=window is not None)
