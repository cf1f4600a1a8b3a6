"""What may be an emergency call is never refused, dropped or held, whatever its syntax (S-137).

Every failure is rejected here, and the certificate of the token is not in memory.
"""

import pytest
from support.calls import NOW, arriving, identity, make_engine
from support.differential import RULES
from support.odd_base import Change, both, edit, line_in_front, put, rename, replace, without
from support.odd_start import gap, in_front, line_end, method, second_gap, version

from sbc_filter.engine.verdict import Verdict, VerdictKind

_HEAD = """\
INVITE URI SIP/2.0
Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK-sos
Max-Forwards: 70
From: <sip:+12155550100@carrier.example>;tag=f1
To: <sip:911@sbc.example>
Call-ID: sos-1@carrier.example
CSeq: 1 INVITE
P-Asserted-Identity: <sip:+12155550100@carrier.example>
P-Attestation-Indicator: A
Contact: <sip:+12155550100@192.0.2.7>
TOKEN
Content-Length: 0

"""
_TOKEN = identity(jose={"x5u": "https://unknown.example/shaken.pem"})
_BASE = _HEAD.replace("TOKEN", _TOKEN).replace("\n", "\r\n").encode()
URIS = (
    b"sip:911@192.0.2.1", b"sip:911@192.0.2.1;user=phone", b"tel:911;phone-context=+1", b"urn:service:sos",
    b"urn:service:sos.police", b"URN:SERVICE:SOS", b"sips:911@192.0.2.1", b"SIP:911@192.0.2.1:5060",
    b"sip:911@[2001:db8::1]", b"tel:911", b"sip:911@192.0.2.1;transport=udp", b"sip:911@sbc.example?a=b",
)  # fmt: skip
_BENT: dict[str, Change] = {
    "two blanks in front of the URI": gap(b"  "),
    "a tab in front of the URI": gap(b"\t"),
    "a fold in front of the URI": gap(b"\r\n "),
    "two blanks behind the URI": second_gap(b"  "),
    "a fold behind the URI": second_gap(b"\r\n "),
    "a blank behind the version": version(b"SIP/2.0 "),
    "another version": version(b"SIP/2.1"),
    "no version": replace(b" SIP/2.0\r\n", b"\r\n"),
    "LF behind the request line": line_end(b"\n"),
    "CR behind the request line": line_end(b"\r"),
    "brackets around the URI": lambda message: message.replace(b" ", b" <", 1).replace(b" SIP/2.0", b"> SIP/2.0", 1),
    "small letters": method(b"invite"),
    "NUL in front": in_front(b"\0"),
    "line ends in front": in_front(b"\r\n\r\n"),
    "a tag with a blank": edit("To", lambda old: old + b"; tag=a"),
    "a bare tag": edit("To", lambda old: old + b";tag"),
    "a broken To": put("To", b"<sip:911"),
    "a broken From": put("From", b"<sip:+12155550100@h>;tag=a;"),
    "From without brackets and with a comma": put("From", b"Smith, Bob <sip:+12155550100@h>;tag=a"),
    "two From": line_in_front("From", b"From: <sip:a@h>;tag=b\r\n"),
    "two Call-ID": line_in_front("Via", b"i: other\r\n"),
    "two Content-Length": line_in_front("Content-Length", b"l: 5\r\n"),
    "a Content-Length that is too large": put("Content-Length", b"99999"),
    "a Content-Length that is no number": put("Content-Length", b"a"),
    "no Content-Length": without("Content-Length"),
    "no Via": without("Via"),
    "no From": without("From"),
    "no To": without("To"),
    "no Call-ID": without("Call-ID"),
    "no CSeq": without("CSeq"),
    "a CSeq of another method": put("CSeq", b"1 ACK"),
    "a CSeq without number": put("CSeq", b"INVITE"),
    "a blank in a header name": rename("Max-Forwards", b"Max Forwards:"),
    "a line without colon": line_in_front("CSeq", b"garbage\r\n"),
    "a line with a NUL": line_in_front("CSeq", b"Subject: a\0b\r\n"),
    "a line with a bare CR": line_in_front("CSeq", b"Subject: a\rb\r\n"),
    "a broken Via": put("Via", b"SIP/2.0/UDP"),
    "no empty line": lambda message: message.removesuffix(b"\r\n"),
    "all line ends LF": replace(b"\r\n", b"\n", -1),
    "300 more header fields": line_in_front("CSeq", b"X: y\r\n" * 300),
    "a broken P-Asserted-Identity": put("P-Asserted-Identity", b'"a <sip:1@h>'),
    "a tag and no version": both(edit("To", lambda old: old + b"; tag = a"), version(b"")),
}


def test_there_are_enough_forms() -> None:
    assert len(_BENT) >= 40


@pytest.mark.parametrize("bent", _BENT)
def test_goes_on_at_once(bent: str) -> None:
    for uri in URIS:
        message = _BENT[bent](_BASE).replace(b"URI", uri, 1)
        verdict = make_engine(RULES, known=False).process(arriving(message), NOW)
        assert isinstance(verdict, Verdict), (uri, "held")
        assert verdict.kind in (VerdictKind.ACCEPT, VerdictKind.MODIFY), uri
        assert not verdict.emit, uri
