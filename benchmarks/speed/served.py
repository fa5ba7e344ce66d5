"""A process of ``wsac serve``, and connections that ask it, for benchmarks of the server."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request

READY = re.compile(r"at http://127\.0\.0\.1:(\d+)/")
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
CLOSE = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)
BOUNDARY = "wsac-benchmark-boundary"


class Server:
    """``wsac serve`` on a free port of this machine, as a ``with`` block. options: of its command
    line. lines: of its stderr so far. Raises RuntimeError when it does not start."""

    def __init__(self, *options: str) -> None:
        self._command = [sys.executable, "-m", "wsac", "serve", "--port", "0", *options]
        self.lines: list[str] = []

    def __enter__(self) -> Server:
        self.process = subprocess.Popen(self._command, stderr=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line)
            if match := READY.search(line):
                self.port = int(match[1])
                self._reader = threading.Thread(target=self._read)
                self._reader.start()
                return self
        raise RuntimeError("".join(self.lines))

    def __exit__(self, *error: object) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join()
        if self.process.stderr is not None:
            self.process.stderr.close()

    def _read(self) -> None:
        assert self.process.stderr is not None
        self.lines.extend(self.process.stderr)

    def stop(self) -> None:
        """Send SIGTERM."""
        os.kill(self.process.pid, signal.SIGTERM)

    def wait(self) -> int:
        """Its exit code, once it has ended and ``lines`` is complete."""
        code = self.process.wait(300)
        self._reader.join()
        return code

    def figures(self) -> dict[str, float]:
        """What /metrics shows, by name with labels."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=60) as answer:
            lines = answer.read().decode().splitlines()
        pairs = (line.rsplit(" ", 1) for line in lines if line[:1] != "#")
        return {name: float(value) for name, value in pairs}


class Connection:
    """A connection that is kept between requests, by one client. sent: when the last request had
    left, by ``time.monotonic``; None while one is being sent."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._writer: asyncio.StreamWriter | None = None
        self.sent: float | None = None

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """(status, body). Raises OSError or IncompleteReadError where no answer comes."""
        self.sent = None
        try:
            if self._writer is None:
                self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
            self._writer.write(request)
            await self._writer.drain()
            self.sent = time.monotonic()
            head = await self._reader.readuntil(b"\r\n\r\n")
            length = LENGTH.search(head)
            body = await self._reader.readexactly(int(length[1]) if length else 0)
            if CLOSE.search(head):
                self.close()
            return int(head.split(maxsplit=2)[1]), body
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._writer = None


async def leave(port: int, request: bytes, share: float) -> None:
    """Send this share of a request and go without an answer."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request[: max(1, round(share * len(request)))])
    await writer.drain()
    writer.close()


def form(path: str, name: str, content: bytes, **fields: str) -> bytes:
    """A request with a sound and fields in a form."""
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'
        for key, value in fields.items()
    ]
    file = f'Content-Disposition: form-data; name="file"; filename="{name}"'
    parts.append(f"--{BOUNDARY}\r\n{file}\r\n\r\n")
    body = "".join(parts).encode() + content + f"\r\n--{BOUNDARY}--\r\n".encode()
    return _head(path, f"multipart/form-data; boundary={BOUNDARY}", len(body)) + body


def json_body(path: str, body: bytes) -> bytes:
    """A request with JSON."""
    return _head(path, "application/json", len(body)) + body


def _head(path: str, kind: str, length: int) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1"]
    lines += [f"Content-Type: {kind}", f"Content-Length: {length}", "", ""]
    return "\r\n".join(lines).encode()
