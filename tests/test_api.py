"""What others may rely on: tests/public_api.txt lists the public names with their signatures.

After an intended change, ``python tests/test_api.py`` writes the list again.
"""

from __future__ import annotations

import inspect
import subprocess
import sys
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest

import wsac

LISTING = Path(__file__).with_name("public_api.txt")


def signature(function: object) -> str:
    return str(inspect.signature(function)).replace("'", "")


def public_api() -> str:
    """A line for each public name, public method and field."""
    lines = []
    for name in sorted(wsac.__all__):
        value = getattr(wsac, name)
        if not inspect.isclass(value):
            lines.append(f"{name}{signature(value) if callable(value) else ''}")
            continue
        lines.append(f"class {name}({value.__base__.__name__})")
        if is_dataclass(value):
            lines += [f"    {field.name}: {field.type}" for field in fields(value)]
        methods = {**vars(value)} if value.__module__.startswith("wsac") else {}
        for method in sorted(name for name in methods if not name.startswith("_")):
            attribute = getattr(value, method)
            if inspect.isfunction(attribute) or inspect.ismethod(attribute):
                lines.append(f"    {method}{signature(attribute)}")
    return "\n".join(lines) + "\n"


def run(code: str) -> str:
    """Standard output of code in a new Python, where nothing is loaded yet."""
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_the_public_api_is_as_listed():
    assert public_api() == LISTING.read_text(encoding="utf-8"), "run python tests/test_api.py"


def test_dir_lists_the_public_names():
    assert dir(wsac) == sorted(wsac.__all__)


def test_no_public_name_is_the_name_of_a_module():
    # importing wsac.x sets the attribute x of the package to the module, in place of a function x
    folder = Path(wsac.__file__).parent
    modules = {path.stem for path in folder.iterdir() if path.is_dir() or path.suffix == ".py"}
    assert modules & set(wsac.__all__) == set()


@pytest.mark.slow
def test_every_name_is_lazy_and_stays_when_all_modules_are_imported():
    code = """
import pkgutil, wsac
from importlib import import_module
names = [name for name in wsac.__all__ if name != "__version__"]
assert not set(names) & set(vars(wsac)), "not lazy"
before = {name: getattr(wsac, name) for name in names}
for info in pkgutil.walk_packages(wsac.__path__, "wsac."):
    if not info.name.endswith("__main__"):
        import_module(info.name)
print(*(name for name in names if getattr(wsac, name) is not before[name]))
"""
    assert run(code).split() == []


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Captoiner'"):
        wsac.Captoiner  # noqa: B018


@pytest.mark.parametrize("name", ["AudioError", "CorpusError", "ModelError", "RecipeError"])
def test_every_error_is_a_wsac_error(name):
    assert issubclass(getattr(wsac, name), wsac.WsacError)


if __name__ == "__main__":
    LISTING.write_text(public_api(), encoding="utf-8")
