"""``wsac listen``: what a microphone or a stream hears, and what is done about it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from wsac.io.console import clock, count_of, is_utf8, printable, say, write_out
from wsac.types import WsacError

from . import common_options as common

if TYPE_CHECKING:
    import numpy as np

    from wsac.listening.listener import Listener
    from wsac.listening.sinks import Sink
    from wsac.listening.sound_event import Event, Now


def listen(
    source: Annotated[
        str | None, Option("--input", "-i", help="Address, file or -. Default: the microphone.")
    ] = None,
    microphone: Annotated[str | None, Option(help="A part of its name, or its number.")] = None,
    pcm: Annotated[
        int | None, Option(min=1000, help="With --input -: raw 16-bit mono at this rate.")
    ] = None,
    speed: Annotated[
        float, Option(min=0, help="Of a file: 1 as it would play, 0 as fast as it can.")
    ] = 0.0,
    seconds: Annotated[float | None, Option(min=0.1, help="Stop after so much sound.")] = None,
    labels: Annotated[str | None, Option(help="Words, separated by commas. Default: 140.")] = None,
    labels_file: common.LabelsFile = None,
    threshold: Annotated[
        float | None, Option(help="Probability of an event: 0.5; of built-in labels 0.3.")
    ] = None,
    confirm: Annotated[int, Option(help="Windows in a row that must agree.")] = 2,
    window: Annotated[float, Option(help="Seconds that are listened to at a time.")] = 2.0,
    hop: Annotated[float, Option(help="Seconds from one window to the next.")] = 0.5,
    gate: Annotated[float, Option(help="Pass over what is fainter, in dBFS.")] = -60.0,
    now: Annotated[bool, Option("--now", help="Also write what sounds now.")] = False,
    as_jsonl: common.JsonLines = False,
    out: Annotated[
        Path | None, Option("--out", "-o", callback=common.new_file, help="Append JSONL here.")
    ] = None,
    clips: Annotated[
        Path | None, Option(callback=common.new_folder, help="Keep the sound of events here.")
    ] = None,
    keep: Annotated[int, Option(min=1, help="Clips to keep; older ones are deleted.")] = 500,
    webhook: Annotated[common.Words, Option(help="POST events here. Repeatable.")] = None,
    mqtt: Annotated[
        str | None, Option(help="Broker, as in mqtt://user@host/topic, for Home Assistant.")
    ] = None,
    rule: Annotated[
        common.Words, Option(help='Such as "siren >= 0.8: webhook http://server/". Repeatable.')
    ] = None,
    quiet: Annotated[
        common.Words, Option(help="Send nothing at these hours: 22:00-07:00. Repeatable.")
    ] = None,
    model: common.Model = "pocket",
    clap: common.MovedClap = None,
    device: common.Device = "auto",
) -> None:
    """Tell what a microphone or stream hears, as it happens.

    wsac listen --labels "dog barking, glass breaking, siren"
    """
    from wsac.inference.captioner_folder import check_captioner
    from wsac.listening.listen_options import BUILT_IN, THRESHOLD, ListenOptions
    from wsac.listening.quiet_hours import QuietHours, Quietly
    from wsac.listening.rules import Rule
    from wsac.listening.webhook import checked_address

    check_captioner(model)
    words = common.chosen_labels(labels, labels_file)
    if threshold is None:
        threshold = THRESHOLD if words else BUILT_IN
    options = ListenOptions(
        window_seconds=window,
        hop_seconds=hop,
        gate=gate,
        threshold=threshold,
        confirm=confirm,
        clips=clips is not None,
    )
    rules = [Rule.parse(text) for text in rule or ()]
    for entry in rules:
        if entry.least < threshold:
            what = f"below the threshold of events, {threshold:g}; give a lower --threshold"
            raise WsacError(f"rule of '{entry.label}': {entry.least:g} is {what}")
    hours = [QuietHours.parse(text) for text in quiet or ()]
    for address in webhook or ():
        checked_address(address)
    if hours and not (webhook or mqtt or rule):
        what = "--quiet holds back webhooks, MQTT and rules"
        raise WsacError(f"{what}; give --webhook, --mqtt or --rule too")
    live, open_source = _source(source, microphone, pcm, speed)

    told = _told(webhook or (), mqtt, words, rules)
    sinks: list[Sink] = [_Printer(as_jsonl, now)]
    if out is not None:
        sinks.append(_Log(out))

    from wsac.inference.captioner import Captioner
    from wsac.listening.event_clips import ClipKeeper
    from wsac.listening.listener import Listener, live_tagger
    from wsac.listening.listening_session import ListeningSession
    from wsac.listening.live_sources import without_password

    captioner = Captioner.load(model, clap=clap, device=device)
    tagger = live_tagger(captioner, words, [entry.label for entry in rules])
    listener = Listener(captioner, tagger, options)
    keeper = ClipKeeper(clips, listener.sample_rate, keep) if clips else None
    quietly = [Quietly(sink, hours) for sink in told] if hours else []
    sinks += quietly or told
    session = ListeningSession(listener, sinks, live=live, clips=keeper)
    where, failed = without_password(source or "the microphone") if live else "", True
    try:
        session.run(_announced(open_source(listener), where), seconds)
        failed = False
    except KeyboardInterrupt:
        failed = False
    finally:
        session.finish()
        if session.listener.seconds or not failed:
            say(session.summary())
        if held_back := max((entry.held_back for entry in quietly), default=0):
            say(f"quiet hours: {count_of(held_back, 'event')} not passed on")


def _announced(blocks: Iterator[Any], where: str) -> Iterator[Any]:
    """The blocks of a source; once it is open, what is listened to. A pipe may have to wait."""
    line = f"listening to {where}; Ctrl-C ends it" if where else ""
    if where == "-":
        say(line)
        line = ""
    for block in blocks:
        if line and block is not None:
            say(line)
            line = ""
        yield block


def _source(source: str | None, microphone: str | None, pcm: int | None, speed: float) -> Any:
    """Whether it is live, and a function that opens it for a listener."""
    from wsac.listening import live_sources as sources
    from wsac.listening.reconnecting import reconnecting

    if source is not None and microphone is not None:
        raise WsacError("--input and --microphone exclude each other; choose one")
    if pcm is not None and source != "-":
        raise WsacError("--pcm is for raw samples from a pipe; give --input - too")
    if speed and (source is None or source == "-" or sources.is_address(source)):
        raise WsacError("--speed is for a file; name one with --input, or leave --speed out")
    if source == "-":

        def piped(listener: Listener) -> Iterator[np.ndarray]:
            file, rate = sys.stdin.buffer, listener.sample_rate
            return sources.raw_samples(file, pcm, rate) if pcm else sources.piped(file, rate)

        return True, piped
    if source is None:
        sources.sound_device()
    if source is None or sources.is_address(source):

        def again(listener: Listener) -> Iterator[np.ndarray | None]:
            rate = listener.sample_rate
            if source is None:
                return reconnecting(partial(sources.microphone, microphone, rate), "microphone")
            stream = partial(sources.network_stream, source, rate)
            return reconnecting(stream, sources.without_password(source))

        return True, again
    path = Path(common.existing(source))
    common.check_openable(path)
    return False, lambda listener: sources.sound_file(path, listener.sample_rate, speed)


def _told(webhooks: Any, mqtt: str | None, words: list[str], rules: list[Any]) -> list[Sink]:
    """The sinks that tell others, whom quiet hours spare."""
    from wsac.listening.rules import RuleSink
    from wsac.listening.webhook import Webhook

    publish, sinks = None, list[Any]()
    if mqtt is not None:
        from wsac.listening.mqtt_broker import MqttBroker

        broker = MqttBroker(mqtt, words)
        publish = broker.publish
    if rules:
        sinks.append(RuleSink(rules, publish))
    sinks += [Webhook(address) for address in webhooks]
    return [*sinks, broker] if mqtt is not None else sinks  # the broker is closed last


class _Printer:
    """Events on stdout, a line each when it has ended; on a terminal, also what sounds now, in a
    line that is overwritten."""

    def __init__(self, jsonl: bool, show_now: bool) -> None:
        self._jsonl, self._show_now = jsonl, show_now
        self._terminal = sys.stderr.isatty() and not show_now
        self._next = 0.0

    def now(self, now: Now) -> None:
        if now.at < self._next:
            return
        self._next = now.at + 1.0
        words = ", ".join(f"{tag.label} {tag.probability:.0%}" for tag in now.tags) or "quiet"
        if self._show_now:
            line = f"{clock(now.at, 1)}  {now.loudness:4.0f} dBFS  {words}"
            write_out(f"{_json({'now': now.fields()}) if self._jsonl else printable(line)}\n")
        elif self._terminal:
            width = shutil.get_terminal_size().columns - 1
            line = printable(f"{now.loudness:4.0f} dBFS  {words}")[:width]
            print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)

    def event(self, event: Event) -> None:
        if event.state != "ended":
            return
        self._clear()
        if self._jsonl:
            write_out(f"{_json(event.fields())}\n")
            return
        when = event.time[:19].replace("T", " ") or clock(event.start, 1)
        seconds = (event.end or event.start) - event.start
        levels = f"{event.confidence:4.0%}  {seconds:5.1f} s  {event.loudness:4.0f} dBFS"
        line = f"{when}  {event.label:24}  {levels}  {event.caption}"
        write_out(f"{printable(line.rstrip())}\n")

    def close(self) -> None:
        self._clear()

    def _clear(self) -> None:
        if self._terminal:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


class _Log:
    """Appends events that have ended to a file, a JSON object a line. Raises WsacError when it
    cannot be opened."""

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a", encoding="utf-8")
        except OSError as error:
            what = f"cannot write ({error.strerror}); check the path and the free space"
            raise WsacError(f"{path}: {what}") from error

    def now(self, now: Now) -> None: ...

    def event(self, event: Event) -> None:
        if event.state == "ended":
            from wsac.io.json_text import to_json

            self._file.write(f"{to_json(event.fields())}\n")
            self._file.flush()

    def close(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()


def _json(value: Any) -> str:
    from wsac.io.json_text import to_json

    return to_json(value, ensure_ascii=not is_utf8())
