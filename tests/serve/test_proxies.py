"""The settings of nginx and Caddy in docs/service.md, before a server."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "service.md").read_text(encoding="utf-8")
NAME = "sounds.example.org"

pytestmark = pytest.mark.slow


def settings_of(proxy: str, port: int, server: int, folder: Path) -> tuple[list[str], str]:
    """(command, settings) of a proxy on this port, without TLS."""
    begin = {"nginx": "server {", "caddy": f"{NAME} {{"}[proxy]
    block = re.search(rf"^```text\n({re.escape(begin)}\n.*?)^```", PAGE, re.M | re.S)[1]
    block = block.replace("127.0.0.1:8000", f"127.0.0.1:{server}")
    path = folder / "settings"
    if proxy == "caddy":
        block = block.replace(begin, f"http://{NAME}:{port} {{")
        block = "{\nadmin off\nauto_https off\n}\n" + block
        return ["caddy", "run", "--adapter", "caddyfile", "--config", str(path)], block
    block = block.replace("listen 443 ssl", f"listen 127.0.0.1:{port}")
    block = re.sub(r"^ *ssl_certificate.*\n", "", block, flags=re.M)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    places = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in kinds)
    user = "user root;\n" if os.getuid() == 0 else ""
    head = f"{user}daemon off;\npid {folder}/pid;\nerror_log stderr;\nevents {{}}\n"
    block = f"{head}http {{\naccess_log off;\n{places}{block}}}\n"
    return ["nginx", "-p", str(folder), "-c", str(path)], block


def ask(port: int, method: str, path: str, body: bytes = b"", kind: str = "") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    headers = {"Host": NAME} | ({"Content-Type": kind} if kind else {})
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    content = answer.status, answer.read()
    connection.close()
    return content


@pytest.mark.parametrize("proxy", ["nginx", "caddy"])
def test_requests_through_a_proxy(proxy, captioner, wav, tmp_path, monkeypatch):
    if not shutil.which(proxy):
        pytest.skip(f"needs {proxy}")
    if not find_spec("uvicorn"):
        pytest.skip("needs wsac[serve]")
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks" / "speed"))
    from served import BOUNDARY, Server, form
    from websockets.sync.client import connect

    captioner.save(tmp_path / "model")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = "--quiet", "--allow-host", NAME, "--model", str(tmp_path / "model")
    with Server(*options, "--max-mb", "4") as server:
        command, settings = settings_of(proxy, port, server.port, tmp_path)
        (tmp_path / "settings").write_text(settings, encoding="utf-8")
        environment = os.environ | {"HOME": str(tmp_path)}
        with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
            try:
                for _ in range(400):
                    try:
                        assert ask(port, "GET", "/readyz")[0] == 200
                        break
                    except ConnectionRefusedError:
                        assert process.poll() is None
                        time.sleep(0.1)
                kind = f"multipart/form-data; boundary={BOUNDARY}"
                for seconds, expected in ((1.0, 200), (100.0, 200), (150.0, 413)):  # 16 kHz, 16 bit
                    request = form("/v1/audio/captions", "dog.wav", wav(1, seconds))
                    body = request.partition(b"\r\n\r\n")[2]
                    status, answer = ask(port, "POST", "/v1/audio/captions", body, kind)
                    assert status == expected
                    row = json.loads(answer)
                    assert "4,000,000 bytes" in row["error"]["message"] if status > 200 else row
                address = f"ws://{NAME}:{port}/v1/listen"
                origin = f"http://{NAME}" + f":{port}" * (proxy == "caddy")  # nginx leaves it out
                to_proxy = socket.create_connection(("127.0.0.1", port))
                with connect(address, sock=to_proxy, origin=origin) as listening:
                    listening.send(json.dumps({"labels": ["dog", "rain"]}))
                    assert json.loads(listening.recv(60)) == {"type": "ready", "labels": 2}
                assert ask(port, "GET", "/metrics")[0] == 403
                assert ask(server.port, "GET", "/metrics")[0] == 200
            finally:
                process.terminate()
