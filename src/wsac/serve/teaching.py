"""Trainings that clients ask for: one at a time, each a process of its own beside the server."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import tempfile
import time
import zipfile
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from wsac.arrays import WITH_TORCH
from wsac.inference.captioner import Captioner
from wsac.io.json_text import to_json
from wsac.io.locks import temporary_beside
from wsac.runtime.cpus import usable_cpus
from wsac.types import WsacError

from .answers import RefusalError
from .teach_schemas import MOST_LINES, LossRow, TeachRequest, TeachState

MOST_TAUGHT = 4  # models that a server holds beside its own
MOST_LOG, MOST_LOSSES, LONGEST_LINE = 60, 400, 1 << 20
LEFT_OUT = (".lock", "checkpoint.safetensors")  # of the bundle


class Teacher:
    """Trains captioners. command: runs ``wsac train`` and tells its progress, as
    ``wsac.cli.teach_process`` does. add: makes a captioner one of the server's models. taken: names
    of models that cannot be used. seconds: of a training, at most. device: of the new captioners.

    Everything lies in a folder that is removed by ``close``, or, when the server was killed, by the
    next one. Used in one event loop.
    """

    def __init__(
        self,
        command: Sequence[str],
        add: Callable[[str, Captioner], Awaitable[None]],
        *,
        taken: Sequence[str] = (),
        seconds: float = 3600.0,
        device: str = "cpu",
    ) -> None:
        self._command, self._add, self._taken = tuple(command), add, tuple(taken)
        self._seconds, self._device = seconds, device
        self._state = TeachState(state="idle")
        self._names: set[str] = set()
        self._root: Path | None = None
        self._lock: int | None = None
        self._task: asyncio.Task[None] | None = None
        self._bundle: Path | None = None
        self._began = 0.0

    def start(self, wanted: TeachRequest) -> TeachState:
        """Begin a training. Raises RefusalError: 409 without torch, while another one runs, for a
        name that is taken and for too many models; 400 for too many captions; 503 when the disk is
        full."""
        if not WITH_TORCH:
            raise RefusalError(409, "teaching needs torch: pip install 'wsac[train]'")
        if self._task is not None and not self._task.done():
            what = "a training is running; wait for its end, or end it with DELETE /v1/teach"
            raise RefusalError(409, what)
        if wanted.name in self._taken:
            raise RefusalError(409, f"name: {wanted.name} is a model of the server; choose another")
        if len(self._names - {wanted.name}) >= MOST_TAUGHT:
            what = f"{MOST_TAUGHT} models were taught already; use one of their names again"
            raise RefusalError(409, f"name: {what}: {', '.join(sorted(self._names))}")
        suffix, text = _text_of(wanted)
        if (lines := text.count("\n") + 1) > MOST_LINES:
            what = f"captions: {lines:,} lines, and at most {MOST_LINES:,} are taken here"
            raise RefusalError(400, f"{what}; wsac train takes more")
        try:
            folder = self._new_folder()
            captions = folder / f"captions.{suffix}"
            captions.write_text(text, encoding="utf-8")
        except OSError as error:
            what = f"the captions cannot be stored ({error.strerror}); try again later"
            raise RefusalError(503, what, Retry_After="30") from error
        self._state = TeachState(state="training", model=wanted.name)
        self._began = time.monotonic()
        self._task = asyncio.create_task(self._train(wanted, folder, captions))
        return self.state()

    def state(self) -> TeachState:
        """How far the training is; of the last one when none runs."""
        if self._state.state == "training":
            self._state.seconds = round(time.monotonic() - self._began, 1)
        return self._state

    async def cancel(self) -> TeachState:
        """End a training that runs, and leave nothing of it."""
        if self._task is not None and not self._task.done():
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        return self.state()

    def bundle(self) -> Path:
        """A zip of the captioner that was taught last. Raises RefusalError (404) without one."""
        if self._bundle is None:
            raise RefusalError(404, "nothing was taught yet; begin with POST /v1/teach")
        return self._bundle

    async def close(self) -> None:
        await self.cancel()
        if self._root is not None:
            await asyncio.to_thread(shutil.rmtree, self._root, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
        self._root = self._lock = self._bundle = None

    def _new_folder(self) -> Path:
        if self._root is None:
            target = Path(tempfile.gettempdir(), "wsac-teach")
            self._root, self._lock = temporary_beside(target, folder=True)
        return Path(tempfile.mkdtemp(dir=self._root))

    async def _train(self, wanted: TeachRequest, folder: Path, captions: Path) -> None:
        out, zipped = folder / wanted.name, folder / f"{wanted.name}.zip"
        try:
            async with asyncio.timeout(self._seconds):
                verdict = await self._run(wanted, captions, out)
            captioner = await asyncio.to_thread(Captioner.load, out, device=self._device)
            await asyncio.to_thread(_zip, out, zipped, verdict)
            await self._add(wanted.name, captioner)
            self._names.add(wanted.name)
            if self._bundle is not None:
                self._bundle.unlink(missing_ok=True)
            self._bundle = zipped.replace(folder.with_name(zipped.name))
            self._state.grade, self._state.verdict = verdict["grade"], verdict["text"]
            self._end("done")
        except TimeoutError:
            what = f"not done within {self._seconds:g} s; send fewer captions or epochs"
            self._end("failed", f"{what}, or use wsac train")
        except asyncio.CancelledError:
            self._end("cancelled")
            raise
        except (WsacError, OSError, ValueError) as error:
            self._end("failed", str(error).replace(f"{folder}{os.sep}", ""))
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _end(self, state: Any, error: str = "") -> None:
        self.state().error = error
        self._state.state = state

    async def _run(self, wanted: TeachRequest, captions: Path, out: Path) -> dict[str, Any]:
        """The verdict of a training, as data. Raises WsacError with the last line of a failed one,
        and ends the process when it is cancelled."""
        words = ["--captions", str(captions), "--out", str(out), "--skip-invalid", "--json"]
        words += ["--epochs", str(wanted.epochs), "--seed", str(wanted.seed)]
        words += ["--start", wanted.start] if wanted.start else []
        threads = str(max(1, usable_cpus() // 2))
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *self._command,
            *words,
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            limit=LONGEST_LINE,
            env=os.environ | {"OMP_NUM_THREADS": threads},
        )
        assert process.stdout is not None
        try:
            told, _ = await asyncio.gather(process.stdout.read(), self._follow(process.stderr, out))
            code = await process.wait()
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        if code:
            last = next(iter(self._state.log[-1:]), "it was ended from outside")
            raise WsacError(last.removeprefix("error: "))
        return json.loads(told)

    async def _follow(self, stderr: Any, out: Path) -> None:
        state, folder = self._state, f"{out.parent}{os.sep}"
        async for content in stderr:
            line = content.decode("utf-8", "replace").rstrip().replace(folder, "")
            if not line.startswith('{"title"'):
                state.log = [*state.log, line][-MOST_LOG:]
                state.held_out = _held_out(out / "metrics.jsonl") or state.held_out
                continue
            row = json.loads(line)
            state.step, state.done, state.total = row["title"], row["done"], row["total"]
            _, is_loss, loss = row["note"].partition("loss ")
            if is_loss and not (state.losses and state.losses[-1].loss == float(loss)):  # a new one
                if len(state.losses) >= MOST_LOSSES:
                    state.losses = state.losses[1::2]
                state.losses.append(LossRow(step=row["done"], loss=float(loss)))


def _text_of(wanted: TeachRequest) -> tuple[str, str]:
    """(suffix, text) of the file of captions."""
    if isinstance(wanted.captions, str):
        return wanted.format, wanted.captions.removeprefix("\ufeff")
    return "jsonl", "\n".join(to_json({"caption": caption}) for caption in wanted.captions)


def _held_out(metrics: Path) -> list[LossRow]:
    """The losses on captions that are held out."""
    with suppress(OSError, ValueError):
        rows = map(json.loads, metrics.read_text(encoding="utf-8").splitlines())
        losses = [(row["step"], row["validation_loss"]) for row in rows]
        return [LossRow(step=step, loss=loss) for step, loss in losses if loss is not None]
    return []


def _zip(folder: Path, target: Path, verdict: dict[str, Any]) -> None:
    """The files of a captioner under the name of its folder, with the verdict. Stored as they are:
    weights do not get smaller."""
    with zipfile.ZipFile(target, "w") as bundle:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            if path.name not in LEFT_OUT:
                bundle.write(path, f"{folder.name}/{path.relative_to(folder).as_posix()}")
        bundle.writestr(f"{folder.name}/verdict.txt", "\n".join(verdict["text"]) + "\n")
