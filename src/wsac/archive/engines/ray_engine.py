"""The ray engine: actors of a Ray cluster that write shards to a folder that all machines share."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from wsac import __version__
from wsac.archive.schema import CARD
from wsac.archive.shard_writer import ArchiveJob, Part, PartDone, RowOptions, ShardWriter
from wsac.io.console import be_quiet, say
from wsac.types import WsacError

from .crew import Event, Tell, WorkerDied, run_crew
from .ray_cluster import connected
from .worker import watch_memory

POCKET = "pocket"  # built in, and no path
LOOK = 0.5  # seconds between looks at how far a part is
WAIT = 60.0  # seconds until it is told that the cluster has no place for a worker


def run_ray(
    job: ArchiveJob,
    parts: Iterable[Part],
    *,
    address: str | None = None,
    workers: int | None = None,
    most: int | None = None,
    max_memory: int | None = None,
) -> Iterator[Event]:
    """Write parts in actors, as ``run_crew`` does.

    address: of a cluster; None: one on this machine, for this run. workers: actors, one for each
    GPU by default, or for each processor where there is no GPU; most: there is no work for more.
    max_memory: bytes of all of them together. Raises WsacError.
    """
    job = replace(job, options=_for_all_folders(job.options))
    with connected(address, workers) as ray:
        resources = ray.cluster_resources()
        gpus = 0 if job.options.device == "cpu" else int(resources.get("GPU", 0))
        cpus = max(1, int(resources.get("CPU", 1)))
        count = max(1, min(workers or gpus or cpus, most or cpus))
        needs: dict[str, float] = {"num_cpus": 1 if address else max(1, cpus // count)}
        if gpus:
            needs["num_gpus"] = share_of_gpu(count, gpus)
        share = max_memory // count if max_memory else None
        actors = ray.remote(Actor).options(max_concurrency=2, **needs)
        yield from run_crew([_Remote(ray, actors, job, share) for _ in range(count)], parts)


def _for_all_folders(options: RowOptions) -> RowOptions:
    """The options with whole paths, since an actor may start in another folder."""
    clap = options.clap and _whole(options.clap)
    return replace(options, model=_whole(options.model), clap=clap)


def _whole(name: str) -> str:
    return str(Path(name).absolute()) if name != POCKET and Path(name).exists() else name


def share_of_gpu(workers: int, gpus: int) -> float:
    """The part of a GPU for each worker, so that all fit; Ray counts in ten-thousandths."""
    each = math.ceil(workers / gpus)
    return 1.0 if each == 1 else math.floor(10_000 / each) / 10_000


@dataclass(frozen=True)
class _Place:
    """Where an actor is. sees: whether the archive is there, too."""

    node: str
    version: str
    sees: bool


class Actor:
    """Lives in the cluster. ``done`` answers while ``write`` is under way.

    An error of the user is returned, since Ray would add its own words to one that is raised.
    """

    def __init__(self, job: ArchiveJob, max_memory: int | None) -> None:
        be_quiet()
        self._writer, self._done = ShardWriter(job), 0
        if max_memory:
            threading.Thread(target=watch_memory, args=(max_memory,), daemon=True).start()

    def place(self) -> _Place:
        import ray

        sees = (Path(self._writer.job.folder) / CARD).is_file()
        return _Place(ray.get_runtime_context().get_node_id(), __version__, sees)

    def load(self) -> WsacError | None:
        try:
            self._writer.load()
        except WsacError as error:
            return error
        return None

    def try_alone(self, path: str) -> WsacError | None:
        try:
            self._writer.try_alone(path)
        except WsacError as error:
            return error
        return None

    def write(self, part: Part) -> PartDone | WsacError:
        self._done = 0
        try:
            return self._writer.write(part, self._tell)
        except WsacError as error:
            return error

    def done(self) -> int:
        return self._done

    def _tell(self, files: int) -> None:
        self._done = files


class _Remote:
    """A worker that is an actor. One that has died is replaced, wherever there is a place."""

    def __init__(self, ray: Any, actors: Any, job: ArchiveJob, max_memory: int | None) -> None:
        self._ray, self._actors = ray, actors
        self._job, self._max_memory = job, max_memory
        self._actor: Any = None
        self._node = ""
        self._lock, self._ended = threading.Lock(), False

    def start(self) -> None:
        if self._actor is not None:
            return
        with self._lock:
            if self._ended:
                raise WorkerDied("stopped")
            self._actor = actor = self._actors.remote(self._job, self._max_memory)
        self._node = ""
        answer = actor.place.remote()
        if not self._ray.wait([answer], timeout=WAIT)[0] and not self._ended:
            say("ray: a worker waits for free processors, GPUs or a new machine")
        place = self._result(answer)
        self._node = place.node
        if place.version != __version__:
            what = f"has wsac {place.version}, and this is {__version__}"
            raise WsacError(f"a machine of the cluster {what}; install the same on all")
        if not place.sees:
            what = "is not there on a machine of the cluster; use a folder that all share"
            raise WsacError(f"{self._job.folder}: {what}")

    def attempt(self, part: Part, carefully: bool, tell: Tell) -> PartDone:
        actor = self._actor
        if actor is None:
            raise WorkerDied("stopped")
        if carefully:
            self._result(actor.load.remote())
            for place, path in enumerate(part.files["path"].to_pylist()):
                if place not in part.set_aside:
                    self._result(actor.try_alone.remote(path), place)
        answer, done = actor.write.remote(part), 0
        while not self._ray.wait([answer], timeout=LOOK)[0]:
            if (now := self._result(actor.done.remote())) != done:
                tell(done := now)
        return self._result(answer)

    def end(self) -> None:
        with self._lock:
            self._ended = True
        self._drop()

    def _result(self, answer: Any, place: int | None = None) -> Any:
        """What an actor returned. place: of the file that it tried. Raises WorkerDied."""
        from ray.exceptions import RayError

        try:
            value = self._ray.get(answer)
        except RayError as error:
            lost = self._is_lost(error)
            self._drop()
            raise WorkerDied(self._reason(error), place, lost) from None
        if isinstance(value, WsacError):
            raise value
        return value

    def _is_lost(self, error: Exception) -> bool:
        """Whether the machine went, and not the process alone."""
        if "node has died" in str(error):
            return True
        with suppress(Exception):  # the cluster may be gone
            nodes = self._ray.nodes()
            return bool(self._node) and not any(
                node["Alive"] and node["NodeID"] == self._node for node in nodes
            )
        return False

    def _reason(self, error: Exception) -> str:
        from ray.exceptions import RayActorError

        if not isinstance(error, RayActorError):
            return (str(error).strip().splitlines() or [type(error).__name__])[-1]
        if "creation task" in str(error):  # its class cannot be made there
            return str(error).strip().splitlines()[-1]
        memory = f"took more than {self._max_memory / 2**30:.1f} GiB" if self._max_memory else ""
        return f"it crashed, was killed, or {memory or 'was short'} of memory"

    def _drop(self) -> None:
        with self._lock:
            actor, self._actor = self._actor, None
        if actor is not None:
            with suppress(Exception):  # the cluster may be gone
                self._ray.kill(actor)
