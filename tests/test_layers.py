"""The import layers, the length of files, and how little the first import loads; docs/design.md has the reasons."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "wsac"

# Lowest first. A module may import from the rows above its own and, in a package, from its siblings.
# The package's own __init__ only names where the public names live, so it stands outside.
ROWS = (
    ("types",),
    ("console", "corpus_files", "corpus_stats", "device", "files", "heap", "section", "seeding"),
    ("audio_sources", "corpus_formats", "decoder_options", "hub", "processes"),
    ("audio", "corpora", "gap", "memory", "pictures", "soundworld", "tokenizer"),
    (
        "bridges",
        "clap",
        "confidence",
        "dataset_files",
        "decoder",
        "optimising",
        "report",
        "token_rows",
    ),
    ("cache", "checkpoint", "choice", "prompts", "datasets", "generate", "listening", "recipe"),
    ("audio_embeddings", "captioner", "clap_steps", "tagger"),
    ("fine_tuning",),
    (
        "calibrate",
        "captioning",
        "convert",
        "export_check",
        "export_graphs",
        "gap_measure",
        "tagging",
        "train_clap",
        "train_decoder",
        "tune",
    ),
    ("export", "metrics"),
    ("benchmark_data", "benchmark_table", "dataset_captions", "evaluation_report"),
    ("benchmark",),
    ("demo",),
    ("cli",),
    ("__main__",),
)
LEVEL = {name: level for level, row in enumerate(ROWS) for name in row}
LONGEST = 350  # lines

# What takes long to import or draws: `wsac --help` and `import wsac` must not wait for it.
HEAVY = (
    "accelerate",
    "av",
    "huggingface_hub",
    "matplotlib",
    "numpy",
    "onnxruntime",
    "peft",
    "pydantic",
    "rich",
    "safetensors",
    "soundfile",
    "soxr",
    "tokenizers",
    "torch",
    "transformers",
)
# what few modules may import, and those inside their functions only
HOMES = {
    "transformers": {
        "clap/containers.py",
        "clap/public.py",
        "clap/teacher.py",
        "decoder/pretrained.py",
        "metrics/encoders.py",
        "metrics/fluency.py",
    },
    "huggingface_hub": {"hub.py"},
    "peft": {"decoder/llm.py"},
    "accelerate": {"processes.py"},
    "onnxruntime": {"export_check.py"},
}


def sources() -> list[Path]:
    return sorted(
        path for path in SOURCE.rglob("*.py") if "weights" not in path.relative_to(SOURCE).parts
    )


def unit(path: Path) -> str:
    """The module or package directly under wsac that a file belongs to."""
    return path.relative_to(SOURCE).with_suffix("").parts[0]


def imports(tree: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """Every import, inside functions too; those under ``if TYPE_CHECKING`` never run and are left out."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield node
        elif isinstance(node, ast.If) and ast.unparse(node.test) in (
            "TYPE_CHECKING",
            "typing.TYPE_CHECKING",
        ):
            for other in node.orelse:
                yield from imports(ast.Module([other], []))
        else:
            yield from imports(node)


def imported_units(path: Path, tree: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, unit) of everything imported from wsac; ``from . import x`` counts as x."""
    package = path.relative_to(SOURCE).parent.parts
    for node in imports(tree):
        if isinstance(node, ast.Import):
            parts = [
                ("wsac", *alias.name.split(".")[1:])
                for alias in node.names
                if alias.name.split(".")[0] == "wsac"
            ]
        elif node.level:
            base = (
                "wsac",
                *package[: len(package) - node.level + 1],
                *(node.module or "").split("."),
            )
            parts = [(*filter(None, base), alias.name) for alias in node.names]
        elif (node.module or "").split(".")[0] == "wsac":
            parts = [(*(node.module or "").split("."), alias.name) for alias in node.names]
        else:
            continue
        for names in parts:
            yield node.lineno, names[1] if len(names) > 1 else "wsac"


def wrong_imports(path: Path, tree: ast.AST) -> Iterator[str]:
    here = unit(path)
    for line, there in imported_units(path, tree):
        place = f"{path.relative_to(SOURCE)}, line {line}"
        if there == here and len(path.relative_to(SOURCE).parts) > 1:
            continue  # a sibling inside a package
        if there == "__version__":
            continue
        if there not in LEVEL:
            yield f"{place}: imports {there}, which is no module of ROWS; import from the module that defines it"
        elif LEVEL[there] >= LEVEL[here]:
            yield f"{place}: {here} imports {there}, which is not in a row above it"


def test_every_module_has_a_row():
    units = {unit(path) for path in sources()} - {"__init__"}
    assert units == set(LEVEL), "list the module in ROWS of this test and in docs/design.md"


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_go_up(path):
    if unit(path) == "__init__":
        return
    assert not list(wrong_imports(path, ast.parse(path.read_text(encoding="utf-8"))))


@pytest.mark.parametrize(
    ("code", "right"),
    [
        ("from .types import Caption", True),
        ("from . import __version__", True),
        ("from .cli import main", False),
        ("def f():\n    from .demo import run_demo", False),
        ("try:\n    import wsac.demo\nexcept ImportError: pass", False),
        ("from wsac.cli.demo import run_demo", False),
        ("from . import demo", False),
        ("from . import Captioner", False),  # the lazy front door hides where it comes from
        ("from wsac import train", False),
        ("if TYPE_CHECKING:\n    from .demo import run_demo", True),
        ("if TYPE_CHECKING:\n    pass\nelse:\n    from .demo import run_demo", False),
    ],
)
def test_the_check_itself(code, right):
    assert (not list(wrong_imports(SOURCE / "captioner.py", ast.parse(code)))) is right


@pytest.mark.parametrize(
    ("code", "right"),
    [
        ("from .melspec import LogMel", True),
        ("from . import melspec", True),
        ("from ..tokenizer import Tokenizer", True),
        ("from ..cache import embed_texts", False),
        ("from .. import cache", False),
    ],
)
def test_the_check_inside_a_package(code, right):
    assert (not list(wrong_imports(SOURCE / "clap" / "pocket.py", ast.parse(code)))) is right


def test_no_file_is_long():
    lengths = {
        str(path.relative_to(SOURCE)): len(path.read_text(encoding="utf-8").splitlines())
        for path in sources()
    }
    assert {name: length for name, length in lengths.items() if length > LONGEST} == {}


@pytest.mark.parametrize("module", ["wsac", "wsac.cli"])
def test_the_first_import_is_light(module):
    code = f"import {module}, sys; print(*sorted({{name.split('.')[0] for name in sys.modules}} & set({HEAVY!r})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize(("library", "homes"), HOMES.items())
def test_a_heavy_dependency_has_few_homes(library, homes):
    found = set()
    for path in sources():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = {
            name
            for node in imports(tree)
            for name in (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
            )
        }
        if library in {name.split(".")[0] for name in names}:
            found.add(path.relative_to(SOURCE).as_posix())
            at_the_top = {
                node.lineno for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))
            }
            inside = [node.lineno for node in imports(tree) if library in ast.unparse(node)]
            assert not at_the_top.intersection(inside), (
                f"{path.name}: import {library} inside the function"
            )
    assert found == homes
