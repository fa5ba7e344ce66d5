"""What Home Assistant is told over MQTT, so that it shows a device without configuration.

Source: https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery, sensor.mqtt and
binary_sensor.mqtt: one retained message per entity on ``<prefix>/<component>/<object_id>/config``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from wsac import __version__
from wsac.io.json_text import to_json

PREFIX = "homeassistant"
ONLINE, OFFLINE = "online", "offline"
ANY = "any sound"  # the binary sensor without labels of one's own


def slug(text: str) -> str:
    """Letters, digits and underscores, as in ids of Home Assistant."""
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_") or "sound"


def slugs(labels: Iterable[str]) -> dict[str, str]:
    """A different slug for each label."""
    taken: dict[str, str] = {}
    for label in labels:
        name, count = slug(label), 2
        while name in taken.values():
            name, count = f"{slug(label)}_{count}", count + 1
        taken[label] = name
    return taken


class Topics:
    """Where things are published. base: such as ``wsac/kitchen``."""

    def __init__(self, base: str, labels: Sequence[str]) -> None:
        self.base, self.labels = base.strip("/"), slugs(labels or (ANY,))
        self.availability = f"{self.base}/availability"
        self.now, self.event = f"{self.base}/now", f"{self.base}/event"

    def state(self, label: str) -> str:
        """Of the binary sensor of a label: ON or OFF."""
        return f"{self.base}/{self.labels[label]}/state"

    def attributes(self, label: str) -> str:
        return f"{self.base}/{self.labels[label]}/attributes"


def discovery(topics: Topics, name: str) -> list[tuple[str, str]]:
    """Topics with payloads, to be retained: sensors for what sounds now, its loudness and the
    last event, and a binary sensor for each label."""
    node = slug(topics.base)
    entities: list[tuple[str, str, dict[str, Any]]] = [
        (
            "sensor",
            "hearing_now",
            {
                "name": "Hearing now",
                "state_topic": topics.now,
                "value_template": "{{ value_json.tags[0].label if value_json.tags else 'quiet' }}",
                "json_attributes_topic": topics.now,
                "icon": "mdi:ear-hearing",
            },
        ),
        (
            "sensor",
            "loudness",
            {
                "name": "Loudness",
                "state_topic": topics.now,
                "value_template": "{{ value_json.loudness }}",
                "unit_of_measurement": "dBFS",
                "state_class": "measurement",
                "icon": "mdi:volume-high",
            },
        ),
        (
            "sensor",
            "last_event",
            {
                "name": "Last event",
                "state_topic": topics.event,
                "value_template": "{{ value_json.label }}",
                "json_attributes_topic": topics.event,
                "icon": "mdi:waveform",
            },
        ),
    ]
    for label, place in topics.labels.items():
        sensor = {
            "name": label.capitalize(),
            "state_topic": topics.state(label),
            "json_attributes_topic": topics.attributes(label),
            "payload_on": "ON",
            "payload_off": "OFF",
            "device_class": "sound",
        }
        entities.append(("binary_sensor", place, sensor))
    device = {
        "identifiers": [node],
        "name": name,
        "manufacturer": "wsac",
        "model": "wsac listen",
        "sw_version": __version__,
    }
    common = {
        "availability_topic": topics.availability,
        "payload_available": ONLINE,
        "payload_not_available": OFFLINE,
        "device": device,
        "origin": {"name": "wsac", "sw_version": __version__},
    }
    messages = []
    for component, place, entity in entities:
        unique = f"{node}_{place}"
        payload = to_json({**entity, **common, "unique_id": unique})
        messages.append((f"{PREFIX}/{component}/{unique}/config", payload))
    return messages
