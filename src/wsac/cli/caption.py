"""The verbs that describe sounds: ``wsac caption`` and ``wsac tag``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from wsac.io.console import part_of, say
from wsac.types import Caption, WsacError

from . import common_options as common

if TYPE_CHECKING:
    from wsac.inference.sound_results import TaggedSound


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
    out: Annotated[
        Path | None,
        Option("--out", "-o", callback=common.new_file, help="Write rows to this .jsonl or .csv."),
    ] = None,
    resume: Annotated[bool, Option("--resume", help="Go on with the rows of --out.")] = False,
    device: common.Device = "auto",
) -> None:
    """Caption sound files.

    The built-in captioner names the sound in 72 % of the clips of ESC-50, and in 39 % of
    recordings of strangers.

    wsac caption dog.wav recordings/ --beam 4 --json
    """
    from wsac.data.audio.audio_options import AudioOptions
    from wsac.data.audio.find import find_audio
    from wsac.inference.captioner_folder import check_captioner
    from wsac.inference.sound_results import Results

    from .row_file import STYLES, RowFile
    from .rows import CAPTION_ROW, print_results

    style = common.row_style(as_json, as_jsonl, as_csv, csv_safe, window)
    if out is None and resume:
        raise WsacError("--resume is for rows in a file; name it with --out")
    if out is not None and style == "table":
        if out.suffix.lower() not in STYLES:
            what = "a table is for reading on the screen; name the file .csv, .jsonl or .json"
            raise WsacError(f"{out}: {what}, or add --csv, --jsonl or --json")
        style = STYLES[out.suffix.lower()]
    names = common.listed_files(files, files_from, null)
    check_captioner(model)
    windowed = window is not None
    row_file = None
    if out is not None:
        row_file = RowFile(out, style, CAPTION_ROW, resume=resume, windowed=windowed)

    decoding = {"bridge": bridge, "beam_size": beam, "choose": choose, "samples": samples}
    options = common.overrides(decoding | {"precision": precision}, changes, "length_penalty=0.8")
    settings: dict[str, Any] = {
        "window": window,
        "min_confidence": min_confidence,
        "device": device,
    }
    settings |= {"audio_options": AudioOptions.parse(track, channel)}
    sounds = find_audio(files or (), names)
    if row_file is not None and row_file.files:
        sounds = row_file.left(everything := sounds)
        say(f"{out}: {part_of(len(everything) - len(sounds), len(everything), 'file')} done before")
    settings |= {"names": sounds}
    settings |= {"model": model, "clap": clap, "gap": gap}

    def begin() -> Results[Caption]:
        from wsac.inference.batch import stream_captions
        from wsac.inference.caption_options import check_names

        check_names(options)  # or --set model=x would reach stream_captions
        return stream_captions(**options, **settings)

    results = Results.of("caption", sounds, begin) if sounds else Results("caption", [], [])
    try:
        print_results(results, style, windowed=windowed, out=row_file)
    finally:
        if row_file is not None:
            row_file.close()


def tag(
    files: common.Files = None,
    files_from: common.FilesFrom = None,
    null: common.Null = False,
    labels: Annotated[str | None, Option(help="Any words, separated by commas.")] = None,
    labels_file: common.LabelsFile = None,
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
    from wsac.data.audio.audio_options import AudioOptions
    from wsac.data.audio.find import find_audio
    from wsac.inference.sound_results import Results

    from .rows import print_results

    style = common.row_style(as_json, as_jsonl, as_csv, csv_safe, window)
    names = common.listed_files(files, files_from, null)
    words = common.chosen_labels((labels or "").strip() or None, labels_file)
    if not words:
        raise WsacError('no labels; give --labels "dog bark, rain" or --labels-file FILE')
    settings: dict[str, Any] = {"clap": clap, "top": top, "window": window, "device": device}
    settings |= {"audio_options": AudioOptions.parse(track, channel)}
    sounds = find_audio(files or (), names)

    def begin() -> Results[TaggedSound]:
        from wsac.inference.batch import stream_tags

        return stream_tags((), words, names=sounds, **settings)

    print_results(Results.of("tag", sounds, begin), style, windowed=window is not None)
