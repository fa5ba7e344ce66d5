"""A soft subtitle track in a copy of a video: streams are copied, not encoded again."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wsac.io.files import atomic_path
from wsac.types import WsacError

# suffix to (name of FFmpeg's writer, format that cues are written in)
CONTAINERS = {
    ".mp4": ("mp4", "srt"),
    ".m4v": ("mp4", "srt"),
    ".mov": ("mov", "srt"),
    ".mkv": ("matroska", "srt"),
    ".webm": ("webm", "vtt"),
}
PLAIN_TEXT = (".mp4", ".m4v", ".mov")  # of one place, and one cue at a time
MARK = ".subtitled"  # film.mp4 becomes film.subtitled.mp4
# what the writer of mov_text wants to know about styles
ASS_HEADER = b"""[Script Info]
ScriptType: v4.00+
[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, \
Bold, Italic, Underline, StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, \
Shadow, Alignment, MarginL, MarginR, MarginV, Encoding
Style: Default,Arial,16,&Hffffff,&Hffffff,&H0,&H0,0,0,0,0,100,100,0,0,1,1,0,2,10,10,10,1
[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""


def copy_path(video: str | Path) -> Path:
    """Where the copy of a video goes. Raises WsacError for a container that takes no track."""
    video = Path(video)
    if video.suffix.lower() not in CONTAINERS:
        known = ", ".join(CONTAINERS)
        raise WsacError(f"{video}: a track can be put into {known}; write a file of subtitles")
    return video.with_name(f"{video.stem}{MARK}{video.suffix}")


def embed(video: str | Path, subtitles: bytes, kind: str, target: str | Path) -> list[str]:
    """Write a copy of a video with one more track, whole or not at all; returns notes about streams
    that cannot be copied.

    subtitles: a file of the kind srt, vtt or ass. In mp4 and mov they become plain text. The track
    is English, for the hard of hearing. Raises WsacError for videos that cannot be read or copied.
    """
    import av

    container = CONTAINERS[copy_path(video).suffix.lower()][0]
    try:
        with (
            atomic_path(target) as temporary,
            av.open(str(video), metadata_errors="ignore") as source,
            av.open(str(temporary), "w", format=container) as copy,
        ):
            return _copy(source, copy, subtitles, kind)
    except (av.FFmpegError, ValueError) as error:
        what = f"cannot copy it with a track of subtitles ({error})"
        raise WsacError(f"{video}: {' '.join(what.split())}; write a file of subtitles") from error


def _copy(source: Any, copy: Any, subtitles: bytes, kind: str) -> list[str]:
    import av

    streams, notes = {}, []
    copy.metadata.update(source.metadata)
    for stream in source.streams:
        try:
            streams[stream.index] = copy.add_stream_from_template(stream, opaque=True)
        except (av.FFmpegError, ValueError, TypeError):
            notes.append(f"left out of the copy: stream {stream.index} ({stream.type})")
            continue
        streams[stream.index].metadata.update(stream.metadata)
        streams[stream.index].disposition = stream.disposition
    if chapters := source.chapters():
        copy.set_chapters(chapters)
    track, packets = _track(copy, subtitles, kind)
    track.metadata.update({"language": "eng", "title": "English (sounds)"})
    track.disposition = av.stream.Disposition.hearing_impaired
    waiting = next(packets, None)
    for packet in source.demux(*(source.streams[i] for i in streams)):
        if packet.dts is None:
            continue
        now = float(packet.dts * packet.time_base)
        while waiting is not None and float(waiting.pts * waiting.time_base) <= now:
            copy.mux(waiting)  # beside what is shown with it, for players that read along
            waiting = next(packets, None)
        packet.stream = streams[packet.stream.index]
        copy.mux(packet)
    while waiting is not None:
        copy.mux(waiting)
        waiting = next(packets, None)
    return notes


def _track(copy: Any, subtitles: bytes, kind: str) -> tuple[Any, Iterator[Any]]:
    """The new stream of ``copy`` and its packets."""
    import av

    name = "webvtt" if kind == "vtt" else kind
    source: Any = av.open(io.BytesIO(subtitles), format=name)
    as_text = copy.format.name in ("mp4", "mov")
    if as_text:
        track = copy.add_stream("mov_text")
        track.codec_context.subtitle_header = ASS_HEADER
    else:
        track = copy.add_stream_from_template(source.streams[0])

    def packets() -> Iterator[Any]:
        with source:
            for packet in source.demux(source.streams[0]):
                if packet.pts is None:
                    continue
                if as_text:  # a text behind its length
                    words = b"\n".join(part.dialogue for part in packet.decode())
                    times = packet.pts, packet.duration, packet.time_base
                    packet = av.Packet(len(words).to_bytes(2, "big") + words)
                    packet.pts, packet.duration, packet.time_base = times
                    packet.dts = packet.pts
                packet.stream = track
                yield packet

    return track, packets()
