"""Build an archive: list, compare, caption what is new, and go on where a build was stopped."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wsac.inference.captioner_folder import CARD as CAPTIONER_CARD
from wsac.inference.captioner_folder import check_captioner
from wsac.io.checked_json import CHECKSUM
from wsac.io.console import count_of, progress, say
from wsac.io.files import read_json
from wsac.io.locks import alone_in, sweep
from wsac.io.tensors import checksum_of
from wsac.runtime.cpus import usable_cpus
from wsac.types import ModelError, RecipeError, WsacError

from .archive_folder import Archive
from .engines.local import PartFailed, run_here, run_local
from .listing import list_files
from .plan import Plan, apply_edits, make_plan, write_manifest
from .schema import CARD, SHARDS
from .shard_writer import ArchiveJob, Part, PartDone, RowOptions

LOG = "build.log"
SHARD_FILES = 256
WORKER_BYTES = 1 << 30  # what a worker may need; --max-memory allows as many workers
LARGEST_SHARD = 100_000


@dataclass(frozen=True)
class BuildOptions(RowOptions):
    """How an archive is built. Raises RecipeError for impossible values.

    workers: processes; 0: none, all in this one; default: one for each processor, as far as
    ``max_memory`` (bytes of all together) allows. shard_files: files of a shard, which is the unit
    of work. retry_errors: try files again that could not be captioned. The rest as RowOptions.
    """

    workers: int | None = None
    max_memory: int | None = None
    shard_files: int = SHARD_FILES
    retry_errors: bool = False

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 0:
            raise RecipeError(f"{self.workers} workers: give 1 or more, or 0 for this process")
        if not 1 <= self.shard_files <= LARGEST_SHARD:
            raise RecipeError(f"{self.shard_files} files a shard: give 1 to {LARGEST_SHARD:,}")
        if self.max_memory is not None and self.max_memory < WORKER_BYTES // 2:
            raise RecipeError("so little memory: a worker needs about 1 GiB; give 512M or more")
        count = self.workers or 0
        if self.max_memory and self.max_memory < count * WORKER_BYTES // 2:
            what = f"{count} workers in so little memory: each needs about 1 GiB"
            raise RecipeError(f"{what}; give fewer, or {count * WORKER_BYTES >> 30}G")

    def count_workers(self) -> int:
        if self.workers is not None:
            return self.workers
        most = max(1, self.max_memory // WORKER_BYTES) if self.max_memory else usable_cpus()
        return min(usable_cpus(), most)


@dataclass
class BuildSummary:
    """What a build did. counts: of files, as in Plan. rows, errors: of the shards that it wrote.
    failed: files in shards that could not be written. examples: some of the errors. standing:
    errors that were in the archive before, and are not tried again."""

    counts: dict[str, int] = field(default_factory=dict)
    listed: int = 0
    rows: int = 0
    errors: int = 0
    failed: int = 0
    standing: int = 0
    examples: list[str] = field(default_factory=list)


def build_archive(
    inputs: Sequence[str | Path], folder: str | Path, options: BuildOptions | None = None
) -> BuildSummary:
    """Make ``folder`` an archive of the inputs, or bring it up to date.

    What is there is not done again, also after a build that was killed. Raises WsacError for
    inputs, models, and an archive in use or made with other options.
    """
    options = options or BuildOptions()
    folder = Path(folder)
    check_captioner(options.model)
    listed = list_files(inputs)
    with alone_in(folder):
        sweep(folder / SHARDS)
        archive = _open(folder, options)
        plan = make_plan(
            archive, listed, shard_files=options.shard_files, retry_errors=options.retry_errors
        )
        del listed
        write_manifest(archive, plan)
        apply_edits(archive, plan)
        return _work(archive, plan, options)


def _open(folder: Path, options: BuildOptions) -> Archive:
    """The archive in the folder, or a new one. Raises WsacError if it has another model."""
    card = check_captioner(options.model) / CAPTIONER_CARD
    record = read_json(card)
    if not isinstance(record, dict):
        raise ModelError(f"{card}: not as wsac wrote it; make it again")
    fingerprint = str(record.get(CHECKSUM) or checksum_of(card))[:32]
    settings: dict[str, Any] = {
        "min_confidence": options.min_confidence,
        "labels": list(options.labels),
        "spans": options.spans,
    }
    if (folder / CARD).is_file():
        archive = Archive.open(folder)
        before = archive.card.get("options") or {}
        changes = [
            f"--{name.replace('_', '-')} {_shown(before.get(name))}, now {_shown(value)}"
            for name, value in settings.items()
            if before.get(name) != value
        ]
        if archive.card.get("model_fingerprint") != fingerprint:
            changes.insert(0, "another --model")
        if changes:
            what = f"built with other options ({'; '.join(changes)})"
            raise WsacError(f"{folder}: {what}; use the same, or another --out")
        return archive
    if any(path.name != ".lock" for path in folder.iterdir()):
        raise WsacError(f"{folder}: there is something here, and no archive; name a new folder")
    clap, dim = str(record.get("clap", "")), record.get("decoder", {}).get("embed_dim")
    return Archive.create(
        folder,
        model=options.model,
        model_fingerprint=fingerprint,
        clap=options.clap or clap,
        clap_fingerprint=str(record.get("clap_fingerprint", "")),
        embed_dim=dim,
        options=settings,
    )


def _shown(value: Any) -> str:
    """An option's value as the user would write it."""
    if isinstance(value, list):
        return repr(", ".join(value)) if value else "not given"
    return "not given" if value in (None, False) else "given" if value is True else str(value)


def _work(archive: Archive, plan: Plan, options: BuildOptions) -> BuildSummary:
    """Write the shards that are to be done, with progress on stderr and in ``build.log``."""
    summary = BuildSummary(plan.counts, len(plan.manifest), standing=plan.standing)
    total, began = plan.files_to_do, time.monotonic()
    say(_first_line(archive.folder, plan, total))
    if not total:
        return summary
    with (
        (archive.folder / LOG).open("a", encoding="utf-8") as log,
        progress("archive", total, unit="files") as tick,
        closing(_events(archive, plan.parts(), options)) as events,
    ):
        for event in events:
            if isinstance(event, PartDone):
                summary.rows += event.rows
                summary.errors += event.errors
                summary.examples += event.examples
                tick(event.rows)
                line = f"part {event.number}: {event.rows} files, {event.errors} errors"
            else:
                summary.failed += event.rows
                tick(event.rows)
                line = f"part {event.number}: not written ({event.reason})"
                summary.examples.append(f"{archive.folder}: {line}")
            with suppress(OSError):  # a full disk shows elsewhere
                stamp = time.strftime("%Y-%m-%d %H:%M:%S")
                log.write(f"{stamp} {line}; {_rate(summary.rows, total, began)}\n")
                log.flush()
    return summary


def _events(
    archive: Archive, parts: Iterator[Part], options: BuildOptions
) -> Generator[PartDone | PartFailed, None, None]:
    facts = {
        name: archive.card[name] for name in ("format", "model_fingerprint", "clap_fingerprint")
    }
    job = ArchiveJob(str(archive.folder), options, facts)
    if not (workers := options.count_workers()):
        yield from run_here(job, parts)
    else:
        yield from run_local(job, parts, workers=workers, max_memory=options.max_memory)


def _first_line(folder: Path, plan: Plan, total: int) -> str:
    counts = [f"{count:,} {name}" for name, count in plan.counts.items() if count]
    changes = f" ({', '.join(counts)})" if counts else ""
    return f"{folder}: {count_of(len(plan.manifest), 'file')}, {total:,} to do{changes}"


def _rate(done: int, total: int, began: float) -> str:
    """Such as: 512 of 20,000 files, 35.1 files/s, 9 min left."""
    seconds = max(time.monotonic() - began, 1e-9)
    left = (total - done) / (done / seconds) if done else 0.0
    return f"{done:,} of {total:,} files, {done / seconds:,.1f} files/s, {left / 60:,.0f} min left"
