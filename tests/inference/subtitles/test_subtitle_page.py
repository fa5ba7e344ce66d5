"""The page of subtitles: whole, safe, and usable with a mouse, a keyboard and a screen reader."""

from __future__ import annotations

import base64
import re
import shutil
import time
from contextlib import contextmanager
from pathlib import Path

import av
import pytest
import soundfile

from miniatures.films import RATE, tone, write_film
from wsac.inference.spans.span import Span
from wsac.inference.subtitles import subtitle_page
from wsac.inference.subtitles.cues import Cue
from wsac.inference.subtitles.subtitles import Subtitles

SPANS = (
    Span(1, 2, "A dog barks"),
    Span(3, 6, "A man speaks", kind="speech", sustained=True),
    Span(6.5, 9, "Music plays", kind="music", sustained=True),
    Span(9.5, 10, "A door slams"),
)


def test_the_page_is_whole_and_asks_nothing(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(12, (2, 6)), RATE)
    Subtitles.of(SPANS, file=tmp_path / "a.wav").save_page(tmp_path / "a.html")
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert "://" not in page
    assert "default-src 'none'" in page
    sources = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert [source.split(",")[0] for source in sources] == [
        "data:audio/wav;base64",
        "data:image/png;base64",
    ]
    assert base64.b64decode(sources[1].split(",")[1])[:4] == b"\x89PNG"
    assert page.count("<textarea") == 4
    assert {path.name for path in tmp_path.iterdir()} >= {"a.wav", "a.html"}


def test_words_of_cues_and_names_do_nothing(tmp_path):
    nasty = "</script><b onclick='x'>& \"q\""
    path = tmp_path / "a<b>&.wav"
    soundfile.write(path, tone(3, (1,)), RATE)
    Subtitles((Cue(0, 1, nasty),), str(path)).save_page(tmp_path / "a.html")
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert page.count("</script>") == 2
    assert "<b" not in page.replace("<body", "").replace("<button", "")


def test_a_large_video_is_named_and_an_odd_sound_is_encoded(tmp_path, monkeypatch):
    film = write_film(tmp_path / "my film#1.mp4", 4)
    monkeypatch.setattr(subtitle_page, "EMBEDDED", 1000)
    for folder, address in ((tmp_path, "my%20film%231.mp4"), (tmp_path / "out", film.as_uri())):
        Subtitles.of(SPANS, file=film).save_page(folder / "a.html")
        assert f'src="{address}"' in (folder / "a.html").read_text(encoding="utf-8")
    assert 'src=""' not in Subtitles.of(SPANS, file=film)._repr_html_()
    odd = write_film(tmp_path / "a.mkv", 4)
    Subtitles.of(SPANS, file=odd).save_page(tmp_path / "b.html")
    page = (tmp_path / "b.html").read_text(encoding="utf-8")
    assert re.search('<audio id="player"[^>]* src="data:audio/(mpeg|wav);base64', page)


def test_blocks_do_not_hide_one_another():
    cues = [Cue(i, i + 0.9, f"[{i}]") for i in range(0, 5000)]
    rows, lanes = subtitle_page._blocks(cues, 5000.0)
    smallest = 26 / subtitle_page._pixels(5000.0)
    ends: dict[int, float] = {}
    for cue, row in zip(cues, rows, strict=True):
        assert ends.get(row["lane"], 0) <= cue.start
        ends[row["lane"]] = max(cue.end, cue.start + smallest)
    assert lanes == len(ends) <= 8


@contextmanager
def browser_page(path: Path):
    """The page in Chromium, with what it said and what it asked for."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("needs Chromium (apt-get install chromium)")
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="needs playwright (pip install playwright)"
    )
    with playwright.sync_playwright() as play:
        browser = play.chromium.launch(
            executable_path=chromium,
            args=["--no-sandbox", "--autoplay-policy=no-user-gesture-required"],
            timeout=120_000,
        )
        page = browser.new_page(viewport={"width": 1100, "height": 800})
        page.set_default_timeout(120_000)
        messages, asked = [], []
        page.on("console", lambda message: messages.append(message.text))
        page.on("pageerror", lambda error: messages.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(path.as_uri())
        until(page, "document.getElementById('player').readyState >= 1")
        yield page
        browser.close()
    assert messages == []
    assert [url for url in asked if not re.match("file:|data:|blob:", url)] == []


def until(page, condition: str) -> None:
    end = time.monotonic() + 120
    while not page.evaluate(condition):
        assert time.monotonic() < end, condition
        page.wait_for_timeout(50)


@pytest.fixture(scope="module")
def film_page(tmp_path_factory) -> Path:
    """The page of a film, which is small and so lies in the page."""
    folder = tmp_path_factory.mktemp("film")
    codec = "libvpx" if "libvpx" in av.codecs_available else ""
    film = write_film(folder / "film.webm", video=codec)
    Subtitles.of(SPANS, file=film).save_page(folder / "film.html")
    return folder / "film.html"


@pytest.mark.slow
def test_the_page_plays_seeks_edits_and_saves(film_page, tmp_path):
    with browser_page(film_page) as page:
        assert page.evaluate("player.duration") == pytest.approx(12, abs=0.2)
        page.locator(".go").nth(1).click()
        until(page, "!player.paused && player.currentTime > 3.05")
        assert page.locator("#now").inner_text() == "[man speaking]"
        assert page.locator('.track [aria-current="true"]').inner_text() == "[man speaking]"
        page.evaluate("player.pause()")
        page.locator(".track button").nth(3).click()
        until(page, "player.currentTime >= 9.5")
        page.evaluate("player.pause()")
        box = page.locator("textarea").nth(0)
        box.fill("[big dog barks]\nwoof & <woof>")
        page.locator("textarea").nth(2).fill("  ")
        page.locator("textarea").nth(3).fill("x" * 50)
        assert "a line of 50 characters" in page.locator(".note").nth(3).inner_text()
        files = {}
        for name in ("SRT", "VTT"):
            with page.expect_download() as download:
                page.get_by_role("button", name=f"Download {name}").click()
            download.value.save_as(tmp_path / name)
            files[name] = (tmp_path / name).read_text()
            assert download.value.suggested_filename == f"film.{name.lower()}"
    assert files["SRT"].startswith(
        "1\n00:00:01,000 --> 00:00:02,000\n[big dog barks]\nwoof & <woof>\n\n2\n00:00:03,000"
    )
    assert files["SRT"].count("-->") == 3
    assert files["VTT"].startswith("WEBVTT\n\n1\n00:00:01.000 --> 00:00:02.000\n[big dog barks]\n")
    assert "woof &amp; &lt;woof>" in files["VTT"]


@pytest.mark.slow
def test_the_keyboard_is_enough(film_page):
    with browser_page(film_page) as page:
        for _ in range(40):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.dataset.cue") == "1":
                break
        page.keyboard.press("Enter")
        until(page, "!player.paused && player.currentTime >= 3")
        page.evaluate("player.pause()")
        page.locator(".go").nth(0).focus()
        page.keyboard.press("Tab")
        page.keyboard.press("Control+A")
        page.keyboard.type("[cat meows]")
        assert page.evaluate("cues[0].text") == "[cat meows]"
        assert page.locator(".track button").nth(0).inner_text() == "[cat meows]"


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(film_page, scheme):
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright",
        reason="needs axe (pip install axe-playwright-python)",
    )
    with browser_page(film_page) as page:
        page.emulate_media(color_scheme=scheme)
        page.locator(".go").nth(1).click()
        found = axe.Axe().run(page).response["violations"]
        page.set_viewport_size({"width": 400, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        found += axe.Axe().run(page).response["violations"]
    assert [(row["id"], row["impact"]) for row in found] == []
