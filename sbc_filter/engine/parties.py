"""Who calls whom, by the signalling: the places where an operator says the numbers stand (S-072)."""

from typing import NamedTuple

from sbc_filter.errors import MessageError
from sbc_filter.sip.address import Address
from sbc_filter.sip.message import SipMessage
from sbc_filter.sip.number import Canonicaliser

_HEADERS = {"pai": b"p-asserted-identity", "from": b"from", "to": b"to"}


class Party(NamedTuple):
    """An identity (see `sip.number`) and the address it was read from; None for the Request-URI and bare values."""

    identity: str
    source: str
    address: Address | None


class Parties:
    """Finds a party in the first of several sources that names one; every source is read once.

    Sources: `pai`, `from`, `to`, `ruri`, or the name of a header field that carries a number or a URI.
    """

    __slots__ = ("_canonicalise", "_found", "_message")

    def __init__(self, message: SipMessage, canonicalise: Canonicaliser) -> None:
        self._message = message
        self._canonicalise = canonicalise
        self._found: dict[str, Party | None] = {}

    def first(self, sources: tuple[str, ...]) -> Party | None:
        """The party of the first source that has one."""
        found = self._found
        for source in sources:
            if source not in found:
                found[source] = self._read(source)
            if found[source] is not None:
                return found[source]
        return None

    def identity(self, sources: tuple[str, ...]) -> str | None:
        """The identity of that party."""
        party = self.first(sources)
        return party.identity if party else None

    def _read(self, source: str) -> Party | None:
        message, canonicalise = self._message, self._canonicalise
        if source == "ruri":
            identity = canonicalise(message.uri)
            return Party(identity, source, None) if identity else None
        name = _HEADERS.get(source) or source.lower().encode()
        try:
            for address in message.addresses(name):
                identity = canonicalise(address.uri)
                if identity:
                    return Party(identity, source, address)
        except MessageError:
            if source in _HEADERS:
                return None
            identity = canonicalise(b"tel:" + (message.first(name) or b""))  # a private header with a bare number
            return Party(identity, source, None) if identity else None
        return None
