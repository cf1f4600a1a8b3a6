"""JSON in which no object names a key twice."""

import json

import pytest

from sbc_filter.strict_json import DuplicateKey, strict_loads


@pytest.mark.parametrize("data", ['{"a": 1, "a": 1}', b'[{"a": {"b": 1, "c": 2, "b": 3}}]', '{"a": 1, "\\u0061": 2}'])
def test_a_key_that_is_there_twice_is_refused_at_any_depth(data: bytes | str) -> None:
    with pytest.raises(DuplicateKey, match=r"^a key appears twice$"):
        strict_loads(data)


def test_all_else_is_read_as_json_does() -> None:
    assert strict_loads(b'{"a": {"a": [1, {"a": null}]}}') == {"a": {"a": [1, {"a": None}]}}
    with pytest.raises(json.JSONDecodeError):
        strict_loads("{")
