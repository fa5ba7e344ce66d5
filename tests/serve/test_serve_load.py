"""The benchmark of many clients: it passes against the server, and sees answers that are wrong."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks" / "speed"


@pytest.fixture
def bench(monkeypatch):
    """The modules of the benchmark, as its script sees them."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(FOLDER))
    import serve_load
    import served

    yield serve_load, served
    for name in {"serve_load", "served"} - before:
        sys.modules.pop(name, None)


def rows_of(model, *options):
    """What the benchmark prints."""
    command = [sys.executable, FOLDER / "serve_load.py", "--model", model, *options]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def model(captioner, tmp_path):
    if not find_spec("uvicorn"):
        pytest.skip("needs wsac[serve]")
    captioner.save(tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.slow
def test_nothing_is_lost_or_mixed_up(model):
    options = "--seconds", 2, "--clients", 12, "--sounds", 12, "--longest", 3
    batches, end, unbatched, ratio = rows_of(model, *options)
    for row in (batches, end, unbatched):
        assert (row["lost"], row["wrong"]) == (0, 0)
        assert set(row["statuses"]) <= {"200", "415", "422", "429"}
    assert batches["left"] > 0
    assert {"200", "415", "422"} <= set(batches["statuses"])
    assert (end["exit"], end["answers"] >= 12) == (0, True)
    assert ratio["times"] > 0


@pytest.mark.slow
def test_many_small_requests(model):
    first, second = rows_of(model, "--requests", 240, "--clients", 12, "--parts", 2)
    assert second["answers"] >= 120
    assert (first["wrong"], second["wrong"], second["lost"]) == (0, 0, 0)
    assert 0 < second["mb"] < 1.5 * first["mb"]


@pytest.mark.parametrize("fault", ["none", "swapped", "broken", "cut"])
def test_faults_of_a_server_are_counted(bench, fault):
    """Against a small server that answers with the name of the sound, or of another one."""
    serve_load, served = bench
    names = [f"{i}.wav" for i in range(6)]
    cases = [
        serve_load.Case(
            served.form("/x", name, b"sound"),
            lambda status, body, name=name: (status, body.decode()) == (200, name),
        )
        for name in names
    ]

    class Stub:
        port = 0

    async def answer(reader, writer):
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                body = await reader.readexactly(int(served.LENGTH.search(head)[1]))
                name = re.search(rb'filename="(.*?)"', body)[1].decode()
                status = 422 if b"RIFF" in body or b"\r\n\r\n\r\n" in body else 200
                status = 415 if b"html" in body else status
                if fault == "swapped" and name in names:
                    name = names[0]
                status = 500 if fault == "broken" and name == names[1] else status
                size = len(name) - (fault == "cut" and name == names[2])
                writer.write(f"HTTP/1.1 {status} x\r\nContent-Length: {len(name)}\r\n\r\n".encode())
                writer.write(name[:size].encode())
                if size < len(name):
                    break
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()

    async def talk():
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        Stub.port = server.sockets[0].getsockname()[1]
        async with server:
            return await serve_load.load(Stub, cases, 4, lambda tally: len(tally.seconds) < 60)

    tally = asyncio.run(talk())
    wrong = {"none": 0, "swapped": 30, "broken": 5, "cut": 0}[fault]
    assert (len(tally.wrong) >= wrong, bool(tally.wrong)) == (True, wrong > 0)
    assert (tally.lost > 0) == (fault == "cut")
    assert (tally.failures > 0) == (fault != "none")
    assert tally.left > 0
