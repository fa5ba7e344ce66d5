"""The live page in Chromium, with a microphone that beeps; and the WebSocket of a real server."""

from __future__ import annotations

import json
import shutil
import threading
import time
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

import wsac
from miniatures.ears import RATE, Ears, play

uvicorn = pytest.importorskip("uvicorn", reason="needs wsac[serve]")
client = pytest.importorskip("websockets.sync.client", reason="needs wsac[serve]")
pytestmark = pytest.mark.slow
PAGE = Path(wsac.__file__).parent / "serve" / "page"


@pytest.fixture
def address():
    """Of a server of a captioner that knows pitches, in a thread."""
    from wsac.serve.app import create_app

    settings = {"port": 0, "log_config": None, "ws": "websockets-sansio"}
    server = uvicorn.Server(uvicorn.Config(create_app(Ears(), quiet=True), **settings))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}/"
    server.should_exit = True
    thread.join()


def test_the_page_is_light():
    assert sum(path.stat().st_size for path in PAGE.glob("listen*")) <= 40_000


def test_a_client_of_the_websocket(address):
    content = (play(6, ("dog", 2.2, 4.0)) * 32_767).astype("<i2").tobytes()
    with client.connect(address.replace("http", "ws") + "v1/listen") as socket:
        socket.send(json.dumps({"labels": ["dog", "siren", "hum"]}))
        for place in range(0, len(content), RATE // 5):
            socket.send(content[place : place + RATE // 5])
        socket.send(json.dumps({"type": "end"}))
        told = [json.loads(message) for message in socket]
    ended = [message for message in told if message.get("state") == "ended"]
    assert [event["label"] for event in ended] == ["dog"]
    assert ended[0]["start"] == pytest.approx(2.2, abs=0.08)


@contextmanager
def chromium():
    """A browser with a microphone that beeps."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    if (path := shutil.which("chromium")) is None:
        pytest.skip("needs Chromium")
    fake = ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", *fake])
        yield browser
        browser.close()


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1280, "light")])
def test_the_page_listens_to_a_microphone(address, width, scheme, tmp_path):
    with chromium() as browser:
        page = browser.new_page(
            viewport={"width": width, "height": 900},
            color_scheme=scheme,
            permissions=["microphone"],
        )
        errors, elsewhere = [], []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda m: errors.append(m.text) if "Policy" in m.text else None)
        page.on("request", lambda r: None if r.url.startswith(address) else elsewhere.append(r.url))
        page.goto(address + "listen.html")
        page.fill("#labels", "dog, siren, hum")
        page.click("#toggle")
        page.locator("#now meter").first.wait_for(timeout=60_000)
        page.locator("#events li").first.wait_for(timeout=60_000)
        assert page.locator("#now li").count() == 3
        page.click("#toggle")
        page.locator("#status", has_text="Stopped.").wait_for()
        page.fill("#labels", "dog")  # one is not enough
        page.click("#toggle")
        page.locator("#status.wrong", has_text="one label only").wait_for(timeout=60_000)
        assert page.locator("#toggle").inner_text() == "Listen"
        assert page.locator("main").bounding_box()["width"] <= width
        assert (errors, elsewhere) == ([], [])
        if find_spec("axe_playwright_python"):
            from axe_playwright_python.sync_playwright import Axe

            violations = Axe().run(page).response["violations"]
            serious = [row["id"] for row in violations if row["impact"] in ("serious", "critical")]
            assert serious == []
        page.screenshot(path=tmp_path / "page.png")


SLOW_MICROPHONE = """
const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
window.opened = [];
navigator.mediaDevices.getUserMedia = async (wanted) => {
  await new Promise((resolve) => setTimeout(resolve, 1000));
  const microphone = await open(wanted);
  window.opened.push(...microphone.getTracks());
  return microphone;
};
"""


def test_a_stop_while_the_microphone_opens(address):
    with chromium() as browser:
        page, errors = browser.new_page(permissions=["microphone"]), []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.add_init_script(SLOW_MICROPHONE)
        page.goto(address + "listen.html")
        page.click("#toggle")
        page.locator("#toggle", has_text="Stop").wait_for()
        page.click("#toggle")
        page.fill("#labels", "dog, siren, hum")
        page.click("#toggle")  # a second start before the first one has its microphone
        page.locator("#now meter").first.wait_for(timeout=60_000)
        states = page.evaluate("() => window.opened.map((track) => track.readyState)")
        assert states == ["ended", "live"]
        page.click("#toggle")
        page.locator("#status", has_text="Stopped.").wait_for()
        assert page.evaluate("() => window.opened[1].readyState") == "ended"
        assert not page.locator("#status.wrong").count()
        assert errors == []
