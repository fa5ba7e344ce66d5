"""What each address does with a request."""

from __future__ import annotations

import asyncio
import base64
import math
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
from pydantic import BaseModel, ValidationError

from wsac.data.audio.audio_options import AS_IS, AudioOptions
from wsac.data.captions.labels import split_labels
from wsac.inference.batch import rounded, unsure_hidden
from wsac.inference.closer_look import nearest_captions
from wsac.inference.spans.span import Span
from wsac.inference.subtitles.relevance import CueOptions
from wsac.inference.subtitles.subtitles import Subtitles
from wsac.types import Caption

from . import schemas
from .answers import Answer, RefusalError
from .offers import checked_bridge
from .pictures import picture_of
from .serve_options import ServeOptions
from .sound_engine import Heard, SoundEngine
from .uploads import CURL, JsonBodies, Upload, disk_told, form_of

if TYPE_CHECKING:
    from .teaching import Teacher

Model = TypeVar("Model", bound=BaseModel)
DATA = re.compile(r"data:[\w.+/-]*(;[\w.=-]+)*;base64,", re.ASCII)
PIECE = 1 << 18  # characters of base64 that are decoded at a time
MEDIA = {"text": "text/plain; charset=utf-8", "vtt": "text/vtt; charset=utf-8"}


@dataclass
class Service:
    """The parts that endpoints use. engines: by the names of their models; the first is the usual
    one. search: of the archive. teacher: of new models. bodies: with JSON."""

    engines: dict[str, SoundEngine]
    options: ServeOptions
    search: Callable[[schemas.SearchRequest], list[Any]] | None = None
    teacher: Teacher | None = None
    bodies: JsonBodies = field(default_factory=JsonBodies)

    @property
    def model(self) -> str:
        """The name of the first."""
        return next(iter(self.engines))

    def engine_of(self, name: str = "") -> SoundEngine:
        """Of a model; of the first for any other name, such as whisper-1."""
        return self.engines.get(name) or self.engines[self.model]


async def captions(service: Service, request: Any) -> Answer:
    async def answer(form: schemas.CaptionForm, audio: AudioOptions) -> BaseModel:
        engine = service.engine_of(form.model)
        bridge = checked_bridge(engine, form.bridge)
        hide = unsure_hidden(engine.captioner, form.min_confidence, form.model or service.model)
        result = await engine.hear(form.file, audio, captioned=not bridge)
        more: dict[str, Any] = {}
        if bridge or form.alternatives or form.nearest:
            counts = form.alternatives, form.nearest
            result, more = await engine.model.alone(_closer, engine, result, bridge, *counts)
        caption = hide(rounded(cast(Caption, result.caption)))
        names = ("file", "start", "end", "notes", "guess", "confidence", "logprob")
        values = {name: getattr(caption, name) for name in names}
        return schemas.CaptionAnswer(caption=caption.text, **values, **more)

    return await _of_sound(service, request, schemas.CaptionForm, answer)


async def tags(service: Service, request: Any) -> Answer:
    async def answer(form: schemas.TagForm, audio: AudioOptions) -> BaseModel:
        sound = await service.engine_of(form.model).tags(
            form.file, split_labels(form.labels), audio
        )
        best = tuple(map(rounded, sound.tags[: form.top]))
        return _row(schemas.TagAnswer, rounded(replace(sound, tags=best)))

    return await _of_sound(service, request, schemas.TagForm, answer)


async def spans(service: Service, request: Any) -> Answer:
    async def answer(form: schemas.SpanForm, audio: AudioOptions) -> BaseModel:
        events, cues, seconds, notes = await _spans(service, form, audio, form.style, form.skip)
        rows = [{"start": cue.start, "end": cue.end, "text": cue.text} for cue in cues.cues]
        about: dict[str, Any] = {"file": form.file.name, "start": 0.0, "end": round(seconds, 3)}
        about |= {"notes": notes, "cues": rows, "spans": [_span(span) for span in events]}
        return schemas.SpanAnswer(**about)

    return await _of_sound(service, request, schemas.SpanForm, answer)


async def transcriptions(service: Service, request: Any) -> Answer:
    async def answer(form: schemas.TranscriptionForm, audio: AudioOptions) -> BaseModel | Answer:
        _, subtitles, seconds, _ = await _spans(service, form, audio, "sdh", ())
        text = "\n".join(" ".join(cue.text.split()) for cue in subtitles.cues)
        match form.response_format:
            case "json":
                return schemas.Transcription(text=text)
            case "verbose_json":
                segments = [_segment(i, cue) for i, cue in enumerate(subtitles.cues)]
                return schemas.VerboseTranscription(
                    text=text, duration=round(seconds, 3), segments=segments
                )
            case "text":
                return Answer(f"{text}\n", MEDIA["text"])
            case name:
                return Answer(subtitles.text(name), MEDIA.get(name, MEDIA["text"]))

    return await _of_sound(service, request, schemas.TranscriptionForm, answer)


async def pictures(service: Service, request: Any) -> Answer:
    async def answer(form: schemas.PictureForm, audio: AudioOptions) -> Answer:
        picture = await service.engine_of(form.model).use(form.file, audio, picture_of)
        return Answer(picture, "image/png")

    return await _of_sound(service, request, schemas.PictureForm, answer)


async def search(service: Service, request: Any) -> Answer:
    async def answer(wanted: schemas.SearchRequest) -> BaseModel:
        assert service.search is not None  # else there is no such address
        hits = await service.engine_of().model.alone(service.search, wanted)
        return schemas.SearchAnswer(results=[_row(schemas.SearchHit, hit) for hit in hits])

    return await of_json(service, request, schemas.SearchRequest, answer)


async def embeddings(service: Service, request: Any) -> Answer:
    async def answer(wanted: schemas.EmbeddingRequest) -> BaseModel:
        inputs = [wanted.input] if isinstance(wanted.input, str) else wanted.input
        for text in inputs if wanted.modality == "text" else ():
            if not text.strip() or len(text) > schemas.MOST_CHARACTERS:
                most = f"{schemas.MOST_CHARACTERS:,} characters"
                raise RefusalError(400, f"input: a text that is empty or above {most}; shorten it")
        engine = service.engine_of(wanted.model)
        name = wanted.model if wanted.model in service.engines else service.model
        size = engine.captioner.clap.embed_dim
        if wanted.dimensions not in (None, size):
            raise RefusalError(400, f"dimensions: embeddings have {size}; leave dimensions out")
        sounds = wanted.modality == "audio"
        embed = partial(_embed_sounds, engine) if sounds else engine.embed_texts
        rows = [
            schemas.EmbeddingRow(index=i, embedding=_encoded(vector, wanted.encoding_format))
            for i, vector in enumerate(await embed(inputs))
        ]
        return schemas.EmbeddingAnswer(data=rows, model=name)

    return await of_json(service, request, schemas.EmbeddingRequest, answer)


async def models(service: Service, request: Any) -> Answer:
    return json_answer(
        schemas.ModelList(data=[schemas.ModelRow(id=name) for name in service.engines])
    )


async def attended(request: Any, service: Service, work: Awaitable[Any]) -> Any:
    """The result of work, which is cancelled when the client leaves (499) or time is up (504)."""
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_gone(request))
    seconds = service.options.timeout
    try:
        both = {task, gone}
        await asyncio.wait(both, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        if gone.done():
            raise RefusalError(499, "the client has left")
        raise RefusalError(504, f"no result within {seconds:g} s; send a shorter sound, or later")
    finally:
        for other in (task, gone):
            other.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await other


async def _gone(request: Any) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _of_sound(
    service: Service, request: Any, model: type[Model], answer: Callable[..., Awaitable[Any]]
) -> Answer:
    options = service.options
    async with form_of(request, options.max_bytes, options.timeout) as form:
        if form.upload is None:
            raise RefusalError(400, f"file: no sound was sent; {CURL}")
        values: Any = _validated(model.model_validate, form.fields | {"file": form.upload})
        audio = AudioOptions.parse(values.track, values.channel)
        result = await attended(request, service, answer(values, audio))
    return result if isinstance(result, Answer) else json_answer(result)


async def of_json(
    service: Service, request: Any, model: type[Model], answer: Callable[[Any], Awaitable[Any]]
) -> Answer:
    options = service.options
    async with service.bodies.body_of(request, options.max_bytes, options.timeout) as body:
        wanted = _validated(model.model_validate_json, body)
        body.clear()
        return json_answer(await attended(request, service, answer(wanted)))


async def _spans(
    service: Service, form: Any, audio: AudioOptions, style: str, skip: Any
) -> tuple[list[Span], Subtitles, float, tuple[str, ...]]:
    cue_options = CueOptions(style=style, skip=skip)
    engine = service.engine_of(form.model)
    bridge = checked_bridge(engine, getattr(form, "bridge", ""))
    spans, seconds, notes = await engine.spans(form.file, audio, bridge)
    spans = [rounded(span) for span in spans if span.kind not in skip]  # type: ignore[type-var]
    name = form.file.name

    def place() -> Subtitles:
        return Subtitles.of(spans, cue_options, file=name)

    return spans, await engine.in_worker(place), seconds, notes


def _closer(
    engine: SoundEngine, result: Heard, bridge: str, alternatives: int, near: int
) -> tuple[Heard, dict[str, Any]]:
    """In the thread of the model: the caption by a bridge, and what else is to be told of it."""
    sound, captioner = result.embedding, engine.captioner
    if bridge:
        captioner = captioner.with_options(bridge=bridge)
        result = Heard(sound, captioner.describe([sound])[0])
    more: dict[str, list[BaseModel]] = {"alternatives": [], "nearest": []}
    if alternatives and not sound.silent:
        for other in map(rounded, captioner.alternatives(sound.embedding, alternatives)):
            sure = {"confidence": other.confidence, "logprob": other.logprob}
            more["alternatives"].append(schemas.AlternativeRow(caption=other.text, **sure))
    if near and not sound.silent:
        for text, score in nearest_captions(captioner, sound.embedding, near):
            more["nearest"].append(schemas.NearRow(caption=text, score=score))
    return result, more


async def _embed_sounds(engine: SoundEngine, inputs: list[str]) -> list[list[float]]:
    """The embeddings of sounds in base64, two batches on the disk at a time."""
    places = asyncio.Semaphore(2 * engine.options.batch)

    async def embed(i: int) -> list[float]:
        async with places:
            return await _embed_sound(engine, f"input {i}", inputs[i])

    try:
        async with asyncio.TaskGroup() as group:  # the first that fails ends the others
            tasks = [group.create_task(embed(i)) for i in range(len(inputs))]
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return [task.result() for task in tasks]


async def _embed_sound(engine: SoundEngine, name: str, text: str) -> list[float]:
    mark = DATA.match(text)
    if not mark and re.match(r"\w+:", text):
        what = "an address; the server fetches nothing, so send the sound as base64"
        raise RefusalError(400, f"{name}: {what}")
    with disk_told():
        upload = Upload(name)
    try:
        await engine.in_worker(_store, upload, text, mark.end() if mark else 0)
        return (await engine.hear(upload, AS_IS)).embedding.embedding.tolist()
    finally:
        upload.remove()


def _store(upload: Upload, text: str, start: int) -> None:
    """The sound in base64 from a place on goes to the disk, in pieces: each holds up all others."""
    for place in range(start, len(text), PIECE):
        try:
            content = base64.b64decode(text[place : place + PIECE], validate=True)
            if 4 * len(content) < 3 * PIECE and place + PIECE < len(text):
                raise ValueError("padding before the end")
        except ValueError as error:  # of base64, or of letters beyond ASCII
            what = f"not base64 ({error}); send base64 or data:"
            raise RefusalError(400, f"{upload.name}: {what}") from error
        with disk_told():
            upload.write(content)
    with disk_told():
        upload.end()


def _validated(parse: Callable[[Any], Model], values: Any) -> Model:
    """Raises RefusalError with the first thing that is wrong."""
    try:
        return parse(values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        what = f"{place}: {first['msg']}" if place else first["msg"]
        raise RefusalError(400, f"{what}; /openapi.json lists the fields") from None


def _tag(tag: Any) -> schemas.TagRow:
    return _row(schemas.TagRow, rounded(tag))


def _row(model: type[Model], value: Any) -> Model:
    return model.model_validate(value, from_attributes=True)


def _span(span: Span) -> schemas.SpanRow:
    names = set(schemas.SpanRow.model_fields) - {"caption", "tags"}
    values: dict[str, Any] = {name: getattr(span, name) for name in names}
    levels = {name: round(values[name], 2) for name in ("loudness", "prominence")}
    tags = [_tag(tag) for tag in span.tags]
    return schemas.SpanRow(**values | levels, caption=span.text, tags=tags)


def _segment(number: int, cue: Any) -> schemas.Segment:
    sure = [s.confidence for s in cue.spans if s.confidence is not None]
    logprob = round(math.log(max(min(sure, default=1.0), 1e-6)), 4)
    text = " ".join(cue.text.split())
    return schemas.Segment(id=number, start=cue.start, end=cue.end, text=text, avg_logprob=logprob)


def _encoded(vector: list[float], encoding: str) -> list[float] | str:
    if encoding == "float":
        return vector
    return base64.b64encode(np.asarray(vector, "<f4").tobytes()).decode("ascii")


def json_answer(model: BaseModel) -> Answer:
    return Answer(model.model_dump_json())
