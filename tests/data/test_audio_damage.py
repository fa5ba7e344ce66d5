"""Damaged files: where one decoder stops another reads on, and nothing is without bounds."""

from __future__ import annotations

import struct
import subprocess
import sys
import time
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from wsac.data.audio.headers import Part, audio_start, declared_share, holds_mpeg, ogg_links
from wsac.data.audio.stream import AudioStream, load_audio
from wsac.types import AudioError

RATE = 16_000


def noise(seconds: float, rate: int = RATE, seed: int = 0) -> np.ndarray:
    samples = np.random.default_rng(seed).uniform(-0.5, 0.5, round(seconds * rate))
    return samples.astype(np.float32)


def encoded(folder: Path, name: str, samples: np.ndarray, rate: int = RATE, **options) -> bytes:
    path = folder / name
    soundfile.write(path, samples, rate, **options)
    return path.read_bytes()


def put(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def id3(size: int) -> bytes:
    return b"ID3\4\0\0" + bytes(size >> shift & 127 for shift in (21, 14, 7, 0))


def second(recording) -> str:
    return next((note for note in recording.notes if note.startswith("second decoder")), "")


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_a_flipped_byte_in_a_flac_costs_a_frame_and_not_the_rest(tmp_path, share):
    samples = noise(8.0)
    content = bytearray(encoded(tmp_path, "a.flac", samples))
    content[int(len(content) * share)] ^= 0xFF
    recording = load_audio(put(tmp_path, "b.flac", bytes(content)), RATE)
    assert recording.seconds > 8.0 - 2 * 4096 / RATE
    np.testing.assert_allclose(recording.samples[-RATE // 4 :], samples[-RATE // 4 :], atol=1e-4)
    assert second(recording).endswith("FFmpeg read on") or "gave no samples" in second(recording)


@pytest.mark.parametrize("place", [8, 10, 14, 18, 20, 22, 30])
def test_a_flipped_byte_in_the_header_of_a_flac_loses_nothing(tmp_path, place):
    samples = noise(2.0)
    content = bytearray(encoded(tmp_path, "a.flac", samples))
    content[place] ^= 0x40
    recording = load_audio(put(tmp_path, "b.flac", bytes(content)), RATE)
    np.testing.assert_allclose(recording.samples, samples, atol=1e-4)


def test_a_flac_that_declares_twice_its_samples_gives_all_it_has(tmp_path):
    samples = noise(2.3)
    content = bytearray(encoded(tmp_path, "a.flac", samples))
    content[22:26] = (2 * len(samples)).to_bytes(4, "big")
    recording = load_audio(put(tmp_path, "b.flac", bytes(content)), RATE)
    np.testing.assert_allclose(recording.samples, samples, atol=1e-4)
    assert recording.notes[0].startswith("truncated: 2.3 s of 4.6 s")
    assert "stopped at 2.0 s, FFmpeg read on" in second(recording)


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF])
@pytest.mark.parametrize("form", [0, 0xFFFFFFFF, None])
def test_a_wav_of_a_recorder_that_crashed_is_read(tmp_path, size, form):
    samples = noise(1.5)
    content = bytearray(encoded(tmp_path, "a.wav", samples))
    content[40:44] = size.to_bytes(4, "little")
    if form is not None:
        content[4:8] = form.to_bytes(4, "little")
    recording = load_audio(put(tmp_path, "b.wav", bytes(content)), RATE)
    np.testing.assert_allclose(recording.samples, samples, atol=1e-4)
    assert bool(second(recording)) == (size == 0)


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg"])
def test_a_sound_behind_an_id3_tag_is_read(tmp_path, name):
    content = encoded(tmp_path, name, noise(1.5))
    recording = load_audio(put(tmp_path, f"tag-{name}", id3(300) + bytes(300) + content), RATE)
    assert recording.seconds == 1.5
    assert recording.notes == ()


@pytest.mark.parametrize("name", ["a.mp3", "a.wav"])
def test_an_id3_tag_larger_than_its_file_is_skipped(tmp_path, capfd, name):
    content = encoded(tmp_path, name, noise(1.5))
    path = put(tmp_path, f"tag-{name}", id3(1 << 24) + bytes(300) + content)
    assert audio_start(path, path.read_bytes()[:64]) == 310
    assert load_audio(path, RATE).seconds == pytest.approx(1.5, abs=0.06)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(("kind", "rate"), [("VORBIS", 22050), ("VORBIS", RATE), ("OPUS", 48000)])
def test_every_link_of_a_chained_ogg_is_read(tmp_path, kind, rate):
    first = encoded(tmp_path, "a.ogg", noise(1.0))
    content = first + encoded(tmp_path, "b.ogg", noise(2.0, rate), rate, subtype=kind)
    content += first
    path = put(tmp_path, "c.ogg", content)
    assert ogg_links(path) == [0, len(first), len(content) - len(first)]
    recording = load_audio(path, RATE)
    assert recording.seconds == pytest.approx(4.0, abs=0.02)
    assert recording.notes == ()


@pytest.mark.slow
@pytest.mark.parametrize("how", ["cut", "zeros"])
@pytest.mark.parametrize("kind", ["VORBIS", "OPUS"])
def test_damage_in_the_first_link_of_a_chained_ogg_is_noted(tmp_path, kind, how):
    first = encoded(tmp_path, "a.ogg", noise(10.0), subtype=kind)
    half = len(first) // 2
    damaged = first[:half] + (b"" if how == "cut" else bytes(9000) + first[half + 9000 :])
    last = encoded(tmp_path, "b.ogg", noise(2.0), subtype=kind)
    recording = load_audio(put(tmp_path, "c.ogg", damaged + last), RATE)
    assert 2 < recording.seconds < 12
    assert "a link of the chained stream is cut or damaged" in recording.notes[0]


@pytest.mark.parametrize("head", [b"RIFF\xff\xff\xff\x7fWAVE", b"FORM\x7f\xff\xff\xffAIFF"])
def test_zeros_are_not_read_as_millions_of_chunks(tmp_path, head):
    path = put(tmp_path, "a.wav", head + bytes(8 << 20))
    start = time.process_time()
    assert declared_share(path, head) == 1.0
    assert not holds_mpeg(path, head)
    assert time.process_time() - start < 0.5


def test_an_mp3_in_a_wav_makes_no_noise_on_stderr(tmp_path, capfd):
    with av.open(str(tmp_path / "a.wav"), "w") as container:
        stream = container.add_stream("libmp3lame", rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(noise(2.0)[None], format="fltp", layout="mono")
        frame.rate, frame.pts = RATE, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    content = (tmp_path / "a.wav").read_bytes()
    assert content[20:22] == b"\x55\0"
    middle = len(content) // 2
    broken = content[:middle] + bytes(100) + content[middle + 300 :]
    for name, data in (("whole.wav", content), ("broken.wav", broken)):
        assert load_audio(put(tmp_path, name, data), RATE).seconds > 1.5
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("suffix", ["mp3", "mpg", "mp2"])
def test_a_damaged_wav_named_as_mpeg_makes_no_noise_on_stderr(tmp_path, capfd, suffix):
    content = bytearray(encoded(tmp_path, "a.wav", noise(4.0)))
    content[11] = 13  # no longer WAVE, so libsndfile would go by the suffix
    with pytest.raises(AudioError):
        load_audio(put(tmp_path, f"b.{suffix}", bytes(content)), RATE)
    assert capfd.readouterr().err == ""


def test_a_few_samples_of_damaged_floats_do_not_rescale_the_rest(tmp_path):
    samples = noise(2.0)
    samples[[5, 6, 7]] = 3e38, 1e6, np.inf
    soundfile.write(tmp_path / "a.wav", samples, RATE, subtype="FLOAT")
    recording = load_audio(tmp_path / "a.wav", 48_000)
    assert np.isfinite(recording.samples).all()
    assert 0.2 < recording.samples[4000:].std() < 0.4
    assert recording.notes == (
        "damaged: 2 samples are NaN or infinite, now 0",
        "loud: peaks at 1e+06 times full scale; is the scale right?",
    )


@pytest.mark.parametrize("error", [RuntimeError("boom"), MemoryError(), OSError(5, "I/O error")])
def test_when_the_first_decoder_fails_midway_the_second_reads_on(tmp_path, monkeypatch, error):
    samples = noise(5.0)
    path = tmp_path / "a.wav"
    soundfile.write(path, samples, RATE)
    read, calls = soundfile.SoundFile.read, []

    def failing(self, *args, **options):
        calls.append(1)
        if len(calls) == 3:
            raise error
        return read(self, *args, **options)

    monkeypatch.setattr(soundfile.SoundFile, "read", failing)
    recording = load_audio(path, RATE)
    np.testing.assert_allclose(recording.samples, samples, atol=1e-4)
    assert recording.notes == ("second decoder: libsndfile stopped at 2.0 s, FFmpeg read on",)


def test_eight_channels_in_aac_do_not_crash(tmp_path):
    path = tmp_path / "a.mka"
    packed = np.repeat(noise(1.0, 48_000), 8)[None]  # PyAV cannot make eight planes either
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=48_000, layout="7.1")
        frame = av.AudioFrame.from_ndarray(packed, format="flt", layout="7.1")
        frame.rate, frame.pts = 48_000, 0
        resampler = av.AudioResampler("fltp", "7.1", 48_000, 1024)
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
    recording = load_audio(path, RATE)
    assert recording.seconds == pytest.approx(1.0, abs=0.06)
    assert not recording.silent


def test_when_both_decoders_fail_the_cause_is_said(tmp_path, monkeypatch):
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(1.0), RATE)

    def fail(*_args, **_options):
        raise RuntimeError("no\nluck")

    monkeypatch.setattr(soundfile.SoundFile, "read", fail)
    monkeypatch.setattr(av, "open", fail)
    with pytest.raises(AudioError, match=r"a\.wav: cannot be read \(no luck\)") as caught:
        load_audio(path, RATE)
    assert isinstance(caught.value.__cause__, RuntimeError)


@pytest.mark.parametrize("rate", [1, 999, 1_536_001, 1_000_000_000])
@pytest.mark.parametrize("channels", [1, 16])
def test_impossible_sample_rates_are_refused(tmp_path, rate, channels):
    size = 64_000
    form = (1, channels, rate, rate * 2 * channels % 2**32, 2 * channels, 16)
    head = struct.pack("<4sI4s4sI", b"RIFF", 36 + size, b"WAVE", b"fmt ", 16)
    content = head + struct.pack("<HHIIHH", *form) + struct.pack("<4sI", b"data", size)
    path = put(tmp_path, "a.wav", content + bytes(size))
    with pytest.raises(AudioError, match=f"a sample rate of {rate:,} Hz"):
        load_audio(path, RATE)


PEAK = """
import resource, sys
from wsac.data.audio.stream import AudioStream
with AudioStream(sys.argv[1], 48000) as stream:
    total = sum(map(len, stream))
from pathlib import Path
print(total, Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="needs /proc to measure memory")
@pytest.mark.parametrize(("rate", "channels"), [(1000, 1), (8000, 16), (8000, 1000)])
def test_odd_rates_and_many_channels_stay_small(tmp_path, rate, channels):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.full((2_000_000 // channels, channels), 0.1), rate)
    result = subprocess.run(
        [sys.executable, "-c", PEAK, path], capture_output=True, text=True, check=True
    )
    total, peak = map(int, result.stdout.split())
    assert total == pytest.approx(2_000_000 // channels * 48_000 / rate, rel=0.01)
    assert peak / 1024 < 200


def test_a_part_of_a_file_is_a_file(tmp_path):
    path = put(tmp_path, "a.bin", bytes(range(100)))
    with Part(path, 10, 20) as part:
        assert part.read() == bytes(range(10, 20))
        assert part.seek(-3, 2) == 7
        assert part.read(10) == bytes(range(17, 20))
        assert (part.seek(2), part.tell(), part.read(1)) == (2, 2, bytes([12]))


def test_a_truncated_file_can_be_left_early(tmp_path):
    content = bytearray(encoded(tmp_path, "a.flac", noise(20.0)))
    path = put(tmp_path, "b.flac", bytes(content[: len(content) // 2]))
    with AudioStream(path, RATE) as stream:
        assert len(next(iter(stream)))
    assert load_audio(path, RATE, max_seconds=1.0).notes == ()


def test_a_header_that_leads_far_beyond_the_end(tmp_path):
    (tmp_path / "a.mp3").write_bytes(bytes(100))
    with Part(tmp_path / "a.mp3", 10) as part:
        assert (part.seek(1 << 62), part.read(), part.seek(-(1 << 40), 2)) == (90, b"", 0)


@pytest.mark.parametrize(("behind", "is_noted"), [("samples", True), ("LIST", False), ("", False)])
def test_samples_that_the_header_does_not_count_are_noted(tmp_path, behind, is_noted):
    samples = np.random.default_rng(0).normal(0, 0.1, 16_000)
    soundfile.write(tmp_path / "a.wav", samples, 16_000, subtype="PCM_16")
    content = bytearray((tmp_path / "a.wav").read_bytes())
    place = content.index(b"data") + 4
    if behind == "samples":  # a recorder that stopped long after it had written the header
        content[place : place + 4] = struct.pack("<I", 4_000)
    content += b"LIST\4\0\0\0INFO" if behind == "LIST" else b""
    (tmp_path / "a.wav").write_bytes(content)
    recording = load_audio(tmp_path / "a.wav", 16_000)
    assert len(recording.samples) == (2_000 if is_noted else 16_000)
    note = "uncounted: the header counts 0.1 s; 28,000 bytes behind them are not read"
    assert recording.notes == ((note,) if is_noted else ())
