"""JSON in which no object names a key twice: two readers could read such an object in two ways."""

import json
from typing import Any


class DuplicateKey(ValueError):
    """An object names a key twice."""


def strict_loads(data: bytes | str) -> Any:
    """As `json.loads`, with its errors; `DuplicateKey`, which is a `ValueError`, for a key that appears twice."""
    return json.loads(data, object_pairs_hook=_unique)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise DuplicateKey("a key appears twice")
    return found
