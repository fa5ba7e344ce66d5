"""What captioning and tagging give, file by file; known before torch is imported."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from wsac.data.audio.find import all_missing
from wsac.io.console import progress
from wsac.types import AudioError, Caption

SILENCE = "Silence"


@dataclass(frozen=True, slots=True)
class Tag:
    """A label on a sound. score: cosine of sound and label. probability: among all labels and "none
    of these", which sum to 1."""

    label: str
    score: float
    probability: float


@dataclass(frozen=True, slots=True)
class TaggedSound:
    """A sound, or a window of it, with its tags, best first. start, end: seconds.

    A silent sound has no tags. notes: what is wrong with the file, or that a window is silent.
    none: the probability that no label fits; None where the CLAP is not calibrated for it.
    """

    file: str
    start: float
    end: float
    tags: tuple[Tag, ...]
    notes: tuple[str, ...] = ()
    none: float | None = None


Result = TypeVar("Result", Caption, TaggedSound)


@dataclass(frozen=True)
class Results(Generic[Result]):
    """The results of files, in order, each made when it is asked for: iterate once.

    An AudioError stands in the place of a file that fails. title: what is done, for the progress.
    """

    title: str
    files: list[Path]
    results: Iterable[Result | AudioError]

    @staticmethod
    def of(title: str, files: list[Path], begin: Callable[[], Results[Result]]) -> Results[Result]:
        """The results that ``begin`` starts when the first is asked for; it loads what they need.

        If no file is there, nothing is loaded.
        """
        return Results(title, files, all_missing(files) or _Later(begin))

    def __iter__(self) -> Iterator[Result | AudioError]:
        return self.show(rows=False)

    def show(self, *, rows: bool = True) -> Generator[Result | AudioError, None, None]:
        """The results with their progress on stderr. rows: each is printed meanwhile."""
        file, stream = "", iter(self.results)  # this may load a model
        with progress(self.title, len(self.files), unit="files", rows=rows) as tick:
            for result in stream:
                if result.file != file:
                    tick()
                file = result.file
                yield result


@dataclass(frozen=True)
class _Later(Generic[Result]):
    """Results that are begun, with all that has to be loaded, when the first is asked for."""

    begin: Callable[[], Results[Result]]

    def __iter__(self) -> Iterator[Result | AudioError]:
        return iter(self.begin().results)
