"""Rules: what is done when a label is certain enough."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from wsac.io.json_text import to_json
from wsac.types import RecipeError, WsacError

from .sinks import Deliveries, Sink
from .sound_event import Event
from .webhook import checked_address, post, server_of

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
                program = shlex.split(target)[0]
            except ValueError as error:
                raise RecipeError(f"rule '{text}': {error}; check its quotation marks") from error
            if shutil.which(program) is None:
                what = f"no program '{program}' that can be run"
                raise RecipeError(f"rule '{text}': {what}; check its name, or give its path")
        return cls(match["label"].strip(), least, action, target)

    @property
    def name(self) -> str:
        """For messages: the label, and the server, topic or program."""
        where = server_of(self.target) if self.action == "webhook" else self.target
        where = shlex.split(where)[0] if self.action == "run" else where
        return f"rule '{self.label}' ({self.action} {where})"


class RuleSink(Sink):
    """Obeys rules, each once for an event. publish: to a topic of MQTT."""

    def __init__(
        self, rules: Sequence[Rule], publish: Callable[[str, str], object] | None = None
    ) -> None:
        self.rules, self._publish = tuple(rules), publish
        if publish is None and any(rule.action == "mqtt" for rule in rules):
            raise RecipeError("a rule with mqtt needs a broker; give --mqtt mqtt://HOST")
        self._obeyed: set[tuple[int, int]] = set()  # event, rule
        self._deliveries = [Deliveries(rule.name) for rule in rules]

    def event(self, event: Event) -> None:
        for place, rule in enumerate(self.rules):
            is_meant = rule.label.casefold() == event.label.casefold()
            key = (event.number, place)
            if is_meant and event.confidence >= rule.least and key not in self._obeyed:
                self._obeyed.add(key)
                self._deliveries[place].add(partial(self._obey, rule, event))
        if event.state == "ended":
            self._obeyed = {key for key in self._obeyed if key[0] != event.number}

    def close(self) -> None:
        for deliveries in self._deliveries:
            deliveries.close()

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
        raise WsacError(f"stopped after {RUN_SECONDS:g} s; give a program that ends") from error
    except OSError as error:
        raise WsacError(f"cannot be run ({error.strerror}); check the program") from error
    if done.returncode:
        raise WsacError(f"ended with {done.returncode} {done.stderr.strip()[:200]}")
