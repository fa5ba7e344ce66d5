"""Items that are made in a thread: the same, in order, and nothing runs on."""

from __future__ import annotations

import threading

import pytest

from wsac.runtime.cpus import read_ahead


def test_the_items_are_the_same():
    assert list(read_ahead(iter(range(20)))) == list(range(20))
    assert list(read_ahead(iter([None, 0, ""]))) == [None, 0, ""]
    assert list(read_ahead(iter([]))) == []


def test_the_next_item_is_made_while_one_is_used():
    second = threading.Event()

    def items():
        yield 1
        second.set()
        yield 2

    ahead = read_ahead(items())
    assert next(ahead) == 1
    assert second.wait(10)
    assert list(ahead) == [2]


def test_an_error_comes_in_its_place():
    def items():
        yield 1
        raise ValueError("broken")

    ahead = read_ahead(items())
    assert next(ahead) == 1
    with pytest.raises(ValueError, match="broken"):
        next(ahead)


def test_nothing_runs_on_after_it_is_closed():
    running, done = threading.Event(), []

    def items():
        yield 1
        running.set()
        done.append(threading.Event().wait(0.05))
        yield 2
        done.append("too much")

    ahead = read_ahead(items())
    next(ahead)
    assert running.wait(10)
    ahead.close()
    assert done == [False]
