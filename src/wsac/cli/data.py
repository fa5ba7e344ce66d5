"""The verbs that get and make material: ``wsac download``, ``corpus`` and ``soundworld``."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from wsac.io.console import print_json, say
from wsac.types import WsacError

from . import common_options as common

if TYPE_CHECKING:
    from wsac.data.captions.caption_sets import CaptionSet

download = typer.Typer(name="download", help="Get the official caption files.", **common.PLAIN)


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
