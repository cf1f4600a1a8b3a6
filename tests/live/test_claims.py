"""What a token claims is no header field: signed claims with line ends in them, through a real queue."""

import pytest
from support.calls import NOW, VERIFY, claims, identity, invite, make_engine
from support.netns import ADDRESSES, LIVE, endpoint, running
from support.tiny import TinySource

from sbc_filter.firewall.iptables import Iptables
from sbc_filter.firewall.plan import Plan
from sbc_filter.lab.certificate_maker import X5U
from sbc_filter.lab.namespaces import Lab

pytestmark = LIVE
ALWAYS = '[rule.verify]\nattestation = "always"\n'
OPTIONS = {
    "default": "",
    "atis": ALWAYS + 'tolerate = ["base-passport"]\n',
    "3gpp": ALWAYS + 'dialect = "3gpp"\ntolerate = ["base-passport"]\n',
}
OURS = {"P-Asserted-Identity", "P-Attestation-Indicator", "P-Origination-ID", "Attestation-Info", "Origination-Id"}


def fields(message: bytes) -> list[str]:
    """The names of the header fields, as a reader sees them who ends lines at any of CR LF, CR and LF."""
    head = message.partition(b"\r\n\r\n")[0].decode()
    return [line.partition(":")[0] for line in head.replace("\r", "\n").split("\n")[1:] if line]


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("version", [4, 6])
def test_a_base_passport_writes_no_header_field(lab: Lab, version: int, options: str) -> None:
    """A believed certificate signs a token without `ppt`, whose claims SHAKEN does not check."""
    with lab.inside("sbc"):
        Iptables().apply(Plan(sbc=(ADDRESSES["sbc"][4], ADDRESSES["sbc"][6])))
    base = {"jose": {"ppt": None}, "parameters": f"info=<{X5U}>;alg=ES256"}
    with (
        running(lab, make_engine(VERIFY + options), TinySource(), clock=lambda: NOW),
        endpoint(lab, "carrier", version) as carrier,
        endpoint(lab, "sbc", version) as sbc,
    ):
        for number, hostile in enumerate(("A\r\nX-Injected: 1", "A\nX-Injected: 1", "A\r\n\r\nX-Injected: 1", "A\r")):
            for claim in ("attest", "origid"):
                token = identity(claims(**{claim: hostile}), **base)  # type: ignore[arg-type]
                message = invite(token, number=2 * number + (claim == "attest"))
                carrier.sendto(message, (ADDRESSES["sbc"][version], 5060))
                arrived = sbc.recv(70000)
                assert b"X-Injected" not in arrived
                assert [name for name in fields(arrived) if name not in OURS] == fields(message)
                assert len(set(fields(arrived))) == len(fields(arrived))
                assert arrived.partition(b"\r\n\r\n")[2] == b""
    with lab.inside("sbc"):
        Iptables().remove()
