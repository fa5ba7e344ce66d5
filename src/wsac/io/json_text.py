"""JSON as text, which every reader can read."""

from __future__ import annotations

import json
import math
from typing import Any


def to_json(value: Any, **layout: Any) -> str:
    """JSON in which a number that is not finite is null, as JSON has none."""
    return json.dumps(_finite(value), ensure_ascii=False, allow_nan=False, **layout)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    return [_finite(inner) for inner in value] if isinstance(value, list | tuple) else value
