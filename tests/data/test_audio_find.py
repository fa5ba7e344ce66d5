"""Finding sounds: by content, through links without end, and nothing is left out in silence."""

from __future__ import annotations

import os
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from wsac.data.audio.find import find_audio
from wsac.data.audio.headers import is_sound
from wsac.data.audio.stream import load_audio
from wsac.types import AudioError

RATE = 48_000
PYAV = {
    "avi": "pcm_s16le",
    "wv": "wavpack",
    "tta": "tta",
    "ts": "mp2",
    "flv": "aac",
    "mp2": "mp2",
    "eac3": "eac3",
    "mpg": "mp2",
    "m2ts": "ac3",
    "aac": "aac",
    "mp3": "libmp3lame",
    "mkv": "flac",
    "m4a": "aac",
}


def tone(seconds: float = 1.0) -> np.ndarray:
    time = np.arange(round(seconds * RATE)) / RATE
    return (0.5 * np.sin(2 * np.pi * 440 * time)).astype(np.float32)


def encode(path: Path, codec: str, container_format: str | None = None) -> Path:
    samples = tone()[None]
    with av.open(str(path), "w", format=container_format) as container:
        stream = container.add_stream(codec, rate=RATE)
        stream.layout = "mono"
        context = stream.codec_context
        context.open(strict=False)
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
        frame.rate, frame.pts = RATE, 0
        resampler = av.AudioResampler(context.format, "mono", RATE, context.frame_size or 1024)
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
    return path


def sound(folder: Path, suffix: str) -> Path:
    """A second of a tone in the format of this suffix."""
    path = folder / f"a.{suffix}"
    match suffix:
        case "voc" | "nist" | "caf" | "au" | "aiff" | "flac" | "wav" | "w64" | "ogg":
            soundfile.write(path, tone(), RATE, format=suffix.upper())
            return path
        case "m2ts":
            return encode(path, "ac3", "mpegts")
        case "ogv":
            return encode(path, "libopus", "ogg")
    return encode(path, PYAV[suffix])


WILD = "avi wv tta ts flv mp2 eac3 mpg m2ts ogv voc nist".split()
KNOWN = "wav flac ogg au aiff caf w64 mp3 m4a mkv aac".split()


@pytest.mark.parametrize("suffix", WILD)
def test_unusual_formats_in_a_folder_are_read(tmp_path, capfd, suffix):
    path = sound(tmp_path, suffix)
    assert find_audio([tmp_path]) == find_audio([f"{tmp_path}/*"]) == [path]
    assert load_audio(path, RATE).seconds == pytest.approx(1.0, abs=0.06)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("suffix", [*WILD, *KNOWN])
@pytest.mark.parametrize("name", ["sound", "sound.xyz"])
def test_a_sound_without_its_suffix_is_known_by_its_content(tmp_path, suffix, name):
    path = sound(tmp_path, suffix).rename(tmp_path / name)
    assert find_audio([tmp_path]) == [path]


@pytest.mark.parametrize(
    "head",
    [
        b"OggS\0\2" + bytes(22) + b"Speex   ",
        b"\x7f\xfe\x80\x01" + bytes(99),  # dts
        b"\x30\x26\xb2\x75\x8e\x66\xcf\x11" + bytes(99),  # wma
        b"#!AMR\n" + bytes(99),
    ],
)
def test_formats_that_nothing_here_can_write_are_known(head):
    assert is_sound(head)


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"hello",
        "\ufeffa text".encode("utf-16"),
        b"\xff\xfe" + "a text of some length".encode("utf-16-le") * 99,
        b"\x89PNG\r\n\x1a\n" + bytes(99),
        b"\xff\xd8\xff\xe0\0\x10JFIF" + bytes(99),
        b"\0\0\0\x1cftypavif" + bytes(99),
        b"RIFF\0\0\0\0WEBPVP8 ",
        bytes(4096),
        b"\xff" * 4096,
        b"G" * 100,
        b"PK\3\4" + bytes(99),
        b"\x7fELF" + bytes(99),
        np.random.default_rng(0).bytes(4096),
    ],
)
def test_what_is_no_sound_is_not_taken_for_one(head):
    assert not is_sound(head)


def test_other_files_are_counted_in_one_line(tmp_path, capfd):
    sound(tmp_path, "wav")
    os.mkfifo(tmp_path / "pipe.wav")
    for number in range(9):
        (tmp_path / f"{number}.txt").write_text("text")
    for name in ("a.jpg", "b.JPG", "LICENSE", ".hidden"):
        (tmp_path / name).write_bytes(b"\xff\xd8\xff")
    assert find_audio([tmp_path, tmp_path]) == [tmp_path / "a.wav"]
    error = capfd.readouterr().err
    assert error == ("13 other files skipped: .txt 9, .jpg 2, .wav 1, without suffix 1\n")
    assert find_audio([f"{tmp_path}/*.wav"]) == [tmp_path / "a.wav"]
    assert capfd.readouterr().err == "1 other file skipped: .wav 1\n"
    (tmp_path / "a.wav").unlink()
    with pytest.raises(AudioError, match=r"no sound files here; 13 other files skipped: \.txt 9"):
        find_audio([tmp_path])


def test_linked_folders_are_entered_once(tmp_path):
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    for folder in (inside, outside / "deep"):
        folder.mkdir(parents=True)
        (folder / "a.wav").touch()
    (inside / "link").symlink_to(outside)
    assert find_audio([inside]) == [inside / "a.wav", inside / "link" / "deep" / "a.wav"]
    (tmp_path / "aaa").symlink_to(inside)  # the real place is listed, not the link
    assert find_audio([tmp_path]) == [inside / "a.wav", outside / "deep" / "a.wav"]


@pytest.mark.parametrize("pattern", ["", "/**", "/**/*.wav", "/**/deep/*", "/**/deep/**/a.*"])
def test_links_to_themselves_end(tmp_path, pattern):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.wav").touch()
    for name in ("self", "deep/up", "deep/self"):
        (tmp_path / name).symlink_to(tmp_path)
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert find_audio([f"{tmp_path}{pattern}"]) == [tmp_path / "deep" / "a.wav"]


def test_globs_with_two_stars_match_at_every_depth(tmp_path, monkeypatch):
    for name in ("a.wav", "b/a.wav", "b/c/a.wav", "b/c/d/x.wav", ".h/a.wav", "b/c/a.mp3"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)

    def names(pattern: str) -> list[str]:
        return [path.as_posix() for path in find_audio([pattern])]

    assert names("**/a.wav") == ["a.wav", "b/a.wav", "b/c/a.wav"]
    assert names("b/**/*.wav") == ["b/a.wav", "b/c/a.wav", "b/c/d/x.wav"]
    assert names("**/c/*.wav") == ["b/c/a.wav"]
    assert names("**/c") == ["b/c/a.mp3", "b/c/a.wav", "b/c/d/x.wav"]
    assert names("?/**/d/**") == ["b/c/d/x.wav"]
    assert [path.name for path in find_audio([f"{tmp_path}/**/*.mp3"])] == ["a.mp3"]


@pytest.mark.parametrize("pattern", ["{}", "{}/**/*.wav"])
def test_a_folder_without_rights_is_reported_and_the_rest_goes_on(tmp_path, monkeypatch, pattern):
    for name in ("a", "closed", "z"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.wav").touch()
    scandir = os.scandir

    def refuse(path):
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)  # chmod does not stop root
    files = find_audio([pattern.format(tmp_path)])
    assert [str(path.relative_to(tmp_path)) for path in files if path.suffix] == [
        "a/a.wav",
        "z/a.wav",
    ]
    if pattern == "{}":
        assert tmp_path / "closed" in files
        with pytest.raises(AudioError, match=r"cannot look into this folder \(Permission denied\)"):
            load_audio(tmp_path / "closed", RATE)


def test_a_single_name_is_no_list(tmp_path):
    for name in ("a.wav", tmp_path):
        with pytest.raises(AudioError, match="give a list of names"):
            find_audio(name)


def test_addresses_and_stdin_are_listed_as_they_are():
    assert find_audio(["-"]) == [Path("-")]
    address = "https://example.org/a.wav"
    with pytest.raises(AudioError, match=address):
        load_audio(*find_audio([address]), RATE)
