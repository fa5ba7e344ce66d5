"""The report is one safe, whole file: text escaped, sounds and pictures inside it."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
import soundfile
from markupsafe import escape

from wsac.io.html import ClipCard, PagePart, encode_audio, write_page
from wsac.types import AudioError

RATE = 16000


def tone(hertz: float, seconds: float = 1.0, rate: int = RATE) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)).astype(
        np.float32
    )


def card(**changes) -> ClipCard:
    fields = {"name": "tone.wav", "samples": tone(440), "sample_rate": RATE, "caption": "A tone"}
    return ClipCard(**{**fields, **changes})


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
        PagePart(pictures=[(nasty, "")]),
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
    pictures = embedded(page, "image/svg\\+xml")
    assert [picture.startswith(b"<svg") for picture in pictures] == [True, True]
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
