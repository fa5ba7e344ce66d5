"""``/v1/listen``: sound comes in over a WebSocket as it happens, events go out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from wsac.inference.captioner import Captioner
from wsac.io.json_text import to_json
from wsac.listening.listen_options import BUILT_IN, THRESHOLD, ListenOptions
from wsac.listening.listener import Listener, live_tagger
from wsac.listening.sound_event import Event, Now

from .answers import RefusalError
from .gate import Gate, id_of
from .schemas import Label
from .sound_engine import SoundEngine

LISTENERS = 8  # at a time; each takes a few percent of a core
LONGEST_BLOCK = 10.0  # seconds of one message
ENDED, LEFT, VIOLATION, FAULT, TRY_LATER = 1000, 1006, 1008, 1011, 1013  # why one is closed
NOT_ACCEPTED = 403


class ListenRequest(BaseModel):
    """The first message. rate: of the samples that follow. labels: none for the built-in list.
    threshold: of events; None is 0.5, and 0.3 for the built-in list. model: any other name is the
    first one. key: of the API, for browsers, which cannot send it in a header."""

    model_config = ConfigDict(extra="forbid")
    rate: int = Field(16_000, ge=8_000, le=192_000)
    labels: list[Label] = Field([], max_length=500)
    threshold: float | None = Field(None, gt=0, le=1)
    model: str = Field("", max_length=200)
    key: str = Field("", max_length=1000)


class EndRequest(BaseModel):
    type: Literal["end"]


class ListenSocket:
    """Serves WebSockets. After the first message the client sends samples as binary messages (16
    bits, little endian, one channel); a text message ``{"type": "end"}`` ends it."""

    def __init__(self, engines: Mapping[str, SoundEngine], gate: Gate) -> None:
        self._engines, self._gate, self._inside = engines, gate, 0

    async def serve(self, socket: Any) -> None:
        """Of Starlette. What goes wrong is told as ``{"error": …}`` before the socket is closed.
        Counted and logged at its end, with the code of closing as its status."""
        begin, name, metrics = time.monotonic(), id_of(socket), self._gate.metrics
        code, socket.state.bytes = LEFT, 0
        metrics.listeners.inc()
        try:
            code = await self._serve(socket, name)
        finally:
            seconds, size = time.monotonic() - begin, socket.state.bytes
            metrics.listeners.dec()
            metrics.listened.labels(str(code)).observe(seconds)
            metrics.received.inc(size)
            about = {"method": "WEBSOCKET", "path": "/v1/listen", "status": code}
            self._gate.log.write(id=name, **about, seconds=round(seconds, 4), bytes=size)

    async def _serve(self, socket: Any, name: str) -> int:
        """Why the socket was closed."""
        from starlette.websockets import WebSocketDisconnect

        try:
            self._gate.check_host(socket)
            _check_origin(socket)
        except RefusalError:
            await socket.close(VIOLATION)  # before it is accepted: HTTP's 403
            return NOT_ACCEPTED
        await socket.accept(headers=[(b"x-request-id", name.encode())])
        try:
            wanted = await self._wanted(socket)
            if self._inside >= LISTENERS or self._gate.stopping:
                why = "it stops" if self._gate.stopping else f"{self._inside} listen already"
                what = f"the server takes no more: {why}; try again later"
                return await _refuse(socket, TRY_LATER, what)
            self._inside += 1  # now, since without a key nobody takes a place
            try:
                await self._talk(socket, wanted)
            finally:
                self._inside -= 1
            return ENDED
        except WebSocketDisconnect as error:
            return error.code
        except TimeoutError:
            what = f"nothing came for {self._gate.options.timeout:g} s"
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(map(str, first["loc"]))
            what = f"{place}: {first['msg']}".removeprefix(": ")
        except Exception as error:
            refusal = self._gate.refusal_of(error, name)
            return await _refuse(
                socket, FAULT if refusal.status >= 500 else VIOLATION, str(refusal)
            )
        return await _refuse(socket, VIOLATION, what)

    async def _wanted(self, socket: Any) -> ListenRequest:
        """The first message, of a client that may come in."""
        first = await self._receive(socket)
        if not isinstance(first, str):
            raise RefusalError(400, 'the first message must be JSON, such as {"rate": 16000}')
        wanted = ListenRequest.model_validate_json(first)
        self._gate.check_key(socket, wanted.key)
        return wanted

    async def _talk(self, socket: Any, wanted: ListenRequest) -> None:
        engine = self._engines.get(wanted.model) or next(iter(self._engines.values()))
        alone = engine.model.alone
        listener = await alone(_listener, engine.captioner, wanted)
        labels = len(listener.tagger.labels)
        await socket.send_text(to_json({"type": "ready", "labels": labels}))
        blocks = _Blocks(wanted.rate, listener.sample_rate)
        while not isinstance(message := await self._receive(socket), str):
            block = blocks.add(message)
            await _send(socket, await alone(listener.feed, block))
        EndRequest.model_validate_json(message)
        await _send(socket, await alone(listener.finish))
        await socket.close()

    async def _receive(self, socket: Any) -> str | bytes:
        """The next message. Raises WebSocketDisconnect and TimeoutError."""
        from starlette.websockets import WebSocketDisconnect

        async with asyncio.timeout(self._gate.options.timeout):
            message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1005))
        text = message.get("text")
        content = message["bytes"] if text is None else text
        socket.state.bytes += len(content)
        return content


class _Blocks:
    """Messages of bytes to blocks of samples at another rate."""

    def __init__(self, rate: int, sample_rate: int) -> None:
        import soxr

        self._resampler = soxr.ResampleStream(rate, sample_rate, 1, dtype="float32")
        self._most, self._odd = round(2 * rate * LONGEST_BLOCK), b""

    def add(self, content: bytes) -> np.ndarray:
        if len(content) > self._most:
            what = f"above {LONGEST_BLOCK:g} s in one message; send shorter ones as they come"
            raise RefusalError(413, what)
        content = self._odd + content
        whole = len(content) // 2 * 2
        self._odd = content[whole:]
        block = np.frombuffer(content[:whole], "<i2").astype(np.float32) / 32_768
        return self._resampler.resample_chunk(block)


def _listener(captioner: Captioner, wanted: ListenRequest) -> Listener:
    """In the thread of the model. Raises RecipeError for labels that cannot be used."""
    usual = THRESHOLD if wanted.labels else BUILT_IN
    options = ListenOptions(threshold=wanted.threshold or usual)
    return Listener(captioner, live_tagger(captioner, wanted.labels), options)


def _check_origin(socket: Any) -> None:
    """Browsers let any page open a WebSocket; only the server's own pages may."""
    origin = socket.headers.get("origin")
    if origin and origin.partition("://")[2].lower() != socket.headers.get("host", "").lower():
        raise RefusalError(403, "a page of another server; open the page of this one")


async def _send(socket: Any, results: Sequence[Now | Event]) -> None:
    for result in results:
        kind = "event" if isinstance(result, Event) else "now"
        await socket.send_text(to_json({"type": kind, **result.fields()}))


async def _refuse(socket: Any, code: int, what: str) -> int:
    from starlette.websockets import WebSocketDisconnect

    with suppress(WebSocketDisconnect, RuntimeError):  # it has left meanwhile
        await socket.send_text(to_json({"type": "error", "error": what}))
        await socket.close(code, what[:100])
    return code
