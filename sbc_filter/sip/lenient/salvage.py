"""The readable rest of an INVITE that cannot be read: what a response has to repeat, and where the call was going."""

import re
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from sbc_filter.errors import MessageError
from sbc_filter.sip import grammar
from sbc_filter.sip.header import MAX_LINES
from sbc_filter.sip.marks import unescaped
from sbc_filter.sip.message import SipMessage

_MOST = 64  # Via fields that are repeated; real messages have fewer than ten
MAX_SEARCHED = 16_384  # octets that are searched for these fields; a longer message counts as a new call
_LONGEST = 8192  # octets of a request line that are searched for a called party
# The fields that a response repeats, by each of their names.
_REPEATED = {b"v": b"via", b"f": b"from", b"t": b"to", b"i": b"call-id"}
_REPEATED |= {name: name for name in (*_REPEATED.values(), b"cseq")}
# To, wherever a stack may find its name: node's `sip` also on another line than the colon.
_TO = re.compile(rb"(?<![!-~])(?i:to?)" + grammar.INVISIBLE + rb"*+:")
_LINE_END = re.compile(rb"[\r\n\0]")
_FOLD = re.compile(rb"(?:\r\n?|\n)[ \t]+")
_CSEQ = re.compile(rb"[^0-9]{0,8}0*([0-9]{1,10})[^0-9]")
# A URI, however it is written: in brackets or quotes, with blanks behind the scheme, with or without a host.
_TARGET = re.compile(rb"(?:(sips?|tel|urn)[^!-~]*:[^!-~]*)?([^@;?:>\"<\0-\x20]+)([^;?>\"<\0-\x20]*)", re.IGNORECASE)
_NO_TARGET = grammar.INVISIBLE_BYTES + b"<>\"'()"


class Salvage(NamedTuple):
    """What is readable.

    - `message`: an INVITE of the fields that a response repeats (RFC 3261 §8.2.6.2), as far as they can be read. Its
      `original` is the whole message. Its `check` says whether all that a response needs is there.
    - `in_dialog`: whether To has a tag that no SIP stack overlooks, whatever else is wrong with the message.
    """

    message: SipMessage
    in_dialog: bool


def salvage(buffer: bytes) -> Salvage:
    """Whatever can be read of an INVITE."""
    lines: list[bytes] = []
    seen: dict[bytes, bytes] = {}
    same = 0  # fields with the value of the first To
    for line in islice(_lines(buffer), MAX_LINES):
        name, colon, value = line.partition(b":")
        if not colon:
            continue
        key = _REPEATED.get(unescaped(name).strip(grammar.INVISIBLE_BYTES).lower())
        if key is None:
            continue
        value = value.strip(grammar.INVISIBLE_BYTES)
        if key == b"to" and value == seen.get(key, value):
            same += 1
        if (key in seen and key != b"via") or len(lines) == _MOST:
            continue
        seen[key] = value
        if key == b"cseq":
            number = _CSEQ.match(value + b" ")
            if number is None:
                continue
            value = b"%b INVITE" % number[1]
        lines.append(b"%b: %b\r\n" % (key, value))
    try:
        message = SipMessage.parse_fields("INVITE", b"", b"".join(lines))
    except MessageError:  # nothing can be read
        message = SipMessage.parse_fields("INVITE", b"", b"")
    message.original = buffer
    plain = len(buffer) <= MAX_SEARCHED and _has_plain_tag(message)
    return Salvage(message, plain and len(_TO.findall(unescaped(buffer))) == same)


def _has_plain_tag(message: SipMessage) -> bool:
    to = message.first(b"to")
    if to is None or grammar.PLAIN_TAGGED.fullmatch(to) is None:
        return False
    try:
        return message.in_dialog
    except MessageError:
        return False


def targets(buffer: bytes) -> Iterator[bytes]:
    """The URIs to which a request line may ask to send the call, read as leniently as possible; the most exact one
    first."""
    start = grammar.OURS.match(buffer)
    if start is None:
        return
    line = buffer[start.end() : start.end() + _LONGEST]
    line = _FOLD.sub(b" ", line.lstrip(grammar.INVISIBLE_BYTES))
    ending = _LINE_END.search(line)
    line = line if ending is None else line[: ending.start()]
    for text in (line, unquote_to_bytes(line)):
        found = _TARGET.match(text.lstrip(_NO_TARGET))
        if found is None:
            continue
        scheme, user, rest = found[1] or b"tel", found[2], found[3]
        yield b"%b:%b%b" % (scheme, user, rest)
        yield b"tel:" + user


def _lines(buffer: bytes) -> Iterator[bytes]:
    """The lines of the header after the first, unfolded."""
    start = grammar.OURS.match(buffer)
    begin = start.end() if start is not None else 0
    text = _FOLD.sub(b" ", grammar.cleaned(buffer[begin : begin + MAX_SEARCHED]))
    for line in text.split(b"\n")[1:]:
        if line in (b"", b"\r"):
            return
        yield line
