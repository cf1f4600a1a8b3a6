"""The table of calls, column by column."""

import json
from itertools import accumulate

import pytest
from support.reports import line, made_lines

from sbc_filter.report import columns as module
from sbc_filter.report.columns import columns
from sbc_filter.report.script_data import script_data


def test_columns_say_what_the_lines_say() -> None:
    lines = made_lines(200)
    data = json.loads(json.dumps(columns(lines)))
    assert data["of"] == 200
    assert list(accumulate(data["number"])) == [each.number for each in lines]
    assert list(accumulate(data["time"])) == [round(each.time * 1000) for each in lines]
    assert list(accumulate(data["packet"])) == [each.packet for each in lines]
    assert data["caller"].split("\n") == [each.caller for each in lines]
    assert data["callId"].split("\n") == [each.call_id for each in lines]
    for facet in ("result", "treatment", "rule", "peer", "signer", "attestation", "response", "file"):
        names = data[facet]["names"]
        assert [names[place] for place in data[facet]["at"]] == [getattr(each, facet) for each in lines]
        assert len(set(names)) == len(names)


def test_no_text_can_begin_a_line_of_its_own() -> None:
    data = columns([line(1, call_id="a\nb\u2028c\x00", caller="\u202e12\ud800"), line(2)])
    assert data["callId"].split("\n") == ["a\\nb\\u2028c\\x00", "call-2@carrier.example"]
    assert data["caller"].split("\n")[0] == "\\u202e12\\ud800"


def test_long_texts_are_cut() -> None:
    assert columns([line(1, call_id="x" * 500)])["callId"] == "x" * 63 + "…"


def test_there_is_a_limit_of_lines_and_of_octets(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = made_lines(30)
    monkeypatch.setattr(module, "MOST", 20)
    assert (len(columns(lines)["number"]), columns(lines)["of"]) == (20, 30)
    monkeypatch.setattr(module, "MOST_OCTETS", 1000)
    data = columns(lines)
    assert 5 <= len(data["number"]) < 20
    assert len(json.dumps({name: data[name] for name in ("number", "time", "packet", "caller", "called")})) < 1000


@pytest.mark.parametrize("character", ["\U00020000", "<", "\x00", '"'])
def test_the_largest_texts_stay_below_the_limit(character: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of these characters takes several octets."""
    monkeypatch.setattr(module, "MOST_OCTETS", 500_000)
    text = character * 80
    lines = [line(n, caller=text, called=text, call_id=text, signer=f"{n}{text}") for n in range(1, 3001)]
    size = len(script_data(columns(lines)))
    assert module.MOST_OCTETS * 0.7 < size < module.MOST_OCTETS
