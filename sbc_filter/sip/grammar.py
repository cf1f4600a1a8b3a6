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
# What a header field may contain between its colon and its line end: no control characters but the tab.
TEXT = rb"[\t\x20-\x7e\x80-\xff]"
CONTROLS = bytes((*range(9), *range(11, 32), 127))  # all others but the line feed
# Those at which some parser ends a line, the header or a value: all of them, but for a CR at a line end.
UNCLEAN = re.compile(rb"\r(?!\n)|[\0-\x08\x0b\x0c\x0e-\x1f\x7f]")
TO_BLANKS = bytes(0x20 if code in CONTROLS and code != 0x0D else code for code in range(256))
"""For `translate`: a blank for each control character but the tab, CR and LF."""
BLANK_LINE = re.compile(rb"\n\r?\n")  # the end of a line, and an empty one
INVISIBLE_BYTES = bytes((*range(0x21), *range(0x7F, 0x100)))
# Before and after a method, every byte that cannot be part of one.
_NO_TOKEN = rb"[^A-Za-z0-9.!%*_+`'~-]"
# Invisible bytes first: they come in runs (silence in RTP), and two ranges are quicker to check than a class.
LEAD = re.compile(INVISIBLE + rb"*+" + _NO_TOKEN + rb"*+")


def _spelled(name: str) -> bytes:
    """A pattern for a name, each letter of which may be escaped (node's `sip` undoes escapes in a method)."""
    return "".join(f"(?:{letter}|%{ord(letter):02x}|%{ord(letter) + 32:02x})" for letter in name).encode()


def cleaned(text: bytes) -> bytes:
    """Text with a blank for each match of `UNCLEAN`, without the cost of a search that finds one at every octet."""
    text = text.translate(TO_BLANKS)
    if text.find(b"\r") < 0:
        return text
    return text.replace(b"\r\n", b"\0").replace(b"\r", b" ").replace(b"\0", b"\r\n")  # there is no other NUL


def request_start(methods: Sequence[str]) -> "re.Pattern[bytes]":
    """The start of a request with one of these methods, however malformed: an SBC may be just as lenient. Group 1 is
    the method as written."""
    return re.compile(LEAD.pattern + rb"((?i:" + b"|".join(map(_spelled, methods)) + rb"))(?=" + _NO_TOKEN + rb")")


# The requests that matter.
OURS = request_start(("INVITE", "ACK", "CANCEL"))
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
# Parameters after an address, without blanks, and with at most one tag: every parser finds the same tag, or none. (Some
# parse; some search for ";tag=" in any case.)
_NO_TAG = (
    rb"(?>(?:;(?!(?i:tag)(?:[^A-Za-z0-9.!%*_+`'~-]|\Z))[A-Za-z0-9.!*_+`'~-]+"
    rb"(?:=(?:[A-Za-z0-9.!%*_+`'~:\[\]@/-]+|\"[^\"\\\r\n]*\"))?)*)"
)
PLAIN_TAG = _NO_TAG + rb"(?:;tag=[A-Za-z0-9.!%*_+`'~-]+(?=[; \t\r\n]|\Z)" + _NO_TAG + rb")?"
_URI = rb"[A-Za-z][A-Za-z0-9+.-]*:"
BARE_URI = _URI + rb"[^<>\"\s;,?]+"
# The value of a From or To whose tag, or lack of one, everybody sees. PJSIP reads the parameters after a URI without
# brackets as part of the URI, unless the scheme is one of these three.
PLAIN_TAGGED = re.compile(
    rb"[ \t]*+(?>(?:\"[^\"\\\r\n]*(?:\\[^\r\n][^\"\\\r\n]*)*\"[ \t]*|[^\"<>,;:@\r\n]*+)<"
    + _URI
    + rb"[^<>\"\s]+>|(?i:sips?|tel):[^<>\"\s;,?]+|"
    + BARE_URI
    + rb"(?!;))"
    + PLAIN_TAG
    + rb"[ \t]*"
)
# The usual form of a complete header field: an optional display name, one number as a SIP or tel URI, plain parameters.
# Groups: URI, number (SIP), number (tel), parameters.
PLAIN_ADDRESS = re.compile(
    rb"[ \t]*+(?:\"[^\"\\\n]*\"|[A-Za-z0-9 .!%*_+`'~-]*+)[ \t]*+"
    rb"<(sips?:\+([0-9]{1,32})@[A-Za-z0-9.:\[\]-]++(?:;[^?@<>\",\s]*+)?|tel:\+([0-9]{1,32})(?:;[^?@<>\",\s]*+)?)>"
    rb"(" + PLAIN_TAG + rb")[ \t]*+\r?\n"
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
# A Via below the first, up to its line end. A parser that fails at one (Kamailio: also at a blank in a parameter, an
# empty one, a branch without value, an alias with one) does not see what follows it, or no P-Asserted-Identity at all.
_NO_VALUE = rb"(?i:(?:branch|ttl|maddr|received|i)[ \t]*+=?)[ \t]*+[;,\r]|(?i:alias)[ \t]*+="
_LATER_VALUE = (
    rb"[ \t]*+SIP[ \t]*+/[ \t]*+2\.0[ \t]*+/[ \t]*+" + TOKEN + rb"[ \t]++(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)"
    rb"[ \t]*+(?::[ \t]*+[0-9]{1,5}[ \t]*+)?"
    rb"(?>(?:;[ \t]*+(?!" + _NO_VALUE + rb")" + TOKEN + rb"(?:[ \t]*+=[ \t]*+"
    rb"(?:\"[^\"\\,;=()\r\n]*+\"|[^\s;,=\"()]*+)[ \t]*+|[ \t]*+(?=[;\r])|(?=,)))*)"
)
LATER_VIA = re.compile(_LATER_VALUE + rb"(?>(?:," + _LATER_VALUE + rb")*)(?=\r)")
# Kamailio fails at any other Retry-After, and then reads no P-Asserted-Identity.
RETRY_AFTER = re.compile(rb"[ \t]*+[0-9]{1,9}[ \t]*+(?:[;(][^\r\n]*+)?(?=\r)")
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
