"""The official caption files of Clotho, AudioCaps and WavCaps: what they are, and to get them."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from wsac.io.console import say
from wsac.io.files import read_json, write_json
from wsac.io.hub import hub_file
from wsac.io.locks import alone_in
from wsac.io.mirrors import digest_of, download
from wsac.types import CorpusError, Example, WsacError, did_you_mean

from .corpus import read_captions, write_jsonl

RECORD = "sources.json"  # licences that were accepted, and where each file is from


@dataclass(frozen=True, slots=True)
class CaptionSet:
    """A set of captions. terms: where its licence is explained. megabytes: to be downloaded.

    files: ``path`` below the folder, ``sha256`` and ``urls``, the best first. Or a data set on the
    Hub: ``repo`` and ``revision``, its files of captions by source, and ``blacklists``, which list
    by source the clips that do not go into ``target``.
    """

    name: str
    title: str
    licence: str
    terms: str
    megabytes: float
    files: tuple[dict[str, Any], ...] = ()
    repo: str = ""
    revision: str = ""
    target: str = ""
    sources: dict[str, str] | None = None
    blacklists: tuple[str, ...] = ()

    @property
    def train(self) -> str:
        """The file to train on, below the folder."""
        return self.target or str(self.files[0]["path"])


_TABLES = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
CAPTION_SETS = {name: CaptionSet(name, **row) for name, row in _TABLES.items()}


def fetch_captions(
    names: Sequence[str], out: Path, accept: Callable[[CaptionSet], bool]
) -> list[dict[str, Any]]:
    """Download sets of captions into ``out``, where train/, validation/ and test/ hold them.

    accept: asks for a licence; it is asked once for each set and folder, and before anything is
    downloaded. Returns a row for each file: set, file, captions, left_out, sha256 and source.
    Raises WsacError for an unknown set, a declined licence, and what cannot be had or written.
    """
    for name in names:
        if name not in CAPTION_SETS:
            hint = did_you_mean(name, CAPTION_SETS) or f"there are {', '.join(CAPTION_SETS)}"
            raise WsacError(f"{name}: no such set of captions; {hint.strip()}")
    wanted = [CAPTION_SETS[name] for name in dict.fromkeys(names)]
    rows = []
    with alone_in(out):
        record = _read_record(out / RECORD)
        for each in wanted:
            if record.get(each.name, {}).get("licence") == each.licence:
                continue
            if not accept(each):
                raise WsacError(f"{each.title}: its licence is not accepted; nothing is downloaded")
            terms = {"licence": each.licence, "terms": each.terms, "accepted": f"{date.today()}"}
            record[each.name] = terms
        write_json(out / RECORD, record)
        for each in wanted:
            entry = record[each.name]
            entry["files"] = _from_hub(each, out, entry) if each.repo else _from_urls(each, out)
            write_json(out / RECORD, record)
            rows += entry["files"]
    return rows


def _read_record(path: Path, kind: type = dict) -> dict[str, Any]:
    """An object of objects, or of another kind of values; {} without the file."""
    record = read_json(path) if path.exists() else {}
    if not isinstance(record, dict) or not all(isinstance(row, kind) for row in record.values()):
        raise WsacError(f"{path}: not the file it should be; delete it and give the command again")
    return record


def _from_urls(each: CaptionSet, out: Path) -> list[dict[str, Any]]:
    rows = []
    for file in each.files:
        path = download(file["urls"], out / file["path"], file["sha256"])
        count = len(read_captions(path))
        rows.append(_row(each, path, out, count, 0, file["urls"][0]))
    return rows


def _from_hub(each: CaptionSet, out: Path, entry: dict[str, Any]) -> list[dict[str, Any]]:
    """The captions of all sources in one file, without the clips of the blacklists."""
    target = out / each.target
    rows = entry.get("files")
    if rows and target.is_file() and digest_of(target) == rows[0]["sha256"]:
        return list(rows)  # as it was written
    get: dict[str, Any] = {"revision": each.revision, "kind": "dataset"}
    blacklists = [_read_record(hub_file(each.repo, name, **get), list) for name in each.blacklists]
    examples, read = [], 0
    for source, name in (each.sources or {}).items():
        barred = {str(clip) for blacklist in blacklists for clip in blacklist.get(source, ())}
        captions = _usable(hub_file(each.repo, name, **get))
        read += len(captions)
        examples += [example for example in captions if example.clip not in barred]
    write_jsonl(examples, target)
    left_out = read - len(examples)
    say(f"{each.title}: left out {left_out:,} of {read:,} captions, whose clips are in test sets")
    return [_row(each, target, out, len(examples), left_out, f"{each.repo}@{each.revision}")]


def _usable(path: Path) -> list[Example]:
    """The captions of a file of WavCaps; rows at fault are left out, and named."""
    try:
        return read_captions(path, format="wavcaps")
    except CorpusError as error:
        captions = read_captions(path, format="wavcaps", skip_invalid=True)
        say(f"left out: {error}")
        return captions


def _row(
    each: CaptionSet, path: Path, out: Path, captions: int, left_out: int, source: str
) -> dict[str, Any]:
    row = {"set": each.name, "file": path.relative_to(out).as_posix(), "captions": captions}
    return row | {"left_out": left_out, "sha256": digest_of(path), "source": source}


def check_downloaded(files: Iterable[str]) -> None:
    """Raise CorpusError for a file of ``fetch_captions`` that is not here: its command is told."""
    known = {each.train: each.name for each in CAPTION_SETS.values()}
    missing = [Path(file) for file in files if not Path(file).exists()]
    names = [known.get("/".join(path.parts[-2:])) for path in missing]
    if wanted := [name for name in names if name]:
        folder = missing[0].parent.parent
        where = "" if str(folder) == "captions" else f" --out {folder}"
        command = f"wsac download captions {' '.join(wanted)}{where}"
        raise CorpusError(f"{missing[0]}: not downloaded yet; first give: {command}")
