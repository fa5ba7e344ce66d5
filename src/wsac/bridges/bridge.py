"""What a bridge is, where bridges are listed, and how a chain of them is written: ``shift+pd:temperature=0.02``.

A bridge is a frozen dataclass with the decorator ``register``. Its fields ``memory``, ``gap`` and ``clap_temperature``
are filled in; every other field is an option with a default, which the command line and recipes then know too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import MISSING, dataclass, fields
from typing import Any, Literal, Protocol, TypeVar, runtime_checkable

from torch import Generator, Tensor

from wsac.types import RecipeError, did_you_mean

from .gap import Gap
from .memory import SupportMemory

Stage = Literal["training", "head", "inference"]
Space = Literal["text", "audio"]


@runtime_checkable
class Bridge(Protocol):
    """A strategy that crosses the gap: unit-norm ``[B, D]`` → unit-norm ``[B, D]``.

    rng: for bridges with randomness; the same generator state, the same result.
    """

    def __call__(self, embedding: Tensor, rng: Generator | None = None) -> Tensor: ...


@runtime_checkable
class Head(Protocol):
    """A space that both modalities are brought into: in training by ``text``, in captioning by ``audio``, or by
    ``text`` again where an inference bridge has made a text embedding of the sound."""

    def text(self, embedding: Tensor) -> Tensor: ...

    def audio(self, embedding: Tensor) -> Tensor: ...


@dataclass(frozen=True, slots=True)
class Kind:
    """A registered bridge. space: where an inference bridge ends, among texts or still among sounds."""

    name: str
    stage: Stage
    make: Callable[..., Any]
    space: Space
    pairs: bool  # its fit needs sounds with captions

    @property
    def about(self) -> str:
        return (self.make.__doc__ or "").strip().splitlines()[0]

    @property
    def given(self) -> set[str]:
        """What it is made from: of memory, gap and clap_temperature."""
        return {f.name for f in fields(self.make)} & set(CONTEXT_FIELDS)  # type: ignore[arg-type]

    @property
    def options(self) -> dict[str, Any]:
        """Names and defaults."""
        return {
            f.name: f.default for f in fields(self.make) if f.init and f.name not in CONTEXT_FIELDS
        }  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class BridgeContext:
    """What bridges are made from, as far as it is there."""

    memory: SupportMemory | None = None
    gap: Gap | None = None
    clap_temperature: float = 0.07


CONTEXT_FIELDS = ("memory", "gap", "clap_temperature")
KINDS: dict[tuple[Stage, str], Kind] = {}
T = TypeVar("T")
SEVERAL = "+ joins bridges into one, wsac tune compares those of --bridge given again; "


def register(
    name: str, stage: Stage, *, space: Space = "text", pairs: bool = False
) -> Callable[[T], T]:
    """Class decorator, above ``@dataclass``: the bridge is then known by name in its stage."""

    def add(made: T) -> T:
        kind = Kind(name, stage, made, space, pairs)  # type: ignore[arg-type]
        without = [option for option, default in kind.options.items() if default is MISSING]
        if without:
            raise TypeError(f"bridge {name}: option {without[0]} has no default")
        KINDS[stage, name] = kind
        return made

    return add


def names(*stages: Stage) -> list[str]:
    return sorted(name for stage, name in KINDS if stage in stages)


def parse(spec: str, *stages: Stage) -> list[tuple[Kind, dict[str, Any]]]:
    """``name:option=value,option=value+name`` to kinds with their options; "" is none.

    Raises RecipeError for names that these stages do not have, and options that the bridge does not have.
    """
    found = []
    for part in filter(None, (part.strip() for part in spec.split("+"))):
        name, _, written = (word.strip() for word in part.partition(":"))
        kind = next((KINDS[stage, name] for stage in stages if (stage, name) in KINDS), None)
        if kind is None:
            known = "".join(
                f"is for {stage}; for {stages[0]} " for stage, other in KINDS if other == name
            )
            known = (
                known
                or f"unknown here; {SEVERAL if ',' in name else did_you_mean(name, names(*stages))}"
            )
            raise RecipeError(f"bridge '{name}': {known}choose of {', '.join(names(*stages))}")
        options = {}
        for option in filter(None, written.split(",")):
            key, equals, value = (word.strip() for word in option.partition("="))
            if key not in kind.options or not equals:
                known = ", ".join(f"{k}={v}" for k, v in kind.options.items()) or "none"
                near = did_you_mean(key, kind.options) if key not in kind.options else ""
                raise RecipeError(f"bridge '{name}': no option '{option}'; {near}it has {known}")
            try:
                options[key] = type(kind.options[key])(value)
            except ValueError as error:
                raise RecipeError(
                    f"bridge '{name}': {key}={value} is no number; give such as {key}="
                    f"{kind.options[key]}"
                ) from error
        found.append((kind, options))
    return found


def build(kind: Kind, options: dict[str, Any], given: BridgeContext) -> Any:
    """The bridge of a kind. Raises RecipeError when what it needs is not there, or an option is out of its range."""
    wanted = kind.given
    if "memory" in wanted and given.memory is None:
        raise RecipeError(
            f"bridge '{kind.name}' needs a support memory and this model has none; use --bridge ad"
        )
    if "gap" in wanted and given.gap is None:
        raise RecipeError(
            f"bridge '{kind.name}' needs the gap: wsac gap --save FILE measures it, --gap FILE gives it"
        )
    if kind.pairs and (given.gap is None or given.gap.pls_text is None):
        raise RecipeError(
            f"bridge '{kind.name}' needs a gap fitted on pairs: wsac gap --pairs CSV --save FILE"
        )
    try:
        return kind.make(**options, **{name: getattr(given, name) for name in wanted})
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


def training_bridge(spec: str, given: BridgeContext) -> Bridge:
    """Heads and training bridges of a spec in their order; heads act by their side of the texts."""
    made = [build(kind, options, given) for kind, options in parse(spec, "training", "head")]
    return Chain([_OneSide(one.text) if isinstance(one, Head) else one for one in made])


def inference_bridge(spec: str, given: BridgeContext, trained: str = "") -> Bridge:
    """The bridges of a spec, and then the heads of the training's: their text side where the bridges end among texts,
    else their audio side."""
    parts = parse(spec or "ad", "inference")
    bridges: list[Bridge] = [build(kind, options, given) for kind, options in parts]
    space = "text" if any(kind.space == "text" for kind, _ in parts) else "audio"
    for kind, options in parse(trained, "training", "head"):
        if kind.stage == "head":
            bridges.append(_OneSide(getattr(build(kind, options, given), space)))
    return bridges[0] if len(bridges) == 1 else Chain(bridges)


@dataclass(frozen=True, slots=True)
class _OneSide:
    side: Callable[[Tensor], Tensor]

    def __call__(self, embedding: Tensor, rng: Generator | None = None) -> Tensor:
        return self.side(embedding)
