"""One thread for the model, and batches of what waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Batcher(Generic[Item, Result]):
    """Runs a function on what many clients submit, a batch at a time, in a thread of its own.

    run: takes a list and returns a result, or an exception, for each item, in order. If it raises,
    the batch is halved until the items that fail stand alone, so that they alone fail. most: items
    of a batch. wait: seconds that the first of a batch waits for others; those that come while the
    model works wait for nothing else. observe: told the size of each batch. thread: of another
    batcher, to share; that one is closed last.

    Between ``start`` and ``close``, all of which belong to one event loop. What nobody waits for
    any more is not run.
    """

    def __init__(
        self,
        run: Callable[[list[Item]], Sequence[Result | Exception]],
        *,
        most: int,
        wait: float,
        observe: Callable[[int], Any] = lambda size: None,
        thread: ThreadPoolExecutor | None = None,
    ) -> None:
        self._run, self._most, self._wait, self._observe = run, most, wait, observe
        self.thread = thread or ThreadPoolExecutor(1, "wsac-model")
        self._shared = thread is not None
        self._waiting: asyncio.Queue[tuple[Item, asyncio.Future[Result]] | None] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._serve())

    async def submit(self, item: Item) -> Result:
        """The result of an item. Raises what ``run`` raised or returned for it."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.put_nowait((item, future))
        return await future

    async def alone(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function in the thread of the model, when its turn comes."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.thread, function, *arguments)

    async def close(self) -> None:
        """Finish what was submitted, then end the thread."""
        self._waiting.put_nowait(None)
        if self._task is not None:
            await self._task
        if not self._shared:
            self.thread.shutdown()

    async def _serve(self) -> None:
        open_ = True
        while open_:
            batch, open_ = await self._gather()
            batch = [(item, future) for item, future in batch if not future.done()]
            if not batch:
                continue
            self._observe(len(batch))
            try:
                results = await self.alone(self._results, [item for item, _ in batch])
            except Exception as error:  # none that ``run`` raised
                results = [error] * len(batch)
            for (_, future), result in zip(batch, results, strict=True):
                if future.done():  # cancelled meanwhile
                    continue
                if isinstance(result, Exception):
                    future.set_exception(result)
                else:
                    future.set_result(result)

    async def _gather(self) -> tuple[list[tuple[Item, asyncio.Future[Result]]], bool]:
        """The next batch, and whether there may be another."""
        first = await self._waiting.get()
        if first is None:
            return [], False
        batch = [first]
        deadline = asyncio.get_running_loop().time() + self._wait
        while len(batch) < self._most:
            try:
                async with asyncio.timeout_at(deadline):
                    entry = await self._waiting.get()
            except TimeoutError:
                break
            if entry is None:
                return batch, False
            batch.append(entry)
        return batch, True

    def _results(self, items: list[Item]) -> list[Result | Exception]:
        """In the thread of the model."""
        try:
            results = list(self._run(items))
            if len(results) != len(items):
                raise RuntimeError(f"{len(results)} results of {len(items)} items")
            return results
        except Exception as error:
            if len(items) == 1:
                return [error]
        middle = len(items) // 2
        return self._results(items[:middle]) + self._results(items[middle:])
