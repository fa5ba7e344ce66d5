"""The options of captioning: the bridge, the choice among candidates, and generation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from wsac.decoder.generation import GenerationOptions, check_kinds, check_precision
from wsac.decoder.generation.generation_options import MAX_BEAMS
from wsac.types import RecipeError, did_you_mean

from .rerank import check_choice

MAX_SAMPLES = 4096  # of one sound; 64 sounds are written at once


@dataclass(frozen=True, slots=True)
class CaptionOptions:
    """How embeddings become captions. Raises RecipeError for impossible values.

    bridge: such as ``pd`` or ``shift+pd:temperature=0.02``; ``wsac bridges`` lists them. choose:
    mbr or clap, among the best ``candidates`` of the beam, or among ``samples`` sampled captions if
    that is not 0; "" takes the likeliest (see ``wsac.inference.rerank``). precision: of the
    decoder's matrices: float32, bfloat16 or auto. only_words: write only words of the captioner's
    vocabulary, if it has one. generation: beam search and sampling; the decoder
    sets ``max_tokens``.
    """

    bridge: str = "pd"
    choose: str = ""
    candidates: int = 4
    samples: int = 0
    precision: str = "float32"
    only_words: bool = True
    generation: GenerationOptions = field(default_factory=GenerationOptions)

    def __post_init__(self) -> None:
        check_kinds(self)
        check_choice(self.choose)
        check_precision(self.precision)
        if not 1 <= self.candidates <= MAX_BEAMS:
            raise RecipeError(f"{self.candidates} candidates: give 1 to {MAX_BEAMS}")
        if not 0 <= self.samples <= MAX_SAMPLES:
            what = f"give 1 or more, at most {MAX_SAMPLES:,}, or 0 for a beam"
            raise RecipeError(f"{self.samples} samples: {what}")
        if self.samples > 1 and not self.choose:
            raise RecipeError(f"{self.samples} samples and no way to choose one: use mbr or clap")

    @classmethod
    def make(cls, **options: Any) -> CaptionOptions:
        """The defaults but for these, by the names of both classes: ``make(beam_size=1)``."""
        return cls().change(**options)

    def change(self, **changes: Any) -> CaptionOptions:
        """The same options but for these. Raises RecipeError for unknown names and bad values."""
        check_names(changes)
        own = {f.name: changes.pop(f.name) for f in fields(self) if f.name in changes}
        return replace(self, **own, generation=replace(self.generation, **changes))

    def to_dict(self) -> dict[str, Any]:
        """One flat table, as ``captioner.json`` has it."""
        table = asdict(self)
        generation = table.pop("generation")
        del generation["max_tokens"]  # the decoder's own
        return table | generation


def check_names(changes: Iterable[str]) -> None:
    """Raise RecipeError for a name that is not a caption option."""
    known = CaptionOptions().to_dict()
    for name in changes:
        if name not in known:
            hint = did_you_mean(name, known).rstrip() or f"known: {', '.join(known)}"
            raise RecipeError(f"unknown caption option '{name}'; {hint}")
