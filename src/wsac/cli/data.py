"""The verbs that make material: ``wsac corpus``, ``soundworld`` and ``demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wsac.io.console import print_json, say, table

from .common_options import JsonOption


def corpus(
    inputs: Annotated[
        list[Path], typer.Argument(help="Caption files, plain or gzipped.", metavar="IN...")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The JSONL to write (.gz compresses).")],
    format: Annotated[
        str, typer.Option(help="auto, clotho, audiocaps, csv, wavcaps, json, jsonl or text.")
    ] = "auto",
    style: Annotated[
        str, typer.Option(help="keep, sentence (first letter upper-case, no full stop) or lower.")
    ] = "keep",
    as_json: JsonOption = False,
) -> None:
    """Merge caption files into one clean corpus.

    wsac corpus clotho.csv audiocaps.csv notes.txt -o corpus.jsonl
    """
    from wsac.data.captions.corpus import merge, stats_rows, write_jsonl

    merged = merge(inputs, format=format, style=style)
    write_jsonl(merged.examples, out)
    if as_json:
        from dataclasses import asdict

        print_json(asdict(merged.stats))
    else:
        table(f"{out}", ("", ">"), stats_rows(merged.stats))


def soundworld(
    out: Annotated[
        Path, typer.Option("--out", "-o", help="The folder for recordings and captions.")
    ],
    scenes: Annotated[
        int, typer.Option(help="Scenes, of five captions each; or captions, without sound.")
    ] = 500,
    seed: Annotated[int, typer.Option(help="Same seed, same files.")] = 7,
    rate: Annotated[int, typer.Option(help="Samples a second.")] = 16_000,
    events: Annotated[str, typer.Option(help="Sounds in a scene, least and most.")] = "1-4",
    seconds: Annotated[float, typer.Option(help="The longest scene.")] = 10.0,
    captions_only: Annotated[
        bool, typer.Option("--captions-only", help="A text corpus and no sound.")
    ] = False,
    jobs: Annotated[int, typer.Option(help="Processes.")] = 1,
    as_json: JsonOption = False,
) -> None:
    """Synthesise scenes with exact captions and false ones: a paired benchmark, or a text corpus.

    wsac soundworld --scenes 500 --seed 7 -o soundworld
    """
    from wsac.data.soundworld.write import parse_events, write_corpus, write_scenes

    span = parse_events(events)
    if captions_only:
        done = write_corpus(out, scenes, seed, events=span)
    else:
        done = write_scenes(
            out, scenes, seed, sample_rate=rate, events=span, seconds=seconds, jobs=jobs
        )
    if as_json:
        print_json(done)
    else:
        heard = (
            f"{done['scenes']:,} scenes, {60 * done['hours']:,.1f} minutes of sound, "
            if done["scenes"]
            else ""
        )
        say(f"{out}: {heard}{done['captions']:,} captions")


def demo(
    out: Annotated[
        Path, typer.Option("--out", "-o", help="The folder for recordings, model and report.")
    ] = Path("demo"),
    epochs: Annotated[int, typer.Option(min=1, help="Training passes.")] = 8,
) -> None:
    """Train a captioner from a small grammar's captions and describe eight synthesised recordings.

    wsac demo --out demo
    """
    from .demo import run_demo

    run_demo(out, epochs=epochs)
