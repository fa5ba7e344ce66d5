"""Recipes: everything that decides a training run, in one strict, frozen object that reads and writes TOML."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from pydantic import Field, NonNegativeInt, PositiveInt, ValidationError

from .decoder_options import DecoderOptions
from .files import write_text
from .section import Section
from .types import RecipeError, meant

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


class CorpusOptions(Section):
    """captions: files in any format of ``wsac corpus``. pairs: instead of them, CSV files audio,caption, to train on
    the embeddings of the sounds: the supervised captioner that text-only ones are measured against.

    validation: the part of the captions held out, but ten (or a tenth) of a small corpus; 0 holds out none.
    """

    captions: tuple[str, ...] = ()
    pairs: tuple[str, ...] = ()
    format: str = "auto"
    style: Literal["keep", "sentence", "lower"] = "keep"
    validation: float = Field(0.02, ge=0, lt=0.5)


class BridgeOptions(Section):
    """train: what happens to the text embeddings, such as ``shift+noise:variance=0.001``; ``wsac bridges`` lists all.

    gap: a file of ``wsac gap --save``, for bridges that need one; "" means none.
    """

    train: str = "noise:variance=0.001"
    gap: str = ""


class PromptOptions(Section):
    """Retrieval-augmented decoding: text that the decoder reads before it writes.

    count: phrases in a prompt, 0 means none. labels: a file with a label a line, to be chosen from instead of the
    captions of the support memory. tokens: of a prompt; longer ones are cut. low, high: in training only captions with
    a cosine between them are taken, so that none can be copied; labels are always the nearest.
    """

    count: int = Field(0, ge=0)
    labels: str = ""
    tokens: int = Field(48, ge=4)
    low: float = Field(0.3, ge=-1, le=1)
    high: float = Field(0.9, ge=-1, le=1.1)


class TrainingOptions(Section):
    """epochs: 0 means 4, or more when the corpus is so small that 4 epochs are fewer than 800 steps.

    batch_size: captions. learning_rate: the peak, after ``warmup_steps`` or a tenth of all steps, whichever is less.
    evaluate_every, save_every: steps; 0 means once an epoch, but not before 50 steps.
    A checkpoint is written every 30 seconds besides.
    patience: evaluations without a better held-out loss after which the run ends; 0 means never.
    accumulate: batches whose gradients make one update, as if they were one batch, in the memory of one.
    average: decay of a moving average of the weights, which is then what is evaluated and saved; 0 means none.
    precision: of the forward pass: float32, bfloat16, or auto: bfloat16 where the GPU or CPU computes in it.
    """

    epochs: int = Field(0, ge=0)
    batch_size: int = Field(128, ge=1)
    accumulate: int = Field(1, ge=1)
    learning_rate: float = Field(1e-3, gt=0)
    warmup_steps: int = Field(200, ge=0)
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    weight_decay: float = Field(0.02, ge=0)
    clip_norm: float = Field(1.0, gt=0)
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    evaluate_every: int = Field(0, ge=0)
    save_every: int = Field(0, ge=0)
    patience: int = Field(5, ge=0)
    average: float = Field(0.0, ge=0, lt=1)
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    seed: int = Field(0, ge=0)

    @property
    def update_size(self) -> int:
        """Captions of one update."""
        return self.batch_size * self.accumulate


class MemoryOptions(Section):
    """size: the most support-memory entries kept in the bundle, 0 means every training caption."""

    size: int = Field(0, ge=0)
    precision: Literal["float32", "float16", "int8"] = "float16"


class Recipe(Section):
    """How to train a captioner from text alone (``wsac.train``).

    start: a captioner to go on from, pocket or a folder; its decoder and vocabulary are kept, whatever stands here.
    """

    clap: str = "pocket"
    start: str = ""
    corpus: CorpusOptions = CorpusOptions()
    bridge: BridgeOptions = BridgeOptions()
    prompt: PromptOptions = PromptOptions()
    decoder: DecoderOptions = DecoderOptions()
    training: TrainingOptions = TrainingOptions()
    memory: MemoryOptions = MemoryOptions()


class DataOptions(Section):
    """kind: soundworld, which is made on the spot, clotho, audiocaps or folder. root: where a dataset lies.

    captions: to train on, where not those of the dataset's own training part. sounds: whether its training sounds are
    there, for the supervised row and the gap. scenes: so many clips to test on, 0 all (500 of SoundWorld).
    train_scenes, seed: of SoundWorld, with five captions a scene.
    """

    kind: Literal["soundworld", "clotho", "audiocaps", "folder"] = "soundworld"
    root: str = ""
    captions: tuple[str, ...] = ()
    sounds: bool = True
    scenes: int = Field(0, ge=0)
    train_scenes: int = Field(4000, ge=2)
    seed: int = Field(7, ge=0)


class BenchmarkRow(Section):
    """name: in the table. data: what is tested on. train, infer: bridges. supervised: train on the sounds instead.

    train_on: other data to train on. memory: data whose captions are the support memory instead of those trained on.
    beam, length_penalty, choose, samples: of decoding, as in CaptionOptions.
    """

    name: str
    data: str
    train: str = "noise:variance=0.001"
    infer: str = "pd"
    supervised: bool = False
    train_on: str = ""
    memory: str = ""
    beam: int = Field(4, ge=1)
    length_penalty: float = 0.5
    choose: str = ""
    samples: int = Field(0, ge=0)
    prompt: PromptOptions = PromptOptions()


class BenchmarkRecipe(Section):
    """What ``wsac benchmark`` puts into one table. against: the row that the others are divided by."""

    clap: str = "pocket"
    seeds: tuple[NonNegativeInt, ...] = Field((0, 1, 2), min_length=1)
    metrics: tuple[str, ...] = Field(("compact",), min_length=1)
    against: str = ""
    data: dict[str, DataOptions]
    rows: tuple[BenchmarkRow, ...] = Field(min_length=1)
    corpus: CorpusOptions = CorpusOptions()
    decoder: DecoderOptions = DecoderOptions()
    training: TrainingOptions = TrainingOptions()
    memory: MemoryOptions = MemoryOptions()


class ClapRecipe(Section):
    """How to train a pocket CLAP (``wsac train-clap``).

    pairs: CSV files ``audio,caption`` with an optional ``label``; any piece of a sound must show its captions.
    scenes: the same with an optional ``negative`` (a false caption), of sounds that are described as a whole.
    validation: the same again; each file is measured by itself every ``evaluate_every`` steps.
    text: caption files for the text tower; captions of one clip are paraphrases of each other.
    teacher: a folder or Hub id of a sentence encoder whose geometry the text tower learns first; "" means none.
    crop_seconds: training crops. mixtures: the part of the crops made of two sounds, overlaid or in sequence.
    scene_share: the part of the steps on whole scenes, as many seconds a step as of crops. order_share: the part of
    the steps on two sounds in both orders.
    start: a pocket CLAP to go on from, a folder or a name; its shape and vocabulary are kept, whatever stands here.
    balance: 0 draws every sound equally often, 1 every label. average: decay of the moving average of the weights.
    precision: float32, bfloat16 (autocast), or auto: bfloat16 on a GPU.
    """

    pairs: tuple[str, ...] = ()
    scenes: tuple[str, ...] = ()
    validation: tuple[str, ...] = ()
    text: tuple[str, ...] = ()
    teacher: str = ""
    start: str = ""
    embed_dim: int = Field(256, ge=8)
    channels: tuple[PositiveInt, ...] = Field((32, 64, 128, 256, 256), min_length=2)
    audio_width: int = Field(256, ge=8, multiple_of=4)
    audio_layers: int = Field(2, ge=0)
    vocab_size: int = Field(4096, ge=300)
    text_width: int = Field(256, ge=8, multiple_of=4)
    text_layers: int = Field(2, ge=1)
    text_steps: int = Field(1000, ge=0)
    text_batch: int = Field(256, ge=32)
    steps: int = Field(2000, ge=1)
    batch_size: int = Field(64, ge=2)
    crop_seconds: float = Field(5.0, gt=0.1, le=10)
    mixtures: float = Field(0.5, ge=0, le=1)
    scene_share: float = Field(0.2, ge=0, le=1)
    order_share: float = Field(0.15, ge=0, le=1)
    balance: float = Field(0.3, ge=0, le=1)
    learning_rate: float = Field(1.5e-3, gt=0)
    text_learning_rate: float = Field(1e-3, gt=0)
    warmup_steps: int = Field(100, ge=0)
    weight_decay: float = Field(0.05, ge=0)
    clip_norm: float = Field(1.0, gt=0)
    average: float = Field(0.999, ge=0, lt=1)
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    save_every: int = Field(50, ge=1)
    evaluate_every: int = Field(500, ge=1)
    seed: int = Field(0, ge=0)


R = TypeVar("R", Recipe, ClapRecipe, BenchmarkRecipe)


def load_recipe(kind: type[R], path: str | Path | None = None, overrides: dict[str, Any] | None = None) -> R:
    """Read a recipe from TOML and apply overrides such as ``{"training.epochs": 3}``.

    Paths inside a recipe are relative to the working folder. Raises RecipeError naming the key and the remedy.
    """
    raw: dict[str, Any] = {}
    if path is not None:
        try:
            raw = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise RecipeError(f"{path}: cannot read the recipe ({error.strerror})") from error
        except UnicodeDecodeError as error:
            raise RecipeError(f"{path}: not a text file; give a recipe in TOML, such as those in recipes/") from error
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
        for other, verb in VERBS.items():
            if path is not None and other is not kind and raw and _fits(other, raw):
                raise RecipeError(f"{path}: a recipe of wsac {verb}, not of wsac {VERBS[kind]}") from error
        place = ".".join(map(str, error.errors()[0]["loc"]))
        option = any(f"{key}.".startswith(f"{place}.") or f"{place}.".startswith(f"{key}.") for key in overrides or {})
        raise RecipeError(_explain(kind, error, "options" if path is None or option else str(path))) from error


VERBS: dict[type[Section], str] = {Recipe: "train", ClapRecipe: "train-clap", BenchmarkRecipe: "benchmark"}


def _fits(kind: type[Section], raw: dict[str, Any]) -> bool:
    try:
        kind.model_validate(raw)
    except ValidationError:
        return False
    return True


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
        raise RecipeError(f"{folder}: cannot make the run folder ({error.strerror}); give another --out") from error
    if path.is_file() and (folder / "checkpoint.safetensors").is_file():
        old = load_recipe(type(recipe), path)  # type: ignore[type-var]
        before, now = _flat(old.model_dump()), _flat(recipe.model_dump())
        if before != now:
            changed = ", ".join(f"{key} was {before.get(key)!r}" for key in now if before.get(key) != now[key])
            raise RecipeError(f"{folder}: holds a run of another recipe (changed: {changed}); give another --out")
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
        return f"{source}: '{key}' is missing; the recipes of its kind in recipes/ show it"
    if first["type"] == "value_error":  # of a group of options as a whole
        return f"{source}: {key}: {first['ctx']['error']}"
    if first["type"] != "extra_forbidden":
        return f"{source}: {key} = {first['input']!r}: {first['msg'].lower()}"
    table: Any = kind
    for part in place[:-1]:
        field = getattr(table, "model_fields", {}).get(part)
        table = table if field is None else field.annotation
        if inner := [one for one in get_args(table) if isinstance(one, type) and issubclass(one, Section)]:
            table = inner[0]  # of a list or a table of sections
    inside = {name: getattr(field.annotation, "model_fields", {}) for name, field in table.model_fields.items()}
    hint = meant(place[-1], table.model_fields) or f"known keys: {', '.join(table.model_fields)}"
    for name in (name for name, fields in inside.items() if place[-1] in fields):
        hint = f"did you mean '{'.'.join((*place[:-1], name, place[-1]))}'?"
    return f"{source}: unknown key '{key}'; {hint.rstrip()}"
