"""The Reason header field (RFC 3326): a cause in terms of a protocol; `ppi` names its PASSporT (RFC 9410)."""

import re
from collections.abc import Callable
from typing import NamedTuple

from sbc_filter.sip import grammar
from sbc_filter.sip.message import Header, SipMessage

# A quoted string. An unterminated one extends to the end, so that no octet is examined twice.
_QUOTED = re.compile(rb'"[^"\\]*+(?>(?:\\.[^"\\]*+)*)(?:"|\\?\Z)', re.DOTALL)
_COMMA = re.compile(_QUOTED.pattern + rb"|,", re.DOTALL)
_MAX_PARAMETERS = 16  # of one value: RFC 3326 and RFC 9410 define four; more are not read
_MAX_VALUES = 64  # in one header field; SBCs write one or two, and each further one costs time


class Reason(NamedTuple):
    """One value of a Reason field: the protocol in upper case; `ppi` is empty if there is none."""

    protocol: str
    cause: int | None
    ppi: bytes


def protocols(message: SipMessage) -> set[str]:
    """The protocols in the Reason fields of a message, in upper case.

    There may be several values, in one field or in several, but of most protocols only one (RFC 3326 §2, RFC 9366).
    """
    return {
        part.partition(b";")[0].strip().decode("ascii", "replace").upper()
        for value in message.values(b"reason")
        for part in _QUOTED.sub(b"", value).split(b",")
    }


def remove_reasons(message: SipMessage, unwanted: Callable[[Reason], bool]) -> list[Reason]:
    """Edit: remove the unwanted values, and whole fields if none of their values is left; returns what was removed.

    A field with more than 64 values is left unchanged.
    """
    removed: list[Reason] = []
    for header in message.headers(b"reason"):
        removed += _remove(message, header, unwanted)
    return removed


def _remove(message: SipMessage, header: Header, unwanted: Callable[[Reason], bool]) -> list[Reason]:
    text = message.buffer[header[1] : header[2]].rstrip(b"\r\n")
    cuts = [found.start() for found in _COMMA.finditer(text) if found[0] == b","]
    if len(cuts) >= _MAX_VALUES:
        return []
    spans = list(zip([0, *(cut + 1 for cut in cuts)], [*cuts, len(text)], strict=True))
    reasons = [_parse(text[start:end]) for start, end in spans]
    keep = [not unwanted(reason) for reason in reasons]
    if not any(keep):
        message.remove(header)
    else:
        first = keep.index(True)
        for at, (start, end) in enumerate(spans):
            if not keep[at]:  # with the comma after it, or the one before it if a kept value precedes
                message.cut(header[1] + start - (at > first), header[1] + end + (at < first))
    return [reason for reason, is_kept in zip(reasons, keep, strict=True) if not is_kept]


def _parse(value: bytes) -> Reason:
    """Parse one value; reading stops at the first thing that is not a parameter."""
    protocol, semicolon, _ = value.partition(b";")
    position = len(protocol) if semicolon else len(value)
    found: dict[bytes, bytes] = {}
    for _ in range(_MAX_PARAMETERS):
        match = grammar.PARAMETER.match(value, position)
        if match is None:
            break
        found.setdefault(match[1].lower(), (match[2] or b"").strip(b'"'))
        position = match.end()
    cause = found.get(b"cause", b"")
    code = int(cause) if cause.isdigit() and len(cause) <= 3 else None
    return Reason(protocol.strip().decode("ascii", "replace").upper(), code, found.get(b"ppi", b""))
