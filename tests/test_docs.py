"""Runs the examples of README.md and docs/: every python block and every ``wsac`` command.

A page is run from top to bottom in a folder of its own; its python blocks share one namespace.
Other commands (make, pip, git) are left out. To leave a block out, write
``<!-- not run: the reason -->`` on the line above it, or ``<!-- not run without duckdb -->`` to run
it where that library is installed. In the folder there are dog.wav, rain.wav, siren.wav,
recordings/, captions.txt, clotho.csv and audiocaps.csv.
"""

from __future__ import annotations

import csv
import doctest
import os
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
PAGES = [
    page for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))) if page.is_file()
]
COMMANDS = ("bash", "console", "sh", "shell")
KNOWN = {
    *COMMANDS,
    "python",
    "pycon",
    "",
    "text",
    "json",
    "toml",
    "csv",
    "yaml",
    "makefile",
    "mermaid",
}
SECONDS = 480  # of one command
SAMPLE_RATE = 16_000  # Hz
FENCE = re.compile(r"^(?P<indent>[ \t]*)(?P<fence>`{3,}|~{3,})[ \t]*(?P<info>[^`\n]*)$")
NOT_RUN = re.compile(r"^\s*<!--\s*not run\b:?(?P<reason>.*?)-->\s*$")


@dataclass(frozen=True)
class Block:
    """A fenced block. line: where its text begins, from 1. skip: why it is not run, or None."""

    language: str
    text: str
    line: int
    skip: str | None
    closed: bool


def blocks(text: str) -> list[Block]:
    """All fenced blocks of a page. A fence without an end reaches to the end of the page."""
    fenced, lines, i = [], text.splitlines(), 0
    while i < len(lines):
        opening = FENCE.match(lines[i])
        i += 1
        if not opening:
            continue
        above = next((line for line in reversed(lines[: i - 1]) if line.strip()), "")
        mark = NOT_RUN.match(above)
        start = i
        while i < len(lines) and not re.match(rf"\s*{opening['fence']}+\s*$", lines[i]):
            i += 1
        body, closed = textwrap.dedent("\n".join(lines[start:i])) + "\n", i < len(lines)
        i += 1
        language = opening["info"].split()[0].lower() if opening["info"].split() else ""
        reason = mark["reason"].strip() if mark else None
        library = re.fullmatch(r"without (\w+)", reason or "")
        if library and find_spec(library[1]):
            reason = None
        fenced.append(Block(language, body, start + 1, reason, closed))
    return fenced


def commands(block: Block) -> list[tuple[int, str]]:
    """(line, command) of a shell block; with ``$`` prompts, all other lines are output."""
    prompts = any(line.startswith("$ ") for line in block.text.splitlines())
    typed: list[tuple[int, str]] = []
    going_on = False
    for number, line in enumerate(block.text.splitlines(), block.line):
        if going_on:
            typed[-1] = (typed[-1][0], f"{typed[-1][1]}\n{line}")
        elif prompts and line.startswith("$ "):
            typed.append((number, line[2:]))
        elif (
            not prompts and line[:1].strip() and not line.startswith("#")
        ):  # indented: inside a loop of the shell
            typed.append((number, line))
        else:
            continue
        going_on = line.endswith("\\")
    return typed


def python_of(block: Block) -> str:
    """The code of a python block; of a dialogue with ``>>>`` only what was typed."""
    if not re.search(r"^>>> ", block.text, re.MULTILINE):
        return block.text
    lines = [""] * (block.text.count("\n") + 1)
    for example in doctest.DocTestParser().get_examples(block.text):
        source = example.source.splitlines()
        lines[example.lineno : example.lineno + len(source)] = source
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def samples(tmp_path_factory) -> Path:
    """A folder with the files that the pages speak of: small stand-ins from the sound world."""
    import soundfile

    from wsac.data.soundworld import KINDS, demo_scenes, render_scene, write_captions

    folder = tmp_path_factory.mktemp("samples")
    (folder / "recordings").mkdir()
    scenes = dict(demo_scenes())
    for i, name in enumerate(
        ("dog.wav", "rain.wav", "siren.wav", "recordings/birds.wav", "recordings/typing.wav")
    ):
        scene = scenes[Path(name).name]
        assert set(scene.events) <= set(KINDS)
        sound = render_scene(scene, np.random.default_rng(i), 5.0, SAMPLE_RATE)
        soundfile.write(folder / name, sound, SAMPLE_RATE, subtype="PCM_16")
    captions = write_captions(np.random.default_rng(0), 300, events=(1, 2))
    (folder / "captions.txt").write_text("\n".join(captions) + "\n", encoding="utf-8")
    with (folder / "clotho.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["file_name", *(f"caption_{n}" for n in range(1, 6))])
        rows.writerows([f"clip {i}.wav", *captions[5 * i : 5 * i + 5]] for i in range(20))
    with (folder / "audiocaps.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["audiocap_id", "youtube_id", "start_time", "caption"])
        rows.writerows(
            [i, f"video{i:06d}", 10 * i, caption] for i, caption in enumerate(captions[100:200])
        )
    return folder


def run_command(command: str, where: str, environment: dict[str, str]) -> None:
    """Run one command line in bash, with the ``wsac`` of this checkout."""
    shell = (
        f'wsac() {{ {shlex.quote(sys.executable)} -m wsac "$@"; }}\nset -o pipefail\n{command}\n'
    )
    try:
        done = subprocess.run(
            ["bash", "-c", shell],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
            env=environment,
        )
    except subprocess.TimeoutExpired:
        pytest.fail(
            f"{where}: {command}\ntook more than {SECONDS} s; make the example smaller",
            pytrace=False,
        )
    if done.returncode:
        pytest.fail(
            f"{where}: {command}\nexit code {done.returncode}\n{done.stdout[-3000:]}", pytrace=False
        )


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_examples_run(page, samples, tmp_path, monkeypatch):
    folder = tmp_path / "page"
    shutil.copytree(samples, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("WSAC_CACHE", str(tmp_path / "cache"))
    namespace = {"__name__": "__main__"}
    for block in blocks(page.read_text(encoding="utf-8")):
        if block.skip is not None:
            continue
        if block.language in COMMANDS:
            for line, command in commands(block):
                if command.startswith("wsac "):
                    run_command(command, f"{page.name}, line {line}", dict(os.environ))
        elif block.language in ("python", "pycon"):
            code = "\n" * (block.line - 1) + python_of(
                block
            )  # so that a traceback shows the line of the page
            exec(compile(code, str(page), "exec", dont_inherit=True), namespace)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_blocks_are_marked_well(page):
    """Every fence has an end and a known language, and a block that is not run says why."""
    for block in blocks(page.read_text(encoding="utf-8")):
        where = f"{page.name}, line {block.line - 1}"
        assert block.language in KNOWN, f"{where}: unknown language {block.language!r}"
        assert block.closed, f"{where}: the fence is not closed"
        assert block.skip != "", f"{where}: write why it is not run: <!-- not run: the reason -->"


def test_there_are_pages():
    assert ROOT / "README.md" in PAGES


def test_the_reader_of_blocks():
    page = textwrap.dedent(
        """\
        # Page
        ```python
        x = 1
        ```
        <!-- not run without json -->
        ```python
        x = 2
        ```
        <!-- not run without wings -->
        ```python
        x = 3
        ```
        <!-- not run: needs a GPU -->

        ```bash
        # a comment
        wsac train \\
          --out run
        make demo
        ```
        ```console
        $ wsac caption dog.wav
        A dog barks
        ```
        - item
          ```python
          >>> y = x + 1
          >>> y
          2
          ```
        """
    )
    code, here, missing, shell, console, dialogue = blocks(page)
    assert (code.language, code.text, code.line, code.skip) == ("python", "x = 1\n", 3, None)
    assert (here.skip, missing.skip) == (None, "without wings")
    assert shell.skip == "needs a GPU"
    assert commands(shell) == [(17, "wsac train \\\n  --out run"), (19, "make demo")]
    assert commands(console) == [(22, "wsac caption dog.wav")]
    assert python_of(dialogue).split("\n")[:2] == ["y = x + 1", "y"]
