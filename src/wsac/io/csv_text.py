"""Rows of CSV as text."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from typing import Any

STARTS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # as OWASP lists them


def csv_line(cells: Iterable[Any]) -> str:
    """One line with its end. Cells with commas, quotes, line feeds or returns are quoted."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow(cells)  # so these two are quoted
    return line.getvalue().removesuffix("\r\n") + "\n"


def spreadsheet_safe(cell: Any) -> Any:
    """The cell as spreadsheets show it: with an apostrophe before a text that begins a formula."""
    acts = isinstance(cell, str) and cell.startswith(STARTS_A_FORMULA)
    return f"'{cell}" if acts else cell
