"""Bodies of requests: forms whose file goes to the disk while it arrives, and JSON."""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from wsac.io.console import printable
from wsac.io.locks import temporary_beside

from .answers import RefusalError

FIELD_BYTES = 64 << 10  # of all fields of a form but the file, with the headers of its parts
FIELDS = 64
JSON_BYTES = 32 << 20  # of a body with JSON, which is held in memory
JSON_AT_ONCE = 128 << 20  # bytes of all such bodies
CURL = "send multipart/form-data with the sound as file, as in curl -F file=@dog.wav"
SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,5}$")
NAME = 100  # characters of a file's name


def safe_name(name: str) -> str:
    """The last part of a client's file name, for messages; "sound" where there is none."""
    return printable(re.split(r"[/\\]", name)[-1].strip())[-NAME:].replace("\n", " ") or "sound"


class Upload:
    """A sound on the disk. name: as the client calls it. Removed by ``remove``."""

    def __init__(self, name: str) -> None:
        self.name = safe_name(name)
        suffix = SUFFIX.search(self.name)
        target = Path(tempfile.gettempdir(), f"wsac{suffix.group() if suffix else ''}")
        self.path, self._lock = temporary_beside(target)
        self.path.chmod(0o600)
        self._file: BinaryIO = self.path.open("wb")

    def write(self, data: bytes) -> None:
        self._file.write(data)

    def end(self) -> None:
        self._file.close()

    def remove(self) -> None:
        self._file.close()
        with suppress(OSError):
            self.path.unlink()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


@contextmanager
def disk_told() -> Iterator[None]:
    """Turn the error of a full disk into a RefusalError."""
    try:
        yield
    except OSError as error:
        what = f"the upload cannot be stored ({error.strerror}); try again later"
        raise RefusalError(503, what, Retry_After="30") from error


@dataclass
class Form:
    """The fields of a form; of a repeated one, such as ``skip[]``, a list. upload: its file."""

    fields: dict[str, Any] = field(default_factory=dict)
    upload: Upload | None = None

    def add(self, name: str, value: str) -> None:
        """Keep the value of a field; one that is empty counts as left out."""
        if value and name.endswith("[]"):
            self.fields.setdefault(name, []).append(value)
        elif value:
            self.fields[name] = value


class _Parts:
    """Receives the parts of a form from the parser."""

    def __init__(self) -> None:
        self.form = Form()
        self.overhead = 0  # bytes that are held in memory
        self._headers: dict[bytes, bytes] = {}
        self._name = self._header = self._value = b""
        self._count, self._is_file = 0, False

    def callbacks(self) -> dict[str, Any]:
        names = "part_begin part_data part_end header_field header_value header_end"
        return {f"on_{name}": getattr(self, name) for name in f"{names} headers_finished".split()}

    def part_begin(self) -> None:
        self._headers, self._name, self._value, self._is_file = {}, b"", b"", False
        self._count += 1
        if self._count > FIELDS:
            raise RefusalError(400, f"more than {FIELDS} fields; send only those that are known")

    def header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += self._counted(data[start:end])

    def header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += self._counted(data[start:end])

    def header_end(self) -> None:
        self._headers[self._header.lower()] = self._value
        self._header = self._value = b""

    def headers_finished(self) -> None:
        from python_multipart.multipart import parse_options_header

        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        self._name = options.get(b"name", b"")
        if b"filename" not in options:
            return
        if self._name != b"file":
            raise RefusalError(
                400, f"a file in the field {_text(self._name)!r}; name the field file"
            )
        if self.form.upload is not None:
            raise RefusalError(400, "several files; send one sound a request")
        self._is_file = True
        self.form.upload = Upload(_text(options[b"filename"]))

    def part_data(self, data: bytes, start: int, end: int) -> None:
        if self._is_file and self.form.upload is not None:
            self.form.upload.write(data[start:end])
        else:
            self._value += self._counted(data[start:end])

    def part_end(self) -> None:
        if self._is_file and self.form.upload is not None:
            self.form.upload.end()
        else:
            self.form.add(_text(self._name), _text(self._value))
        self._value = b""

    def _counted(self, data: bytes) -> bytes:
        self.overhead += len(data)
        if self.overhead > FIELD_BYTES:
            raise RefusalError(413, f"fields of more than {FIELD_BYTES:,} bytes; send shorter ones")
        return data


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


@asynccontextmanager
async def form_of(request: Any, limit: int, seconds: float) -> AsyncIterator[Form]:
    """The form of a request, whose file is removed at the end. limit: bytes. seconds: to arrive in.

    Raises RefusalError: 400 for what is no form, 408 for a slow one, 413 for a large one, 415 for
    another kind of body.
    """
    from python_multipart.exceptions import FormParserError
    from python_multipart.multipart import MultipartParser, parse_options_header

    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind != b"multipart/form-data" or not options.get(b"boundary"):
        raise RefusalError(415, f"{_text(kind) or 'no content type'}: {CURL}")
    parts = _Parts()
    try:
        try:
            parser = MultipartParser(options[b"boundary"], parts.callbacks())  # type: ignore[arg-type]
            async for piece in pieces_of(request, limit + FIELD_BYTES, limit, seconds):
                with disk_told():
                    parser.write(piece)
            with disk_told():
                parser.finalize()
        except FormParserError as error:
            raise RefusalError(400, f"a form that cannot be read ({error}); {CURL}") from error
        yield parts.form
    finally:
        if parts.form.upload is not None:
            parts.form.upload.remove()


class JsonBodies:
    """Reads bodies with JSON, and counts how many bytes are worked on. most: of all together."""

    def __init__(self, most: int = JSON_AT_ONCE) -> None:
        self._most, self._bytes = most, 0

    @asynccontextmanager
    async def body_of(self, request: Any, limit: int, seconds: float) -> AsyncIterator[bytearray]:
        """The body of a request. Its bytes count until the end. Raises RefusalError."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise RefusalError(415, f"{kind or 'no content type'}: send application/json")
        limit, body, size = min(limit, JSON_BYTES), bytearray(), 0
        try:
            async for piece in pieces_of(request, limit, limit, seconds):
                size, self._bytes = size + len(piece), self._bytes + len(piece)
                if self._bytes > self._most:
                    what = f"more than {self._most:,} bytes of JSON at a time; try again later"
                    raise RefusalError(429, what, Retry_After="1")
                body += piece
            yield body
        finally:
            self._bytes -= size


async def pieces_of(request: Any, most: int, limit: int, seconds: float) -> AsyncIterator[bytes]:
    """The body as it comes. most: bytes that are read. limit: the bytes that the refusal names."""
    what = f"more than {limit:,} bytes; send a shorter or a compressed sound"
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > most:
        raise RefusalError(413, what)
    total = 0
    try:
        async with asyncio.timeout(seconds):
            async for piece in request.stream():
                total += len(piece)
                if total > most:
                    raise RefusalError(413, what)
                yield piece
    except TimeoutError:
        raise RefusalError(408, f"not uploaded within {seconds:g} s; send it again") from None
