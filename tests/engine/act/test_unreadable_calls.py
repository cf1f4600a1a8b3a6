"""INVITEs that cannot be read are treated like forged ones: refused, dropped, scrubbed, monitored (S-114, S-137)."""

import pytest
from support.calls import (
    CARRIER,
    NOW,
    SIGN,
    VERIFY,
    arriving,
    follow_up,
    invite,
    leaving,
    make_engine,
    result,
)

from sbc_filter.engine.verdict import Verdict

SPOOFED = "P-Asserted-Identity: <sip:+19005550123;verstat=TN-Validation-Passed@h>"
HARMLESS = SPOOFED.replace(";verstat=TN-Validation-Passed", "")


def broken(*headers: str, to_tag: str = "", number: int = 1) -> bytes:
    return invite(*headers, to_tag=to_tag, number=number).replace(b"Content-Length: 0", b"Content-Length: 9")


BROKEN, SCRUBBED = broken(SPOOFED), broken(HARMLESS)
REFUSED = (
    b"SIP/2.0 %b\r\n"
    b"Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK-1\r\n"
    b"From: <sip:+12155550100@carrier.example>;tag=f1\r\n"
    b"To: <sip:+12155550199@sbc.example>;tag=%b\r\n"
    b"Call-ID: call-1@carrier.example\r\n"
    b"CSeq: 1 INVITE\r\n"
    b'Warning: 399 192.0.2.1 "sbc-filter unparseable.content-length"\r\n'
    b"%bContent-Length: 0\r\n\r\n"
)


def on(text: str) -> str:
    return f"{VERIFY}[rule.on]\n{text}\n"


def tag_of(answer: bytes) -> bytes:
    return answer.partition(b"To: ")[2].partition(b"\r\n")[0].partition(b";tag=")[2]


@pytest.mark.parametrize(
    ("rules", "status"),
    [
        (on('invalid = "reject"'), "438 Invalid Identity Header"),
        (on('invalid = { action = "reject", code = 488, phrase = "No" }'), "488 No"),
        (on('invalid = { action = "reject", code = 603 }'), "603 Decline"),
        (on('unparseable = "reject"'), "400 Bad Request"),
        (on('unparseable = { action = "reject", code = 403 }'), "403 Forbidden"),
        (on('invalid = "drop"\n"unparseable.content-length" = "reject"\nunparseable = "continue"'), "400 Bad Request"),
        (VERIFY + '[[rule.when]]\noutcome = "invalid"\naction = "reject"\n', "438 Invalid Identity Header"),
        (VERIFY + '[[rule.when]]\ndetail = "content-length"\naction = "reject"\n', "400 Bad Request"),
        (
            VERIFY.replace("\naction", '\ncaller = "1999"\nhas_identity = true\naction')
            + '[rule.on]\ninvalid = "reject"\n',
            "438 Invalid Identity Header",
        ),
        ('[[rule]]\nname = "verify"\naction = "reject"\nanswer = { code = 607 }\n', "607 Unwanted"),
        ('[[rule]]\nname = "verify"\naction = "reject"\n', "403 Forbidden"),
    ],
)
def test_it_is_refused_as_the_rule_says(rules: str, status: str) -> None:
    action, answer, record = result(make_engine(rules), arriving(BROKEN))
    assert answer == REFUSED % (status.encode(), tag_of(answer), b"")
    assert len(tag_of(answer)) == 24
    assert (action, record["verdict"], record["code"]) == ("reject", "reject", int(status[:3]))
    assert (record["outcome"], record["detail"], record["rule"]) == ("unparseable", "content-length", "verify")
    assert (record["call_id"], record["cseq"]) == ("call-1@carrier.example", "1 INVITE")


@pytest.mark.parametrize(
    ("rules", "unreadable", "action"),
    [
        (VERIFY, "reject", "modify"),  # the rule continues
        (on('invalid = "reject"\nunparseable = "continue"'), "drop", "modify"),
        (on('invalid = "reject"\n"unparseable.content-length" = "continue"'), "drop", "modify"),
        (on('invalid = "drop"'), "scrub", "drop"),
        (on('"invalid.bad-signature" = "reject"'), "drop", "modify"),
        ('[[rule]]\nname = "verify"\naction = "drop"\n', "scrub", "drop"),
        (
            '[[rule]]\nname = "verify"\naction = "pass"\n' + on('invalid = "reject"').replace('"verify"', '"v"', 1),
            "drop",
            "modify",
        ),
    ],
)
def test_it_continues_scrubbed_or_is_dropped(rules: str, unreadable: str, action: str) -> None:
    done, out, record = result(make_engine(rules, unreadable=unreadable), arriving(BROKEN))
    assert (done, record["verdict"], record["rule"]) == (action, action, "verify")
    assert out == (SCRUBBED if action == "modify" else BROKEN)


@pytest.mark.parametrize(
    "rules",
    [
        "",
        SIGN,
        on('invalid = "reject"').replace("inbound", "outbound"),
        '[[rule]]\nname = "block"\naction = "reject"\ncaller = "12155550100"\n',
        '[[rule]]\nname = "late"\naction = "reject"\ntime = { hours = "09:00-10:00" }\n',
    ],
)
@pytest.mark.parametrize(("unreadable", "action"), [("scrub", "modify"), ("reject", "reject"), ("drop", "drop")])
def test_where_no_rule_matches_the_configuration_decides(rules: str, unreadable: str, action: str) -> None:
    done, out, record = result(make_engine(rules, unreadable=unreadable), arriving(BROKEN))
    assert (done, record["rule"], record["outcome"]) == (action, None, "unparseable")
    if action == "reject":
        assert out == REFUSED % (b"400 Bad Request", tag_of(out), b"")
    else:
        assert out == (SCRUBBED if action == "modify" else BROKEN)


@pytest.mark.parametrize("unreadable", ["reject", "drop"])
def test_what_the_sbc_or_a_trusted_peer_wrote_passes_where_no_rule_matches(unreadable: str) -> None:
    trusted = f'[trunks.t]\naddresses = ["{CARRIER}"]\ntrusted = true\n'
    for rules, packet in (("", leaving(BROKEN)), (trusted, arriving(BROKEN))):
        assert result(make_engine(rules, unreadable=unreadable), packet)[:2] == ("accept", BROKEN)


def test_a_redirect_becomes_a_rejection() -> None:
    """What cannot be read cannot be sent back."""
    trunk = f'[trunks.t]\naddresses = ["{CARRIER}"]\ntrusted = true\n'
    rules = trunk + VERIFY + 'trunk = "t"\n[rule.on]\ninvalid = "redirect"\n'
    _, answer, _ = result(make_engine(rules), arriving(BROKEN))
    assert answer == REFUSED % (b"438 Invalid Identity Header", tag_of(answer), b"")


def test_a_reason_goes_with_it() -> None:
    rules = on('invalid = { action = "reject", code = 603, reason = "SIP;cause=603" }')
    _, answer, _ = result(make_engine(rules), arriving(broken(SPOOFED, "X: " + "x" * 100)))
    assert answer == REFUSED % (b"603 Decline", tag_of(answer), b"Reason: SIP;cause=603\r\n")


def test_a_response_is_never_larger_than_the_request() -> None:
    """What says why is left out first (S-143)."""
    short = (
        broken("X: " + "x" * 20)
        .replace(b"Max-Forwards: 70\r\n", b"")
        .replace(b"Contact: <sip:+12155550100@192.0.2.7>\r\n", b"")
    )
    verdict = make_engine(on('invalid = "reject"')).process(arriving(short), NOW)
    assert isinstance(verdict, Verdict)
    (answer,) = verdict.emit
    assert len(answer.payload) <= len(short)
    assert answer.payload.startswith(b"SIP/2.0 438 Invalid Identity Header\r\nv: ")
    assert b"Warning" not in answer.payload


@pytest.mark.parametrize("lost", [b"Via", b"From", b"To", b"Call-ID", b"CSeq"])
def test_what_cannot_be_answered_is_dropped(lost: bytes) -> None:
    """A message that nobody can respond to is not better off for it."""
    lines = [line for line in BROKEN.split(b"\r\n") if not line.startswith(lost)]
    engine = make_engine(on('invalid = "reject"'))
    action, _, record = result(engine, arriving(b"\r\n".join(lines)))
    assert (action, record["verdict"], record["code"]) == ("drop", "drop", None)
    assert engine.counters == {"unanswerable": 1}


def test_a_broken_from_or_to_is_repeated_as_it_came() -> None:
    for old, new in (
        (b"<sip:+12155550100@carrier", b"< sip:+12155550100@carrier"),
        (b"<sip:+12155550199@sbc", b'"a <sip:b@sbc'),
    ):
        message = invite("X: " + "x" * 100).replace(old, new)
        _, answer, record = result(make_engine(on('invalid = "reject"')), arriving(message))
        assert record["detail"] == "address-syntax"
        assert new in answer
        assert len(tag_of(answer)) == 24


def test_a_copy_gets_the_same_response_and_its_ack_is_absorbed() -> None:
    engine = make_engine(on('invalid = "reject"'))
    first, second = (engine.process(arriving(BROKEN), NOW) for _ in range(2))
    assert isinstance(first, Verdict)
    assert isinstance(second, Verdict)
    assert (second.kind, second.emit, second.record) == (first.kind, first.emit, None)
    ack = follow_up(invite(), "ACK", tag_of(first.emit[0].payload).decode())
    assert result(engine, arriving(ack))[0] == "drop"
    cancel = result(engine, arriving(follow_up(invite(), "CANCEL")))
    assert (cancel[0], cancel[1][:11]) == ("drop", b"SIP/2.0 200")


def test_a_copy_of_a_scrubbed_one_is_scrubbed() -> None:
    engine = make_engine(VERIFY)
    assert [result(engine, arriving(BROKEN))[:2] for _ in range(2)] == [("modify", SCRUBBED)] * 2


@pytest.mark.parametrize("percent", [0, 100])
def test_a_rule_that_monitors_changes_nothing(percent: int) -> None:
    rules = on('invalid = "reject"').replace("\naction", f"\nenforce_percent = {percent}\naction", 1)
    verdict = make_engine(rules).process(arriving(BROKEN), NOW)
    assert isinstance(verdict, Verdict)
    assert verdict.record is not None
    if percent:
        assert (verdict.kind, verdict.monitored, verdict.record.mode) == ("reject", (), "enforce")
        return
    assert (verdict.kind, verdict.record.rule) == ("modify", None)
    (monitored,) = verdict.monitored
    assert (monitored.mode, monitored.verdict, monitored.code) == ("monitor", "reject", 438)
    assert (monitored.outcome, monitored.detail) == ("unparseable", "content-length")


def test_a_monitored_rule_hides_no_later_one() -> None:
    rules = on('invalid = "drop"').replace("\naction", '\nmode = "monitor"\naction', 1)
    rules += on('invalid = "reject"').replace('"verify"', '"second"', 1)
    verdict = make_engine(rules).process(arriving(BROKEN), NOW)
    assert isinstance(verdict, Verdict)
    assert verdict.record is not None
    assert (verdict.kind, verdict.record.rule, verdict.monitored[0].verdict) == ("reject", "second", "drop")


@pytest.mark.parametrize("unreadable", ["scrub", "reject", "drop"])
def test_an_invite_in_a_dialog_is_scrubbed(unreadable: str) -> None:
    rules = on('invalid = "reject"')
    action, out, record = result(make_engine(rules, unreadable=unreadable), arriving(broken(SPOOFED, to_tag=";tag=x")))
    assert (action, out, record["rule"]) == ("modify", broken(HARMLESS, to_tag=";tag=x"), None)
    assert result(make_engine(rules), arriving(broken(to_tag=";\x0btag=x")))[0] == "reject"  # some find no tag there


@pytest.mark.parametrize("tag", [";tag=a;tag=b", ';tag="a b"', ";t%61g=a"])
def test_a_tag_with_several_readings_has_a_detail_of_its_own(tag: str) -> None:
    rules = on('"unparseable.to-tag" = "drop"')
    action, _, record = result(make_engine(rules), arriving(invite(to_tag=tag)))
    assert (action, record["detail"]) == ("drop", "to-tag")


@pytest.mark.parametrize(
    "line", ["sip:911@h SIP/2.0", "<sip:911@h", "911 SIP/2.0", "tel: 911", "urn:service:sos x", "sip:%39%311@h@i"]
)
@pytest.mark.parametrize("unreadable", ["scrub", "reject", "drop"])
def test_what_may_be_an_emergency_call_goes_on(line: str, unreadable: str) -> None:
    """S-137, whatever its syntax: it is scrubbed and nothing else."""
    for rules in (
        on('invalid = "reject"'),
        on('unparseable = "drop"'),
        '[[rule]]\nname = "r"\naction = "reject"\n',
        "",
    ):
        first = b"INVITE " + line.encode()
        message, expected = (
            each.replace(b"INVITE sip:+12155550199@192.0.2.1 SIP/2.0", first) for each in (BROKEN, SCRUBBED)
        )
        action, out, record = result(make_engine(rules, unreadable=unreadable), arriving(message))
        assert (action, out, record["outcome"]) == ("modify", expected, "unparseable")


@pytest.mark.parametrize(("trusted", "action"), [("true", "accept"), ("false", "reject")])
def test_of_a_trusted_peer_to_may_say_that_it_is_one(trusted: str, action: str) -> None:
    trunk = f'[trunks.t]\naddresses = ["{CARRIER}"]\ntrusted = {trusted}\n'
    message = broken().replace(b"To: <sip:+12155550199@", b"To: <sip:911@")
    assert result(make_engine(trunk + on('invalid = "reject"')), arriving(message))[0] == action


@pytest.mark.parametrize("method", ["ACK", "CANCEL"])
def test_an_ack_or_cancel_that_cannot_be_read_is_never_refused(method: str) -> None:
    message = follow_up(invite(), method).replace(b"Content-Length: 0", SPOOFED.encode() + b"\r\nContent-Length: 9")
    engine = make_engine(on('invalid = "reject"'), unreadable="drop")
    action, out, record = result(engine, arriving(message))
    assert (action, out) == ("modify", message.replace(SPOOFED.encode(), HARMLESS.encode()))
    assert (record["method"], record["outcome"]) == (method, "unparseable")


def test_a_repair_is_named_and_counted() -> None:
    engine = make_engine()
    message = b"\0" + invite("X : 1").replace(b"INVITE ", b"INVITE  ")
    for _ in range(2):  # the copy is not repaired again: it gets what the first one got
        assert result(engine, arriving(message))[1].startswith(b"INVITE sip:")
    assert result(engine, arriving(b"\0" + invite("X : 2")))[2]["changed"] == ["leading-bytes", "header-names"]
    assert engine.counters == {
        "repair.leading-bytes": 2, "repair.request-line": 1, "repair.header-names": 2, "retransmission": 1
    }  # fmt: skip


@pytest.mark.parametrize("method", ["ACK", "CANCEL"])
def test_an_ack_or_cancel_is_repaired(method: str) -> None:
    engine, plain = make_engine(), follow_up(invite(), method, "x")
    assert result(engine, arriving(plain))[:2] == ("accept", plain)
    assert result(engine, arriving(b"\r\n" + plain.replace(b";tag=x", b"; tag=x")))[:2] == ("modify", plain)
    assert engine.counters == {"repair.leading-bytes": 1, "repair.tags": 1}
    assert result(engine, leaving(b"\r\n" + plain))[0] == "accept"


def test_the_acks_of_a_peer_are_read_by_their_layout() -> None:
    """After four of one layout. Whatever differs from it is looked at as closely as the first one."""
    engine = make_engine(on('no-identity = "reject"'))

    def ack(number: int) -> bytes:
        return follow_up(invite(number=number), "ACK", "x")

    for number in range(4):
        assert engine._intake._follow_ups.read(ack(number), CARRIER) is None
        assert result(engine, arriving(ack(number)))[0] == "accept"
    assert engine._intake._follow_ups.read(ack(4), CARRIER) is not None
    assert result(engine, arriving(ack(4)))[0] == "accept"
    assert result(engine, arriving(ack(5).replace(b";tag=x", b"; tag=x")))[:2] == ("modify", ack(5))
    assert result(engine, arriving(ack(6) + invite(number=7)))[:2] == ("modify", ack(6))  # RFC 4475 dblreq
    assert result(engine, arriving(invite(number=8)))[0] == "reject"
    assert result(engine, arriving(ack(8)))[0] == "drop"


@pytest.mark.parametrize(
    "message", [b"\r\n\r\n", b"jaK\0", b"\0", b"\0\0\0\0", b"INVITE", b"x INVITE sip:a@b SIP/2.0\r\n\r\n"]
)
def test_what_nobody_reads_as_a_request_passes(message: bytes) -> None:
    engine = make_engine(on('invalid = "drop"'), unreadable="drop")
    assert engine.process(arriving(message), NOW) == Verdict("accept")  # type: ignore[arg-type]
    assert engine.counters == {"passed-unread": 1}
