"""The report is one safe, whole file: text escaped, sounds and pictures inside it."""

from __future__ import annotations

import base64
import io
import re
import struct
import zlib

import numpy as np
import pytest
import soundfile
from markupsafe import escape

from wsac.io.html import ClipCard, PagePart, encode_audio, write_page
from wsac.io.plots import MELS, curve_png, log_mel, mel_png
from wsac.types import AudioError

RATE = 16000


def tone(hertz: float, seconds: float = 1.0, rate: int = RATE) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)).astype(
        np.float32
    )


def card(**changes) -> ClipCard:
    fields = {"name": "tone.wav", "samples": tone(440), "sample_rate": RATE, "caption": "A tone"}
    return ClipCard(**{**fields, **changes})


def png_size(png: bytes) -> tuple[int, int]:
    """Check the signature and the checksum of each chunk; return width and height."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    at, names = 8, []
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        body = png[at + 4 : at + 8 + length]
        assert zlib.crc32(body) == struct.unpack(">I", png[at + 8 + length : at + 12 + length])[0]
        names.append(body[:4])
        at += 12 + length
    assert names[0] == b"IHDR"
    assert names[-1] == b"IEND"
    return struct.unpack(">II", png[16:24])


def embedded(page: str, kind: str) -> list[bytes]:
    return [
        base64.b64decode(data) for data in re.findall(rf'src="data:{kind};base64,([^"]+)"', page)
    ]


def test_page_escapes_every_text_and_loads_nothing(tmp_path):
    nasty = "<script>alert('x')</script> & \"quotes\""
    clips = [card(name=nasty, caption=nasty, facts=((nasty, nasty),), lines=((nasty, nasty),))]
    parts = [
        PagePart(nasty, cards=clips, lines=[nasty]),
        PagePart(columns=(nasty, f"{nasty}>"), rows=[(nasty, nasty)]),
        PagePart(pictures=[(nasty, b"")]),
    ]
    write_page(tmp_path / "report.html", parts, title=nasty, summary=f"one {{brace}} line\n{nasty}")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert page.count(str(escape(nasty))) == 18
    assert page.count(' class="number"') == 2
    assert "one {brace} line" in page
    assert "://" not in page
    assert all(url.startswith("data:") for url in re.findall(r'(?:src|href)="([^"]*)"', page))
    assert list(tmp_path.iterdir()) == [tmp_path / "report.html"]


def test_sounds_and_pictures_in_the_page_can_be_read_back(tmp_path):
    clips = [card(), card(name="high.wav", samples=tone(3000, 2.0))]
    write_page(tmp_path / "report.html", [PagePart(cards=clips)], title="Two tones")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    sounds = embedded(page, "audio/[a-z]+")
    assert len(sounds) == 2
    for clip, sound in zip(clips, sounds, strict=True):
        samples, rate = soundfile.read(io.BytesIO(sound))
        assert rate == RATE
        assert len(samples) == pytest.approx(
            len(clip.samples), abs=RATE // 5
        )  # MP3 pads its frames
        peak = np.abs(np.fft.rfft(samples)).argmax() * rate / len(samples)
        wanted = np.abs(np.fft.rfft(clip.samples)).argmax() * RATE / len(clip.samples)
        assert peak == pytest.approx(wanted, abs=10)
    pictures = embedded(page, "image/png")
    assert [png_size(picture)[0] > 400 for picture in pictures] == [True, True]
    assert (
        re.findall(r'alt="([^"]+)"', page)[1]
        == "Log-mel spectrogram of high.wav: 2.0 seconds, up to 8 kHz"
    )


def test_optional_lines_and_an_empty_list(tmp_path):
    write_page(
        tmp_path / "a.html",
        [PagePart(cards=[card(lines=(("Reference", "A sine wave plays"),))])],
        title="t",
    )
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert "<b>Reference</b> A sine wave plays" in page
    assert "<b>Note</b>" not in page
    write_page(tmp_path / "c.html", [PagePart(cards=[card(samples=None)])], title="t")
    page = (tmp_path / "c.html").read_text(encoding="utf-8")
    assert "A tone" in page
    assert not re.search("<audio|<img", page)
    write_page(tmp_path / "b.html", [PagePart(cards=[])], title="t")
    assert "No clips." in (tmp_path / "b.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("samples", [np.zeros(0, np.float32), np.zeros((2, 100), np.float32)])
def test_a_clip_that_is_not_one_channel_is_named(tmp_path, samples):
    with pytest.raises(AudioError, match=r"tone\.wav"):
        write_page(tmp_path / "report.html", [PagePart(cards=[card(samples=samples)])], title="t")
    assert not (tmp_path / "report.html").exists()


def test_encode_audio_falls_back_to_wav_for_rates_mp3_lacks():
    kind, sound = encode_audio(tone(440, 0.5, 10000), 10000)
    assert kind == "audio/wav"
    samples, rate = soundfile.read(io.BytesIO(sound))
    assert (len(samples), rate) == (5000, 10000)


@pytest.mark.parametrize("rate", [8000, 16000, 48000])
def test_log_mel_puts_a_tone_in_its_band_and_is_relative(rate):
    mels = [log_mel(tone(hertz, 1.0, rate), rate) for hertz in (200, 1000, 3000)]
    rows = [mel.mean(axis=1).argmax() for mel in mels]
    assert rows[0] < rows[1] < rows[2]
    assert mels[0].shape[0] == MELS
    assert abs(mels[0].shape[1] - 101) <= 1
    assert mels[0].max() == 0
    assert mels[0].min() >= -80
    np.testing.assert_allclose(mels[1], log_mel(0.1 * tone(1000, 1.0, rate), rate), atol=1e-3)


def test_pictures_of_silence_short_and_broken_sounds():
    for samples in (np.zeros(RATE), np.ones(1), np.full(RATE, np.nan)):
        assert np.isfinite(log_mel(samples, RATE)).all()
        png_size(mel_png(samples, RATE))
    with pytest.raises(ValueError, match="one channel"):
        log_mel(np.zeros(0), RATE)


def test_log_mel_of_windows_that_lie_apart():
    """A column each half second, as every fiftieth of those each 10 ms."""
    samples = np.concatenate([tone(300, 10.0), tone(3000, 10.0)])
    fine, coarse = (log_mel(samples, RATE, hop_seconds=hop) for hop in (0.01, 0.5))
    assert coarse.shape == (MELS, 41)
    np.testing.assert_array_equal(coarse.argmax(0)[1:-1], fine[:, ::50].argmax(0)[1:-1])


def test_curve_png_draws_and_wants_points():
    series = {
        "train": [(float(x), 1 / (1 + x)) for x in range(50)],
        "valid": [(10.0, 0.4), (40.0, float("nan"))],
    }
    width, height = png_size(curve_png(series, title="Loss", x_label="step", y_label="nats"))
    assert width > height > 200
    with pytest.raises(ValueError, match="no points"):
        curve_png({"train": []}, title="Loss", x_label="step", y_label="nats")
