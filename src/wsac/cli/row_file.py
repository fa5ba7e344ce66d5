"""Rows in a file of their own, which a stopped run goes on with."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from wsac.io.csv_text import spreadsheet_safe
from wsac.io.locks import why
from wsac.types import WsacError

STYLES = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".json": "json"}
RESUMED = ("jsonl", "csv", "csv-safe")


class RowFile:
    """A file of rows, in UTF-8; each is written at once. Nothing is made before the first.

    resume: go on behind the whole rows of an earlier run; what is left of a last one is cut off,
    and so is the last file in windows, which may lack some. columns: of a row. files, failed: how
    many have rows, and how many of these an error. Raises WsacError for a file that is there
    without ``resume``, or holds other rows.
    """

    def __init__(
        self, path: Path, style: str, columns: Iterable[str], *, resume: bool, windowed: bool
    ) -> None:
        self.path, self._style, self._columns = path, style, tuple(columns)
        self._file: BinaryIO | None = None
        self._size, self.failed = 0, 0
        self._done: Counter[str] = Counter()
        if resume and style not in RESUMED:
            what = f"--resume goes on with rows of --jsonl or --csv, not of --{style}"
            raise WsacError(f"{path}: {what}; name it .jsonl or .csv")
        if path.exists() and not resume:
            what = "there is a file here already"
            raise WsacError(f"{path}: {what}; add --resume to go on with it, or delete it")
        if path.exists():
            self._read(path.read_bytes(), windowed)

    @property
    def files(self) -> int:
        return self._done.total()

    @property
    def is_new(self) -> bool:
        """Whether no row is in it yet, nor a header."""
        return self._size == 0

    def left(self, files: Sequence[Path]) -> list[Path]:
        """The files without rows."""
        done, left = self._done.copy(), []
        for file in files:
            name = self._name(str(file))
            done[name] -= 1
            if done[name] < 0:
                left.append(file)
        return left

    def write(self, text: str) -> None:
        """Add text at the end. Raises WsacError where that cannot be."""
        if not text:
            return
        try:
            self._append(text.encode("utf-8", "backslashreplace"))
        except OSError as error:
            what = f"cannot write ({why(error)}); check the path and the free space"
            raise WsacError(f"{self.path}: {what}") from error

    def _append(self, content: bytes) -> None:
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("r+b" if self.path.exists() else "xb")
            self._file.truncate(self._size)
            self._file.seek(self._size)
        self._file.write(content)
        self._file.flush()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _name(self, file: str) -> str:
        """As it is read back."""
        name = _plain(file)
        return str(spreadsheet_safe(name)) if self._style == "csv-safe" else name

    def _read(self, content: bytes, windowed: bool) -> None:
        """Take in the whole rows of an earlier run."""
        rows = list(self._rows(content))
        files = [_plain(str(row["file"])) for _, row in rows]
        if windowed:
            whole = next((i for i in range(len(files), 0, -1) if files[i - 1] != files[-1]), 0)
            rows, files = rows[:whole], files[:whole]
            files = [file for i, file in enumerate(files) if i == 0 or files[i - 1] != file]
        self._done.update(files)
        self.failed = sum(bool(row["error"]) for _, row in rows)
        self._size = rows[-1][0] if rows else 0

    def _rows(self, content: bytes) -> Iterator[tuple[int, dict[str, Any]]]:
        """Each whole row, and where it ends."""
        number, start, end, quotes = 0, 0, 0, 0
        for line in content.split(b"\n")[:-1]:  # what is behind the last line feed is no whole row
            end += len(line) + 1
            quotes += 0 if self._style == "jsonl" else line.count(b'"')
            if quotes % 2:  # a line feed between quotes ends no row of CSV
                continue
            row = self._row(content[start:end].decode("utf-8", "replace"), number)
            if row is not None:
                yield end, row
            start, number = end, number + 1

    def _row(self, text: str, number: int) -> dict[str, Any] | None:
        """None for the header. Raises WsacError for another table."""
        with suppress(ValueError, csv.Error):
            if self._style == "jsonl":
                row = json.loads(text)
            else:
                (cells,) = csv.reader(io.StringIO(text, newline=""))
                if not number and tuple(cells) == self._columns:
                    return None
                row = dict(zip(self._columns, cells, strict=True)) if number else {}
            if isinstance(row, dict) and set(row) == set(self._columns):
                return row
        what = f"row {number + 1} is not as wsac caption --{self._style} writes it"
        raise WsacError(f"{self.path}: {what}; resume with the same options, or name a new file")


def _plain(name: str) -> str:
    """Bytes of a name that are not UTF-8 are escapes in the file."""
    return name.encode("utf-8", "backslashreplace").decode()
