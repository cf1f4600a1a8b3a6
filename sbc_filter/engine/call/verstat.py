"""The trust boundary: claims of untrusted peers are removed, results are written (S-110 to S-115).

Removal must never create what it removes: if a cut would join two names, another parameter is left in its place.
"""

import re

from sbc_filter.engine.call.parties import Party
from sbc_filter.errors import MessageError
from sbc_filter.sip import field
from sbc_filter.sip.field import ESCAPED_PLACEHOLDER, NOTHING, PLACEHOLDER, FieldText, HeaderField
from sbc_filter.sip.grammar import LEAD
from sbc_filter.sip.message import SipMessage

# Header fields in which a peer could place a verstat that the SBC would trust, and those that assert an attestation.
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
# What other parsers may skip before and after a name (see `grammar.INVISIBLE`).
_SKIPPED = rb"[^!-~\r\n]*+"
_ASSERTION_LINES = re.compile(
    rb"(?im)^" + _SKIPPED + rb"(?:" + b"|".join(_ASSERTIONS) + rb")" + _SKIPPED + _FOLD + rb":.*(?:\n[ \t].*)*(?:\n|\Z)"
)
# The parameter with any value, as seen by parsers that undo escapes once or not at all. Each of its characters may be
# literal or escaped (%76 is v, %3b is ;, %3d is =; RFC 3261 §19.1.4), and so may invisible characters around it. The
# alternatives begin with different bytes, so that there is only one way to match and the group need not be possessive.
# Until Python 3.11.4 a possessive group loses the bytes of an alternative that fails halfway (CPython issue 106052).
_LWS = rb"(?:[^!-~\r\n]++|\r?\n[ \t]|%(?:[01][0-9a-f]|20|7f|[89a-f][0-9a-f]))*"
_NAME = "".join(f"(?:{letter}|%{ord(letter):02x}|%{ord(letter.upper()):02x})" for letter in "verstat").encode()
_VALUE = rb'(?:"[^"<>@]*"|[^;@<>,\s"?:]*+)'
# Characters, literal or escaped, that would make it the longer name of another parameter.
_LONGER = rb"(?:[A-Za-z0-9_.!*+`'~-]|%(?:2[157abde]|3[0-9]|4[1-9a-f]|5[0-9af]|6[0-9a-f]|7[0-9ae]))"
_VERSTAT = rb"(?:;|%3b)" + _LWS + _NAME + rb"(?:" + _LWS + rb"(?:=|%3d)" + _LWS + _VALUE + rb"|(?!" + _LONGER + rb"))"
_ANYWHERE = re.compile(_VERSTAT, re.IGNORECASE)
_OUTSIDE_QUOTES = re.compile(rb'"[^"]*"|' + _VERSTAT, re.IGNORECASE)
_DELIMITER = re.compile(_LWS + rb"(?:[;@<>,?]|\r?\n|\Z)", re.IGNORECASE)
_UNCLEAN = re.compile(rb"\r(?!\n)|\0")  # octets at which other parsers end a line or the message
_BLANK_LINE = re.compile(rb"\n\r?\n")


def scrub(message: SipMessage) -> None:
    """Edit: remove every verstat parameter and attestation header field of an untrusted peer (S-114)."""
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
    """Edit: remove every attestation header field: they are valid only within one operator's networks (S-115, A11)."""
    names = message.names()
    for name in _ASSERTIONS:
        if name in names:
            for header in message.headers(name):
                message.remove(header)


def scrub_unreadable(buffer: bytes) -> bytes:
    """The same as `scrub` for a message that cannot be parsed here, but that a more lenient SBC may accept."""
    end = _head_end(buffer)
    head = _UNCLEAN.sub(b" ", buffer[:end])
    kept = _ASSERTION_LINES.sub(b"", head)
    kept = _ANYWHERE.sub(lambda found: _instead(found).text, kept)
    return buffer if kept == buffer[:end] else kept + buffer[end:]


def mark(message: SipMessage, party: Party, verstat: str, *, trusted: bool, in_user_part: bool = True) -> None:
    """Edit: write the result into the P-Asserted-Identity that named the caller (S-111, S-112).

    If that is not the only one, a new one is made from what was verified. It goes before those of a trusted peer, and
    replaces those of an untrusted one (S-160), because an SBC uses the first. From is never changed: it comes back in
    every response and later request, where the mark would leak (S-113).
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
    """Edit: add a header field, and remove those of the same name that a trusted peer wrote."""
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
    """The URI to assert for a party: as written in the header fields meant for it, else made from its identity."""
    if party.source in ("pai", "from"):
        return buffer[party.start : party.end]
    return party.identity.encode() if ":" in party.identity else b"tel:+" + party.identity.encode()


def _may_carry_verstat(text: bytes) -> bool:
    # `find`, not `in`: for bytes, `in` first tries its operand as a number, and catches the error.
    return text.find(b"%") >= 0 or text.lower().find(b"verstat") >= 0


def _is_readable(message: SipMessage, name: bytes) -> bool:
    """Whether the quotes in these header fields are where RFC 3261 allows them.

    Quoted strings are then display names and may contain anything. But a quote inside brackets, an escaped quote or an
    unpaired one could mislead this parser.
    """
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
    """The text in place of a removed parameter: none, unless what follows would continue what precedes.

    In that case it is another parameter, with an escaped semicolon if that of the removed one was escaped.
    """
    if _DELIMITER.match(found.string, found.end(), found.endpos):
        return NOTHING
    return ESCAPED_PLACEHOLDER if found[0].startswith(b"%") else PLACEHOLDER


def _head_end(buffer: bytes) -> int:
    lead = LEAD.match(buffer)
    blank = _BLANK_LINE.search(buffer, lead.end() if lead else 0)
    return blank.end() if blank else len(buffer)


def _in_user_part(buffer: bytes, start: int, end: int) -> int:
    """The offset for a parameter of the telephone number: inside the user part of a SIP URI, else at the end."""
    at = buffer.find(b"@", start, end)
    if at < 0 or buffer[start : start + 4].lower() == b"tel:":
        return end
    colon = buffer.find(b":", start, at)
    password = buffer.find(b":", colon + 1, at)
    return password if password >= 0 else at


def _behind(buffer: bytes, start: int, end: int) -> int:
    """The offset for a parameter of the URI: after all others, before URI headers."""
    headers = buffer.find(b"?", max(start, buffer.rfind(b"@", start, end)), end)
    return headers if headers >= 0 else end
