"""What a server offers, so that the page shows what there is: models, bridges, styles, examples."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from wsac.inference.closer_look import usable_bridges
from wsac.inference.subtitles.wording import STYLES

from .answers import Answer, RefusalError
from .pictures import EXAMPLES
from .schemas import About, AboutModel

if TYPE_CHECKING:
    from wsac.inference.captioner import Captioner

    from .endpoints import Service
    from .sound_engine import SoundEngine


async def about(service: Service, request: Any) -> Answer:
    """The answer of ``/v1/about``."""
    models = []
    for name, engine in service.engines.items():
        captioner = engine.captioner
        size = 0 if captioner.memory is None else len(captioner.memory)
        facts = {"memory": size, "calibrated": captioner.calibration is not None}
        models.append(AboutModel(id=name, bridges=list(bridges_of(captioner)), **facts))
    options = service.options
    offers = About(
        models=models,
        styles=list(STYLES),
        examples=list(EXAMPLES),
        search=service.search is not None,
        teach=service.teacher is not None,
        max_bytes=options.max_bytes,
        max_seconds=options.max_seconds,
    )
    return Answer(offers.model_dump_json())


@lru_cache(maxsize=16)
def bridges_of(captioner: Captioner) -> tuple[str, ...]:
    """``usable_bridges``, worked out once."""
    return tuple(usable_bridges(captioner))


def checked_bridge(engine: SoundEngine, bridge: str) -> str:
    """The bridge, or "" for the usual one. Raises RefusalError for one that is not offered."""
    known = bridges_of(engine.captioner)
    if bridge and bridge not in known:
        raise RefusalError(400, f"bridge {bridge!r}: this model has {', '.join(known)}")
    return "" if bridge in ("", known[0]) else bridge
