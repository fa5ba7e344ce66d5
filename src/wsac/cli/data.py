"""The verbs that make material: ``wsac corpus`` and ``wsac soundworld``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

from wsac.io.console import print_json, say

from . import common_options as common


def corpus(
    inputs: Annotated[list[Path], Argument(help="Caption files.", metavar="IN...")],
    out: Annotated[
        Path,
        Option(
            "--out", "-o", callback=common.new_file, help="The JSON lines file (.gz compresses)."
        ),
    ],
    format: Annotated[
        str,
        Option(help="auto, clotho, audiocaps, csv, wavcaps, json, jsonl, yaml, subtitles, text."),
    ] = "auto",
    column: common.Column = None,
    skip_invalid: common.SkipInvalid = False,
    style: Annotated[str, Option(help="keep, lower, or sentence (capital, no stop).")] = "keep",
    as_json: common.Json = False,
) -> None:
    """Merge caption files into one clean corpus.

    wsac corpus clotho.csv audiocaps.csv notes.txt -o corpus.jsonl
    """
    from wsac.data.captions.corpus import merge, write_jsonl
    from wsac.data.captions.corpus_statistics import stats_rows

    reading: dict[str, Any] = {"column": column, "skip_invalid": skip_invalid}
    merged = merge(inputs, format=format, style=style, **reading)
    write_jsonl(merged.examples, out)
    common.show(as_json, asdict(merged.stats), f"{out}", ("", ">"), stats_rows(merged.stats))
    bad = merged.stats.bad_rows
    for row in bad[:20]:
        say(f"left out: {row}")
    if len(bad) > 20:
        say(f"left out: {len(bad) - 20:,} more; --json lists all")


def soundworld(
    out: Annotated[Path, common.Folder],
    scenes: Annotated[int, Option(help="Number of scenes, or of captions.")] = 500,
    seed: Annotated[int, Option(help="The same seed gives the same files.")] = 7,
    rate: Annotated[int, Option(help="Sample rate in Hz.")] = 16_000,
    events: Annotated[str, Option(help="Fewest and most sounds of a scene.")] = "1-4",
    seconds: Annotated[float, Option(help="Length of the longest scene.")] = 10.0,
    captions_only: Annotated[bool, Option("--captions-only", help="Text without sound.")] = False,
    jobs: Annotated[int, Option(help="Number of processes.")] = 1,
    as_json: common.Json = False,
) -> None:
    """Synthesise sound scenes with exact captions.

    wsac soundworld --scenes 500 --seed 7 -o soundworld
    """
    from wsac.data.soundworld.write import parse_events, write_corpus, write_scenes

    span = parse_events(events)
    if captions_only:
        done = write_corpus(out, scenes, seed, events=span)
    else:
        sizes: dict[str, Any] = {"sample_rate": rate, "events": span, "seconds": seconds}
        done = write_scenes(out, scenes, seed, jobs=jobs, **sizes)
    sound = f"{done['scenes']:,} scenes, {60 * done['hours']:,.1f} minutes of sound, "
    text = f"{out}: {sound if done['scenes'] else ''}{done['captions']:,} captions"
    print_json(done) if as_json else say(text)
