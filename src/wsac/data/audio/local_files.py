"""Names, pipes and file objects as local files that can be read twice."""

from __future__ import annotations

import atexit
import os
import re
import stat
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO
from weakref import WeakKeyDictionary

from wsac.io.files import OPEN_PIPES
from wsac.io.locks import temporary_beside
from wsac.types import AudioError

SPOOL_BYTES = 2 << 30  # the most that is copied from a pipe or a file object
STDIN = "-"
_ADDRESS = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]+):/+(?=[^/])")
_copies: dict[Path, int | None] = {}  # with the lock that shows that this process lives
# A pipe can be read once, so its copy stays until the end. A later pipe may have the same name.
_by_pipe: dict[tuple[str, int, int], Path] = {}
_by_object: WeakKeyDictionary[Any, Path] = WeakKeyDictionary()


def sound_name(audio: Any) -> str:
    """The name of a path or a file object, as the caller wrote it; "" for anything else."""
    name = audio if isinstance(audio, (str, Path)) else getattr(audio, "name", "")
    if not isinstance(name, (str, Path)) or not (hasattr(audio, "read") or audio is name):
        return ""
    return str(name) if isinstance(name, str) else _address(str(name))


def _address(name: str) -> str:
    """The name of a path with the two slashes that Path takes from an address."""
    if _ADDRESS.match(name) and not os.path.lexists(name):
        return _ADDRESS.sub(r"\1://", name, count=1)
    return name


def unnamed(audio: Any) -> str:
    """What to call a sound without a name."""
    return "the file object" if hasattr(audio, "read") else "the samples"


def local_file(audio: str | Path | BinaryIO) -> tuple[Path, bool]:
    """A regular file with the content of ``audio``, and whether to delete it after use.

    Pipes and file objects are copied, SPOOL_BYTES at most. Raises AudioError for addresses,
    devices, folders, other pipes than the shell's, and what does not exist.
    """
    if not isinstance(audio, (str, Path)):
        return _copied_object(audio)
    name = str(audio)
    try:
        status = Path(name).stat()
    except FileNotFoundError:
        if name == STDIN:
            return _stdin(), False
        if _ADDRESS.match(name):
            what = "an address; sounds must be local files, so download it first"
            raise AudioError(f"{_address(name)}: {what}") from None
        raise AudioError(f"{name}: no such file; check the path") from None
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        raise AudioError(f"{name}: {_unreadable(error)}") from error
    if stat.S_ISREG(status.st_mode):
        return Path(audio), False
    if stat.S_ISDIR(status.st_mode):
        try:
            os.scandir(name).close()
        except OSError as error:
            what = f"cannot look into this folder ({error.strerror}); check its permissions"
            raise AudioError(f"{name}: {what}") from error
        raise AudioError(f"{name}: a folder, not a sound file; name the files in it")
    if name.startswith(OPEN_PIPES) and not stat.S_ISCHR(status.st_mode):
        pipe = (name, status.st_dev, status.st_ino)
        if pipe not in _by_pipe:
            with Path(name).open("rb") as file:
                _by_pipe[pipe] = _copy(file, name)
        return _by_pipe[pipe], False
    if stat.S_ISFIFO(status.st_mode):
        what = f"a named pipe, which may never end; try: cat {name} | wsac caption -"
        raise AudioError(f"{name}: {what}")
    raise AudioError(f"{name}: a device, not a sound file; name a file")


def _unreadable(error: Exception) -> str:
    reason = getattr(error, "strerror", None) or error
    return f"cannot read ({reason}); check the path and its permissions"


def _stdin() -> Path:
    stream: Any = getattr(sys.stdin, "buffer", sys.stdin)
    if stream is None or stream.isatty():
        raise AudioError("-: nothing is piped in; as in: cat dog.wav | wsac caption -")
    if (copy := _by_object.get(stream)) is None:
        copy = _by_object[stream] = _copy(stream, STDIN)
    return copy


def _copied_object(source: BinaryIO) -> tuple[Path, bool]:
    """A copy of a file object. One that cannot seek is copied once, for all readings."""
    with suppress(TypeError):  # no weak references to it
        if (copy := _by_object.get(source)) is not None:
            return copy, False
    name = sound_name(source) or unnamed(source)
    if not (hasattr(source, "seekable") and source.seekable()):
        copy = _copy(source, name)
        with suppress(TypeError):
            _by_object[source] = copy
        return copy, False
    place = source.tell()
    try:
        return _copy(source, name), True
    finally:
        source.seek(place)


def _copy(source: BinaryIO, name: str) -> Path:
    """Copy to a temporary file, which is removed when Python ends, or before. What a killed process
    left is removed by the next one."""
    path, lock = temporary_beside(Path(tempfile.gettempdir(), "wsac.sound"))
    _copies[path] = lock
    total = 0
    try:
        path.chmod(0o600)
        with path.open("wb") as file:
            while piece := source.read(1 << 20):
                if isinstance(piece, str):
                    raise AudioError(f"{name}: a text file; open it with mode 'rb'")
                total += len(piece)
                if total > SPOOL_BYTES:
                    what = f"more than {SPOOL_BYTES / 2**30:g} GiB from a pipe"
                    raise AudioError(f"{name}: {what}; save it to a file first")
                file.write(piece)
    except BaseException:
        remove_copy(path)
        raise
    return path


def remove_copy(path: Path) -> None:
    lock = _copies.pop(path, None)
    path.unlink(missing_ok=True)
    if lock is not None:
        os.close(lock)


@atexit.register
def _remove_copies() -> None:
    for path in list(_copies):
        remove_copy(path)
