"""Repair of single header fields: names, the tags of From and To, CSeq, Content-Length. See `sip.lenient.repair`."""

import re
from urllib.parse import unquote_to_bytes

from sbc_filter.errors import MessageError
from sbc_filter.outcomes import Detail
from sbc_filter.sip import grammar
from sbc_filter.sip.address import parse_address
from sbc_filter.sip.header import with_hyphens

_ESCAPE = re.compile(rb"%[0-9A-Fa-f]{2}")
_READ_BY_ALL = bytes.maketrans(b"!%'*`", b"-----")
_LENGTH = re.compile(rb"0*([0-9]{1,9})")
# A display name that needs quotes, and the rest of the value. With a colon, "@" or semicolon it could be an address.
_BARE_NAME = re.compile(rb"([^\"<>:;@\\]++)(<.*)", re.DOTALL)
_ESCAPED_QUOTES = re.compile(rb'[ \t]*\\"([^\"<>:;@\\]*)\\"[ \t]*(<.*)', re.DOTALL)
_NO_BRACKETS = re.compile(rb"([ \t]*)((?!(?i:sips?|tel):)" + grammar.BARE_URI + rb")")
_EMPTY_PARAMETER = re.compile(rb";[ \t]*(?=;|\Z)")
_MISSING = 4  # octets that may be missing at the end of a body: two line ends


def repaired_name(name: bytes) -> bytes:
    """A header name that all stacks read alike, if it is a token.

    Invisible bytes around it and escapes are gone, hyphens stand in place of what Kamailio does not take in a name, and
    in a known name in place of underscores.
    """
    if _ESCAPE.search(name) is not None:
        name = unquote_to_bytes(name)
        if _ESCAPE.search(name) is not None:
            raise MessageError(Detail.HEADER_SYNTAX, "an escape of an escape")
    return with_hyphens(name.strip(grammar.INVISIBLE_BYTES).translate(_READ_BY_ALL))


def repaired_address(key: bytes, value: bytes) -> bytes:
    """The value of a From or To (`key`) in which every parser finds the same tag, or none.

    Its parameters are written without blanks, and `;tag=` once, unless it is empty. Brackets separate them from a URI
    that is neither SIP nor tel (see `grammar.PLAIN_TAGGED`). `MessageError` with the detail `to-tag` or
    `address-syntax` if different tags can be read.
    """
    if grammar.PLAIN_TAGGED.fullmatch(value) is not None:
        return value
    value = _without_empty_parameters(value)
    address = parse_address(value, 0, len(value))
    text = value.rstrip()
    head = text[: len(text) - len(address.parameters)].rstrip()
    parameters, tag = [], b""
    for found in grammar.PARAMETER.finditer(address.parameters):
        name: bytes = found[1]
        written: bytes | None = found[2]  # a name of its own: compiled, a variable has one type
        if name.lower() != b"tag":
            parameters.append(b";%b=%b" % (name, written) if written is not None else b";" + name)
        elif written is not None and written.strip(b'"'):
            if tag not in (b"", written.strip(b'"')):
                raise _ambiguous(key)
            tag = written.strip(b'"')
    if tag:
        parameters.insert(0, b";tag=" + tag)
    bare = _NO_BRACKETS.fullmatch(head)
    if bare is not None:
        head = b"%b<%b>" % bare.groups()
    made = head + b"".join(parameters)
    if grammar.PLAIN_TAGGED.fullmatch(made) is None:
        raise _ambiguous(key)
    return made


def quoted_name(value: bytes) -> bytes:
    """The value of a From or To with quotes around a display name that needs them (RFC 3261 §25.1).

    Some devices send `\\"name\\"`.
    """
    found = _BARE_NAME.fullmatch(value) or _ESCAPED_QUOTES.fullmatch(value)
    if found is None or grammar.NAME_ADDR.match(value) is not None:
        return value
    return b' "%b" %b' % (found[1].strip(b" \t"), found[2])


def _without_empty_parameters(value: bytes) -> bytes:
    """The value of a From or To without semicolons that no parameter follows, if they are behind all quotes."""
    end = max(value.rfind(b">"), value.rfind(b'"')) + 1
    return value[:end] + _EMPTY_PARAMETER.sub(b"", value[end:].rstrip())


def _ambiguous(key: bytes) -> MessageError:
    return MessageError(Detail.TO_TAG if key == b"to" else Detail.ADDRESS_SYNTAX, key.decode())


def repaired_cseq(value: bytes, method: bytes) -> bytes:
    """The value of a CSeq with the method in its plain form; `MessageError` if it names another."""
    cseq = grammar.CSEQ.fullmatch(value)
    if cseq is None or cseq[2].upper() != method:
        raise MessageError(Detail.CSEQ)
    return value if cseq[2] == method else b" %b %b" % (cseq[1], method)


def repaired_length(value: bytes, body: bytes) -> tuple[bytes, int]:
    """The value of a Content-Length, and the length of the body; `MessageError` if it is not a number, or more than
    line ends are missing."""
    digits = _LENGTH.fullmatch(value.strip(b" \t"))
    if digits is None:
        raise MessageError(Detail.CONTENT_LENGTH)
    stated = int(digits[1])
    size = min(stated, len(body))
    if stated - size > _MISSING:
        raise MessageError(Detail.CONTENT_LENGTH)
    plain = b"%d" % size
    return (value if value.strip(b" \t") == plain else b" " + plain), size
