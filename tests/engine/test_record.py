"""A record is JSON: its line is what the library would have written."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbc_filter.engine.record import Quotes, Record, printable, readable

SHAPES: dict[str, st.SearchStrategy[Any]] = {
    "time": st.floats(0, 1e11),
    "code": st.none() | st.integers(300, 699),
    "dest": st.lists(st.text(), max_size=3).map(tuple),
    "identities": st.integers(0, 20),
    "changed": st.lists(st.text(), max_size=3).map(tuple),
    "packet": st.none() | st.integers(1),
    "token_dest": st.lists(st.text(), max_size=3).map(tuple),
    "token_iat": st.none() | st.integers(0, 10**12),
    "lists": st.lists(st.text(), max_size=2).map(tuple),
    "quotes": st.none() | st.builds(Quotes, *[st.none() | st.binary()] * len(Quotes._fields)),
}
"""The fields that are not text."""
ALWAYS = {"src", "dst", "transport", "verdict", "outcome", "treatment", "version"}
"""The fields that are text in every record: compiled, they cannot be None."""
TEXTS = {name: st.text() if name in ALWAYS else st.none() | st.text() for name in Record._fields}
FIELDS = st.fixed_dictionaries({name: SHAPES.get(name, TEXTS[name]) for name in Record._fields})


@given(FIELDS)
def test_the_line_is_what_json_would_write(fields: dict[str, Any]) -> None:
    record = Record(**fields)
    expected = record._asdict()
    quotes = expected.pop("quotes") or Quotes()
    expected |= {name: None if octets is None else readable(octets) for name, octets in quotes._asdict().items()}
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


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        (b'"Q" <sip:+12155550100@a.example>;tag=1', '"Q" <sip:+12155550100@a.example>;tag=1'),
        ("Jos\u00e9 \U0001f4de".encode(), "Jos\u00e9 \U0001f4de"),
        (b"a\xff\xc3", r"a\xff\xc3"),  # not UTF-8
        (b"\x1b[2J\r\n\t\0\x7f", r"\x1b[2J\r\n\t\x00\x7f"),
        (b"\xed\xa0\x80", r"\xed\xa0\x80"),  # a surrogate, which UTF-8 does not have
        ("\u202e\u2028\ufeff".encode(), r"\u202e\u2028\ufeff"),  # right to left, a line end, no width
    ],
)
def test_octets_of_a_message_are_text_that_prints(octets: bytes, text: str) -> None:
    assert readable(octets) == text
    line = Record(1.5, "192.0.2.7:5060", "192.0.2.1:5060", "udp", quotes=Quotes(raw_from=octets)).to_json()
    assert line.isascii()
    assert json.loads(line)["raw_from"] == text


@given(st.text(st.characters(categories=["Cc", "Cs", "Cf", "Zl", "Lu"])))
def test_whatever_a_token_says_prints(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    assert (shown == text) is text.isprintable()
