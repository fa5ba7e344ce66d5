"""An approximate index for millions of embeddings: cells and 8 bits a number, by faiss.

Only the nearest cells are looked at, and what they give is compared again exactly. Numbers are
multiplied so that they fill -127 to 127; a query, too, and products of integers are quick. The
extra ``search`` installs faiss.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import astuple
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np

from wsac.io.checked_json import check_file, read_record, write_record
from wsac.io.console import progress
from wsac.io.files import atomic_update, settle
from wsac.io.locks import alone_in
from wsac.io.tensors import checksum_of
from wsac.types import WsacError

from .embedding_file import EmbeddingFile
from .exact_search import rerank

KIND = "cells, 8 bits signed"  # an index of another kind is made again
LARGEST = 127
CELLS_PER_ROOT = 2  # cells for each square root of N
TRAINED_PER_CELL = 32  # embeddings that a cell's centre is learned from
ROUNDS = 8  # of k-means
RERANKED = 16  # times k: candidates that are compared exactly, and 100 at least
SCANNED = 50_000  # embeddings that a query looks at, as rounded ones: some milliseconds
AT_ONCE = 1 << 16  # embeddings added at once, in float32
RETRAIN = 3.0  # growth at once from which cells are learned again


def faiss_or_error() -> Any:
    """The library. Raises WsacError with what to install."""
    try:
        import faiss
    except ImportError as error:
        what = "the approximate index needs faiss; pip install 'wsac[search]', or --index exact"
        raise WsacError(what) from error
    return faiss


class IvfIndex:
    """Opens the index of an EmbeddingFile; embeddings that it has not are added first.

    scanned: about how many embeddings a query is compared with. Raises WsacError without faiss, or
    where it cannot be written.
    """

    def __init__(self, source: EmbeddingFile, folder: Path, scanned: int = SCANNED) -> None:
        self._faiss, self._source = faiss_or_error(), source
        path, card = folder / f"{source.unit}.faiss", folder / f"{source.unit}-faiss.json"
        index, shards, self._scale = self._read(path, card)
        if index is None or shards != _facts(source):
            with alone_in(folder, wait=True):
                settle(folder)
                index, shards, self._scale = self._read(path, card)  # perhaps another was first
                if index is None or shards != _facts(source):
                    index = self._extended(index, shards)
                    with atomic_update(folder) as new:
                        self._faiss.write_index(index, str(new / path.name))
                        sums = {path.name: checksum_of(new / path.name)}
                        facts = {"clap_fingerprint": source.clap_fingerprint}
                        more = {"kind": KIND, "scale": self._scale, "shards": _facts(source)}
                        write_record(new / card.name, facts | more, sums)
        self._index = index
        share = scanned / max(1, len(source.embeddings))
        self.probes = max(1, min(index.nlist, round(index.nlist * share)))

    def nearest(
        self, query: np.ndarray, k: int, rows: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """As ``nearest_exact``, but what lies in other cells is not seen."""
        options: dict[str, Any] = {"nprobe": self.probes}
        if rows is not None:
            options["sel"] = self._faiss.IDSelectorBatch(rows)
        settings = self._faiss.SearchParametersIVF(**options)
        count = min(max(100, RERANKED * k), len(self._source.embeddings))
        rounded = _rounded(query[None], LARGEST / float(np.abs(query).max()))
        places = self._index.search(rounded, count, params=settings)[1][0]
        return rerank(self._source.embeddings, query, places[places >= 0], k)

    def _read(self, path: Path, card: Path) -> tuple[Any, list[list[Any]], float]:
        """The index, the facts of its shards, and what its numbers were multiplied by.

        (None, [], 0.0) if it is missing, damaged or of another kind or CLAP.
        """
        with suppress(WsacError, OSError, RuntimeError, KeyError):
            facts = read_record(card)
            kind = facts["kind"], facts["clap_fingerprint"]
            if kind == (KIND, self._source.clap_fingerprint):
                check_file(path, facts)
                return self._faiss.read_index(str(path)), facts["shards"], facts["scale"]
        return None, [], 0.0

    def _extended(self, index: Any, shards: list[list[Any]]) -> Any:
        """Leave the shards that have not changed, and add the others; cells are learned for a new
        index, and again when it has grown too far."""
        embeddings = self._source.embeddings
        count = len(embeddings)
        pairs = zip(shards, _facts(self._source), strict=False)
        same = takewhile(lambda pair: pair[0] == pair[1], pairs)
        start = sum(shard[-1] for shard, _ in same)
        if start * RETRAIN < count:
            index, start = self._trained(), 0
        elif start < index.ntotal:
            index.remove_ids(self._faiss.IDSelectorRange(start, index.ntotal))
        with progress("index", count, unit="embeddings", done=start) as tick:
            for at in range(start, count, AT_ONCE):
                part = embeddings[at : at + AT_ONCE]
                index.add(_rounded(part, self._scale))
                tick(len(part))
        return index

    def _trained(self) -> Any:
        faiss, embeddings = self._faiss, self._source.embeddings
        count, dim = embeddings.shape
        # a cell has some embeddings to be learned from, also in a small archive
        cells = max(1, min(round(CELLS_PER_ROOT * count**0.5), count // 8))
        cosine = faiss.METRIC_INNER_PRODUCT
        centres, kind = faiss.IndexFlatIP(dim), faiss.ScalarQuantizer.QT_8bit_direct_signed
        index = faiss.IndexIVFScalarQuantizer(centres, dim, cells, kind, cosine)
        index.by_residual = False  # codes are of the embeddings, not of what a centre lacks
        index.cp.niter, index.cp.min_points_per_centroid = ROUNDS, 1
        size = min(count, TRAINED_PER_CELL * cells)
        sample = np.sort(np.random.default_rng(0).choice(count, size, replace=False))
        learned = embeddings[sample]
        self._scale = LARGEST / float(np.abs(learned).max(initial=1e-6))
        index.train(_rounded(learned, self._scale))
        return index


def _rounded(embeddings: np.ndarray, scale: float) -> np.ndarray:
    """[N, D] float32, whole numbers; a few too large ones are cut."""
    return np.clip(np.rint(embeddings.astype(np.float32) * scale), -LARGEST, LARGEST)


def _facts(source: EmbeddingFile) -> list[list[Any]]:
    return [list(astuple(shard)) for shard in source.shards]
