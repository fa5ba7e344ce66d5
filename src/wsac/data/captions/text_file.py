"""Caption files as text: UTF-8, or UTF-16 with its mark, gzip or not; others are refused."""

from __future__ import annotations

import gzip
import io
import re
import tomllib
import zlib
from pathlib import Path

from wsac.io.files import endless
from wsac.types import CorpusError

_TABLE = "export the captions as UTF-8 text, CSV or JSON lines"
_SIGNATURES = Path(__file__).with_name("signatures.toml")
MOST_BYTES = 1 << 30  # of a file of text
# text shrinks to a tenth or so; what grows fortyfold is no corpus but would fill the memory
MOST_GROWTH, SMALL = 40, 1 << 26
_MARKS = {
    b"\xef\xbb\xbf": "utf-8",
    b"\xff\xfe\0\0": "utf-32-le",
    b"\0\0\xfe\xff": "utf-32-be",
    b"\xff\xfe": "utf-16-le",
    b"\xfe\xff": "utf-16-be",
}


def corpus_error(path: str | Path, what: str, where: str = "") -> CorpusError:
    """A CorpusError on one line: the file, the place (``line 3``), what is wrong and the remedy."""
    place = f"{path}: {where}: " if where else f"{path}: "
    return CorpusError(re.sub(r"[\r\n]+", " ", place + what))


def read_text(path: str | Path) -> str:
    """Read a UTF-8 text file, gzip or not by its first bytes; line ends stay as they are.

    UTF-16 and UTF-32 are read if the file begins with their mark. Raises CorpusError when the file
    is missing, a folder, empty, binary, cut short, too large or of another encoding.
    """
    data = _unpack(path, _read_bytes(path))
    mark = next((mark for mark in _MARKS if data.startswith(mark)), b"")
    encoding = _MARKS.get(mark, "utf-8")
    data = data.removeprefix(mark)
    if not data.strip():
        state = "only blank lines" if data else "the file is empty"
        raise corpus_error(path, f"{state}; is the download complete?")
    if encoding == "utf-8":
        _refuse_binary(path, data)
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        what = f"not {encoding[:6].rstrip('-').upper()} (byte 0x{data[error.start]:02x})"
        remedy = "convert it, for example with iconv -f WINDOWS-1252 -t UTF-8"
        line = 1 + data.count(b"\n", 0, error.start)
        raise corpus_error(path, f"{what}; {remedy}", f"line {line}") from error
    if not text.strip():
        raise corpus_error(path, "only blank lines; is the download complete?")
    if encoding != "utf-8":
        _refuse_binary(path, text.encode("utf-8", "surrogatepass"))
    return text


def _refuse_binary(path: str | Path, data: bytes) -> None:
    for file in tomllib.loads(_SIGNATURES.read_text(encoding="utf-8"))["file"]:
        if re.match(file["pattern"].encode(), data, re.DOTALL):
            raise corpus_error(path, f"looks like {file['name']}; {file['remedy']}")
    if (nul := data.find(b"\0")) >= 0:
        raise corpus_error(path, f"binary data (a NUL byte at offset {nul}); {_TABLE}")


def _read_bytes(path: str | Path) -> bytes:
    try:
        if Path(path).is_dir():
            raise corpus_error(path, "is a folder; name the caption files in it")
        if what := endless(path):
            raise corpus_error(path, f"is {what}, which may never end; name a file")
        with Path(path).open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except FileNotFoundError as error:
        raise corpus_error(path, "not found; check the path") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or error
        remedy = "check the path and its permissions"
        raise corpus_error(path, f"cannot read ({reason}); {remedy}") from error
    if len(data) > MOST_BYTES:
        raise corpus_error(path, f"larger than {MOST_BYTES >> 30} GiB of text; split the file")
    return data


def _unpack(path: str | Path, data: bytes) -> bytes:
    """Never holds more than the limit, whatever a small file would become."""
    if not data.startswith(b"\x1f\x8b"):
        return data
    most = min(MOST_BYTES, max(SMALL, MOST_GROWTH * len(data)))
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            text = file.read(most + 1)
    except EOFError as error:
        raise corpus_error(path, "the gzip file is cut short; download it again") from error
    except (OSError, zlib.error) as error:
        what = f"the gzip file is damaged ({error}); download it again"
        raise corpus_error(path, what) from error
    if len(text) > most:
        what = f"the gzip file unpacks to more than {most >> 20} MiB"
        raise corpus_error(path, f"{what}; unpack it yourself if it is a corpus")
    return text
