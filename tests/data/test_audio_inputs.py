"""What can be given as a sound: arrays of any type and shape, dictionaries, file objects, pipes."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
import torch

from wsac.data.audio import local_files
from wsac.data.audio.audio_options import AudioOptions
from wsac.data.audio.stream import AudioStream, load_audio
from wsac.types import AudioError, RecipeError

RATE = 16_000


def tone(seconds: float = 1.0, rate: int = RATE, hertz: float = 440.0) -> np.ndarray:
    time = np.arange(round(seconds * rate)) / rate
    return (0.5 * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def samples_of(audio, **options) -> np.ndarray:
    return load_audio(audio, RATE, options=AudioOptions(**options)).samples


@pytest.mark.parametrize(
    ("dtype", "scale", "offset"),
    [
        ("float32", 1, 0),
        ("float64", 1, 0),
        ("float16", 1, 0),
        ("int8", 2**7, 0),
        ("uint8", 2**7, 2**7),
        ("int16", 2**15, 0),
        ("uint16", 2**15, 2**15),
        (">i2", 2**15, 0),
        ("int32", 2**31, 0),
        ("int64", 2**15, 0),
        ("int64", 2**23, 0),
        ("int64", 2**31, 0),
    ],
)
def test_every_number_type_is_the_same_sound(dtype, scale, offset):
    samples = (2 * tone().astype(np.float64) * 0.99 * scale + offset).astype(dtype)
    recording = load_audio(samples, RATE)
    np.testing.assert_allclose(recording.samples, 1.98 * tone(), atol=2 / min(scale, 2**15) + 1e-3)
    assert recording.samples.dtype == np.float32
    assert recording.notes == ()


def test_integers_are_what_a_file_of_them_is(tmp_path):
    samples = (tone() * 32767).astype(np.int16)
    soundfile.write(tmp_path / "a.wav", samples, RATE)
    np.testing.assert_array_equal(samples_of(samples), samples_of(tmp_path / "a.wav"))
    np.testing.assert_array_equal(samples_of(torch.from_numpy(samples)), samples_of(samples))


def test_bfloat16_and_gradients_are_no_hindrance():
    samples = torch.from_numpy(tone())
    np.testing.assert_allclose(samples_of(samples.bfloat16()), tone(), atol=4e-3)
    np.testing.assert_array_equal(samples_of(samples.requires_grad_()), tone())


@pytest.mark.parametrize("scale", [2**15, 2**23, 2**31])
def test_integers_saved_as_floats_are_scaled_and_said(tmp_path, scale):
    samples = tone(2.0)
    soundfile.write(tmp_path / "a.wav", samples * scale, RATE, subtype="FLOAT")
    for audio in (tmp_path / "a.wav", samples * scale):
        recording = load_audio(audio, RATE)
        np.testing.assert_allclose(recording.samples, samples, atol=1e-6)
        assert recording.notes[0].startswith("scaled: peaks at ")
        assert recording.notes[0].endswith(f"integers of {scale.bit_length()} bits")


def test_a_peak_somewhat_over_full_scale_is_said_and_left(tmp_path):
    soundfile.write(tmp_path / "a.wav", 20 * tone(), RATE, subtype="FLOAT")
    recording = load_audio(tmp_path / "a.wav", RATE)
    assert recording.notes == ("loud: peaks at 10 times full scale; is the scale right?",)
    np.testing.assert_allclose(recording.samples, 20 * tone(), atol=1e-5)


@pytest.mark.parametrize("channels", range(1, 9))
def test_channels_are_mixed_whatever_their_side(channels):
    frames = np.random.default_rng(channels).uniform(-1, 1, (1000, channels)).astype(np.float32)
    for samples in (frames, frames.T, torch.from_numpy(frames)):
        np.testing.assert_allclose(samples_of(samples), frames.mean(1), atol=1e-6)
    np.testing.assert_array_equal(samples_of(frames, channel=channels), frames[:, -1])
    with pytest.raises(AudioError, match=f"there is no channel {channels + 1}"):
        samples_of(frames, channel=channels + 1)


@pytest.mark.parametrize("shape", [(1, 5), (5, 1), (1, 1), (1, 20_000)])
def test_one_channel_may_be_of_any_length(shape):
    assert len(samples_of(np.full(shape, 0.5, np.float32))) == max(shape)


@pytest.mark.parametrize(
    ("audio", "words"),
    [
        (np.zeros(0), "samples of shape (0,): give mono samples [T] or up to 8 channels"),
        (np.zeros((2, 0)), "samples of shape (2, 0): give mono"),
        (np.zeros((3, 4)), "samples of shape (3, 4): give mono"),
        (np.zeros((20, 30)), "samples of shape (20, 30): give mono"),
        (np.zeros((1, 1, 400)), "samples of shape (1, 1, 400): give mono"),
        (np.zeros(9, complex), "ndarray of complex128: not a sound"),
        (np.zeros(9, bool), "ndarray of bool: not a sound"),
        (np.zeros(9, np.uint32), "ndarray of uint32: not a sound"),
        (np.array(["a"], object), "ndarray: not a sound"),
        (np.float32(0.5), "float32 of float32 without a dimension: not a sound"),
        (None, "NoneType: not a sound"),
        (0.5, "float of float64 without a dimension: not a sound"),
        (["a.wav"], "list: not a sound"),
        (b"RIFF", "bytes: not a sound"),
        ({}, "a mapping with the keys []: give"),
        ({"audio": 1}, "a mapping with the keys ['audio']: give"),
        (np.full(RATE, np.nan), "all samples are NaN or infinite"),
    ],
)
def test_what_is_no_sound_is_refused_in_one_line(audio, words):
    with pytest.raises(AudioError) as caught:
        load_audio(audio, RATE)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@dataclass
class Decoded:
    data: torch.Tensor
    sample_rate: int


class Decoder:
    """As torchcodec.decoders.AudioDecoder."""

    def get_all_samples(self) -> Decoded:
        stereo = torch.from_numpy(np.stack([tone(1.0, 48_000)] * 2))
        return Decoded(stereo, 48_000)


def test_other_rates_are_resampled_whoever_says_them():
    expected = samples_of(tone(1.0, 48_000), sample_rate=48_000)
    assert len(expected) == RATE
    np.testing.assert_allclose(expected[400:-400], tone()[400:-400], atol=1e-3)
    for audio in (
        {"array": tone(1.0, 48_000), "sampling_rate": 48_000},
        {"array": tone(1.0, 48_000).tolist(), "sampling_rate": 48_000, "path": "a.wav"},
        {"path": None, "bytes": wav(tone(1.0, 48_000), 48_000)},
        Decoder(),
    ):
        np.testing.assert_allclose(samples_of(audio), expected, atol=2e-6)


@pytest.mark.parametrize("rate", [1, 10**9])
def test_impossible_rates_of_arrays_are_refused(rate):
    with pytest.raises(AudioError, match=f"the samples: a sample rate of {rate:,} Hz"):
        samples_of(tone(), sample_rate=rate)


@pytest.mark.parametrize("options", [{"track": 0}, {"channel": -1}, {"sample_rate": 0}])
def test_impossible_options_are_refused(options):
    with pytest.raises(RecipeError, match=next(iter(options))):
        AudioOptions(**options)
    with pytest.raises(RecipeError, match="--channel left"):
        AudioOptions.parse(None, "left")
    assert AudioOptions.parse(2, "mix") == AudioOptions(track=2, channel="mix")


def wav(samples: np.ndarray, rate: int = RATE) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="WAV", subtype="FLOAT")
    return file.getvalue()


@pytest.fixture
def copies(tmp_path, monkeypatch):
    """The folder of temporary files, of this test alone."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_file_objects_are_read_from_where_they_stand_and_can_be_read_again(tmp_path, copies):
    file = io.BytesIO(b"junk" + wav(tone()))
    file.seek(4)
    for _ in range(2):
        np.testing.assert_array_equal(samples_of(file), tone())
        assert file.tell() == 4
    (tmp_path / "a.wav").write_bytes(wav(tone()))
    with (tmp_path / "a.wav").open("rb") as opened, AudioStream(opened, RATE) as stream:
        assert sum(map(len, stream)) == RATE
        assert stream.file == str(tmp_path / "a.wav")
    assert not [*copies.iterdir()]
    with pytest.raises(AudioError, match=r"the file object: empty"):
        load_audio(io.BytesIO(), RATE)
    with pytest.raises(AudioError, match="a text file; open it with mode 'rb'"):
        load_audio(io.StringIO("text"), RATE)
    assert not [*copies.iterdir()]


def test_a_stream_that_cannot_seek_is_copied_once(tmp_path, monkeypatch):
    def pipe(content: bytes):
        reading, writing = os.pipe()
        os.write(writing, content)
        os.close(writing)
        return os.fdopen(reading, "rb")

    with pipe(wav(tone(0.5))) as file:
        for _ in range(2):
            np.testing.assert_array_equal(samples_of(file), tone(0.5))
    monkeypatch.setattr(local_files, "SPOOL_BYTES", 1000)
    with pipe(wav(tone(0.5))) as file, pytest.raises(AudioError, match="GiB from a pipe; save it"):
        load_audio(file, RATE)


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="needs /dev/fd")
def test_two_pipes_that_get_the_same_name_are_two_sounds(copies):
    names = []
    for seconds in (0.25, 0.5):
        reading, writing = os.pipe()
        os.write(writing, wav(tone(seconds)))
        os.close(writing)
        names.append(f"/dev/fd/{reading}")
        for _ in range(2):
            np.testing.assert_array_equal(samples_of(names[-1]), tone(seconds))
        os.close(reading)
    assert names[0] == names[1]


def test_a_folder_that_looks_like_the_scheme_of_an_address_is_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in (Path("take:"), Path("d/take:")):
        folder.mkdir(parents=True)
        (folder / "x.wav").write_bytes(wav(tone()))
        assert local_files.sound_name(folder / "x.wav") == str(folder / "x.wav")
    assert local_files.sound_name(Path("http://a.org/x.wav")) == "http://a.org/x.wav"


def test_one_live_channel_of_many_is_not_called_antiphase(tmp_path):
    channels = np.zeros((16, RATE), np.float32)
    channels[4] = tone()
    soundfile.write(tmp_path / "a.wav", channels.T, RATE)
    (note,) = load_audio(tmp_path / "a.wav", RATE).notes
    assert note.startswith("channels: most of them are silent, so channel 5 is read")


COUNT = """
import sys
from wsac.data.audio.find import find_audio
from wsac.data.audio.stream import AudioStream
for path in find_audio(sys.argv[1:]):
    for _ in range(2):
        with AudioStream(path, 16000) as stream:
            print(stream.file.split("/")[1 if "/" in stream.file else 0], sum(map(len, stream)))
"""


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="needs /dev/fd")
@pytest.mark.parametrize("name", ["-", "/dev/stdin", "<(cat a.wav)", "/dev/stdin < a.wav"])
def test_pipes_of_the_shell_are_read(tmp_path, copies, name):
    (tmp_path / "a.wav").write_bytes(wav(tone()))
    (tmp_path / "run.py").write_text(COUNT)
    command = f"cat a.wav | {sys.executable} run.py {name}"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    shown = "-" if name == "-" else "dev"
    assert result.stdout.split() == [shown, str(RATE)] * 2, result.stderr
    assert not [*copies.iterdir()]


def test_devices_other_pipes_and_addresses_are_refused(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe.wav")
    with pytest.raises(AudioError, match="a named pipe, which may never end; try: cat"):
        load_audio(tmp_path / "pipe.wav", RATE)
    for device in ("/dev/zero", "/dev/null"):
        with pytest.raises(AudioError, match=f"{device}: a device, not a sound file"):
            load_audio(device, RATE)
    address = "https://example.org/a.wav"
    for audio in (address, Path(address)):
        with pytest.raises(AudioError) as caught:
            load_audio(audio, RATE)
        assert str(caught.value).startswith(f"{address}: an address; sounds must be local files")
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(AudioError, match="-: nothing is piped in"):
        load_audio("-", RATE)
    with pytest.raises(AudioError, match="cannot read"):
        load_audio("a\0b.wav", RATE)


def test_opposite_channels_are_noticed_and_the_louder_one_is_read(tmp_path):
    stereo = np.stack([0.9 * tone(2.0), -tone(2.0)])
    soundfile.write(tmp_path / "a.wav", stereo.T, RATE, subtype="FLOAT")
    for audio in (tmp_path / "a.wav", stereo):
        recording = load_audio(audio, RATE)
        np.testing.assert_allclose(recording.samples, -tone(2.0), atol=1e-6)
        assert not recording.silent
        assert recording.notes == (
            "antiphase: the channels cancel each other, so channel 2 is read; "
            "--channel chooses another",
        )
    np.testing.assert_allclose(samples_of(stereo, channel=1), stereo[0], atol=1e-6)
    np.testing.assert_allclose(samples_of(stereo, channel="mix"), stereo.mean(0), atol=1e-6)


def test_ordinary_stereo_is_mixed_without_a_note():
    rng = np.random.default_rng(0)
    left, right = rng.uniform(-0.5, 0.5, (2, RATE)).astype(np.float32)
    for stereo in (
        (left, right),
        (left, 0 * left),
        (left, -0.5 * left),
        (0 * left, 0 * left + 0.1),
    ):
        recording = load_audio(np.stack(stereo), RATE)
        np.testing.assert_allclose(recording.samples, np.mean(stereo, axis=0), atol=1e-6)
        assert recording.notes == ()


@pytest.fixture(scope="module")
def two_tracks(tmp_path_factory) -> Path:
    """The first track is silent, the second has a tone, the third a faint one."""
    path = tmp_path_factory.mktemp("tracks") / "a.mkv"
    levels = (0.0, 1.0, 0.1)
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("pcm_s16le", rate=RATE, layout="mono") for _ in levels]
        for begin in range(0, 2 * RATE, 1600):
            for stream, level in zip(streams, levels, strict=True):
                piece = (level * tone(2.0)[begin : begin + 1600] * 32767).astype(np.int16)
                frame = av.AudioFrame.from_ndarray(piece[None], format="s16", layout="mono")
                frame.rate, frame.pts = RATE, begin
                container.mux(stream.encode(frame))
        for stream in streams:
            container.mux(stream.encode(None))
    return path


def test_the_loudest_track_is_read_and_the_others_are_said(two_tracks):
    recording = load_audio(two_tracks, RATE)
    np.testing.assert_allclose(recording.samples, tone(2.0), atol=1e-4)
    assert recording.notes == (
        "tracks: of 3 audio tracks, number 2 is the loudest and is read; --track chooses another",
    )


@pytest.mark.parametrize(("track", "level"), [(1, 0.0), (2, 1.0), (3, 0.1)])
def test_a_track_can_be_chosen(two_tracks, track, level):
    recording = load_audio(two_tracks, RATE, options=AudioOptions(track=track))
    np.testing.assert_allclose(recording.samples, level * tone(2.0), atol=1e-4)
    assert not any(note.startswith("tracks: ") for note in recording.notes)


def test_a_track_that_is_not_there_is_refused(two_tracks, tmp_path):
    with pytest.raises(AudioError, match="has 3 audio tracks; there is no track 4"):
        samples_of(two_tracks, track=4)
    (tmp_path / "a.wav").write_bytes(wav(tone()))
    with pytest.raises(AudioError, match="has 1 audio track; there is no track 2"):
        samples_of(tmp_path / "a.wav", track=2)
