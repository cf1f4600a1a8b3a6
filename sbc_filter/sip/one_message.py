"""Whether octets are one message to every reader of a stream, whatever follows them.

A Content-Length is not enough. Some stacks do not skip the body of a message whose header they cannot parse: the next
messages, to them, begin in that body. The package `sip` of npm wants a request line or a status line, and a name and a
colon on each line. JAIN SIP also wants Via, From, To, Call-ID and CSeq to be well-formed. So the header of a message
with a body must be one that they all parse.
"""

from sbc_filter.errors import MessageError
from sbc_filter.sip import grammar
from sbc_filter.sip.message import SipMessage
from sbc_filter.sip.stream import content_length

_ONE_ADDRESS = (b"from", b"to")
_ONCE = (*_ONE_ADDRESS, b"call-id", b"cseq")
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
            and all(message.has_address(name) for name in _ONE_ADDRESS)
            and len((message.first(b"call-id") or b"a b").split()) == 1
            and _has_plain_vias(message)
        )
    except MessageError:
        return False


def _parsed(octets: bytes) -> SipMessage | None:
    """The message with its CSeq checked; None if its first line is not plain."""
    if octets.startswith(_RESPONSE):
        return SipMessage.parse_response(octets)[2]
    message = SipMessage.parse(octets)
    method = message.method.encode()
    cseq = grammar.CSEQ.fullmatch(message.first(b"cseq") or b"")
    start = b"%b %b SIP/2.0\r\n" % (method, message.uri)
    return message if cseq is not None and cseq[2] == method and start.isascii() and octets.startswith(start) else None


def _has_plain_vias(message: SipMessage) -> bool:
    """Whether there is a Via, and each of them is well-formed."""
    values = message.values(b"via")
    return bool(values) and all(grammar.LATER_VIA.match(value + b"\r") is not None for value in values)
