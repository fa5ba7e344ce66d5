"""Caption files as text: gzip and byte-order marks are removed, anything but UTF-8 is refused."""

from __future__ import annotations

import gzip
import re
import zlib
from pathlib import Path

from wsac.types import CorpusError

_UNPACK = "unpack it and name the caption file inside"
_SOUND = "name a file of captions, not a recording"
_TABLE = "export the captions as UTF-8 text, CSV or JSON lines"
_SHEET = "unpack it, or save the sheet as CSV UTF-8"
_POINTER = "fetch the file with git lfs pull"
# first bytes, what the file is, what to do
_SIGNATURES: tuple[tuple[bytes, str, str], ...] = (
    (rb"RIFF....WAVE", "a WAV recording", _SOUND),
    (rb"fLaC", "a FLAC recording", _SOUND),
    (rb"OggS", "an Ogg recording", _SOUND),
    (rb"ID3[\x02-\x04]|\xff[\xf2\xf3\xfa\xfb]", "an MP3 recording", _SOUND),
    (rb"\x00\x00..ftyp", "an MP4 or M4A file", _SOUND),
    (rb"\x89PNG|\xff\xd8\xff|GIF8[79]a", "an image", "name a file of captions"),
    (rb"%PDF-", "a PDF document", "save its captions as plain text, one per line"),
    (rb"PK\x03\x04", "a zip archive or an Excel workbook", _SHEET),
    (rb"\x1f\x8b", "a gzip file inside a gzip file", "gunzip it once"),
    (rb"BZh[1-9]1AY|\xfd7zXZ\x00|\x28\xb5\x2f\xfd|7z\xbc\xaf", "a compressed archive", _UNPACK),
    (rb".{257}ustar(\x00|  \x00)", "a tar archive", _UNPACK),
    (rb"PAR1", "a Parquet table", _TABLE),
    (rb"ARROW1|\x89HDF|\x93NUMPY|SQLite format 3\x00", "a binary table", _TABLE),
    (rb"\x80[\x02-\x05][\x00-\xff]", "a Python pickle, which is never loaded", _TABLE),
    (rb"\xff\xfe|\xfe\xff", "UTF-16 text", "convert it with iconv -f UTF-16 -t UTF-8"),
    (rb"version https://git-lfs", "a Git LFS pointer, not the file itself", _POINTER),
    (rb"(?i:\s*<(!doctype html|html))", "a web page", "download the raw file behind it"),
)


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
    for signature, name, remedy in _SIGNATURES:
        if re.match(signature, data, re.DOTALL):
            raise corpus_error(path, f"looks like {name}; {remedy}")
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
