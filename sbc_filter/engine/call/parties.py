"""The calling and called parties by the signalling, in the header fields that the operator configures (S-072)."""

from sbc_filter.errors import MessageError
from sbc_filter.sip.message import SipMessage
from sbc_filter.sip.numbers import Canonicaliser

_HEADERS = {"pai": b"p-asserted-identity", "from": b"from", "to": b"to"}


class Party:
    """An identity (see `sip.numbers`), its source, and the place of its URI in the buffer.

    `start` is -1 for the Request-URI and for bare values, which are never edited. `alone`: the source contains no other
    identity. `plain`: written as in RFC 3966, with "+".
    """

    def __init__(
        self,
        identity: str,
        source: str,
        start: int = -1,
        end: int = -1,
        alone: bool = True,
        plain: bool = False,
    ) -> None:
        self.identity = identity
        self.source = source
        self.start = start
        self.end = end
        self.alone = alone
        self.plain = plain


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
        """The party in the first source that has one."""
        found = self._found
        for source in sources:
            party = found[source] if source in found else self._read(source)
            if party is not None:
                return party
        return None

    def identity(self, sources: tuple[str, ...]) -> str | None:
        """The identity of that party."""
        party = self.first(sources)
        return party.identity if party is not None else None

    def all(self, name: bytes) -> list[str]:
        """All identities in the header fields of this canonical name; none if one of these is malformed."""
        try:
            found = [self._canonicalise(address.uri) for address in self._message.addresses(name)]
        except MessageError:
            return []
        return [identity for identity in found if identity]

    def _read(self, source: str) -> Party | None:
        party: Party | None
        if source == "ruri":
            identity = self._canonicalise(self._message.uri)
            party = Party(identity, source) if identity else None
        else:
            name = _HEADERS.get(source)
            party = self._address(source, name) if name else self._private(source, source.lower().encode())
        self._found[source] = party
        return party

    def _address(self, source: str, name: bytes) -> Party | None:
        plain = self._message.plain(name)
        if plain is not None:
            number, start, end, _ = plain
            return Party(number.decode("ascii"), source, start, end, True, True)
        try:
            addresses = self._message.addresses(name)
        except MessageError:
            return None
        identities = [self._canonicalise(address.uri) for address in addresses]
        for address, identity in zip(addresses, identities, strict=True):
            if identity:
                alone = identities.count(identity) == len(identities)
                return Party(identity, source, address.start, address.end, alone)
        return None

    def _private(self, source: str, name: bytes) -> Party | None:
        """A party in a header field chosen by the operator: an address, or a bare number as people write it."""
        found = self._address(source, name)
        if found is None:
            bare = b"".join((self._message.first(name) or b"").split())
            identity = self._canonicalise(b"tel:" + bare)
            found = Party(identity, source) if identity else None
        return found
