"""Requests whose first line is not plain: hidden from nobody, and for untrusted peers made plain.

Each start is that of an INVITE for at least one SIP stack: Kamailio skips NUL, Asterisk's chan_sip every byte up to the
space, JAIN SIP those from 0x80 as well; pjsip reads folds behind the method, chan_sip and node's sip other bytes.
"""

import re

import pytest
from support.calls import CARRIER, SIGN, VERIFY, arriving, identity, invite, leaving, make_engine, result

from sbc_filter.engine.verdict import ACCEPT

HIGH = (0x7F, 0x80, 0xA0, 0xC8, 0xFF)
LEADS = (
    *(bytes((code,)) for code in (*range(0x21), *HIGH)),
    b"\r\n\0", b"\0\r\n", b"\0\0\0\0", b"\r\n\r\n\x0b", b"\x0c\x1b\0 \t\n", b"\xef\xbb\xbf",
    b" " * 2000, b"\0\r\n" * 500,
)  # fmt: skip
BEHIND = (
    *(bytes((code,)) for code in (*range(0x0A), *range(0x0B, 0x20), *HIGH)),
    b"\r\n ", b"\n ", b"\r ", b"\r\n\t", b"\n\t  ", b"\r\n" + b" " * 2000,
)  # fmt: skip
STARTS = [*((lead, b" ") for lead in LEADS), *((b"", gap) for gap in BEHIND), (b"\r\n\0", b"\x0b")]
REQUIRED = VERIFY + '[rule.on]\nno-identity = "reject"\n'
SPOOFED = "P-Asserted-Identity: <sip:+19005550123;verstat=TN-Validation-Passed@h>"
CONTROL = re.compile(rb"\r(?!\n)|[\0-\x08\x0b\x0c\x0e-\x1f\x7f]")
HARMLESS = SPOOFED.replace(";verstat=TN-Validation-Passed", "")


def sloppy(message: bytes, start: tuple[bytes, bytes]) -> bytes:
    """The message with these bytes in front, and these behind its method."""
    method, _, rest = message.partition(b" ")
    return start[0] + method + start[1] + rest


def test_each_is_the_invite_that_it_is() -> None:
    """A rule that requires Identity refuses it."""
    engine = make_engine(REQUIRED)
    for number, start in enumerate(STARTS):
        raw = arriving(sloppy(invite(SPOOFED, number=number), start))
        action, answer, record = result(engine, raw)
        assert (action, record["outcome"], record["code"]) == ("reject", "no-identity", 428), start
        assert answer.startswith(b"SIP/2.0 428 Use Identity Header\r\n")


def test_each_goes_on_in_its_plain_form() -> None:
    """Whatever rules say: nobody behind us sees another request than we did."""
    for rules, added in (("", ""), (VERIFY, ";verstat=No-TN-Validation")):
        engine = make_engine(rules)
        for number, start in enumerate(STARTS):
            raw = arriving(sloppy(invite(SPOOFED, number=number), start))
            plain = invite(HARMLESS.replace("@h", f"{added}@h"), number=number)
            assert result(engine, raw)[:2] == ("modify", plain), start
            assert result(engine, raw)[1] == plain  # a copy as well


def test_with_a_token_it_passes() -> None:
    token = identity()
    for start in STARTS:
        message = invite("X: 1", token)
        out, record = result(make_engine(VERIFY), arriving(sloppy(message, start)))[1:]
        assert record["outcome"] == "passed", start
        assert out.startswith(message[: message.index(b"Via:")])


@pytest.mark.parametrize("start", [b"\0INVITE ", b"INVITE\r ", b"\r\n\0INVITE\r\n "])
def test_what_else_hides_in_the_header_is_made_harmless_too(start: bytes) -> None:
    message = invite("X: 1\rP-Attestation-Indicator: A\0", SPOOFED)
    expected = invite("X: 1 P-Attestation-Indicator: A ", HARMLESS)
    assert result(make_engine(""), arriving(message.replace(b"INVITE ", start, 1)))[1] == expected


def test_what_cannot_be_read_loses_its_claims_or_ends_here() -> None:
    """Never unseen, never with a verstat of the peer's: an SBC may be more lenient still (S-114)."""
    scrubbing, dropping = make_engine(VERIFY), make_engine("", unreadable="drop")
    broken = invite(SPOOFED).replace(b"Content-Length: 0", b"Content-Length: 9")
    for start in STARTS:
        message = sloppy(broken, start)
        action, out, record = result(scrubbing, arriving(message))
        assert (action, record["outcome"]) == ("modify", "unparseable"), start
        assert out == CONTROL.sub(b" ", message.replace(SPOOFED.encode(), HARMLESS.encode()))
        assert result(dropping, arriving(message))[0] == "drop"


PLAIN_LINE = "INVITE sip:+12155550199@192.0.2.1 SIP/2.0"


@pytest.mark.parametrize(
    "line",
    [
        "INVITE  sip:+12155550199@192.0.2.1 SIP/2.0",
        "INVITE\x0b\x0csip:+12155550199@192.0.2.1\t \t SIP/2.0",
        "\0INVITE\0 sip:+12155550199@192.0.2.1 SIP/2.0",
        "\x1bINVITE sip:+12155550199@192.0.2.1 SIP/2.0 ",
        "INVITE\x0b< sip:+12155550199@192.0.2.1 >SIP/2.0",
        "INVITE <sip:+12155550199@192.0.2.1>",
        "INVITE sip:+12155550199@192.0.2.1",
        "INVITE sip:+12155550199@192.0.2.1 sip/7",
        "%49nvi%54%65 sip:+12155550199@192.0.2.1 SIP/2.00",
        "INVITE\r\n\x0b sip:+12155550199@192.0.2.1 SIP/2.0",
        '"<@inVite sip:+12155550199@192.0.2.1 SIP/2.0',
    ],
)
def test_lines_that_are_made_plain(line: str) -> None:
    message = invite(SPOOFED).replace(PLAIN_LINE.encode(), line.encode("latin-1"))
    assert result(make_engine(""), arriving(message))[:2] == ("modify", invite(HARMLESS))
    assert result(make_engine(REQUIRED), arriving(message))[0] == "reject"


@pytest.mark.parametrize(
    "line",
    [
        "INVITE\r\nsip:+12155550199@192.0.2.1 SIP/2.0",
        "invite\xa0+12155550199",
        "INVITE sip:a@b sip:+12155550199@192.0.2.1 SIP/2.0",
        "INVITE sip:a@b;x= y SIP/2.0",
        "INVITE sip:+12155550199@192.0.2.1SIP/2.0",
        "INVITE sip:+12155550199@192.0.2.1 SIP/2.0 x",
        "INVITE sip:+12155550199@192.0.2.1 HTTP/1.1",
        "INVITE <sip:a@b>,<sip:+12155550199@192.0.2.1> SIP/2.0",
        "INVITE\0",
    ],
)
def test_lines_that_nothing_makes_plain(line: str) -> None:
    message = invite(SPOOFED).replace(PLAIN_LINE.encode(), line.encode("latin-1"))
    action, out, record = result(make_engine(REQUIRED), arriving(message))
    assert (action, record["outcome"], record["detail"]) == ("modify", "unparseable", "start-line")
    assert out == CONTROL.sub(b" ", message.replace(SPOOFED.encode(), HARMLESS.encode()))
    assert result(make_engine("", unreadable="drop"), arriving(message))[0] == "drop"


@pytest.mark.parametrize("start", [(b"\0", b" "), (b"\r\n\x0b", b" "), (b"", b"\r\n "), (b"\xff", b"\x0c")])
def test_ack_and_cancel_likewise(start: tuple[bytes, bytes]) -> None:
    """S-140, S-145: those of a call that was refused here do not reach the SBC either."""
    engine = make_engine(REQUIRED)
    _, answer, _ = result(engine, arriving(invite()))
    tag = answer.partition(b"To: ")[2].partition(b"\r\n")[0].partition(b";tag=")[2]
    ack = invite().replace(b"INVITE", b"ACK").replace(b"sbc.example>", b"sbc.example>;tag=" + tag)
    assert result(engine, arriving(sloppy(ack, start)))[0] == "drop"
    action, answer, _ = result(engine, arriving(sloppy(invite().replace(b"INVITE", b"CANCEL"), start)))
    assert (action, answer[:14]) == ("drop", b"SIP/2.0 200 OK")
    assert engine.counters["ack-absorbed"] == engine.counters["cancel-answered"] == 1
    broken = sloppy(invite(SPOOFED).replace(b"INVITE", b"ACK").replace(b"Via", b"Vie"), start)
    out, record = result(engine, arriving(broken))[1:]
    assert (record["method"], record["outcome"], b"verstat" in out) == ("ACK", "unparseable", False)


@pytest.mark.parametrize("start", [(b"\0\r\n", b" "), (b"", b"\r "), (b"\x80", b"\t")])
def test_of_a_trusted_peer_and_of_ours_nothing_changes(start: tuple[bytes, bytes]) -> None:
    message = sloppy(invite(SPOOFED), start)
    trunk = f'[trunks.t]\naddresses = ["{CARRIER}"]\ntrusted = true\n'
    action, out, record = result(make_engine(trunk), arriving(message))
    assert (action, out, record["outcome"]) == ("accept", message, "not-examined")
    out, record = result(make_engine(SIGN), leaving(message))[1:]
    assert record["outcome"] == "signed"
    assert out.startswith(message[: message.index(b"Via:")])


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\0",
        b"\r\n\r\n",
        b"jaK\0",
        b"\0" * 200,
        b" " * 200,
        b"\x80\x08" + bytes(170),
        b"\0\1\0\0\x21\x12\xa4\x42" + bytes(12),
        b"\0OPTIONS sip:a@b SIP/2.0\r\n\r\n",
        b"\0SIP/2.0 200 OK\r\n\r\n",
        b"\0INVITEsip:a@b SIP/2.0\r\n\r\n",
        b"\0INVITE",
        b"\0REINVITE sip:a@b SIP/2.0\r\n\r\n",
    ],
)
def test_keep_alives_media_and_others_pass(payload: bytes) -> None:
    assert make_engine(REQUIRED).process(arriving(payload), 0.0) == ACCEPT
