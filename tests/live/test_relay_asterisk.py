"""A real Asterisk (chan_pjsip) that speaks TCP, on the host of the filter or behind it: whole calls in both directions,
its keep-alives, and its OPTIONS.
"""

import contextlib
import re
import socket
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import BinaryIO

import pytest
from support import calls
from support.asterisk import Asterisk, asterisk, missing
from support.netns import ADDRESSES, LIVE, bracketed, endpoint, eventually
from support.relayed_calls import (
    MARKED,
    PAI,
    SEGMENTS,
    Place,
    answered,
    arriving,
    assert_all_relayed,
    assert_busy_here,
    assert_signed,
    at_each_place,
    configured,
    message,
    over_tcp,
    send_in_pieces,
)
from support.relaying import connected
from support.runs import started
from support.waiting import LONG

from sbc_filter.lab.certificate_maker import Laboratory, Maker
from sbc_filter.lab.namespaces import Lab

pytestmark = [*LIVE, pytest.mark.skipif(missing() is not None, reason=str(missing()))]
PORT, PHONE = 5080, 5090  # of Asterisk for phones, and of a phone: both over UDP, on the host of Asterisk
# The trunk to the carrier. `watched` is the same carrier, of whom Asterisk asks with OPTIONS whether it is there; by
# itself not before the test is over.
SIP = """
[global]
type=global
endpoint_identifier_order=ip
keep_alive_interval=1
[udp]
type=transport
protocol=udp
bind=@SBC@:5080
[tcp]
type=transport
protocol=tcp
bind=@SBC@:5060
[carrier]
type=identify
endpoint=carrier
match=@PEER@
[carrier]
type=endpoint
transport=tcp
aors=carrier
context=arriving
disallow=all
allow=ulaw
from_user=+@CALLER@
rtp_ipv6=yes
send_pai=yes
trust_id_inbound=yes
trust_id_outbound=yes
[carrier]
type=aor
contact=sip:@CARRIER@:5060\\;transport=tcp
[watched]
type=aor
contact=sip:@CARRIER@:5060\\;transport=tcp
qualify_frequency=86400
[watched]
type=endpoint
transport=tcp
aors=watched
[phone]
type=identify
endpoint=phone
match=@PHONE@
[phone]
type=endpoint
transport=udp
context=leaving
disallow=all
allow=ulaw
rtp_ipv6=yes
"""
# It answers a call of the carrier. P-Asserted-Identity of its response has the number that it takes for the caller's,
# and as the name the whole field that it got. It relays a call of the phone to the carrier.
DIALPLAN = """
[arriving]
exten = _[+0-9]!,1,Set(CONNECTEDLINE(name,i)=${PJSIP_HEADER(read,P-Asserted-Identity)})
 same = n,Set(CONNECTEDLINE(num,i)=${CALLERID(num)})
 same = n,Answer()
 same = n,Wait(600)
[leaving]
exten = _[+0-9]!,1,Dial(PJSIP/${EXTEN}@carrier)
"""
BUFFER = 65_535
"""Octets of a message that Asterisk takes."""
SEEN = f'\r\nP-Asserted-Identity: "{MARKED}" <sip:+{calls.CALLER}@'.encode()


@dataclass
class Stage(Place):
    """Asterisk and the filter, both at work."""

    asterisk: Asterisk

    def offer(self) -> tuple[str, str]:
        """A header and a body that offer audio at the address of the carrier."""
        at = f"IN IP{self.version} {self.carrier}"
        lines = ("v=0", f"o=- 1 1 {at}", "s=-", f"c={at}", "t=0 0", "m=audio 40000 RTP/AVP 0", "")
        return "Content-Type: application/sdp", "\r\n".join(lines)

    def arriving(self, number: int) -> bytes:
        header, body = self.offer()
        return arriving(self.made, number, header, body=body)


@at_each_place
def stage(request: pytest.FixtureRequest, lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    (host, version), folder = request.param, tmp_path_factory.mktemp("asterisk")
    made = Maker(time.time(), "asterisk").laboratory()
    sbc, carrier = ADDRESSES[host][version], ADDRESSES["carrier"][version]
    file, settings = configured(folder, made, sbc), SIP
    places = {"PEER": carrier, "PHONE": sbc, "SBC": bracketed(sbc), "CARRIER": bracketed(carrier)}
    for name, value in {**places, "CALLER": calls.CALLER}.items():
        settings = settings.replace(f"@{name}@", value)
    files = {"pjsip.conf": settings, "extensions.conf": DIALPLAN}
    with started(lab, file), asterisk(lab, host, files) as at_work:
        try:
            yield Stage(lab, host, version, made, at_work)
        finally:
            print(at_work.log())
        assert_all_relayed(file)


def within(answer: bytes, method: str, sequence: int) -> bytes:
    """A request of the carrier in the dialog of an INVITE that was answered so."""
    (target,) = re.findall(rb"\r\nContact: <([^>]+)>", answer)
    (call,) = re.findall(rb"\r\nCall-ID: (call-\d+)@", answer)
    lines = [
        f"{method} {target.decode()} SIP/2.0",
        f"Via: SIP/2.0/TCP {calls.CARRIER}:5060;branch=z9hG4bK-{method}-{call.decode()}",
        "Max-Forwards: 70",
        *(line.decode() for line in answer.split(b"\r\n") if line.startswith((b"From:", b"To:", b"Call-ID:"))),
        f"CSeq: {sequence} {method}",
        "Content-Length: 0",
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def completed(near: socket.socket, stream: BinaryIO, numbers: Collection[int]) -> None:
    """Acknowledge and end each of these calls when Asterisk has answered it. A response to an INVITE may come twice."""
    begun, ended = set[int](), set[int]()
    while len(ended) < len(numbers):
        answer = message(stream)
        assert answer.startswith((b"SIP/2.0 100 ", b"SIP/2.0 200 ")), answer
        (number,) = map(int, re.findall(rb"\r\nCall-ID: call-(\d+)@", answer))
        assert number in numbers
        if b"\r\nCSeq: 2 BYE\r\n" in answer:
            ended.add(number)
        elif answer.startswith(b"SIP/2.0 200 ") and number not in begun:
            assert SEEN in answer, answer
            begun.add(number)
            near.sendall(within(answer, "ACK", 1) + within(answer, "BYE", 2))


@contextlib.contextmanager
def called(stage: Stage) -> Iterator[socket.socket]:
    """The socket at which the carrier is called; when it is closed, Asterisk keeps no connection to it."""
    with stage.called() as server:
        yield server
    to_carrier = ("ss", "-Htn", "state", "established", "dst", bracketed(stage.carrier), "dport", "= :5060")
    assert eventually(lambda: not stage.lab.run(stage.host, *to_carrier))


@contextlib.contextmanager
def accepted(stage: Stage, server: socket.socket) -> Iterator[tuple[socket.socket, BinaryIO]]:
    """The connection that Asterisk opens to the carrier."""
    near, peer = server.accept()
    with near, near.makefile("rb") as stream:
        near.settimeout(LONG)
        assert peer[0] == stage.sbc
        yield near, stream


def test_calls_that_arrive(stage: Stage) -> None:
    """Asterisk sees the mark of the filter and the right caller. A call without a token never gets there."""
    before = stage.asterisk.calls()
    with connected(stage.lab, "carrier", stage.sbc, stage.version) as near, near.makefile("rb") as stream:
        unsigned = over_tcp(calls.invite(stage.offer()[0], number=2, body=stage.offer()[1]))
        near.sendall(unsigned)
        refused = message(stream)
        assert refused.startswith(b"SIP/2.0 428 Use Identity Header\r\n")
        (tag,) = re.findall(rb"\r\nTo: [^\r]*;tag=([^;\r]+)", refused)
        near.sendall(calls.follow_up(unsigned, "ACK", tag.decode()) + stage.arriving(1))
        completed(near, stream, {1})
    assert stage.asterisk.calls() == before + 1


def test_many_calls_in_one_segment_and_in_many(stage: Stage) -> None:
    """All at once, and then some octets at a time: Asterisk sees each call once."""
    before = stage.asterisk.calls()
    for numbers, size in SEGMENTS:
        octets = b"".join(map(stage.arriving, numbers))
        with connected(stage.lab, "carrier", stage.sbc, stage.version) as near, near.makefile("rb") as stream:
            send_in_pieces(near, octets, size)
            completed(near, stream, numbers)
    assert stage.asterisk.calls() == before + 20


def test_calls_that_leave(stage: Stage) -> None:
    """The carrier gets a call of a phone and one of Asterisk's own, signed and on one connection. Its response to the
    first one reaches the phone. The second one is a whole call.
    """
    header, body = stage.offer()
    with called(stage) as server, endpoint(stage.lab, stage.host, stage.version, PHONE) as phone:
        # Its Via names the port to which the responses go (RFC 3581).
        invite = calls.invite(header, number=101, body=body).replace(b"branch=", b"rport;branch=")
        phone.sendto(invite, (stage.sbc, PORT))
        with accepted(stage, server) as (near, stream):
            arrived = message(stream)
            assert arrived.startswith(b"INVITE ")
            assert_signed(stage.made, arrived)
            near.sendall(answered(arrived, "486 Busy Here"))
            assert message(stream).startswith(b"ACK ")
            response = assert_busy_here(phone)
            (tag,) = re.findall(rb"\r\nTo: [^\r]*;tag=([^;\r]+)", response)
            phone.sendto(calls.follow_up(invite, "ACK", tag.decode()), (stage.sbc, PORT))

            stage.asterisk.command(f"channel originate PJSIP/+{calls.CALLED}@carrier application Hangup")
            arrived = message(stream)
            assert arrived.startswith(b"INVITE ")
            assert_signed(stage.made, arrived)
            contact = f"Contact: <sip:{bracketed(stage.carrier)}:5060;transport=tcp>"
            near.sendall(answered(arrived, "200 OK", contact, header, body=body))
            assert message(stream).startswith(b"ACK ")
            bye = message(stream)
            assert bye.startswith(b"BYE ")
            near.sendall(answered(bye, "200 OK"))
            assert eventually(lambda: "0 active calls" in stage.asterisk.command("core show calls"))


def test_keep_alives_and_options(stage: Stage) -> None:
    """OPTIONS pass in both directions, and so do the pings of both sides (RFC 5626 §4.4.1) and the answer to one."""
    with called(stage) as server:
        stage.asterisk.command("pjsip qualify watched")
        with accepted(stage, server) as (near, stream):
            options = message(stream)
            assert options.startswith(b"OPTIONS ")
            near.sendall(b"\r\n" + answered(options, "200 OK"))
            shown = f"pjsip show contact watched/sip:{bracketed(stage.carrier)}:5060;transport=tcp"
            assert eventually(lambda: re.search(r"\bAvail\b", stage.asterisk.command(shown)))
            assert stream.read(4) == b"\r\n\r\n"
    with connected(stage.lab, "carrier", stage.sbc, stage.version) as near, near.makefile("rb") as stream:
        near.sendall(b"\r\n\r\n" + over_tcp(calls.invite(number=3)).replace(b"INVITE", b"OPTIONS"))
        assert message(stream).startswith(b"SIP/2.0 200 OK\r\n")
        assert stream.read(4) == b"\r\n\r\n"


def test_a_call_that_outgrows_the_buffer_of_asterisk(stage: Stage) -> None:
    """Asterisk reads on behind the octets that fill its buffer. With the mark of the filter a call is larger: its end
    would be the start of another INVITE, and the OPTIONS that follows the rest. That call never begins.
    """
    before = stage.asterisk.calls()
    added = len(f"P-Asserted-Identity: {MARKED}\r\n")
    start = f"INVITE sip:+{calls.CALLED}@{calls.SBC} SIP/2.0\r\nX-Rest: ".ljust(added, "x")
    large = filling(stage.made, 41, start)
    mark = f"P-Asserted-Identity: {MARKED}".replace(calls.CALLER, "19005550123")
    options = over_tcp(calls.invite(mark, number=42)).replace(b"INVITE", b"OPTIONS", 1)
    with connected(stage.lab, "carrier", stage.sbc, stage.version) as near, near.makefile("rb") as stream:
        near.sendall(large + options + stage.arriving(43))
        completed(near, stream, {43})
    assert stage.asterisk.calls() == before + 1


def filling(made: Laboratory, number: int, end: str) -> bytes:
    """An INVITE with a token that fills the buffer, without P-Asserted-Identity; its body has this end."""

    def with_body(octets: int) -> bytes:
        body = end.rjust(octets, "x")
        return arriving(made, number, "Content-Type: text/plain", body=body).replace(f"{PAI}\r\n".encode(), b"")

    made_up = with_body(BUFFER - 1000)  # whose Content-Length has as many digits
    large = with_body(2 * BUFFER - 1000 - len(made_up))
    assert len(large) == BUFFER
    return large
