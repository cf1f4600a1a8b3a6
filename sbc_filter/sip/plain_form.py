"""The plain form of a message: the form that every SIP stack reads alike.

A message in this form passes without a change, and its layout may be learned. `sip.repair` gives others this form.
"""

import re

from sbc_filter.sip import grammar
from sbc_filter.sip.message import AT_MOST_ONCE, SipMessage

# The request line, then lines with a name, a colon and a value: no folds, no blanks before a colon, no escapes in
# names, no control characters.
_NAME = rb"[A-Za-z0-9.!*_+`'~-]*+(?:%(?![0-9A-Fa-f]{2})[A-Za-z0-9.!*_+`'~-]*+)*"
_HEAD = re.compile(
    rb"(?:INVITE|ACK|CANCEL) "
    + grammar.REQUEST_URI
    + rb" SIP/2\.0\r\n(?>(?:"
    + _NAME
    + rb":"
    + grammar.TEXT
    + rb"*+\r\n)+)\r\n"
)
_LENGTH = re.compile(rb"[ \t]*(0|[1-9][0-9]{0,8})[ \t]*")


def is_plain(message: SipMessage) -> bool:
    """Whether a message that was parsed, and its bytes, have the plain form."""
    head = _HEAD.match(message.buffer)
    if head is None or head.end() != message.body:
        return False
    if any(message.count(name) > 1 for name in AT_MOST_ONCE):
        return False
    for name in (b"from", b"to"):
        value = message.first(name)
        if value is None or grammar.PLAIN_TAGGED.fullmatch(value) is None:
            return False
    cseq = grammar.CSEQ.fullmatch(message.first(b"cseq") or b"")
    if cseq is None or cseq[2].decode("ascii") != message.method:
        return False
    length = message.first(b"content-length")
    if length is None:
        return True
    digits = _LENGTH.fullmatch(length)
    return digits is not None and int(digits[1]) == len(message.buffer) - message.body
