"""One mixture of traffic for observation: a call for each thing that enforcing does to packets."""

from support.calls import CALLER, CARRIER, SIGN, VERIFY, claims, follow_up, identity, invite, response

ASKING = "192.0.2.8"  # a softswitch that asks the filter as a redirect server
TRUNKS = f'[trunks.carriers]\naddresses = ["{CARRIER}"]\n[trunks.asking]\naddresses = ["{ASKING}"]\ntrusted = true\n'
_REDIRECT = VERIFY.replace('"verify"', '"redirect"', 1) + 'trunk = "asking"\ninsertion = "redirect"\n'
_WATCH = VERIFY.replace('"verify"', '"watch"', 1) + 'mode = "monitor"\n[rule.on]\nno-identity = "reject"\n'
_LENIENT = VERIFY.replace('"verify"', '"lenient"', 1) + 'caller = ["312*"]\n[rule.verify]\nreason = "stir"\n'
_STRICT = VERIFY + '[rule.on]\nno-identity = "reject"\ninvalid = "reject"\nreplayed = "drop"\n'
RULES = _REDIRECT + _WATCH + _LENIENT + _STRICT + SIGN + 'reason = "remove"\n'
"""The rules; `TRUNKS` belongs in front of them, or into the configuration."""

_SPOOFED = f"P-Asserted-Identity: <sip:+{CALLER};verstat=TN-Validation-Passed@h>"
_LENIENTLY = "13125550100"


def to_sbc(iat: int) -> list[bytes]:
    """What the carrier sends, in this order; tokens are made at `iat` (POSIX seconds)."""
    token = identity(claims(iat=iat))
    unsigned, unreadable = invite(number=2), invite("Subject: 11", number=11)
    return [
        invite(token, number=1),  # passed: marked
        invite(token, number=1),  # its retransmission
        invite(token, number=3).replace(b"INVITE sip:+12155550199@", b"INVITE sip:+12155550111@"),  # replayed: dropped
        unsigned,  # rejected, and recorded by the rule that watches
        unsigned,
        follow_up(unsigned, "ACK"),  # absorbed
        follow_up(unsigned, "CANCEL"),  # answered
        invite(_SPOOFED, identity(claims(iat=iat - 3600)), number=4),  # stale, and spoofed
        invite(identity(claims(iat=iat, dest={"tn": ["12155550111"]})), number=5),  # invalid: rejected
        invite(number=6, caller=_LENIENTLY),  # goes on, and a Reason is owed
        invite(_SPOOFED, number=7, to_tag=";tag=s7"),  # in a dialog: scrubbed
        invite(number=8).replace(b"CSeq: 1", b"CSeq :  1").replace(b"Max-Forwards: 70\r\n", b"Max-Forwards: 70\n"),
        unreadable.replace(b"INVITE sip:", b"INVITE <sip:", 1),  # rejected like an invalid one
        follow_up(invite(number=12), "ACK").replace(b"CSeq: 1", b"CSeq :  1"),  # repaired
        b"CANCEL sip:a b SIP/2.0\r\nCall-ID: 13\r\nFrom: <sip:+1;verstat=No-TN-Validation@h>\r\n\r\n",  # unreadable
    ]


def from_sbc() -> list[bytes]:
    """What the SBC sends to the carrier afterwards."""
    return [
        invite(number=20),  # signed
        invite(number=21, caller="12155550177"),  # not of a listed caller
        response("180 Ringing", number=6),  # gets the Reason
        response("200 OK", number=1),
    ]


def to_redirect(iat: int) -> list[bytes]:
    """What the softswitch asks."""
    asked = invite(identity(claims(iat=iat)), number=30)
    return [asked, asked, follow_up(asked, "ACK")]
