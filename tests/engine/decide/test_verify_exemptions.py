"""V1: what is not verified, and emergency calls, which nothing stops (S-137, S-147, S-151)."""

import pytest
from support.calls import CARRIER, NOW, VERIFY, added, arriving, identity, invite, leaving, make_engine, pai, result
from support.verifying import BAD, GOOD, UNTRUSTED

from sbc_filter.engine.verdict import Verdict

REJECT_ALL = (
    f'{VERIFY}[rule.on]\nno-identity = "reject"\ninvalid = "reject"\nuntrusted = "drop"\nunfetchable = "reject"\n'
)


@pytest.mark.parametrize(
    ("to", "left"),
    [
        ("<sip:a@b>;tag=x", "<sip:a@b>;tag=x"),
        ('"tag" <sip:a@b>;p="q";tag=x', '"tag" <sip:a@b>;p="q";tag=x'),
        ("sip:a@b;TAG=x", " sip:a@b;tag=x"),
        ("<sip:a@b>;\r\n  tag   = 1918181833n", " <sip:a@b>;tag=1918181833n"),
        ('"tag" <sip:a@b>;p="q" ; tag=x', ' "tag" <sip:a@b>;tag=x;p="q"'),
    ],
)
def test_v1_s147_in_dialog_passes_untouched(to: str, left: str) -> None:
    """But its tag becomes plain, so that the SBC sees it, too."""
    message, expected = (
        invite(BAD).replace(b"To: <sip:+12155550199@sbc.example>", f"To: {each}".encode())
        for each in (to, left.strip())
    )
    action, out, record = result(make_engine(REJECT_ALL), arriving(message))
    assert (out, record["outcome"], record["detail"]) == (expected, "not-examined", "in-dialog")
    assert action == ("accept" if to == left else "modify")


@pytest.mark.parametrize(
    "uri", ["sip:911@h", "sip:+911@h", "tel:911", "urn:service:sos", "URN:service:SOS.fire", "sip:911@h;user=phone"]
)
@pytest.mark.parametrize(
    "header", [BAD, UNTRUSTED, "X: 1", identity(jose={"x5u": "https://unknown.example.org/a.pem"})]
)
def test_v1_s137_an_emergency_call_is_tagged_and_never_stopped(uri: str, header: str) -> None:
    message = invite(header).replace(b"sip:+12155550199@192.0.2.1 ", uri.encode() + b" ")
    action, out, record = result(make_engine(REJECT_ALL), arriving(message))
    assert (action, out) == ("modify", added(message, pai(record["verstat"])))


TO = (
    "sip:911@h",
    "sip:+911@h",
    "sip:911@h;user=phone",
    "SIP:911@h",
    "sips:911@h",
    "tel:911",
    "tel:911;phone-context=+1",
)
URNS = ("urn:service:sos", "URN:service:SOS.fire", "urn:service:sos.police", "urn:service:sos.ecall.manual")
RULES = {
    "reject": '[[rule]]\nname = "r"\naction = "reject"\n',
    "drop": '[[rule]]\nname = "d"\naction = "drop"\n',
    "verify": REJECT_ALL,
}


@pytest.mark.parametrize("rules", RULES.values(), ids=RULES)
@pytest.mark.parametrize("to", [*TO, *URNS])
def test_v1_s137_to_counts_for_trusted_peers_and_for_calls_that_leave(to: str, rules: str) -> None:
    """On its way to the PSAP a call may lose 911 in the Request-URI. Any caller can write it into To, though."""
    message = invite().replace(b"To: <sip:+12155550199@sbc.example>", f"To: <{to}>".encode())
    friends = f'[trunks.friends]\naddresses = ["{CARRIER}"]\ntrusted = true\n'
    assert result(make_engine(rules), arriving(message))[0] in ("reject", "drop")
    assert result(make_engine(friends + rules), arriving(message))[0] in ("accept", "modify")
    assert result(make_engine(rules.replace("inbound", "outbound")), leaving(message))[0] in ("accept", "modify")


@pytest.mark.parametrize("rule", ['action = "drop"', 'action = "reject"'])
def test_v1_s137_nor_by_a_rule_that_asks_nothing(rule: str) -> None:
    message = invite().replace(b"sip:+12155550199@192.0.2.1 ", b"urn:service:sos ")
    action, out, record = result(make_engine(f'[[rule]]\nname = "r"\n{rule}\n'), arriving(message))
    assert (action, out, record["outcome"], record["detail"]) == ("accept", message, "not-examined", "emergency")


def test_v1_s137_with_a_phone_context() -> None:
    """RFC 3966 §5.1.5, TS 24.229: a local number of the network."""
    message = invite().replace(b"sip:+12155550199@192.0.2.1 ", b"tel:911;phone-context=+1 ")
    assert result(make_engine(REJECT_ALL), arriving(message))[0] == "modify"


@pytest.mark.parametrize(
    ("trusted", "action"),
    [
        pytest.param("true", "modify"),
        ("false", "reject"),
    ],
)
def test_s137_resource_priority_is_believed_from_a_trusted_trunk_only(trusted: str, action: str) -> None:
    """DESIGN §3: attackers write it too."""
    rules = f'[trunks.core]\naddresses = ["{CARRIER}"]\ntrusted = {trusted}\n{REJECT_ALL}'
    assert result(make_engine(rules), arriving(invite(BAD, "Resource-Priority: esnet.1")))[0] == action


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\r\n\r\n",
        b"\0\0\0\0",
        b"\0\1\0\0\x21\x12\xa4\x42" + b"\0" * 12,
        b"\x80\0" + b"\0" * 170,
        b"\x16\3\1\0\x05hello",
        b"SIP/2.0 200 OK\r\n\r\n",
        b"SIP/2.0 404 \r\n\r\n",
        b"OPTIONS sip:a@b SIP/2.0\r\n\r\n",
        b"INVITED sip:a@b SIP/2.0\r\n\r\n",
        invite(GOOD).replace(b"INVITE", b"UPDATE"),
        invite(GOOD).replace(b"INVITE", b"BYE"),
        invite(GOOD).replace(b"INVITE", b"ACK"),
    ],
)
def test_v1_s151_anything_else_passes_without_a_record(payload: bytes) -> None:
    assert make_engine(REJECT_ALL).process(arriving(payload), NOW) == Verdict("accept")  # type: ignore[arg-type]


def test_v1_other_ports_pass() -> None:
    raw_packet = bytearray(arriving(invite(BAD)))
    raw_packet[20:24] = bytes((20, 1)) * 2
    assert make_engine(REJECT_ALL).process(bytes(raw_packet), NOW) == Verdict("accept")  # type: ignore[arg-type]


def test_v1_leaving_is_not_arriving() -> None:
    action, out, record = result(make_engine(REJECT_ALL), leaving(invite(BAD)))
    assert (action, out, record["direction"], record["detail"]) == ("accept", invite(BAD), "outbound", "no-rule")
