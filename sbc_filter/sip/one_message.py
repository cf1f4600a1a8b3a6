"""Whether octets are one message to every reader of a stream, whatever follows them.

A Content-Length is not enough. Some stacks do not skip the body of a message whose header they cannot parse: the next
messages, to them, begin in that body. The package `sip` of npm wants a request line or a status line, and a name and a
colon on each line. JAIN SIP also wants the URI, Via, From, To, Call-ID and CSeq to be well-formed. So the header of a
message with a body must be one that they all parse.
"""

import re

from sbc_filter.errors import MessageError
from sbc_filter.sip import grammar
from sbc_filter.sip.message import SipMessage
from sbc_filter.sip.stream import content_length

_ADDRESSES = (b"from", b"to")
_ONCE = (*_ADDRESSES, b"call-id", b"cseq")
_CSEQ_LIMIT = 1 << 31  # RFC 3261 §8.1.1.5
# A SIP, tel or other URI of the characters that RFC 3261 §25.1 and RFC 3966 allow, and `#` in a user part.
_USER = rb"[A-Za-z0-9_.!~*'()&=+$,;?/#%-]+"
_PART = rb"[A-Za-z0-9_.!~*'()\[\]/:&+$%-]+"
_PARAMETERS = rb"(?:;" + _PART + rb"(?:=" + _PART + rb")?)*"
_FIELD = rb"[A-Za-z0-9_.!~*'()\[\]/?:+$;,%-]+"
_FIELDS = rb"(?:\?" + _FIELD + rb"=" + _FIELD + rb"(?:&" + _FIELD + rb"=" + _FIELD + rb")*)?"
_HOST = rb"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?"
_SIP = rb"(?i:sips?):(?:" + _USER + rb"(?::" + _USER + rb")?@)?" + _HOST + _PARAMETERS + _FIELDS
_TEL = rb"(?i:tel):[0-9A-Fa-f*#+().-]+" + _PARAMETERS
_OTHER = rb"(?!(?i:sips?|tel):)[A-Za-z][A-Za-z0-9+.-]*:[A-Za-z0-9_.!~*'()/:@&+$=;?,%-]+"
_URI = re.compile(_SIP + rb"|" + _TEL + rb"|" + _OTHER)
_CALL_ID = re.compile(rb"[!-~]+")
_IN_VIA = re.compile(rb"[A-Za-z0-9.!%*_+`'~:\[\]/=;,\" \t-]*")
_GAP = rb"[ \t\r\n]*+"
_VALUE = rb"(?:" + grammar.TOKEN + rb"|\"[^\"\\]*\"|\[[0-9A-Fa-f:.]+\])"
_AFTER_URI = re.compile(
    rb"(?:" + _GAP + rb";" + _GAP + grammar.TOKEN + rb"(?:" + _GAP + rb"=" + _GAP + _VALUE + rb")?)*" + _GAP
)
_NO_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_HEAD_END = b"\r\n\r\n"
_RESPONSE = b"SIP/2.0 "


def is_framed(octets: bytes) -> bool:
    """Whether these octets are one message by their Content-Length."""
    end = octets.find(_HEAD_END)
    return end >= 0 and content_length(octets[:end]) == len(octets) - end - 4


def ends_for_all(message: bytes) -> bool:
    """Whether every reader finds the end of a message that `is_framed`, as those of a `stream.StreamReader` are: it has
    no body, or a header that they all parse."""
    return message.find(_HEAD_END) == len(message) - 4 or _is_parsed_by_all(message)


def _is_parsed_by_all(octets: bytes) -> bool:
    try:
        message = _parsed(octets)
        return (
            message is not None
            and all(message.count(name) == 1 for name in _ONCE)
            and all(_has_plain_address(message, name) for name in _ADDRESSES)
            and _CALL_ID.fullmatch(message.first(b"call-id") or b"") is not None
            and _has_plain_vias(message)
        )
    except MessageError:
        return False


def _parsed(octets: bytes) -> SipMessage | None:
    """The message; None if its first line or its CSeq is not plain."""
    if octets.startswith(_RESPONSE):
        message, start = SipMessage.parse_response(octets)[2], _RESPONSE
    else:
        message = SipMessage.parse(octets)
        start = b"%b %b SIP/2.0\r\n" % (message.method.encode(), message.uri)
        if not _is_plain_uri(message.uri):
            return None
    cseq = grammar.CSEQ.fullmatch(message.first(b"cseq") or b"")
    if cseq is None or cseq[2].decode() != message.method or int(cseq[1]) >= _CSEQ_LIMIT:
        return None
    return message if octets.startswith(start) else None


def _has_plain_address(message: SipMessage, name: bytes) -> bool:
    """Whether the field of this name has one address, with a URI and parameters that all stacks parse."""
    found = message.addresses(name)
    return len(found) == 1 and _is_plain_uri(found[0].uri) and _AFTER_URI.fullmatch(found[0].parameters) is not None


def _is_plain_uri(uri: bytes) -> bool:
    return _URI.fullmatch(uri) is not None and _NO_ESCAPE.search(uri) is None


def _has_plain_vias(message: SipMessage) -> bool:
    """Whether there is a Via, and each of them is well-formed."""
    values = message.values(b"via")
    return bool(values) and all(_is_plain_via(value) for value in values)


def _is_plain_via(value: bytes) -> bool:
    return grammar.LATER_VIA.match(value + b"\r") is not None and _IN_VIA.fullmatch(value) is not None
