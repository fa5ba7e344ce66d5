"""``wsac search``: sounds of an archive by words, by a sound and by what its columns say."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, BadParameter, Option

from wsac.io.console import say, table, write_out
from wsac.types import WsacError

from . import common_options as common

if TYPE_CHECKING:
    from wsac.archive.search.searching import Hit

Page = Annotated[
    Path | None,
    Option("--html", metavar="PAGE", callback=common.new_file, help="Also write a page to listen."),
]
COLUMNS = ("file", "score", "start", "end", "caption", "confidence")


def search(
    archive: common.Archive,
    text: Annotated[list[str] | None, Argument(help="The sound, in words.")] = None,
    like: Annotated[
        common.Words, Option(callback=common.existing, help="A sound to be like. Repeatable.")
    ] = None,
    minus: Annotated[common.Words, Option(help="What is not wanted, in words. Repeatable.")] = None,
    where: Annotated[str | None, Option(help="As in \"duration < 5 and 'rain' in tags\".")] = None,
    top: Annotated[int, Option(help="Number of results.")] = 20,
    spans: Annotated[bool, Option("--spans", help="Find moments within the files.")] = False,
    index: Annotated[str, Option(help="exact, faiss or auto: faiss above a million.")] = "auto",
    clap: Annotated[str | None, Option(help="The archive's CLAP, if it has moved.")] = None,
    as_json: common.Json = False,
    as_jsonl: common.JsonLines = False,
    as_csv: Annotated[bool, Option("--csv", help=f"CSV: {', '.join(COLUMNS)}.")] = False,
    csv_safe: common.Safe = False,
    paths: Annotated[bool, Option("--paths", help="Write the paths alone, one a line.")] = False,
    null: Annotated[
        bool, Option("-0", "--null", help="They end in zero bytes (xargs -0).")
    ] = False,
    page: Page = None,
    play: Annotated[bool, Option("--play", help="Play the results, best first.")] = False,
    device: common.Device = "auto",
) -> None:
    """Search an archive by words or by a sound.

    wsac search archive "dog barking far away" --where "duration < 5"
    """
    if not text and not like:
        raise BadParameter('nothing to search for; give words, as in "dog barking", or --like FILE')
    if null and not paths:
        raise WsacError("-0 is for --paths: they end with zero bytes; give both")
    if top < 1:
        raise WsacError(f"--top {top}: give 1 or more")
    style = common.row_style(as_json, as_jsonl, as_csv, csv_safe, None)
    if paths and style != "table":
        raise WsacError(f"--paths and --{style} exclude each other; choose one")
    from wsac.archive.archive_folder import Archive
    from wsac.archive.search.listening import find_player, play_hits, write_search_page
    from wsac.archive.search.searching import (
        ArchiveSearch,
        embed_query,
        load_clap_of,
        parse_where,
    )
    from wsac.inference.moments.moment_scores import MomentScorer

    folder = Archive.open(archive)
    condition = parse_where(folder, where)
    player = find_player() if play else ""
    for sound in like or ():
        common.check_openable(sound)
    opened = ArchiveSearch(folder, "spans" if spans else "files", index)
    model = load_clap_of(folder, clap, device)
    query = embed_query(model, text or (), like or (), minus or ())
    scorer = MomentScorer(model) if text and not like else None
    hits = opened.nearest(query, top, condition, scorer)
    _print(hits, "paths" if paths else style, null)
    if not hits:
        say(f"nothing fits --where {where!r}")
    if page is not None:
        wanted = [*(text or ()), *(f"like {file}" for file in like or ())]
        unwanted = [f"without {word}" for word in minus or ()]
        conditions = [f"where {where}"] if where else []
        write_search_page(page, hits, title=", ".join([*wanted, *unwanted, *conditions]))
    if play:
        play_hits(hits, player)


def _print(hits: list[Hit], style: str, null: bool) -> None:
    """The results on stdout. style: paths, json, jsonl, csv, csv-safe or table."""
    from dataclasses import asdict

    if style == "paths":
        end = "\0" if null else "\n"
        write_out("".join(f"{file}{end}" for file in dict.fromkeys(hit.file for hit in hits)))
    elif style == "table":
        columns = ("file", "cosine>", "seconds>", "caption", "sure>")
        table("", columns, map(_cells, hits))
    else:
        common.print_rows(style, [asdict(hit) for hit in hits], COLUMNS)


def _cells(hit: Hit) -> tuple[str, ...]:
    sure = "" if hit.confidence is None else f"{100 * hit.confidence:.0f} %"
    span = f"{hit.start:.1f}–{hit.end:.1f}" if hit.start else f"{hit.end:.1f}"
    return hit.file, f"{hit.score:.3f}", span, hit.caption, sure
