"""The application: addresses, the page, and what happens at the beginning and the end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from wsac.inference.captioner import Captioner
from wsac.io.json_text import to_json

from .answers import Answer, RefusalError, refusal_answer
from .api_table import ENDPOINTS, SEARCH, openapi
from .endpoints import Service
from .gate import Gate
from .observing import Metrics, RequestLog
from .schemas import State
from .serve_options import ServeOptions
from .sound_engine import SoundEngine

PAGE = Path(__file__).with_name("page")
FILES = {"": "index.html", "page.css": "page.css", "page.js": "page.js"}
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "media-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def create_app(
    captioner: Captioner,
    options: ServeOptions | None = None,
    *,
    model: str = "pocket",
    search: Callable[[Any], list[Any]] | None = None,
    quiet: bool = False,
) -> Any:
    """An ASGI application (Starlette). model: the name of the captioner. search: of an archive;
    ``/v1/search`` is there only with it. quiet: without a log."""
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException
    from starlette.responses import Response
    from starlette.routing import Route

    options = options or ServeOptions()
    metrics = Metrics()
    gate = Gate(options, metrics, RequestLog(quiet))
    engine = SoundEngine(captioner, options, metrics.batches.observe)
    service = Service(engine, options, model, *([search] if search else []))
    table = (*ENDPOINTS, *([SEARCH] if search else []))
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
        **{f"/{path}": partial(_file, name) for path, name in FILES.items()},
    }
    routes = [
        Route(path, gate.open(path, partial(answer, content)), methods=["GET"])
        for path, content in contents.items()
    ]
    measured = gate.guarded(
        "/metrics", partial(answer, lambda: Answer(*metrics.text())), queued=False
    )
    routes.append(Route("/metrics", measured, methods=["GET"]))
    for entry in table:
        handle = gate.guarded(
            entry.path, partial(entry.handle, service), queued=bool(entry.request)
        )
        routes.append(Route(entry.path, handle, methods=[entry.method]))

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        engine.start()
        yield
        await engine.close()

    async def other(request: Any, error: HTTPException) -> Response:
        what = "no such address" if error.status_code == 404 else "not with this method"
        refusal = refusal_answer(
            RefusalError(error.status_code, f"{what}; /openapi.json lists them")
        )
        headers = {**(error.headers or {})}
        return Response(refusal.content, refusal.status, headers, refusal.media_type)

    handlers: Any = {HTTPException: other}
    app = Starlette(routes=routes, lifespan=lifespan, exception_handlers=handlers)
    app.state.gate = gate
    return app


def _file(name: str) -> Answer:
    path = PAGE / name
    headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-cache"}
    media = f"{TYPES[path.suffix]}; charset=utf-8"
    return Answer(path.read_bytes(), media, headers=headers)
