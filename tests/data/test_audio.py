"""Sound files: formats keep pitch and length, broken files are noted, windows obey laws."""

from __future__ import annotations

import itertools
import struct
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from wsac.data.audio.find import AUDIO_SUFFIXES, find_audio
from wsac.data.audio.stream import AudioStream, load_audio
from wsac.types import AudioError, RecipeError

RATE = 48000
SOUNDFILE = {
    "wav": {},
    "flac": {},
    "ogg": {},
    "opus": {"format": "OGG", "subtype": "OPUS"},
    "aiff": {},
    "caf": {},
    "au": {},
    "w64": {},
    "rf64": {},
    "mp3": {},
}
PYAV = {
    "aac.m4a": "aac",
    "alac.m4a": "alac",
    "aac.mp4": "aac",
    "opus.webm": "libopus",
    "flac.mkv": "flac",
    "ac3.mka": "ac3",
    "pcm.mov": "pcm_s16le",
    "aac.aac": "aac",
    "ac3.ac3": "ac3",
    "lame.mp3": "libmp3lame",
}
FORMATS = [*(f"a.{suffix}" for suffix in SOUNDFILE), *PYAV]


def tone(seconds: float, rate: int = RATE, hertz: float = 440.0) -> np.ndarray:
    """A sine [T], float32, with a little noise: else lossless files would be almost empty."""
    time = np.arange(round(seconds * rate)) / rate
    noise = np.random.default_rng(0).standard_normal(len(time))
    return (0.5 * np.sin(2 * np.pi * hertz * time) + 0.01 * noise).astype(np.float32)


def encode(
    path: Path,
    codec: str,
    samples: np.ndarray,
    rate: int = RATE,
    video: float = 0.0,
    **options: str,
) -> Path:
    """Write [T] or [C, T] float32 with PyAV; ``video`` seconds of black pictures beside it."""
    samples = np.atleast_2d(samples)
    layout = {1: "mono", 2: "stereo", 6: "5.1"}[len(samples)]
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.layout = layout
        context = stream.codec_context
        context.open(strict=False)
        pictures = container.add_stream("mpeg4", rate=5) if video else None
        for index in range(round(video * 5)):
            picture = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")
            picture.pts = index
            container.mux(pictures.encode(picture))
        if pictures:
            container.mux(pictures.encode(None))
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples), format="fltp", layout=layout
        )
        frame.rate, frame.pts = rate, 0
        resampler = av.AudioResampler(context.format, layout, rate, context.frame_size or 1024)
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
    return path


def write(folder: Path, name: str, samples: np.ndarray) -> Path:
    """Write samples in the format that ``name`` (of FORMATS) stands for."""
    path = folder / name
    if name in PYAV:
        return encode(path, PYAV[name], samples)
    soundfile.write(path, samples.T, RATE, **SOUNDFILE[path.suffix[1:]])
    return path


def cut(path: Path, share: float) -> Path:
    """Keep the first ``share`` of the bytes."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path


def pitch(samples: np.ndarray, rate: int) -> float:
    """The strongest frequency, in hertz."""
    return float(np.abs(np.fft.rfft(samples)).argmax() * rate / len(samples))


@pytest.mark.parametrize("name", FORMATS)
def test_each_format_keeps_pitch_level_and_length_without_notes_or_noise(tmp_path, capfd, name):
    recording = load_audio(write(tmp_path, name, tone(2.0)), RATE)
    assert recording.notes == ()
    assert recording.samples.dtype == np.float32
    assert recording.samples.ndim == 1
    assert recording.seconds == len(recording.samples) / RATE == pytest.approx(2.0, abs=0.06)
    assert pitch(recording.samples, RATE) == pytest.approx(440, abs=2)
    assert recording.samples.std() == pytest.approx(
        tone(2.0).std(), rel=0.08
    )  # lame turns 5 % down
    assert capfd.readouterr().err == ""


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
def test_a_truncated_file_is_said_or_refused(tmp_path, capfd, name):
    path = cut(write(tmp_path, name, tone(10.0)), 0.31)
    if path.suffix in {".m4a", ".mp4", ".mov"}:  # their index stands at the end
        with pytest.raises(AudioError, match="truncated"):
            load_audio(path, RATE)
    else:
        recording = load_audio(path, RATE)
        assert 2.0 < recording.seconds < 5.0
        assert pitch(recording.samples, RATE) == pytest.approx(440, abs=2)
        unknowable = name in {
            "a.au",
            "a.w64",
            "ac3.ac3",
        }  # nothing in the file tells, or nobody reads what does
        assert unknowable or recording.notes[0].startswith("truncated: ")
        if path.suffix in {
            ".wav",
            ".aiff",
            ".caf",
            ".rf64",
            ".flac",
            ".mp3",
            ".mka",
            ".mkv",
            ".webm",
        }:
            assert "of 10.0 s" in recording.notes[0]
    assert capfd.readouterr().err == ""


def test_a_truncated_mp4_with_its_index_in_front_gives_what_is_there(tmp_path):
    path = cut(encode(tmp_path / "a.m4a", "aac", tone(10.0), movflags="faststart"), 0.5)
    recording = load_audio(path, RATE)
    assert recording.notes[0].startswith("truncated: ")
    assert 2 < recording.seconds < 7


@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
def test_a_video_that_outlasts_its_sound_is_whole(tmp_path, suffix):
    path = encode(tmp_path / f"a.{suffix}", "aac", tone(2.0), video=6.0)
    recording = load_audio(path, RATE)
    assert recording.notes == ()
    assert recording.seconds == pytest.approx(2.0, abs=0.06)


def test_a_damaged_middle_is_left_out_and_said(tmp_path):
    path = encode(tmp_path / "a.m4a", "aac", tone(4.0))
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 3000] = np.random.default_rng(0).bytes(3000)
    path.write_bytes(content)
    recording = load_audio(path, RATE)
    assert 3 < recording.seconds < 4.1
    assert recording.notes[0].startswith("damaged: ")


def test_a_flac_of_unknown_length_is_whole(tmp_path):
    path = tmp_path / "a.flac"
    soundfile.write(path, tone(1.0), RATE)
    content = bytearray(path.read_bytes())
    content[21] &= 0xF0  # the 36-bit sample count of STREAMINFO, as a pipe leaves it
    content[22:26] = bytes(4)
    path.write_bytes(content)
    with AudioStream(path, RATE) as stream:
        assert stream.declared_seconds is None
        assert sum(map(len, stream)) == RATE
        assert stream.notes == ()


def test_a_wav_from_a_pipe_is_whole(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(1.0), RATE)
    content = bytearray(path.read_bytes())
    content[40:44] = b"\xff\xff\xff\xff"  # ffmpeg cannot seek back to write the size
    path.write_bytes(content)
    recording = load_audio(path, RATE)
    assert len(recording.samples) == RATE
    assert recording.notes == ()


@pytest.mark.parametrize(
    "rate", [8000, 11025, 16000, 22050, 32000, 44100, 48000, 88200, 96000, 192000]
)
@pytest.mark.parametrize("target", [16000, 48000])
def test_every_rate_is_resampled(tmp_path, rate, target):
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(1.0, rate), rate)
    recording = load_audio(path, target)
    assert len(recording.samples) == target
    assert pitch(recording.samples, target) == pytest.approx(440, abs=1)


@pytest.mark.parametrize("channels", range(1, 9))
def test_channels_are_mixed_by_mean(tmp_path, channels):
    path = tmp_path / "a.wav"
    frames = np.random.default_rng(channels).uniform(-1, 1, (1000, channels)).astype(np.float32)
    soundfile.write(path, frames, 16000, subtype="FLOAT")
    np.testing.assert_allclose(load_audio(path, 16000).samples, frames.mean(1), atol=1e-6)


@pytest.mark.parametrize("codec", ["alac", "pcm_s16le", "pcm_s32le", "pcm_f32le", "pcm_u8"])
def test_pyav_sample_formats_planar_packed_and_unsigned(tmp_path, codec):
    stereo = np.stack([tone(0.5), np.zeros(RATE // 2, np.float32)])
    recording = load_audio(encode(tmp_path / "a.mov", codec, stereo), RATE)
    np.testing.assert_allclose(recording.samples, stereo.mean(0), atol=0.01)


def test_surround_in_aac_is_mixed_by_mean(tmp_path):
    recording = load_audio(encode(tmp_path / "a.m4a", "aac", np.stack([tone(1.0)] * 6)), RATE)
    assert pitch(recording.samples, RATE) == pytest.approx(440, abs=2)


@pytest.mark.parametrize(("level", "silent"), [(0.0, True), (5e-4, True), (2e-3, False)])
def test_silence_is_said(tmp_path, level, silent):
    path = tmp_path / "a.wav"
    soundfile.write(path, 2 * level * tone(1.0), RATE, subtype="FLOAT")
    assert [note.split(":")[0] for note in load_audio(path, RATE).notes] == ["silent"] * silent


def test_nan_and_infinity_become_zero_and_are_said(tmp_path):
    path = tmp_path / "a.wav"
    samples = tone(1.0)
    samples[[5, 6]], samples[7] = np.nan, np.inf
    soundfile.write(path, samples, RATE, subtype="FLOAT")
    recording = load_audio(path, RATE)
    assert np.isfinite(recording.samples).all()
    assert recording.samples[5:8].tolist() == [0, 0, 0]
    assert recording.notes == ("damaged: 3 samples are NaN or infinite, now 0",)


@pytest.mark.parametrize("frames", [1, 2, 7, 400])
def test_very_short_files_work(tmp_path, frames):
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(1.0)[:frames], 16000)
    assert len(load_audio(path, RATE).samples) == 3 * frames


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("empty.wav", b"", "empty"),
        ("page.wav", b"<!DOCTYPE html>\n<html><body>404</body></html>" * 20, "text"),
        ("page.mp3", b"<!DOCTYPE html>\n<html><body>404</body></html>" * 20, "text"),
        ("zeros.wav", bytes(9000), "no known sound format"),
        ("noise.wav", np.random.default_rng(0).bytes(90000), "no known sound format"),
        ("noise.mp3", np.random.default_rng(0).bytes(90000), "no "),
        ("header.wav", b"RIFF\x24\0\0\0WAVE", "no "),
        ("noise.raw", np.random.default_rng(0).bytes(9000), "no "),
    ],
)
def test_what_is_not_sound_is_refused_in_one_line(tmp_path, capfd, name, content, said):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(AudioError) as caught:
        load_audio(path, RATE)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


def test_missing_files_folders_and_files_without_samples_are_refused(tmp_path):
    with pytest.raises(AudioError, match="no such file"):
        load_audio(tmp_path / "missing.wav", RATE)
    with pytest.raises(AudioError, match="folder"):
        load_audio(tmp_path, RATE)
    soundfile.write(tmp_path / "none.wav", np.empty(0), RATE)
    with pytest.raises(AudioError, match="no audio samples"):
        load_audio(tmp_path / "none.wav", RATE)


def test_an_unreadable_file_is_refused(tmp_path, monkeypatch):
    def refuse(*_args, **_options):
        raise PermissionError(13, "Permission denied")

    path = tmp_path / "a.wav"
    path.touch()
    monkeypatch.setattr(Path, "open", refuse)  # chmod does not stop root
    with pytest.raises(AudioError, match="Permission denied"):
        load_audio(path, RATE)


def test_a_video_without_sound_is_refused(tmp_path):
    path = tmp_path / "mute.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=5)
        container.mux(
            stream.encode(
                av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")
            )
        )
        container.mux(stream.encode(None))
    with pytest.raises(AudioError, match="no audio track"):
        load_audio(path, RATE)


@pytest.mark.parametrize(
    ("name", "real"), [("a.wav", "a.mp3"), ("a.mp3", "a.wav"), ("a.wav", "aac.m4a")]
)
def test_a_wrong_suffix_does_not_matter(tmp_path, capfd, name, real):
    path = write(tmp_path, real, tone(1.0)).rename(tmp_path / f"renamed{Path(name).suffix}")
    assert load_audio(path, RATE).seconds == pytest.approx(1.0, abs=0.06)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("name", ["a.wav", "a.mp3", "aac.m4a"])
def test_max_seconds_gives_the_beginning(tmp_path, name):
    path = write(tmp_path, name, tone(3.0))
    whole, part = load_audio(path, 16000), load_audio(path, 16000, max_seconds=1.25)
    np.testing.assert_array_equal(part.samples, whole.samples[:20000])
    assert part.notes == ()
    assert load_audio(path, 16000, max_seconds=60).samples.size == whole.samples.size


@pytest.mark.parametrize("name", ["a.wav", "a.ogg", "aac.m4a"])
@pytest.mark.parametrize("window_seconds", [0.3, 1.0, 2.5, 60.0])
def test_windows_end_to_end_are_the_whole_sound(tmp_path, name, window_seconds):
    path = write(tmp_path, name, tone(2.5))
    whole = load_audio(path, 32000)
    with AudioStream(path, 32000) as stream:
        windows = list(stream.windows(window_seconds))
        assert stream.seconds == whole.seconds
    np.testing.assert_array_equal(
        np.concatenate([window.samples for window in windows]), whole.samples
    )
    assert windows[0].start == 0
    assert windows[-1].end == whole.seconds
    assert all(before.end == after.start for before, after in itertools.pairwise(windows))


@pytest.mark.parametrize(
    ("seconds", "window", "hop", "spans"),
    [
        (10.0, 4.0, 2.0, [(0, 4), (2, 6), (4, 8), (6, 10)]),  # (8, 10) would add nothing
        (11.0, 4.0, 2.0, [(0, 4), (2, 6), (4, 8), (6, 10), (8, 11)]),
        (8.0, 4.0, None, [(0, 4), (4, 8)]),
        (9.0, 4.0, None, [(0, 4), (4, 8), (8, 9)]),
        (3.0, 4.0, 1.0, [(0, 3)]),
        (10.0, 2.0, 5.0, [(0, 2), (5, 7)]),
        (11.0, 2.0, 5.0, [(0, 2), (5, 7), (10, 11)]),
    ],
)
def test_window_spans(tmp_path, seconds, window, hop, spans):
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(seconds, 16000), 16000)
    whole = load_audio(path, 16000).samples
    with AudioStream(path, 16000) as stream:
        windows = list(stream.windows(window, hop))
    assert [(piece.start, piece.end) for piece in windows] == spans
    for piece in windows:
        np.testing.assert_array_equal(
            piece.samples, whole[round(piece.start * 16000) : round(piece.end * 16000)]
        )


@pytest.mark.parametrize("bad", [0, -1, float("nan"), float("inf")])
def test_impossible_lengths_are_refused_at_once(tmp_path, bad):
    path = write(tmp_path, "a.wav", tone(0.1))
    with AudioStream(path, RATE) as stream:
        with pytest.raises(RecipeError, match="window_seconds"):
            stream.windows(bad)
        with pytest.raises(RecipeError, match="hop_seconds"):
            stream.windows(1.0, bad)
    with pytest.raises(RecipeError, match="max_seconds"):
        load_audio(path, RATE, max_seconds=bad)
    with pytest.raises(RecipeError, match="sample_rate"):
        AudioStream(path, 0)


@pytest.mark.parametrize("name", ["a.wav", "aac.m4a", "flac.mkv"])
def test_a_stream_can_be_left_early_and_closed_twice(tmp_path, name):
    stream = AudioStream(write(tmp_path, name, tone(3.0)), RATE)
    assert stream.declared_seconds == pytest.approx(3.0, abs=0.05)
    assert 0 < len(next(iter(stream))) < 3 * RATE
    stream.close()
    stream.close()
    assert list(stream) == []


def test_find_audio_expands_folders_and_globs_and_keeps_explicit_files(tmp_path):
    for name in (
        "b.wav",
        "a.FLAC",
        "notes.txt",
        ".hidden.wav",
        "deep/c.mp3",
        ".cache/d.wav",
        "odd[1].wav",
        "x.dat",
    ):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    everything = sorted(tmp_path / name for name in ("a.FLAC", "b.wav", "deep/c.mp3", "odd[1].wav"))
    assert find_audio([tmp_path]) == everything
    assert (
        find_audio([tmp_path / "b.wav", str(tmp_path), tmp_path / "b.wav"])[0] == tmp_path / "b.wav"
    )
    assert sorted(find_audio([tmp_path / "b.wav", tmp_path])) == everything
    assert find_audio([f"{tmp_path}/*.wav"]) == [tmp_path / "b.wav", tmp_path / "odd[1].wav"]
    assert find_audio([f"{tmp_path}/**/*"]) == everything
    explicit = [tmp_path / "x.dat", tmp_path / "missing.wav", tmp_path / "odd[1].wav"]
    assert find_audio(explicit) == explicit
    (tmp_path / "bare").mkdir()
    for nothing in (tmp_path / "bare", f"{tmp_path}/*.mp4"):
        with pytest.raises(AudioError, match="no sound files"):
            find_audio([nothing])
    assert {".wav", ".mp3", ".m4a", ".webm"} <= AUDIO_SUFFIXES


# VmHWM and not getrusage, whose peak counts what this process held before the fork
MEASURE = """
import sys
from pathlib import Path
from wsac.data.audio.stream import AudioStream
with AudioStream(sys.argv[1], 16000) as stream:
    ends = [window.end for window in stream.windows(10.0)]
peak = Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]  # KiB
print(len(ends), ends[-1], peak, *stream.notes)
"""


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["wav", "mka", pytest.param("flac", marks=pytest.mark.slow)])
@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="needs /proc to measure memory")
def test_three_hours_stream_in_150_megabytes(tmp_path, suffix):
    path = tmp_path / f"long.{suffix}"
    minute = np.tile(np.array([3000, -3000], np.int16), 30 * 8000)  # packs small and fast
    if suffix == "wav":  # a header and a hole: no disk, no time
        size = 2 * 8000 * 10800
        form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 8000, 16000, 2, 16)
        with path.open("wb") as file:
            file.write(
                struct.pack("<4sI4s", b"RIFF", 36 + size, b"WAVE")
                + form
                + struct.pack("<4sI", b"data", size)
            )
            file.truncate(44 + size)
    elif suffix == "flac":
        with soundfile.SoundFile(path, "w", 8000, 1) as file:
            for _ in range(180):
                file.write(minute)
    else:
        with av.open(str(path), "w") as container:
            stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
            for index in range(180):
                frame = av.AudioFrame.from_ndarray(minute[None], format="s16", layout="mono")
                frame.rate, frame.pts = 8000, index * len(minute)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    result = subprocess.run(
        [sys.executable, "-c", MEASURE, path], capture_output=True, text=True, check=True
    )
    count, end, peak, *notes = result.stdout.split()
    assert bool(notes) == (suffix == "wav")  # silent
    assert (int(count), float(end)) == (1080, 10800.0)
    assert int(peak) / 2**10 < 150
    assert result.stderr == ""
