"""Build an archive: list, compare, caption what is new, and go on where a build was stopped."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from wsac.inference.captioner_folder import CARD as CAPTIONER_CARD
from wsac.inference.captioner_folder import check_captioner
from wsac.io.checked_json import CHECKSUM
from wsac.io.console import count_of, duration, progress, say
from wsac.io.files import read_json
from wsac.io.locks import alone_in, sweep
from wsac.io.tensors import checksum_of
from wsac.runtime.cpus import usable_cpus
from wsac.types import AudioError, ModelError, RecipeError, WsacError

from .archive_folder import Archive
from .engines.crew import Event, FilesDone
from .engines.local import run_here, run_local
from .engines.ray_cluster import check_cluster
from .engines.ray_engine import run_ray
from .listing import exists, list_files
from .plan import Plan, apply_edits, make_plan, write_manifest
from .schema import CARD, SHARDS
from .shard_writer import ArchiveJob, PartDone, RowOptions

LOG = "build.log"
SHARD_FILES = 256
WORKER_BYTES = 1 << 30  # what a worker may need; --max-memory allows as many workers
LARGEST_SHARD = 100_000
ENGINES = ("local", "ray")


@dataclass(frozen=True)
class BuildOptions(RowOptions):
    """How an archive is built. Raises RecipeError for impossible values.

    engine: "local" (processes) or "ray" (actors). address: of a Ray cluster, such as 10.0.0.1:6379
    or "auto"; without one, ray runs on this machine. workers: processes or actors; 0: none, all in
    this process; default: one for each processor, as far as ``max_memory`` (bytes of all together)
    allows; with GPUs, ray has one for each. shard_files: files of a shard, which is the unit of
    work. retry_errors: try files again that could not be captioned. The rest as RowOptions.
    """

    engine: str = "local"
    address: str | None = None
    workers: int | None = None
    max_memory: int | None = None
    shard_files: int = SHARD_FILES
    retry_errors: bool = False

    def __post_init__(self) -> None:
        if self.engine not in ENGINES:
            raise RecipeError(f"engine {self.engine!r}: give {' or '.join(ENGINES)}")
        if self.address is not None and self.engine != "ray":
            raise RecipeError("--address is of a Ray cluster; add --engine ray")
        if self.workers == 0 and self.engine == "ray":
            raise RecipeError("0 workers: the ray engine needs 1 or more; leave --workers out")
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
    if options.engine == "ray":
        check_cluster(options.address)
    new = not (folder / CARD).is_file()
    listed = list_files(inputs, leave_out=None if new else folder)
    if new:
        _check_there(listed)
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


def _check_there(listed: pa.Table) -> None:
    """Refuse a new archive of files that are all missing, as of a folder that is mistyped."""
    paths = listed["path"]
    if listed["size"].null_count == len(listed) and not any(exists(p.as_py()) for p in paths):
        others = f" (nor are {len(listed) - 1:,} others)" if len(listed) > 1 else ""
        raise AudioError(f"{paths[0]}: not there{others}; check the path")


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
    told: dict[int, int] = {}  # files of the parts under way
    with (
        (archive.folder / LOG).open("a", encoding="utf-8") as log,
        progress("archive", total, unit="files") as tick,
        closing(_events(archive, plan, options)) as events,
    ):
        for event in events:
            if isinstance(event, FilesDone):
                tick(event.files - told.get(event.number, 0))
                told[event.number] = event.files
                continue
            tick(event.rows - told.pop(event.number, 0))
            if isinstance(event, PartDone):
                summary.rows += event.rows
                summary.errors += event.errors
                summary.examples += event.examples
                files = count_of(event.rows, "file")
                line = f"part {event.number}: {files}, {event.errors} with an error"
            else:
                summary.failed += event.rows
                line = f"part {event.number}: not written ({event.reason})"
                summary.examples.append(f"{archive.folder}: {line}")
            with suppress(OSError):  # a full disk shows elsewhere
                stamp = time.strftime("%Y-%m-%d %H:%M:%S")
                log.write(f"{stamp} {line}; {_rate(summary.rows, total, began)}\n")
                log.flush()
    return summary


def _events(archive: Archive, plan: Plan, options: BuildOptions) -> Generator[Event, None, None]:
    """What the engine of the options does with the parts of the plan."""
    facts = {
        name: archive.card[name] for name in ("format", "model_fingerprint", "clap_fingerprint")
    }
    job = ArchiveJob(str(archive.folder.absolute()), options, facts)
    parts, memory = plan.parts(), options.max_memory
    most = len(plan.todo)  # workers that have something to do
    if memory and options.workers is None:
        most = min(most, max(1, memory // WORKER_BYTES))
    if options.engine == "ray":
        workers, address = options.workers, options.address
        yield from run_ray(
            job, parts, address=address, workers=workers, most=most, max_memory=memory
        )
    elif workers := min(options.count_workers(), most):
        yield from run_local(job, parts, workers=workers, max_memory=memory)
    else:
        yield from run_here(job, parts)


def _first_line(folder: Path, plan: Plan, total: int) -> str:
    counts = [f"{count:,} {name}" for name, count in plan.counts.items() if count]
    changes = f" ({', '.join(counts)})" if counts else ""
    return f"{folder}: {count_of(len(plan.manifest), 'file')}, {total:,} to do{changes}"


def _rate(done: int, total: int, began: float) -> str:
    """Such as: 512 of 20,000 files, 35.1 files/s, 9 min left."""
    seconds = max(time.monotonic() - began, 1e-9)
    left = duration((total - done) / (done / seconds)) if done else "?"
    return f"{done:,} of {total:,} files, {done / seconds:,.1f} files/s, {left} left"
