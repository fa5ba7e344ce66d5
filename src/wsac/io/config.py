"""Recipes on disk: strict sections of options in TOML, changed by ``--set``."""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from pathlib import Path
from typing import Any, ClassVar, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from wsac.types import RecipeError, did_you_mean

from .files import endless, write_text
from .json_text import to_json
from .locks import why

RECIPES = Path(__file__).parents[1] / "recipes"  # those that are shipped

# keys that tell the command of a recipe; one of a benchmark has sections of training too
VERB_KEYS = {
    "benchmark": {"rows", "data"},
    "train-clap": {"pairs", "scenes", "text", "steps", "crop_seconds", "mixtures"},
    "train": {"corpus", "bridge", "prompt", "decoder", "training", "memory"},
}


class Section(BaseModel):
    """A frozen group of options: unknown keys are errors, values are checked."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*")
    @classmethod
    def _is_utf8(cls, value: Any) -> Any:
        """TOML is UTF-8, so a recipe cannot hold other names."""
        try:
            json.dumps(value, ensure_ascii=False, default=repr).encode()
        except UnicodeEncodeError as error:
            what = f"{value!a} is not UTF-8, as a recipe is; rename the file or folder"
            raise ValueError(what) from error
        return value


class VerbRecipe(Section):
    """A whole recipe; ``verb`` is the command that it belongs to."""

    verb: ClassVar[str]


# a key of eight or more parts; tomllib would take time and memory without end for 100,000
_DEEP_KEY = re.compile(r"(?:[\w-]{1,99}[ \t]*\.[ \t]*){8}[^\n=\"']*[=\]]")
R = TypeVar("R", bound=VerbRecipe)


def find_recipe(name: str | Path) -> Path:
    """The file of a recipe, by its path or, for a shipped one such as ``wsac``, by its name."""
    shipped = RECIPES / f"{name}.toml"
    return shipped if shipped.is_file() and not Path(name).is_file() else Path(name)


def load_recipe(
    kind: type[R], path: str | Path | None = None, overrides: dict[str, Any] | None = None
) -> R:
    """Read a recipe from TOML and apply overrides such as ``{"training.epochs": 3}``.

    Paths in it are relative to the working folder. Raises RecipeError with the key and the remedy.
    """
    overrides = overrides or {}
    path = None if path is None else find_recipe(path)
    raw = {} if path is None else _read_toml(path)
    verb = _verb_of(raw)
    for key, value in overrides.items():
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
        if verb not in ("", kind.verb):
            what = f"a recipe of wsac {verb}, not of wsac {kind.verb}"
            raise RecipeError(f"{path}: {what}") from error
        place = ".".join(map(str, error.errors()[0]["loc"]))
        overridden = any(_within(key, place) or _within(place, key) for key in overrides)
        source = "options" if path is None or overridden else str(path)
        raise RecipeError(_explain(kind, error, source)) from error


def _within(key: str, section: str) -> bool:
    return f"{key}.".startswith(f"{section}.")


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        if what := endless(path):
            raise RecipeError(f"{path}: {what}, which may never end; name a file")
        text = path.read_text(encoding="utf-8")
        if _DEEP_KEY.search(text):
            raise RecipeError(f"{path}: keys nested too deep; a recipe has sections of sections")
        return tomllib.loads(text)
    except OSError as error:
        names = ", ".join(sorted(shipped.stem for shipped in RECIPES.glob("*.toml")))
        what = f"cannot read the recipe ({error.strerror}); give a file, or one of {names}"
    except UnicodeDecodeError:
        what = "not a text file; give a recipe in TOML, or the name of one of wsac's own"
    except tomllib.TOMLDecodeError as error:
        what = f"not valid TOML ({error})"
    except (ValueError, RecursionError) as error:  # numbers of 5,000 digits, lists in lists in …
        what = f"not usable TOML ({str(error)[:60]}); correct it"
    raise RecipeError(f"{path}: {what}")


def _verb_of(raw: dict[str, Any]) -> str:
    """The command that a recipe is for, by keys that only its recipes have; "" if it has none."""
    for verb, keys in VERB_KEYS.items():
        if keys & raw.keys():
            return verb
    return ""


def parse_override(text: str, example: str = "training.epochs=3") -> tuple[str, Any]:
    """``"training.epochs=3"`` → ``("training.epochs", 3)``; values are TOML or bare words."""
    key, separator, value = text.partition("=")
    if not separator or not key.strip():
        raise RecipeError(f"--set {text[:99]}: write it as key=value, for example {example}")
    if _DEEP_KEY.search(f"{key}={value}"):
        raise RecipeError(f"--set {text[:40]}…: a key nested too deep; for example {example}")
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except (ValueError, RecursionError) as error:
        if not isinstance(error, tomllib.TOMLDecodeError):
            reason = "too long a number, or nested too deep"
            raise RecipeError(f"--set {text[:40]}…: {reason}; for example {example}") from error
        return key.strip(), value.strip()


def save_recipe(recipe: Section, path: str | Path) -> None:
    """Write the recipe as TOML, every value spelled out."""
    import tomli_w

    write_text(path, tomli_w.dumps(recipe.model_dump(mode="json")))


def recipe_digest(recipe: Section) -> str:
    """A name for all values of a recipe."""
    return hashlib.sha256(to_json(recipe.model_dump(mode="json")).encode()).hexdigest()[:32]


def pin_recipe(recipe: VerbRecipe, folder: Path) -> None:
    """Write ``recipe.toml`` into a run folder. Raises RecipeError when it holds another recipe's
    run."""
    path = folder / "recipe.toml"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        what = f"cannot make the run folder ({why(error)}); give another --out"
        raise RecipeError(f"{folder}: {what}") from error
    if path.is_file() and (folder / "checkpoint.safetensors").is_file():
        old = load_recipe(type(recipe), path)
        before, now = _flat(old.model_dump()), _flat(recipe.model_dump())
        if before != now:
            keys = [key for key in now if before.get(key) != now[key]]
            changed = ", ".join(f"{key} was {before.get(key)!r}" for key in keys)
            what = f"holds a run of another recipe (changed: {changed}); give another --out"
            raise RecipeError(f"{folder}: {what}")
    save_recipe(recipe, path)


def _flat(values: dict[str, Any], above: str = "") -> dict[str, Any]:
    """``{"training": {"epochs": 3}}`` → ``{"training.epochs": 3}``."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{above}{key}.") if isinstance(value, dict) else {above + key: value}
    return flat


def _explain(kind: type[Section], error: ValidationError, source: str) -> str:
    """The first error of a validation on one line, with the nearest key for one that is unknown."""
    first = error.errors()[0]
    *sections, name = (str(part) for part in first["loc"])
    key = ".".join((*sections, name))
    match first["type"]:
        case "missing":
            return f"{source}: '{key}' is missing; wsac's own recipes show it"
        case "value_error":  # of a group of options as a whole
            return f"{source}: {key}: {first['ctx']['error']}"
        case "extra_forbidden":
            fields = _fields_of(kind, sections)
            hint = did_you_mean(name, fields) or f"known keys: {', '.join(fields)}"
            hint = hint.replace("mean '", f"mean '{key[: -len(name)]}")
            for section, field in fields.items():
                if name in getattr(field.annotation, "model_fields", {}):
                    hint = f"did you mean '{'.'.join((*sections, section, name))}'?"
            return f"{source}: unknown key '{key}'; {hint.rstrip()}"
    return f"{source}: {key} = {first['input']!r}: {first['msg'].lower()}"


def _fields_of(kind: type[Section], sections: list[str]) -> dict[str, Any]:
    """The fields of a section inside a recipe, also of one in a list or a table of sections."""
    table: Any = kind
    for part in sections:
        field = getattr(table, "model_fields", {}).get(part)
        table = table if field is None else field.annotation
        for inner in get_args(table):
            if isinstance(inner, type) and issubclass(inner, Section):
                table = inner
    return table.model_fields
