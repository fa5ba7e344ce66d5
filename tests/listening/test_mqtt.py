"""MQTT: what Home Assistant documents for its discovery, and a real broker."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import time
from contextlib import suppress
from importlib.util import find_spec

import pytest

from wsac.inference.sound_results import Tag
from wsac.listening.home_assistant import Topics, discovery, slugs
from wsac.listening.sound_event import Event, Now
from wsac.types import RecipeError

MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
# the fields that Home Assistant documents for these two components, of those used
KNOWN = {
    "availability_topic", "payload_available", "payload_not_available", "device", "origin", "icon",
    "json_attributes_topic", "name", "state_topic", "unique_id", "value_template", "device_class",
}  # fmt: off
KNOWN_OF = {
    "sensor": KNOWN | {"unit_of_measurement", "state_class"},
    "binary_sensor": KNOWN | {"payload_on", "payload_off"},
}


def test_discovery_payloads_are_as_documented():
    messages = discovery(Topics("wsac/kitchen", ["dog bark", "Glass, breaking"]), "wsac kitchen")
    uniques = []
    for topic, payload in messages:
        match = re.fullmatch(r"homeassistant/(sensor|binary_sensor)/([a-zA-Z0-9_-]+)/config", topic)
        entity = json.loads(payload)
        assert set(entity) <= KNOWN_OF[match[1]]
        assert {"state_topic", "unique_id", "name", "device", "origin"} <= set(entity)
        assert entity["unique_id"] == match[2]
        assert entity["device"]["identifiers"] == ["wsac_kitchen"]
        assert entity["origin"]["name"] == "wsac"
        assert entity["availability_topic"] == "wsac/kitchen/availability"
        uniques.append(entity["unique_id"])
    assert len(set(uniques)) == len(uniques) == 5
    sensors = [json.loads(payload) for topic, payload in messages if "binary_sensor" in topic]
    assert [sensor["device_class"] for sensor in sensors] == ["sound", "sound"]
    assert sensors[1]["state_topic"] == "wsac/kitchen/glass_breaking/state"


def test_labels_that_read_alike_have_topics_of_their_own():
    assert slugs(["a b", "A-B", "ä"]) == {"a b": "a_b", "A-B": "a_b_2", "ä": "sound"}


def test_labels_may_have_the_names_of_other_topics():
    topics = Topics("x", ["now", "event"])
    every = [topics.now, topics.event, topics.availability]
    every += [f(label) for label in ("now", "event") for f in (topics.state, topics.attributes)]
    uniques = [topic for topic, _ in discovery(Topics("x", ["loudness"]), "x")]
    assert len(set(every)) == len(every)
    assert len(set(uniques)) == len(uniques)


class Broker:
    """A real broker on a free port, and a client that has subscribed to everything."""

    def __init__(self, folder):
        from paho.mqtt import client, enums

        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._settings = folder / "mosquitto.conf"
        self._settings.write_text(f"listener {self.port} 127.0.0.1\nallow_anonymous true\n")
        self.messages: list[tuple[str, str]] = []
        self.reader = client.Client(enums.CallbackAPIVersion.VERSION2)
        self.reader.reconnect_delay_set(1, 1)
        self.reader.on_connect = lambda c, *_: c.subscribe("#")
        self.reader.on_message = lambda c, d, m: self.messages.append((m.topic, m.payload.decode()))
        self.start()
        self.reader.connect("127.0.0.1", self.port)
        self.reader.loop_start()

    def start(self):
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen([MOSQUITTO, "-c", str(self._settings)], **quiet)
        for _ in range(200):
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.05)

    def kill(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture
def real_broker(tmp_path):
    if MOSQUITTO is None:
        pytest.skip("needs mosquitto, a broker: apt-get install mosquitto")
    pytest.importorskip("paho.mqtt", reason="needs wsac[mqtt]")
    broker = Broker(tmp_path)
    yield broker
    broker.reader.disconnect()
    broker.reader.loop_stop()
    broker.kill()


@pytest.fixture
def broker(real_broker):
    address = f"mqtt://127.0.0.1:{real_broker.port}/home/test"
    return address, real_broker.messages, real_broker.reader


def wait_for(messages, topic: str, payload: str | None = None) -> str:
    """The payload of a topic, once it is there."""
    for _ in range(600):
        for name, content in list(messages):
            if name == topic and payload in (None, content):
                return content
        time.sleep(0.02)
    raise AssertionError(f"no {topic} {payload}: {messages}")


def event(state, number=1, label="dog"):
    return Event(state, number, label, 1.0, 2.0 if state == "ended" else None, 0.9, -20.0)


@pytest.mark.slow
def test_events_reach_a_broker_and_home_assistant_is_told(broker):
    from wsac.listening.mqtt_broker import MqttBroker

    address, messages, reader = broker
    sink = MqttBroker(address, ["dog", "siren"])
    wait_for(messages, "home/test/availability", "online")
    discovered = [topic for topic, _ in messages if topic.startswith("homeassistant/")]
    assert len(discovered) == 5
    sink.now(Now(1.0, -30.0, (Tag("dog", 0.5, 0.9),)))
    assert json.loads(wait_for(messages, "home/test/now"))["tags"][0]["label"] == "dog"
    sink.event(event("begins"))
    wait_for(messages, "home/test/dog/state", "ON")
    assert json.loads(wait_for(messages, "home/test/dog/attributes"))["confidence"] == 0.9
    messages.clear()
    reader.publish("homeassistant/status", "online")  # Home Assistant was started again
    wait_for(messages, "home/test/dog/state", "ON")
    assert len([t for t, _ in messages if t.endswith("/config")]) == 5
    sink.event(event("ended"))
    wait_for(messages, "home/test/dog/state", "OFF")
    assert json.loads(wait_for(messages, "home/test/event"))["state"] == "ended"
    sink.publish("home/rule", "{}")
    wait_for(messages, "home/rule", "{}")
    sink.close()
    wait_for(messages, "home/test/availability", "offline")


@pytest.mark.slow
def test_the_last_will_says_offline_when_it_dies(broker):
    from wsac.listening.mqtt_broker import MqttBroker

    address, messages, _ = broker
    sink = MqttBroker(address, [])
    wait_for(messages, "home/test/availability", "online")
    sink._client._sock_close()  # without a goodbye
    wait_for(messages, "home/test/availability", "offline")
    sink._client.loop_stop()


@pytest.mark.slow
def test_a_broker_that_is_killed_and_started_again(real_broker, capsys):
    """States are those of now, none is older; events come in order; attributes are complete."""
    from wsac.listening.mqtt_broker import MqttBroker

    messages = real_broker.messages
    sink = MqttBroker(f"mqtt://127.0.0.1:{real_broker.port}/home/test", ["dog", "siren"])
    wait_for(messages, "home/test/availability", "online")
    sink.event(event("begins"))
    wait_for(messages, "home/test/dog/state", "ON")
    real_broker.kill()
    sink.event(event("begins", 2, "siren"))  # may be on its way when the connection ends
    for _ in range(600):
        if not sink._client.is_connected():
            break
        time.sleep(0.02)
    sink.event(event("ended"))
    sink.now(Now(9.0, -30.0))
    messages.clear()
    real_broker.start()
    wait_for(messages, "home/test/availability", "online")
    sink.close()
    wait_for(messages, "home/test/availability", "offline")
    last = dict(messages)
    assert last["home/test/dog/state"] == "OFF"
    assert last["home/test/siren/state"] == "ON"
    assert json.loads(last["home/test/dog/attributes"])["state"] == "ended"
    assert json.loads(last["home/test/siren/attributes"])["state"] == "begins"
    assert len({topic for topic, _ in messages if topic.endswith("/config")}) == 5
    events = [json.loads(payload) for topic, payload in messages if topic == "home/test/event"]
    assert [row["label"] for row in events][-2:] == ["siren", "dog"]
    told = capsys.readouterr().err.splitlines()
    assert ["trying on" in told[0], told[-1].endswith("here again")] == [True, True]


def test_a_broker_that_is_not_there_is_told_once(capsys):
    pytest.importorskip("paho.mqtt", reason="needs wsac[mqtt]")
    from wsac.listening.mqtt_broker import MqttBroker

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    sink = MqttBroker(f"mqtt://127.0.0.1:{port}", [])
    sink.event(event("begins"))
    err = ""
    for _ in range(100):
        time.sleep(0.02)
        err += capsys.readouterr().err
        if err:
            break
    sink.close()
    assert err == f"broker 127.0.0.1:{port}: no answer; trying on while listening goes on\n"


def test_a_connection_that_dies_while_it_is_closed(monkeypatch):
    """Other sinks are closed after it."""
    pytest.importorskip("paho.mqtt", reason="needs wsac[mqtt]")
    from wsac.listening.mqtt_broker import MqttBroker

    sink = MqttBroker("mqtt://127.0.0.1:1", [])
    monkeypatch.setattr(sink._client, "is_connected", lambda: True)
    sink.close()
    for _ in range(1000):
        sink.publish("x", "{}")
    sink.close()


@pytest.mark.parametrize("address", ["http://x", "mqtt://", "broker", "mqtt://x/a/#", "mqtt://x:y"])
def test_no_address_of_a_broker(address):
    if not find_spec("paho"):
        pytest.skip("needs wsac[mqtt]")
    from wsac.listening.mqtt_broker import MqttBroker

    with pytest.raises(RecipeError, match="broker"):
        MqttBroker(address, [])
