"""A record is JSON: the line written by hand is what the library would have written."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sbc_filter.engine.record import Record

TEXT = st.none() | st.text()
FIELDS = st.fixed_dictionaries(
    {
        "time": st.floats(0, 1e11),
        "src": st.text(),
        "dst": st.text(),
        "transport": st.text(),
        **dict.fromkeys(
            "direction method call_id cseq rule mode detail orig trunk spc attest origid x5u verstat".split(), TEXT
        ),
        "verdict": st.text(),
        "outcome": st.text(),
        "treatment": st.text(),
        "code": st.none() | st.integers(300, 699),
        "dest": st.lists(st.text(), max_size=3).map(tuple),
        "identities": st.integers(0, 20),
        "packet": st.none() | st.integers(1),
    }
)


@given(FIELDS)
def test_the_line_is_what_json_would_write(fields: dict[str, Any]) -> None:
    record = Record(**fields)
    expected = record._asdict()
    packet = expected.pop("packet")
    if packet is not None:
        expected = {"packet": packet, **expected}
    assert record.to_json() == json.dumps(expected, separators=(",", ":"))
