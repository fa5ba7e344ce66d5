"""Caption files as text: gzip and byte-order marks are removed, anything but UTF-8 is refused."""

from __future__ import annotations

import gzip
import re
import tomllib
import zlib
from pathlib import Path

from wsac.types import CorpusError

_TABLE = "export the captions as UTF-8 text, CSV or JSON lines"
_SIGNATURES = Path(__file__).with_name("signatures.toml")


def corpus_error(path: str | Path, what: str, where: str = "") -> CorpusError:
    """A CorpusError on one line: the file, the place (``line 3``), what is wrong and the remedy."""
    place = f"{path}: {where}: " if where else f"{path}: "
    return CorpusError(re.sub(r"[\r\n]+", " ", place + what))


def read_text(path: str | Path) -> str:
    """Read a UTF-8 text file, gzip or not by its first bytes; line ends stay as they are.

    Raises CorpusError when the file is missing, a folder, empty, binary, cut short or not UTF-8.
    """
    data = _unpack(path, _read_bytes(path)).removeprefix(b"\xef\xbb\xbf")
    if not data.strip():
        state = "only blank lines" if data else "the file is empty"
        raise corpus_error(path, f"{state}; is the download complete?")
    for file in tomllib.loads(_SIGNATURES.read_text(encoding="utf-8"))["file"]:
        if re.match(file["pattern"].encode(), data, re.DOTALL):
            raise corpus_error(path, f"looks like {file['name']}; {file['remedy']}")
    if (nul := data.find(b"\0")) >= 0:
        raise corpus_error(path, f"binary data (a NUL byte at offset {nul}); {_TABLE}")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        what = f"not UTF-8 (byte 0x{data[error.start]:02x})"
        remedy = "convert it, for example with iconv -f WINDOWS-1252 -t UTF-8"
        line = 1 + data.count(b"\n", 0, error.start)
        raise corpus_error(path, f"{what}; {remedy}", f"line {line}") from error


def _read_bytes(path: str | Path) -> bytes:
    try:
        if Path(path).is_dir():
            raise corpus_error(path, "is a folder; name the caption files in it")
        return Path(path).read_bytes()
    except FileNotFoundError as error:
        raise corpus_error(path, "not found; check the path") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or error
        remedy = "check the path and its permissions"
        raise corpus_error(path, f"cannot read ({reason}); {remedy}") from error


def _unpack(path: str | Path, data: bytes) -> bytes:
    if not data.startswith(b"\x1f\x8b"):
        return data
    try:
        return gzip.decompress(data)
    except EOFError as error:
        raise corpus_error(path, "the gzip file is cut short; download it again") from error
    except (OSError, zlib.error) as error:
        what = f"the gzip file is damaged ({error}); download it again"
        raise corpus_error(path, what) from error
