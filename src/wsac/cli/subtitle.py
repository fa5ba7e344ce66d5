"""``wsac subtitle``: cues of sounds, beside each video or sound."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from typer import BadParameter, Exit, Option

from wsac.io.console import clock, count_of, part_of, say, write_out
from wsac.types import WsacError

from . import common_options as common

if TYPE_CHECKING:
    from wsac.inference.captioner import Captioner
    from wsac.inference.subtitles.cues import Cue
    from wsac.inference.subtitles.subtitle_files import Subtitled, SubtitleWriter

Merge = Annotated[
    Path | None,
    Option(callback=common.existing, help="Subtitles of speech to merge with; they stay as is."),
]
Place = Annotated[
    Literal["gaps", "line"],
    Option(help="Sounds during speech: 'gaps' leaves them out; 'line' shows them apart."),
]
Format = Annotated[
    str | None, Option("--format", "-f", help="srt, vtt, ttml, ass, json, csv, audacity; a,b.")
]
Out = Annotated[
    Path | None,
    Option("--out", "-o", callback=common.new_folder, help="Folder. Default: beside each file."),
]
Show = Annotated[bool, Option("--show", help="Show each cue as soon as it is known.")]
Watch = Annotated[Path | None, Option(metavar="DIR", help="Subtitle new files until Ctrl-C.")]


def subtitle(
    files: common.Files = None,
    files_from: common.FilesFrom = None,
    null: common.Null = False,
    output_format: Format = None,
    style: Annotated[str, Option(help="sdh, dcmp, netflix, bbc or plain.")] = "sdh",
    sensitivity: Annotated[float, Option(help="0: only what stands out; 1: all sounds.")] = 0.5,
    skip: Annotated[str | None, Option(help="Leave to others: speech, music or both.")] = None,
    min_confidence: Annotated[float, Option(help="Leave out sounds below it (0-1).")] = 0.0,
    onomatopoeia: Annotated[bool, Option("--onomatopoeia", help="As in: woof, woof.")] = False,
    merge: Merge = None,
    place: Place = "gaps",
    only_sounds: Annotated[bool, Option("--only-sounds", help="Write no cues of speech.")] = False,
    embed: Annotated[bool, Option("--embed", help="Also copy the video, with a track.")] = False,
    page: Annotated[bool, Option("--page", help="Also a page to see and edit the cues.")] = False,
    out: Out = None,
    overwrite: Annotated[bool, Option("--overwrite", help="Replace what is there.")] = False,
    show: Show = False,
    watch: Watch = None,
    track: common.Track = None,
    channel: common.Channel = None,
    model: common.Model = "pocket",
    clap: common.MovedClap = None,
    device: common.Device = "auto",
) -> None:
    """Write subtitles of sounds, beside each video or sound.

    wsac subtitle film.mp4 --format vtt --page
    """
    from wsac.data.audio.audio_options import AudioOptions
    from wsac.data.audio.find import find_audio
    from wsac.inference.captioner_folder import CARD, check_captioner
    from wsac.inference.subtitles.relevance import CueOptions
    from wsac.inference.subtitles.soft_track import MARK
    from wsac.inference.subtitles.speech_file import SpeechFile
    from wsac.inference.subtitles.subtitle_files import SubtitleJob, SubtitleWriter
    from wsac.io.tensors import checksum_of

    sounds: list[Path] = []
    if watch is None:
        sounds = find_audio(files or (), common.listed_files(files, files_from, null))
        named = set(map(Path, files or ()))
        copies = {sound for sound in sounds if sound.stem.endswith(MARK)} - named
        if copies:  # of an earlier run, in a folder
            sounds = [sound for sound in sounds if sound not in copies]
            say(f"copies with subtitles passed by: {len(copies):,}")
    elif files or files_from:
        raise BadParameter("--watch takes a folder, and no other files")
    elif not watch.is_dir():
        raise WsacError(f"{watch}: no folder to watch; make it first")
    if merge is not None and len(sounds) != 1:
        raise BadParameter("--merge takes the speech of one file; name only that")
    card = check_captioner(model) / CARD
    speech = SpeechFile(merge) if merge is not None else None
    for note in speech.notes if speech is not None else ():
        say(note)
    kinds = tuple(filter(None, (word.strip() for word in (skip or "").split(","))))
    job = SubtitleJob(
        formats=_formats(output_format, speech.kind if speech and not only_sounds else "srt"),
        options=CueOptions(style, sensitivity, kinds, min_confidence, onomatopoeia),
        speech=speech,
        place=place,
        only_sounds=only_sounds,
        embed=embed,
        page=page,
        out=out,
        overwrite=overwrite,
        audio_options=AudioOptions.parse(track, channel),
    )

    def load() -> Captioner:
        from wsac.inference.captioner import Captioner

        return Captioner.load(model, clap=clap, device=device)

    content = f"{checksum_of(card)} {clap or ''}"  # another model at the same place is another one
    writer = SubtitleWriter(job, load, content, _show_cue if show else lambda cue: None)
    if watch is not None:
        _watch(writer, watch)
    else:
        _write(writer, sounds)


def _write(writer: SubtitleWriter, sounds: list[Path]) -> None:
    failed = 0
    try:
        for result in writer.write_all(sounds):
            failed += _show(result)
    except KeyboardInterrupt:
        where = writer.reached or "stopped"
        raise common.StoppedError(f"{where}; the same command goes on from there") from None
    if failed:
        say(f"{part_of(failed, len(sounds), 'file')} could not be subtitled")
        raise Exit(1)


def _watch(writer: SubtitleWriter, folder: Path) -> None:
    """Until Ctrl-C, which is its usual end."""
    from wsac.inference.subtitles.watching import complete_files

    say(f"{folder}: watching for new sounds; Ctrl-C ends it")
    count = 0
    try:
        for result in writer.write_all(complete_files(folder)):
            if result.paths or result.error is not None:  # what is there already is no news
                count += not _show(result)
    except KeyboardInterrupt:
        say(f"{writer.reached or 'stopped'}; {count_of(count, 'file')} seen")


def _show_cue(cue: Cue) -> None:
    say(f"{clock(int(cue.start))} {' / '.join(cue.text.splitlines())}")


def _show(result: Subtitled) -> bool:
    """Paths on stdout, the rest on stderr. Returns whether the file failed."""
    for note in result.notes:
        say(f"{result.file}: {note}" if not note.startswith(str(result.file)) else note)
    if result.error is not None:
        say(f"error: {result.error}")
        return True
    for path in result.paths:
        write_out(f"{path}\n")
    if result.paths:
        left_out = f"; {result.left_out}" if result.left_out else ""
        say(f"{result.file}: {count_of(result.cues, 'cue')}{left_out}")
    return False


def _formats(words: str | None, usual: str) -> tuple[str, ...]:
    names = tuple(filter(None, (word.strip() for word in (words or usual).split(","))))
    return tuple(dict.fromkeys(names)) or (usual,)
