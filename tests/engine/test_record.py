"""A record is JSON: its line is what the library would have written."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sbc_filter.engine.record import Record

SHAPES: dict[str, st.SearchStrategy[Any]] = {
    "time": st.floats(0, 1e11),
    "code": st.none() | st.integers(300, 699),
    "dest": st.lists(st.text(), max_size=3).map(tuple),
    "identities": st.integers(0, 20),
    "changed": st.lists(st.text(), max_size=3).map(tuple),
    "packet": st.none() | st.integers(1),
}
"""The fields that are not text."""
ALWAYS = {"src", "dst", "transport", "verdict", "outcome", "treatment"}
"""The fields that are text in every record: compiled, they cannot be None."""
TEXTS = {name: st.text() if name in ALWAYS else st.none() | st.text() for name in Record._fields}
FIELDS = st.fixed_dictionaries({name: SHAPES.get(name, TEXTS[name]) for name in Record._fields})


@given(FIELDS)
def test_the_line_is_what_json_would_write(fields: dict[str, Any]) -> None:
    record = Record(**fields)
    expected = record._asdict()
    packet, *of_replays = (expected.pop(name) for name in ("packet", "file", "unfiltered"))
    if packet is not None:
        given = zip(("file", "unfiltered"), of_replays, strict=True)
        expected = {"packet": packet, **{name: value for name, value in given if value is not None}, **expected}
    assert record.to_json() == json.dumps(expected, separators=(",", ":"))


def test_a_replay_adds_the_number_of_the_packet() -> None:
    record = Record(1.5, "192.0.2.7:5060", "192.0.2.1:5060", "udp")
    assert record.to_json().startswith('{"time":1.5,"src":"192.0.2.7:5060",')
    assert record.of_packet(7).to_json() == '{"packet":7,' + record.to_json()[1:]
    assert record.of_packet(7, "a\n.pcap").to_json() == '{"packet":7,"file":"a\\n.pcap",' + record.to_json()[1:]
