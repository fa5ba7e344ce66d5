"""The gate of the server: who may come in, how many at a time, and what is written down."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import math
import re
import time
import traceback
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from wsac.types import AudioError, ModelError, WsacError

from .answers import Answer, RefusalError, refusal_answer
from .observing import Metrics, RequestLog
from .serve_options import ServeOptions

REQUEST_ID = re.compile(r"[\w.-]{1,64}", re.ASCII)
DRAIN_SECONDS = 5.0
DRAINED = 1 << 20  # bytes of the body of a refused request that are read, so that it sees why
FOREIGN = ("cross-site", "same-site")
SAFE = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}

Handler = Callable[[Any], Awaitable[Answer]]


class Gate:
    """Wraps a handler of requests into one of Starlette's.

    ``guarded`` asks for a key and takes a place; ``open`` does neither. Both check the host, give
    each request an id, turn errors into answers, count and log. stopping: set at the end.
    """

    def __init__(self, options: ServeOptions, metrics: Metrics, log: RequestLog) -> None:
        self.options, self.metrics, self.log = options, metrics, log
        self._keys = [_digest(key) for key in options.keys]
        self._inside, self._seconds = 0, 1.0  # a moving mean of a request's time
        self.stopping = False

    def guarded(self, path: str, handle: Handler, *, queued: bool = True) -> Any:
        async def enter(request: Any) -> Answer:
            self.check_key(request)
            if not queued:
                return await handle(request)
            if self._inside >= self.options.queue:
                seconds = str(max(1, math.ceil(self._seconds)))
                what = f"{self._inside} requests are being worked on; try again in {seconds} s"
                raise RefusalError(429, what, Retry_After=seconds)
            begin, self._inside = time.monotonic(), self._inside + 1
            self.metrics.inside.set(self._inside)
            try:
                return await handle(request)
            finally:
                self._inside -= 1
                self.metrics.inside.set(self._inside)
                self._seconds += 0.1 * (time.monotonic() - begin - self._seconds)

        return self.open(path, enter)

    def open(self, path: str, handle: Handler) -> Any:
        async def respond(request: Any) -> Any:
            from starlette.requests import ClientDisconnect
            from starlette.responses import Response

            begin, name = time.monotonic(), id_of(request)
            try:
                self.check_host(request)
                _check_origin(request)
                answer = await handle(request)
            except ClientDisconnect:
                answer = refusal_answer(RefusalError(499, "the client has left"))
            except Exception as error:
                answer = refusal_answer(self.refusal_of(error, name))
                await _drain(request)
            seconds = time.monotonic() - begin
            self.metrics.requests.labels(path, str(answer.status)).inc()
            self.metrics.seconds.labels(path).observe(seconds)
            declared = request.headers.get("content-length", "")
            size = int(declared) if declared.isdecimal() else 0
            self.metrics.received.inc(size)
            about = {"method": request.method, "path": path, "status": answer.status}
            self.log.write(id=name, **about, seconds=round(seconds, 4), bytes=size)
            headers = SAFE | answer.headers | {"X-Request-ID": name}
            headers |= {"Connection": "close"} if self.stopping else {}
            return Response(answer.content, answer.status, headers, answer.media_type)

        return respond

    def check_key(self, request: Any, other: str = "") -> None:
        """other: where the key may be too. Raises RefusalError without a valid one."""
        if not self._keys:
            return
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        digest = _digest(key.strip() if scheme.lower() == "bearer" else other)
        if not sum(hmac.compare_digest(digest, own) for own in self._keys):  # all are compared
            what = "no valid API key; send the header Authorization: Bearer KEY"
            raise RefusalError(401, what, WWW_Authenticate="Bearer")

    def check_host(self, request: Any) -> None:
        """Against pages of the web whose name is made to point here (DNS rebinding)."""
        host = request.headers.get("host", "").strip().lower()
        if self.options.hosts and re.sub(r":\d+$", "", host) not in self.options.hosts:
            what = "addressed by another name; start wsac serve with --allow-host NAME"
            raise RefusalError(403, what)

    def refusal_of(self, error: Exception, name: str) -> RefusalError:
        """What the client is told. name: of the request, for the log of a fault of the server."""
        match error:
            case RefusalError():
                return error
            case AudioError():
                return RefusalError(422, str(error))
            case WsacError() if not isinstance(error, ModelError):
                return RefusalError(400, str(error))
        lines = traceback.format_exception(error)
        self.log.write(id=name, error=type(error).__name__, traceback="".join(lines))
        what = f"a fault of the server; its log tells more about request {name}"
        return RefusalError(500, what)


def id_of(request: Any) -> str:
    """The client's own name of a request, else a new one."""
    wanted = request.headers.get("x-request-id", "")
    return wanted if REQUEST_ID.fullmatch(wanted) else uuid.uuid4().hex


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


def _check_origin(request: Any) -> None:
    """Against pages of other sites that post forms here; they could not read the answer."""
    if request.method != "GET" and request.headers.get("sec-fetch-site") in FOREIGN:
        raise RefusalError(403, "sent by a page of another site; open this server's own page")


async def _drain(request: Any) -> None:
    """Read the rest of a small body: many clients look for an answer only after sending all."""
    from starlette.requests import ClientDisconnect

    total = 0
    # it has left, it was read already, or it does not come
    with suppress(ClientDisconnect, RuntimeError, TimeoutError):
        async with asyncio.timeout(DRAIN_SECONDS):
            async for piece in request.stream():
                total += len(piece)
                if total > DRAINED:
                    break
