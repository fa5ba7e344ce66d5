"""Pages and pictures from the templates of this package."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any


def render(
    template: str, filters: Mapping[str, Callable[..., Any]] | None = None, **values: Any
) -> str:
    """A page or an SVG from a template in this package; text is escaped."""
    environment = _environment()
    environment.filters |= filters or {}
    return environment.get_template(template).render(**values) + "\n"


@lru_cache
def _environment() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("wsac.io"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )


def data_uri(kind: str, content: bytes) -> str:
    """Content as an address that a page can hold. kind: its media type."""
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
