"""The P-Asserted-Identity that the SBC gets to see, as docs/rules.md ("Marks") says it; no line of the program is used.

A plain value stays as it is, so the form written here is also the test for being plain: `shown` of it is itself.
"""

import re
from typing import NamedTuple

_WORD = re.compile(rb"[A-Za-z0-9.!*_+`'~-]+")
_TEXT = re.compile(rb'"(?:[^"\\]|\\.)*"')
_QUOTED = re.compile(rb'"[^"\\<>%]*"')
_NUMBER = re.compile(rb"\+?[0-9]+")
_RESULT = re.compile(rb"(?i);verstat(?:=|%3d)[^;@>]*")
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")


class _Address(NamedTuple):
    """`display` as written; of a tel URI, `host` is empty and `outer` are its parameters."""

    display: bytes
    scheme: bytes
    user: bytes
    inner: list[bytes]
    host: bytes
    outer: list[bytes]

    @property
    def number(self) -> bytes:
        """The digits that the user part names once its escapes are read."""
        text = _ESCAPE.sub(lambda found: bytes((int(found[1], 16),)), self.user)
        return bytes(octet for octet in text if octet in b"0123456789")


def without_results(value: bytes) -> bytes:
    """An address as it is after the claims of its sender are removed (docs/configuration.md)."""
    return _RESULT.sub(b"", value)


def shown(values: tuple[bytes, ...], sender: bytes, peer: bytes) -> bytes:
    """The only P-Asserted-Identity that is left of those of an untrusted peer, before it is marked.

    `sender` is the address in From, `peer` the host that sent the call.
    """
    caller = _taken_apart(without_results(values[0]))
    if caller.scheme == b"tel" and (len(values) > 1 or caller.number != _taken_apart(sender).number):
        caller = caller._replace(scheme=b"sip", host=peer, inner=caller.outer, outer=[b"user=phone"])
    user = caller.user if _NUMBER.fullmatch(caller.user) else b"+" + caller.number
    display = _plain_display(caller.display)
    at = b"@" + caller.host if caller.host else b""
    uri = b"%b:%b%b%b%b" % (caller.scheme, user, _plain(caller.inner), at, _plain(caller.outer))
    return b"%b%b<%b>" % (display, b" " if display else b"", uri)


def _taken_apart(value: bytes) -> _Address:
    """The parts of an address with or without brackets; parameters behind it are not part of it."""
    quoted = _TEXT.match(value)
    opening, bracket, rest = value[quoted.end() if quoted else 0 :].partition(b"<")
    display = quoted[0] if quoted else opening.strip() if bracket else b""
    uri = rest.partition(b">")[0] if bracket else value.partition(b";")[0]
    scheme, _, rest = uri.partition(b":")
    before, at, after = rest.partition(b"@")
    user, *inner = before.split(b";")
    if not at:
        return _Address(display, scheme.lower(), user, [], b"", inner)
    host, *outer = after.split(b";")
    return _Address(display, scheme.lower(), user, inner, host, outer)


def _plain_display(display: bytes) -> bytes:
    """A display name without what ends a quoted text or a URI for some reader: its words, quoted."""
    if not display or _QUOTED.fullmatch(display) or all(map(_WORD.fullmatch, display.split())):
        return display
    return b'"%b"' % b" ".join(re.findall(rb'[^\s"\\<>%]+', display))


def _plain(parameters: list[bytes]) -> bytes:
    """The parameters whose name and value are words."""
    kept = [each for each in parameters if all(map(_WORD.fullmatch, each.split(b"=", 1)))]
    return b"".join(b";" + each for each in kept)
