"""What the server takes and how long it waits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from wsac.types import RecipeError

LOCAL_HOSTS = ("127.0.0.1", "localhost", "::1", "[::1]")


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """max_bytes: of an upload. max_seconds: of a sound. queue: requests that are taken at a time.
    batch: sounds that the model hears together, at most. wait: seconds that a sound waits for
    others. timeout: seconds for an upload, and then for its answer. keys: any of them opens the
    API; none: it is open. hosts: names that the server is addressed by; none: any. teach_seconds:
    of a training.

    Raises RecipeError for values with which nothing would be taken.
    """

    max_bytes: int = 64 << 20
    max_seconds: float = 600.0
    queue: int = 64
    batch: int = 32
    wait: float = 0.005
    timeout: float = 120.0
    keys: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    teach_seconds: float = 3600.0

    def __post_init__(self) -> None:
        least: dict[str, Any] = {"max_bytes": 1, "max_seconds": 0.1, "queue": 1, "batch": 1}
        for name, low in (least | {"wait": 0, "timeout": 0.1, "teach_seconds": 1}).items():
            if not low <= (value := getattr(self, name)) < float("inf"):
                raise RecipeError(f"{name} {value:g}: give {low:g} or more")
