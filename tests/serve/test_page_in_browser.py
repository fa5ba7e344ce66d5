"""The page in Chromium: a sound, its timeline, cues and labels, and nothing from elsewhere."""

from __future__ import annotations

import shutil
import threading
import time

import numpy as np
import pytest
import soundfile

from wsac.inference.captioner import Captioner

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
uvicorn = pytest.importorskip("uvicorn", reason="needs wsac[serve]")
pytestmark = pytest.mark.slow
HERE = "http://127.0.0.1"


@pytest.fixture(scope="module")
def address():
    """Of a server of the built-in captioner, in a thread."""
    from wsac.serve.app import create_app

    config = uvicorn.Config(create_app(Captioner.load(), quiet=True), port=0, log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"{HERE}:{port}/"
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="module")
def browser():
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("needs Chromium")
    with sync_api.sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A dog, a pause, and rain."""
    from wsac.data.soundworld import demo_scenes, render_scene

    scenes, rng = dict(demo_scenes()), np.random.default_rng(1)
    parts = [render_scene(scenes[name], rng, 5.0, 16_000) for name in ("dog.wav", "rain.wav")]
    path = tmp_path_factory.mktemp("page") / "two <b>sounds.wav"
    soundfile.write(path, np.concatenate([parts[0], np.zeros(8_000), parts[1]]), 16_000)
    return path


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1280, "light")])
def test_a_sound_on_the_page(address, browser, sound, width, scheme):
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    errors, elsewhere = [], []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda r: elsewhere.append(r.url) if not ours(r.url, address) else None)
    page.goto(address)
    page.set_input_files("#file", sound)
    page.locator("#status", has_text="Done.").wait_for()
    assert page.locator("#name").inner_text() == "two <b>sounds.wav, 0:10.5"
    assert page.locator("#caption").inner_text()
    count = page.locator("#spans button").count()
    assert count == page.locator("#timeline span").count() > 0
    page.locator("#spans button").last.focus()
    page.keyboard.press("Enter")  # plays from there
    assert page.locator("#player").evaluate("player => player.currentTime") > 1
    page.fill("#labels", "dog bark, rain")
    page.keyboard.press("Enter")
    page.locator("#tags li").first.wait_for()
    for kind, mark in (("srt", " --> "), ("vtt", "WEBVTT"), ("json", '"spans"')):
        with page.expect_download() as download:
            page.click(f"[data-format={kind}]")
        assert download.value.suggested_filename.endswith(f".{kind}")
        assert mark in download.value.path().read_text(encoding="utf-8")
    box = page.locator("main").bounding_box()
    assert box["width"] <= width
    assert (errors, elsewhere) == ([], [])


def ours(url, address):
    return url.startswith((address, "blob:"))


def test_what_is_wrong_is_shown(address, browser, tmp_path):
    (tmp_path / "notes.txt").write_text("no sound", encoding="utf-8")
    page = browser.new_page()
    page.goto(address)
    page.set_input_files("#file", tmp_path / "notes.txt")
    page.locator("#status.wrong", has_text="notes.txt: holds text, not sound").wait_for()
    assert page.locator("#result").is_hidden()


def test_axe_finds_nothing(address, browser, sound):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe")
    page = browser.new_page(bypass_csp=True)
    page.goto(address)
    page.set_input_files("#file", sound)
    page.locator("#status", has_text="Done.").wait_for()
    assert axe.Axe().run(page).response["violations"] == []
