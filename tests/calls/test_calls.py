"""Messages of a capture become calls: what belongs together, what does not, and what is kept."""

import tracemalloc

import pytest
from support.calls import (
    CALLED,
    CALLER,
    CARRIER,
    CORE,
    NOW,
    SBC,
    VERIFY,
    arriving,
    follow_up,
    identity,
    invite,
    leaving,
    make_engine,
    response,
    retargeted,
)
from support.gathered import gathered, sent

from sbc_filter.calls.call import FIRST, LAST, ranges
from sbc_filter.calls.calls import Calls
from sbc_filter.calls.seen_message import SeenMessage

OTHER = "203.0.113.99"


def renamed(message: bytes, call_id: bytes, tag: bytes = b"f1") -> bytes:
    """The message as another leg of a B2BUA: another Call-ID, tag and branch."""
    changed = message.replace(b"call-1@carrier.example", call_id).replace(b";tag=f1", b";tag=" + tag)
    return changed.replace(b"z9hG4bK-1", b"z9hG4bK-" + tag)


def numbers(calls: Calls) -> list[list[int]]:
    """The packets of each call."""
    return [[message.packet for message in call.messages] for call in calls.in_order()]


def test_one_call_with_all_its_messages() -> None:
    """INVITE, copy, 100, 180, 200, ACK, re-INVITE, BYE from the called party, 200: one call."""
    message = invite(identity())
    bye = (
        b"BYE sip:a@192.0.2.7 SIP/2.0\r\nFrom: <sip:b@s>;tag=s1\r\nTo: <sip:a@c>;tag=f1\r\n"
        b"Call-ID: call-1@carrier.example\r\nCSeq: 9 BYE\r\n\r\n"
    )
    calls = gathered(
        [
            arriving(message),
            arriving(message),
            *(leaving(response(status)) for status in ("100 Trying", "180 Ringing", "200 OK")),
            arriving(follow_up(message, "ACK", "s1")),
            arriving(invite(to_tag=";tag=s1")),
            leaving(bye),
            arriving(response("200 OK", cseq="9 BYE")),
        ]
    )
    (call,) = calls.in_order()
    assert numbers(calls) == [[1, 2, 3, 4, 5, 6, 7, 8, 9]]
    assert (call.number, call.call_id, call.caller, call.called) == (1, "call-1@carrier.example", CALLER, CALLED)
    assert (call.result, call.attestation, call.spc, call.rule, call.treatment) == (
        "passed", "A", "1234", "verify", "continue",
    )  # fmt: skip
    assert (call.invites, call.repeated, call.seen) == (2, 1, 9)
    assert call.record is call.messages[0].record is not None


@pytest.mark.parametrize(
    ("responses", "status", "text"),
    [
        ((), 0, "none"),
        (("100 Trying", "180 Ringing"), 180, "none, only 180"),
        (("100 Trying", "503 Service Unavailable"), 503, "503"),
        (("486 Busy Here", "180 Ringing"), 486, "486"),
        (("180 Ringing", "200 OK", "488 Not Acceptable Here"), 200, "200"),
    ],
)
def test_the_final_response(responses: tuple[str, ...], status: int, text: str) -> None:
    """After a 2xx, responses to INVITE are of one within the dialog. That of a BYE is none."""
    packets = [arriving(invite(identity())), *(leaving(response(each)) for each in responses)]
    (call,) = gathered([*packets, leaving(response("481 Call Does Not Exist", cseq="9 BYE"))]).in_order()
    assert (call.status, call.response) == (status, text)


def test_the_response_to_an_invite_that_comes_again() -> None:
    """With credentials after 407: a copy of the first INVITE does not count as one (RFC 3261 §22.3)."""
    first = arriving(invite(identity()))
    again = arriving(invite(identity(), "Proxy-Authorization: Digest x"))
    packets = [first, leaving(response("407 Proxy Authentication Required")), first]
    assert [call.response for call in gathered(packets).in_order()] == ["407"]
    assert [call.response for call in gathered([*packets, again]).in_order()] == ["none"]
    packets = [*packets, again, leaving(response("183 Session Progress")), leaving(response("404 Not Found"))]
    assert [call.response for call in gathered(packets).in_order()] == ["404"]


def test_without_an_invite_there_is_no_response_to_it() -> None:
    (call,) = gathered([arriving(follow_up(invite(identity()), "BYE", "s1"))]).in_order()
    assert (call.status, call.response) == (0, "")


def test_what_the_filter_did_with_each_message() -> None:
    """A changed INVITE, a response as it was, and a rejection: nothing goes on, an answer goes back."""
    rejects = VERIFY + '[rule.on]\ninvalid = "reject"\n'
    good, forged = invite(identity()), invite(identity(), caller="13125550123", number=2)
    calls = gathered([arriving(good), leaving(response("100 Trying")), arriving(forged)], engine=make_engine(rejects))
    first, second = calls.in_order()
    changed, same = first.messages
    assert changed.received == good
    (onward,) = changed.sent
    assert b"verstat=TN-Validation-Passed" in onward
    assert onward.startswith(good[: good.index(b"Max-Forwards")])
    assert same.sent == (same.received,)
    (rejected,) = second.messages
    assert (rejected.sent, [answer[:11] for answer in rejected.answers]) == ((), [b"SIP/2.0 438"])
    assert (second.result, second.treatment, second.has_failed) == ("invalid.orig-mismatch", "reject", True)
    assert (changed.src, changed.dst, changed.transport, changed.time) == (
        f"{CARRIER}:5060", f"{SBC}:5060", "udp", NOW + 1,
    )  # fmt: skip


def test_legs_belong_to_their_call() -> None:
    """Another hop under the same Call-ID, and a B2BUA's other Call-ID with the same token."""
    message = invite(identity())
    proxied = renamed(message, b"call-1@carrier.example").replace(b"Via:", b"Via: SIP/2.0/UDP 192.0.2.1\r\nVia:", 1)
    other = renamed(message, b"b2b", b"x")
    calls = gathered(
        [
            sent(message),
            sent(proxied, SBC, CORE, 0.1),
            sent(other, SBC, OTHER, 0.2),
            sent(response("200 OK"), SBC, CARRIER, 1),
        ]
    )
    assert numbers(calls) == [[1, 2, 3, 4]]


@pytest.mark.parametrize(
    ("source", "target", "after"),
    [
        pytest.param(CARRIER, SBC, 0.2, id="the same way again: a stolen token"),
        pytest.param(OTHER, SBC, 0.2, id="from a host outside"),
        pytest.param(OTHER, CORE, 0.2, id="from a host outside to another"),
        pytest.param(SBC, CORE, 6.0, id="too late"),
    ],
)
def test_a_token_that_comes_back_is_another_call(source: str, target: str, after: float) -> None:
    message = invite(identity())
    calls = gathered([sent(message), sent(renamed(message, b"other", b"x"), source, target, after)])
    assert numbers(calls) == [[1], [2]]


def test_two_calls_under_one_call_id_stay_two() -> None:
    """A caller who repeats a Call-ID cannot hide a forged call behind a good one."""
    good, forged = invite(identity()), invite(identity(), caller="13125550123").replace(b";tag=f1", b";tag=f2")
    calls = gathered([arriving(good), arriving(forged), arriving(follow_up(forged, "ACK", "z"))])
    assert numbers(calls) == [[1], [2, 3]]
    assert [call.result for call in calls.in_order()] == ["passed", "invalid.orig-mismatch"]


def test_the_same_tag_does_not_hide_another_caller() -> None:
    good, forged = invite(identity()), invite(identity(), caller="13125550123")
    calls = gathered([arriving(good), arriving(forged), arriving(follow_up(forged, "ACK", "z"))])
    assert numbers(calls) == [[1], [2, 3]]
    assert [call.result for call in calls.in_order()] == ["passed", "invalid.orig-mismatch"]


def test_a_call_that_fails_on_one_leg_has_failed() -> None:
    """The second INVITE calls another number, as after a redirection."""
    good, forged = invite(identity()), invite(identity(), called="13125550123")
    calls = gathered([arriving(good), arriving(forged)])
    assert [(call.result, call.record and call.record.packet) for call in calls.in_order()] == [
        ("invalid.dest-mismatch", 2)
    ]


def test_a_call_that_is_rejected_on_one_leg_is_not_shown_as_passed() -> None:
    """Both INVITEs are good, but a rule rejects the number that the second one calls."""
    rules = '[[rule]]\nname = "barred"\ncalled = ["12155550300"]\naction = "reject"\n' + VERIFY
    good = invite(identity())
    calls = gathered([arriving(good), arriving(retargeted(good))], engine=make_engine(rules))
    assert [(call.treatment, call.rule, call.invites) for call in calls.in_order()] == [("reject", "barred", 2)]


@pytest.mark.parametrize(("after", "expected"), [(32.0, [[1, 2, 3]]), (33.0, [[1], [2, 3]])])
def test_a_call_id_that_is_used_again(after: float, expected: list[list[int]]) -> None:
    """A client repeats an INVITE for 32 seconds (RFC 3261 §17.1.1.2); a later one with its Call-ID is a new call."""
    first = invite()
    again = first.replace(b"z9hG4bK-1", b"z9hG4bK-2")
    assert numbers(gathered([sent(first), sent(again, after=after), sent(response("200 OK"), SBC, CARRIER, 50)])) == (
        expected
    )


def test_the_same_bytes_to_another_host_are_not_a_copy() -> None:
    """Two hosts of one IPv6 network: their addresses differ at the end."""
    message, network = invite(), "2001:db8:aaaa:bbbb:cccc:dddd:eeee"
    calls = Calls()
    for number, target in enumerate(("0001", "0002", "0002"), 1):
        ends = f"[{network}:ffff]:5060", f"[{network}:{target}]:5060"
        calls.add(SeenMessage(number, None, NOW + number, *ends, "udp", message, (message,)))
    assert [(call.invites, call.repeated) for call in calls.in_order()] == [(2, 1)]


def test_monitored_calls_show_what_was_found() -> None:
    rules = VERIFY.replace('action = "verify"', 'mode = "monitor"\naction = "verify"')
    calls = gathered([arriving(invite(identity()))], engine=make_engine(rules))
    assert [(call.result, call.mode, call.attestation) for call in calls.in_order()] == [("passed", "monitor", "A")]


def test_only_responses() -> None:
    """A capture of one direction: calls without a result."""
    calls = gathered(
        [leaving(response("180 Ringing")), leaving(response("200 OK")), leaving(response("200 OK", number=2))]
    )
    assert numbers(calls) == [[1, 2], [3]]
    assert [(call.result, call.caller, call.record) for call in calls.in_order()] == [(None, CALLER, None)] * 2


def test_what_is_not_of_a_call() -> None:
    """OPTIONS and REGISTER by themselves, keep-alives, noise; within a call an OPTIONS belongs to it."""
    options = invite().replace(b"INVITE sip", b"OPTIONS sip").replace(b"1 INVITE", b"1 OPTIONS")
    noise = [arriving(each) for each in (b"\r\n\r\n\r\n\r\n", b"\0" * 40, b"hello, hello, hello", options)]
    assert numbers(gathered(noise)) == []
    assert numbers(gathered([arriving(invite()), arriving(options)])) == [[1, 2]]


def test_calls_without_a_call_id() -> None:
    """INVITEs without Call-ID between the same hosts with the same tag are one call, others are not."""
    message = invite().replace(b"Call-ID: call-1@carrier.example\r\n", b"")
    calls = gathered(
        [
            sent(message),
            sent(message, after=1),
            sent(message.replace(b"tag=f1", b"tag=f2"), after=2),
            sent(message, OTHER, SBC, 3),
        ]
    )
    assert numbers(calls) == [[1, 2], [3], [4]]
    assert {call.result for call in calls.in_order()} == {"unparseable.header-missing"}
    assert {call.call_id for call in calls.in_order()} == {""}


def test_a_copy_of_another_interface_is_no_call() -> None:
    message = invite(identity())
    (call,) = gathered([sent(message), sent(message, after=0.00001)]).in_order()
    assert (call.invites, call.repeated, call.result) == (1, 1, "passed")


def test_hostile_bytes_become_readable_text() -> None:
    message = invite().replace(b"call-1@", b"\x1b[2J\xff@").replace(f"sip:+{CALLER}@".encode(), b"sip:\x1b]0x@")
    (call,) = gathered([arriving(message)]).in_order()
    assert (call.call_id, call.caller) == (r"\x1b[2J\xff@carrier.example", r"\x1b]0x")
    assert f"{call.caller}{call.call_id}".isprintable()


def test_folded_and_short_header_names() -> None:
    message = invite(to_tag="").replace(b"Call-ID:", b"i:\r\n  ").replace(b"From:", b"f :").replace(b"To:", b"t:")
    calls = gathered([arriving(message), leaving(response("200 OK"))])
    assert numbers(calls) == [[1, 2]]


def test_a_long_call_keeps_its_beginning_and_its_end() -> None:
    infos = [response("200 OK", cseq=f"{number} INFO") for number in range(2, 102)]
    calls = gathered([arriving(invite()), *(leaving(each) for each in infos)])
    (call,) = calls.in_order()
    last = 101
    assert numbers(calls) == [[*range(1, FIRST + 1), *range(last - LAST + 1, last + 1)]]
    assert (call.omitted, call.seen, call.last_packet) == (last - FIRST - LAST, last, last)


def test_after_the_limits_only_lines() -> None:
    """Of 6 calls two are kept with messages, and two more are listed."""
    packets = [arriving(invite(identity(), number=number)) for number in range(1, 7)]
    calls = gathered(packets, Calls(with_messages=2, lines=4))
    assert numbers(calls) == [[1], [2], [], []]
    assert calls.unlisted == 2
    assert [(call.omitted, call.packets, call.attestation) for call in calls.in_order()][2:] == [
        (1, (3,), "A"),
        (1, (4,), "A"),
    ]


def test_octets_have_a_limit() -> None:
    packets = [arriving(invite(identity(), number=number, body="x" * 8000)) for number in range(1, 9)]
    calls = gathered(packets, Calls(octets=40_000))
    assert numbers(calls) == [[1], [2], [], [], [], [], [], []]


def test_the_wanted_call_keeps_its_messages_however_many_there_are() -> None:
    packets = [arriving(invite(number=number)) for number in range(1, 9)]
    calls = gathered(packets, Calls(with_messages=1, wanted=lambda call: call.number == 7))
    assert numbers(calls) == [[], [], [], [], [], [], [7], []]


def test_later_calls_take_the_place_of_earlier_ones() -> None:
    """Those with messages stay; a late message of a call that is forgotten begins another one."""
    packets = [arriving(invite(number=number)) for number in (1, 2, 3, 4, 5, 6, 7, 2, 1, 6)]
    calls = gathered(packets, Calls(lines=4, wanted=lambda call: call.number == 2, rolls=True))
    assert [(call.number, call.call_id, call.seen) for call in calls.in_order()] == [
        (2, "call-2@carrier.example", 2),
        (6, "call-6@carrier.example", 2),
        (7, "call-7@carrier.example", 1),
        (8, "call-1@carrier.example", 1),
    ]
    assert numbers(calls) == [[2, 8], [], [], []]
    assert (calls.begun, calls.unlisted) == (8, 0)


def test_a_flood_of_calls_and_legs_stays_small() -> None:
    """A line takes some hundred octets; the tokens and copies that are known have limits."""
    calls = Calls(with_messages=0, lines=2000)
    token = identity().encode()
    tracemalloc.start()
    for number in range(20_000):
        data = invite(number=number).replace(b"Call-ID:", token + b"\r\nCall-ID:")
        target = f"10.1.{number >> 8}.{number & 255}:5060"
        calls.add(SeenMessage(number, None, NOW, f"{SBC}:5060", target, "udp", data))
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(calls) == 2000
    assert size < 4 << 20


def test_a_token_that_was_judged_as_replayed_is_no_leg() -> None:
    """Even if a host of the call sends it to a new host."""
    message = invite(identity())
    calls = gathered([sent(message)])
    record = calls.in_order()[0].record
    assert record is not None
    again = renamed(message, b"other", b"x")
    for outcome, count in (("replayed", 2), ("passed", 2)):
        calls.add(
            SeenMessage(
                2, None, NOW + 1.5, f"{SBC}:5060", f"{OTHER}:5060", "udp", again.replace(b"other", outcome.encode()),
                record=record._replace(outcome=outcome),
            )
        )  # fmt: skip
        assert len(calls) == count


def test_invites_with_many_tokens_take_little_memory() -> None:
    calls = Calls(with_messages=0)
    tracemalloc.start()
    for number in range(300):
        tokens = "\r\n".join(f"y: a.b.{number}-{at}" for at in range(100))
        calls.add(SeenMessage(number, None, NOW, "a:1", "b:1", "udp", invite(tokens, number=number)))
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size < 10 << 20


def test_ranges() -> None:
    assert ranges([3, 4, 5, 8, 10, 11]) == "3-5 8 10-11"
    assert ranges([]) == ""


def test_a_call_that_is_forgotten_makes_room_for_another() -> None:
    calls = Calls(with_messages=1)
    first = calls.add(SeenMessage(1, None, 1.0, "a:1", "b:1", "udp", invite(number=1)))
    assert first is not None
    calls.forget(first)
    calls.forget(first)  # nothing more to forget
    second = calls.add(SeenMessage(2, None, 2.0, "a:1", "b:1", "udp", invite(number=2)))
    third = calls.add(SeenMessage(3, None, 3.0, "a:1", "b:1", "udp", invite(number=3)))
    assert second is not None
    assert third is not None
    assert [len(each.messages) for each in (first, second, third)] == [0, 1, 0]
    assert [each.seen for each in calls.in_order()] == [1, 1, 1]
    assert calls.add(SeenMessage(4, None, 4.0, "a:1", "b:1", "udp", b"OPTIONS sip:a SIP/2.0\r\n\r\n")) is None


@pytest.mark.parametrize(
    ("src", "dst", "peer"), [(CARRIER, SBC, CARRIER), (SBC, CORE, CORE), (CARRIER, "203.0.113.1", None)]
)
def test_the_peer_is_the_other_end_seen_from_the_sbc(src: str, dst: str, peer: str | None) -> None:
    (call,) = gathered([sent(invite(), src, dst)]).in_order()
    assert call.peer == peer
