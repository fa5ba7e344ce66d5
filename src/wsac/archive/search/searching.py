"""Search an archive by words and by sounds, among its files or within them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from wsac.io.console import part_of, say
from wsac.types import ModelError, WsacError

from ..archive_folder import Archive
from ..schema import shard_schema
from .embedding_file import FOLDER, EmbeddingFile, Unit, open_embeddings
from .exact_search import nearest_exact
from .where import Where

if TYPE_CHECKING:
    from wsac.clap.encoder import ClapEncoder
    from wsac.inference.moments.moment_scores import MomentScorer

EXACT = 1_000_000  # embeddings that are compared one by one; for more there is faiss
RANKED, RANKED_PER_TOP = 100, 5  # of the nearest, how many are ordered anew
SHARPNESS = 0.1  # divides cosines: the nearest labels count most
RIVAL, SAME = 0.6, 0.9  # cosine of query and label: up to it a full rival, from it on none
MINUS = 0.5  # weight of what is unwanted
INDEXES = ("auto", "exact", "faiss")
COLUMNS = ("path", "seconds", "caption", "guess", "confidence")


@dataclass(frozen=True, slots=True)
class Hit:
    """A result: a file, or a span of it. score: cosine of query and sound. start, end:
    seconds. caption: of the file or the span. confidence: that the caption is right."""

    file: str
    score: float
    start: float
    end: float
    caption: str
    confidence: float | None = None


class ArchiveSearch:
    """Searches an archive.

    >>> search = ArchiveSearch(Archive.open("archive"))
    >>> query = embed_query(load_clap(), texts=["dog barking far away"])
    >>> search.nearest(query, top=20, where=parse_where(archive, "duration < 5"))

    unit: "files" compares whole files, "spans" the spans of ``archive build --spans``.
    index: "exact", "faiss" (approximate), or "auto": exact up to a million embeddings. Raises
    WsacError for an archive in which there is nothing to search.
    """

    def __init__(self, archive: Archive, unit: Unit = "files", index: str = "auto") -> None:
        if index not in INDEXES:
            raise WsacError(f"--index {index}: choose {', '.join(INDEXES)}")
        self.archive, self.index = archive, index
        self.source: EmbeddingFile = open_embeddings(archive, unit)
        if not len(self.source.embeddings):
            remedy = "build one with --spans" if unit == "spans" else "is its build done?"
            raise WsacError(f"{archive.folder}: no {unit} in it that can be searched; {remedy}")
        if unit == "files" and (left := len(archive) - len(self.source.embeddings)):
            what = "silent or could not be read, so no search shows them"
            say(f"note: {part_of(left, len(archive), 'file')}: {what}")

    def nearest(
        self,
        query: np.ndarray,
        top: int = 20,
        where: Where | None = None,
        scorer: MomentScorer | None = None,
    ) -> list[Hit]:
        """What fits best, best first. query: [D] float32, unit norm.

        scorer: orders the nearest hundred, or more, anew: a sound that is nearer to many other
        words than to the query goes down. Raises ModelError for a query of another CLAP's size,
        WsacError for a changed archive.
        """
        if top < 1:
            raise WsacError(f"--top {top}: give 1 or more")
        if query.shape != (dim := self.source.embeddings.shape[1],):
            raise ModelError(f"a query of {query.shape[0]} numbers, but the archive has {dim}")
        rows = None if where is None else self._rows(where)
        count = len(self.source.embeddings) if rows is None else len(rows)
        wanted = top if scorer is None else max(RANKED, RANKED_PER_TOP * top)
        if self.index == "faiss" or (self.index == "auto" and count > EXACT and _has_faiss()):
            scores, places = self._ivf.nearest(query, wanted, rows)
        else:
            scores, places = nearest_exact(self.source.embeddings, query, wanted, rows)
        if scorer is not None and len(places):
            order = by_fit(scorer, query, self.source.embeddings[places])[:top]
            scores, places = scores[order], places[order]
        return self._hits(places, scores)

    @cached_property
    def _ivf(self) -> Any:
        from .ivf_index import IvfIndex

        return IvfIndex(self.source, self.archive.folder / FOLDER)

    def _rows(self, where: Where) -> np.ndarray:
        """Of the embeddings for which a condition is true, rising."""
        masks = [np.zeros(0, bool)]
        for shard in self.source.shards:
            masks.append(
                where.mask(self.archive.shard_table(shard.name, shard.rows, where.columns))
            )
        return np.flatnonzero(np.concatenate(masks)[self.source.archive_rows()])

    def _hits(self, places: np.ndarray, scores: np.ndarray) -> list[Hit]:
        spans = self.source.unit == "spans"
        columns = (*COLUMNS, *(f"spans.list.element.{x}" for x in SPAN if spans))
        where = [self.source.place(int(place)) for place in places]
        tables = {shard: None for shard, _, _ in where}
        for shard in tables:
            tables[shard] = self.archive.shard_table(shard.name, shard.rows, columns)
        hits = []
        for (shard, row, number), score in zip(where, scores.tolist(), strict=True):
            values = {name: column[row].as_py() for name, column in _columns(tables[shard])}
            span = values["spans"][number] if spans else {}
            start, end = span.get("start", 0.0), span.get("end", values["seconds"])
            caption = span.get("text", values["caption"]) or values["guess"] or ""
            confidence = span.get("confidence", values["confidence"])
            sure = None if confidence is None else round(confidence, 4)
            times = round(start, 3), round(end, 3)
            hits.append(Hit(values["path"], round(score, 6), *times, caption, sure))
        return hits


def by_fit(scorer: MomentScorer, query: np.ndarray, embeddings: np.ndarray) -> np.ndarray:
    """The places of embeddings [N, D] by their cosine with the query, against those with labels.

    A label counts less the more it says what the query does.
    """
    sharpened = embeddings.astype(np.float32) / SHARPNESS
    labels = np.asarray(scorer.rivals)
    weights = np.clip((SAME - labels @ query) / (SAME - RIVAL), 0, 1)
    with np.errstate(divide="ignore"):  # no rivals: all fit as well, and keep their order
        fit = sharpened @ query - np.log(np.exp(sharpened @ labels.T) @ weights)
    return np.argsort(-fit, kind="stable")


SPAN = ("start", "end", "text", "confidence")


def _columns(table: Any) -> list[tuple[str, Any]]:
    return list(zip(table.column_names, table.columns, strict=True))


def _has_faiss() -> bool:
    from importlib.util import find_spec

    if find_spec("faiss"):
        return True
    say("note: more than a million embeddings are compared one by one; faster with wsac[search]")
    return False


def parse_where(archive: Archive, text: str | None) -> Where | None:
    """The condition. Raises WsacError for one that cannot be read, or an unknown column."""
    return None if text is None else Where(text, shard_schema(archive.embed_dim))


def load_clap_of(archive: Archive, clap: str | None = None, device: str = "cpu") -> ClapEncoder:
    """The CLAP that made an archive. clap: where it is now. Raises ModelError for another one."""
    from wsac.clap import load_clap

    folder = Path(archive.card["model"], "clap")
    beside = str(folder) if folder.is_dir() else "pocket"  # where a captioner keeps its own
    name = clap or archive.card["clap"] or beside
    model = load_clap(name, device=device)
    if model.fingerprint != archive.clap_fingerprint:
        what = f"made with another CLAP than {name} ({archive.clap_fingerprint})"
        raise ModelError(f"{archive.folder}: {what}; give the CLAP of its build with --clap")
    return model


def embed_query(
    clap: ClapEncoder,
    texts: Sequence[str] = (),
    like: Sequence[str | Path] = (),
    minus: Sequence[str] = (),
) -> np.ndarray:
    """[D] float32, unit norm: near all texts and sounds that are wanted, and away from minus.

    A text is embedded by ``embed_in_prompts``. Raises WsacError for an empty query, and
    AudioError for a sound that cannot be read.
    """
    from wsac.arrays import F, torch
    from wsac.clap.sounds import embed_example
    from wsac.inference.tagger import embed_in_prompts

    def of_text(text: str) -> Any:
        if not text.strip():
            raise WsacError('an empty query; describe a sound, such as "dog barking far away"')
        return embed_in_prompts(clap, [text.strip()])[0]

    wanted = [*map(of_text, texts), *(embed_example(clap, path) for path in like)]
    if not wanted:
        raise WsacError("nothing to search for; give a text, or --like with a sound")
    query = torch.stack(wanted).mean(dim=0)
    if minus:
        query = query - MINUS * torch.stack(list(map(of_text, minus))).mean(dim=0)
    return np.asarray(F.normalize(query, dim=-1), dtype=np.float32)
