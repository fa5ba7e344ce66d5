"""Export an archive: choose its rows, score their captions, and write them in a format."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from wsac import __version__
from wsac.io.console import Tick, progress
from wsac.io.files import atomic_folder, atomic_path, write_json
from wsac.types import AudioError, RecipeError, WsacError, did_you_mean

from ..archive_folder import Archive, embeddings_of
from ..content import content_id, copies, local_copy
from ..listing import is_address
from .folder_formats import AacDatasets, Audacity, Csv
from .lhotse_manifests import Lhotse
from .packed_formats import SPAN, HuggingFace, WebDataset, Writer

if TYPE_CHECKING:
    from wsac.clap.encoder import ClapEncoder

FORMATS: dict[str, Callable[[Path, dict[str, Any], ExitStack], Writer]] = {
    "webdataset": WebDataset,
    "huggingface": HuggingFace,
    "lhotse": Lhotse,
    "csv": Csv,
    "audacity": Audacity,
    "aac-datasets": AacDatasets,
}
CARD = "export.json"
LICENCES = ("licence", "license", "licences", "licenses", "licence_url", "license_url", "rights")
COLUMNS = (
    *("path", "size", "mtime", "id", "seconds", "loudness", "silent", "caption", "guess"),
    *("confidence", "tags", "embedding", "error", "extra"),
    *(f"spans.list.element.{name}" for name in SPAN),
)
SCORE = "cosine of the CLAP embeddings of sound and caption"
PROVENANCE = ("captioner", "captioner_fingerprint", "wsac_version")

Row: TypeAlias = dict[str, Any]
# why a sound is left out, "" for one that stays
ByName: TypeAlias = Callable[[str], str]
BySound: TypeAlias = Callable[[Row, Path], str]


@dataclass
class ExportSummary:
    """rows: that were written. left_out: how many were not, by reason. licences: of those written.
    error: an example of a sound that could not be read."""

    rows: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    licences: Counter[str] = field(default_factory=Counter)
    error: str = ""

    def reasons(self) -> str:
        """Such as: 3 silent, 12 below --min-confidence 0.5."""
        return ", ".join(f"{count:,} {reason}" for reason, count in self.left_out.items())


def export_archive(
    archive: Archive,
    name: str,
    out: str | Path,
    clap: ClapEncoder,
    *,
    min_confidence: float | None = None,
    by_name: Sequence[ByName] = (),
    by_sound: Sequence[BySound] = (),
) -> ExportSummary:
    """Write the captioned sounds of an archive in a format of FORMATS, whole or not at all.

    clap: of the archive; it scores the captions. min_confidence: captions below it are left out;
    it takes the place of the threshold of the build. by_name, by_sound: why a path, or a row with
    a local copy of its sound, is left out. Sounds that are silent, without a caption, unreadable
    or changed since are left out, too; all are counted. Raises WsacError for options and places.
    """
    if name not in FORMATS:
        raise RecipeError(f"--to {name}: {did_you_mean(name, FORMATS)}choose {', '.join(FORMATS)}")
    if min_confidence is not None and not 0 <= min_confidence <= 1:
        raise RecipeError(f"--min-confidence {min_confidence:g}: give a number from 0 to 1")
    summary, out = ExportSummary(), Path(out)
    with ExitStack() as stack:
        place_of = atomic_path if name == "csv" else atomic_folder
        target, folder = stack.enter_context(place_of(out)), stack.enter_context(copies())
        card = _card(archive, name, min_confidence)
        writer = FORMATS[name](target, card, stack)
        with progress("export", len(archive), unit="files") as tick:
            for row in _chosen(archive, clap, summary, min_confidence, by_name, tick):
                try:
                    needed = writer.reads_sounds or by_sound
                    place = _unchanged(row, folder) if needed else Path(row["path"])
                    if reason := next(filter(None, (why(row, place) for why in by_sound)), ""):
                        summary.left_out[reason] += 1
                        continue
                    writer.add(values := _exported(row, card), place)
                    summary.rows += 1
                    summary.licences[values["licence"] or "none"] += 1
                except AudioError as error:
                    summary.left_out["unreadable or changed"] += 1
                    summary.error = summary.error or str(error)
                for copy in folder.iterdir():
                    copy.unlink()
        if not summary.rows:
            what = f"nothing to export ({summary.reasons() or 'it is empty'})"
            raise WsacError(f"{archive.folder}: {what}; change the options, or see to its build")
        facts = {"files": summary.rows, "left_out": dict(summary.left_out)}
        writer.close(card := card | facts | {"licences": dict(summary.licences)})
        if target.is_dir():
            write_json(target / CARD, card)
    return summary


def _card(archive: Archive, name: str, min_confidence: float | None) -> dict[str, Any]:
    return {
        "format": name,
        "captioner": archive.card["model"],
        "captioner_fingerprint": archive.card["model_fingerprint"],
        "wsac_version": __version__,
        "clap": archive.card["clap"],
        "clap_fingerprint": archive.clap_fingerprint,
        "clap_score": SCORE,
        "min_confidence": min_confidence,
    }


def _chosen(
    archive: Archive,
    clap: ClapEncoder,
    summary: ExportSummary,
    least: float | None,
    by_name: Sequence[ByName],
    tick: Tick,
) -> Iterator[Row]:
    """The rows that stay by what is in them, with the score of their caption."""
    for table in archive.tables(COLUMNS):
        embeddings = embeddings_of(table)
        rows = []
        for i, row in enumerate(table.drop_columns(["embedding"]).to_pylist()):
            reason = _fault(row, least) or next(filter(None, (f(row["path"]) for f in by_name)), "")
            if reason:
                summary.left_out[reason] += 1
                tick()
            else:
                rows.append(row | {"embedding": embeddings[i]})
        texts = list(dict.fromkeys(row["caption"] for row in rows))
        places = {text: i for i, text in enumerate(texts)}
        vectors = np.asarray(clap.embed_text(texts)) if texts else np.empty(0)
        for row in rows:
            sound = row.pop("embedding").astype(np.float32)
            cosine = float(vectors[places[row["caption"]]] @ sound / np.linalg.norm(sound))
            yield row | {"clap_score": round(cosine, 4)}
            tick()


def _fault(row: Row, least: float | None) -> str:
    """Why a row is left out, "" if it stays; a guess that is sure enough becomes its caption."""
    if row["error"]:
        return "not captioned (error)"
    if row["silent"]:
        return "silent"
    if least is not None:
        row["caption"] = row["caption"] or row["guess"]
        if row["confidence"] is None:
            return "without confidence"
        if row["confidence"] < least:
            return f"below --min-confidence {least:g}"
    return "" if row["caption"] else "without caption (unsure)"


def _unchanged(row: Row, folder: Path) -> Path:
    """The sound itself, or a copy of one elsewhere. Raises AudioError if it is not what was
    captioned."""
    path = row["path"]
    place = local_copy(path, folder, 0)
    try:
        status = place.stat()
    except OSError as error:
        raise AudioError(f"{path}: cannot read it ({error.strerror}); build again") from error
    mtime = row["mtime"] and round(row["mtime"].timestamp() * 1e6)
    same = not is_address(path) and (status.st_size, status.st_mtime_ns // 1000) == (
        row["size"],
        mtime,
    )
    if not same and content_id(place) != row["id"]:
        raise AudioError(f"{path}: not what was captioned; build the archive again")
    return place


def _exported(row: Row, card: dict[str, Any]) -> Row:
    """What every format has of a sound, as far as it can hold it."""
    extra = json.loads(row["extra"]) if row["extra"] else {}
    named = {key.strip().lower(): str(value) for key, value in extra.items()}
    spans = [{name: _short(span[name]) for name in SPAN} for span in row["spans"] or ()]
    return {
        "path": row["path"],
        "caption": row["caption"],
        "confidence": _short(row["confidence"]),
        "clap_score": row["clap_score"],
        "seconds": row["seconds"],
        "loudness": _short(row["loudness"]),
        "licence": next((named[name] for name in LICENCES if name in named), ""),
        "tags": [tag["label"] for tag in row["tags"] or ()],
        "spans": spans,
        "extra": extra,
        "id": row["id"],
        **{name: card[name] for name in PROVENANCE},
    }


def _short(value: Any) -> Any:
    """Without the digits that a float32 does not have."""
    return round(value, 4) if isinstance(value, float) else value
