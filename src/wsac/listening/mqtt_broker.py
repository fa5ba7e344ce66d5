"""Events to an MQTT broker, announced to Home Assistant."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import unquote, urlsplit

from wsac.io.console import say
from wsac.io.json_text import to_json
from wsac.types import RecipeError, WsacError

from .home_assistant import ANY, OFFLINE, ONLINE, PREFIX, Topics, discovery
from .sinks import Sink
from .sound_event import Event, Now

FORM = "mqtt://user@host:1883/topic"
PASSWORD_VARIABLE = "WSAC_MQTT_PASSWORD"
NOW_SECONDS = 5.0  # between two reports of what sounds now, unless it changes
LAST_SECONDS = 3.0  # for what still waits at the end


class MqttBroker(Sink):
    """Publishes to the broker at an address in the FORM, or with mqtts for TLS.

    The path is the base of its topics, "wsac/" and the name of this machine by default; the
    password comes from $WSAC_MQTT_PASSWORD or the address. A broker that cannot be reached is
    tried again and again while listening goes on. Raises RecipeError for another address, and
    WsacError without paho-mqtt.
    """

    def __init__(
        self, address: str, labels: Sequence[str], *, now: Callable[[], float] = time.monotonic
    ) -> None:
        try:
            from paho.mqtt import client, enums
        except ImportError as error:
            raise WsacError("MQTT needs paho-mqtt: pip install 'wsac[mqtt]'") from error
        try:
            parts = urlsplit(address)
            port = parts.port or {"mqtt": 1883, "mqtts": 8883}[parts.scheme]
        except (ValueError, KeyError):
            parts, port = urlsplit(""), 0
        if not parts.hostname:
            raise RecipeError(f"broker '{address}': give it as {FORM}")
        host = socket.gethostname().split(".")[0]
        base = parts.path.strip("/") or f"wsac/{host}"
        if {"+", "#"} & {*base, *address}:
            raise RecipeError(f"broker '{address}': a topic holds no + and no #")
        self.topics, self.name = Topics(base, labels), f"wsac {base.rpartition('/')[2]}"
        self.place, self._clock = f"{parts.hostname}:{port}", now
        self._on: dict[str, set[int]] = {label: set() for label in self.topics.labels}
        self._attributes = dict.fromkeys(self.topics.labels, "")  # the last ones
        self._last: tuple[float, str] = (float("-inf"), "")
        self._reached = True  # until the contrary was told
        self._client = client.Client(enums.CallbackAPIVersion.VERSION2)
        password = os.environ.get(PASSWORD_VARIABLE) or unquote(parts.password or "")
        if parts.username:
            self._client.username_pw_set(unquote(parts.username), password or None)
        if parts.scheme == "mqtts":
            self._client.tls_set()
        self._client.will_set(self.topics.availability, OFFLINE, qos=1, retain=True)
        self._client.reconnect_delay_set(1, 60)
        self._client.max_queued_messages_set(1000)
        self._client.on_connect = self._connected
        self._client.on_disconnect = self._disconnected
        self._client.on_connect_fail = lambda *_: self._unreachable("no answer")
        self._client.on_message = lambda *_: self._announce()
        # not once it is connected: what waited is sent first, so that no older state is the last
        self._client.on_subscribe = lambda *_: self._announce()
        self._client.connect_async(parts.hostname, port)
        self._client.loop_start()

    def publish(self, topic: str, payload: str, *, retain: bool = False) -> Any:
        return self._client.publish(topic, payload, qos=1, retain=retain)

    def now(self, now: Now) -> None:
        label = now.tags[0].label if now.tags else ""
        moment = self._clock()
        if label != self._last[1] or moment - self._last[0] >= NOW_SECONDS:
            self._last = (moment, label)
            self._client.publish(self.topics.now, to_json(now.fields()))

    def event(self, event: Event) -> None:
        if event.state == "lasts":
            return
        content = to_json(event.fields())
        self.publish(self.topics.event, content)
        for label in (event.label, ANY):
            if label not in self._on:
                continue
            numbers, before = self._on[label], bool(self._on[label])
            (numbers.add if event.state == "begins" else numbers.discard)(event.number)
            self._attributes[label] = content
            if not self._client.is_connected():
                continue  # told by _announce
            self.publish(self.topics.attributes(label), content, retain=True)
            if bool(numbers) != before:
                self.publish(self.topics.state(label), _on_or_off(numbers), retain=True)

    def close(self) -> None:
        """Say goodbye, so that Home Assistant shows the device as unavailable."""
        if self._client.is_connected():
            goodbye = self.publish(self.topics.availability, OFFLINE, retain=True)
            with suppress(ValueError, RuntimeError):  # too much waits, or it has just gone
                goodbye.wait_for_publish(LAST_SECONDS)
        self._client.disconnect()
        self._client.loop_stop()

    def _announce(self) -> None:
        for topic, payload in discovery(self.topics, self.name):
            self.publish(topic, payload, retain=True)
        for label, numbers in self._on.items():
            self.publish(self.topics.state(label), _on_or_off(numbers), retain=True)
            if content := self._attributes[label]:
                self.publish(self.topics.attributes(label), content, retain=True)
        self.publish(self.topics.availability, ONLINE, retain=True)

    def _connected(self, client: Any, data: Any, flags: Any, reason: Any, properties: Any) -> None:
        if reason.is_failure:
            self._unreachable(str(reason).lower())
            return
        if not self._reached:
            say(f"broker {self.place}: here again")
        self._reached = True
        client.subscribe(f"{PREFIX}/status")  # Home Assistant has started: it wants to know again

    def _disconnected(self, client: Any, data: Any, flags: Any, reason: Any, props: Any) -> None:
        if reason.is_failure:
            self._unreachable(str(reason).lower())

    def _unreachable(self, reason: str) -> None:
        if self._reached:
            say(f"broker {self.place}: {reason}; trying on while listening goes on")
        self._reached = False


def _on_or_off(numbers: set[int]) -> str:
    return "ON" if numbers else "OFF"
