"""What every engine does when a worker ends: with workers that do as their script says."""

from __future__ import annotations

import threading

import pyarrow as pa
import pytest

from wsac.archive.engines.crew import FilesDone, PartFailed, WorkerDied, run_crew
from wsac.archive.engines.ray_engine import share_of_gpu
from wsac.archive.shard_writer import Part, PartDone
from wsac.types import WsacError


def parts(count, files=3):
    for number in range(count):
        paths = [f"{number}-{i}.wav" for i in range(files)]
        yield Part(number, pa.table({"path": paths}))


class Scripted:
    """Ends as often as its script says: for each attempt an exception to raise, or None."""

    def __init__(self, script=(), starts=()):
        self.script, self.starts, self.log, self.ended = list(script), list(starts), [], False

    def start(self):
        if self.ended:
            raise WorkerDied("stopped")
        if self.starts and (error := self.starts.pop(0)):
            raise error

    def attempt(self, part, carefully, tell):
        self.log.append((part.number, carefully, dict(part.set_aside)))
        tell(1)
        if self.script and (error := self.script.pop(0)):
            raise error
        return PartDone(part.number, len(part.files), len(part.set_aside), 0.0)

    def end(self):
        self.ended = True


def run(crew, count):
    return [event for event in run_crew(crew, parts(count)) if not isinstance(event, FilesDone)]


def test_every_part_is_done_once_by_any_number_of_workers():
    for workers in (1, 2, 5):
        crew = [Scripted() for _ in range(workers)]
        assert sorted(event.number for event in run(crew, 12)) == list(range(12))
        assert all(worker.ended for worker in crew)
    assert run([Scripted()], 0) == []


def test_what_a_worker_drops_is_done_carefully():
    worker = Scripted([None, WorkerDied("killed"), None])
    assert [event.number for event in run([worker], 2)] == [0, 1]
    assert worker.log == [(0, False, {}), (1, False, {}), (1, True, {})]


def test_a_file_that_ends_its_worker_twice_is_set_aside():
    script = [WorkerDied("killed"), WorkerDied("SIGSEGV", 1), WorkerDied("SIGSEGV", 1)]
    worker = Scripted(script)
    [done] = run([worker], 1)
    assert done.errors == 1
    [error] = worker.log[-1][2].values()
    assert error.startswith("0-1.wav: set aside, since its process ended twice (SIGSEGV)")


def test_a_part_that_ends_its_worker_for_no_reason_fails_alone():
    worker = Scripted([WorkerDied("killed")] * 4)
    [failed] = run([worker], 1)
    assert failed == PartFailed(0, 3, "killed")
    assert run([Scripted([None] + [WorkerDied("killed")] * 4)], 2)[0] == PartDone(0, 3, 0, 0.0)


def test_lost_machines_are_nobodys_fault():
    worker = Scripted([WorkerDied("its machine went", 1, lost=True)] * 9)
    [done] = run([worker], 1)
    assert done == PartDone(0, 3, 0, 0.0)
    assert not any(carefully for _, carefully, _ in worker.log)


def test_a_worker_that_never_gets_ready_holds_no_part():
    class Waiting(Scripted):
        release = threading.Event()

        def start(self):
            self.release.wait()
            super().start()

        def end(self):
            super().end()
            self.release.set()

    crew = [Scripted([WorkerDied("killed")]), Waiting()]
    assert sorted(event.number for event in run(crew, 5)) == list(range(5))
    assert crew[1].log == []


def test_workers_that_cannot_start_end_the_build():
    with pytest.raises(WsacError, match="no worker can start: no memory"):
        run([Scripted(starts=[WorkerDied("no memory")] * 3)], 2)
    crew = [Scripted(starts=[WorkerDied("gone", lost=True)] * 5)]  # as on machines that come and go
    assert len(run(crew, 2)) == 2


def test_an_error_of_the_user_ends_the_build_and_its_workers():
    crew = [Scripted([None, WsacError("disk full")])]
    with pytest.raises(WsacError, match="disk full"):
        run(crew, 9)
    assert crew[0].ended


@pytest.mark.parametrize("gpus", range(1, 9))
def test_workers_fit_on_their_gpus(gpus):
    for workers in range(1, 40):
        share = share_of_gpu(workers, gpus)
        assert int(1 / share + 1e-9) * gpus >= workers
        assert share == round(share, 4)
