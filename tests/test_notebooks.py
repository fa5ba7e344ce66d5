"""Runs the notebooks of examples/: their code cells in one namespace, in a folder of its own.

Jupyter is not needed: nbclient and ipykernel bring 37 packages for what is a loop over cells.
``python tests/test_notebooks.py`` runs them and stores what they print. See docs/notebooks.md.
"""

from __future__ import annotations

import ast
import io
import json
import re
import sys
from contextlib import chdir, redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))
MOST_OUTPUT = 4_000  # characters that a notebook stores


def run_cells(notebook: dict[str, Any], name: str) -> list[str]:
    """What each code cell prints, and the value of its last line, as Jupyter shows it."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    printed = []
    for number, cell in enumerate(notebook["cells"], 1):
        if cell["cell_type"] != "code":
            continue
        place = f"{name}, cell {number}"
        tree = ast.parse("".join(cell["source"]), place)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        with redirect_stdout(io.StringIO()) as out:
            exec(compile(tree, place, "exec"), namespace)
            if last is not None:
                value = eval(compile(ast.Expression(last.value), place, "eval"), namespace)
                if value is not None:
                    print(repr(value))
        printed.append(out.getvalue())
    return printed


def outputs_of(cell: dict[str, Any]) -> str:
    return "".join(line for output in cell["outputs"] for line in output.get("text", ()))


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_run(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    notebook = json.loads(path.read_text(encoding="utf-8"))
    printed = run_cells(notebook, path.name)
    assert len(printed) > 3
    assert any(printed)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_are_plain(path):
    """Format 4.5, no magics, small outputs, no paths of a machine, and links lead somewhere."""
    text = path.read_text(encoding="utf-8")
    notebook = json.loads(text)
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert notebook["cells"][0]["source"][0].startswith("# ")
    ids = [cell["id"] for cell in notebook["cells"]]
    assert len(set(ids)) == len(ids)
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert not [cell for cell in code if re.search(r"^[%!]", "".join(cell["source"]), re.M)]
    assert sum(len(json.dumps(cell["outputs"])) for cell in code) < MOST_OUTPUT
    assert not re.search(r"/home/|/root/|/tmp/", text)
    for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (path.parent / link).exists(), link


def test_there_are_notebooks():
    assert len(NOTEBOOKS) >= 4


if __name__ == "__main__":
    for path in [path for path in NOTEBOOKS if not sys.argv[1:] or path.stem in sys.argv[1:]]:
        notebook = json.loads(path.read_text(encoding="utf-8"))
        with TemporaryDirectory() as folder, chdir(folder):
            printed = iter(run_cells(notebook, path.name))
        count = 0
        for cell in notebook["cells"]:
            if cell["cell_type"] == "code":
                count += 1
                text = next(printed).splitlines(keepends=True)
                stream = {"name": "stdout", "output_type": "stream", "text": text}
                cell |= {"execution_count": count, "outputs": [stream] if text else []}
        path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", "utf-8")
