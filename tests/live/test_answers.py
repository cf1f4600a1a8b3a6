"""A call that fails and continues, through a real queue: the answers of the SBC arrive with the Reason (S-117)."""

import re

import pytest
from support.calls import LAB, NOW, VERIFY, identity, invite, make_engine, response
from support.netns import ADDRESSES, LIVE, NO_INVITE, endpoint, eventually, nothing_else, running
from support.tiny import TinySource

from sbc_filter.firewall.iptables import Iptables
from sbc_filter.firewall.plan import Plan
from sbc_filter.lab.namespaces import Lab

pytestmark = LIVE
RULES = VERIFY + '[rule.verify]\nreason = "stir"\n'
REASON = re.compile(rb'Reason: STIR ;cause=438 ;text="Invalid Identity Header"[^\r\n]*\r\n')


@pytest.mark.parametrize("size", [0, 1200, 9000])
@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("host", ["sbc", "core"], ids=["on the host", "in the path"])
def test_a_bad_signature_is_reported_in_180_and_200(lab: Lab, host: str, version: int, size: int) -> None:
    """Answers of any size: whole, grown beyond the MTU, in fragments (S-152, S-153)."""
    addresses = list(ADDRESSES[host].values())
    plan = Plan(sbc=addresses, responses="sbc")
    with lab.inside("sbc"):
        Iptables().apply(plan)
    engine = make_engine(RULES, sbc=addresses)
    call = invite(identity(key=LAB.root.key))
    padding = f"X-Padding: {'p' * size}"
    with (
        running(lab, engine, TinySource(), clock=lambda: NOW) as shell,
        endpoint(lab, "carrier", version) as carrier,
        endpoint(lab, host, version) as sbc,
    ):
        carrier.sendto(call, (ADDRESSES[host][version], 5060))
        arrived, caller = sbc.recvfrom(70000)
        assert b";verstat=TN-Validation-Failed@" in arrived
        for status in ("100 Trying", "180 Ringing", "200 OK", "200 OK"):
            sbc.sendto(response(status, padding), caller)
            answer = carrier.recv(70000)
            assert REASON.sub(b"", answer) == response(status, padding)
            assert len(REASON.findall(answer)) == (status != "100 Trying")
        for unanswered in (response("200 OK", number=2), response("200 OK", cseq="1 BYE")):
            sbc.sendto(unanswered, caller)
            assert carrier.recv(70000) == unanswered
        carrier.sendto(response("200 OK"), (ADDRESSES[host][version], 5060))  # not of the SBC: stays in the kernel
        assert sbc.recv(70000) == response("200 OK")
        assert eventually(lambda: shell.counters["packets"] == 6)
        assert nothing_else(sbc, caller, carrier, NO_INVITE)
        assert engine.counters == {"reason-added": 3}
    with lab.inside("sbc"):
        Iptables().remove()
