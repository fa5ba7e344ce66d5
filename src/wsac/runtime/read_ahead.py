"""Work for a second core: the next item is made while one is used."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
END = object()


def read_ahead(items: Iterator[Item]) -> Iterator[Item]:
    """The same items, each made in a thread while the one before it is used.

    Closing it waits for the item that is being made, so nothing runs on behind it. Errors come in
    their place.
    """
    with ThreadPoolExecutor(1, "wsac-ahead") as pool:
        following = pool.submit(next, items, END)
        while (item := following.result()) is not END:
            following = pool.submit(next, items, END)
            yield item  # type: ignore[misc]
