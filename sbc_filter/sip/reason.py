"""The Reason header field (RFC 3326): why, in words of a protocol; `ppi` says of which PASSporT (RFC 9410)."""

import re

from sbc_filter.sip.message import SipMessage

# A quoted string; one that nobody ends reaches to the end, so that no octet is looked at twice.
_QUOTED = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)


def reason_line(protocol: str, cause: int, text: str, ppi: bytes = b"") -> bytes:
    """One header line, spaced as RFC 9410 prints it. `text` and `ppi` go into quotes as they are: no `"` in them."""
    line = f'Reason: {protocol} ;cause={cause} ;text="{text}"'.encode()
    return line + (b' ;ppi="%s"\r\n' % ppi if ppi else b"\r\n")


def protocols(message: SipMessage) -> set[str]:
    """The protocols in the Reason fields of a message, in upper case: it may have several values, in one field or
    in several, and of most protocols only one (RFC 3326 §2, RFC 9366)."""
    return {
        part.partition(b";")[0].strip().decode("ascii", "replace").upper()
        for value in message.values(b"reason")
        for part in _QUOTED.sub(b"", value).split(b",")
    }
