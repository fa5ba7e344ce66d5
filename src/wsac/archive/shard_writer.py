"""The unit of work: the files of one shard are captioned, and the shard is written whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa

from wsac.runtime.process import return_freed_memory
from wsac.types import AudioError, Caption

from .content import content_id, copies, local_copy
from .schema import SHARDS, shard_name, shard_schema, write_parquet

LEVELS = ("loudness", "peak", "clipped")
MOST_TAGS = 10  # of a sound, the best
EXAMPLES = 5  # errors of a shard that are told


@dataclass(frozen=True)
class RowOptions:
    """What a row says of a file, and by which model.

    model, clap, device, min_confidence: as for ``stream_captions``. labels: for tags, () for none.
    spans: find them, too.
    """

    model: str = "pocket"
    clap: str | None = None
    device: str = "auto"
    min_confidence: float | None = None
    labels: tuple[str, ...] = ()
    spans: bool = False


@dataclass(frozen=True)
class ArchiveJob:
    """How files become rows; every process that works on an archive gets it.

    folder: the archive. facts: go into the metadata of each shard.
    """

    folder: str
    options: RowOptions
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Part:
    """Work on one shard. files: rows of path, size, mtime and extra. set_aside: rows, by their
    place, that are not tried, with the reason."""

    number: int
    files: pa.Table
    set_aside: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class PartDone:
    """A shard that was written. seconds: of sound. examples: some of the errors."""

    number: int
    rows: int
    errors: int
    seconds: float
    examples: tuple[str, ...] = ()


class ShardWriter:
    """Captions the files of parts. The models are loaded when the first part comes."""

    def __init__(self, job: ArchiveJob) -> None:
        self.job = job

    def load(self) -> None:
        """Load the captioner now. Raises ModelError."""
        _ = self.captioner

    def write(self, part: Part, tell: Callable[[int], None] | None = None) -> PartDone:
        """Caption the files of a part and write its shard, in the place of an older one.

        tell: is told how many files are done, as they are. A file that fails has a row with its
        error. Raises WsacError where nothing can be written.
        """
        rows = self.rows(part, tell)
        return_freed_memory()  # of captioning: writing takes some tens of MB
        table = pa.Table.from_pylist(
            rows, shard_schema(self.captioner.clap.embed_dim, self.job.facts)
        )
        write_parquet(Path(self.job.folder) / SHARDS / shard_name(part.number), table)
        errors = [row["error"] for row in rows if row["error"]]
        seconds = sum(row.get("seconds") or 0.0 for row in rows)
        return PartDone(part.number, len(rows), len(errors), seconds, tuple(errors[:EXAMPLES]))

    def rows(self, part: Part, tell: Callable[[int], None] | None = None) -> list[dict[str, Any]]:
        """The rows of a part, in the order of its files. tell: as for ``write``."""
        rows = [
            row | {"error": part.set_aside.get(i, "")}
            for i, row in enumerate(part.files.to_pylist())
        ]
        places: list[tuple[dict[str, Any], Path]] = []
        with copies() as folder:
            sounds = self._sounds(rows, places, folder)
            for i, result in enumerate(self._results(sounds)):
                row, place = places[i]
                if isinstance(result, AudioError):
                    row["error"] = str(result).replace(str(place), row["path"])
                else:
                    row |= result
                    row["spans"] = self._spans(place, row["notes"])
                if place.parent == folder:
                    place.unlink(missing_ok=True)
                if tell:
                    tell(i + 1)
        return rows

    def try_alone(self, path: str) -> None:
        """Do with one file what ``write`` does with many, and forget the result."""
        file = {"path": [path], "size": [None], "mtime": [None], "extra": [""]}
        self.rows(Part(0, pa.table(file)))

    @cached_property
    def captioner(self) -> Any:
        from wsac.inference.captioner import Captioner

        options = self.job.options
        return Captioner.load(options.model, clap=options.clap, device=options.device)

    @cached_property
    def _hide(self) -> Any:
        from wsac.inference.batch import unsure_hidden

        options = self.job.options
        return unsure_hidden(self.captioner, options.min_confidence, options.model)

    @cached_property
    def _tagger(self) -> Any:
        from wsac.inference.tagger import Tagger

        return Tagger(self.captioner.clap, self.job.options.labels)

    @cached_property
    def _describer(self) -> Any:
        from wsac.inference.spans.describe_spans import Describer

        return Describer(self.captioner)

    def _sounds(
        self, rows: list[dict[str, Any]], places: list[tuple[dict[str, Any], Path]], folder: Path
    ) -> Iterator[Path]:
        """The sounds that can be tried. Fills ``places`` with a row and a local file for each."""
        for number, row in enumerate(rows):
            if row["error"]:
                continue
            try:
                place = local_copy(row["path"], folder, number)
            except AudioError as error:
                row["error"] = str(error)
                continue
            row["id"] = content_id(place)
            places.append((row, place))
            yield place

    def _results(self, sounds: Iterator[Path]) -> Iterator[dict[str, Any] | AudioError]:
        from wsac.clap.sounds import AudioEmbedding, map_sounds
        from wsac.inference.batch import rounded

        def describe(batch: list[AudioEmbedding]) -> Iterator[dict[str, Any]]:
            captions = self.captioner.describe(batch)
            tags = self._tagger.tag_embeddings(batch) if self.job.options.labels and batch else []
            for i, (sound, caption) in enumerate(zip(batch, captions, strict=True)):
                values = self._values(sound, self._hide(rounded(caption)))
                if self.job.options.labels:
                    values["tags"] = [asdict(rounded(tag)) for tag in tags[i][:MOST_TAGS]]
                yield values

        return map_sounds(describe, self.captioner.clap, sounds)

    def _values(self, sound: Any, caption: Caption) -> dict[str, Any]:
        levels = {name: round(getattr(sound.levels, name), 4) for name in LEVELS}
        return levels | {
            "seconds": round(sound.end, 3),
            "silent": sound.silent,
            "caption": caption.text,
            "guess": caption.guess,
            "confidence": caption.confidence,
            "logprob": caption.logprob,
            "embedding": sound.embedding.half().numpy(),
            "notes": list(sound.notes),
        }

    def _spans(self, place: Path, notes: list[str]) -> list[dict[str, Any]] | None:
        """The spans of a sound, which is read once more; None without them, and where it fails."""
        if not self.job.options.spans:
            return None
        from wsac.data.audio.stream import AudioStream

        spans: list[dict[str, Any]] = []
        try:
            with AudioStream(place, self.captioner.clap.sample_rate) as stream:
                for span, embedding in self._describer.embedded_spans(stream):
                    spans.append(asdict(span) | {"embedding": embedding.half().numpy()})
        except AudioError as error:
            notes.append(f"no spans: {error}".replace(f"{place}: ", ""))
            return None
        return spans
