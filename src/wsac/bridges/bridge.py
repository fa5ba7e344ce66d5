"""What a bridge is, the list of bridges, and how a chain is written: ``shift+pd:temperature=0.02``.

A bridge is a class with the decorator ``register``, which makes it a frozen dataclass. Its fields
``memory``, ``gap`` and ``clap_temperature`` are filled in. Every other field is an option with a
default, which the command line and recipes accept too. A bridge is called with embeddings; a head
brings both modalities into a space of its own: texts in training by ``text``, sounds in captioning
by ``audio``, or by ``text`` where an inference bridge made a text embedding of the sound.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from typing import Any, Literal, Protocol, TypeVar, dataclass_transform, runtime_checkable

from wsac.arrays import Generator, Tensor
from wsac.types import RecipeError, did_you_mean

from .gap import Gap
from .memory import SupportMemory

Stage = Literal["training", "head", "inference"]
Space = Literal["text", "audio"]
T = TypeVar("T")
BOUNDS: dict[str, Callable[[float], bool]] = {
    "0 or more": lambda value: value >= 0,
    "1 or more": lambda value: value >= 1,
    "a number above 0": lambda value: value > 0,
    "a number above 0, up to 1": lambda value: 0 < value <= 1,
    "a number from 0 to 1": lambda value: 0 <= value <= 1,
}
PLUS = re.compile(r"(?<![\d.][eE])\+")  # between bridges; not the one of 1e+16
MOST = 1e6  # of any number; more only overflows
SEVERAL = "chain bridges with +; for wsac tune, repeat --bridge; "


@runtime_checkable
class Bridge(Protocol):
    """A strategy that crosses the gap: unit-norm ``[B, D]`` → unit-norm ``[B, D]``.

    rng: for bridges with randomness; the same generator state gives the same result.
    """

    def __call__(self, embedding: Tensor, rng: Generator | None = None) -> Tensor: ...


@dataclass(frozen=True, slots=True)
class BridgeContext:
    """What bridges are made from, as far as it is there."""

    memory: SupportMemory | None = None
    gap: Gap | None = None
    clap_temperature: float = 0.07


CONTEXT = {f.name for f in fields(BridgeContext)}


@dataclass(frozen=True, slots=True)
class Kind:
    """A registered bridge; see ``register``."""

    name: str
    stage: Stage
    make: type[Any]
    space: Space
    pairs: bool

    @property
    def about(self) -> str:
        return (self.make.__doc__ or "").strip().splitlines()[0]

    @property
    def needs(self) -> set[str]:
        """The fields of the context that it is made from."""
        return {f.name for f in fields(self.make)} & CONTEXT

    @property
    def options(self) -> dict[str, Any]:
        """Names and defaults."""
        own = [f for f in fields(self.make) if f.init]
        return {f.name: f.default for f in own if f.name not in CONTEXT}


KINDS: dict[tuple[Stage, str], Kind] = {}


def option(default: Any, bounds: str) -> Any:
    """A field of a bridge with bounds, one of BOUNDS; they are checked in what a spec gives."""
    return field(default=default, metadata={"bounds": bounds})


@dataclass_transform(frozen_default=True, field_specifiers=(field, option))
def register(
    name: str, stage: Stage, *, space: Space = "text", pairs: bool = False
) -> Callable[[type[T]], type[T]]:
    """Class decorator: makes a frozen dataclass that is known by name as a bridge of its stage.

    space: where an inference bridge ends, among texts or still among sounds. pairs: its fit needs
    sounds with captions. Raises TypeError when an option has no default.
    """

    def add(bridge: type[T]) -> type[T]:
        if not is_dataclass(bridge):
            bridge = dataclass(frozen=True, slots=True)(bridge)
        kind = Kind(name, stage, bridge, space, pairs)
        for key, default in kind.options.items():
            if default is MISSING:
                raise TypeError(f"bridge {name}: option {key} has no default")
        KINDS[stage, name] = kind
        return bridge

    return add


def parse(spec: str, *stages: Stage) -> list[tuple[Kind, dict[str, Any]]]:
    """``name:option=value,option=value+name`` → kinds with their options; "" → none.

    Raises RecipeError for a name that these stages do not have, or an option that the bridge lacks.
    """
    bridges = []
    for part in filter(None, (part.strip() for part in PLUS.split(spec))):
        name, _, written = (word.strip() for word in part.partition(":"))
        kind = next((KINDS[stage, name] for stage in stages if (stage, name) in KINDS), None)
        if kind is None:
            raise RecipeError(f"bridge '{name}': {_unknown(name, stages)}")
        options = {}
        for assignment in filter(None, written.split(",")):
            key, equals, value = (word.strip() for word in assignment.partition("="))
            if key not in kind.options or not equals:
                hint = did_you_mean(key, kind.options) if key not in kind.options else ""
                known = ", ".join(f"{k}={v}" for k, v in kind.options.items()) or "none"
                what = f"no option '{assignment}'; {hint}it has {known}"
                raise RecipeError(f"bridge '{name}': {what}")
            default = kind.options[key]
            try:
                options[key] = type(default)(value)
            except ValueError as error:
                what = f"{key}={value} is not a number; give it as in {key}={default}"
                raise RecipeError(f"bridge '{name}': {what}") from error
        bridges.append((kind, options))
    return bridges


def _unknown(name: str, stages: Sequence[Stage]) -> str:
    names = sorted(known for stage, known in KINDS if stage in stages)
    where = [f"is for {stage}; for {stages[0]} " for stage, known in KINDS if known == name]
    hint = SEVERAL if "," in name else did_you_mean(name, names)
    return f"{''.join(where) or f'unknown here; {hint}'}choose from {', '.join(names)}"


def build(kind: Kind, options: dict[str, Any], context: BridgeContext) -> Any:
    """The bridge of a kind.

    Raises RecipeError when the context lacks what it needs, or an option is out of its bounds.
    """
    lacking = ""
    if "memory" in kind.needs and context.memory is None:
        lacking = "a support memory and this model has none; use --bridge ad"
    elif "gap" in kind.needs and context.gap is None:
        lacking = "the gap: wsac gap --save FILE measures it, --gap FILE gives it"
    elif kind.pairs and context.gap and context.gap.pls_text is None:
        lacking = "a gap fitted on pairs: wsac gap --pairs CSV --save FILE"
    if lacking:
        raise RecipeError(f"bridge '{kind.name}' needs {lacking}")
    for f in fields(kind.make):
        value, bounds = options.get(f.name, f.default), f.metadata.get("bounds")
        if bounds and not (abs(value) <= MOST and BOUNDS[bounds](value)):
            limit = f", at most {MOST:,.0f}" * (abs(value) > MOST)
            raise RecipeError(f"bridge '{kind.name}': {f.name} {value}: give {bounds}{limit}")
    try:
        return kind.make(**options, **{name: getattr(context, name) for name in kind.needs})
    except ValueError as error:
        raise RecipeError(f"bridge '{kind.name}': {error}") from error


@dataclass(frozen=True, slots=True)
class Chain:
    """Bridges one after the other; an empty chain is the identity."""

    bridges: Sequence[Bridge]

    def __call__(self, embedding: Tensor, rng: Generator | None = None) -> Tensor:
        for bridge in self.bridges:
            embedding = bridge(embedding, rng)
        return embedding


@dataclass(frozen=True, slots=True)
class _OneSide:
    side: Callable[[Tensor], Tensor]

    def __call__(self, embedding: Tensor, rng: Generator | None = None) -> Tensor:
        return self.side(embedding)


def training_bridge(spec: str, context: BridgeContext) -> Bridge:
    """The training bridges and heads of a spec in their order; heads act by ``text``."""
    bridges: list[Bridge] = []
    for kind, options in parse(spec, "training", "head"):
        bridge = build(kind, options, context)
        bridges.append(_OneSide(bridge.text) if kind.stage == "head" else bridge)
    return Chain(bridges)


def inference_bridge(spec: str, context: BridgeContext, trained: str = "") -> Bridge:
    """The bridges of a spec ("" is ``ad``), then the heads of ``trained``, the training's spec.

    Heads act by ``text`` where the bridges end among texts, else by ``audio``.
    """
    parts = parse(spec or "ad", "inference")
    bridges: list[Bridge] = [build(kind, options, context) for kind, options in parts]
    space = "text" if any(kind.space == "text" for kind, _ in parts) else "audio"
    for kind, options in parse(trained, "training", "head"):
        if kind.stage == "head":
            bridges.append(_OneSide(getattr(build(kind, options, context), space)))
    return bridges[0] if len(bridges) == 1 else Chain(bridges)
