"""``wsac serve``: captions over HTTP, and a page to drop sounds on."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

from typer import Option

from wsac.io.console import say
from wsac.types import WsacError

from . import common_options as common

NEEDED = ("starlette", "uvicorn", "python_multipart", "prometheus_client", "websockets")
KEY_VARIABLE = "WSAC_API_KEY"
TEACH = (sys.executable, "-m", "wsac.cli.teach_process")
BACKLOG = 2048  # connections that wait to be taken
LARGEST_MESSAGE = 4 << 20  # bytes of a WebSocket
GRACE = 30.0  # seconds beyond the timeout that running requests get at the end
LINGER = 0.3  # seconds for requests of connections that were taken, at the end


def serve(
    host: Annotated[str, Option(help="0.0.0.0 lets other machines in.")] = "127.0.0.1",
    port: Annotated[int, Option(min=0, max=65535, help="0 takes a free one.")] = 8000,
    model: Annotated[
        list[str], Option("--model", help="As of wsac caption. Repeatable: clients choose.")
    ] = ["pocket"],  # noqa: B006
    clap: common.MovedClap = None,
    archive: Annotated[
        Path | None, Option(callback=common.existing, help="Also search this archive.")
    ] = None,
    max_mb: Annotated[float, Option(help="Megabytes of an upload, at most.")] = 64.0,
    max_seconds: Annotated[float, Option(help="Seconds of a sound, at most.")] = 600.0,
    queue: Annotated[int, Option(help="Requests at a time; more get 429.")] = 64,
    batch: Annotated[int, Option(help="Sounds in one batch at most.")] = 32,
    wait_ms: Annotated[float, Option(help="A sound waits so long for others.")] = 5.0,
    timeout: Annotated[float, Option(help="Seconds for an upload or an answer.")] = 120.0,
    api_key_file: Annotated[
        Path | None, Option(callback=common.existing, help="A key a line; or WSAC_API_KEY.")
    ] = None,
    allow_host: Annotated[
        common.Words, Option(help="A name that the server is addressed by. Repeatable.")
    ] = None,
    teach: Annotated[
        bool | None,
        Option(help="Let clients train captioners. Default: on this machine alone."),
    ] = None,
    quiet: Annotated[bool, Option("--quiet", help="No line for each request.")] = False,
    device: common.Device = "auto",
) -> None:
    """Serve captions over HTTP, with a page for browsers.

    wsac serve --port 8000
    """
    from wsac.inference.captioner_folder import check_captioner, published
    from wsac.serve.serve_options import LOCAL_HOSTS, ServeOptions

    if missing := [name for name in NEEDED if not find_spec(name)]:
        what = f"wsac serve needs {', '.join(missing)}"
        raise WsacError(f"{what}: pip install 'wsac[serve]'")
    folders = [check_captioner(name) for name in model]
    names = [
        "pocket" if name == "pocket" else address or folder.resolve().name
        for name, address, folder in zip(model, map(published, model), folders, strict=True)
    ]
    if twice := [name for name in names if names.count(name) > 1]:
        raise WsacError(f"--model: two are called {twice[0]}; rename one of the folders")
    if not 0 < max_mb < float("inf"):
        raise WsacError(f"--max-mb {max_mb:g}: give more than 0")
    keys = _keys(api_key_file)
    local = host in LOCAL_HOSTS
    teaches = _teaches(teach, local and not allow_host, keys)
    listener = _listener(host, port)
    with listener:
        from wsac.inference.captioner import Captioner
        from wsac.serve.app import create_app

        hosts = [*(LOCAL_HOSTS if local or allow_host else ()), *(allow_host or ())]
        options = ServeOptions(
            max_bytes=int(max_mb * 1e6),
            max_seconds=max_seconds,
            queue=queue,
            batch=batch,
            wait=wait_ms / 1000,
            timeout=timeout,
            keys=keys,
            hosts=tuple(name.lower() for name in hosts),
        )
        captioners = [Captioner.load(path, clap=clap, device=device) for path in model]
        captioner, name = captioners[0], names[0]
        search = None if archive is None else search_of(archive, captioner)
        others = dict(zip(names[1:], captioners[1:], strict=True))
        more: Any = {"others": others, "search": search, "teach": TEACH if teaches else ()}
        app = create_app(captioner, options, model=name, device=device, quiet=quiet, **more)
        if not local and not keys:
            say("note: without API keys, everyone who reaches this address can use it")
        listener.listen(BACKLOG)  # so that who reads the next line is not refused
        shown = f"[{host}]" if ":" in host else host
        say(f"wsac serves {name} at http://{shown}:{listener.getsockname()[1]}/; Ctrl-C stops it")
        _run(app, listener, timeout + GRACE)


def _teaches(wanted: bool | None, alone: bool, keys: tuple[str, ...]) -> bool:
    """Whether clients may train. alone: none but this machine is let in. Raises WsacError where
    anyone could."""
    if wanted and not alone and not keys:
        remedy = "give --api-key-file, or serve this machine alone"
        raise WsacError(f"--teach: without API keys, everyone could train here; {remedy}")
    return alone if wanted is None else wanted


def _keys(path: Path | None) -> tuple[str, ...]:
    """The keys of a file and of the environment. Raises WsacError for a file without any."""
    keys = [os.environ.get(KEY_VARIABLE, "").strip()]
    if path is not None:
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError as error:
            raise WsacError(f"{path}: not UTF-8 text; write a key a line") from error
        written = [line.strip() for line in lines if not line.lstrip().startswith("#")]
        if not any(written):
            raise WsacError(f"{path}: no keys in this file; write a key a line")
        keys += written
    return tuple(dict.fromkeys(filter(None, keys)))


def _listener(host: str, port: int) -> socket.socket:
    """A socket at the address. Raises WsacError where that cannot be."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
        except BaseException:
            listener.close()
            raise
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        what = f"cannot listen there ({reason}); give another --host or --port, such as --port 0"
        raise WsacError(f"{host}:{port}: {what}") from error
    return listener


def search_of(folder: Path, captioner: Any) -> Callable[[Any], list[Any]]:
    """Searches an archive. Raises WsacError for one of another CLAP, or an empty one."""
    from wsac.archive.archive_folder import Archive
    from wsac.archive.search.searching import ArchiveSearch, embed_query, parse_where
    from wsac.inference.moments.moment_scores import MomentScorer
    from wsac.types import ModelError

    archive = Archive.open(folder)
    if archive.clap_fingerprint != captioner.clap.fingerprint:
        what = f"made with another CLAP ({archive.clap_fingerprint}) than the captioner's"
        raise ModelError(f"{folder}: {what}; give the captioner of its build with --model")
    scorer = MomentScorer(captioner.clap)
    units: dict[str, ArchiveSearch] = {"files": ArchiveSearch(archive)}

    def search(wanted: Any) -> list[Any]:
        unit: Any = "spans" if wanted.spans else "files"
        opened = units.get(unit) or units.setdefault(unit, ArchiveSearch(archive, unit))
        query = embed_query(captioner.clap, [wanted.query], minus=wanted.minus)
        return opened.nearest(query, wanted.top, parse_where(archive, wanted.where), scorer)

    return search


def _run(app: Any, listener: socket.socket, grace: float) -> None:
    """Serve until SIGINT or SIGTERM; what was taken is finished, for ``grace`` seconds at most."""
    import uvicorn

    class Server(uvicorn.Server):
        def handle_exit(self, sig: int, frame: Any) -> None:
            app.state.gate.stopping = True
            super().handle_exit(sig, frame)

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            for server in self.servers:  # take no more connections
                server.close()
            await asyncio.sleep(LINGER)  # those that were taken last send their requests
            await super().shutdown(sockets)

    for library in ("uvicorn.error", "python_multipart"):
        app.state.gate.log.take_over(library)
    config = uvicorn.Config(
        app,
        log_config=None,
        backlog=BACKLOG,
        access_log=False,
        server_header=False,
        lifespan="on",
        ws="websockets-sansio",
        ws_max_size=LARGEST_MESSAGE,
        timeout_graceful_shutdown=round(grace),
    )
    try:
        Server(config).run(sockets=[listener])
    except KeyboardInterrupt:  # the signal that stopped it, sent once more
        say("stopped after finishing the requests under way")
