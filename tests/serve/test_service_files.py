"""The Dockerfile, and the unit and proxies of docs/service.md, fit the package."""

from __future__ import annotations

import inspect
import json
import re
import shlex
import shutil
import subprocess
import sys
import threading
import tomllib
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from wsac.cli.serve import GRACE, serve

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "service.md").read_text(encoding="utf-8")
OPTIONS = inspect.signature(serve).parameters
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def default(name: str) -> float:
    return OPTIONS[name].default


def instructions() -> list[tuple[str, str]]:
    """(instruction, arguments) of the Dockerfile."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(words[0], words[1]) for words in (line.split(maxsplit=1) for line in lines)]


def of(name: str) -> list[str]:
    return [arguments for kind, arguments in instructions() if kind == name]


def block(begin: str) -> str:
    """The block of the page that begins with this line."""
    return re.search(rf"^```text\n({re.escape(begin)}\n.*?)^```", PAGE, re.M | re.S)[1]


def check_options(words: list[str]) -> None:
    """``wsac serve`` has all options of a command line."""
    assert words[:2] == ["wsac", "serve"]
    for word in words[2:]:
        assert not word.startswith("--") or word[2:].replace("-", "_") in OPTIONS, word


def test_what_is_copied_is_there_and_not_ignored():
    rules = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    assert rules[0] == "*"  # the image holds what is listed, and nothing else
    for arguments in of("COPY"):
        if not arguments.startswith("--from"):
            for name in arguments.split()[:-1]:
                assert (ROOT / name).exists()
                assert f"!{name}" in rules
    needed = {PROJECT["readme"], "pyproject.toml", "src", "constraints.txt"}
    assert {f"!{name}" for name in needed} <= set(rules)


def test_what_is_installed_is_an_extra():
    (install,) = (line for line in of("RUN") if " install " in line)
    assert "-c constraints.txt" in install
    assert '".[$EXTRAS]"' in install
    (default,) = (line.removeprefix("EXTRAS=") for line in of("ARG"))
    assert set(default.split(",")) <= PROJECT["optional-dependencies"].keys()
    least = re.search(r"[\d.]+", PROJECT["requires-python"])[0].split(".")
    versions = {re.match(r"python:([\d.]+)-slim", line)[1] for line in of("FROM")}
    assert len(versions) == 1
    assert list(map(int, versions.pop().split("."))) >= list(map(int, least))


def test_the_user_has_no_rights():
    (user,) = of("USER")
    assert int(user) > 0
    kinds = [kind for kind, _ in instructions()]
    assert kinds.index("USER") < kinds.index("CMD")
    assert "USER" not in kinds[: kinds.index("RUN", 5)]  # packages belong to root


def test_the_command_and_its_port():
    command, (port,) = json.loads(of("CMD")[-1]), of("EXPOSE")
    check_options(command)
    assert command[command.index("--port") + 1] == port == str(default("port"))
    assert command[command.index("--host") + 1] == "0.0.0.0"
    assert f"'127.0.0.1', {port}," in of("HEALTHCHECK")[0]
    health = json.loads(of("HEALTHCHECK")[0].partition("CMD ")[2])
    compile(health[-1], "health check", "exec")
    assert of("STOPSIGNAL") == ["SIGTERM"]


@pytest.mark.parametrize("status", [200, 503])
def test_the_health_check(status):
    class Ready(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status if self.path == "/readyz" else 404)
            self.end_headers()

        def log_message(self, *arguments):
            pass

    command = json.loads(of("HEALTHCHECK")[0].partition("CMD ")[2])
    with HTTPServer(("127.0.0.1", 0), Ready) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        with pytest.raises(SystemExit) as ended:
            exec(command[-1].replace("8000", str(server.server_port)))
        thread.join()
    assert bool(ended.value.code) == (status != 200)
    with pytest.raises(ConnectionRefusedError):
        exec(command[-1].replace("8000", str(server.server_port)))


@pytest.mark.slow
def test_the_image_builds_and_answers():
    if (
        not shutil.which("docker")
        or subprocess.run(["docker", "info"], capture_output=True).returncode
    ):
        pytest.skip("needs Docker")
    subprocess.run(["docker", "build", "-t", "wsac-test", "."], cwd=ROOT, check=True)
    command = ["docker", "run", "--rm", "--read-only", "--tmpfs", "/tmp", "wsac-test", "wsac"]
    done = subprocess.run([*command, "doctor", "--json"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_unit(tmp_path):
    unit = block("[Unit]")
    command = re.search(r"^ExecStart=(.*)$", unit, re.M)[1]
    check_options(["wsac", *shlex.split(command)[1:]])
    assert float(re.search(r"^TimeoutStopSec=(\d+)$", unit, re.M)[1]) > default("timeout") + GRACE
    if not shutil.which("systemd-analyze"):
        pytest.skip("needs systemd-analyze")
    path = tmp_path / "wsac.service"
    path.write_text(unit.replace("/opt/wsac/bin/wsac", sys.executable), encoding="utf-8")
    done = subprocess.run(["systemd-analyze", "verify", path], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_proxies_let_the_server_refuse():
    """Their limits lie beyond the server's, so that its messages are seen."""
    nginx, caddy = block("server {"), block("sounds.example.org {")
    sizes = re.search(r"client_max_body_size (\d+)m;", nginx), re.search(r"max_size (\d+)MB", caddy)
    waits = re.search(r"_read_timeout (\d+)s;", nginx), re.search(r"r_timeout (\d+)s", caddy)
    assert all(float(size[1]) > default("max_mb") for size in sizes)
    assert all(float(wait[1]) > default("timeout") for wait in waits)
    for text in (nginx, caddy):
        assert f"127.0.0.1:{default('port')}" in text
        assert "sounds.example.org" in text
        assert "/metrics" in text


def test_the_commands_of_the_page():
    lines = re.findall(r"\bwsac serve( --.*)$", PAGE, re.M)
    assert len(lines) >= 3
    for line in lines:
        check_options(["wsac", "serve", *shlex.split(line, comments=True)])
    stop = re.search(r"--stop-timeout (\d+)", PAGE)
    assert float(stop[1]) > default("timeout") + GRACE
