"""A soft track of subtitles in a copy of a video, read back by PyAV and by the ffmpeg program."""

from __future__ import annotations

import subprocess
from pathlib import Path
from shutil import which

import av
import pysubs2
import pytest

from miniatures.films import SPEECH, LoudSeconds, write_film, write_wav, writer
from wsac.inference.spans.span import Span
from wsac.inference.subtitles.soft_track import copy_path
from wsac.inference.subtitles.speech_file import SpeechFile
from wsac.inference.subtitles.subtitles import Subtitles
from wsac.types import WsacError


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "codec", "kind"),
    [
        ("a.mp4", "mpeg4", "mov_text"),
        ("a.mov", "mpeg4", "mov_text"),
        ("a.mkv", "mpeg4", "srt"),
        ("a.mkv", "", "srt"),
        ("a.webm", "libvpx", "webvtt"),
    ],
)
def test_a_copy_of_the_video_holds_the_track(name, codec, kind, tmp_path):
    if codec and codec not in av.codecs_available:
        pytest.skip(f"needs an FFmpeg with {codec}")
    film = write_film(tmp_path / name, video=codec)
    before = film.read_bytes()
    paths = writer(embed=True).write(film).paths
    copy = copy_path(film)
    assert [path.name for path in paths] == ["a.srt", copy.name]
    assert film.read_bytes() == before
    with av.open(str(copy)) as source:
        track = source.streams.subtitles[0]
        assert track.codec_context.name == kind
        assert track.metadata["language"] == "eng"
        cues = []
        for packet in source.demux(track):
            words = [part.dialogue.decode() for part in packet.decode()] if packet.size > 2 else []
            if words:
                start = float(packet.pts * packet.time_base)
                cues.append((start, float(packet.duration * packet.time_base), *words))
        assert [cue[2] for cue in cues] == ["[dog barks]"] * 2
        assert [cue[:2] for cue in cues] == [pytest.approx(t, abs=0.05) for t in ((2, 1), (6, 1))]
    assert packets(film) == packets(copy)


@pytest.mark.slow
@pytest.mark.skipif(which("ffmpeg") is None, reason="needs ffmpeg: apt-get install ffmpeg")
@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv", "a.webm"])
def test_ffmpeg_reads_the_track_back(name, tmp_path):
    codec = "libvpx" if name.endswith("webm") else "mpeg4"
    if codec not in av.codecs_available:
        pytest.skip(f"needs an FFmpeg with {codec}")
    film = write_film(tmp_path / name, video=codec)
    writer(embed=True).write(film)
    command = ["ffmpeg", "-v", "error", "-i", str(copy_path(film)), "-map", "0:s:0", "-f", "srt"]
    done = subprocess.run([*command, "-"], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    tracks = pysubs2.SSAFile.from_string(done.stdout), pysubs2.load(str(tmp_path / "a.srt"))
    texts, wanted = ([event.text for event in track] for track in tracks)
    assert texts == wanted == ["[dog barks]"] * 2
    here, there = ([(event.start, event.end) for event in track] for track in tracks)
    # milliseconds; mkv begins with the sound, whose codec needs up to 64 before the picture
    assert here == [pytest.approx(times, abs=70) for times in there]


def packets(path: Path) -> list[bytes]:
    """What pictures and sounds are made of."""
    with av.open(str(path)) as source:
        streams = [stream for stream in source.streams if stream.type in ("video", "audio")]
        return sorted(bytes(packet) for packet in source.demux(*streams) if packet.size)


def test_a_merged_track_holds_the_speech_too(tmp_path):
    film = write_film(tmp_path / "a.mp4")
    (tmp_path / "speech.srt").write_text(SPEECH)
    writer(embed=True, speech=SpeechFile(tmp_path / "speech.srt")).write(film)
    with av.open(str(copy_path(film))) as source:
        texts = [
            part.dialogue.decode()
            for packet in source.demux(source.streams.subtitles[0])
            if packet.size > 2
            for part in packet.decode()
        ]
    assert texts == ["Where is the dog?", "[dog barks]", "[dog barks]", "Oh."]


def test_a_sound_takes_no_track_and_nothing_is_begun(tmp_path):
    sound = write_wav(tmp_path / "a.wav")
    captioner = LoudSeconds()
    (result,) = writer(captioner, embed=True).write_all([sound])
    assert "a track can be put into .mp4" in str(result.error)
    assert captioner.listened == 0
    assert list(tmp_path.iterdir()) == [sound]


def test_a_broken_video_leaves_no_copy(tmp_path):
    subtitles = Subtitles.of([Span(0, 2, "A dog barks")], file=tmp_path / "a.mp4")
    (tmp_path / "a.mp4").write_bytes(b"no video")
    with pytest.raises(WsacError, match="cannot copy it"):
        subtitles.embed()
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]
