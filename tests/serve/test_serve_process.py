"""``wsac serve`` as a process: many clients, its end, the examples of the page, foreign clients."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

from wsac.inference.captioner import Captioner

httpx = pytest.importorskip("httpx2", reason="needs httpx2, a client of HTTP")
if not find_spec("uvicorn"):
    pytest.skip("needs wsac[serve]", allow_module_level=True)

pytestmark = pytest.mark.slow
PAGE = Path(__file__).parents[2] / "docs" / "serve.md"
READY = re.compile(r"at (http://127\.0\.0\.1:\d+)/")


@contextmanager
def running(model, *options):
    """A server of a captioner: (address, process, lines of its stderr)."""
    command = [sys.executable, "-m", "wsac", "serve", "--port", "0", "--model", str(model)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [*command, *options], stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            lines = []
            for line in process.stderr:
                lines.append(line)
                if match := READY.search(line):
                    break
            else:
                pytest.fail(f"no server: {''.join(lines)}")
            reader = threading.Thread(target=lambda: lines.extend(process.stderr))
            reader.start()
            yield match[1], process, lines
        finally:
            process.kill()


@pytest.fixture
def model(captioner, tmp_path):
    captioner.save(tmp_path / "model")
    return tmp_path / "model"


def truths(model, wav, folder, count):
    """(name, bytes, caption or None) of good and bad sounds; captions by the library."""
    captioner = Captioner.load(model)
    rows = []
    for i in range(count):
        content = b"" if i % 10 == 9 else wav(i, 0.3 + 0.2 * (i % 7), ("WAV", "FLAC")[i % 2])
        name = f"{i}.{('wav', 'flac')[i % 2]}"
        (folder / name).write_bytes(content)
        text = None if i % 10 == 9 else captioner.caption(folder / name).text
        rows.append((name, content, text))
    return rows


async def leave(address, content):
    """Send a part of an upload, or all of it, and go."""
    host, port = address.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    body = (
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
        + content
        + b"\r\n--x--\r\n"
    )
    head = (
        f"POST /v1/audio/captions HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\n\r\n"
    )
    writer.write(head.encode() + body[: random.choice([1, len(body) // 2, len(body)])])
    await writer.drain()
    writer.close()


def test_many_clients_get_their_own_answers(model, wav, tmp_path):
    """16 clients, 200 requests, with bad files and clients that leave."""
    rows = truths(model, wav, tmp_path, 200)
    wrong = []

    async def client(address, part):
        async with httpx.AsyncClient(base_url=address, timeout=300) as session:
            for name, content, text in part:
                if int(name.split(".")[0]) % 13 == 5:
                    await leave(address, content)
                files = {"file": (name, content)}
                response = await session.post("/v1/audio/captions", files=files)
                row = response.json()
                right = response.status_code == (422 if text is None else 200)
                if text is not None:
                    right = right and (row["file"], row["caption"]) == (name, text)
                if not right:
                    wrong.append((name, response.status_code, response.text[:200]))

    async def all_of_them(address):
        await asyncio.gather(*(client(address, rows[i::16]) for i in range(16)))
        async with httpx.AsyncClient(base_url=address) as session:
            return (await session.get("/metrics")).text

    with running(model) as (address, _, lines):
        metrics = asyncio.run(all_of_them(address))
    assert wrong == []
    assert "wsac_requests_inside 0.0" in metrics
    assert not re.search(r'status="5', metrics)
    logged = [json.loads(line) for line in lines if line.startswith("{")]
    assert sum(row["status"] in (200, 422) for row in logged) >= 200
    assert not [line for line in lines if "wav" in line and "serves" not in line]  # no names


def answer_of(address, *parts, length=None):
    """The status of an upload of which these parts come, half a second apart."""
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        size = f"Content-Length: {length}" if length else "Transfer-Encoding: chunked"
        connection.sendall(
            f"POST /v1/audio/captions HTTP/1.1\r\nHost: {host}\r\n{size}\r\n"
            "Content-Type: multipart/form-data; boundary=x\r\n\r\n".encode()
        )
        for part in parts:
            time.sleep(0.5)
            mark = b"" if length else f"{len(part):x}\r\n".encode()
            connection.sendall(mark + part + (b"" if length else b"\r\n"))
        return int(connection.recv(100).split()[1])


def test_uploads_that_never_end(model):
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
    with running(model, "--timeout", "2", "--max-mb", "0.1") as (address, _, lines):
        assert answer_of(address, head, length=50_000) == 408
        assert answer_of(address, head, b"0" * 250_000) == 413  # of a length that is not told
        assert answer_of(address, length=10_000_000) == 413
        assert answer_of(address, b"no form", length=7) == 400
        host, port = address.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=60) as connection:
            connection.sendall(b"no HTTP\r\n\r\n")
            assert connection.recv(100).startswith(b"HTTP/1.1 400 ")
        assert "wsac_requests_inside 0.0" in httpx.get(f"{address}/metrics").text
    rows = [json.loads(line) for line in lines[1:]]  # all are JSON, of the server of HTTP too
    assert [row["status"] for row in rows if "status" in row] == [408, 413, 413, 400, 200]
    assert any(row.get("level") == "warning" for row in rows)


def test_sigterm_finishes_what_was_taken(model, wav):
    async def load(address, process):
        async with httpx.AsyncClient(base_url=address, timeout=300) as session:

            async def ask(i):
                return await session.post("/v1/audio/spans", files={"file": ("a", wav(i, 2.0))})

            tasks = [asyncio.create_task(ask(i)) for i in range(12)]
            while True:  # until all have a place
                text = (await session.get("/metrics")).text
                if "wsac_requests_inside 12.0" in text or any(task.done() for task in tasks):
                    break
            inside = float(re.search(r"wsac_requests_inside ([\d.]+)", text)[1])
            process.send_signal(signal.SIGTERM)
            results = await asyncio.gather(*tasks, return_exceptions=True)
            return inside, [getattr(result, "status_code", result) for result in results]

    with running(model, "--quiet") as (address, process, lines):
        inside, results = asyncio.run(load(address, process))
        assert process.wait(120) == 0
    assert results.count(200) >= inside > 0
    assert "stopped after finishing the requests under way\n" in lines


def test_the_commands_of_the_page(model, wav, tmp_path):
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    (tmp_path / "dog.wav").write_bytes(wav(3, 2.0))
    text = PAGE.read_text(encoding="utf-8")
    commands = re.findall(r"^curl .*$", text, re.MULTILINE)
    assert len(commands) >= 6
    with running(model, "--quiet") as (address, _, _):
        document = httpx.get(f"{address}/openapi.json").json()
        operations = [entry for path in document["paths"].values() for entry in path.values()]
        samples = [entry["x-codeSamples"][0] for entry in operations if "requestBody" in entry]
        assert len(samples) == 7  # search has one with an archive
        for command in (*commands, *(sample["source"] for sample in samples)):
            httpx.delete(f"{address}/v1/teach")  # which an example has begun
            done = subprocess.run(
                ["bash", "-c", command.replace("curl ", "curl -sS --fail-with-body ")],
                env=os.environ | {"WSAC": address},
                cwd=tmp_path,
                capture_output=True,
                text=True,
            )
            assert done.returncode == 0, command + done.stdout + done.stderr


def test_the_client_of_openai(model, wav, tmp_path, monkeypatch, capsys):
    openai = pytest.importorskip("openai", reason="needs openai, its client")
    with running(model, "--quiet") as (address, _, _):
        client = openai.OpenAI(base_url=f"{address}/v1", api_key="unused")
        sound = ("dog.wav", wav(3, 2.0))
        for kind in ("srt", "vtt", "json", "text", "verbose_json"):
            options = {"model": "whisper-1", "file": sound, "response_format": kind}
            result = client.audio.transcriptions.create(**options)
            text = result if isinstance(result, str) else result.text
            assert kind != "vtt" or text.startswith("WEBVTT")
        rows = client.embeddings.create(model="x", input=["a dog", "rain"]).data
        assert [len(row.embedding) for row in rows] == [16, 16]
        url = f"data:audio/wav;base64,{base64.b64encode(sound[1]).decode()}"
        more = {"modality": "audio"}
        rows = client.embeddings.create(model="x", input=[url, url], extra_body=more).data
        assert rows[0].embedding == pytest.approx(rows[1].embedding, abs=1e-5)
        assert len(rows[0].embedding) == 16
        assert client.models.list().data[0].id == "model"
        with pytest.raises(openai.UnprocessableEntityError, match="empty"):
            client.audio.transcriptions.create(model="x", file=("a.wav", b""))
        client.close()
        (tmp_path / "dog.wav").write_bytes(sound[1])
        code = re.search(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S)[1]
        monkeypatch.chdir(tmp_path)
        exec(code.replace("http://127.0.0.1:8000", address), names := {})
        names["client"].close()
        assert capsys.readouterr().out.endswith("\n16\n")


def test_schemathesis_finds_no_undocumented_answer(model, tmp_path):
    pytest.importorskip("schemathesis", reason="needs schemathesis")
    checks = "not_a_server_error,status_code_conformance,content_type_conformance"
    with running(model, "--quiet", "--max-seconds", "5") as (address, _, _):
        command = [sys.executable, "-m", "schemathesis.cli", "run", f"{address}/openapi.json"]
        command += [
            "--checks",
            f"{checks},response_schema_conformance",
            "--phases",
            "examples,fuzzing",
        ]
        command += ["--max-examples", "60", "--seed", "1", "--no-color"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]


def test_a_port_in_use_is_told_in_one_line(model, run):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, _, err = run("serve", "--port", port, "--model", model)
    assert code == 1
    assert err.startswith(f"error: 127.0.0.1:{port}: cannot listen there (")
    assert err.endswith("--port 0\n")
    assert err.count("\n") == 1


@pytest.mark.parametrize("value", ["nan", "inf", "0", "-1"])
def test_impossible_sizes_are_told_in_one_line(model, run, value):
    code, _, err = run("serve", "--max-mb", value, "--port", 0, "--model", model)
    assert (code, err) == (1, f"error: --max-mb {value}: give more than 0\n")


def test_an_empty_file_of_keys_is_refused(model, run, tmp_path):
    keys = tmp_path / "keys.txt"
    keys.write_text("# none\n\n", encoding="utf-8")
    code, _, err = run("serve", "--model", model, "--api-key-file", keys)
    assert (code, "no keys in this file" in err) == (1, True)
