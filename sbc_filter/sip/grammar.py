"""The SIP grammar (RFC 3261 §25) that this program reads, in one place.

Every pattern takes linear time on any input, even an attacker's:

- No alternation inside a starred group.
- Possessive quantifiers (`*+`) where two adjacent repetitions could match the same byte.
- No pattern used for searching begins with a repetition.

Groups are atomic, not possessive. Until Python 3.11.4 a possessive group keeps the bytes of a repetition that fails
halfway (CPython issue 106052), so that `;a;` would match as parameters.
"""

import re
from collections.abc import Sequence

TOKEN = rb"[A-Za-z0-9.!%*_+`'~-]+"
LWS = rb"[ \t\r\n]*+"
QUOTED = rb'"[^"\\]*(?:\\.[^"\\]*)*"'

# INVITE sip:bob@example.com SIP/2.0 -- exactly two single spaces: RFC 4475 `lwsstart` and `lwsruri` are refused.
REQUEST_URI = rb"[A-Za-z][A-Za-z0-9+.-]*:[^\0-\x20<>\x7f]+"
REQUEST_LINE = re.compile(rb"(" + TOKEN + rb") (" + REQUEST_URI + rb") [Ss][Ii][Pp]/2\.0\r?\n")
# Everything except the visible ASCII characters. For each such byte there is a SIP stack that skips it at the start of
# a request (Kamailio: NUL; Asterisk: everything up to the space; JAIN SIP, which compares signed bytes: also those from
# 0x80), and another for which it ends the method.
INVISIBLE = rb"[\0-\x20\x7f-\xff]"
LEAD = re.compile(INVISIBLE + rb"*+")
# A request that may be one of those that matter, however malformed its start: an SBC may be just as lenient.
OURS = re.compile(LEAD.pattern + rb"(?i:(INVITE|ACK|CANCEL))" + INVISIBLE)
# A request line as lenient stacks read it: anything invisible at the start; instead of each space any one such byte, or
# a fold (in pjsip also after a bare CR or LF). Groups: method, URI, version with the line end.
_GAP = rb"(?:(?:\r\n?|\n)[ \t]++|[\0-\x09\x0b-\x20\x7f-\xff])"
SLOPPY_REQUEST_LINE = re.compile(
    LEAD.pattern + rb"(" + TOKEN + rb")" + _GAP + rb"(" + REQUEST_URI + rb")" + _GAP + rb"([Ss][Ii][Pp]/2\.0\r?\n)"
)
STATUS_LINE = re.compile(rb"SIP/2\.0 ([1-6][0-9][0-9]) ([^\0\r\n]*)\r?\n")

FOLD = re.compile(rb"\r?\n[ \t]+")
HEADER_NAME = re.compile(TOKEN)

# name-addr: an optional display name, a URI in angle brackets, then header parameters.
NAME_ADDR = re.compile(
    LWS
    + rb"("
    + QUOTED
    + LWS
    + rb"|[^\"<>,;:@]*+)<([A-Za-z][A-Za-z0-9+.-]*:[^<>\"\s]+)>([^\",<>]*(?:"
    + QUOTED
    + rb"[^\",<>]*)*)",
    re.DOTALL,
)
# addr-spec: a bare URI; whatever follows ";" is a header parameter (RFC 3261 §20.10).
ADDR_SPEC = re.compile(
    LWS + rb"()([A-Za-z][A-Za-z0-9+.-]*:[^<>\"\s;,?]+)([^\",<>]*(?:" + QUOTED + rb"[^\",<>]*)*)", re.DOTALL
)
# The usual form of a complete header field: an optional display name, one number as a SIP or tel URI, plain parameters.
# Groups: URI, number (SIP), number (tel), parameters.
PLAIN_ADDRESS = re.compile(
    rb"[ \t]*+(?:\"[^\"\\\n]*\"|[A-Za-z0-9 .!%*_+`'~-]*+)[ \t]*+"
    rb"<(sips?:\+([0-9]{1,32})@[A-Za-z0-9.:\[\]-]++(?:;[^?@<>\",\s]*+)?|tel:\+([0-9]{1,32})(?:;[^?@<>\",\s]*+)?)>"
    rb"((?>(?:;[A-Za-z0-9.!%*_+`'~-]+(?:=[A-Za-z0-9.!%*_+`'~:\[\]@/-]+)?)*))[ \t]*+\r?\n"
)
COMMA = re.compile(LWS + rb"," + LWS)

# ;name, ;name=token, ;name="quoted", ;name=<uri>, ;name=[ipv6]
PARAMETER = re.compile(
    LWS + rb";" + LWS + rb"(" + TOKEN + rb")"
    rb"(?:" + LWS + rb"=" + LWS + rb"(<[^<>\"\s]*>|" + QUOTED + rb"|[^\s;,\"<>]+)?)?"
)  # fmt: skip
PARAMETERS = re.compile(rb"(?>(?:" + PARAMETER.pattern + rb")*)" + LWS)

# Via: SIP/2.0/UDP host:port;parameters (RFC 3261 §20.42), the first value of the line.
VIA = re.compile(
    LWS + rb"SIP" + LWS + rb"/" + LWS + rb"2\.0" + LWS + rb"/" + LWS + rb"(" + TOKEN + rb")[ \t\r\n]+"
    rb"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?:" + LWS + rb":" + LWS + rb"([0-9]{1,5}))?"
    rb"([^\",]*(?:" + QUOTED + rb"[^\",]*)*)"
)
CSEQ = re.compile(LWS + rb"([0-9]{1,10})[ \t\r\n]+(" + TOKEN + rb")" + LWS)

# A PASSporT in full or compact form (RFC 8224 §4, errata 6499): base64url and dots. Padding is tolerated and removed.
PASSPORT = re.compile(rb"([A-Za-z0-9_-]*)=*\.([A-Za-z0-9_-]*)=*\.([A-Za-z0-9_-]+)=*")
# The same, also with the characters of standard base64 (RFC 8224 §4 as first published).
PASSPORT_BASE64 = re.compile(rb"([A-Za-z0-9_+/-]*)=*\.([A-Za-z0-9_+/-]*)=*\.([A-Za-z0-9_+/-]+)=*")
# The commas of a list of Identity values. Brackets and quotes match first, so that commas inside them do not count.
LIST_COMMA = re.compile(rb'<[^<>]*>|"[^"]*"|,')

# A Request-URI, or the URI in the angle brackets of an address (RFC 3261 §19.1, RFC 3966).
SIP_URI = re.compile(
    rb"([Ss][Ii][Pp][Ss]?):(?:([^@\s]*)@)?(\[[0-9A-Fa-f:.]+\]|[^\s@:;?\[\]]+)(?::([0-9]{1,5}))?((?:;[^?\s]*)?)(?:\?\S*)?"
)
TEL_URI = re.compile(rb"[Tt][Ee][Ll]:([^;\s]+)((?:;\S*)?)")
# The usual form, a telephone number in a SIP URI: sip:+12155551212@host;parameters
PLAIN_NUMBER = re.compile(rb"sips?:\+([0-9]{1,32})@[A-Za-z0-9.:\[\]-]++(?:;[^?@\s]*)?")
URN = re.compile(rb"[Uu][Rr][Nn]:\S+")


def request_start(methods: Sequence[str]) -> "re.Pattern[bytes]":
    """The start of a request with one of these methods, however malformed (see `OURS`)."""
    return re.compile(LEAD.pattern + rb"(?i:" + "|".join(methods).encode() + rb")" + INVISIBLE)
