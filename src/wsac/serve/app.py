"""The application: addresses, the page, and what happens at the beginning and the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from wsac.inference.captioner import Captioner
from wsac.io.json_text import to_json

from .answers import Answer, RefusalError
from .api_table import ENDPOINTS, SEARCH, openapi
from .endpoints import Service
from .gate import Gate
from .listen_socket import ListenSocket
from .observing import Metrics, RequestLog
from .pictures import EXAMPLES, example_wav
from .schemas import State
from .serve_options import ServeOptions
from .sound_engine import SoundEngine
from .teach_endpoints import TEACH
from .teaching import Teacher

PAGE = Path(__file__).with_name("page")
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
TYPES |= {".json": "application/json", ".svg": "image/svg+xml"}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' blob:; media-src blob:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


def create_app(
    captioner: Captioner,
    options: ServeOptions | None = None,
    *,
    model: str = "pocket",
    others: Mapping[str, Captioner] | None = None,
    search: Callable[[Any], list[Any]] | None = None,
    teach: Sequence[str] = (),
    device: str = "cpu",
    quiet: bool = False,
) -> Any:
    """An ASGI application (Starlette). model: the name of the captioner. others: more of them, by
    their names. search: of an archive; ``/v1/search`` is there only with it. teach: the command of
    a ``Teacher``; ``/v1/teach`` is there only with it. device: of the models that are taught.
    quiet: without a log.
    """
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException
    from starlette.routing import BaseRoute, Route, WebSocketRoute

    options = options or ServeOptions()
    metrics = Metrics()
    gate = Gate(options, metrics, RequestLog(quiet))
    engines = {
        name: SoundEngine(one, options, metrics.batches.observe)
        for name, one in {model: captioner, **(others or {})}.items()
    }

    async def add(name: str, captioner: Captioner) -> None:
        if name in engines:
            return await engines[name].replace(captioner)
        engines[name] = SoundEngine(captioner, options, metrics.batches.observe)
        engines[name].start()

    how: Any = {"taken": tuple(engines), "seconds": options.teach_seconds, "device": device}
    teacher = Teacher(teach, add, **how) if teach else None
    service = Service(engines, options, search, teacher)
    table = (*ENDPOINTS, *([SEARCH] if search else []), *(TEACH if teacher else ()))
    document = to_json(openapi(table, keys=bool(options.keys)))

    async def answer(content: Callable[[], Answer], request: Any) -> Answer:
        return content()

    def ready() -> Answer:
        status = 503 if gate.stopping else 200
        state = State(status="stopping" if gate.stopping else "ok")
        return Answer(state.model_dump_json(), status=status)

    contents: dict[str, Callable[[], Answer]] = {
        "/healthz": lambda: Answer(State(status="ok").model_dump_json()),
        "/readyz": ready,
        "/openapi.json": lambda: Answer(document),
        "/": partial(_file, PAGE / "index.html"),
    }
    for path in (file for file in PAGE.rglob("*.*") if file.suffix in TYPES):
        contents[f"/{path.relative_to(PAGE).as_posix()}"] = partial(_file, path)
    routes: list[BaseRoute] = [
        Route(path, gate.open(path, partial(answer, content)), methods=["GET"])
        for path, content in contents.items()
    ]
    for name in EXAMPLES:
        address = f"/examples/{name}.wav"
        routes.append(Route(address, gate.open(address, partial(_example, name))))
    measured = gate.guarded(
        "/metrics", partial(answer, lambda: Answer(*metrics.text())), queued=False
    )
    routes.append(Route("/metrics", measured, methods=["GET"]))
    for path in dict.fromkeys(entry.path for entry in table):
        handles = {
            entry.method: gate.guarded(
                path, partial(entry.handle, service), queued=bool(entry.request)
            )
            for entry in table
            if entry.path == path
        }
        routes.append(Route(path, partial(_by_method, handles), methods=list(handles)))
    routes.append(WebSocketRoute("/v1/listen", ListenSocket(engines, gate).serve))

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        for engine in engines.values():
            engine.start()
        yield
        if teacher is not None:
            await teacher.close()
        for engine in engines.values():
            await engine.close()

    async def other(request: Any, error: HTTPException) -> Any:
        async def refuse(request: Any) -> Answer:
            what = "no such address; /openapi.json lists the addresses"
            if error.status_code != 404:
                what = f"not with {request.method}; /openapi.json lists the methods of each address"
            raise RefusalError(error.status_code, what, **(error.headers or {}))

        known = error.status_code == 405  # by another method
        return await gate.open(request.url.path if known else "other", refuse)(request)

    handlers: Any = {HTTPException: other}
    app = Starlette(routes=routes, lifespan=lifespan, exception_handlers=handlers)
    app.router.redirect_slashes = False
    app.state.gate = gate
    return app


async def _by_method(handles: Mapping[str, Any], request: Any) -> Any:
    """One route for all methods, so that a wrong one is told the right ones."""
    method = "GET" if request.method == "HEAD" else request.method
    return await handles[method](request)


async def _example(name: str, request: Any) -> Answer:
    return Answer(await asyncio.to_thread(example_wav, name), "audio/wav")


def _file(path: Path) -> Answer:
    headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-cache"}
    media = f"{TYPES[path.suffix]}; charset=utf-8"
    return Answer(path.read_bytes(), media, headers=headers)
