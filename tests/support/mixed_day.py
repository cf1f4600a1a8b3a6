"""A day of calls in miniature, against which the example sets of `rules/` are replayed.

Two peers: the carrier, who sends calls and gets calls, and a softswitch that asks for a redirect: for verification on
port 5060, for a signature on port 5080.
"""

from typing import NamedTuple

from support.calls import CALLED, CALLER, CARRIER, CORE, NOW, SBC, claims, identity, invite, response, retargeted

FOREIGN = "13125550123"  # a caller whose number is not ours
CALL_CENTRE = "12155550185"  # ours, with an origid of its own in originating-provider.toml
ASK_TO_SIGN = 5080


class Sent(NamedTuple):
    """One SIP message on the wire, and what it is there for."""

    shows: str
    payload: bytes
    src: str = CARRIER
    dst: str = SBC
    dport: int = 5060


def mixed_day() -> list[Sent]:
    """All messages, in order. `call-N` in a Call-ID is the number of the call."""
    return [*_inbound(), *_outbound(), *_asked()]


def _inbound() -> list[Sent]:
    good = invite(identity())
    again = invite(identity(), to_tag=";tag=s1").replace(b"bK-1", b"bK-1b").replace(b"CSeq: 1", b"CSeq: 2")
    return [
        Sent("attestation A", good),
        Sent("its retransmission", good),
        Sent("the answer of the SBC", response("200 OK"), SBC, CARRIER),
        Sent("its re-INVITE", again),
        Sent("attestation B", invite(_token(attest="B"), number=2)),
        Sent("attestation C", invite(_token(attest="C"), number=3)),
        Sent("no Identity", invite(number=4)),
        Sent("the token of another caller's call", invite(identity(), caller=FOREIGN, number=5)),
        Sent("the token of call 1 again", retargeted(invite(identity(), number=6))),
        Sent("signed 61 seconds ago", invite(_token(iat=int(NOW) - 61), number=7)),
        Sent("emergency, with the token of another call", _emergency(invite(identity(), called="911", number=8))),
    ]


def _outbound() -> list[Sent]:
    payloads = {
        "own number": invite(number=9),
        "foreign number": invite(caller=FOREIGN, number=10),
        "the call centre": invite(caller=CALL_CENTRE, number=11),
        "in transit, with the token of another provider": invite(_token(caller=FOREIGN), caller=FOREIGN, number=12),
        "emergency, own number": _emergency(invite(called="911", number=13)),
        "an extension without a number": invite(number=14).replace(b"sip:+" + CALLER.encode(), b"sip:1001"),
    }
    return [Sent(shows, payload, SBC, CARRIER) for shows, payload in payloads.items()]


def _asked() -> list[Sent]:
    verified = invite(_token(called="12155550177"), called="12155550177", number=21)
    to_verify = {
        "good call": verified,
        "no Identity": invite(number=22),
        "the token of another caller's call": invite(identity(), caller=FOREIGN, number=23),
        "the token of call 21 again": retargeted(verified.replace(b"call-21", b"call-24").replace(b"bK-21", b"bK-24")),
        "emergency": _emergency(invite(called="911", number=25)),
    }
    to_sign = {
        "own number": invite(number=31),
        "foreign number": invite(caller=FOREIGN, number=32),
        "signed by another provider": invite(_token(caller=FOREIGN), caller=FOREIGN, number=33),
        "emergency": _emergency(invite(called="911", number=34)),
        "a re-INVITE": invite(number=35, to_tag=";tag=s35"),
    }
    return [
        *(Sent(f"asked to verify: {shows}", payload, CORE) for shows, payload in to_verify.items()),
        *(Sent(f"asked to sign: {shows}", payload, CORE, dport=ASK_TO_SIGN) for shows, payload in to_sign.items()),
    ]


def _token(*, caller: str = CALLER, called: str = CALLED, **changes: object) -> str:
    return identity(claims(orig={"tn": caller}, dest={"tn": [called]}, **changes))


def _emergency(message: bytes) -> bytes:
    """911 as it is dialled, not an international number."""
    return message.replace(b"sip:+911@", b"sip:911@")
