"""Files from addresses outside the Hub: resumed, checked, from the first mirror that has them."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from http.client import HTTPException
from pathlib import Path
from typing import IO
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from wsac import __version__
from wsac.types import ModelError, WsacError

from .console import progress, say

BLOCK = 1 << 16  # bytes


def digest_of(path: Path, kind: str = "sha256") -> str:
    """The SHA-256 of a file, or the name that git gives its content (kind "git"), as hex digits."""
    start = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as file:
        make = start.copy if kind == "git" else hashlib.sha256
        return hashlib.file_digest(file, make).hexdigest()


def download(
    urls: str | Sequence[str], target: Path, sha256: str, *, offline: bool = False
) -> Path:
    """A file from the first of its addresses that has it, stored at ``target`` once, and checked.

    What a broken connection leaves stays beside it as ``.part``, and is resumed, where the server
    can do that. ``$WSAC_MIRROR``, such as ``http://mirror/files``, stands in for ``https:/`` of
    every address. Raises ModelError when it cannot be downloaded or is not the published one,
    WsacError when it cannot be written; there is then no ``target``.
    """
    if target.is_file():
        if digest_of(target) != sha256:
            what = "its SHA-256 is not the published one; delete it and give the command again"
            raise ModelError(f"{target}: {what}")
        return target
    urls = [urls] if isinstance(urls, str) else urls
    if offline:
        what = f"not in the cache; connect, or get {urls[0]} by hand and give its path"
        raise ModelError(f"{target.name}: {what}")
    part, reasons = target.with_name(f"{target.name}.part"), dict[str, None]()
    try:
        for url in map(_mirrored, urls):
            say(f"{target.name}: from {url}")
            try:
                _complete(url, part, sha256)
                part.replace(target)
                return target
            except _LostError as error:
                host = re.sub(r"^\w+://([^/]*)/.*", r"\1", url)
                reasons[f"{host}: {error}"] = None
    except OSError as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        what = f"cannot write ({error.strerror or error}); check the path and the free space"
        raise WsacError(f"{target}: {what}") from error
    remedy = "connect, and the same command resumes it" if part.exists() else "connect"
    what = f"cannot be downloaded; {remedy}, or get it by hand and put it there"
    raise ModelError(f"{target}: {what} ({'; '.join(reasons)})")


def _mirrored(url: str) -> str:
    mirror = os.environ.get("WSAC_MIRROR", "").rstrip("/")
    return re.sub("^https?:/", mirror, url) if mirror else url


class _LostError(Exception):
    """What the network did."""


@contextmanager
def _network() -> Iterator[None]:
    """Tell errors of the network, which another mirror may not have, from those of the disk."""
    try:
        yield
    except HTTPError as error:
        error.close()
        raise _LostError(f"{error.code} {error.reason}") from error
    except (OSError, HTTPException, ValueError) as error:  # ValueError: no such kind of address
        raise _LostError(str(getattr(error, "reason", error))) from error


def _complete(url: str, part: Path, sha256: str) -> None:
    """Add to ``part`` what it lacks. Raises _LostError when it is not the published file then."""
    resumed = part.exists()
    _fetch(url, part)
    if digest_of(part) != sha256:
        part.unlink()
        if not resumed:
            raise _LostError("not the published file: its SHA-256 is another")
        _complete(url, part, sha256)  # its beginning may have been of another file


def _fetch(url: str, part: Path) -> None:
    start = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": f"wsac/{__version__}"}
    headers |= {"Range": f"bytes={start}-"} if start else {}
    try:
        with _network():
            answer = urlopen(Request(url, headers=headers), timeout=60)
    except _LostError as error:
        if start and str(error).startswith("416"):  # nothing comes after what is here
            part.unlink()
            return _fetch(url, part)
        raise
    goes_on = answer.status == 206
    start *= goes_on
    size = start + int(answer.headers.get("Content-Length") or 0)
    can_resume = goes_on or answer.headers.get("Accept-Ranges") == "bytes"
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        with (
            answer,
            part.open("ab" if goes_on else "wb") as file,
            progress("download", size, unit="bytes", done=start) as tick,
        ):
            while block := _read(answer):
                tick(file.write(block))
            if file.tell() < size:
                raise _LostError("it ended early")
    except _LostError:
        if not can_resume:
            part.unlink()
        raise


def _read(answer: IO[bytes]) -> bytes:
    with _network():
        return answer.read(BLOCK)
