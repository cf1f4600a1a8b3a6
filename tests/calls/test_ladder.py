"""The ladder of a call, as text."""

import itertools

import pytest
from support.calls import CARRIER, CORE, SBC, VERIFY, follow_up, identity, invite, leaving, make_engine, response
from support.gathered import Packet, gathered, sent

from sbc_filter.calls.ladder import label_of, ladder_of, lines_of
from sbc_filter.engine.call.network import Observation
from sbc_filter.engine.engine import Engine

REJECTS = f'{VERIFY}[rule.on]\ninvalid = "reject"\n'
SPOOFED = invite(identity(), caller="13125550123")


def ladder(*packets: Packet, engine: Engine | None = None) -> list[str]:
    """The lines of the only call of these packets."""
    (call,) = gathered(packets, engine=engine).in_order()
    return list(lines_of(ladder_of(call), call.time))


def test_a_call_that_passes() -> None:
    message = invite(identity())
    assert ladder(
        sent(message),
        sent(response("180 Ringing"), SBC, CARRIER, 0.25),
        sent(response("200 OK"), SBC, CARRIER, 2.0),
        sent(follow_up(message, "ACK", "s1"), CARRIER, SBC, 2.1),
    ) == [
        "               192.0.2.7                        filter                         192.0.2.1",
        "    +0.000     #1  |----------- INVITE ----------->|----------- INVITE ----------->|"
        "  passed: changed by verify",
        "    +0.250     #2  |<-------- 180 Ringing ---------|<-------- 180 Ringing ---------|",
        "    +2.000     #3  |<----------- 200 OK -----------|<----------- 200 OK -----------|",
        "    +2.100     #4  |------------ ACK ------------->|------------ ACK ------------->|",
    ]


def test_a_call_that_is_rejected_ends_at_the_filter() -> None:
    engine = make_engine(REJECTS)
    assert ladder(sent(SPOOFED), sent(SPOOFED, after=0.5), engine=engine) == [
        "               192.0.2.7                        filter                         192.0.2.1",
        "    +0.000     #1  |----------- INVITE -----------x|                               |"
        "  invalid.orig-mismatch: stopped by verify",
        "    +0.000         |< 438 Invalid Identity Header -|                               |  by the filter",
        "    +0.500     #2  |------- INVITE (again) -------x|                               |  dropped",
        "    +0.500         |< 438 Invalid Identity Header -|                               |  by the filter",
    ]


def test_a_call_that_leaves_meets_the_filter_behind_the_sbc() -> None:
    """The filter stands on both sides of the SBC."""
    assert ladder(sent(invite(), CORE, SBC), Packet(leaving(invite()), 0.01)) == [
        "             198.51.100.7                       filter                         192.0.2.1"
        "                        filter                         192.0.2.7",
        "    +0.000     #1  |----------- INVITE ----------->|----------- INVITE ----------->|"
        "                               |                               |  no-identity.absent: changed by verify",
        "    +0.010     #2  |                               |                               |"
        "----------- INVITE ----------->|----------- INVITE ----------->|  signed: changed by sign",
    ]


def test_a_call_that_may_not_leave() -> None:
    engine = make_engine('[[rule]]\nname = "no"\ndirection = "outbound"\naction = "reject"\n')
    assert ladder(Packet(leaving(invite()), 0.0), engine=engine) == [
        "               192.0.2.1                        filter                         192.0.2.7",
        "    +0.000     #1  |----------- INVITE -----------x|                               |"
        "  not-examined.reject-rule: stopped by no",
        "    +0.000         |<------- 403 Forbidden --------|                               |  by the filter",
    ]


@pytest.mark.parametrize(
    ("rules", "message", "note"),
    [
        (VERIFY, SPOOFED, "invalid.orig-mismatch: would be changed by verify"),
        (REJECTS, SPOOFED, "invalid.orig-mismatch: would be rejected by verify"),
        ('[[rule]]\nname = "no"\naction = "drop"\n', invite(), "not-examined.drop-rule: would be dropped by no"),
        ('[[rule]]\nname = "yes"\naction = "pass"\n', invite(), "not-examined.pass-rule: passed on unchanged by yes"),
    ],
)
def test_a_call_that_is_only_observed(rules: str, message: bytes, note: str) -> None:
    """The INVITE itself passes, and the arrow goes all the way."""
    engine = make_engine(rules)
    engine.observe(Observation(everything=True))
    assert ladder(sent(message), engine=engine)[1:] == [
        f"    +0.000     #1  |----------- INVITE ----------->|----------- INVITE ----------->|  {note}"
    ]


@pytest.mark.parametrize(
    ("message", "label"),
    [
        (b"INVITE sip:a SIP/2.0\r\n", "INVITE"),
        (b"\r\nBYE sip:a SIP/2.0\r\n", "BYE"),
        (b"SIP/2.0 486 Busy Here\r\n", "486 Busy Here"),
        (b"SIP/2.0 200 \r\n", "200"),
        (b"SIP/2.0 200 \x1b[2J\r\n", "200 \\x1b[2J"),
        (b"\x00\x01", "?"),
    ],
)
def test_the_label_of_any_message(message: bytes, label: str) -> None:
    assert label_of(message) == label


def test_many_hosts_are_told_in_words() -> None:
    hosts = [CARRIER, *(f"203.0.113.{number}" for number in range(1, 7))]
    hops = [sent(invite(), src, dst, at) for at, (src, dst) in enumerate(itertools.pairwise(hosts))]
    lines = ladder(*hops)
    assert (
        lines[0] == "    +0.000     #1 192.0.2.7 -> 203.0.113.1: INVITE  not-examined.no-direction: passed on unchanged"
    )
    assert len(lines) == len(hops)


def test_a_message_of_a_host_to_itself() -> None:
    """Two programs of one host, or a call that an SBC sends to itself: there is no room for an arrow."""
    options = invite().replace(b"INVITE sip", b"OPTIONS sip").replace(b"1 INVITE", b"1 OPTIONS")
    assert ladder(sent(follow_up(invite(), "ACK"), CARRIER, CORE), sent(options, CORE, CORE, 0.5))[1:] == [
        "    +0.000     #1  |------------ ACK ------------->|",
        "    +0.500     #2  |                               |  OPTIONS to itself",
    ]
    assert ladder(sent(invite(), CORE, CORE))[1:] == [
        "    +0.000     #1  |  INVITE to itself  not-examined.no-direction: passed on unchanged"
    ]
