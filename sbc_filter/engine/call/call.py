"""One INVITE in the engine: the parties that its signalling names, in the header fields that the operator configures
(S-072), everything else known about it before a rule decides, and the decision of a rule.

A telephone number comes first: within a source whatever the order of its addresses, and among sources before one that
has only a URI. An IMS core writes `P-Asserted-Identity: <sip:acme@…>, <tel:+1…>` (RFC 3325 §9.1); that is the number.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from sbc_filter.counters import CounterName
from sbc_filter.engine.call.network import Flow, Position
from sbc_filter.errors import Compared, MessageError
from sbc_filter.outcomes import Detail, Outcome, Repair
from sbc_filter.rules.model import CONTINUE, Treatment
from sbc_filter.rules.ruleset import Facts
from sbc_filter.sip.address import Address
from sbc_filter.sip.field import HeaderField
from sbc_filter.sip.marks import NO_MARKS, Marks
from sbc_filter.sip.message import SipMessage
from sbc_filter.sip.numbers import NoParty, Reader, dialled
from sbc_filter.stir.passport import Claims
from sbc_filter.stir.verification import Failure

# The whole of a user part or telephone number, escapes undone, of which all parsers make the same: in anything else
# some of them would end earlier, or find another number.
_ONE_READING = re.compile(rb"[A-Za-z0-9_.!~*'()&=+$,;/: #-]*")
# A number in an ambiguous URI, escapes undone. It is one that some parser may find.
_DIGITS = re.compile(rb"\+?[0-9](?:[().-]*[0-9]){2,31}")
# A URI in a header field that cannot be read.
_URI = re.compile(rb"(?i)(?:sips?|tel):[^\s<>\",]+")
_HEADERS = {"pai": b"p-asserted-identity", "from": b"from", "to": b"to"}
_CALLED = ("to", "ruri")
CALLER_FROM = ("pai", "from")
"""The usual sources of the caller."""
REMOTE_PARTY_ID = b"remote-party-id"


class Party:
    """An identity (see `sip.numbers`), its source, and the place of its URI in the buffer.

    - `start` is -1 for the Request-URI and for bare values, which are never edited.
    - `alone`: the source contains no other identity.
    - `plain`: written as in RFC 3966, with "+".
    - `sure`: no parser could find another identity there.
    - `is_ambiguous`: SIP stacks read different parties in it. Such a party is never signed for and never passes.
    - `is_number`: it is a telephone number, not a URI.
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
        is_ambiguous: bool = False,
    ) -> None:
        self.identity = identity
        self.source = source
        self.start = start
        self.end = end
        self.alone = alone
        self.plain = plain
        self.sure = sure
        self.is_ambiguous = is_ambiguous
        self.is_number = plain or ":" not in identity


class Parties:
    """Finds a party in the first of several sources that has a number, else in the first that names one; every source
    is read once.

    Sources: `pai`, `from`, `to`, `ruri`, or the name of a header field that carries a number or a URI.

    An ambiguous From (see `sip.numbers`) is a caller too: a number that is written badly does not make a call
    anonymous.
    """

    __slots__ = ("_found", "_message", "_reader")

    def __init__(self, message: SipMessage, reader: Reader) -> None:
        self._message = message
        self._reader = reader
        self._found: dict[str, Party | None] = {}

    def first(self, sources: tuple[str, ...]) -> Party | None:
        """The party in the first source that has a number; without a number, the first party that is named."""
        found = self._found
        named: Party | None = None
        for source in sources:
            party = found[source] if source in found else self._read(source)
            if party is None:
                continue
            # a short code that is dialled is the called party, though it is not long enough for a number
            if party.is_number or (source in _CALLED and dialled(party.identity).isdigit()):
                return party
            if named is None:
                named = party
        return named

    def identity(self, sources: tuple[str, ...]) -> str | None:
        """The identity of that party."""
        party = self.first(sources)
        return party.identity if party is not None else None

    def every(self, sources: tuple[str, ...]) -> list[str]:
        """The identities of all parties in all these sources, also where some SIP stack alone would find one."""
        found: list[str] = []
        for source in sources:
            party = self.first((source,))  # may be a bare number
            if party is not None:
                found.append(party.identity)
            if party is None or not party.plain:
                found += filter(None, map(self._reads_any, self._uris(source)))
        return found

    def all(self, name: bytes) -> list[str]:
        """All identities in the header fields of this canonical name; none if one of these is malformed."""
        try:
            found = [self.reads(address.uri) for address in self._message.addresses(name)]
        except MessageError:
            return []
        return [identity for identity in found if identity]

    def calling(self) -> list[Address]:
        """The addresses of Remote-Party-ID that are the caller's (draft-ietf-sip-privacy-04 §5.1: `party`)."""
        try:
            return [each for each in self._message.addresses(REMOTE_PARTY_ID) if _is_calling(each)]
        except MessageError:
            return []

    def reads(self, uri: bytes) -> str | None:
        """The identity in this URI."""
        found = self._reader(uri)
        return found if isinstance(found, str) else None

    def _read(self, source: str) -> Party | None:
        party: Party | None
        if source == "ruri":
            identity = self.reads(self._message.uri)
            party = Party(identity, source) if identity else None
        else:
            name = _HEADERS.get(source)
            party = self._address(source, name) if name else self._private(source, source.lower().encode())
        self._found[source] = party
        return party

    def _address(self, source: str, name: bytes) -> Party | None:
        plain = self._message.plain(name) if name != REMOTE_PARTY_ID else None
        if plain is not None:
            number, start, end, _ = plain
            return Party(number.decode("ascii"), source, start, end, True, True)
        try:
            addresses = self._message.addresses(name)
        except MessageError:
            return None
        if name == REMOTE_PARTY_ID:
            addresses = self.calling()
        read = [self._reader(address.uri) for address in addresses]
        named = [(each, address) for each, address in zip(read, addresses, strict=True) if isinstance(each, str)]
        if named:
            identity, address = min(named, key=lambda each: ":" in each[0])  # the first number, else the first URI
            alone = read.count(identity) == len(read)
            sure = _ONE_READING.fullmatch(_user(address.uri)) is not None
            return Party(identity, source, address.start, address.end, alone, sure=sure)
        return self._ambiguous(addresses, read) if source == "from" else None

    def _ambiguous(self, addresses: Sequence[Address], read: Sequence[str | NoParty]) -> Party | None:
        """The party of a From that SIP stacks read differently."""
        for address, each in zip(addresses, read, strict=True):
            if each is NoParty.AMBIGUOUS:
                identity = self._apparent(address.uri)
                return Party(identity, "from", address.start, address.end, sure=False, is_ambiguous=True)
        return None

    def _apparent(self, uri: bytes) -> str:
        """The identity of an ambiguous URI: the number in it, else its text."""
        digits = _DIGITS.search(unquote_to_bytes(uri))
        number = self.reads(b"tel:" + digits[0]) if digits is not None else None
        return number or uri.decode("utf-8", "replace").lower()

    def _reads_any(self, uri: bytes) -> str | None:
        """The identity that any SIP stack reads in this URI."""
        found = self._reader(uri)
        return self._apparent(uri) if found is NoParty.AMBIGUOUS else self.reads(uri)

    def _uris(self, source: str) -> Sequence[bytes]:
        """All URIs in a source, also if the header fields cannot be read."""
        if source == "ruri":
            return (self._message.uri,)
        name = _HEADERS.get(source) or source.lower().encode()
        try:
            return [address.uri for address in self._message.addresses(name)]
        except MessageError:
            return [uri for value in self._message.values(name) for uri in _URI.findall(value)]

    def _private(self, source: str, name: bytes) -> Party | None:
        """A party in a header field chosen by the operator: an address, or a bare number as people write it."""
        found = self._address(source, name)
        if found is None and name != REMOTE_PARTY_ID:
            bare = b"".join((self._message.first(name) or b"").split())
            identity = self.reads(b"tel:" + bare)
            found = Party(identity, source) if identity else None
        return found


def _is_calling(address: Address) -> bool:
    stated = address.every_parameter(b"party")
    return all(each.strip(b'"').lower() == b"calling" for each in stated)


def _user(uri: bytes) -> bytes:
    """The user part of a SIP URI, or the whole of another, with escapes undone."""
    scheme, _, rest = uri.partition(b":")
    return unquote_to_bytes(rest.partition(b"@")[0] if scheme.lower().startswith(b"sip") else rest)


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
        self.facts: Facts | None = None  # what the rules ask about; None before they are tried


class FirstUse(NamedTuple):
    """Which call a token came with first: its Call-ID, where that is known, and the trunk of its peer."""

    call_id: str | None
    trunk: str | None


class Decision:
    """The decision of a rule about a call.

    - `verstat`, `indicator`: what the SBC is told.
    - `identity`: the value of an Identity header field to add.
    - `date`: POSIX seconds of a Date to add.
    - `preserved`: the Identity header fields to put back.
    - `bypass`: a header field in place of Identity.
    - `failures`: what to report.
    - `deviations`, `notes`: what to count.
    - `token`, `kind`: the token that decided, as its place in the INVITE from 1, and its ppt.
    - `first_use`: the first use of a token that came again.
    - `request_uri`: the number in the Request-URI that no token explains.
    - `claims`: those of the token that decided. Only a call that passed proves them.
    - `compared`: the two values that differed, if the detail says that two did.
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
        token: int | None = None,
        kind: str | None = None,
        first_use: FirstUse | None = None,
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
        self.token = token
        self.kind = kind
        self.first_use = first_use
        self.request_uri: str | None = None
        self.claims: Claims | None = None
        self.compared: Compared | None = None
