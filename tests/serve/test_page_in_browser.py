"""The page in Chromium: sounds, the microphone, an archive, a taught captioner, languages."""

from __future__ import annotations

import shutil
import threading
import time
import zipfile

import numpy as np
import pytest
import soundfile

from wsac.archive.build import BuildOptions, build_archive
from wsac.cli.serve import TEACH, search_of
from wsac.data.soundworld import write_captions
from wsac.inference.captioner import Captioner

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
uvicorn = pytest.importorskip("uvicorn", reason="needs wsac[serve]")
pytestmark = pytest.mark.slow
HERE = "http://127.0.0.1"
FLAGS = ("--no-sandbox", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")
PATIENCE, OF_TRAINING = 60_000, 600_000  # milliseconds that a busy machine gets


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A dog, a pause, and rain."""
    from wsac.data.soundworld import demo_scenes, render_scene

    scenes, rng = dict(demo_scenes()), np.random.default_rng(1)
    parts = [render_scene(scenes[name], rng, 5.0, 16_000) for name in ("dog.wav", "rain.wav")]
    path = tmp_path_factory.mktemp("page") / "two <b>sounds.wav"
    soundfile.write(path, np.concatenate([parts[0], np.zeros(8_000), parts[1]]), 16_000)
    return path


@pytest.fixture(scope="module")
def address(sound, tmp_path_factory):
    """Of a server of the built-in captioner, in a thread, with an archive of one sound."""
    from wsac.serve.app import create_app

    archive = tmp_path_factory.mktemp("archive") / "archive"
    build_archive([sound], archive, BuildOptions(workers=0, device="cpu"))
    captioner = Captioner.load(device="cpu")
    search = search_of(archive, captioner)
    app = create_app(captioner, search=search, teach=TEACH, quiet=True)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None))
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
    """With a microphone that beeps."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("needs Chromium")
    with sync_api.sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))


@pytest.fixture
def opened(address, browser):
    """Opens the page: ``opened(width=390, hash="#teach")``. In the end nothing was asked of others,
    and the console is empty."""
    troubles, contexts = [], []

    def ours(url):
        return url.startswith((address, f"blob:{address}"))

    def open_page(part="", width=1280, **options):
        size = {"width": width, "height": 900}
        context = browser.new_context(viewport=size, permissions=["microphone"], **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("console", lambda message: troubles.append(message.text))
        page.on("request", lambda r: None if ours(r.url) else troubles.append(r.url))
        page.goto(address + part)
        page.locator("body[data-ready]").wait_for()
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert troubles == []


def described(page):
    """Wait until the sound is described."""
    page.locator("#status", has_text="Done.").wait_for()
    assert page.locator("#caption").inner_text()


def fits(page, width):
    return page.evaluate("() => document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1280, "light")])
def test_a_sound_on_the_page(opened, sound, width, scheme):
    page = opened(width=width, color_scheme=scheme)
    page.set_input_files("#file", sound)
    described(page)
    assert page.locator("#name").inner_text() == "two <b>sounds.wav, 0:10.5"
    count = page.locator("#spans button").count()
    assert count == page.locator("#bars button").count() > 0
    assert page.locator("#picture").evaluate("image => image.naturalWidth") > 100
    assert page.locator("#alternatives li").count() > 1
    assert page.locator("#nearest li").count() == 5
    page.locator("#spans button").last.focus()
    page.keyboard.press("Enter")  # plays from there
    assert page.locator("#player").evaluate("player => player.currentTime") > 1
    page.fill("#labels", "dog bark, rain")
    page.keyboard.press("Enter")
    page.locator("#tags li").first.wait_for()
    marks = {"srt": " --> ", "vtt": "WEBVTT", "json": '"spans"', "csv": "start,end,caption"}
    for kind, mark in marks.items():
        with page.expect_download() as download:
            page.click(f"[data-format={kind}]")
        assert download.value.suggested_filename.endswith(f".{kind}")
        assert mark in download.value.path().read_text(encoding="utf-8")
    assert fits(page, width)


def test_another_bridge_and_style(opened):
    page = opened()
    page.click("[data-example=siren]")
    described(page)
    page.click("#settings summary")
    page.select_option("#style", "netflix")
    page.locator("#status", has_text="Listening").wait_for()
    described(page)
    page.select_option("#bridge", "ad")
    page.locator("#status", has_text="Listening").wait_for()
    described(page)


def test_what_is_wrong_is_shown(address, browser, tmp_path):
    (tmp_path / "notes.txt").write_text("no sound", encoding="utf-8")
    page = browser.new_page()
    page.goto(address)
    page.locator("body[data-ready]").wait_for()
    page.set_input_files("#file", tmp_path / "notes.txt")
    page.locator("#status.wrong", has_text="notes.txt: holds text, not sound").wait_for()
    assert page.locator("#result").is_hidden()


def test_a_recording(opened):
    page = opened(width=390)
    page.click("#record")
    page.locator("#record", has_text="2 s").wait_for()
    page.click("#record")
    described(page)
    assert page.locator("#name").inner_text().startswith("Recording ")


def test_search_of_the_archive(opened, sound):
    page = opened("#search")
    page.fill("#query", "dog barking")
    page.keyboard.press("Enter")
    assert sound.name in page.locator("#hits li").first.inner_text()


def test_a_captioner_is_taught(opened, tmp_path):
    captions = write_captions(np.random.default_rng(0), 500, events=(1, 2))
    (tmp_path / "captions.txt").write_text("\n".join(captions), encoding="utf-8")
    page = opened(width=390)
    page.click("#tab-teach")
    page.set_input_files("#captions-file", tmp_path / "captions.txt")
    page.locator("#count", has_text="500 lines").wait_for()
    page.fill("#taught-name", "mine")
    page.fill("#epochs", "1")
    page.click("#begin")
    page.locator("#cancel").wait_for()
    page.locator("#cancel").wait_for(state="hidden", timeout=OF_TRAINING)
    assert page.locator("#training-title").inner_text() == "mine: trained"
    assert page.locator("#verdict").inner_text()
    assert page.locator("#judged li").count() > 5
    assert page.locator("#grid circle").count() == 1  # held out, after the last step
    assert fits(page, 390)
    with page.expect_download() as download:
        page.click("#bundle")
    with zipfile.ZipFile(download.value.path()) as bundle:
        bundle.extractall(tmp_path)
    assert (tmp_path / "mine" / "captioner.json").is_file()
    assert not list(tmp_path.rglob("*.pt")) + list(tmp_path.rglob("*.pkl"))
    page.click("#try")
    page.click("[data-example=siren]")
    described(page)
    assert page.locator("#model").input_value() == "mine"


def test_keyboard_and_languages(opened):
    page = opened(locale="de-DE", width=390)
    assert page.locator("h1:visible").inner_text() == "Was ist zu hören?"
    page.focus("#tab-describe")
    page.keyboard.press("ArrowRight")
    assert page.locator("h1:visible").inner_text() == "Archiv durchsuchen"
    page.keyboard.press("End")
    assert page.locator("#tab-teach").get_attribute("aria-selected") == "true"
    assert fits(page, 390)
    page.select_option("#language", "ja")
    page.locator("h1:visible", has_text="モデルに学習させる").wait_for()
    assert page.locator("html").get_attribute("lang") == "ja"
    page.reload()
    page.locator("body[data-ready]").wait_for()
    assert page.locator("html").get_attribute("lang") == "ja"


@pytest.mark.parametrize("locale", ["de-DE", "en-GB"])
def test_the_verdict_is_in_the_language_of_the_page(opened, locale):
    page = opened(locale=locale)
    verdict = ["  a.wav: A dog barks", "of 30 synthesised scenes", "verdict: it tells sounds apart"]
    state = {"state": "done", "model": "mine", "step": "", "done": 0, "total": 0, "seconds": 9.0}
    state |= {"losses": [], "held_out": [], "log": [], "error": ""}
    state |= {"grade": "good", "verdict": verdict}
    page.route("**/v1/teach", lambda route: route.fulfill(json=state))
    page.click("#tab-teach")
    german = locale == "de-DE"
    words = "Es unterscheidet Geräusche." if german else "it tells sounds apart"
    page.locator("#verdict", has_text=words).wait_for()
    assert page.locator("#judged li").inner_text() == "a.wav: A dog barks"
    assert ("tells" in page.locator("#figures").inner_text()) == german


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_axe_finds_nothing(opened, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe")
    page = opened(bypass_csp=True, color_scheme=scheme)
    page.click("[data-example=dog_and_rain]")
    described(page)
    page.click("#settings summary")
    for tab in ("describe", "search", "teach"):
        page.click(f"#tab-{tab}")
        assert axe.Axe().run(page).response["violations"] == []
