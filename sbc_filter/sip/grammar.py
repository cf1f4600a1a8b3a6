"""The SIP grammar (RFC 3261 §25) that this program reads, in one place.

Every pattern is linear in its input whatever an attacker writes: no alternation inside a starred
group, possessive quantifiers (`*+`) where two adjacent repetitions could share a byte, and no
pattern that is searched for begins with a repetition. Groups are made atomic, not possessive: until
Python 3.11.4 a possessive group keeps the bytes of a repetition that fails halfway (CPython issue
106052), so that `;a;` would be parameters.
"""

import re

TOKEN = rb"[A-Za-z0-9.!%*_+`'~-]+"
LWS = rb"[ \t\r\n]*+"
QUOTED = rb'"[^"\\]*(?:\\.[^"\\]*)*"'

# INVITE sip:bob@example.com SIP/2.0  -- exactly one space twice: RFC 4475 `lwsstart`, `lwsruri` are refused.
REQUEST_URI = rb"[A-Za-z][A-Za-z0-9+.-]*:[^\0-\x20<>\x7f]+"
REQUEST_LINE = re.compile(rb"(" + TOKEN + rb") (" + REQUEST_URI + rb") [Ss][Ii][Pp]/2\.0\r?\n")
# Everything but the visible characters of ASCII. Each such byte is skipped in front of a request by some SIP stack
# (Kamailio: NUL; Asterisk: all up to the space; JAIN SIP, which compares signed bytes: those from 0x80 as well), and
# ends the method for another.
INVISIBLE = rb"[\0-\x20\x7f-\xff]"
LEAD = re.compile(INVISIBLE + rb"*+")
# What may be one of the requests that matter, however sloppily its sender begins: an SBC may be as lenient.
OURS = re.compile(LEAD.pattern + rb"(?i:(INVITE|ACK|CANCEL))" + INVISIBLE)
# A request line as lenient stacks read it: anything invisible in front; in place of each space any one such byte, or a
# fold (of pjsip, after a bare CR or LF as well). Its groups: method, URI, version with the line end.
_GAP = rb"(?:(?:\r\n?|\n)[ \t]++|[\0-\x09\x0b-\x20\x7f-\xff])"
SLOPPY_REQUEST_LINE = re.compile(
    LEAD.pattern + rb"(" + TOKEN + rb")" + _GAP + rb"(" + REQUEST_URI + rb")" + _GAP + rb"([Ss][Ii][Pp]/2\.0\r?\n)"
)
STATUS_LINE = re.compile(rb"SIP/2\.0 ([1-6][0-9][0-9]) ([^\0\r\n]*)\r?\n")

FOLD = re.compile(rb"\r?\n[ \t]+")
HEADER_NAME = re.compile(TOKEN)

# name-addr: an optional display name, a URI in angle brackets, header parameters behind.
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
# addr-spec: a bare URI; what follows ";" are header parameters (RFC 3261 §20.10).
ADDR_SPEC = re.compile(
    LWS + rb"()([A-Za-z][A-Za-z0-9+.-]*:[^<>\"\s;,?]+)([^\",<>]*(?:" + QUOTED + rb"[^\",<>]*)*)", re.DOTALL
)
# The common case of a whole header field: one number as SIP or tel URI, perhaps a name in front, plain parameters
# behind. Groups: URI, number (SIP), number (tel), parameters.
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

# Via: SIP/2.0/UDP host:port;parameters   (RFC 3261 §20.42), the first value of the line.
VIA = re.compile(
    LWS + rb"SIP" + LWS + rb"/" + LWS + rb"2\.0" + LWS + rb"/" + LWS + rb"(" + TOKEN + rb")[ \t\r\n]+"
    rb"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?:" + LWS + rb":" + LWS + rb"([0-9]{1,5}))?"
    rb"([^\",]*(?:" + QUOTED + rb"[^\",]*)*)"
)
CSEQ = re.compile(LWS + rb"([0-9]{1,10})[ \t\r\n]+(" + TOKEN + rb")" + LWS)

# A full-form or compact PASSporT (RFC 8224 §4, errata 6499): base64url, dots; padding is tolerated and cut.
PASSPORT = re.compile(rb"([A-Za-z0-9_-]*)=*\.([A-Za-z0-9_-]*)=*\.([A-Za-z0-9_-]+)=*")
# The same with the digits of ordinary base64 as well (RFC 8224 §4 as it was published).
PASSPORT_BASE64 = re.compile(rb"([A-Za-z0-9_+/-]*)=*\.([A-Za-z0-9_+/-]*)=*\.([A-Za-z0-9_+/-]+)=*")
# What a comma separates in a list of Identity values: searched for, brackets and quotes first.
LIST_COMMA = re.compile(rb'<[^<>]*>|"[^"]*"|,')

# Request-URI, and what stands between the brackets of an address (RFC 3261 §19.1, RFC 3966).
SIP_URI = re.compile(
    rb"([Ss][Ii][Pp][Ss]?):(?:([^@\s]*)@)?(\[[0-9A-Fa-f:.]+\]|[^\s@:;?\[\]]+)(?::([0-9]{1,5}))?((?:;[^?\s]*)?)(?:\?\S*)?"
)
TEL_URI = re.compile(rb"[Tt][Ee][Ll]:([^;\s]+)((?:;\S*)?)")
# The common case of both at once: sip:+12155551212@host;parameters
PLAIN_NUMBER = re.compile(rb"sips?:\+([0-9]{1,32})@[A-Za-z0-9.:\[\]-]++(?:;[^?@\s]*)?")
URN = re.compile(rb"[Uu][Rr][Nn]:\S+")
