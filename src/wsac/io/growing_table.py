"""A table on stdout that grows: the widths are chosen first, and each row is printed at once."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from .console import is_utf8, printable

WIDEST_NAME = 44  # characters of the first column
LEAST = 20  # characters that narrow terminals leave to a column


class GrowingTable:
    """The text of a table, piece by piece.

    columns: names with widths in characters. A name in ``>`` is right-aligned. text: the column
    that is narrower where the terminal is. On a terminal longer cells are wrapped; in a pipe no
    line wraps.
    """

    def __init__(self, columns: Sequence[tuple[str, int]], text: int) -> None:
        from rich import box
        from rich.console import Console

        self._console = Console() if sys.stdout.isatty() else None
        self._box = box.HEAVY_HEAD if is_utf8() else box.ASCII
        self._names = [name.removesuffix(">") for name, _ in columns]
        self._right = [name.endswith(">") for name, _ in columns]
        widths = [max(width, len(name.removesuffix(">"))) for name, width in columns]
        widths[0] = min(widths[0], WIDEST_NAME)
        if self._console is not None:
            space = self._console.width - 3 * len(widths) - 1
            widths[0] = min(widths[0], max(LEAST, space // 3))
            rest = space - sum(widths) + widths[text]
            widths[text] = min(widths[text], max(LEAST, rest))
        self._widths = widths
        self._padded = [width + 2 for width in widths]

    def head(self) -> str:
        box = self._box
        names = self._line(self._names, box.head_left, box.head_vertical, box.head_right)
        return f"{box.get_top(self._padded)}\n{names}{box.get_row(self._padded, 'head')}\n"

    def row(self, cells: Sequence[object]) -> str:
        columns = [self._wrapped(str(cell), w) for cell, w in zip(cells, self._widths, strict=True)]
        edges = self._box.mid_left, self._box.mid_vertical, self._box.mid_right
        lines = ""
        for i in range(max(map(len, columns))):
            lines += self._line([part[i] if i < len(part) else "" for part in columns], *edges)
        return lines

    def end(self) -> str:
        return self._box.get_bottom(self._padded) + "\n"

    def _line(self, cells: Sequence[str], left: str, between: str, right: str) -> str:
        from rich.cells import cell_len

        padded = []
        for cell, width, is_right in zip(cells, self._widths, self._right, strict=True):
            blank = " " * (width - cell_len(cell))
            padded.append(f" {blank}{cell} " if is_right else f" {cell}{blank} ")
        return left + between.join(padded) + right + "\n"

    def _wrapped(self, cell: str, width: int) -> list[str]:
        from rich.text import Text

        text = printable(cell).replace("\t", " ")
        if self._console is None:
            return text.split("\n")
        lines = Text(text).wrap(self._console, width, overflow="fold")
        return [line.plain.rstrip() for line in lines] or [""]
