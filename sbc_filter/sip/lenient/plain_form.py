"""The plain form of a message: the form that every SIP stack reads alike.

A message in this form passes without a change, and its layout may be learned. `sip.lenient.repair` gives others this
form.
"""

import re

from sbc_filter.sip import grammar
from sbc_filter.sip.header import KNOWN, with_hyphens
from sbc_filter.sip.message import AT_MOST_ONCE, SipMessage

# Of the characters of a token, Kamailio takes only these; at any other it ends its search for the caller.
_NAME = re.compile(rb"[A-Za-z0-9._+~-]*+")
_LENGTH = re.compile(rb"[ \t]*(0|[1-9][0-9]{0,8})[ \t]*")


def is_plain(message: SipMessage) -> bool:
    """Whether a message that was parsed, and its bytes, have the plain form."""
    if not (_has_plain_lines(message) and _has_plain_names(message)):
        return False
    if any(message.count(name) > 1 for name in AT_MOST_ONCE):
        return False
    if message.count(b"via") > 1:
        for header in message.headers(b"via")[1:]:
            if grammar.LATER_VIA.match(message.buffer, header[1], header[2]) is None:
                return False
    for header in message.headers(b"retry-after"):
        if grammar.RETRY_AFTER.match(message.buffer, header[1], header[2]) is None:
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


def _has_plain_lines(message: SipMessage) -> bool:
    """Whether there is a plain request line, then one line for each header field, no bare LF, and no control character
    but those that end lines."""
    head = message.buffer[: message.body]
    lines = head.count(b"\n")
    return (
        head.startswith(b"%b %b SIP/2.0\r\n" % (message.method.encode(), message.uri))
        and head.endswith(b"\r\n\r\n")
        and lines == len(message.keys) + 2 == head.count(b"\r\n")
        and len(head.translate(None, grammar.CONTROLS)) == len(head) - lines
    )


def _has_plain_names(message: SipMessage) -> bool:
    """Whether all names are read alike: without blanks, and without underscores for the hyphens of a known one."""
    return all(
        name in KNOWN or (_NAME.fullmatch(name) is not None and with_hyphens(name) == name)
        for name in message.names_as_written()
    )
