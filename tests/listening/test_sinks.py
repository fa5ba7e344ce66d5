"""What is done about events: webhooks, clips, rules and quiet hours."""

from __future__ import annotations

import json
import shlex
import socketserver
import sys
import threading
import time
from datetime import datetime
from http.server import BaseHTTPRequestHandler

import numpy as np
import pytest
import soundfile

from miniatures.ears import LABELS, RATE, Ears, play
from wsac.listening.event_clips import ClipKeeper
from wsac.listening.listen_options import ListenOptions
from wsac.listening.listener import Listener, live_tagger
from wsac.listening.listening_session import ListeningSession
from wsac.listening.quiet_hours import QuietHours, Quietly
from wsac.listening.rules import Rule, RuleSink
from wsac.listening.sinks import Deliveries, Sink
from wsac.listening.sound_event import Event
from wsac.listening.webhook import Webhook
from wsac.types import RecipeError, WsacError


def event(state="begins", number=1, label="dog", confidence=0.9, **about) -> Event:
    end = 4.0 if state == "ended" else None
    return Event(state, number, label, 2.5, end, confidence, -20.04, **about)


class Notes(Sink):
    def __init__(self) -> None:
        self.events, self.closed = [], False

    def event(self, event):
        self.events.append((event.state, event.number))

    def close(self):
        self.closed = True


@pytest.fixture
def hook():
    """An address with the events that it was sent; it answers with ``status``."""
    taken = {"bodies": [], "status": 200}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            taken["bodies"].append(json.loads(body))
            taken["authorization"] = self.headers["Authorization"]
            self.send_response(taken["status"])
            self.end_headers()

        def log_message(self, *_): ...

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        taken["address"] = f"http://127.0.0.1:{server.server_address[1]}/wsac"
        yield taken
        server.shutdown()


def test_a_webhook_gets_the_begin_and_the_end(hook):
    webhook = Webhook(hook["address"])
    for state in ("begins", "lasts", "ended"):
        webhook.event(event(state))
    webhook.close()
    assert [body["state"] for body in hook["bodies"]] == ["begins", "ended"]
    first = hook["bodies"][0]
    assert (first["label"], first["start"], first["end"]) == ("dog", 2.5, None)
    assert (first["confidence"], first["loudness"]) == (0.9, -20.0)


def test_a_webhook_with_a_password(hook):
    webhook = Webhook(hook["address"].replace("//", "//me:a%40b@"))
    webhook.event(event())
    webhook.close()
    assert hook["authorization"] == "Basic bWU6YUBi"  # me:a@b


def test_a_webhook_that_fails_is_told_once_and_stops_nothing(hook, capsys):
    hook["status"] = 500
    webhook = Webhook(hook["address"])
    for number in range(3):
        webhook.event(event(number=number))
    webhook.close()
    err = capsys.readouterr().err
    assert err.count("listening goes on") == 1
    assert "3 messages not delivered" in err


def test_deliveries_that_do_not_fit_are_dropped_and_counted(capsys):
    gate = threading.Event()
    deliveries = Deliveries("slow", most=2)
    for _ in range(10):
        deliveries.add(gate.wait)
    gate.set()
    deliveries.close()
    err = capsys.readouterr().err
    assert err.count("slow: too slow") == 1
    assert deliveries.delivered + deliveries.dropped == 10
    assert deliveries.delivered in (2, 3)
    assert f"{deliveries.dropped} messages not delivered" in err


@pytest.mark.parametrize("address", ["ftp://x/y", "server/path", "http://"])
def test_no_address_for_a_webhook(address):
    with pytest.raises(RecipeError, match="such as http://server/path"):
        Webhook(address)


def test_clips_are_written_whole_and_the_oldest_go(tmp_path):
    (tmp_path / "mine.flac").write_bytes(b"not a clip")
    clips = ClipKeeper(tmp_path, RATE, keep=2)
    sound, day = play(1, ("dog", 0, 1)), "2026-01-02"
    stored = [
        clips.store(event("ended", n, "Dog / bark", time=f"{day}T03:04:0{n}+00:00", sound=sound))
        for n in range(1, 5)
    ]
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [
        "20260102-030403-0003-dog-bark.flac",
        "20260102-030404-0004-dog-bark.flac",
        "mine.flac",
    ]
    assert stored[-1].clip == str(tmp_path / names[1])
    heard, rate = soundfile.read(stored[-1].clip, dtype="float32")
    assert rate == RATE
    np.testing.assert_allclose(heard, sound, atol=1e-4)
    ClipKeeper(tmp_path, RATE, keep=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == names[1:]
    with pytest.raises(RecipeError):
        ClipKeeper(tmp_path, RATE, keep=0)


def test_a_clip_that_cannot_be_written_stops_nothing(tmp_path, capsys):
    ears, notes = Ears(), Notes()
    listener = Listener(ears, live_tagger(ears, LABELS), ListenOptions(clips=True))
    clips = ClipKeeper(tmp_path / "clips", RATE)
    (tmp_path / "clips").rmdir()
    (tmp_path / "clips").write_text("in the way")
    session = ListeningSession(listener, [notes], clips=clips)
    session.run([play(12, ("dog", 2, 4), ("dog", 8, 10))])
    session.finish()
    assert [state for state, _ in notes.events].count("ended") == 2
    assert capsys.readouterr().err.count("; listening goes on") == 1


def test_a_clip_for_which_the_disk_is_too_full_stops_nothing(tmp_path, monkeypatch):
    def full(*arguments, **options):
        raise soundfile.SoundFileError("System error.")

    monkeypatch.setattr(soundfile, "write", full)
    clips, sound = ClipKeeper(tmp_path, RATE), play(1)
    with pytest.raises(WsacError, match=r"dog.flac: cannot write \(System error\.\); check"):
        clips.store(event("ended", sound=sound))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("seconds", [3.5, 1.0, 5 / 3])
def test_listening_ends_after_so_much_sound(seconds):
    ears = Ears()
    session = ListeningSession(Listener(ears, live_tagger(ears, LABELS)), [])
    session.run(np.split(play(6), 3), seconds)
    assert session.listener.seconds == pytest.approx(seconds, abs=1 / RATE)


def test_a_sink_that_fails_leaves_the_others_alone():
    class Broken(Sink):
        def event(self, event):
            raise WsacError("no")

    ears, notes = Ears(), Notes()
    session = ListeningSession(Listener(ears, live_tagger(ears, LABELS)), [Broken(), notes])
    session.run([play(5, ("dog", 1, 3)), None, play(5, ("siren", 1, 5))])
    session.finish()
    assert [state for state, _ in notes.events if state != "lasts"] == ["begins", "ended"] * 2
    assert notes.closed
    assert session.summary() == ("listened for 0:00:10; 2 events (dog 1, siren 1); 1 interruption")


@pytest.mark.parametrize(
    ("text", "moment", "quiet"),
    [
        ("22:00-07:00", "23:30", True),
        ("22:00-07:00", "06:59", True),
        ("22:00-07:00", "07:00", False),
        ("12:00-13:30", "12:00", True),
        ("12:00-13:30", "13:30", False),
    ],
)
def test_quiet_hours(text, moment, quiet):
    now = datetime.strptime(moment, "%H:%M")
    assert (now.time() in QuietHours.parse(text)) is quiet


@pytest.mark.parametrize("text", ["22-7", "25:00-07:00", "07:00-07:00", "night"])
def test_no_quiet_hours(text):
    with pytest.raises(RecipeError, match="such as 22:00-07:00"):
        QuietHours.parse(text)


def test_in_quiet_hours_nothing_begins_but_what_began_ends():
    notes, clock = Notes(), [datetime(2026, 1, 1, 21, 59)]
    sink = Quietly(notes, [QuietHours.parse("22:00-07:00")], lambda: clock[0])
    sink.event(event(number=1))
    clock[0] = datetime(2026, 1, 1, 22, 1)
    for state, number in (("begins", 2), ("lasts", 1), ("ended", 2), ("ended", 1)):
        sink.event(event(state, number))
    assert notes.events == [("begins", 1), ("lasts", 1), ("ended", 1)]
    sink.close()
    assert notes.closed


def test_a_rule_is_obeyed_once_when_it_is_sure_enough(hook, tmp_path):
    out = tmp_path / "out.json"
    code = "import sys; open(sys.argv[1], 'a').write(sys.stdin.read() + chr(10))"
    command = shlex.join([sys.executable, "-c", code, str(out)])
    topics = []
    rules = [
        Rule.parse(f"Dog >= 0.8: webhook {hook['address']}"),
        Rule.parse(f"dog ≥ 0.6: run {command}"),
        Rule.parse("dog >= 0.6: mqtt home/dog"),
        Rule.parse("siren >= 0.6: mqtt home/siren"),
    ]
    sink = RuleSink(rules, lambda topic, payload: topics.append((topic, json.loads(payload))))
    for confidence in (0.5, 0.7, 0.9, 0.95):
        sink.event(event("lasts", 7, confidence=confidence))
    sink.close()
    assert [body["confidence"] for body in hook["bodies"]] == [0.9]
    assert [json.loads(line)["confidence"] for line in out.read_text().splitlines()] == [0.7]
    assert [(topic, body["number"]) for topic, body in topics] == [("home/dog", 7)]


def test_a_program_that_fails_is_told(capsys):
    sink = RuleSink([Rule.parse(f"dog >= 0.6: run {sys.executable} -c exit(3)")])
    sink.event(event())
    sink.close()
    assert "ended with 3" in capsys.readouterr().err


def test_each_rule_is_told_by_its_name(hook, capsys):
    """A rule that works does not make well the one that fails."""
    texts = ("dog >= 0.5: webhook http://127.0.0.1:9/x", "siren >= 0.5: run cat")
    sink = RuleSink([Rule.parse(text) for text in texts])
    for number, label in enumerate(("dog", "siren", "dog", "siren")):
        sink.event(event("begins", number, label))
    sink.close()
    err = capsys.readouterr().err
    name = "rule 'dog' (webhook 127.0.0.1:9)"
    assert err == (
        f"{name}: no connection (connection refused); check the address and the server; "
        f"listening goes on\n{name}: 2 messages not delivered\n"
    )


def test_a_rule_that_failed_works_again(hook, capsys):
    hook["status"] = 404
    sink = RuleSink([Rule.parse(f"dog >= 0.5: webhook {hook['address']}")])
    sink.event(event(number=1))
    while not hook["bodies"]:
        time.sleep(0.01)
    hook["status"] = 200
    sink.event(event(number=2))
    sink.close()
    err = capsys.readouterr().err
    assert "it answers 404 Not Found; check the address" in err
    assert ": works again\n" in err


@pytest.mark.parametrize(
    "text",
    [
        "dog",
        "dog >= 0.8: run no-such-program --now",
        "dog >= 2: webhook http://x/",
        "dog >= 0.5.5: mqtt x",
        "dog >= 0.8: shout loud",
        "dog >= 0.8: webhook",
        "dog >= 0.8: webhook x",
        "dog >= 0.8: run 'x",
    ],
)
def test_no_rule(text):
    with pytest.raises(RecipeError):
        Rule.parse(text)


def test_a_rule_for_mqtt_needs_a_broker():
    with pytest.raises(RecipeError, match="give --mqtt"):
        RuleSink([Rule.parse("dog >= 0.8: mqtt x")])
