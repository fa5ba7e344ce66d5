"""``wsac find``: moments of recordings that fit words or another sound."""

from __future__ import annotations

from dataclasses import asdict
from glob import has_magic
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, BadParameter, Exit, Option

from wsac.io.console import clock, part_of, progress, say, table, write_out
from wsac.types import AudioError, WsacError

from . import common_options as common

if TYPE_CHECKING:
    from wsac.data.audio.audio_options import AudioOptions
    from wsac.inference.moments.find_moments import Moment
    from wsac.inference.moments.queries import Query

COLUMNS = ("query", "file", "start", "end", "probability", "score", "clip", "error")
Words = Annotated[
    list[str] | None,
    Argument(metavar="QUERY FILE...", help="What to find, then files, folders or globs."),
]


def find(
    words: Words = None,
    files_from: common.FilesFrom = None,
    null: common.Null = False,
    also: Annotated[common.Words, Option(help="Another query. Repeatable.")] = None,
    like: Annotated[Path | None, Option(callback=common.existing, help="A sound like it.")] = None,
    without: Annotated[common.Words, Option(help="What must not be there. Repeatable.")] = None,
    top: Annotated[int, Option(help="Moments of each query.")] = 10,
    min_probability: Annotated[float, Option(help="Leave out moments below it (0-1).")] = 0.05,
    cut: Annotated[
        Path | None, Option(callback=common.new_folder, help="Write the moments here, as WAV.")
    ] = None,
    labels: Annotated[bool, Option("--labels", help="Write a label track for Audacity.")] = False,
    clap: common.Clap = "pocket",
    track: common.Track = None,
    channel: common.Channel = None,
    as_json: common.Json = False,
    as_jsonl: common.JsonLines = False,
    as_csv: common.Csv = False,
    csv_safe: common.Safe = False,
    device: common.Device = "auto",
) -> None:
    """Find moments in recordings by words or by a sound.

    wsac find "glass breaking without speech" film.mp4 recordings/ --cut clips
    """
    from wsac.data.audio.audio_options import AudioOptions
    from wsac.data.audio.find import all_missing, find_audio
    from wsac.inference.moments.queries import all_queries

    style = common.row_style(as_json, as_jsonl, as_csv, csv_safe, None)
    if labels and style != "table":
        raise WsacError(f"--labels and --{style} exclude each other; choose one")
    if not 0 <= min_probability <= 1:
        raise WsacError(f"--min-probability {min_probability:g}: give a number from 0 to 1")
    if top < 1:
        raise WsacError(f"--top {top}: nothing would be shown; give 1 or more")
    texts, files = list(also or ()), list(words or ())
    if like is None and files:
        texts.insert(0, files.pop(0))
    if not texts and like is None:
        raise BadParameter('nothing to find; as in wsac find "glass breaking" film.mp4')
    named = any(f == "-" or has_magic(f) or Path(f).exists() for f in files) or files_from
    if like is None and not named and Path(texts[0]).exists():  # the query is forgotten, or last
        what = "the first word is what to find, and this is a file"
        raise BadParameter(f'{texts[0]}: {what}; as in wsac find "a siren" {texts[0]}')
    queries = all_queries(texts, like, without or ())
    sounds = find_audio(files, common.listed_files(files, files_from, null))
    if labels and len(sounds) != 1:
        raise WsacError(f"--labels: a label track is of one recording, not {len(sounds)}")
    options = AudioOptions.parse(track, channel)
    if like is not None:
        common.check_openable(like)
    moments, errors = list[Any](), all_missing(sounds)
    stopped = ""
    if not errors:
        moments, errors, stopped = _search(sounds, queries, (clap, top, device), options)
    moments = [m for m in moments if m.probability is None or m.probability >= min_probability]
    clips, uncut = [""] * len(moments), list[WsacError]()
    try:
        clips = _clips(moments, cut, options)
    except WsacError as error:  # a full disk, or a file that is gone; the moments are shown
        uncut.append(error)
    _print(moments, clips, errors, style, labels=labels)
    for failure in (*errors, *uncut):
        say(f"error: {failure}")
    if stopped:
        raise common.StoppedError(stopped)
    if not moments and len(errors) < len(sounds):
        say(f"nothing fits with a probability of {min_probability:g} or more")
    if errors:
        say(f"{part_of(len(errors), len(sounds), 'file')} could not be searched")
    if errors or uncut:
        raise Exit(1)


def _search(
    sounds: list[Path], queries: list[Query], settings: tuple[str, int, str], options: AudioOptions
) -> tuple[list[Moment], list[AudioError], str]:
    """The best moments of each query in all sounds, what failed, and where Ctrl-C stopped it."""
    from wsac.clap import load_clap
    from wsac.inference.moments.find_moments import MomentFinder, best_of

    name, top, device = settings
    moments: dict[str, list[Moment]] = {query.text: [] for query in queries}
    errors: list[AudioError] = []
    searched, stopped = 0, ""
    try:
        finder = MomentFinder(load_clap(name, device=device), queries, top)
        with progress("find", len(sounds), unit="files") as tick:
            for sound in sounds:
                try:
                    for moment in finder.find(sound, options):
                        moments[moment.query].append(moment)
                except AudioError as error:
                    error.file = str(sound)
                    errors.append(error)
                searched += 1
                tick()
                moments = {text: best_of(rows, top) for text, rows in moments.items()}
    except KeyboardInterrupt:
        stopped = f"stopped after {part_of(searched, len(sounds), 'file')}"
    shown = [moment for rows in moments.values() for moment in likeliest_first(rows)]
    return shown, errors, stopped


def likeliest_first(moments: list[Moment]) -> list[Moment]:
    """The moments of a query by the probability that is shown; without one, by score."""
    return sorted(moments, key=lambda moment: -(moment.probability or 0.0))


def _clips(moments: list[Moment], folder: Path | None, options: AudioOptions) -> list[str]:
    """The names of the clips of the moments, in their order; "" without a folder."""
    from wsac.inference.moments.moment_clips import write_clips

    if folder is None or not moments:
        return [""] * len(moments)
    return list(map(str, write_clips(moments, folder, options)))


def _print(
    moments: list[Moment], clips: list[str], errors: list[AudioError], style: str, *, labels: bool
) -> None:
    """Print moments, and what failed, in the style; errors are no rows of a table."""
    from wsac.inference.moments.moment_clips import label_track

    empty = dict.fromkeys(COLUMNS) | {"clip": "", "error": ""}
    rows = [empty | asdict(m) | {"clip": clip} for m, clip in zip(moments, clips, strict=True)]
    rows += [empty | {"file": error.file, "error": str(error)} for error in errors]
    if labels:
        write_out(label_track(moments))
    elif style != "table":
        common.print_rows(style, rows, COLUMNS)
    elif moments:
        columns = ("query", "file", "from>", "to>", "sure>")
        table("", columns, (_cells(moment) for moment in moments))


def _cells(moment: Moment) -> tuple[str, ...]:
    p = moment.probability
    sure = f"{moment.score:.2f}" if p is None else f"{100 * p:.0f} %"
    start, end = (clock(seconds, 1, hours=0) for seconds in (moment.start, moment.end))
    return moment.query, moment.file, start, end, sure
