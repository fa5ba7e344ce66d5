"""/v1/listen: samples in, events out, and what is refused."""

from __future__ import annotations

import asyncio
import json

import numpy as np
import pytest

from miniatures.ears import RATE, Ears, play

for module in ("starlette", "python_multipart", "prometheus_client"):
    pytest.importorskip(module, reason="needs wsac[serve]")

HELLO = {"labels": ["dog", "siren", "hum"]}


def pcm(samples) -> bytes:
    return (samples * 32_767).astype("<i2").tobytes()


def talk(messages, *, headers=None, leave=False, quiet=True, metrics=None, **options):
    """(messages of the server, its code of closing) for a client that sends these and then
    waits; leave: it goes instead. metrics: a list that gets the text of /metrics at the end."""
    from wsac.serve.app import create_app
    from wsac.serve.serve_options import ServeOptions

    app = create_app(Ears(), ServeOptions(**options), quiet=quiet)
    heads = {"host": "127.0.0.1:8000"} | (headers or {})
    scope = {
        "type": "websocket", "path": "/v1/listen", "raw_path": b"/v1/listen", "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in heads.items()],
        "scheme": "ws", "subprotocols": [], "state": {}, "extensions": {},
    }  # fmt: off

    async def all_of_it():
        incoming, told, code = asyncio.Queue(), [], []
        incoming.put_nowait({"type": "websocket.connect"})
        for message in messages:
            kind = "bytes" if isinstance(message, bytes) else "text"
            content = message if isinstance(message, (bytes, str)) else json.dumps(message)
            incoming.put_nowait({"type": "websocket.receive", kind: content})
        if leave:
            incoming.put_nowait({"type": "websocket.disconnect", "code": 1001})

        async def send(message):
            if message["type"] == "websocket.send":
                told.append(json.loads(message["text"]))
            elif message["type"] == "websocket.close":
                code.append(message["code"])

        async with app.router.lifespan_context(app):
            async with asyncio.timeout(20):
                await app(scope, incoming.get, send)
            if metrics is not None:
                metrics.extend(app.state.gate.metrics.text()[0].decode().splitlines())
        return told, code[0] if code else None

    return asyncio.run(all_of_it())


@pytest.mark.parametrize("rate", [RATE, 3 * RATE])
def test_events_come_as_they_happen(rate):
    samples = np.repeat(play(8, ("dog", 2.2, 4.0), ("siren", 5.1, 7.6)), rate // RATE)
    content = pcm(samples)
    pieces = [content[place : place + 6401] for place in range(0, len(content), 6401)]
    told, code = talk([HELLO | {"rate": rate}, *pieces, {"type": "end"}])
    assert code == 1000
    assert told[0] == {"type": "ready", "labels": 3}
    events = [message for message in told if message["type"] == "event"]
    changes = [(e["state"], e["label"]) for e in events if e["state"] != "lasts"]
    assert changes == [("begins", "dog"), ("ended", "dog"), ("begins", "siren"), ("ended", "siren")]
    ended = [event for event in events if event["state"] == "ended"]
    assert [event["start"] for event in ended] == pytest.approx([2.2, 5.1], abs=0.08)
    assert ended[0]["caption"] == "A dog is heard"
    now = [message for message in told if message["type"] == "now"]
    assert [message["at"] for message in now[:3]] == [2.0, 2.5, 3.0]
    assert now[2]["tags"][0]["label"] == "dog"


def test_the_built_in_labels():
    told, _ = talk([{}, {"type": "end"}])
    assert told[0]["labels"] > 100


@pytest.mark.parametrize(
    ("messages", "what"),
    [
        ([b"12"], "the first message must be JSON"),
        (["nonsense"], "Invalid JSON"),
        ([{"rate": 7}], "rate: "),
        ([{"wrong": 7}], "wrong: "),
        ([{"labels": ["dog"]}], "one label only"),
        ([HELLO, bytes(2 * RATE * 11)], "above 10 s in one message"),
        ([HELLO, "stop"], "Invalid JSON"),
    ],
)
def test_what_is_wrong_is_told(messages, what):
    told, code = talk(messages)
    assert what in told[-1]["error"]
    assert "\n" not in told[-1]["error"]
    assert code == 1008


def test_a_client_that_leaves_or_falls_silent():
    assert talk([HELLO, pcm(play(3))], leave=True)[1] is None
    told, code = talk([HELLO, pcm(play(1))], timeout=0.3)
    assert told[-1]["error"] == "nothing came for 0.3 s"
    assert code == 1008


def test_keys_in_the_header_or_in_the_first_message():
    end = {"type": "end"}
    assert talk([{"key": "k1"}, end], keys=("k1",))[0][0]["type"] == "ready"
    header = {"authorization": "Bearer k1"}
    assert talk([{}, end], keys=("k1",), headers=header)[0][0]["type"] == "ready"
    told, code = talk([{"key": "k2"}, end], keys=("k1",))
    assert "no valid API key" in told[0]["error"]
    assert code == 1008


def test_pages_of_others_and_other_names_are_refused():
    for origin in ("http://evil.example", "null", "http://[", "http://127.0.0.1:8000.evil.example"):
        assert talk([HELLO], headers={"origin": origin}) == ([], 1008)
    assert talk([HELLO], hosts=("localhost",)) == ([], 1008)
    own = {"origin": "http://127.0.0.1:8000"}
    assert talk([HELLO, {"type": "end"}], headers=own)[1] == 1000


def test_there_is_a_limit_of_listeners(monkeypatch):
    monkeypatch.setattr("wsac.serve.listen_socket.LISTENERS", 0)
    told, code = talk([HELLO])
    assert told[0]["error"] == "the server takes no more: 0 listen already; try again later"
    assert code == 1013


def test_who_has_no_key_takes_no_place(monkeypatch):
    monkeypatch.setattr("wsac.serve.listen_socket.LISTENERS", 0)
    told, code = talk([{"key": "wrong"}], keys=("right",))
    assert "no valid API key" in told[0]["error"]
    assert code == 1008


def test_sessions_are_counted_and_logged(capsys):
    figures, content = [], pcm(play(3))
    talk(
        [HELLO, content, {"type": "end"}],
        quiet=False,
        metrics=figures,
        headers={"x-request-id": "a"},
    )
    assert 'wsac_listen_seconds_count{code="1000"} 1.0' in figures
    assert "wsac_listeners 0.0" in figures
    talk([HELLO], leave=True, quiet=False)
    talk([{"rate": 7}], quiet=False)
    talk([HELLO], headers={"origin": "http://evil.example"}, quiet=False)
    rows = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [row["status"] for row in rows] == [1000, 1001, 1008, 403]
    assert (rows[0]["id"], rows[0]["method"], rows[0]["path"]) == ("a", "WEBSOCKET", "/v1/listen")
    assert rows[0]["bytes"] > len(content)
    assert rows[0]["seconds"] > 0


def test_a_fault_is_logged_and_told_without_its_words(capsys, monkeypatch):
    def broken(self, block):
        raise RuntimeError("secret")

    monkeypatch.setattr("wsac.listening.listener.Listener.feed", broken)
    told, code = talk([HELLO, pcm(play(3))], quiet=False)
    assert code == 1011
    assert "a fault of the server" in told[-1]["error"]
    assert "secret" not in told[-1]["error"]
    first, second = map(json.loads, capsys.readouterr().err.splitlines())
    assert (first["error"], first["id"]) == ("RuntimeError", second["id"])
