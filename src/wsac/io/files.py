"""Files that are whole or absent: write to a temporary name beside the target, then rename."""

from __future__ import annotations

import io
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wsac.types import WsacError

from .csv_text import csv_line
from .json_text import to_json
from .locks import one_at_a_time, sweep, temporary_beside, why

if TYPE_CHECKING:
    import numpy as np

# `cat x | wsac caption /dev/stdin` and `<(…)` of a shell; other pipes may never end
OPEN_PIPES = ("/dev/stdin", "/dev/fd/", "/proc/self/fd/")
COMMIT = ".commit"  # holds the files of an update from the moment that it counts


def _cannot_write(target: str | Path, error: OSError) -> WsacError:
    return WsacError(f"{target}: cannot write ({why(error)}); check the path and the free space")


@contextmanager
def atomic_path(target: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``target``; rename it on success, delete it on any failure.

    Raises WsacError when the folder cannot be made or written.
    """
    target, temporary, mark = Path(target), None, None
    if not target.name:
        raise WsacError(f"'{target}': this is a folder; name a file in it")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary, mark = temporary_beside(target)
        mode = temporary.stat().st_mode  # follows the umask; some writers make files private
        yield temporary
        temporary.chmod(mode)
        temporary.replace(target)
    except OSError as error:
        raise _cannot_write(target, error) from error
    finally:
        _end(temporary, mark)


@contextmanager
def atomic_folder(target: str | Path) -> Iterator[Path]:
    """Yield a temporary folder beside ``target``; rename it on success, delete it on any failure.

    Raises WsacError when ``target`` is there and no empty folder, or cannot be written.
    """
    target, temporary, mark = Path(target), None, None
    try:
        if not target.name or (target.exists() and (not target.is_dir() or any(target.iterdir()))):
            remedy = "name a new folder, or delete this one"
            raise WsacError(f"'{target}': there is something here already; {remedy}")
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary, mark = temporary_beside(target, folder=True)
        yield temporary
        if target.exists():
            target.rmdir()
        temporary.replace(target)
    except OSError as error:
        raise _cannot_write(target, error) from error
    finally:
        _end(temporary, mark)


@contextmanager
def atomic_update(
    folder: Path, *, whole: Sequence[str] = (), last: Callable[[Path], None] | None = None
) -> Iterator[Path]:
    """Yield an empty folder; afterwards its files replace those of ``folder``, all or none.

    They are written aside, renamed to ``.commit`` at once, and moved from there. A writer that is
    killed before that leaves the old files, and after it the new ones: ``settle`` ends its work.
    whole: names of files that go where this update has none. last: writes what depends on the
    files that are there, while no other process can change them.
    Raises WsacError when the folder cannot be written.
    """
    temporary, mark = None, None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        temporary, mark = temporary_beside(folder / "new", folder=True)
        yield temporary
        with one_at_a_time(folder):
            _move(folder)
            if last is not None:
                last(temporary)
            stale = [name for name in whole if not (temporary / name).is_file()]
            temporary.replace(folder / COMMIT)
            _move(folder)
            for name in stale:
                (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise _cannot_write(folder, error) from error
    finally:
        _end(temporary, mark)


def settle(folder: Path) -> None:
    """End the update of a writer that was killed, and remove what dead writers left.

    Raises WsacError where an update has to be ended and the folder cannot be written.
    """
    sweep(folder)
    if not (folder / COMMIT).is_dir():
        return
    try:
        with one_at_a_time(folder):
            _move(folder)
    except OSError as error:
        what = f"an update was cut short and cannot be ended here ({error.strerror})"
        raise WsacError(f"{folder}: {what}; make the folder writable once") from error


def _move(folder: Path) -> None:
    """Move the files of ``.commit`` to their places."""
    commit = folder / COMMIT
    for source in sorted(filter(Path.is_file, commit.rglob("*")), reverse=True):
        target = folder / source.relative_to(commit)
        target.parent.mkdir(parents=True, exist_ok=True)
        source.replace(target)  # captioner.json and clap.json are the last of theirs
    if commit.is_dir():
        shutil.rmtree(commit)


def _end(temporary: Path | None, mark: int | None) -> None:
    """Remove what is left of a temporary file or folder, and say that its writer is done."""
    if temporary is not None and temporary.is_dir():
        shutil.rmtree(temporary, ignore_errors=True)
    elif temporary is not None:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
    if mark is not None:
        os.close(mark)


def write_text(target: str | Path, text: str) -> None:
    """Write UTF-8 text, whole or not at all. Raises WsacError for text that UTF-8 cannot hold."""
    write_bytes(target, _utf8(target, text))


def write_csv(target: str | Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a table with one header line, whole or not at all. Names keep bytes that are not
    UTF-8."""
    text = "".join(map(csv_line, (header, *rows)))
    write_bytes(target, _utf8(target, text, "surrogateescape"))


def _utf8(target: str | Path, text: str, errors: str = "strict") -> bytes:
    try:
        return text.encode("utf-8", errors)
    except UnicodeEncodeError as error:
        piece = text[max(error.start - 20, 0) : error.end + 20]
        what = f"cannot write {piece!r}, which is not UTF-8; rename what is called so"
        raise WsacError(f"{target}: {what}") from error


def write_bytes(target: str | Path, content: bytes) -> None:
    """Write bytes, whole or not at all."""
    with atomic_path(target) as temporary:
        temporary.write_bytes(content)


def write_wav(target: str | Path, samples: np.ndarray, sample_rate: int) -> None:
    """Write mono samples [T] as 16-bit WAV, whole or not at all."""
    import soundfile

    encoded = io.BytesIO()  # libsndfile would not report a full disk
    soundfile.write(encoded, samples, sample_rate, format="WAV", subtype="PCM_16")
    write_bytes(target, encoded.getvalue())


def write_json(target: str | Path, value: Any) -> None:
    """Write indented JSON, whole or not at all."""
    write_text(target, to_json(value, indent=2) + "\n")


def endless(path: str | Path) -> str:
    """What a path is that may never end when it is read: a device or a named pipe; "" of others.

    The pipes that a process has open, as ``/dev/stdin`` or a shell's ``<(…)``, end.
    """
    mode = Path(path).stat().st_mode
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        return "a device"
    is_open = str(path).startswith(OPEN_PIPES)
    return "a named pipe" if stat.S_ISFIFO(mode) and not is_open else ""


def _integer(digits: str) -> int:
    if len(digits) > 20:  # more than 64 bits: no size or count is so large, and no float may be
        raise ValueError(f"a number of {len(digits):,} digits")
    return int(digits)


def read_json(path: str | Path) -> Any:
    """Read JSON. Raises WsacError when the file is missing or is not JSON."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"), parse_int=_integer)
    except RecursionError as error:
        what = "not valid JSON (nested too deep); get or make it again"
        raise WsacError(f"{path}: {what}") from error
    except OSError as error:
        raise WsacError(f"{path}: cannot read ({error.strerror}); check the path") from error
    except ValueError as error:
        raise WsacError(f"{path}: not valid JSON ({error}); get or make it again") from error
