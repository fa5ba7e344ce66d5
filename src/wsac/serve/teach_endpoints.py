"""The addresses under ``/v1/teach``."""

from __future__ import annotations

import asyncio
from typing import Any

from .answers import Answer
from .api_table import Endpoint
from .endpoints import Service, json_answer, of_json
from .teach_schemas import EXAMPLE, TeachRequest, TeachState
from .teaching import Teacher


async def begin(service: Service, request: Any) -> Answer:
    async def answer(wanted: TeachRequest) -> TeachState:
        return _teacher(service).start(wanted)

    return await of_json(service, request, TeachRequest, answer)


async def state(service: Service, request: Any) -> Answer:
    return json_answer(_teacher(service).state())


async def cancel(service: Service, request: Any) -> Answer:
    return json_answer(await _teacher(service).cancel())


async def bundle(service: Service, request: Any) -> Answer:
    path = _teacher(service).bundle()
    headers = {"Content-Disposition": f'attachment; filename="{path.name}"'}
    return Answer(await asyncio.to_thread(path.read_bytes), "application/zip", headers=headers)


def _teacher(service: Service) -> Teacher:
    assert service.teacher is not None  # else there are no such addresses
    return service.teacher


TEACH = (
    Endpoint(
        "POST",
        "/v1/teach",
        begin,
        "Begin to train a captioner on captions",
        TeachState,
        TeachRequest,
        '-H \'Content-Type: application/json\' -d \'{"captions": ["a dog barks", "rain falls"]}\'',
        {"captions": EXAMPLE, "name": "mine", "epochs": 2},
        errors=(409,),
    ),
    Endpoint("GET", "/v1/teach", state, "How far the training is", TeachState),
    Endpoint("DELETE", "/v1/teach", cancel, "End the training", TeachState),
    Endpoint("GET", "/v1/teach/bundle", bundle, "The last taught captioner", "application/zip"),
)
