"""Who gets in, what is written down, and what becomes of clients that leave or come too many."""

from __future__ import annotations

import asyncio
import errno
import hmac
import json
import logging
import threading

import pytest

from wsac.serve.answers import RefusalError
from wsac.serve.observing import RequestLog

pytest.importorskip("starlette", reason="needs wsac[serve]")
pytest.importorskip("prometheus_client", reason="needs wsac[serve]")
pytest.importorskip("python_multipart", reason="needs wsac[serve]")


def scope_of(path, *headers, method="POST"):
    pairs = [(name.encode(), value.encode()) for name, value in headers]
    return {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": b"",
        "headers": pairs,
        "app": None,
    }


class Client:
    """A client of an ASGI application that can leave. body: one piece."""

    def __init__(self, app, path, body, kind):
        self.left, self.status, self._first = asyncio.Event(), None, True
        self._body = body
        scope = scope_of(path, ("content-type", kind))
        self.task = asyncio.create_task(app(scope, self._receive, self._send))

    async def _receive(self):
        if self._first:
            self._first = False
            return {"type": "http.request", "body": self._body, "more_body": False}
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message):
        self.status = message.get("status", self.status)


def form(content):
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
    return head + content + b"\r\n--x--\r\n", "multipart/form-data; boundary=x"


def test_who_leaves_frees_the_place_at_once(captioner, wav, monkeypatch):
    """While the model works for another client, and long before the timeout."""
    from wsac.serve.app import create_app
    from wsac.serve.serve_options import ServeOptions

    go, describe, batches = threading.Event(), captioner.describe, []

    def blocked(sounds):
        batches.append(len(sounds))
        go.wait(20)
        return describe(sounds)

    monkeypatch.setattr(captioner, "describe", blocked)

    async def talk():
        app = create_app(captioner, ServeOptions(queue=2), quiet=True)
        async with app.router.lifespan_context(app):
            first = Client(app, "/v1/audio/captions", *form(wav()))
            while not batches:
                await asyncio.sleep(0.005)
            leaver = Client(app, "/v1/audio/captions", *form(wav()))
            await asyncio.sleep(0.05)
            third = Client(app, "/v1/audio/captions", *form(wav()))
            await third.task
            leaver.left.set()
            await leaver.task
            fourth = Client(app, "/v1/audio/captions", *form(wav()))
            await asyncio.sleep(0.05)
            go.set()
            await asyncio.gather(first.task, fourth.task)
            return [client.status for client in (first, leaver, third, fourth)]

    assert asyncio.run(talk()) == [200, 499, 429, 200]
    assert sum(batches) == 2  # nothing is heard for who has left


def test_all_keys_are_compared(asked, monkeypatch):
    compare, compared = hmac.compare_digest, []

    def counted(one, other):
        compared.append(len(one) == len(other))
        return compare(one, other)

    monkeypatch.setattr(hmac, "compare_digest", counted)

    async def talk(client):
        for key in ("one", "three", "x" * 999, "ä"):
            await client.get("/v1/models", headers={"Authorization": f"Bearer {key}".encode()})

    asked(talk, keys=("one", "two", "three"))
    assert compared == [True] * 12  # of equal lengths, also after the right one


def test_other_addresses_pass_the_gate(asked):
    async def talk(client):
        away = await client.get("/v1/models/", headers={"x-request-id": "away"})
        wrong = await client.get("/v1/embeddings")
        return away, wrong, (await client.get("/metrics")).text

    away, wrong, metrics = asked(talk)
    assert (away.status_code, away.headers["x-request-id"]) == (404, "away")  # not redirected
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")
    assert "x-request-id" in wrong.headers
    assert 'wsac_requests_total{path="other",status="404"} 1.0' in metrics


def test_answers_of_a_server_that_stops_close_their_connections(captioner):
    from starlette.requests import Request

    from wsac.serve.answers import Answer
    from wsac.serve.gate import Gate
    from wsac.serve.observing import Metrics
    from wsac.serve.serve_options import ServeOptions

    gate = Gate(ServeOptions(), Metrics(), RequestLog(quiet=True))

    async def handle(request):
        return Answer("{}")

    async def headers():
        answer = await gate.open("/", handle)(Request(scope_of("/", method="GET")))
        return dict(answer.headers)

    assert "connection" not in asyncio.run(headers())
    gate.stopping = True
    assert asyncio.run(headers())["connection"] == "close"


def test_a_full_disk_is_told(asked, wav, monkeypatch):
    import base64

    from wsac.serve.uploads import Upload

    def full(self, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Upload, "write", full)
    sound = base64.b64encode(wav()).decode()

    async def talk(client):
        files = {"file": ("a.wav", wav())}
        body = {"input": sound, "modality": "audio"}
        return [
            await client.post("/v1/audio/captions", files=files),
            await client.post("/v1/embeddings", json=body),
        ]

    for response in asked(talk):
        assert (response.status_code, response.headers["retry-after"]) == (503, "30")
        assert "No space left on device" in response.json()["error"]["message"]


def test_json_of_all_requests_is_bounded():
    from starlette.requests import Request

    from wsac.serve.uploads import JsonBodies

    bodies = JsonBodies(most=100)

    async def read(size):
        async def receive():
            return {"type": "http.request", "body": b"x" * size, "more_body": False}

        request = Request(scope_of("/", ("content-type", "application/json")), receive)
        async with bodies.body_of(request, 1000, 5.0) as body:
            await asyncio.sleep(0.01)
            return len(body)

    async def talk():
        both = await asyncio.gather(read(60), read(60), return_exceptions=True)
        return both, await read(100)

    (first, second), later = asyncio.run(talk())
    assert (first, later) == (60, 100)
    assert isinstance(second, RefusalError)
    assert (second.status, second.headers) == (429, {"Retry-After": "1"})


def test_lines_of_the_log(captioner, wav, capsys):
    """All are JSON, without contents and names, those of libraries too."""
    httpx = pytest.importorskip("httpx2", reason="needs httpx2, a client of HTTP")
    from wsac.serve.app import create_app

    async def talk():
        app = create_app(captioner)
        async with app.router.lifespan_context(app):
            transport = httpx.ASGITransport(app=app)
            async with httpx.AsyncClient(transport=transport, base_url="http://local") as client:
                files = {"file": ("secret.wav", wav())}
                await client.post("/v1/audio/captions", files=files, headers={"x-request-id": "a"})
                await client.post("/v1/embeddings", json={"input": "secret", "modality": "audio"})
                await client.get("/secret?secret=1")
                await client.get("/v1/embeddings?secret=1")

    asyncio.run(talk())
    log = RequestLog()
    log.take_over("wsac.test")
    logging.getLogger("wsac.test").warning("invalid %s", "request")
    logging.getLogger("wsac.test").info("not shown")
    logging.getLogger("wsac.test").error("fault\n", exc_info=ValueError("why"))
    lines = capsys.readouterr().err.splitlines()
    rows = [json.loads(line) for line in lines]
    assert [row.get("status") for row in rows] == [200, 400, 404, 405, None, None]
    assert set(rows[0]) == {"time", "id", "method", "path", "status", "seconds", "bytes"}
    assert (rows[0]["id"], rows[0]["path"]) == ("a", "/v1/audio/captions")
    assert [row["path"] for row in rows[2:4]] == ["other", "/v1/embeddings"]
    assert (rows[4]["level"], rows[4]["message"]) == ("warning", "invalid request")
    assert (rows[5]["message"], rows[5]["traceback"]) == ("fault", "ValueError: why\n")
    assert "secret" not in "".join(lines)
