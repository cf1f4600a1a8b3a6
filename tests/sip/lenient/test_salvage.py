"""What can be read of an INVITE that cannot be read: enough for a response, and for the sake of emergency calls."""

import pytest
from support.calls import invite
from support.growth import LINEAR, growth

from sbc_filter.engine.call.network import Network
from sbc_filter.errors import MessageError
from sbc_filter.numbering.numbering_plans import NANP
from sbc_filter.sip.lenient.salvage import salvage, targets
from sbc_filter.sip.numbers import canonicaliser

BROKEN = invite("Via: second", "no colon", "X-A: 1")
FIELDS = {
    b"via": [b"SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK-1", b"second"],
    b"from": [b"<sip:+12155550100@carrier.example>;tag=f1"],
    b"to": [b"<sip:+12155550199@sbc.example>"],
    b"call-id": [b"call-1@carrier.example"],
    b"cseq": [b"1 INVITE"],
}


def fields(buffer: bytes) -> dict[bytes, list[bytes]]:
    message = salvage(buffer).message
    message.check()
    assert message.original is buffer
    return {name: message.values(name) for name in message.names()}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"", b""),
        (b"\r\n", b"\n"),
        (b"INVITE", b"\0\r\n%49nvite"),
        (b"INVITE ", b"INVITE\r\nsip:x "),
        (b"Call-ID:", b"i\x0b : \0"),
        (b"CSeq: 1 INVITE", b"CSeq:1\r\n ACK"),
        (b"CSeq: 1 INVITE", b"CSeq: 0001"),
        (b"Call-ID", b"From: <other>\r\nt: other\r\nCall-ID"),
        (b"\r\n\r\n", b"\r\n\r\nVia: in the body\r\n"),
    ],
)
def test_what_a_response_repeats(old: bytes, new: bytes) -> None:
    """The first of each, but every Via in order (RFC 3261 §8.2.6.2)."""
    expected = FIELDS | {b"call-id": [b"call-1@carrier.example"]}
    assert fields(BROKEN.replace(old, new, 1 if old else 0)) == expected


@pytest.mark.parametrize("lost", [b"Via", b"From", b"To", b"Call-ID", b"CSeq"])
def test_what_is_not_enough_for_a_response(lost: bytes) -> None:
    lines = [line for line in BROKEN.split(b"\r\n") if not line.startswith(lost)]
    with pytest.raises(MessageError):
        fields(b"\r\n".join(lines))


@pytest.mark.parametrize("buffer", [b"", b"\0", b"INVITE ", b"INVITE sip:a@b\r\n: x\r\n", b"INVITE\r\nt:\r\n\r\n"])
def test_nothing_can_be_read(buffer: bytes) -> None:
    assert salvage(buffer).in_dialog is False
    with pytest.raises(MessageError):
        fields(buffer)


@pytest.mark.parametrize(
    ("to", "in_dialog"),
    [
        (b"To: <sip:a@b>;tag=x", True),
        (b"t:\r\n sip:a@b;y;tag=x", True),
        (b"To: <sip:a@b>;tag=x\r\nTo: <sip:a@b>;tag=x", True),
        (b"To: <sip:a@b>;tag=x\r\nTo: <sip:a@b>", False),
        (b"To: <sip:a@b>;tag=x\r\n%54o: <sip:a@b>", False),
        (b"To: <sip:a@b>;tag=x\r\n%u0074%20: <sip:a@b>", False),
        (b"To: <sip:a@b>;tag=x" + b"\r\nv: second" * 64 + b"\r\nt: <sip:a@b>", False),
        (b"To: <sip:a@b>;tag=x\r\nTo\n: <sip:a@b>", False),
        (b"To: <sip:a@b>;tag=x\r\nX: to \0\x85:", False),
        (b"To: <sip:a@b>;tag=x\r\nX: auto: to", True),
        (b"v: second\r\n" * 64 + b"To: <sip:a@b>;tag=x", False),
        (b"To: <sip:a@b>; tag=x", False),
        (b"To: <sip:a@b>;tag=", False),
        (b"To: <sip:a@b>;\x0btag=x", False),
        (b"To: <sip:a@b>, <sip:c@d>;tag=x", False),
        (b"To: <\x01sip:a@b>;tag=x", False),
        (b"To: <sip:a@b;tag=x>", False),
        (b'To: ";tag=x" <sip:a@b>', False),
        (b'To: <sip:a@b>;y=";tag=x"', False),
        (b"X: <sip:a@b>;tag=x", False),
    ],
)
def test_a_tag_counts_if_nobody_can_overlook_it(to: bytes, in_dialog: bool) -> None:
    assert salvage(BROKEN.replace(b"To: <sip:+12155550199@sbc.example>", to)).in_dialog is in_dialog


# A request line is not needed to be legal to be an emergency call.
EMERGENCY = (
    b"sip:911@h SIP/2.0",
    b"sip:911@h",
    b"<sip:911@h> SIP/2.0",
    b"  sip:911@h  SIP/2.0",
    b"\t\0sip:911@h",
    b"sips:911@h",
    b"SIP:911@h x y",
    b"sip: 911@h SIP/2.0",
    b"sip:911 SIP/2.0",
    b"sip:911;x=y@h SIP/2.0",
    b"sip:911:pw@h SIP/2.0",
    b"sip:911@[::1 SIP/2.0",
    b"911 SIP/2.0",
    b'"911"',
    b"tel:911 SIP/2.0",
    b"tel:911;phone-context=x SIP/2.0",
    b"tel: 911",
    b"TEL:911",
    b"sip:%39%31%31@h SIP/2.0",
    b"%73ip:911@h",
    b"sip%3a911%40h",
    b"sip:911@h:99999 SIP/2.0",
    b"sip:911@h?x SIP/9.9",
    b"sip:911@h\x0bSIP/2.0",
    b"<tel:911",
    b"(911)",
    b"'sip:911@h'",
    b"urn:service:sos SIP/2.0",
    b"URN:service:sos.fire",
    b"<urn:service:sos.police>",
    b"urn: service:sos",
    b"urn:SERVICE:SOS",
    b"\r\n sip:911@h SIP/2.0",
    b"\r\nsip:911@h SIP/2.0",
    b"\r sip:911@h",
    b"\r\n\r\nsip:911@h",
    b"tel:112",
    b"sip:933@h@x",
    b"sip:9-1-1@h",
    b"sip:911@anonymous.invalid:x",
    b"sip:+911@h:x",
    b"sip:112@\xff SIP/2.0",
)
OTHERS = (
    b"sip:+12155550199@h SIP/2.0",
    b"sip:9110@h",
    b"sip:x911@h",
    b"sip:+12155550199@911 SIP/2.0",
    b"sip:a@b;x=911",
    b"sip:a@b sip:911@h",
    b"sip:a@b SIP/911",
    b"x sip:911@h",
    b"",
    b"SIP/2.0",
    b"sip:a@b\r\nTo: <sip:911@h>",
    b"urn:service:x",
    b"urn:sos",
    b"tel:+1911",
)


@pytest.mark.parametrize(
    ("line", "expected"), [*((each, True) for each in EMERGENCY), *((each, False) for each in OTHERS)]
)
@pytest.mark.parametrize("method", [b"INVITE ", b"\0%49nvite "])
def test_possibly_an_emergency_call(method: bytes, line: bytes, expected: bool) -> None:
    network = Network(emergency=("911", "112", "933", "urn:service:sos*"))
    canonicalise = canonicaliser(NANP)
    found = [network.is_emergency(canonicalise(uri)) for uri in targets(method + line + b"\r\nVia: x\r\n\r\n")]
    assert any(found) is expected


def test_what_is_no_invite_goes_nowhere() -> None:
    assert list(targets(b"sip:911@h")) == []


@pytest.mark.parametrize(
    "filler", [b" ", b"\0", b"\r", b"\r\n ", b"sip:", b":", b"<", b"%39", b"Via: x\n", b"To: <sip:a@b>\n"]
)
def test_time_is_linear_in_the_length(filler: bytes) -> None:
    for place in (b"sip:", b"Call-ID", b"f1", b"sbc.example"):

        def read(size: int, place: bytes = place) -> None:
            buffer = BROKEN.replace(place, filler * (size // len(filler)), 1)
            salvage(buffer)
            list(targets(buffer))

        assert growth(read, 40_000) < LINEAR, place
