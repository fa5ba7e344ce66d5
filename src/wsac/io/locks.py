"""Who is writing: temporary names that live as long as their writer, and folders for one alone.

A lock is ``flock`` on an open file, which ends with its process, also in another container. Where
there is none (Windows, some network drives) nothing is locked, and leftovers go by their age.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from wsac.types import WsacError

from .console import say

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

TEMPORARY = re.compile(r"\..*\.[0-9a-f]{16}\.part(\..*)?", re.DOTALL)
STEM = 40  # characters of the target's name in a temporary name
OLD = 24 * 3600  # seconds after which a leftover goes where locks do not work
LOCK = ".lock"
PAUSE = 0.1  # seconds between two looks at a folder in use
TOLD_AFTER, LONGEST = 1.0, 60.0  # seconds of waiting for a block that takes moments
_swept: set[str] = set()


def why(error: OSError) -> str:
    """The reason of a failure to write, in words that say what is in the way."""
    if isinstance(error, FileExistsError | NotADirectoryError):
        return "there is a file in the place of a folder"
    folder = isinstance(error, IsADirectoryError)
    return "there is a folder here" if folder else str(error.strerror or error)


def temporary_beside(target: Path, *, folder: bool = False) -> tuple[Path, int | None]:
    """Make an empty file or folder of an unpredictable name beside ``target``, with its suffix.

    Returns its path, and the descriptor that marks its writer as alive while it is open; None where
    there are no locks. Leftovers of dead writers in that place are removed first. Raises OSError.
    """
    sweep(target.parent)
    while True:
        stem, suffix = target.stem[:STEM], target.suffix[:STEM]
        path = target.with_name(f".{stem}.{secrets.token_hex(8)}.part{suffix}")
        if folder:
            path.mkdir()
        else:  # readable as the umask says
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        descriptor = _open(path)
        free = None if descriptor is None else _try_lock(descriptor)
        if free and _is_at(descriptor, path):
            return path, descriptor
        _close(descriptor)
        if free is None and path.exists():
            return path, None
        # else another process takes it for a leftover, or has removed it


def sweep(folder: Path) -> None:
    """Remove what dead writers left in a folder, once per process."""
    if str(folder) in _swept:
        return
    _swept.add(str(folder))
    with suppress(OSError), os.scandir(folder or ".") as entries:
        for entry in entries:
            if TEMPORARY.fullmatch(entry.name):
                with suppress(OSError):
                    _remove_leftover(Path(entry.path))


def _remove_leftover(path: Path) -> None:
    descriptor = _open(path)
    try:
        free = None if descriptor is None else _try_lock(descriptor)
        if free or (free is None and time.time() - path.stat().st_mtime > OLD):
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink()
    finally:
        _close(descriptor)


@contextmanager
def alone_in(folder: Path, *, wait: bool = False, lock_name: str = LOCK) -> Iterator[None]:
    """Hold a folder for this process; it is made if needed, and then removed if it stays empty.

    wait: until another process lets go of it. lock_name: another one holds only what goes by that
    name, not the folder. Raises WsacError, which names the holder, if another process has it, or if
    the folder cannot be written.
    """
    path, told, lock, new = folder / lock_name, False, None, not folder.exists()
    held = folder if lock_name == LOCK else path
    while lock is None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = _take(path)
        except OSError as error:
            what = f"cannot make the folder, or write there ({why(error)}); use another one"
            raise WsacError(f"{folder}: {what}") from error
        if lock is None:
            who = _holder(path)
            if not wait:
                raise WsacError(f"{held}: in use by {who}; wait for it, or use another folder")
            if not told:
                say(f"{held}: waiting for {who}")
            told = True
            time.sleep(PAUSE)
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink()
        _close(lock)
        if new:
            with suppress(OSError):
                folder.rmdir()


def _take(path: Path) -> int | None:
    """The descriptor of a lock file that this process holds now, None if another has it."""
    while True:
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o666)
        if _try_lock(descriptor) is False:
            _close(descriptor)
            return None
        if _is_at(descriptor, path):
            break
        _close(descriptor)  # its last holder has just removed it
    with suppress(OSError):  # of a full disk: the name of the holder is of use, not needed
        os.ftruncate(descriptor, 0)
        os.write(descriptor, _whoami().encode(errors="replace"))
    return descriptor


def _whoami() -> str:
    words = [Path(sys.argv[0]).name or "python", *sys.argv[1:2]]
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    return f"{' '.join(words)[:80]} (host {socket.gethostname()}, process {os.getpid()}, {since})"


def _holder(path: Path) -> str:
    with suppress(OSError):
        words = path.read_text(encoding="utf-8", errors="replace")[:300]
        return " ".join(words.split()) or "another process"
    return "another process"


@contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Wait until no other process is in this block for this folder; it leaves no file.

    Raises WsacError after a minute: somebody else has locked the folder, such as ``flock``.
    """
    if TEMPORARY.fullmatch(folder.name):  # its writer holds it already, and nobody else uses it
        yield
        return
    descriptor, began, told = _open(folder), time.monotonic(), False
    try:
        while descriptor is not None and _try_lock(descriptor) is False:
            waited = time.monotonic() - began
            if waited > LONGEST:
                what = f"locked by another process for {LONGEST:g} s, perhaps by flock"
                raise WsacError(f"{folder}: {what}; end it, or lock another file")
            if waited > TOLD_AFTER and not told:
                say(f"{folder}: waiting for another process that has locked it")
                told = True
            time.sleep(PAUSE / 10)
        yield
    finally:
        _close(descriptor)


def _open(path: Path) -> int | None:
    """A descriptor to lock, None where it cannot be had."""
    with suppress(OSError):
        return os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    return None


def _close(descriptor: int | None) -> None:
    if descriptor is not None:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool | None:
    """Whether the lock was free and is ours now; None where locks do not work."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _is_at(descriptor: int | None, path: Path) -> bool:
    """Whether the open file is still the one of this name."""
    if descriptor is None:
        return False
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except OSError:
        return False
