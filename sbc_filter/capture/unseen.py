"""What a replay did not look at: the one place that counts it, by reason and place, and names it.

Every packet without a verdict of the engine on its SIP message is added here, with the number of INVITEs that its bytes
show. The screen, the summary of `--json` and the exit code are made of the same counts, so that they cannot disagree.
"""

import itertools
from collections import Counter
from collections.abc import Collection, Iterator
from enum import StrEnum
from typing import NamedTuple

_MAX_PLACES = 4096  # of one reason; a hostile capture could name millions
_SHOWN = 5  # most frequent places in a sentence
OTHERS = "others"  # the place of what is beyond the limit
CAPTURE_FILTERS = "docs/operations.md, Capture filters"


class Reason(StrEnum):
    """Why packets were not looked at; in kebab-case, as in the summary of `--json` (docs/records.md)."""

    # The frame: `where` says what it is, such as "link type 239 (NFLOG)", "EtherType 0x88cc (LLDP)".
    LINK_TYPE = "link-type"
    ETHERTYPE = "ethertype"
    IP_PROTOCOL = "ip-protocol"
    TUNNEL = "tunnel"  # one that is not opened
    MALFORMED = "malformed"  # neither IP nor anything with a name
    # The capture: `where` is the snap length of CUT, and empty for the rest.
    CUT = "cut"
    FIRST_FRAGMENT = "first-fragment"  # the first fragment of a datagram, without any other
    INCOMPLETE = "incomplete"
    NO_TIME = "no-time"
    # The settings: `where` is the port, or the address.
    OTHER_PORT = "other-port"
    NO_PORT = "no-port"  # all UDP packets are to other ports, none of them with an INVITE
    NO_ADDRESS = "no-address"
    # The transport: `where` is the port.
    TCP = "tcp"
    TCP_BEGUN = "tcp-begun"  # a message of which the beginning was sent before the capture began
    TCP_GAP = "tcp-gap"  # a message of which octets are missing
    TCP_UNFRAMED = "tcp-unframed"  # `where` is the fault, as in `sip.stream`
    TCP_CONFLICT = "tcp-conflict"  # segments that repeat octets with another content
    TLS = "tls"
    WEBSOCKET = "websocket"
    DTLS = "dtls"
    SCTP = "sctp"
    # Judged by the replay, but not by the live filter: `where` is the kind of tunnel, or the port.
    LIVE_TUNNEL = "live-tunnel"
    LIVE_TCP = "live-tcp"


_KINDS = frozenset((Reason.LINK_TYPE, Reason.ETHERTYPE, Reason.IP_PROTOCOL, Reason.TUNNEL, Reason.MALFORMED))
_JUDGED = frozenset((Reason.LIVE_TUNNEL, Reason.LIVE_TCP))
_HIDING = frozenset(
    (
        *(Reason.TUNNEL, Reason.CUT, Reason.INCOMPLETE, Reason.NO_PORT),
        *(Reason.TLS, Reason.WEBSOCKET, Reason.DTLS, Reason.SCTP),
        *(Reason.TCP_BEGUN, Reason.TCP_GAP, Reason.TCP_UNFRAMED, Reason.TCP_CONFLICT),
    )
)
"""What these have in them cannot be known: a call may be there though no INVITE was seen."""

_WITH_INVITES = {
    Reason.CUT: "{invites} {were} cut by the capture, snap length {places}: capture with -s 0",
    Reason.FIRST_FRAGMENT: "{invites} {are} incomplete: only the first fragment was captured, as with the filter"
    f" `port 5060`: see {CAPTURE_FILTERS}",
    Reason.INCOMPLETE: "{invites} {are} incomplete: fragments are missing or contradict each other",
    Reason.NO_TIME: "{packets} {have} no time stamp; freshness cannot be judged: use --at",
    Reason.OTHER_PORT: "{invites} {were} not looked at: to ports that [network].ports ({ports}) does not name:"
    " {counted}",
    Reason.NO_ADDRESS: "{invites} {have} no direction: neither end is in [network].sbc; most are to or from {most}",
    Reason.TCP: "{invites} over TCP {were} not looked at: TCP passes untouched",
    Reason.TCP_BEGUN: "{invites} over TCP {were} not judged: the connection is older than the capture",
    Reason.TCP_GAP: "{invites} over TCP {are} incomplete: segments are missing",
    Reason.TCP_UNFRAMED: "{invites} over TCP {were} not judged: the stream cannot be framed: {counted}",
    Reason.WEBSOCKET: "{invites} over WebSocket {were} not looked at: to port {counted}",
    Reason.SCTP: "{invites} over SCTP {were} not looked at: to port {counted}",
    Reason.LIVE_TUNNEL: "{invites} {are} in a tunnel ({places}): the live filter sees them only where the tunnel ends",
    Reason.LIVE_TCP: "{invites} over TCP {were} judged, but live {they_pass} unfiltered",
}
_WITHOUT = {
    Reason.CUT: "{packets} {were} cut by the capture, snap length {places}: capture with -s 0",
    Reason.INCOMPLETE: "{packets} {are} of incomplete datagrams: fragments are missing or contradict each other",
    Reason.NO_PORT: "No UDP packet is to or from a port of [network].ports ({ports}); they are to {counted}",
    Reason.TCP: "{packets} of SIP over TCP {were} not looked at: TCP passes untouched",
    Reason.TCP_BEGUN: "{messages} over TCP {were} not read: the connection is older than the capture",
    Reason.TCP_GAP: "{messages} over TCP {are} incomplete: segments are missing",
    Reason.TCP_UNFRAMED: "{messages} over TCP cannot be framed: {counted}",
    Reason.TCP_CONFLICT: "{packets} of TCP {repeat} earlier octets with another content: judged as Linux reads them",
    Reason.TLS: "{packets} of SIP over TLS {were} not looked at: to port {counted}",
    Reason.WEBSOCKET: "{packets} of SIP over WebSocket {were} not looked at: to port {counted}",
    Reason.DTLS: "{packets} of SIP over DTLS {were} not looked at: to port {counted}",
    Reason.SCTP: "{packets} of SIP over SCTP {were} not looked at: to port {counted}",
}


class _Count(NamedTuple):
    packets: int = 0
    invites: int = 0


class Unseen:
    """Counts of what was not looked at. `ports` are those of [network], for the sentence about others."""

    def __init__(self, ports: Collection[int] = ()) -> None:
        self._ports = ", ".join(map(str, sorted(ports)))
        self._counts: dict[Reason, dict[str, _Count]] = {}

    def add(self, reason: Reason, where: str = "", invites: int = 0, packets: int = 1) -> None:
        """Count packets that were not looked at for this reason, and the INVITEs that their bytes show."""
        places = self._counts.setdefault(reason, {})
        if where not in places and len(places) >= _MAX_PLACES:
            where = OTHERS
        before = places.get(where, _Count())
        places[where] = _Count(before.packets + packets, before.invites + invites)

    def total(self, reason: Reason) -> tuple[int, int]:
        """(packets, INVITEs) of one reason."""
        counts = self._counts.get(reason, {}).values()
        return sum(each.packets for each in counts), sum(each.invites for each in counts)

    @property
    def invites(self) -> int:
        """The INVITEs that were not looked at."""
        return sum(self.total(reason)[1] for reason in self._counts if reason not in _JUDGED)

    @property
    def has_invites(self) -> bool:
        """Whether INVITEs were not looked at, or are not over TCP when it is live: then the exit code is 1."""
        return self.invites > 0 or self.total(Reason.LIVE_TCP)[1] > 0

    @property
    def may_hide_invites(self) -> bool:
        """Whether calls may be in what was not looked at, seen or not."""
        return self.has_invites or not _HIDING.isdisjoint(self._counts)

    def sentences(self) -> Iterator[str]:
        """What was not looked at, in sentences for the screen: first, in one, what shows no INVITE and hides none."""
        kinds = [
            (reason, *each) for reason in Reason if reason in _KINDS for each in _most(self._counts.get(reason, {}))
        ]
        told = [(where, count) for reason, where, count in kinds if count.invites or reason in _HIDING]
        harmless = Counter({where: count.packets for _, where, count in kinds if (where, count) not in told})
        if harmless:
            yield f"Not looked at, and without an INVITE: {_listed(harmless)}."
        yield from itertools.starmap(_of_kind, told)
        for reason in Reason:
            if reason in self._counts and reason not in _KINDS:
                yield from self._sentence(reason, self._counts[reason])

    def summary(self) -> list[dict[str, str | int]]:
        """The same counts for the summary of `--json`: one object for each reason and place."""
        return [
            {"reason": reason, "where": where, "packets": count.packets, "invites": count.invites}
            for reason in Reason
            for where, count in _most(self._counts.get(reason, {}))
        ]

    def _sentence(self, reason: Reason, places: dict[str, _Count]) -> Iterator[str]:
        packets, invites = self.total(reason)
        text = (_WITH_INVITES if invites else _WITHOUT).get(reason)
        if text is None:
            return
        ordered = Counter({where: count.invites if invites else count.packets for where, count in places.items()})
        number = packets if text.startswith(("{packets}", "{messages}")) else invites
        yield (
            text.format(
                invites=_numbered(invites, "INVITE"),
                packets=_numbered(packets, "packet"),
                messages=_numbered(packets, "message"),
                were="was" if number == 1 else "were",
                are="is" if number == 1 else "are",
                have="has" if number == 1 else "have",
                they_pass="it passes" if number == 1 else "they pass",
                repeat="repeats" if number == 1 else "repeat",
                ports=self._ports,
                places=", ".join(where for where, _ in (+ordered).most_common(_SHOWN)),
                counted=_listed(+ordered),
                most="{} ({})".format(*ordered.most_common(1)[0]),
            )
            + "."
        )


def _of_kind(where: str, count: _Count) -> str:
    were = "was" if count.packets == 1 else "were"
    inside = f": {_numbered(count.invites, 'INVITE')} inside" if count.invites else ""
    return f"{_numbered(count.packets, 'packet')} of {where} {were} not looked at{inside}."


def _most(places: dict[str, _Count]) -> list[tuple[str, _Count]]:
    """The places, those with most INVITEs first, then those with most packets, then by name."""
    return sorted(places.items(), key=lambda entry: (-entry[1].invites, -entry[1].packets, entry[0]))


def _listed(counts: Counter[str]) -> str:
    """The most frequent places, each with its count."""
    shown = ", ".join(f"{key} ({count})" for key, count in counts.most_common(_SHOWN))
    return f"{shown}, …" if len(counts) > _SHOWN else shown


def _numbered(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"
