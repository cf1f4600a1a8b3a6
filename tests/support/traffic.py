"""Calls of two endpoints to each other, of every kind that a filter treats in its own way, and what became of each.

    carrier 192.0.2.7  ==  calls that arrive, a fresh token each  ==>  SBC 192.0.2.1
                       <==  calls that leave, to be signed        ==

    kind        sent                       the far end has to see         the near end has to see
    true        INVITE, ACK                the same, once                 200
    resent      INVITE three times, ACK    the same, INVITEs alike        200
    cancelled   INVITE, INVITE, CANCEL     the same, in this order        nothing
    refused     INVITE, ACK                nothing                        438, once

In between come packets that are no calls: the filter must not mind them, and random ones must come through unchanged.
"""

import heapq
import itertools
import json
import re
import selectors
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric import ec

from sbc_filter.errors import VerificationError
from sbc_filter.firewall.harmless import is_handed_over
from sbc_filter.stir.passport import decode_segment
from sbc_filter.stir.signature import verify_es256
from support.calls import follow_up
from support.load import IDENTITY, MARK, OUR_X5U, Load
from support.waiting import LONG

CARRIER, SBC = ("192.0.2.7", 5060), ("192.0.2.1", 5060)
_RINGS = 0.3  # seconds from the first INVITE to 200
_MOST = 3.0  # times the calls that are under way on a machine that keeps up: no more begin before some have ended
_KINDS = ("true",) * 11 + ("resent",) * 3 + ("cancelled",) * 3 + ("refused",) * 3
_EXPECTED = {"true": "IA - 200", "resent": "IIIA - 200", "cancelled": "IIC - ", "refused": " - 438"}
_CALL = re.compile(rb"\r\nCall-ID: (in|out)-(\d+)@")
_TAG = re.compile(rb"\r\nTo: [^\r\n]*;tag=([^\r\n;]+)")
_RANDOM = b"INVITATION random "


class Sight(NamedTuple):
    """One call as it goes."""

    kind: str
    invite: bytes
    far: list[bytes]  # first letters of what arrived
    near: list[str]  # status codes
    arrived: list[bytes]  # its INVITEs

    @property
    def seen(self) -> str:
        """What was seen of it, in the notation of the table above."""
        return f"{b''.join(self.far).decode()} - {', '.join(self.near)}"


class Traffic:
    """`run` calls, so many a second in each direction; `load` is who signs them, and whose filter it is.

    A call is judged `patience` seconds after it began, or later if it has not come to its end by then."""

    def __init__(self, load: Load, carrier: socket.socket, sbc: socket.socket, patience: float) -> None:
        self._load = load
        self._patience = patience
        self._ends = {"carrier": carrier, "sbc": sbc}
        self._rng = Random("traffic")
        self._numbers = itertools.count()
        self._calls: dict[tuple[str, int], Sight] = {}
        self._later: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._random: set[bytes] = set()
        self.sent: Counter[str] = Counter()
        self.done: Counter[str] = Counter()
        self.wrong: Counter[str] = Counter()

    def run(self, seconds: float, rate: int, others: Iterator[bytes], others_rate: int) -> Iterator[float]:
        """Calls for so long, and `others` between them; gives the time that has passed, about once a second, and ends
        when the last call has."""
        begin = time.monotonic()
        told = 0.0
        self._most = _MOST * 2 * rate * self._patience
        with selectors.DefaultSelector() as selector:
            for name, end in self._ends.items():
                end.settimeout(None)  # what waits in a queue as it leaves fills the buffer of who sent it
                selector.register(end, selectors.EVENT_READ, name)
            for each, job in (
                (rate, lambda: self._begin("in")),
                (rate, lambda: self._begin("out")),
                (others_rate, lambda: self._disturb(next(others))),
            ):
                self._every(begin, int(seconds * each), 1 / each, job)
            while self._later:
                for key, _ in selector.select(max(0.0, min(self._later[0][0] - time.monotonic(), 0.1))):
                    self._receive(key.data)
                while self._later and self._later[0][0] <= time.monotonic():
                    heapq.heappop(self._later)[2]()
                if time.monotonic() - begin - told >= 1:
                    told = time.monotonic() - begin
                    yield told
        self.wrong["random bytes that did not come through unchanged"] += len(self._random)
        self.wrong += Counter()  # nothing that is zero

    def __str__(self) -> str:
        done, sent = (
            ", ".join(f"{count} {name}" for name, count in sorted(counter.items()))
            for counter in (self.done, self.sent)
        )
        return f"calls: {done}\nsent: {sent}\nwrong: {dict(self.wrong) or 'nothing'}"

    # What is sent.

    def _at(self, when: float, job: Callable[[], None]) -> None:
        heapq.heappush(self._later, (when, next(self._order), job))

    def _every(self, when: float, times: int, step: float, job: Callable[[], None]) -> None:
        def turn() -> None:
            if len(self._calls) > self._most:
                self._at(time.monotonic() + _RINGS, turn)
                return
            job()
            if times > 1:
                self._every(when + step, times - 1, step, job)

        self._at(when, turn)

    def _send(self, direction: str, message: bytes, what: str) -> None:
        """A packet of the caller's side."""
        end, to = ("carrier", SBC) if direction == "in" else ("sbc", CARRIER)
        self._ends[end].sendto(message, to)
        self.sent[what] += 1

    def _begin(self, direction: str) -> None:
        number = next(self._numbers)
        kind = self._rng.choice(_KINDS)
        if direction == "out" and kind == "refused":
            kind = "true"
        invite = self._invite(direction, number, kind)
        self._calls[direction, number] = Sight(kind, invite, [], [], [])
        now = time.monotonic()
        self._send(direction, invite, "INVITE")
        if kind == "resent":
            for wait in (0.05, 0.15):
                self._at(now + wait, lambda: self._send(direction, invite, "INVITE again"))
        elif kind == "cancelled":
            self._send(direction, invite, "INVITE again")
            self._send(direction, follow_up(invite, "CANCEL"), "CANCEL")
        self._judge_at(now + self._patience, direction, number)

    def _invite(self, direction: str, number: int, kind: str) -> bytes:
        caller, called = f"1215{number % 10**7:07}", f"1216{number % 10**7:07}"
        near, far = (CARRIER, SBC) if direction == "in" else (SBC, CARRIER)
        header = "User-Agent: softswitch/7.1"
        if direction == "in":
            signer = number // 2 % len(self._load.carriers)
            claimed = "12155559999" if kind == "refused" else caller
            header = self._load.identity(signer, claimed, called, number)
        return (
            f"INVITE sip:+{called}@{far[0]} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP {near[0]}:5060;branch=z9hG4bK-{direction}-{number}\r\nMax-Forwards: 70\r\n"
            f"From: <sip:+{caller}@{near[0]}>;tag=f{number}\r\nTo: <sip:+{called}@{far[0]}>\r\n"
            f"Call-ID: {direction}-{number}@{near[0]}\r\n{header}\r\nCSeq: 1 INVITE\r\n"
            f"Contact: <sip:+{caller}@{near[0]}>\r\nContent-Length: 0\r\n\r\n"
        ).encode()

    def _disturb(self, message: bytes) -> None:
        if message.startswith(_RANDOM):
            self._random.add(message)
        self._ends["carrier"].sendto(message, SBC)
        self.sent["others" if is_handed_over(message) else "others, not for the filter"] += 1

    # What is received.

    def _receive(self, end: str) -> None:
        for _ in range(64):
            try:
                message = self._ends[end].recv(70000, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            self._take(end, message)

    def _take(self, end: str, message: bytes) -> None:
        found = _CALL.search(message)
        if found is None:
            self._random.discard(message)
            if b"TN-Validation-Passed" in message:
                self.wrong["what is no true call was marked as one"] += 1
            return
        direction, number = found[1].decode(), int(found[2])
        sight = self._calls.get((direction, number))
        if sight is None:
            self.wrong["packets after the end of their call"] += 1
            return
        if (end == "carrier") == (direction == "in"):
            self._answered(direction, sight, message)
            return
        sight.far.append(message[:1])
        if message.startswith(b"INVITE "):
            sight.arrived.append(message)
            if len(sight.arrived) == 1 and sight.kind != "cancelled":
                self._at(time.monotonic() + _RINGS, lambda: self._answer(end, message))

    def _answer(self, end: str, message: bytes) -> None:
        """As the called party: 200."""
        lines = [
            line
            for line in message.split(b"\r\n")
            if line.startswith((b"Via:", b"From:", b"To:", b"Call-ID:", b"CSeq:"))
        ]
        answer = b"\r\n".join([b"SIP/2.0 200 OK", *lines, b"Content-Length: 0", b"", b""])
        self._ends[end].sendto(answer.replace(b"\r\nCall-ID:", b";tag=x\r\nCall-ID:"), CARRIER if end == "sbc" else SBC)

    def _answered(self, direction: str, sight: Sight, message: bytes) -> None:
        """As the calling party: what is final is acknowledged."""
        sight.near.append(message[8:11].decode())
        tag = _TAG.search(message)
        if tag is not None:
            self._send(direction, follow_up(sight.invite, "ACK", tag[1].decode()), "ACK")

    # What became of it.

    def _judge_at(self, when: float, direction: str, number: int) -> None:
        """Judge a call that came to the end that it should come to, or did not within `LONG`: machines may be busy."""
        last = when + LONG

        def turn() -> None:
            sight = self._calls[direction, number]
            if sight.seen == _EXPECTED[sight.kind] or time.monotonic() > last:
                self._judge(direction, number)
            else:
                self._at(time.monotonic() + self._patience, turn)

        self._at(when, turn)

    def _judge(self, direction: str, number: int) -> None:
        sight = self._calls.pop((direction, number))
        self.done[sight.kind] += 1
        if sight.seen != _EXPECTED[sight.kind]:
            self.wrong[f"{direction}, {sight.kind}: {sight.seen!r}"] += 1
        if len(set(sight.arrived)) > 1:
            self.wrong[f"{direction}, {sight.kind}: INVITEs differ"] += 1
        for message in sight.arrived[:1]:
            fault = _marked(message) if direction == "in" else self._signed(message, number)
            if fault:
                self.wrong[f"{direction}, {sight.kind}: {fault}"] += 1

    def _signed(self, message: bytes, number: int) -> str:
        found = IDENTITY.findall(message)
        if len(found) != 1:
            return f"{len(found)} Identity fields"
        head, payload, signature, info = found[0]
        claims = json.loads(decode_segment(payload))
        key = self._load.made.leaf.key.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        try:
            verify_es256(key, head + b"." + payload, signature)
        except VerificationError:
            return "a signature that is none"
        caller, called = f"1215{number % 10**7:07}", f"1216{number % 10**7:07}"
        same = (claims["orig"], claims["dest"], info.decode()) == ({"tn": caller}, {"tn": [called]}, OUR_X5U)
        return "" if same else "the token of another call"


def _marked(message: bytes) -> str:
    marks = MARK.findall(message)
    return "" if marks == [b"TN-Validation-Passed"] else f"marked {marks}"


def random_packets(seed: str) -> Iterator[bytes]:
    """What is handed to the filter, but is not a request for it, each different."""
    rng = Random(seed)
    while True:
        yield _RANDOM + rng.randbytes(rng.choice((20, 200, 1000, 3000)))


def mixed(packets: Sequence[bytes], seed: str) -> Iterator[bytes]:
    """These again and again, a random one behind each."""
    for packet, noise in zip(itertools.cycle(packets), random_packets(seed), strict=False):
        yield packet
        yield noise
