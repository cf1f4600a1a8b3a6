"""A real Kamailio that speaks TCP, on the host of the filter or behind it: what it receives is verified, and what it
relays from a phone to the carrier is signed, on the connections that it keeps.
"""

import contextlib
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import pytest
from support import calls
from support.netns import ADDRESSES, LIVE, bracketed, endpoint, eventually
from support.relayed_calls import (
    MARKED,
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

from sbc_filter.lab.certificate_maker import Maker
from sbc_filter.lab.namespaces import Lab

pytestmark = [*LIVE, pytest.mark.skipif(shutil.which("kamailio") is None, reason="needs kamailio")]
PORT, PHONE = 5080, 5090  # of Kamailio for phones, and of a phone: both over UDP, on the host of Kamailio
# It answers an INVITE over TCP with what it saw, and relays that of a phone to the carrier.
SETTINGS = """
debug=0
log_stderror=yes
children=1
tcp_children=2
auto_aliases=no
dns=no
rev_dns=no
listen=udp:@SBC@:5080
listen=tcp:@SBC@:5060
loadmodule "pv.so"
loadmodule "sl.so"
loadmodule "tm.so"
loadmodule "textops.so"
loadmodule "textopsx.so"
request_route {
    if (is_method("INVITE") && proto == UDP) {
        $du = "sip:@CARRIER@:5060;transport=tcp";
        t_relay();
    } else if (is_method("INVITE")) {
        append_to_reply("X-Seen: $hdr(P-Asserted-Identity)\\r\\n");
        sl_send_reply("486", "Taken for a call");
    }
    exit;
}
"""
SEEN = f"X-Seen: {MARKED}\r\n".encode()


@dataclass
class Stage(Place):
    """Kamailio and the filter, both at work."""

    file: Path

    def arriving(self, number: int) -> bytes:
        return arriving(self.made, number)


@at_each_place
def stage(request: pytest.FixtureRequest, lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    (host, version), folder = request.param, tmp_path_factory.mktemp("kamailio")
    made = Maker(time.time(), "kamailio").laboratory()
    found = Stage(lab, host, version, made, configured(folder, made, ADDRESSES[host][version]))
    settings = SETTINGS.replace("@SBC@", bracketed(found.sbc))
    settings = settings.replace("@CARRIER@", bracketed(found.carrier))
    (folder / "kamailio.cfg").write_text(settings)
    (folder / "run").mkdir()
    run = str(folder / "run")
    command = ("kamailio", "-f", str(folder / "kamailio.cfg"), "-DD", "-E", "-m", "32", "-M", "4", "-Y", run, "-w", run)
    kamailio = lab.start(host, *command)
    try:
        assert eventually(lambda: f"{bracketed(found.sbc)}:5060" in lab.run(host, "ss", "-ltn"))
        with started(lab, found.file):
            yield found
            assert_all_relayed(found.file)
    finally:
        kamailio.terminate()
        kamailio.wait(LONG)


def test_calls_that_arrive(stage: Stage) -> None:
    """Kamailio sees the mark of the filter, and nothing of a call without a token; its responses come back."""
    with connected(stage.lab, "carrier", stage.sbc, stage.version) as near, near.makefile("rb") as stream:
        near.sendall(stage.arriving(1))
        answer = message(stream)
        assert answer.startswith(b"SIP/2.0 486 Taken for a call\r\n")
        assert SEEN in answer
        near.sendall(over_tcp(calls.invite(number=2)))
        assert message(stream).startswith(b"SIP/2.0 428 Use Identity Header\r\n")
        near.sendall(b"\r\n\r\n")  # a ping (RFC 5626 §4.4.1)
        assert stream.read(2) == b"\r\n"


def test_many_calls_in_one_segment_and_in_many(stage: Stage) -> None:
    """All at once, and then some octets at a time: Kamailio sees each call once."""
    for numbers, size in SEGMENTS:
        octets = b"".join(map(stage.arriving, numbers))
        with connected(stage.lab, "carrier", stage.sbc, stage.version) as near, near.makefile("rb") as stream:
            send_in_pieces(near, octets, size)
            answers = [message(stream) for _ in numbers]
        assert all(SEEN in answer for answer in answers)
        called = [int(each) for answer in answers for each in re.findall(rb"Call-ID: call-(\d+)@", answer)]
        assert sorted(called) == list(numbers)


def test_calls_that_leave(stage: Stage) -> None:
    """Two calls of a phone, of more than a segment each: the carrier gets them signed, on one connection, and what it
    answers reaches the phone."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(stage.called())
        phone = stack.enter_context(endpoint(stage.lab, stage.host, stage.version, PHONE))
        stream: BinaryIO | None = None
        for number in (101, 102):
            # Its Via names the port to which the responses go (RFC 3581).
            invite = calls.invite(number=number, body="x" * 6000).replace(b"branch=", b"rport;branch=")
            phone.sendto(invite, (stage.sbc, PORT))
            if stream is None:
                accepted, peer = server.accept()
                stack.enter_context(accepted).settimeout(LONG)
                stream = stack.enter_context(accepted.makefile("rb"))
                assert peer[0] == stage.sbc
            arrived = message(stream)
            assert arrived.startswith(b"INVITE ")
            assert arrived.endswith(b"\r\n\r\n" + b"x" * 6000)
            assert_signed(stage.made, arrived)
            accepted.sendall(answered(arrived, "486 Busy Here"))
            assert message(stream).startswith(b"ACK ")
            assert_busy_here(phone)
            phone.sendto(calls.follow_up(invite, "ACK", "carrier"), (stage.sbc, PORT))
