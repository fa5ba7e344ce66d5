"""The import layers, import circles, names and lengths of files, and a light first import."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "wsac"

# Lowest first. A package imports from the layers below its own, and from itself.
LAYERS = (
    ("types", "arrays"),
    ("runtime", "io"),
    ("data", "bridges"),
    ("clap", "decoder"),
    ("inference",),
    ("training", "listening"),
    ("evaluation", "archive", "serve"),
    ("cli",),
)
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
LONGEST_FILE = 350  # lines
MOST_LINES = 39_767
EMPTY_NAMES = ("found", "kept", "heard", "given", "said")  # local names that say nothing
MOST_EMPTY_NAMES = 40  # lines that use such a word in its ordinary sense

# `import wsac` and `wsac --help` load none of these: they take long to import.
HEAVY = set(
    "accelerate av fsspec huggingface_hub jinja2 numpy onnxruntime peft pyarrow "
    "prometheus_client pydantic ray rich safetensors sentence_transformers soundfile soxr "
    "starlette tokenizers torch transformers uvicorn".split()
)
# These are imported inside functions only.
LATE = {
    "accelerate",
    "fsspec",
    "huggingface_hub",
    "onnxruntime",
    "paho",
    "peft",
    "prometheus_client",
    "python_multipart",
    "ray",
    "sentence_transformers",
    "sounddevice",
    "starlette",
    "transformers",
    "uvicorn",
}


def module_paths() -> dict[str, Path]:
    """Module name without "wsac.", such as ``clap.sounds``, to its file."""
    files = (path for path in sorted(SOURCE.rglob("*.py")) if "weights" not in path.parts)
    return {".".join(path.relative_to(SOURCE).with_suffix("").parts): path for path in files}


MODULES = module_paths()


def import_nodes(tree: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """Every import that can run, also inside functions; not those under ``if TYPE_CHECKING``."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from import_nodes(ast.Module(node.orelse, []))
        else:
            yield from import_nodes(node)


def imported_modules(module: str, tree: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, module) for everything that a module imports from wsac; "" is wsac itself."""
    package = module.split(".")[:-1]
    for node in import_nodes(tree):
        names = [alias.name for alias in node.names]
        if isinstance(node, ast.Import):
            targets = [name.split(".")[1:] for name in names if name.split(".")[0] == "wsac"]
        elif node.level:
            above = package[: len(package) - node.level + 1]
            base = [*above, *filter(None, (node.module or "").split("."))]
            targets = [[*base, name] for name in names]
        elif (node.module or "").split(".")[0] == "wsac":
            base = (node.module or "").split(".")[1:]
            targets = [[*base, name] for name in names]
        else:
            continue
        for parts in targets:
            yield node.lineno, ".".join(parts)


def as_module(name: str) -> str:
    """The module that an imported name lies in: itself, or the module or package it comes from."""
    if name in MODULES:
        return name
    parent = name.rpartition(".")[0]
    return parent if parent in MODULES else f"{parent}.__init__".lstrip(".")


def layer_errors(module: str, tree: ast.AST) -> Iterator[str]:
    top = module.split(".")[0]
    for line, name in imported_modules(module, tree):
        target = name.split(".")[0]
        if name == "__version__" or (target == top and "." in module):
            continue
        if target not in LEVEL:
            yield f"{module}, line {line}: imports wsac.{name}; import it from its own module"
        elif LEVEL[target] >= LEVEL.get(top, len(LAYERS)):
            yield f"{module}, line {line}: {top} may not import {target}, which is not below it"


def tree_of(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


def test_at_most_seven_package_layers():
    packages = {path.name for path in SOURCE.iterdir() if any(path.glob("*.py"))} - {"weights"}
    assert packages == set(LEVEL) - {"types"}, "list the package in LAYERS"
    assert len(LAYERS) - 1 <= 7  # below them lies only types.py


@pytest.mark.parametrize("module", sorted(set(MODULES) - {"__init__"}))
def test_a_package_imports_from_the_layers_below(module):
    assert not list(layer_errors(module, tree_of(module)))


@pytest.mark.parametrize(
    ("module", "code", "right"),
    [
        ("inference.captioner", "from wsac.types import Caption", True),
        ("inference.captioner", "from wsac import __version__", True),
        ("inference.captioner", "from wsac.cli import main", False),
        ("inference.captioner", "def f():\n    from wsac.cli.demo import run_demo", False),
        ("inference.captioner", "try:\n    import wsac.cli\nexcept ImportError: pass", False),
        ("inference.captioner", "from wsac import Captioner", False),  # the lazy public names
        ("inference.captioner", "if TYPE_CHECKING:\n    from wsac.cli import main", True),
        ("inference.captioner", "if TYPE_CHECKING:\n    pass\nelse:\n    import wsac.cli", False),
        ("clap.pocket.towers", "from .melspec import log_mel", True),
        ("clap.pocket.towers", "from ..encoder import ClapEncoder", True),
        ("clap.pocket.towers", "from wsac.data.tokenizer import Tokenizer", True),
        ("clap.pocket.towers", "from ...data.tokenizer import Tokenizer", True),
        ("clap.pocket.towers", "from wsac.decoder import build", False),  # the same layer
        ("clap.pocket.towers", "from wsac.training.optim import adamw", False),
    ],
)
def test_the_layer_check_itself(module, code, right):
    assert (not list(layer_errors(module, ast.parse(code)))) is right


def test_no_import_circle():
    graph = {
        module: {as_module(name) for _, name in imported_modules(module, tree_of(module))}
        for module in MODULES
        if module != "__init__"
    }
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, f"circle: {' -> '.join((*path, module))}"
        if module not in done:
            for target in graph.get(module, ()):
                visit(target, (*path, module))
            done.add(module)

    for module in graph:
        visit(module, ())


def test_no_file_name_twice():
    names = Counter(module.split(".")[-1] for module in MODULES)
    del names["__init__"]
    assert {name for name, count in names.items() if count > 1} == set()


def test_no_file_is_long():
    lengths = {module: len(path.read_bytes().splitlines()) for module, path in MODULES.items()}
    assert {module: n for module, n in lengths.items() if n > LONGEST_FILE} == {}


def test_the_whole_is_small():
    assert sum(len(path.read_bytes().splitlines()) for path in MODULES.values()) <= MOST_LINES


def test_names_say_what_a_thing_is():
    words = "|".join(EMPTY_NAMES)
    lines = [
        line
        for path in MODULES.values()
        for line in path.read_text(encoding="utf-8").splitlines()
        if set(words.split("|"))
        & set("".join(c if c.isalnum() or c == "_" else " " for c in line).split())
    ]
    assert len(lines) < MOST_EMPTY_NAMES


def test_the_formatter_decides():
    files = [*MODULES.values(), *ROOT.glob("benchmarks/**/*.py"), *ROOT.glob("tests/**/*.py")]
    skip = "fmt: " + "skip"
    assert [path for path in files if skip in path.read_text(encoding="utf-8")] == []


@pytest.mark.parametrize("module", ["wsac", "wsac.cli"])
def test_the_first_import_is_light(module):
    code = (
        f"import {module}, sys; "
        f"print(*sorted({{name.split('.')[0] for name in sys.modules}} & {HEAVY!r}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_heavy_libraries_are_imported_inside_functions():
    at_the_top = []
    for module in MODULES:
        for node in tree_of(module).body:
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            else:
                continue
            at_the_top += [(module, name) for name in names if name.split(".")[0] in LATE]
    assert at_the_top == []


def test_the_documentation_lists_the_layers():
    """docs/design.md holds the list; ``python tests/test_layers.py`` writes it."""
    page = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    assert layer_list() in page, "run python tests/test_layers.py"


BEGIN, END = "<!-- layers: made by tests/test_layers.py -->", "<!-- /layers -->"


def layer_list() -> str:
    rows = "\n".join(f"{level}. {', '.join(names)}" for level, names in enumerate(LAYERS))
    return f"{BEGIN}\n{rows}\n{END}"


if __name__ == "__main__":
    design = ROOT / "docs" / "design.md"
    text = design.read_text(encoding="utf-8")
    start, stop = text.index(BEGIN), text.index(END) + len(END)
    design.write_text(text[:start] + layer_list() + text[stop:], encoding="utf-8")
