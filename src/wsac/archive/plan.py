"""What a build has to do: compare the files that are listed with the rows that are there.

Shards are the truth: what they hold is done. The manifest of the last build only keeps the numbers
of shards that were planned and not written, so that a resumed build writes the same ones.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .archive_folder import Archive, read_table
from .content import content_id
from .listing import exists, is_address
from .schema import FILE_COLUMNS, manifest_schema, shard_number, write_parquet
from .shard_writer import Part

EARLY, SMALLEST = 8, 16  # so many shards of an eighth come first, if they have so many files
STATE = ("path", "size", "mtime", "extra")  # a row with these is up to date


@dataclass
class Plan:
    """manifest: every file of the archive, with the number of its shard. todo: the numbers of
    shards to write. edits: changes of rows in shards, by number and old path: new values, or None
    to remove the row. counts: of files; absent are those that are not in this input and still
    exist. standing: errors of files that are not tried again."""

    manifest: pa.Table
    todo: list[int]
    edits: dict[int, dict[str, dict[str, Any] | None]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    standing: int = 0

    def parts(self) -> Iterator[Part]:
        """The work, in the order of the numbers."""
        table = self.manifest.sort_by("part") if len(self.todo) else self.manifest
        numbers = table["part"].to_numpy()
        files = table.select(STATE)
        for number in self.todo:
            start, end = np.searchsorted(numbers, [number, number + 1])
            yield Part(number, files.slice(start, end - start).combine_chunks())

    @property
    def files_to_do(self) -> int:
        return int(np.isin(self.manifest["part"].to_numpy(), self.todo).sum())


def make_plan(archive: Archive, listed: pa.Table, *, shard_files: int, retry_errors: bool) -> Plan:
    """Compare and number. listed: as ``list_files`` gives it. shard_files: rows of a new shard.

    A file is changed when its size or time is another one; a new or changed file with the content
    of one that is gone has moved. A file that is there and not listed stays.
    """
    done = _done(archive)
    joined = _with_row_numbers(listed, done)
    row = joined["row"].to_numpy()  # [N] place in ``done``, -1 of a new path
    same = (row >= 0) & _equal(joined, done, row, ("size", "mtime"))
    failed = np.append(done["failed"].to_numpy(), False)[row]  # row -1 is the one appended
    keep = same & ~(failed & retry_errors)
    part = np.where(keep, np.append(done["part"].to_numpy(), -1)[row], -1)
    plan = Plan(listed, [])
    _keep_up(plan, joined, done, row, keep)
    fresh = np.flatnonzero(~keep)
    gone = np.setdiff1d(np.arange(len(done)), row[keep])
    gone_paths = done["path"].take(gone).to_pylist()
    is_listed = np.asarray(pc.is_in(done["path"].take(gone), listed["path"]))
    there = [not name and exists(path) for path, name in zip(gone_paths, is_listed, strict=True)]
    absent = np.array(there, bool)
    stays, deleted = gone[absent], int((~absent & ~is_listed).sum())
    gone = gone[~absent]
    moved = _moved(listed, fresh, done, gone)
    for new, old in moved.items():
        values = listed.slice(new, 1).to_pylist()[0]
        _edit(plan, done, old, values)
        part[new] = done["part"][old].as_py()
    for old in np.setdiff1d(gone, list(moved.values())).tolist():
        _edit(plan, done, old, None)
    fresh = np.array([i for i in fresh.tolist() if i not in moved], np.int64)
    _number(plan, archive, listed, part, fresh, shard_files)
    rest = done.take(stays)
    manifest = pa.concat_tables(
        [
            listed.append_column("part", pa.array(part, pa.int32())),
            rest.select([*STATE, "part"]),
        ]
    ).cast(manifest_schema())
    plan.manifest, plan.todo = manifest, sorted(set(part[fresh].tolist()))
    plan.standing = int((keep & failed).sum()) + int(done["failed"].to_numpy()[stays].sum())
    renamed = sum(row[new] != old for new, old in moved.items())
    plan.counts = {
        "new": int((row[fresh] < 0).sum()),
        "changed": int(((row >= 0) & ~same)[fresh].sum()),
        "tried again": int(same[fresh].sum()),
        "moved": renamed,
        "deleted": deleted - renamed,
        "absent": len(stays),
    }
    return plan


def apply_edits(archive: Archive, plan: Plan) -> None:
    """Write the shards with rows that moved or went. After a kill the next plan has the rest."""
    shards = {shard_number(path): path for path in archive.shards()}
    for number, edits in plan.edits.items():
        _rewrite(shards[number], edits)


def _rewrite(path: Path, edits: dict[str, dict[str, Any] | None]) -> None:
    table = read_table(path)
    paths = table["path"].to_pylist()
    keep = [i for i, name in enumerate(paths) if edits.get(name, {}) is not None]
    if not keep:
        path.unlink()
        return
    for name in STATE:
        values = table[name].to_pylist()
        for i in keep:
            values[i] = (edits.get(paths[i]) or {}).get(name, values[i])
        place = table.schema.get_field_index(name)
        table = table.set_column(place, table.schema.field(name), [values])
    write_parquet(path, table.take(keep))


def _done(archive: Archive) -> pa.Table:
    """All rows of the shards: STATE, id, failed, part."""
    tables = []
    for shard in archive.shards():
        table = archive.read(shard, [*STATE, "id", "error"])
        failed = pc.not_equal(table["error"], "")
        number = pa.array(np.full(len(table), shard_number(shard)), pa.int32())
        table = table.drop_columns("error").append_column("failed", failed)
        tables.append(table.append_column("part", number).replace_schema_metadata(None))
    if tables:
        return pa.concat_tables(tables)
    fields = [*FILE_COLUMNS, pa.field("extra", pa.string(), nullable=False)]
    fields += [pa.field("id", pa.string()), pa.field("failed", pa.bool_())]
    return pa.schema([*fields, pa.field("part", pa.int32())]).empty_table()


def _with_row_numbers(listed: pa.Table, done: pa.Table) -> pa.Table:
    """The listed files with ``row``, their place in ``done``, or -1; in their order.

    A path may be in two shards, where a build was killed between two edits: the first counts.
    """
    numbered = listed.append_column("place", pa.array(np.arange(len(listed))))
    rows = done.select(["path"]).append_column("row", pa.array(np.arange(len(done))))
    rows = rows.group_by("path").aggregate([("row", "min")]).rename_columns(["path", "row"])
    joined = numbered.join(rows, "path", join_type="left outer").sort_by("place")
    row = pc.fill_null(joined["row"], -1)
    return joined.set_column(joined.schema.get_field_index("row"), "row", row)


def _equal(joined: pa.Table, done: pa.Table, row: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    """[N] whether all these columns are those of the row; of row -1 anything."""
    equal = np.ones(len(row), bool)
    for name in names:
        now, before = (_comparable(table[name]) for table in (joined, done))
        equal &= now == np.append(before, before[:1] if len(before) else now[:1])[row]
    return equal


def _comparable(column: pa.ChunkedArray) -> np.ndarray:
    if pa.types.is_string(column.type):
        return np.asarray(column.to_pylist(), object)
    return pc.fill_null(column.cast(pa.int64()), -(1 << 62)).to_numpy()


def _keep_up(
    plan: Plan, joined: pa.Table, done: pa.Table, row: np.ndarray, keep: np.ndarray
) -> None:
    """Rows that stay get the further columns that their list has now."""
    if len(done):
        for i in np.flatnonzero(keep & ~_equal(joined, done, row, ("extra",))).tolist():
            _edit(plan, done, int(row[i]), {"extra": joined["extra"][i].as_py()})


def _moved(listed: pa.Table, fresh: np.ndarray, done: pa.Table, gone: np.ndarray) -> dict[int, int]:
    """Files by their place in ``listed`` with the rows of their content, each row once.

    Only files of the size of a row that is gone are read, and only local ones.
    """
    by_id: dict[str, list[int]] = defaultdict(list)
    sizes = set()
    for i in gone.tolist():
        if (name := done["id"][i].as_py()) and not done["failed"][i].as_py():
            by_id[name].append(i)
            sizes.add(done["size"][i].as_py())
    if not by_id:
        return {}
    candidates = [i for i in fresh.tolist() if listed["size"][i].as_py() in sizes]
    paths = [listed["path"][i].as_py() for i in candidates]
    moved = {}
    with ThreadPoolExecutor(4) as pool:
        ids = pool.map(lambda p: None if is_address(p) else content_id(Path(p)), paths)
        for i, name in zip(candidates, ids, strict=True):
            if name and by_id.get(name):
                moved[i] = by_id[name].pop(0)
    return moved


def _edit(plan: Plan, done: pa.Table, row: int, values: dict[str, Any] | None) -> None:
    number, path = done["part"][row].as_py(), done["path"][row].as_py()
    plan.edits.setdefault(number, {})[path] = values


def _number(
    plan: Plan, archive: Archive, listed: pa.Table, part: np.ndarray, fresh: np.ndarray, size: int
) -> None:
    """Give files that are to be done the numbers of an unfinished build, or new ones."""
    written = {shard_number(path) for path in archive.shards()}
    highest, before = max(written, default=-1), dict[str, tuple[Any, ...]]()
    if archive.manifest.is_file():
        table = read_table(archive.manifest)
        highest = max(highest, pc.max(table["part"]).as_py() if len(table) else -1)
        open_rows = ~np.isin(table["part"].to_numpy(), list(written))
        for values in table.filter(pa.array(open_rows)).to_pylist():
            before[values["path"]] = values["size"], values["mtime"], values["part"]
    files = listed.take(fresh).to_pylist() if before else []
    new = []
    for i, values in zip(fresh.tolist(), files, strict=False):
        planned = before.get(values["path"])
        if planned and planned[:2] == (values["size"], values["mtime"]):
            part[i] = planned[2]
        else:
            new.append(i)
    new = new if before else fresh.tolist()
    part[new] = highest + 1 + _shards_of(len(new), size, first=highest < 0)


def _shards_of(count: int, size: int, *, first: bool) -> np.ndarray:
    """[count] numbers of shards from 0. first: of an archive, whose rows should come soon."""
    places = np.arange(count)
    small = size // EARLY
    if not first or small < SMALLEST:
        return places // size
    early = np.minimum(places // small, EARLY)
    return early + np.maximum(places - EARLY * small, 0) // size


def write_manifest(archive: Archive, plan: Plan) -> None:
    """Write the manifest, which comes before the shards that it names."""
    write_parquet(archive.manifest, plan.manifest)
