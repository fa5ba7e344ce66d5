"""JSON as text, which every reader can read."""

from __future__ import annotations

import json
import math
from typing import Any


def to_json(value: Any, *, ensure_ascii: bool = False, **layout: Any) -> str:
    """JSON in which a number that is not finite is null, as JSON has none.

    Bytes of a file name that are not UTF-8 are written as escapes, and read back as they were.
    """
    text = json.dumps(_finite(value), ensure_ascii=ensure_ascii, allow_nan=False, **layout)
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    return [_finite(inner) for inner in value] if isinstance(value, list | tuple) else value
