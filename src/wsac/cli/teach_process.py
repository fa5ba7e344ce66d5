"""``wsac train`` in a process of its own, for the *Teach* tab of ``wsac serve``.

python -m wsac.cli.teach_process --captions FILE --out FOLDER --json
"""

from __future__ import annotations

import os
import sys
import threading
import time
from contextlib import suppress

from wsac.io.console import follow_progress
from wsac.io.json_text import to_json

from . import main as command_line

NICENESS = 10  # captions of the server go first
PAUSE = 0.5  # seconds between two lines of progress


def main(argv: list[str] | None = None) -> int:
    """Run ``wsac train`` with these options; returns its exit code.

    Progress goes to stderr as lines of JSON (title, done, total, note), notes and errors as plain
    ones; the verdict goes to stdout. The process ends when its stdin is closed, so that it does not
    outlive the server.
    """
    with suppress(OSError, AttributeError):  # AttributeError: Windows
        os.nice(NICENESS)
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    follow_progress(_Lines())
    return command_line(["train", *(sys.argv[1:] if argv is None else argv)])


def _end_with_stdin() -> None:
    with suppress(OSError, ValueError):
        while os.read(0, 1024):
            pass
    os._exit(1)


class _Lines:
    """Writes a line after each PAUSE, and one for the end of each step."""

    def __init__(self) -> None:
        self._next, self._title = 0.0, ""

    def __call__(self, title: str, done: int, total: int, note: str) -> None:
        now = time.monotonic()
        if now < self._next and done < total and title == self._title:
            return
        self._next, self._title = now + PAUSE, title
        row = {"title": title, "done": done, "total": total, "note": note}
        with suppress(BrokenPipeError):
            print(to_json(row), file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
