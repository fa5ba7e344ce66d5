"""Rules: what is done when a label is certain enough."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from wsac.io.json_text import to_json
from wsac.types import RecipeError, WsacError

from .sinks import Deliveries, Sink
from .sound_event import Event
from .webhook import checked_address, post

FORM = '"glass breaking >= 0.8: webhook http://server/path"'
RULE = re.compile(r"(?P<label>.+?)\s*(?:>=|≥)\s*(?P<least>[\d.]+)\s*:\s*(?P<action>.+)", re.S)
ACTIONS = ("webhook", "mqtt", "run")
RUN_SECONDS = 60.0  # for a program


@dataclass(frozen=True, slots=True)
class Rule:
    """When the confidence of an event of ``label`` reaches ``least``, do an action of ACTIONS with
    its target: an address, a topic or a command."""

    label: str
    least: float
    action: str
    target: str

    @classmethod
    def parse(cls, text: str) -> Rule:
        """Of text in the FORM. Raises RecipeError."""
        match = RULE.fullmatch(text.strip())
        if match is None:
            raise RecipeError(f"rule '{text}': write it as {FORM}")
        action, _, target = match["action"].strip().partition(" ")
        target = target.strip()
        try:
            least = float(match["least"])
        except ValueError:
            least = -1.0
        if not 0 < least <= 1:
            raise RecipeError(f"rule '{text}': give a probability above 0, up to 1")
        if action not in ACTIONS or not target:
            raise RecipeError(
                f"rule '{text}': after the colon comes webhook, mqtt or run, and where"
            )
        if action == "webhook":
            checked_address(target)
        if action == "run":
            try:
                shlex.split(target)
            except ValueError as error:
                raise RecipeError(f"rule '{text}': {error}") from error
        return cls(match["label"].strip(), least, action, target)


class RuleSink(Sink):
    """Obeys rules, each once for an event. publish: to a topic of MQTT."""

    def __init__(
        self, rules: Sequence[Rule], publish: Callable[[str, str], object] | None = None
    ) -> None:
        self.rules, self._publish = tuple(rules), publish
        if publish is None and any(rule.action == "mqtt" for rule in rules):
            raise RecipeError("a rule with mqtt needs a broker; give --mqtt mqtt://HOST")
        self._obeyed: set[tuple[int, int]] = set()  # event, rule
        self._deliveries = Deliveries("rules")

    def event(self, event: Event) -> None:
        for place, rule in enumerate(self.rules):
            is_meant = rule.label.casefold() == event.label.casefold()
            key = (event.number, place)
            if is_meant and event.confidence >= rule.least and key not in self._obeyed:
                self._obeyed.add(key)
                self._deliveries.add(partial(self._obey, rule, event))
        if event.state == "ended":
            self._obeyed = {key for key in self._obeyed if key[0] != event.number}

    def close(self) -> None:
        self._deliveries.close()

    def _obey(self, rule: Rule, event: Event) -> None:
        if rule.action == "webhook":
            post(rule.target, event)
        elif rule.action == "mqtt" and self._publish is not None:
            self._publish(rule.target, to_json(event.fields()))
        else:
            _run(rule.target, to_json(event.fields()))


def _run(command: str, event: str) -> None:
    """Run a program, without a shell, with the event on its stdin."""
    try:
        done = subprocess.run(
            shlex.split(command), input=event, text=True, timeout=RUN_SECONDS, capture_output=True
        )
    except subprocess.TimeoutExpired as error:
        raise WsacError(f"{command}: stopped after {RUN_SECONDS:g} s") from error
    if done.returncode:
        raise WsacError(f"{command}: ended with {done.returncode} {done.stderr.strip()[:200]}")
