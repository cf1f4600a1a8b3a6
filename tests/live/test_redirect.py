"""A real Kamailio that asks the filter and follows its 302 (S-122), with the very configuration of docs/redirect.md.

    carrier 192.0.2.7 -- 192.0.2.1 proxy 203.0.113.1 -- 203.0.113.2 sbc 198.51.100.1 -- 198.51.100.7 core

The INVITE that follows passes the host of the filter too, on its way to the core.
"""

import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from support.netns import LIVE
from support.waiting import eventually

from sbc_filter.lab.demo_network import CARRIER_X5U, CONFIGURATION, OUR_X5U, PROGRAMS, DemoNetwork
from sbc_filter.sip.message import SipMessage

MISSING = [program for program in PROGRAMS if shutil.which(program) is None]
pytestmark = [*LIVE, pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)}")]
PAGE = (Path(__file__).parents[2] / "docs" / "redirect.md").read_text()
SIX = {
    "192.0.2.1": "[2001:db8:1::1]",
    "203.0.113.1": "[2001:db8:3::1]",
    "203.0.113.2": "[2001:db8:3::2]",
    "198.51.100.7": "[2001:db8:2::7]",
}
CALLER, CALLED = "12155550200", "12155550199"


def block(language: str, at: int = 0) -> str:
    """What the page shows in this language."""
    found: list[str] = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    return found[at]


class Asked(DemoNetwork):
    """The stage with a proxy in front, and the filter where nobody listens. One version of IP at a time."""

    def __init__(self, version: int) -> None:
        super().__init__()
        self._version = version

    def _build(self) -> None:
        lab = self.lab
        for host in ("carrier", "proxy", "core"):
            lab.host(host)
        lab.host("sbc", forwarding=True)
        lab.cable(("carrier", "192.0.2.7/24", "2001:db8:1::7/64"), ("proxy", "192.0.2.1/24", "2001:db8:1::1/64"))
        lab.cable(("proxy", "203.0.113.1/24", "2001:db8:3::1/64"), ("sbc", "203.0.113.2/24", "2001:db8:3::2/64"))
        lab.cable(("core", "198.51.100.7/24", "2001:db8:2::7/64"), ("sbc", "198.51.100.1/24", "2001:db8:2::1/64"))
        for host, four, six in (
            ("proxy", "203.0.113.2", "2001:db8:3::2"),
            ("core", "198.51.100.1", "2001:db8:2::1"),
        ):
            lab.route(host, "default", four)
            lab.route(host, "default", six)
        lab.wait_until_up()
        self._files()
        self._proxy()
        self._start_called("core", self._version, SIX["198.51.100.7"][1:-1] if self._version == 6 else "198.51.100.7")
        self._start_filter()

    def _files(self) -> None:
        super()._files()
        network, _, rest = CONFIGURATION.partition("[trust]")
        settings, rules = block("toml"), block("toml", 1)
        if self._version == 6:
            settings = re.sub(r"203\.0\.113\.[12]", lambda found: SIX[found[0]][1:-1], settings)
        assert "[network]" in network
        (self._folder / "sbc-filter.toml").write_text(f"{settings}\n[trust]{rest}")
        (self._folder / "rules" / "demo.toml").write_text(rules)

    def unwanted(self) -> int:
        """Datagrams that came up to the host of the filter, where no socket takes them: an ACK would be one."""
        if self._version == 6:
            return int(self.lab.run("sbc", "cat", "/proc/net/snmp6").partition("Udp6NoPorts")[2].split()[0])
        names, values = re.findall(r"^Udp: (.*)$", self.lab.run("sbc", "cat", "/proc/net/snmp"), re.MULTILINE)
        return int(values.split()[names.split().index("NoPorts")])

    def _proxy(self) -> None:
        text = block("kamailio")
        if self._version == 6:
            text = re.sub("|".join(map(re.escape, SIX)), lambda found: SIX[found[0]], text)
        file, run = self._folder / "kamailio.cfg", self._folder / "kamailio"
        # Of the test's own, for a proxy without a name: nothing that SIP would notice.
        file.write_text("debug=0\nlog_stderror=yes\nchildren=2\nauto_aliases=no\ndns=no\nrev_dns=no\n" + text)
        run.mkdir()
        command = ("kamailio", "-f", str(file), "-DD", "-E", "-m", "32", "-M", "4", "-Y", str(run), "-w", str(run))
        self._start("proxy", *command)
        self._until(lambda: ":5060" in self.lab.run("proxy", "ss", "-lun"), "kamailio")


@pytest.fixture(scope="module", params=[4, 6])
def asked(request: pytest.FixtureRequest) -> Iterator[tuple[Asked, int]]:
    with Asked(request.param) as stage:
        yield stage, request.param


def new_records(stage: Asked, before: int, count: int) -> list[tuple[str, str, str | None]]:
    """(action, outcome, detail) of what was recorded since, once there is as much."""
    assert eventually(lambda: len(stage.records()) >= before + count)
    return [(made["verdict"], made["outcome"], made["detail"]) for made in stage.records()[before:]]


def test_s122_the_called_side_receives_a_valid_identity(asked: tuple[Asked, int]) -> None:
    """One 302, whose ACK nobody else sees; the token that PyJWT accepts; the INVITE that follows is left alone."""
    stage, version = asked
    before, heard = len(stage.records()), len(stage.heard("core", version))
    assert stage.call("carrier", version, [(CALLER, CALLED, "")]) == 1
    (message,) = map(SipMessage.parse, stage.heard("core", version)[heard:])
    (identity,) = (message.value(header).decode() for header in message.headers(b"identity"))
    token, _, parameters = identity.partition(";")
    key = stage.ours.leaf.certificate.public_key()
    claims = jwt.decode(token, key, algorithms=["ES256"])  # type: ignore[arg-type]
    assert (claims["attest"], claims["orig"], claims["dest"]) == ("A", {"tn": CALLER}, {"tn": [CALLED]})
    assert parameters == f"info=<{OUR_X5U}>;alg=ES256;ppt=shaken"
    assert message.count(b"date") == 1
    assert new_records(stage, before, 2) == [("redirect", "signed", None), ("accept", "not-examined", "redirected")]
    invites = len(stage.heard("core", version))
    assert eventually(lambda: len(stage.heard("core", version, b"ACK")) >= invites)  # the far end's own, a moment later
    assert len(stage.heard("core", version, b"ACK")) == invites
    assert stage.unwanted() == 0


def test_s122_the_called_side_is_told_the_result(asked: tuple[Asked, int]) -> None:
    """And nothing of what the caller claims."""
    stage, version = asked
    before, heard = len(stage.records()), len(stage.heard("core", version))
    claims: dict[str, Any] = {
        "attest": "B", "dest": {"tn": [CALLED]}, "iat": int(time.time()), "orig": {"tn": CALLER},
        "origid": "8a6f2b1e-0d1c-4c55-9a35-0f7c6f0e9d11",
    }  # fmt: skip
    headers = {"ppt": "shaken", "typ": "passport", "x5u": CARRIER_X5U}
    key: Any = stage.carrier.key
    token = jwt.encode(claims, key, algorithm="ES256", headers=headers)
    info = f"info=<{CARRIER_X5U}>;alg=ES256;ppt=shaken"
    info += f"\n    P-Attestation-Indicator: A\n    P-Asserted-Identity: <sip:+{CALLER};verstat=TN-Validation-Passed@h>"
    assert stage.call("carrier", version, [(CALLER, CALLED, token)], info) == 1
    (message,) = map(SipMessage.parse, stage.heard("core", version)[heard:])
    (asserted,) = (message.value(header).decode() for header in message.headers(b"p-asserted-identity"))
    assert asserted.startswith(f"<sip:+{CALLER};verstat=TN-Validation-Passed@")
    assert [*message.values(b"p-attestation-indicator")] == [b"B"]
    assert [*message.values(b"p-origination-id")] == [claims["origid"].encode()]
    assert message.count(b"identity") == 1
    assert new_records(stage, before, 2) == [("redirect", "passed", None), ("accept", "not-examined", "redirected")]


def test_s122_a_rejection_goes_back_to_the_caller(asked: tuple[Asked, int]) -> None:
    stage, version = asked
    before, heard = len(stage.records()), len(stage.heard("core", version))
    assert stage.call("carrier", version, [(CALLER, CALLED, "e30.e30.AAAA")], "info=<https://a.example/a>", 438) == 1
    assert new_records(stage, before, 1)[0][:2] == ("reject", "invalid")
    assert len(stage.heard("core", version)) == heard


def test_without_the_filter_the_call_goes_on_as_it_is(asked: tuple[Asked, int]) -> None:
    """After the second that the proxy waits for it."""
    stage, version = asked
    records, heard = len(stage.records()), len(stage.heard("core", version))
    program, address = ("iptables", "203.0.113.2") if version == 4 else ("ip6tables", "2001:db8:3::2")
    cut = ("PREROUTING", "-p", "udp", "-d", address, "-j", "DROP")
    stage.lab.run("sbc", program, "-t", "raw", "-A", *cut)
    assert stage.call("carrier", version, [(CALLER, CALLED, "")]) == 1
    stage.lab.run("sbc", program, "-t", "raw", "-D", *cut)
    (message,) = map(SipMessage.parse, stage.heard("core", version)[heard:])
    assert message.count(b"identity") == 0
    assert new_records(stage, records, 1) == [("accept", "not-examined", "no-direction")]
