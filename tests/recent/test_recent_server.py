"""The loop that serves followers and questions: requests as the control socket brings them."""

import base64
import contextlib
import json
import socket
import threading
from collections.abc import Iterator

import pytest
from support.waiting import LONG

from sbc_filter.engine.record import Record
from sbc_filter.engine.verdict import Verdict, VerdictKind
from sbc_filter.packet.udp import Datagram, datagram_to_ip
from sbc_filter.processes.channel import Channel
from sbc_filter.processes.messages import Heartbeat, Keep, Ready, Stop
from sbc_filter.recent import recent_server
from sbc_filter.recent.handover import Handover
from sbc_filter.recent.recent_server import CLIENTS, STOPPED, RecentServer

INVITE, ANSWER = b"INVITE sip:+12155550100@192.0.2.1 SIP/2.0\r\n\r\n", b"SIP/2.0 403 Forbidden\r\n\r\n"
REJECTED = Verdict(VerdictKind.REJECT, None, (Datagram("192.0.2.1", 5060, "192.0.2.7", 5060, ANSWER),))
RECORD = Record(1.0, "192.0.2.7:5060", "192.0.2.1:5060", "udp", method="INVITE", verdict="reject", orig="13125550123")


class Served:
    """A server in a thread, with what it talks to."""

    def __init__(self) -> None:
        self.handover = Handover(2)
        self.channel, theirs = Channel.pair()
        self._asking, asked = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        asked.setblocking(False)
        self.server = RecentServer(self.handover, asked, theirs, Keep(100, "nanp", ["acme"]))
        self.thread = threading.Thread(target=self.server.run)

    def ask(self, **request: object) -> "Lines":
        """A client with this request."""
        client, theirs = socket.socketpair()
        with theirs:
            socket.send_fds(self._asking, [json.dumps(request).encode()], [theirs.fileno()])
        return Lines(client)

    def refuse(self, number: int, size: int = 0) -> None:
        """A worker has rejected a call."""
        made = RECORD._replace(call_id=f"call-{number}")
        raw = datagram_to_ip(Datagram("192.0.2.7", 5060, "192.0.2.1", 5060, INVITE + b"x" * size))
        self.handover.sender(number % 2).call(made.to_json().encode() + b"\n", 0.5, made, raw, REJECTED)


class Lines:
    """What a client gets."""

    def __init__(self, client: socket.socket) -> None:
        client.settimeout(LONG)
        self._client, self._file = client, client.makefile("rb")

    def next(self) -> dict[str, object]:
        found = json.loads(self._file.readline())
        assert isinstance(found, dict)
        return found

    def rest(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self._file]

    def close(self) -> None:
        self._file.close()
        self._client.close()


@contextlib.contextmanager
def serving() -> Iterator[Served]:
    served = Served()
    served.thread.start()
    try:
        yield served
    finally:
        served.channel.send(Stop())
        served.thread.join(LONG)


def test_a_follower_until_the_end() -> None:
    """What was handed over just before the stop is shown, then the end is said."""
    with serving() as served:
        first = served.ask(ask="follow", number="(312) 555-0123")
        other = served.ask(ask="follow", number="13125550124")
        assert served.ask(ask="find", number="1").rest() == [{"end": "", "calls": 0, "of": 100, "lost": 0}]
        served.refuse(1)
        assert first.next()["call_id"] == "call-1"
        served.channel.send(Keep(100, "nanp", []))
        assert first.next() == {"news": "the filter has read its files again"}
        served.refuse(2)
        served.channel.send(Stop())
        served.thread.join(LONG)
        *shown, end = first.rest()
        assert [each["call_id"] for each in shown] == ["call-2"]
        assert end == {"end": STOPPED, "code": 0}
        assert other.rest()[-1] == end


def test_losses_on_the_way_are_told_to_every_follower() -> None:
    """As many as did not fit, however many of them one would have been shown."""
    served = Served()
    clients = [served.ask(ask="follow"), served.ask(ask="follow", call_id="none")]
    for _ in clients:
        served.server._turn(0.0)  # both are served, and the process then is busy elsewhere
    for number in range(1000):
        served.refuse(number, 60_000)
    records, calls = served.handover.lost
    assert records == calls > 0
    served.thread.start()
    assert clients[1].next() == {"not_shown": records, "why": "filter"}
    shown = told = 0
    while shown + told < 1000:
        line = clients[0].next()
        shown += "outcome" in line
        told += int(str(line.get("not_shown", 0)))
        assert line.get("why") in (None, "filter", "reader")
    assert served.ask(ask="find", number="13125550123").rest()[-1]["lost"] == calls
    served.channel.send(Stop())
    served.thread.join(LONG)


def test_what_is_kept_is_found_and_its_messages_are_given() -> None:
    with serving() as served:
        served.ask(ask="find", number="1").rest()  # it is ready
        for number in (1, 3):
            served.refuse(number)
        *found, end = served.ask(ask="find", number="tel:+1-312-555-0123", since=0.5).rest()
        assert [(each["kept"], each["record"]["call_id"]) for each in found] == [(2, "call-3"), (1, "call-1")]  # type: ignore[index]
        assert end["calls"] == 2
        assert len(served.ask(ask="find", number="13125550123", since=2.0).rest()) == 1
        (message,) = served.ask(ask="message", kept=2).rest()
        assert base64.b64decode(str(message["received"])) == INVITE
        assert base64.b64decode(str(message["sent"])) == ANSWER
        for wrong in (0, 3, None, "x", [1]):
            (refused,) = served.ask(ask="message", kept=wrong).rest()
            assert refused == {"end": f"call {wrong} is not kept: see `sbc-filter find`", "code": 1}


@pytest.mark.parametrize(
    "request_",
    [{"ask": "follow", "trunk": "x"}, {"ask": "find", "since": "x"}, {"ask": "find", "number": "\ud800"},
     {"ask": "find", "call_id": ["x"]}, {"ask": "message", "kept": 10**30}, {"ask": "find", "number": "("}, {"ask": 7},
     {}],
)  # fmt: skip
def test_no_request_ends_it(request_: dict[str, object]) -> None:
    with serving() as served:
        served.ask(**request_).rest()
        assert served.ask(ask="find", number="1").rest()[-1]["end"] == ""
        assert served.thread.is_alive()


def test_one_more_than_there_is_room_for() -> None:
    with serving() as served:
        clients = [served.ask(ask="follow") for _ in range(CLIENTS)]
        sentence = f"{CLIENTS} others are connected already: end one of them first"
        assert served.ask(ask="follow").rest() == [{"end": sentence, "code": 3}]
        clients[0].close()
        while served.ask(ask="find", number="1").rest()[-1].get("code"):
            pass  # until the server has seen that one is gone


def test_it_says_that_it_is_ready_and_alive() -> None:
    with serving() as served:
        served.ask(ask="find", number="1").rest()
        kinds = [type(message) for message in served.channel.receive()]
        assert kinds[0] is Ready
        assert set(kinds[1:]) <= {Heartbeat}


def test_a_flood_of_one_worker_waits_for_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the time of a round is over, each worker has had its turn, and the heartbeat comes next."""
    served = Served()
    monkeypatch.setattr(recent_server, "_SHARE", 0.0)
    served.server._say_what_is_wanted()
    for number in (0, 2, 4, 1):
        served.refuse(number)
    served.server._turn(0.0)
    assert [json.loads(call.line)["call_id"] for call in served.server._ring.newest_first()] in (
        ["call-1", "call-0"],
        ["call-0", "call-1"],
    )
    assert [type(message) for message in served.channel.receive()] == [Heartbeat]


def test_a_call_id_as_long_as_the_control_socket_takes() -> None:
    """Escapes make a request longer on its way."""
    with serving() as served:
        assert served.ask(ask="find", call_id="\u00e9" * 2000).rest()[-1]["end"] == ""
