"""One INVITE in the engine: the parties that its signalling names, in the header fields that the operator configures
(S-072), everything else known about it before a rule decides, and the decision of a rule."""

import re
from urllib.parse import unquote_to_bytes

from sbc_filter.counters import CounterName
from sbc_filter.engine.call.network import Flow, Position
from sbc_filter.errors import MessageError
from sbc_filter.outcomes import Detail, Outcome, Repair
from sbc_filter.rules.model import CONTINUE, Treatment
from sbc_filter.sip.field import HeaderField
from sbc_filter.sip.marks import NO_MARKS, Marks
from sbc_filter.sip.message import SipMessage
from sbc_filter.sip.numbers import Canonicaliser
from sbc_filter.stir.verification import Failure

# The whole of a user part or telephone number, escapes undone, of which all parsers make the same: in anything else
# some of them would end earlier, or find another number.
_ONE_READING = re.compile(rb"[A-Za-z0-9_.!~*'()&=+$,;/: #-]*")
# A number at the start of a URI, escapes undone, whatever follows it.
_LENIENT = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*:[^0-9A-Za-z+@]*(\+?[0-9](?:[().-]*[0-9]){2,31})")
_HOST_ALONE = re.compile(rb"(?i)sips?:(?!\+?[0-9]+(?:[:;?]|\Z))[^@]*\Z", re.DOTALL)
_HEADERS = {"pai": b"p-asserted-identity", "from": b"from", "to": b"to"}


class Party:
    """An identity (see `sip.numbers`), its source, and the place of its URI in the buffer.

    `start` is -1 for the Request-URI and for bare values, which are never edited. `alone`: the source contains no other
    identity. `plain`: written as in RFC 3966, with "+". `sure`: no parser could find another identity there.
    """

    def __init__(
        self,
        identity: str,
        source: str,
        start: int = -1,
        end: int = -1,
        alone: bool = True,
        plain: bool = False,
        sure: bool = True,
    ) -> None:
        self.identity = identity
        self.source = source
        self.start = start
        self.end = end
        self.alone = alone
        self.plain = plain
        self.sure = sure


class Parties:
    """Finds a party in the first of several sources that names one; every source is read once.

    Sources: `pai`, `from`, `to`, `ruri`, or the name of a header field that carries a number or a URI.

    With `lenient`, a From that names no one may still name a number for some other parser, and that is then the caller:
    a number that is written badly does not make a call anonymous.
    """

    __slots__ = ("_canonicalise", "_found", "_lenient", "_message")

    def __init__(self, message: SipMessage, canonicalise: Canonicaliser, lenient: bool = False) -> None:
        self._message = message
        self._lenient = lenient
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

    def reads(self, uri: bytes) -> str | None:
        """The identity in this URI."""
        return self._canonicalise(uri)

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
                sure = _ONE_READING.fullmatch(_user(address.uri)) is not None
                return Party(identity, source, address.start, address.end, alone, sure=sure)
        if self._lenient and source == "from":
            for address in addresses:
                digits = _lenient_number(address.uri)
                identity = self._canonicalise(b"tel:" + digits) if digits is not None else None
                if identity:
                    return Party(identity, source, address.start, address.end, sure=False)
        return None

    def _private(self, source: str, name: bytes) -> Party | None:
        """A party in a header field chosen by the operator: an address, or a bare number as people write it."""
        found = self._address(source, name)
        if found is None:
            bare = b"".join((self._message.first(name) or b"").split())
            identity = self._canonicalise(b"tel:" + bare)
            found = Party(identity, source) if identity else None
        return found


class IncomingCall:
    """An INVITE that was parsed. `arrived` is in POSIX seconds; freshness is counted from then."""

    def __init__(
        self,
        message: SipMessage,
        flow: Flow,
        place: Position,
        parties: Parties,
        arrived: float,
        in_dialog: bool,
        emergency: bool,
        target: str | None,
        scrubbed: int = 0,
        marks: Marks = NO_MARKS,
        changed: tuple[Repair, ...] = (),
    ) -> None:
        self.message = message
        self.call_id = message.first(b"call-id")
        self.flow = flow
        self.place = place
        self.untrusted = place.is_untrusted  # asked once: several places need it
        self.parties = parties
        self.arrived = arrived
        self.in_dialog = in_dialog
        self.emergency = emergency
        self.target = target  # the identity in the Request-URI
        self.scrubbed = scrubbed  # number of edits that removed claims of an untrusted peer
        self.changed = changed  # what was repaired before the message was parsed
        self.claimed: dict[bytes, int] | None = None  # how often each of its tokens came: see `memory.replays`
        self.marks = marks  # what an untrusted peer may not write


class Decision:
    """The decision of a rule about a call.

    - `verstat`, `indicator`: what the SBC is told.
    - `identity`: the value of an Identity header field to add.
    - `date`: POSIX seconds of a Date to add.
    - `preserved`: the Identity header fields to put back.
    - `bypass`: a header field in place of Identity.
    - `failures`: what to report.
    - `deviations`, `notes`: what to count.
    """

    def __init__(
        self,
        outcome: Outcome,
        detail: Detail | None,
        treatment: Treatment = CONTINUE,
        attest: str | None = None,
        origid: str | None = None,
        x5u: str | None = None,
        spc: str | None = None,
        verstat: str | None = None,
        indicator: str | None = None,
        identity: bytes | None = None,
        date: int | None = None,
        preserved: tuple[HeaderField, ...] = (),
        bypass: HeaderField | None = None,
        failures: tuple[Failure, ...] = (),
        deviations: tuple[str, ...] = (),
        notes: tuple[CounterName, ...] = (),
    ) -> None:
        self.outcome = outcome
        self.detail = detail
        self.treatment = treatment
        self.attest = attest
        self.origid = origid
        self.x5u = x5u
        self.spc = spc
        self.verstat = verstat
        self.indicator = indicator
        self.identity = identity
        self.date = date
        self.preserved = preserved
        self.bypass = bypass
        self.failures = failures
        self.deviations = deviations
        self.notes = notes


def _user(uri: bytes) -> bytes:
    """The user part of a SIP URI, or the whole of another, with escapes undone."""
    scheme, _, rest = uri.partition(b":")
    return unquote_to_bytes(rest.partition(b"@")[0] if scheme.lower().startswith(b"sip") else rest)


def _lenient_number(uri: bytes) -> bytes | None:
    """The number that a parser could find in a URI that names no one."""
    text = unquote_to_bytes(uri)
    found = _LENIENT.match(text) if _HOST_ALONE.match(text) is None else None
    return found[1] if found is not None else None
