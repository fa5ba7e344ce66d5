"""A connection to a Ray cluster: one of this run alone on this machine, or one that is there."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from wsac.io.locks import temporary_beside
from wsac.runtime.cpus import usable_cpus
from wsac.types import WsacError

AUTO = "auto"
LAST_PORT = 65535
KNOCK = 5.0  # seconds for the first answer of a cluster
STORE = 100 << 20  # bytes for the objects of a cluster of our own: tables of paths
LONGEST = 40  # characters of the temporary folder; sockets lie in it, and their names have a limit
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # without it ray warns
}
FEW_TRIES = {"RAY_NUM_REDIS_GET_RETRIES": "1"}  # where the cluster should be there already


def check_cluster(address: str | None) -> None:
    """Whether there is ray, and something that answers at the address. Raises WsacError."""
    if find_spec("ray") is None:
        raise WsacError("the ray engine needs ray; pip install 'wsac[ray]', or --engine local")
    if address is None or address == AUTO:
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or "/" in address or int(port) > LAST_PORT:
        what = "give auto, or HOST:PORT of the head, as in 10.0.0.1:6379"
        raise WsacError(f"--address {address}: {what}")
    try:
        socket.create_connection((host.strip("[]"), int(port)), KNOCK).close()
    except OSError as error:
        what = f"no Ray cluster answers there ({error.strerror or error})"
        raise WsacError(f"--address {address}: {what}; start one with ray start") from None


@contextmanager
def connected(address: str | None, workers: int | None) -> Iterator[Any]:
    """Yields ray, connected until the end of the block; a cluster of our own ends with it.

    address: None for a cluster of our own, with a processor for each of ``workers``. A connection
    that this process has already is used. Raises WsacError.
    """
    with _own(workers) if address is None else nullcontext({"address": address}) as settings:
        os.environ.update(QUIET if address is None else QUIET | FEW_TRIES)
        import ray  # it reads the environment

        if ray.is_initialized():
            yield ray
            return
        _mute()
        try:
            with _closed_stderr():
                ray.init(log_to_driver=False, configure_logging=False, **settings)
        except (OSError, RuntimeError, ValueError) as error:
            where = "the ray engine" if address is None else f"--address {address}"
            lines = str(error).strip().splitlines() or [type(error).__name__]
            raise WsacError(f"{where}: cannot connect ({lines[0]})") from error
        try:
            yield ray
        finally:
            ray.shutdown()


@contextmanager
def _own(workers: int | None) -> Iterator[dict[str, Any]]:
    """Settings of a cluster that only this run can reach, and that leaves nothing behind."""
    before = dict(os.environ)
    os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    folder, mark = temporary_beside(Path(tempfile.gettempdir(), "wsac-ray"), folder=True)
    settings: dict[str, Any] = {
        "address": "local",
        "num_cpus": max(workers or 1, usable_cpus()),
        "object_store_memory": STORE,
        "include_dashboard": False,
    }
    if len(str(folder)) <= LONGEST:
        settings["_temp_dir"] = str(folder)
    try:
        yield settings
    finally:
        for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN"):
            os.environ.pop(name, None)
            if name in before:
                os.environ[name] = before[name]
        shutil.rmtree(folder, ignore_errors=True)
        if mark is not None:
            os.close(mark)


@contextmanager
def _closed_stderr() -> Iterator[None]:
    """Ray's own library writes its tries to connect there; the error that it raises has the sum."""
    before, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)
        os.close(nowhere)


def _mute() -> None:
    """Ray prints on stdout what its daemons say of dead workers, whatever it is told."""
    logging.getLogger("ray").setLevel(logging.CRITICAL)
    with suppress(ImportError):
        from ray._private import worker

        worker.print_to_stdstream = lambda *args, **kwargs: None
