"""Labels to tag with: one per line, or a column of a table."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from wsac.types import CorpusError, RecipeError

from .columns import LABELS, name_list
from .formats import find_header
from .records import read_records
from .text_file import read_text


def read_labels(path: str | Path) -> list[str]:
    """Labels of a text file, one per line, without blank lines and lines that begin with #.

    A label in double quotes is taken without them. Of a table, such as AudioSet's
    class_labels_indices.csv, the column display_name or label. Raises RecipeError when the file
    cannot be read or holds no label.
    """
    try:
        text = read_text(path)
        names, _, certain = find_header(text)
        if certain and len(names) > 1:
            labels = _column(path, text, names)
        else:
            lines = [
                line.strip() for line in text.splitlines() if not line.lstrip().startswith("#")
            ]
            labels = [_unquoted(line) for line in lines]
    except CorpusError as error:
        raise RecipeError(f"cannot read the labels: {error}") from error
    labels = [label for label in labels if label]
    if not labels:
        raise RecipeError(f"{path}: no labels in this file; write two or more, one per line")
    return labels


def split_labels(text: str) -> list[str]:
    """Labels of one line, separated by commas; one that holds commas stands in double quotes.

    Raises RecipeError for quotes that are not closed.
    """
    try:
        row = next(csv.reader([text], skipinitialspace=True, strict=True), [])
    except csv.Error as error:
        remedy = 'write a label with a comma as "Vehicle horn, car horn"'
        raise RecipeError(f"--labels: quotes that are not closed; {remedy}") from error
    return [label.strip() for label in row]


def _column(path: str | Path, text: str, names: tuple[str, ...]) -> list[str]:
    column = next((name for name in LABELS if name in names), None)
    if column is None:
        what = f"a table without a column of labels among {name_list(names)}"
        raise CorpusError(f"{path}: {what}; call it label")
    rows = read_records(path, text, "csv").rows
    return list(dict.fromkeys(row[column].strip() for _, row in rows))


def _unquoted(line: str) -> str:
    whole = len(line) > 1 and line[0] == line[-1] == '"'
    return line[1:-1].replace('""', '"').strip() if whole else line


def check_labels(labels: Sequence[str]) -> tuple[list[str], list[str]]:
    """The labels as written, and as they stand in a prompt.

    Raises RecipeError for fewer than two labels, and for empty or repeated ones.
    """
    if isinstance(labels, str):
        raise RecipeError(f'labels {labels!r}: give a list, such as ["dog bark", "rain"]')
    names = [label.strip() for label in labels]
    texts = [" ".join(name.replace("_", " ").split()) for name in names]
    if not texts:
        raise RecipeError("no labels; give two or more, such as: dog bark, rain")
    seen: dict[str, str] = {}
    for place, (name, text) in enumerate(zip(names, texts, strict=True), 1):
        if not text:
            raise RecipeError(f"label {place} of {len(texts)} is empty; is there a comma too many?")
        first = seen.setdefault(text.casefold(), name)
        if len(seen) < place:
            raise RecipeError(f"labels {first!r} and {name!r} read the same; delete one")
    if len(texts) == 1:
        raise RecipeError(f'one label only, {names[0]!r}: give two or more, as in "dog, rain"')
    return names, texts
