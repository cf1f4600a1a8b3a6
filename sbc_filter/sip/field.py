"""The only module that turns text into parts of a message.

`SipMessage` and `build_response` write only values of the three types below, and only the functions here make them.
There is one function for each place, and it checks the text against the grammar of that place (RFC 3261 §25.1). No
control character passes any of them. Text from a token, a certificate, a service or a peer can therefore fill a value
but never end it.
"""

import re
from functools import lru_cache
from typing import Final, final
from urllib.parse import unquote_to_bytes

from sbc_filter.errors import FieldError
from sbc_filter.outcomes import Verstat
from sbc_filter.sip.date import format_date
from sbc_filter.sip.header import canonical

# `translate` with these tables changes an octet that is not printable, or that a URI may not contain. Comparing the
# result with the input is the fastest way to check every octet.
_PRINTABLE = bytes([code if 0x20 <= code < 0x7F else code ^ 1 for code in range(256)])
_URI = bytes([code if 0x20 < code < 0x7F and code not in b'"<>\\' else code ^ 1 for code in range(256)])
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_HOST = re.compile(r"[0-9A-Fa-f.:]+")
_PPI = re.compile(rb"[A-Za-z0-9_.-]+")
_WORD = r"[A-Za-z0-9.!%*_+`'~-]+"
_TOKEN = re.compile(_WORD)
# Reason: a protocol, then parameters (RFC 3326 §2); quoted strings may not contain escapes.
_REASON = re.compile(rf'{_WORD}(?: ?; ?{_WORD}(?:=(?:"[ !#-\[\]-~]*"|{_WORD}))?)*')
_DISPLAY = re.compile(rb'"[ !#-\[\]-~\x80-\xff]*"|[A-Za-z0-9.!*_+`\'~-]+(?:[ \t]+[A-Za-z0-9.!*_+`\'~-]+)*')
_NO_URI = re.compile(rb"[^!#-;=?-\[\]-~]")
_FOLDED = re.compile(rb"[ -~]++(?>(?:\r\n[ \t]+[!-~][ -~]*)*)")
_KEY: Final = object()


@final
class HeaderField:
    """One header field: `line` is the complete line with its CRLF, `name` the canonical name."""

    __slots__ = ("line", "name")

    def __init__(self, name: bytes, line: bytes, key: object) -> None:
        _guard(key)
        self.name: Final = name
        self.line: Final = line


@final
class FieldText:
    """Text that may be placed inside the value of a header field."""

    __slots__ = ("text",)

    def __init__(self, text: bytes, key: object) -> None:
        _guard(key)
        self.text: Final = text


@final
class StatusLine:
    """The first line of a response: `line` is the complete line with its CRLF."""

    __slots__ = ("code", "line")

    def __init__(self, code: int, line: bytes, key: object) -> None:
        _guard(key)
        self.code: Final = code
        self.line: Final = line


def _guard(key: object) -> None:
    if key is not _KEY:
        raise TypeError("made by the functions of this module alone")


def _field(name: str, value: bytes) -> HeaderField:
    """A header field whose value has already been checked."""
    return HeaderField(canonical(name.encode()), b"%b: %b\r\n" % (name.encode(), value), _KEY)


NOTHING: Final = FieldText(b"", _KEY)
PLACEHOLDER: Final = FieldText(b";x", _KEY)
"""A parameter without meaning, written in place of a removed one so that the text on both sides does not join."""
ESCAPED_PLACEHOLDER: Final = FieldText(b"%3bx", _KEY)
"""The same, for a parameter whose semicolon was written as an escape."""
RENAMED: Final = FieldText(b"x", _KEY)
"""A name without meaning, in place of one that may not stay."""
BLANK: Final = FieldText(b" ", _KEY)
"""Replaces an octet at which other parsers would end the line or the whole message."""

_VERSTATS: dict[str, FieldText] = {
    value: FieldText(f";verstat={value}".encode(), _KEY)
    for value in (*map(str, Verstat), *[f"{Verstat.PASSED}-{grade}" for grade in "ABC"])
}
_ATTESTATIONS = {
    (name, grade): _field(name, grade.encode())
    for name in ("P-Attestation-Indicator", "Attestation-Info")
    for grade in "ABC"
}
_ORIGINATIONS = frozenset(("P-Origination-ID", "Origination-Id"))


def verstat(value: str) -> FieldText:
    """`;verstat=VALUE` for the values of TS 24.229 §7.2A.20, with or without a grade; `FieldError` for any other."""
    made = _VERSTATS.get(value)
    if made is None:
        raise FieldError(f"{value!a} is not a verstat")
    return made


def attestation(name: str, value: str) -> HeaderField | None:
    """`P-Attestation-Indicator` or `Attestation-Info`; None unless the value is A, B or C (RFC 8588 §4)."""
    return _ATTESTATIONS.get((name, value))


def origination(name: str, value: str) -> HeaderField | None:
    """`P-Origination-ID` or `Origination-Id`; None unless the value is a UUID in either case (RFC 8588 §5)."""
    if name not in _ORIGINATIONS or not is_uuid(value):
        return None
    return _field(name, value.encode("ascii"))


def identity(value: bytes) -> HeaderField:
    """`Identity`; `FieldError` unless the value is one line of printable ASCII (RFC 8224 §4)."""
    if not is_printable(value):
        raise FieldError("an Identity that is not one line of printable ASCII")
    return HeaderField(b"identity", b"Identity: %b\r\n" % value, _KEY)


def preserved(value: bytes) -> HeaderField | None:
    """`Identity` as another provider wrote it, possibly folded (RFC 3261 §7.3.1): printable ASCII.

    Any other kind of white space becomes one space; None if other octets are left.
    """
    if _FOLDED.fullmatch(value) is None:
        value = b" ".join(value.split())
        if not is_printable(value):
            return None
    return HeaderField(b"identity", b"Identity: %b\r\n" % value, _KEY)


@lru_cache(maxsize=16)
def date(at: int) -> HeaderField:
    """`Date`, from POSIX seconds (RFC 3261 §20.17)."""
    return _field("Date", format_date(at).encode())


def asserted(uri: bytes, display: bytes = b"") -> HeaderField:
    """`P-Asserted-Identity` with this URI in angle brackets; octets that a URI may not contain are escaped.

    `display` is written in front of it: one word or more, or a quoted string without escapes; `FieldError` otherwise.
    """
    if display:
        if _DISPLAY.fullmatch(display) is None:
            raise FieldError("a display name that is neither words nor a plain quoted string")
        display += b" "
    return HeaderField(b"p-asserted-identity", b"P-Asserted-Identity: %b<%b>\r\n" % (display, _escaped(uri)), _KEY)


def contact(uri: bytes) -> HeaderField:
    """`Contact` of a redirect with this Request-URI in angle brackets; octets that a URI may not contain are escaped.

    The URI of a Contact may name a method and header fields for the next request (RFC 3261 §8.1.3.4, §19.1.5); a
    Request-URI may not. They are removed, or the caller could write header fields into the next INVITE.
    """
    if uri[:3].lower() == b"sip":
        user, at, rest = uri.rpartition(b"@")
        host, *parameters = rest.partition(b"?")[0].split(b";")
        kept = [each for each in parameters if unquote_to_bytes(each.partition(b"=")[0]).strip().lower() != b"method"]
        uri = b"%b%b%b" % (user, at, b";".join((host, *kept)))
    # A question mark that is left does not begin header fields for this parser, but it may for others.
    uri = _escaped(uri.replace(b"?", b"%3F"))
    return HeaderField(b"contact", b"Contact: <%b>\r\n" % uri, _KEY)


def reason(protocol: str, cause: int, text: str, ppi: bytes = b"") -> HeaderField:
    """`Reason`, spaced as in RFC 9410. `ppi` is a PASSporT or its last part; empty: no `ppi` parameter.

    `FieldError` for a protocol that is not a token, a text that is not printable ASCII, or a `ppi` with characters
    other than base64url and dots.
    """
    value = _reason(protocol, cause, text)
    if ppi:
        if _PPI.fullmatch(ppi) is None:
            raise FieldError("a ppi of other characters than base64url and dots")
        value += b' ;ppi="%b"' % ppi
    return HeaderField(b"reason", b"Reason: %b\r\n" % value, _KEY)


@lru_cache(maxsize=128)
def _reason(protocol: str, cause: int, text: str) -> bytes:
    if _TOKEN.fullmatch(protocol) is None or not is_printable_text(text):
        raise FieldError(f"{protocol!a} or {text!a} is not for a Reason")
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'{protocol} ;cause={cause} ;text="{quoted}"'.encode()


def is_reason(value: str) -> bool:
    """Whether an operator's text is a valid value of `Reason`."""
    return _REASON.fullmatch(value) is not None


@lru_cache(maxsize=128)
def stated_reason(value: str) -> HeaderField:
    """`Reason` as an operator wrote it; `FieldError` unless `is_reason`."""
    if not is_reason(value):
        raise FieldError(f"{value!a} is not a Reason")
    return _field("Reason", value.encode())


@lru_cache(maxsize=64)
def bypass(name: str, value: str) -> HeaderField:
    """A header field with a name from the operator and a token from the authority.

    `FieldError` unless the name is a token and the value is one line of printable ASCII.
    """
    if _TOKEN.fullmatch(name) is None or not is_printable_text(value):
        raise FieldError(f"{name!a} is not a header field name, or its value is not one line of printable ASCII")
    return _field(name, value.encode())


def warning(host: str, text: str) -> HeaderField:
    """`Warning` with the code 399, which no program acts on (RFC 3261 §20.43); `host` is an IP address.

    `FieldError` unless the text is printable ASCII without quotes and backslashes.
    """
    if not is_printable_text(text) or '"' in text or "\\" in text or _HOST.fullmatch(host) is None:
        raise FieldError(f"{host!a} or {text!a} is not for a Warning")
    agent = f"[{host}]" if ":" in host else host
    return _field("Warning", f'399 {agent} "{text}"'.encode())


def tag(value: str) -> FieldText:
    """`;tag=VALUE`; `FieldError` unless the value is a token."""
    if _TOKEN.fullmatch(value) is None:
        raise FieldError(f"{value!a} is not a tag")
    return FieldText(f";tag={value}".encode(), _KEY)


@lru_cache(maxsize=128)
def status(code: int, phrase: str) -> StatusLine:
    """`SIP/2.0 CODE PHRASE`; `FieldError` unless the code has three digits and the phrase is printable ASCII."""
    if not 100 <= code < 700 or not is_printable_text(phrase):
        raise FieldError(f"{code} {phrase!a} is not a status")
    return StatusLine(code, f"SIP/2.0 {code} {phrase}\r\n".encode(), _KEY)


def is_uuid(value: str) -> bool:
    """Whether this is a UUID in the text form of RFC 4122 §3, in upper or lower case."""
    return _UUID.fullmatch(value) is not None


def is_printable(value: bytes) -> bool:
    """Whether this is one non-empty line of printable ASCII."""
    return bool(value) and value.translate(_PRINTABLE) == value


def is_printable_text(value: str) -> bool:
    """The same as `is_printable`, for text."""
    return bool(value) and value.isascii() and value.isprintable()


def _escaped(uri: bytes) -> bytes:
    return uri if uri.translate(_URI) == uri else _NO_URI.sub(lambda found: b"%%%02X" % found[0][0], uri)
