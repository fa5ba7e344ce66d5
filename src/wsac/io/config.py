"""Recipes on disk: strict sections of options, read from TOML, changed by ``--set``, written back."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, ClassVar, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from wsac.types import RecipeError, did_you_mean

from .files import write_text

RECIPES = Path(__file__).parents[1] / "recipes"  # those that are shipped


class Section(BaseModel):
    """A group of options: unknown keys are errors, values are checked, nothing changes after creation."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class VerbRecipe(Section):
    """A whole recipe; ``verb`` is the command that it belongs to."""

    verb: ClassVar[str]


R = TypeVar("R", bound=VerbRecipe)


def find_recipe(name: str | Path) -> Path:
    """The file of a recipe: a shipped one by its name, such as ``wsac``, or any other by its path."""
    shipped = RECIPES / f"{name}.toml"
    return shipped if shipped.is_file() and not Path(name).is_file() else Path(name)


def load_recipe(
    kind: type[R], path: str | Path | None = None, overrides: dict[str, Any] | None = None
) -> R:
    """Read a recipe from TOML and apply overrides such as ``{"training.epochs": 3}``.

    Paths inside a recipe are relative to the working folder. Raises RecipeError naming the key and the remedy.
    """
    raw: dict[str, Any] = {}
    if path is not None:
        path = find_recipe(path)
        try:
            raw = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            names = ", ".join(sorted(shipped.stem for shipped in RECIPES.glob("*.toml")))
            raise RecipeError(
                f"{path}: cannot read the recipe ({error.strerror}); give a file, or one of {names}"
            ) from error
        except UnicodeDecodeError as error:
            raise RecipeError(
                f"{path}: not a text file; give a recipe in TOML, or the name of one of wsac's own"
            ) from error
        except tomllib.TOMLDecodeError as error:
            raise RecipeError(f"{path}: not valid TOML ({error})") from error
    for key, value in (overrides or {}).items():
        *sections, name = key.split(".")
        table = raw
        for section in sections:
            table = table.setdefault(section, {})
            if not isinstance(table, dict):
                raise RecipeError(f"{key}: '{section}' is not a section of the recipe")
        table[name] = value
    try:
        return kind.model_validate(raw)
    except ValidationError as error:
        verb = _verb_of(raw)
        if path is not None and verb != kind.verb:
            raise RecipeError(
                f"{path}: a recipe of wsac {verb}, not of wsac {kind.verb}"
            ) from error
        place = ".".join(map(str, error.errors()[0]["loc"]))
        option = any(
            f"{key}.".startswith(f"{place}.") or f"{place}.".startswith(f"{key}.")
            for key in overrides or {}
        )
        raise RecipeError(
            _explain(kind, error, "options" if path is None or option else str(path))
        ) from error


def _verb_of(raw: dict[str, Any]) -> str:
    """The command that a recipe is for, by the sections that only its recipes have."""
    for verb, keys in (("benchmark", {"rows", "data"}), ("train-clap", {"pairs", "steps"})):
        if keys & raw.keys():
            return verb
    return "train"


def parse_override(text: str, example: str = "training.epochs=3") -> tuple[str, Any]:
    """``"training.epochs=3"`` → ``("training.epochs", 3)``; values are TOML, bare words are strings."""
    key, separator, value = text.partition("=")
    if not separator or not key.strip():
        raise RecipeError(f"--set {text}: write it as key=value, for example {example}")
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key.strip(), value.strip()


def save_recipe(recipe: Section, path: str | Path) -> None:
    """Write the recipe as TOML, every value spelled out."""
    import json

    def written(value: Any) -> str:
        if isinstance(value, dict):
            return "{" + ", ".join(line(*item) for item in value.items()) + "}"
        if isinstance(value, list):
            return "[" + ", ".join(map(written, value)) + "]"
        # JSON scalars are TOML, but for the one control character that JSON leaves as it is
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")

    def line(key: str, value: Any) -> str:
        bare = key.isascii() and key.replace("-", "").replace("_", "").isalnum()
        return f"{key if bare else written(key)} = {written(value)}"

    values = recipe.model_dump(mode="json")
    lines = [line(key, value) for key, value in values.items() if not isinstance(value, dict)]
    for key, value in values.items():
        if isinstance(value, dict):
            lines += ["", f"[{key}]", *(line(*item) for item in value.items())]
    write_text(path, "\n".join(lines) + "\n")


def pin_recipe(recipe: Section, folder: Path) -> None:
    """Write ``recipe.toml`` into a run folder. Raises RecipeError when the folder holds a run of another recipe."""
    path = folder / "recipe.toml"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RecipeError(
            f"{folder}: cannot make the run folder ({error.strerror}); give another --out"
        ) from error
    if path.is_file() and (folder / "checkpoint.safetensors").is_file():
        old = load_recipe(type(recipe), path)  # type: ignore[type-var]
        before, now = _flat(old.model_dump()), _flat(recipe.model_dump())
        if before != now:
            changed = ", ".join(
                f"{key} was {before.get(key)!r}" for key in now if before.get(key) != now[key]
            )
            raise RecipeError(
                f"{folder}: holds a run of another recipe (changed: {changed}); give another --out"
            )
    save_recipe(recipe, path)


def _flat(values: dict[str, Any], above: str = "") -> dict[str, Any]:
    """``{"training": {"epochs": 3}}`` → ``{"training.epochs": 3}``."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{above}{key}.") if isinstance(value, dict) else {above + key: value}
    return flat


def _explain(kind: type[Section], error: ValidationError, source: str) -> str:
    first = error.errors()[0]
    place = [str(part) for part in first["loc"]]
    key = ".".join(place)
    if first["type"] == "missing":
        return f"{source}: '{key}' is missing; wsac's own recipes show it"
    if first["type"] == "value_error":  # of a group of options as a whole
        return f"{source}: {key}: {first['ctx']['error']}"
    if first["type"] != "extra_forbidden":
        return f"{source}: {key} = {first['input']!r}: {first['msg'].lower()}"
    table: Any = kind
    for part in place[:-1]:
        field = getattr(table, "model_fields", {}).get(part)
        table = table if field is None else field.annotation
        if inner := [
            one for one in get_args(table) if isinstance(one, type) and issubclass(one, Section)
        ]:
            table = inner[0]  # of a list or a table of sections
    inside = {
        name: getattr(field.annotation, "model_fields", {})
        for name, field in table.model_fields.items()
    }
    hint = (
        did_you_mean(place[-1], table.model_fields)
        or f"known keys: {', '.join(table.model_fields)}"
    )
    for name in (name for name, fields in inside.items() if place[-1] in fields):
        hint = f"did you mean '{'.'.join((*place[:-1], name, place[-1]))}'?"
    return f"{source}: unknown key '{key}'; {hint.rstrip()}"
