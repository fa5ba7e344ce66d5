"""The recipe of ``wsac benchmark``: what it trains, captions and scores."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, NonNegativeInt

from wsac.decoder.decoder_options import DecoderOptions
from wsac.io.config import Section, VerbRecipe
from wsac.training.recipe_outline import (
    CorpusOptions,
    MemoryOptions,
    PromptOptions,
    TrainingOptions,
)


class DataOptions(Section):
    """kind: soundworld, which is made on the spot, clotho, audiocaps or folder.

    root: where a dataset lies. captions: to train on; default: the dataset's own training part.
    sounds: whether its training sounds are there, for the supervised row and the gap.
    scenes: clips to test on, 0 for all (500 of SoundWorld). train_scenes, seed: of SoundWorld,
    with five captions a scene.
    """

    kind: Literal["soundworld", "clotho", "audiocaps", "folder"] = "soundworld"
    root: str = ""
    captions: tuple[str, ...] = ()
    sounds: bool = True
    scenes: int = Field(0, ge=0)
    train_scenes: int = Field(4000, ge=2)
    seed: int = Field(7, ge=0)


class BenchmarkRow(Section):
    """name: in the table. data: to test on. train, infer: bridges.

    supervised: train on sounds instead of captions. train_on: other data to train on. memory:
    data whose captions replace the support memory. beam, length_penalty, choose, samples: as in
    CaptionOptions.
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

    @property
    def all_data(self) -> list[str]:
        """The names of all data that the row uses."""
        return [name for name in (self.data, self.train_on, self.memory) if name]


class BenchmarkRecipe(VerbRecipe):
    """The rows of a table, and what they share. against: the row that the others are divided by."""

    verb: ClassVar[str] = "benchmark"

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
