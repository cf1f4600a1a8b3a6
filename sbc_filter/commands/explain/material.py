"""What was given to explain: recognised by its form, and made into an INVITE if it is only a token."""

import os
import re
import sys
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from sbc_filter.errors import FilterError, UsageFault, VerificationError, reason
from sbc_filter.outcomes import TOLERABLE
from sbc_filter.rules.trunk import TRANSPORTS
from sbc_filter.sip.date import format_date
from sbc_filter.sip.lenient.request_start import method_of
from sbc_filter.stir.passport import Claims, parse_claims, parse_jose
from sbc_filter.system.files import TooLarge, read_file
from sbc_filter.system.near_file import near_file

_MOST = 256 * 1024  # bytes; a SIP message over UDP has at most 64 KiB
_MOST_OF_RECORDS = 16 << 20  # bytes; about ten thousand records
_SHOWN = 60  # bytes of a text that is not understood
_CAPTURES = (
    b"\xa1\xb2\xc3\xd4",
    b"\xd4\xc3\xb2\xa1",
    b"\xa1\xb2\x3c\x4d",
    b"\x4d\x3c\xb2\xa1",
    b"\x0a\x0d\x0d\x0a",
    b"\x1f\x8b",
    b"BZh",
    b"\xfd7zXZ",
)
_START = re.compile(rb"(?:[A-Z]+ [^\r\n]+ SIP/2\.0|SIP/2\.0 [0-9]{3})", re.IGNORECASE)
_NAME = re.compile(rb"(?:identity|y)[ \t]*:[ \t]*", re.IGNORECASE)
_VIA = re.compile(rb"^(?:via|v)[ \t]*:[ \t]*SIP[ \t]*/[ \t]*2\.0[ \t]*/[ \t]*([a-z]+)", re.IGNORECASE | re.MULTILINE)
_FOLD = re.compile(rb"\r?\n[ \t]+")
_END = re.compile(rb"\r?\n\r?\n")
_TOKEN = re.compile(rb"[A-Za-z0-9_+/=-]*\.[A-Za-z0-9_+/=-]*\.[A-Za-z0-9_+/=-]+")
_PARTS = re.compile(rb"eyJ[A-Za-z0-9_+/=-]*(?:\.[A-Za-z0-9_+/=-]*)?")
_NUMBER = re.compile(r"[0-9*#]{1,32}")
_URI = re.compile(r"sips?:[A-Za-z0-9._~!$&'()*+=%-]{1,64}@[A-Za-z0-9.-]{1,255}|urn:service:[a-z.]{1,64}")
IDENTITY = re.compile(rb"^(?:identity|y)[ \t]*:[ \t]*([^\r\n]+)", re.IGNORECASE | re.MULTILINE)
_CALLER, _CALLED = "12025550100", "12025550101"  # if a token does not say; fictitious numbers


class Kind(StrEnum):
    """The forms that are recognised."""

    MESSAGE = "message"
    IDENTITY = "identity"
    TOKEN = "token"
    PARTS = "parts"  # of a token, without its signature
    CAPTURE = "capture"
    RECORDS = "records"  # of `run` or of `replay --json`, one a line


class Material(NamedTuple):
    """What was given: its kind, and its bytes as a message, an Identity value, parts of a token, or lines of JSON."""

    kind: Kind
    data: bytes
    notes: tuple[str, ...] = ()
    file: Path | None = None


class NotExplained(FilterError):
    """There is nothing to explain: exit code 1."""


def read_material(what: str) -> Material:
    """Read `what`: a file, `-`, or the text itself; `UsageFault` if it is none of them. A folder is one of captures."""
    if what == "-":
        return _recognised(sys.stdin.buffer.read(_MOST_OF_RECORDS + 1), "standard input")
    path = Path(what)
    if what and os.path.isdir(path):
        return Material(Kind.CAPTURE, b"", file=path)
    if not _is_file(path):
        return _recognised(what.encode("utf-8", "surrogateescape"), None)
    if is_capture(path):
        return Material(Kind.CAPTURE, b"", file=path)
    try:
        return _recognised(read_file(path, _MOST_OF_RECORDS), what)._replace(file=path)
    except TooLarge:
        raise _too_large(what, _MOST_OF_RECORDS) from None
    except OSError as error:
        raise NotExplained(f"{what} cannot be read: {reason(error)}") from None


def _is_file(path: Path) -> bool:
    try:
        return path.exists() and not path.is_dir()
    except (OSError, ValueError):  # a token is longer than the name of any file, or has a NUL
        return False


def is_capture(path: Path) -> bool:
    """Whether a regular file begins as a capture does, compressed or not. A pipe can be read only once."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(8).startswith(_CAPTURES)
    except OSError:
        return False  # reading it says why


def _recognised(data: bytes, name: str | None) -> Material:
    if name is not None and not data.strip():
        raise NotExplained(f"{name} is empty")
    most = _MOST_OF_RECORDS if _begins_as_record(data) else _MOST
    if len(data) > most:
        raise _too_large(name or "the text", most)
    if data.startswith(_CAPTURES):
        remedy = "give a capture as a file, with the call to explain, and unpack anything else"
        raise NotExplained(f"{name or 'the text'} is a capture or compressed: {remedy}")
    if method_of(data) is not None or _START.match(data.lstrip()):
        return _message(data)
    if _begins_as_record(data):
        return Material(Kind.RECORDS, data)
    text = _FOLD.sub(b" ", data.strip())
    named = _NAME.match(text)
    if named is not None:
        line, _, more = text[named.end() :].partition(b"\n")
        notes = ("only the first line was read",) if more.strip() else ()
        return Material(Kind.IDENTITY, line.strip(), notes)
    if b";" in text and _TOKEN.fullmatch(b"".join(text.partition(b";")[0].split())):
        return Material(Kind.IDENTITY, text)
    packed = b"".join(text.split())
    if _TOKEN.fullmatch(packed):
        return Material(Kind.TOKEN, packed)
    if _PARTS.fullmatch(packed):
        return Material(Kind.PARTS, packed)
    if name is not None:
        raise UsageFault(f"{name} holds neither an INVITE nor an Identity header field nor a PASSporT nor records")
    given = data[:_SHOWN].decode("utf-8", "replace") + ("…" if len(data) > _SHOWN else "")
    near = near_file(data.decode("utf-8", "surrogateescape"))
    raise UsageFault(
        f"{given!r} is neither a file nor an INVITE, an Identity header field, a PASSporT or a record{near}"
    )


def _begins_as_record(data: bytes) -> bool:
    return data.lstrip().startswith(b"{")


def _too_large(name: str, most: int) -> NotExplained:
    return NotExplained(f"{name} is larger than {most >> 10} KiB, and not a capture: give a part of it (grep, tail)")


def _message(data: bytes) -> Material:
    if method_of(data) not in (b"INVITE", None):
        raise NotExplained("the message is an ACK or CANCEL: only INVITEs carry tokens")
    notes: tuple[str, ...] = ()
    if b"\r\n" not in data:  # pasted from an editor or a terminal
        data = data.lstrip().replace(b"\n", b"\r\n")
        if b"\r\n\r\n" not in data:
            data = data.rstrip() + b"\r\n\r\n"
        notes = ("its lines ended in LF, as in a text file: they were read as CRLF",)
    if method_of(data) is None:
        raise NotExplained("the message is not an INVITE: only INVITEs are verified and signed")
    return Material(Kind.MESSAGE, data, notes)


def unfolded(message: bytes) -> bytes:
    """The header of a message with each field on one line, without the body: what stands there is not a field."""
    end = _END.search(message)
    return _FOLD.sub(b" ", message if end is None else message[: end.start()])


def stated_transport(message: bytes) -> str:
    """The transport by which a message comes, as its first Via says: `udp` or `tcp`; empty for anything else."""
    found = _VIA.search(unfolded(message))
    named = found[1].decode().lower() if found is not None else ""
    return named if named in TRANSPORTS else ""


def identity_value(material: Material) -> bytes:
    """The Identity value of a token: that of the header field, or one with the parameters that the token states."""
    if material.kind is not Kind.TOKEN:
        return material.data
    try:
        jose = parse_jose(material.data.partition(b".")[0].rstrip(b"="))
    except VerificationError:
        return material.data + b";info=<https://unknown.invalid/>"
    ppt = f";ppt={jose.ppt}" if jose.ppt else ""
    if not f"{jose.x5u}{ppt}".isascii() or not f"{jose.x5u}{ppt}".isprintable() or set("<> ") & {*jose.x5u, *ppt}:
        return material.data + b";info=<https://unknown.invalid/>"
    return material.data + f";info=<{jose.x5u}>;alg=ES256{ppt}".encode()


def claims_of(value: bytes) -> Claims | None:
    """The claims of an Identity value as our own reader finds them, whatever has to be tolerated; None if it cannot."""
    parts = b"".join(value.partition(b";")[0].split()).split(b".")
    try:
        return parse_claims(parts[1].rstrip(b"="), TOLERABLE) if len(parts) == 3 else None
    except VerificationError:
        return None


def invite_for(value: bytes, claims: Claims | None) -> bytes:
    """An INVITE whose signalling says what the token says, so that only the token itself is judged."""
    caller, called = _CALLER, _CALLED
    if claims is not None:
        caller, called = claims.orig, next(filter(_can_be_named, claims.dest), _CALLED)
    lines = [
        f"INVITE {_uri(called, _CALLED)} SIP/2.0",
        "Via: SIP/2.0/UDP 192.0.2.254:5060;branch=z9hG4bK-explain",
        "Max-Forwards: 70",
        f"From: <{_uri(caller, _CALLER)}>;tag=explain",
        f"To: <{_uri(called, _CALLED)}>",
        "Call-ID: explain",
        "CSeq: 1 INVITE",
        *([f"Date: {format_date(claims.iat)}"] if claims is not None and claims.iat < 253_402_300_800 else []),
        "Content-Length: 0",
    ]
    head = "\r\n".join(lines).encode()
    return head + b"\r\nIdentity: " + b" ".join(value.replace(b"\0", b"").splitlines()) + b"\r\n\r\n"


def _can_be_named(identity: str) -> bool:
    return bool(_URI.fullmatch(identity) or _NUMBER.fullmatch(identity))


def _uri(identity: str, otherwise: str) -> str:
    if _URI.fullmatch(identity):
        return identity
    number = identity if _NUMBER.fullmatch(identity) else otherwise
    return f"sip:{'+' if number.isdigit() and len(number) > 6 else ''}{number}@token.invalid;user=phone"
