"""The call of a capture that is to be explained: found by its name, and replayed with everything before it.

The captures are read from their beginning each time, and only what belongs to the call is kept. So a call is found
however late it comes. A packet says which call is meant only when it comes, and which certificates are to be fetched is
known at the end of the call: then the captures are read once more.
"""

import argparse
import re
import sys
from collections.abc import Callable, Iterator
from typing import NamedTuple

from sbc_filter.assembly.certificate_sources import ask_for
from sbc_filter.assembly.needs import Needs
from sbc_filter.assembly.setup import Setup
from sbc_filter.calls.call import Call
from sbc_filter.calls.calls import LINES, Calls
from sbc_filter.calls.listener import MessageListener
from sbc_filter.calls.seen_message import SeenMessage
from sbc_filter.capture.replay_shell import Replay
from sbc_filter.capture.survey import Survey
from sbc_filter.capture.tcp.tcp_replay import TcpReplay
from sbc_filter.capture.unseen import Unseen
from sbc_filter.certificates.given_certificate import read_given
from sbc_filter.commands.explain.material import IDENTITY, NotExplained, unfolded
from sbc_filter.commands.explain.noted_source import NotedSource
from sbc_filter.commands.replay.captures import Named, opened
from sbc_filter.commands.replay.frames import Clock, with_progress
from sbc_filter.commands.replay.spooled import rewind
from sbc_filter.commands.replay.supposing import NotedCertificates, Supposing
from sbc_filter.engine.call.network import Observation
from sbc_filter.engine.record import Record
from sbc_filter.engine.verdict import AnyAnswer, Need
from sbc_filter.errors import VerificationError
from sbc_filter.pki.x5u import check_x5u, with_plain_scheme
from sbc_filter.records.tally import numbered
from sbc_filter.stir.passport import parse_jose
from sbc_filter.stir.token import split_list
from sbc_filter.stir.verification import MAX_IDENTITIES
from sbc_filter.system.plain_text import plain_lines
from sbc_filter.system.shell_words import path_words

_SECRET = b"sbc-filter replay"  # our To tags are those of `replay`
_INFO = re.compile(rb";[ \t]*+info[ \t]*+=[ \t]*+(?:<([!-;=?-~]{1,2048}+)>|([!#-+./0-:=?-~-]{1,2048}+))", re.IGNORECASE)
_NO_URLS = frozenset[str]()
_FETCHED = 32  # certificates of one call; each may take seconds, and a hostile call names hundreds


class _Wanted(NamedTuple):
    """Which calls can be meant, as far as that is known when they begin; `number` is preferred among them."""

    may: Callable[[Call], bool]
    number: int | None


def captured_call(arguments: argparse.Namespace, setup: Setup, named: Named) -> tuple[Call, NotedSource]:
    """The call of the captures that `arguments.call` names, and the source of its certificates.

    `named` are those of `arguments.captures`, which can be read twice. What cannot be read is said on standard error.
    With `arguments.fetch`, what other calls need is not fetched. Raises `NotExplained` if there is no such call.
    """
    reading = _Reading(arguments, setup, named)
    try:
        return _found(reading, arguments)
    finally:
        for fault in reading.faults:
            print(f"sbc-filter: {plain_lines(fault)}", file=sys.stderr)


def _found(reading: "_Reading", arguments: argparse.Namespace) -> tuple[Call, NotedSource]:
    name = arguments.call
    packet = _count(name[1:]) if name is not None and name[:1] == "#" else None
    wanted = _by_name(name) if packet is None else _same(reading.call_of(packet))
    call, source = reading.call(wanted)
    if arguments.fetch:
        missing = [url for url in _urls(call, source) if source.look_up(url).pem is None]
        if missing:
            call, source = reading.call(_same(call), frozenset(missing[:_FETCHED]))
    return call, source


class _Reading:
    """Replays the captures, as `replay` does."""

    def __init__(self, arguments: argparse.Namespace, setup: Setup, named: Named) -> None:
        self._arguments, self._setup, self._named = arguments, setup, named
        self._ports = setup.configuration.network.ports
        self._given = read_given(arguments.certificate, setup.trust.tolerate)
        self._what = path_words(arguments.captures)
        self.faults: list[str] = []
        """What could not be read, the last time."""

    def call_of(self, packet: int) -> Call:
        """The call to which the message of this packet belongs; it has no messages yet."""
        calls, found = Calls(with_messages=0, lines=LINES, rolls=True), list[Call]()

        def add(message: SeenMessage) -> None:
            call = calls.add(message)
            if call is not None and message.packet == packet:
                found.append(call)

        for _ in self._messages(add, self._source(_NO_URLS)):
            if found:
                break
        if not found:
            raise self._missing(calls.begun, f"packet {packet} of a call")
        return found[0]

    def call(self, wanted: _Wanted, urls: frozenset[str] = _NO_URLS) -> tuple[Call, NotedSource]:
        """The call that is wanted, with its messages; only the certificates of these URLs are fetched."""
        found = list[Call]()

        def keeps(call: Call) -> bool:
            if wanted.may(call):
                found.append(call)
                return True
            return False

        calls, source, name = Calls(lines=LINES, rolls=True, wanted=keeps), self._source(urls), self._arguments.call
        for _ in self._messages(calls.add, source):
            pass
        if not found:
            raise self._missing(calls.begun, f"call {name}")
        if name is None and calls.begun > 1:
            listing = f"name one; `sbc-filter replay {self._what} --calls` lists them"
            raise NotExplained(f"{self._what} has {calls.begun} calls: {listing}")
        return next((call for call in found if call.number == wanted.number), found[0]), source

    def _messages(self, add: Callable[[SeenMessage], object], source: NotedSource) -> Iterator[None]:
        """Pass each message to `add`; a step for each frame, and one for what is left at the end."""
        setup, ports, clock = self._setup, self._ports, self._clock
        unseen = Unseen(ports)
        engine, noted = setup.engine(_SECRET, nothing_waits=True), NotedCertificates(source)
        engine.observe(Observation(tcp_but=setup.relayed_ports))
        needs = Needs(noted, {}, clock)
        ask: Callable[[Need], AnyAnswer] = lambda need: ask_for(needs, need)  # noqa: E731
        supposes = setup.observes and not setup.trust.anchors  # as the explanation judges, and as `replay` does
        second = setup.engine(b"second", nothing_waits=True)
        supposing = Supposing(engine, second, ask, noted.found, setup.trust)
        judging = supposing if supposes else engine, ask, _ignore, clock.time_of
        listener = MessageListener(add, ports, lambda: supposing.supposed)
        interfaces = setup.tells_interfaces_apart
        relayed = setup.relayed_ports
        streams = TcpReplay(*judging, ports, unseen, interfaces, listener=listener, relayed=relayed)
        run = Replay(*judging, Survey(ports, unseen), interfaces, leaves=False, streams=streams, listener=listener)
        rewind(self._named.sources)
        with opened(self._named) as captures:
            self.faults = captures.faults
            for frame in with_progress(captures, self._named.title(captures)):
                run.feed(frame)
                yield
            run.finish()
            yield

    def _source(self, urls: frozenset[str]) -> NotedSource:
        """The source of a new replay, with its clock."""
        at = self._arguments.at
        self._clock = Clock("capture" if at == "message" else at)
        settings = self._setup.configuration.certificates
        return NotedSource(settings, self._given, self._clock, fetch=bool(urls), only=urls)

    def _missing(self, calls: int, what: str) -> NotExplained:
        replay = f"sbc-filter replay {self._what}"
        if not calls:
            return NotExplained(f"{self._what} has no call on a SIP port: `{replay}` says what it has")
        among = f"among its {numbered(calls, 'call')}: `{replay} --calls` lists them"
        return NotExplained(f"{self._what} has no {what} {among}")


def _ignore(record: Record) -> None:
    """The listener has the records."""


def _by_name(name: str | None) -> _Wanted:
    """By its number or Call-ID; without a name any."""
    if name is None:
        return _Wanted(lambda call: True, None)
    number = _count(name)
    return _Wanted(lambda call: call.number == number or call.call_id == name, number)


def _same(known: Call) -> _Wanted:
    """The call that began as this one did, in another replay. More certificates may change its number."""
    began = known.time, known.file, known.call_id
    return _Wanted(lambda call: (call.time, call.file, call.call_id) == began, known.number)


def _count(text: str) -> int | None:
    """The decimal number that a text is; None if it is another text, or longer than any number of a packet or call."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else None


def _urls(call: Call, source: NotedSource) -> list[str]:
    """Where the tokens of a call say that their certificates are, in their order, if they may be fetched from there."""
    found = [IDENTITY.findall(unfolded(message.received))[:MAX_IDENTITIES] for message in call.messages]
    values = dict.fromkeys(value for each in found for value in each)
    urls = dict.fromkeys(url for value in values for url in _urls_of(value))
    return [url for url in urls if _may_be_fetched(url, source)]


def _urls_of(value: bytes) -> Iterator[str]:
    """The URLs of an Identity value: what its parameter says, and what its token says; of each, if some are joined."""
    for part in split_list([value])[:MAX_IDENTITIES]:
        named = _INFO.search(part)
        if named is not None:
            yield with_plain_scheme((named[1] or named[2]).decode())
        try:
            yield parse_jose(b"".join(part.partition(b".")[0].split()).rstrip(b"=")).x5u
        except VerificationError:
            continue


def _may_be_fetched(url: str, source: NotedSource) -> bool:
    try:
        check_x5u(url, frozenset(source.tolerate))
    except VerificationError:
        return False
    return True
