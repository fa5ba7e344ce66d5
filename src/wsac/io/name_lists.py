"""Lists of file names, as ``find`` prints them."""

from __future__ import annotations

import codecs
import os
import sys
from pathlib import Path

from wsac.types import WsacError

STDIN = "-"
MOST_BYTES = 1 << 28  # of a list; pipes may never end


def read_names(source: str, *, null: bool = False) -> list[str]:
    """The names in a file, or in stdin (``-``): one a line, without empty lines.

    null: each name ends with a zero byte, so that it may hold line breaks. Names need not be UTF-8.
    Raises WsacError when the list cannot be read, holds no name, or zero bytes without ``null``.
    """
    content = _read(source).removeprefix(codecs.BOM_UTF8)
    if null:
        parts = content.split(b"\0")
    elif b"\0" in content:
        raise WsacError(f"{source}: zero bytes in a list of names; if they end the names, add -0")
    else:
        parts = [line.removesuffix(b"\r") for line in content.split(b"\n")]
    names = [os.fsdecode(part) for part in parts if part]
    if not names:
        raise WsacError(f"{source}: no names of files in this list")
    return names


def _read(source: str) -> bytes:
    if source == STDIN and (sys.stdin is None or sys.stdin.isatty()):
        raise WsacError("-: no list is piped in; as in: find . -name '*.wav' | wsac caption ...")
    try:
        if source == STDIN:
            content = sys.stdin.buffer.read(MOST_BYTES + 1)
        else:
            with Path(source).open("rb") as file:
                content = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise WsacError(f"{source}: cannot read this list ({reason}); check the path") from error
    if len(content) > MOST_BYTES:
        raise WsacError(f"{source}: a list of more than {MOST_BYTES >> 20} MB; split it")
    return content
