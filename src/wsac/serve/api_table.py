"""The addresses of the API, and the OpenAPI document that is made from them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from wsac import __version__

from . import endpoints, schemas
from .answers import Answer
from .offers import about

REASONS = {
    400: "A field is missing, unknown or impossible.",
    401: "No valid API key.",
    403: "Addressed by a name that the server does not go by.",
    404: "No such address, or nothing there yet.",
    405: "Another method.",
    409: "Another training runs, or the name is taken.",
    408: "The upload was too slow.",
    413: "Too many bytes or seconds.",
    415: "Not a sound, or not the expected kind of body.",
    422: "A sound that cannot be read.",
    429: "Too many requests at a time; Retry-After says when to come back.",
    500: "A fault of the server.",
    503: "The server stops, or its disk is full.",
    504: "No result within the time.",
}
OPEN = (403, 405)  # what every address may answer
KEYED = (*OPEN, 400, 401, 404)
POSTED = (*KEYED, 408, 413, 415, 422, 429, 500, 503, 504)
TEXTS = ("text/plain", "text/vtt")


@dataclass(frozen=True)
class Endpoint:
    """request, answer: their fields. curl: a command that works, with the address as $WSAC.
    example: of a body with JSON. texts: other media types of the answer. errors: statuses that it
    may answer beside the usual ones."""

    method: str
    path: str
    handle: Callable[[endpoints.Service, Any], Awaitable[Answer]]
    summary: str
    answer: type[BaseModel] | str  # or a media type of bytes
    request: type[BaseModel] | None = None
    curl: str = ""
    example: Any = None
    texts: tuple[str, ...] = ()
    errors: tuple[int, ...] = ()

    @property
    def is_form(self) -> bool:
        return self.request is not None and issubclass(self.request, schemas.SoundForm)


SEARCH = Endpoint(
    "POST",
    "/v1/search",
    endpoints.search,
    "Find sounds of the archive by words",
    schemas.SearchAnswer,
    schemas.SearchRequest,
    '-H \'Content-Type: application/json\' -d \'{"query": "dog barking", "top": 3}\'',
    {"query": "dog barking", "top": 3},
)
ENDPOINTS = (
    Endpoint(
        "POST",
        "/v1/audio/captions",
        endpoints.captions,
        "Describe a sound in a sentence",
        schemas.CaptionAnswer,
        schemas.CaptionForm,
        "-F file=@dog.wav",
    ),
    Endpoint(
        "POST",
        "/v1/audio/tags",
        endpoints.tags,
        "Score a sound against labels of your own",
        schemas.TagAnswer,
        schemas.TagForm,
        "-F file=@dog.wav -F 'labels=dog bark, rain, siren'",
    ),
    Endpoint(
        "POST",
        "/v1/audio/spans",
        endpoints.spans,
        "List the sounds with their starts and ends",
        schemas.SpanAnswer,
        schemas.SpanForm,
        "-F file=@dog.wav -F 'skip[]=music'",
    ),
    Endpoint(
        "POST",
        "/v1/audio/transcriptions",
        endpoints.transcriptions,
        "Sounds as subtitles, for clients of Whisper",
        schemas.VerboseTranscription,
        schemas.TranscriptionForm,
        "-F file=@dog.wav -F model=wsac -F response_format=srt",
        texts=TEXTS,
    ),
    Endpoint(
        "POST",
        "/v1/embeddings",
        endpoints.embeddings,
        "Embeddings of texts or sounds in one space",
        schemas.EmbeddingAnswer,
        schemas.EmbeddingRequest,
        "-H 'Content-Type: application/json' -d '{\"input\": \"a dog barks\"}'",
        {"input": ["a dog barks", "rain"], "modality": "text"},
    ),
    Endpoint(
        "POST",
        "/v1/audio/pictures",
        endpoints.pictures,
        "The log-mel spectrogram of a sound, from its start to its end",
        "image/png",
        schemas.PictureForm,
        "-F file=@dog.wav --output dog.png",
    ),
    Endpoint("GET", "/v1/models", endpoints.models, "The models", schemas.ModelList),
    Endpoint("GET", "/v1/about", about, "What this server offers", schemas.About),
)


def openapi(table: tuple[Endpoint, ...], *, keys: bool) -> dict[str, Any]:
    """The document of OpenAPI 3.1. keys: whether the API is opened by keys."""
    requests = [entry.request for entry in table if entry.request]
    models = [entry.answer for entry in table if not isinstance(entry.answer, str)]
    answers = [*models, schemas.Transcription, schemas.State]
    wanted: list[Any] = [(model, "validation") for model in requests]
    wanted += [(model, "serialization") for model in (*answers, schemas.ErrorAnswer)]
    _, definitions = models_json_schema(wanted, ref_template="#/components/schemas/{model}")
    components: dict[str, Any] = {"schemas": definitions["$defs"]}
    paths: dict[str, Any] = {}
    for entry in table:
        paths.setdefault(entry.path, {})[entry.method.lower()] = _operation(entry)
    for path in ("/healthz", "/readyz"):
        answers_503 = {"503": _response("It stops.", {"application/json": schemas.State})}
        good = {"200": _response("It works.", {"application/json": schemas.State})}
        responses = good | (answers_503 if path == "/readyz" else {}) | _errors(OPEN)
        paths[path] = {"get": {"operationId": path[1:], "responses": responses, "security": []}}
    info = {"title": "wsac", "version": __version__, "description": "Captions for sound."}
    document: dict[str, Any] = {"openapi": "3.1.0", "info": info, "paths": paths}
    document["components"] = components
    if keys:
        components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"key": []}]
    return document


def _operation(entry: Endpoint) -> dict[str, Any]:
    media: dict[str, Any] = {"application/json": entry.answer}
    if isinstance(entry.answer, str):
        media = {entry.answer: bytes}
    if entry.answer is schemas.VerboseTranscription:
        media["application/json"] = (schemas.VerboseTranscription, schemas.Transcription)
    media |= dict.fromkeys(entry.texts, str)
    good = {"200": _response("The result.", media)}
    errors = _errors((*(POSTED if entry.method == "POST" else KEYED), *entry.errors))
    name = entry.path.strip("/").replace("/", "_")
    operation: dict[str, Any] = {
        "operationId": name if entry.method == "POST" else f"{name}_{entry.method.lower()}",
        "summary": entry.summary,
        "responses": good | errors,
    }
    if entry.request is not None:
        kind = "multipart/form-data" if entry.is_form else "application/json"
        content: dict[str, Any] = {"schema": _reference(entry.request)}
        content |= {"example": entry.example} if entry.example is not None else {}
        operation["requestBody"] = {"required": True, "content": {kind: content}}
        source = f"curl $WSAC{entry.path} {entry.curl}"
        operation["x-codeSamples"] = [{"lang": "Shell", "source": source}]
    return operation


def _response(description: str, media: dict[str, Any]) -> dict[str, Any]:
    content = {kind: {"schema": _schema(model)} for kind, model in media.items()}
    return {"description": description, "content": content}


def _schema(model: Any) -> dict[str, Any]:
    if isinstance(model, tuple):
        return {"anyOf": [_reference(part) for part in model]}
    if model is bytes:
        return {"type": "string", "format": "binary"}
    return {"type": "string"} if model is str else _reference(model)


def _reference(model: type[BaseModel]) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{model.__name__}"}


def _errors(codes: tuple[int, ...]) -> dict[str, Any]:
    media = {"application/json": schemas.ErrorAnswer}
    return {str(code): _response(REASONS[code], media) for code in sorted(codes)}
