"""The trust boundary: what untrusted peers claim is removed, what we found is written (S-110 to S-115).

Removing must never make what it removes: a cut that would join two names leaves another parameter in its place.
"""

import re
from collections.abc import Iterator

from sbc_filter.engine.call.parties import Party
from sbc_filter.errors import MessageError
from sbc_filter.sip import field
from sbc_filter.sip.field import ESCAPED_PLACEHOLDER, NOTHING, PLACEHOLDER, FieldText, HeaderField
from sbc_filter.sip.grammar import LEAD, SLOPPY_REQUEST_LINE
from sbc_filter.sip.message import SipMessage

# Where a peer could plant a verstat that the SBC would believe, and the headers that assert attestation.
_MARKED = (
    b"p-asserted-identity",
    b"p-preferred-identity",
    b"from",
    b"contact",
    b"history-info",
    b"diversion",
    b"remote-party-id",
)
_PAI = b"p-asserted-identity"
_ASSERTIONS = (b"p-attestation-indicator", b"p-origination-id", b"attestation-info", b"origination-id")
_FOLD = rb"[ \t]*+(?:\r?\n[ \t]++)*"
# What other readers may skip in front of a name and behind it (see `grammar.INVISIBLE`).
_SKIPPED = rb"[^!-~\r\n]*+"
_ASSERTION_LINES = re.compile(
    rb"(?im)^" + _SKIPPED + rb"(?:" + b"|".join(_ASSERTIONS) + rb")" + _SKIPPED + _FOLD + rb":.*(?:\n[ \t].*)*(?:\n|\Z)"
)
# The parameter with whatever value, as others see it who undo escapes once, or not at all: each character of it may be
# written as itself or escaped (%76 is v, %3b is ;, %3d is =; RFC 3261 §19.1.4), and so may what is invisible around it.
# The alternatives begin with different bytes, so there is one way to match, and the group need not be possessive: until
# Python 3.11.4 one that is loses the bytes of an alternative that fails halfway (CPython issue 106052).
_LWS = rb"(?:[^!-~\r\n]++|\r?\n[ \t]|%(?:[01][0-9a-f]|20|7f|[89a-f][0-9a-f]))*"
_NAME = "".join(f"(?:{letter}|%{ord(letter):02x}|%{ord(letter.upper()):02x})" for letter in "verstat").encode()
_VALUE = rb'(?:"[^"<>@]*"|[^;@<>,\s"?:]*+)'
# Characters, or escapes of them, by which it would be the longer name of something else.
_LONGER = rb"(?:[A-Za-z0-9_.!*+`'~-]|%(?:2[157abde]|3[0-9]|4[1-9a-f]|5[0-9af]|6[0-9a-f]|7[0-9ae]))"
_VERSTAT = rb"(?:;|%3b)" + _LWS + _NAME + rb"(?:" + _LWS + rb"(?:=|%3d)" + _LWS + _VALUE + rb"|(?!" + _LONGER + rb"))"
_ANYWHERE = re.compile(_VERSTAT, re.IGNORECASE)
_OUTSIDE_QUOTES = re.compile(rb'"[^"]*"|' + _VERSTAT, re.IGNORECASE)
_DELIMITER = re.compile(_LWS + rb"(?:[;@<>,?]|\r?\n|\Z)", re.IGNORECASE)
_UNCLEAN = re.compile(rb"\r(?!\n)|\0")  # where other readers end a line, or everything
_BLANK_LINE = re.compile(rb"\n\r?\n")


def scrub(message: SipMessage) -> None:
    """Edit: remove every verstat parameter and attestation header of a peer that is not trusted (S-114)."""
    remove_assertions(message)
    buffer = message.buffer
    if not _may_carry_verstat(buffer):
        return
    start = buffer.index(message.uri)
    _cut(message, _ANYWHERE, start, start + len(message.uri))
    for name in _MARKED:
        headers = message.headers(name)
        readable = bool(headers) and _is_readable(message, name)
        for _, value, end in headers:
            skips = readable and buffer.find(b"\\", value, end) < 0
            _cut(message, _OUTSIDE_QUOTES if skips else _ANYWHERE, value, end)


def remove_assertions(message: SipMessage) -> None:
    """Edit: remove every attestation header: they are for the networks of one operator only (S-115, A11)."""
    names = message.names()
    for name in _ASSERTIONS:
        if name in names:
            for header in message.headers(name):
                message.remove(header)


def unclean(buffer: bytes) -> Iterator[int]:
    """Where each NUL, and each CR without LF, stands in the header fields: with spaces there one reading is left.
    The request line is not theirs (see `SipMessage.straighten`); without one there is no reading."""
    request = SLOPPY_REQUEST_LINE.match(buffer)
    if request is None:
        return
    for found in _UNCLEAN.finditer(buffer, request.end(), _head_end(buffer)):
        yield found.start()


def scrub_unreadable(buffer: bytes) -> bytes:
    """The same for a message that cannot be parsed: what refuses it here may be read by a more lenient SBC."""
    end = _head_end(buffer)
    head = _UNCLEAN.sub(b" ", buffer[:end])
    kept = _ASSERTION_LINES.sub(b"", head)
    kept = _ANYWHERE.sub(lambda found: _instead(found).text, kept)
    return buffer if kept == head else kept + buffer[end:]


def mark(message: SipMessage, party: Party, verstat: str, *, trusted: bool, in_user_part: bool = True) -> None:
    """Edit: write the result into the P-Asserted-Identity that named the caller (S-111, S-112).

    Where that is not the only one a new one is made of what was verified, in front of those of a trusted peer
    and in place of those of a stranger (S-160): an SBC takes the first. From is never touched: it comes back
    in every response and later request, where the mark would leak (S-113).
    """
    buffer = message.buffer
    if party.source == "pai" and party.alone:
        uri = buffer[party.start : party.end]
        if _may_carry_verstat(uri):
            _cut(message, _ANYWHERE, party.start, party.end)
        place = _in_user_part if in_user_part else _behind
        position = place(buffer, party.start, party.end)
        message.replace(position, position, field.verstat(verstat))
        return
    made = field.asserted(marked_uri(buffer, party, verstat, in_user_part=in_user_part))
    asserted = message.headers(_PAI)
    if asserted and trusted:
        message.add_header(made, asserted[0])
        return
    for header in asserted:
        message.remove(header)
    message.add_header(made)


def state(message: SipMessage, stated: HeaderField) -> None:
    """Edit: a header field of ours, in place of those of this name that a trusted peer wrote."""
    for header in message.headers(stated.name):
        message.remove(header)
    message.add_header(stated)


def marked_uri(buffer: bytes, party: Party, verstat: str, *, in_user_part: bool = True) -> bytes:
    """The URI of a party with this result and no other."""
    return marked(_uri(buffer, party), verstat, in_user_part=in_user_part)


def marked(uri: bytes, verstat: str, *, in_user_part: bool = True) -> bytes:
    """A URI with this result and no other."""
    uri = _ANYWHERE.sub(lambda found: _instead(found).text, uri)
    at = (_in_user_part if in_user_part else _behind)(uri, 0, len(uri))
    return b"%b%b%b" % (uri[:at], field.verstat(verstat).text, uri[at:])


def _uri(buffer: bytes, party: Party) -> bytes:
    """The URI to assert for a party: as it stands in the headers that are meant for it, else made of its identity."""
    if party.source in ("pai", "from"):
        return buffer[party.start : party.end]
    return party.identity.encode() if ":" in party.identity else b"tel:+" + party.identity.encode()


def _may_carry_verstat(text: bytes) -> bool:
    # By `find`: for bytes, `in` first tries whether it was given a number, by raising an error.
    return text.find(b"%") >= 0 or text.lower().find(b"verstat") >= 0


def _is_readable(message: SipMessage, name: bytes) -> bool:
    """Whether the quotes in these fields stand where RFC 3261 has them. Quoted strings are display names then, and may
    say what they like; but a quote inside brackets, an escaped one, or one without its other could mislead us."""
    try:
        message.addresses(name)
    except MessageError:
        return False
    return True


def _cut(message: SipMessage, pattern: "re.Pattern[bytes]", start: int, end: int) -> None:
    for found in pattern.finditer(message.buffer, start, end):
        if not found[0].startswith(b'"'):
            message.replace(*found.span(), _instead(found))


def _instead(found: "re.Match[bytes]") -> FieldText:
    """What stands in place of a removed parameter: nothing, unless what follows would continue what precedes; then
    another parameter, whose semicolon is escaped where that of the removed one was."""
    if _DELIMITER.match(found.string, found.end(), found.endpos):
        return NOTHING
    return ESCAPED_PLACEHOLDER if found[0].startswith(b"%") else PLACEHOLDER


def _head_end(buffer: bytes) -> int:
    lead = LEAD.match(buffer)
    blank = _BLANK_LINE.search(buffer, lead.end() if lead else 0)
    return blank.end() if blank else len(buffer)


def _in_user_part(buffer: bytes, start: int, end: int) -> int:
    """Where a parameter of the telephone number goes: inside the user part of a SIP URI, else at the end."""
    at = buffer.find(b"@", start, end)
    if at < 0 or buffer[start : start + 4].lower() == b"tel:":
        return end
    colon = buffer.find(b":", start, at)
    password = buffer.find(b":", colon + 1, at)
    return password if password >= 0 else at


def _behind(buffer: bytes, start: int, end: int) -> int:
    """Where a parameter of the URI goes: behind all others, in front of URI headers."""
    headers = buffer.find(b"?", max(start, buffer.rfind(b"@", start, end)), end)
    return headers if headers >= 0 else end
