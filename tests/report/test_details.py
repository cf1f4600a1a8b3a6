"""The calls that are shown in full, as data."""

import json
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.reports import detail, explained, invite_of, response

from sbc_filter.report.contents import Detail, Message
from sbc_filter.report.details import details, title_of
from sbc_filter.report.interned import Interned
from sbc_filter.report.script_data import script_data


def data(*calls: Detail, most: int = 1_000_000) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(script_data(details(calls, most)))
    return found


def test_a_call_that_is_changed() -> None:
    found = data(detail(7, invite_of(7)))
    texts, call = found["texts"], found["calls"]["7"]
    first, *others = call["messages"]
    after, packet, file, src, dst, by_sbc, title, rows, sent, answers = first
    assert (after, packet, texts[file]) == (0, 7, "")
    assert (texts[src], texts[dst], by_sbc) == ("192.0.2.7:5060", "192.0.2.1:5060/udp", 0)
    assert texts[title] == "INVITE"
    assert "\r\n".join(texts[row] for row in rows).encode() + b"\r\n" == invite_of(7)
    ((new_title, changes),) = sent
    assert texts[new_title] == "INVITE"
    assert [(each[0], texts[each[1]]) for each in changes if isinstance(each, list)] == [
        (1, "\ue002P-Asserted-Identity: <sip:+13125550123;verstat=TN-Validation-Failed@example.org>\ue003")
    ]
    assert answers == []
    assert [(texts[each[6]], each[5], each[8]) for each in others] == [
        ("100 Trying", 1, [None]),
        ("180 Ringing", 1, [None]),
        ("200 OK", 1, [None]),
        ("ACK", 0, [None]),
        ("BYE", 1, [None]),
    ]


def test_a_call_that_is_rejected() -> None:
    found = data(detail(1, invite_of(1), rejected=True))
    (message,) = found["calls"]["1"]["messages"]
    assert message[8] == []
    ((title, rows),) = message[9]
    assert found["texts"][title] == "438 Invalid Identity Header"
    assert found["texts"][rows[0]] == "SIP/2.0 438 Invalid Identity Header"


def test_what_explain_found(tmp_path: Path) -> None:
    found = data(detail(1, invite_of(1), explained(invite_of(1), tmp_path)))
    texts, call = found["texts"], found["calls"]["1"]
    assert texts[call["said"]][:2] == [
        "The caller of the call is not that of the token.",
        "RFC 8224 §6.2 step 5, §6.2.4; ATIS-1000074 §5.3.1",
    ]
    assert texts[call["said"]][2] == "originating carrier, you"
    (token,) = call["findings"]["tokens"]
    assert [texts[place] for place in token["claims"]] == [
        ["attest", "A"],
        ["dest", '{"tn": ["12155550199"]}'],
        ["iat", "1800000000 (2027-01-15T08:00:00Z)"],
        ["orig", '{"tn": "12155550100"}'],
        ["origid", "4437c7eb-8f7a-4f0e-a863-f53a0e60251a"],
    ]
    assert texts[token["signature"]] == "fits"
    assert [texts[place][0] for place in token["chain"]] == ["signs", "issuer", "anchor"]
    failed = [texts[place] for place in token["checks"] if texts[place][0] == "failed"]
    assert failed == [
        ["failed", "The caller is that of the token", "token 12155550100, From 13125550123", "RFC 8224 §6.2.4"]
    ]
    assert [texts[place] for place in call["findings"]["rules"]] == [["verify", "enforce", 1, ""]]


def test_texts_that_repeat_are_there_once(tmp_path: Path) -> None:
    """So that thousands of calls fit."""
    findings = explained(invite_of(1), tmp_path)
    one = len(script_data(details([detail(1, invite_of(1), findings)])))
    many = len(script_data(details([detail(n, invite_of(n), findings) for n in range(100)])))
    assert many < 40 * one


def test_there_is_a_limit_of_octets() -> None:
    calls = [detail(n, invite_of(n)) for n in range(50)]
    found = data(*calls, most=20_000)
    assert 0 < len(found["calls"]) < 50
    assert len(script_data(found)) < 20_000
    assert len(data(*calls)["calls"]) == 50


def test_the_limit_counts_what_escapes_take() -> None:
    hostile = b"INVITE sip:a SIP/2.0\r\n" + b"".join(b"X%d: " % n + b"<\x00" * 200 + b"\r\n" for n in range(20))
    calls = [detail(n, b"%d" % n + hostile, rejected=True) for n in range(50)]
    assert len(script_data(details(calls, 100_000))) < 110_000


def test_one_call_does_not_displace_the_others() -> None:
    """Its first messages are shown. A call that finds no room leaves nothing behind."""
    messages = [Message(n, "", 0.0, "a:1", "b:1", "udp", b"%d" % n + b"\x00\r\n" * 20_000, ()) for n in range(40)]
    noise = [Message(1, "", 0.0, "a:1", "b:1", "udp", b"%d" % n + b"\xff" * 8000, ()) for n in range(40)]
    large, small = Detail(1, "", "", messages), detail(3, invite_of(3))
    assert list(data(large, small)["calls"]) == ["1", "3"]
    found = data(large._replace(messages=noise), small)["calls"]["1"]
    assert (len(found["messages"]), found["omitted"]) == (4, 36)
    assert data(Detail(2, "", "", noise), small, most=100_000) == data(small)


def test_no_call_is_kept_in_memory_while_the_next_one_is_read(tmp_path: Path) -> None:
    """What `explain` says is large: 2,000 calls with 16 tokens would take 700 MB."""

    class Findings(dict[str, Any]):
        """A dictionary that can be referred to weakly."""

    findings = explained(invite_of(1), tmp_path)
    made_ones: list[weakref.ref[Findings]] = []
    alive = []

    def calls() -> Iterator[Detail]:
        for number in range(5):
            made = Findings(findings)
            made_ones.append(weakref.ref(made))
            yield detail(number, invite_of(number), made)
            del made
            alive.append(sum(each() is not None for each in made_ones))

    assert len(details(calls())["calls"]) == 5
    assert max(alive) == 1


def test_many_messages_are_counted() -> None:
    message = Message(1, "", 0.0, "a:1", "b:1", "udp", b"ACK", (b"ACK",))
    call = Detail(1, "", "", [message] * 100, 5)
    shown = data(call)["calls"]["1"]
    assert (len(shown["messages"]), shown["omitted"], shown["said"]) == (60, 45, None)


@pytest.mark.parametrize(
    ("message", "title"),
    [
        (invite_of(1), "INVITE"),
        (response(invite_of(1), "183 Session Progress"), "183 Session Progress"),
        (b"\r\n\r\nACK sip:a SIP/2.0\r\n\r\n", "ACK"),
        (b"sip/2.0 200 OK\r\n", "200 OK"),
        (b"", "empty"),
        (b"\xff\x00<img src=x>", "\ue000\\xff\ue001\ue000\\x00\ue001<img"),
        (b"A" * 1000, "A" * 23 + "…"),
    ],
)
def test_a_message_is_named(message: bytes, title: str) -> None:
    assert title_of(message) == title


def test_a_value_has_one_place() -> None:
    interned = Interned()
    assert [interned.at(each) for each in ("a", ("a", 1), "a", ("a", 1))] == [0, 1, 0, 1]
    assert interned.values() == ["a", ("a", 1)]
    assert interned.size == len('"a",["a",1],')
