"""A real Kamailio as the SBC: it takes each of these for a call, and the filter does, too (S-110)."""

import shutil
import socket
from collections.abc import Iterator

import pytest
from support.calls import NOW, VERIFY, invite, make_engine
from support.netns import ADDRESSES, LIVE, endpoint, eventually, running, three_hosts
from support.tiny import TinySource

from sbc_filter.firewall.iptables import Iptables
from sbc_filter.firewall.plan import Plan
from sbc_filter.lab.namespaces import Lab

pytestmark = [*LIVE, pytest.mark.skipif(shutil.which("kamailio") is None, reason="needs kamailio")]
SBC = ADDRESSES["sbc"][4]
BROADCAST = "192.0.2.255"
REQUIRED = VERIFY + '[rule.on]\nno-identity = "reject"\n'
CLAIM = "P-Asserted-Identity: <sip:+19005550123;verstat=TN-Validation-Passed@h>"
STARTS = (b"", b"\0", b"\r\n\0", b"\0\0\0\0")  # in front of the method, as Kamailio skips them
# Answers each INVITE with what it saw.
SETTINGS = """
debug=0
log_stderror=yes
children=1
auto_aliases=no
dns=no
rev_dns=no
listen=udp:0.0.0.0:5060
loadmodule "pv.so"
loadmodule "sl.so"
loadmodule "textops.so"
loadmodule "textopsx.so"
request_route {
    if (is_method("INVITE")) {
        append_to_reply("X-Seen: $hdr(P-Asserted-Identity)\\r\\n");
        sl_send_reply("486", "Taken for a call");
    }
    exit;
}
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """The hosts, with Kamailio on every address of the SBC."""
    place = tmp_path_factory.mktemp("kamailio")
    (place / "kamailio.cfg").write_text(SETTINGS)
    with three_hosts() as made:
        command = ("kamailio", "-f", str(place / "kamailio.cfg"), "-DD", "-E", "-m", "32", "-M", "4")
        made.start("sbc", *command, "-Y", str(place), "-w", str(place))
        assert eventually(lambda: ":5060" in made.run("sbc", "ss", "-lun"))
        yield made


def answers(lab: Lab, target: str) -> list[list[bytes]]:
    """Status line and what Kamailio saw, of the answer to each start."""
    found = []
    with endpoint(lab, "carrier") as carrier:
        carrier.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        for number, start in enumerate(STARTS, 1):
            carrier.sendto(start + invite(CLAIM, number=number), (target, 5060))
            lines = carrier.recv(70000).split(b"\r\n")
            found.append([lines[0], *(line for line in lines if line.startswith(b"X-Seen"))])
    return found


@pytest.mark.parametrize("target", [SBC, BROADCAST])
def test_without_the_filter_they_are_calls_with_the_claim(lab: Lab, target: str) -> None:
    seen = b"X-Seen: " + CLAIM.partition(": ")[2].encode()
    assert answers(lab, target) == [[b"SIP/2.0 486 Taken for a call", seen]] * len(STARTS)


@pytest.mark.parametrize("target", [SBC, BROADCAST])
@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (REQUIRED, [b"SIP/2.0 428 Use Identity Header"]),
        ("", [b"SIP/2.0 486 Taken for a call", b"X-Seen: <sip:+19005550123@h>"]),
    ],
    ids=["refused", "scrubbed"],
)
def test_with_the_filter_they_are_refused_or_claim_nothing(
    lab: Lab, target: str, rules: str, expected: list[bytes]
) -> None:
    with lab.inside("sbc"):
        Iptables().apply(Plan(sbc=(SBC,)))
    try:
        with running(lab, make_engine(rules, sbc=(SBC,)), TinySource(), clock=lambda: NOW):
            assert answers(lab, target) == [expected] * len(STARTS)
    finally:
        with lab.inside("sbc"):
            Iptables().remove()
