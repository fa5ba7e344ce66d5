"""Laws of the batcher: every result reaches its owner, and failures are their own."""

from __future__ import annotations

import asyncio
import threading

import pytest

from wsac.serve.batching import Batcher


def run_batches(run, talk, **settings):
    """The result of ``talk(batcher)``."""

    async def all_of_it():
        batcher = Batcher(run, **({"most": 8, "wait": 0.001} | settings))
        batcher.start()
        try:
            return await talk(batcher)
        finally:
            await batcher.close()

    return asyncio.run(all_of_it())


@pytest.mark.parametrize("most", [1, 3, 64])
def test_results_reach_their_owners(most):
    sizes = []

    async def talk(batcher):
        return await asyncio.gather(*(batcher.submit(i) for i in range(50)))

    doubled = run_batches(
        lambda items: [2 * i for i in items], talk, most=most, observe=sizes.append
    )
    assert doubled == [2 * i for i in range(50)]
    assert sum(sizes) == 50
    assert max(sizes) <= most
    assert most == 1 or max(sizes) > 1


@pytest.mark.parametrize("raises", [True, False])
def test_what_fails_fails_alone(raises):
    def run(items):
        if raises and any(i % 7 == 3 for i in items):
            raise ValueError(f"bad {next(i for i in items if i % 7 == 3)}")
        return [ValueError(f"bad {i}") if i % 7 == 3 else i for i in items]

    async def talk(batcher):
        work = (batcher.submit(i) for i in range(40))
        return await asyncio.gather(*work, return_exceptions=True)

    for i, result in enumerate(run_batches(run, talk, most=16)):
        assert (str(result) == f"bad {i}") if i % 7 == 3 else result == i


def test_a_wrong_number_of_results_is_an_error():
    async def talk(batcher):
        return await asyncio.gather(batcher.submit(1), return_exceptions=True)

    (error,) = run_batches(lambda items: [], talk)
    assert isinstance(error, RuntimeError)


def test_what_nobody_waits_for_is_not_run():
    ran, go = [], threading.Event()

    def run(items):
        go.wait(5)
        ran.extend(items)
        return items

    async def talk(batcher):
        first = asyncio.create_task(batcher.submit("first"))
        await asyncio.sleep(0.05)
        left = asyncio.create_task(batcher.submit("left"))
        last = asyncio.create_task(batcher.submit("last"))
        await asyncio.sleep(0)
        left.cancel()
        go.set()
        return await first, await last

    assert run_batches(run, talk) == ("first", "last")
    assert ran == ["first", "last"]


def test_closing_finishes_what_was_taken():
    async def all_of_it():
        batcher = Batcher(lambda items: items, most=2, wait=0.0)
        batcher.start()
        tasks = [asyncio.create_task(batcher.submit(i)) for i in range(9)]
        await asyncio.sleep(0)
        await batcher.close()
        return [task.result() for task in tasks]

    assert asyncio.run(all_of_it()) == list(range(9))


def test_the_model_has_one_thread():
    names = set()

    def run(items):
        names.add(threading.current_thread().name)
        return items

    async def talk(batcher):
        await asyncio.gather(*(batcher.submit(i) for i in range(20)))
        names.add(await batcher.alone(lambda: threading.current_thread().name))

    run_batches(run, talk, most=2)
    assert len(names) == 1
