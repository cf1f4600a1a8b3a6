"""Whatever arrives: one verdict or one need, never an exception, no byte changed but on purpose (S-148, S-151)."""

import base64
import re

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support.calls import (
    CARRIER,
    LAB,
    NOW,
    SBC,
    SIGN,
    VERIFY,
    arriving,
    claims,
    identity,
    invite,
    leaving,
    make_engine,
    result,
)
from support.certificates import chain, unknown
from support.growth import LINEAR, growth
from support.torture import MESSAGES, OTHERS, OVERLOOKED, REPAIRED, SLOPPY, STRAY_SEPARATORS, TAGGED

from sbc_filter.engine.call.network import Flow
from sbc_filter.engine.engine import Engine
from sbc_filter.engine.memory.certificates import CertificateMemory
from sbc_filter.engine.verdict import Answer, Need, Verdict, VerdictKind
from sbc_filter.errors import MessageError, VerificationError
from sbc_filter.lab.certificate_maker import X5U
from sbc_filter.packet.udp import datagram_to_ip, parse
from sbc_filter.pki.certificate import SigningCertificate
from sbc_filter.pki.trust_store import TrustStore
from sbc_filter.sip.lenient.repair import one_reading

GOOD = identity()
# Everything at once: what can be rejected is, and every source of a party is looked at.
STRICT = (
    '[[rule]]\nname = "strict"\ndirection = "inbound"\naction = "verify"\n'
    'caller = ["*", "anonymous", "12155550000-12155559999", "sip:a@b"]\nheader = { "Subject" = false }\n'
    '[rule.verify]\ncaller_from = ["X-TN", "pai", "from"]\ncalled_from = ["to", "ruri"]\n[rule.on]\n'
    + "".join(f'{outcome} = "reject"\n' for outcome in ("no-identity", "stale", "unfetchable", "untrusted", "invalid"))
    + 'anonymous = "continue"\n'
)
ENGINES = {"none": "", "verify": VERIFY, "strict": STRICT, "sign": SIGN}


def decided(engine: Engine, packet: bytes) -> Verdict | Need:
    """One packet in, one sound verdict or need out."""
    verdict = engine.process(packet, NOW)
    if isinstance(verdict, Need):
        assert verdict.deadline >= NOW
        return verdict
    assert (verdict.payload is not None) == (verdict.kind is VerdictKind.MODIFY)
    assert bool(verdict.emit) <= (verdict.kind is not VerdictKind.ACCEPT)
    if verdict.payload is not None:
        before, after = parse(packet), parse(verdict.payload)
        assert (after.src, after.sport, after.dst, after.dport) == (before.src, before.sport, before.dst, before.dport)
    for each in verdict.emit:
        assert each.payload.startswith(b"SIP/2.0 ")
        assert each.payload.endswith(b"\r\n\r\n")
    if verdict.record is not None:
        assert verdict.record.to_json().isascii()
    return verdict


# --- any bytes ---


@settings(max_examples=50)
@given(st.binary(max_size=200))
def test_any_packet(data: bytes) -> None:
    head4, head6 = arriving(invite())[:20], arriving(invite(), "2001:db8::7", "2001:db8:1::1")[:40]
    for packet in (data, head4 + data, head6 + data, b"\x45" + data, b"\x60" + data):
        for rules in (STRICT, SIGN):
            assert decided(make_engine(rules), packet) == Verdict(VerdictKind.ACCEPT)


@given(st.binary(max_size=300))
def test_any_payload(data: bytes) -> None:
    for rules in (STRICT, SIGN):
        engine = make_engine(rules)
        for payload in (
            data,
            b"INVITE " + data,
            b"ACK " + data,
            b"CANCEL sip:a@b SIP/2.0\r\n" + data,
            invite()[:41] + data,
        ):
            verdict = decided(engine, arriving(payload))
            assert isinstance(verdict, Verdict)
            # Only what could be a Via is answered. What could be a verstat is removed, and so are a NUL and a bare CR.
            answerable = b"\r\nv" in data or b"\r\nV" in data
            claims = b"verstat" in data.lower() or b"%" in data or UNCLEAN.search(data) is not None
            refused = rules is STRICT and verdict.kind is VerdictKind.DROP  # an INVITE that cannot be read
            assert verdict.kind is VerdictKind.ACCEPT or answerable or claims or refused


@st.composite
def mutated(draw: st.DrawFn, message: bytes) -> bytes:
    """A message with a few of its lines and bytes deleted, doubled, moved or exchanged."""
    lines = message.split(b"\r\n")
    for _ in range(draw(st.integers(0, 3))):
        at, to = (draw(st.integers(0, len(lines) - 1)) for _ in range(2))
        change = draw(st.sampled_from(("delete", "double", "move", "fold", "junk")))
        if change == "delete" and len(lines) > 1:
            del lines[at]
        elif change == "double":
            lines.insert(to, lines[at])
        elif change == "move":
            lines.insert(to, lines.pop(at))
        elif change == "fold":
            lines[at] = lines[at].replace(b" ", b"\r\n\t ")
        else:
            lines.insert(at, draw(st.binary(max_size=30)))
    out = b"\r\n".join(lines)
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(out)))
        end = min(len(out), start + draw(st.integers(0, 12)))
        junk = st.binary(max_size=8) | st.sampled_from(
            (b"<", b">", b'"', b";", b",", b":", b"@", b"\r\n", b"\n", b" ", b";tag=x")
        )
        out = out[:start] + draw(junk) + out[end:]
    return out


SPOOFED = "P-Asserted-Identity: <sip:+12155550100;verstat=TN-Validation-Passed@h>"


@pytest.mark.parametrize(
    ("rules", "headers"),
    [
        ("", (GOOD, SPOOFED)),
        (VERIFY, (GOOD, "X: 1")),
        (STRICT, ("y: a.b.c;info=<x>", SPOOFED, GOOD)),
        (STRICT, (SPOOFED, "P-Attestation-Indicator: A")),
    ],
)
@settings(max_examples=100)
@given(st.data())
def test_mutated_invites_that_arrive(rules: str, headers: tuple[str, ...], data: st.DataObject) -> None:
    message = data.draw(mutated(invite(*headers)))
    engine = make_engine(rules)
    first = decided(engine, arriving(message))
    if isinstance(first, Verdict):
        again = decided(engine, arriving(message))
        assert isinstance(again, Verdict)
        assert (again.kind, again.payload, again.emit) == (first.kind, first.payload, first.emit)
        other = decided(make_engine(rules), arriving(message))
        assert isinstance(other, Verdict)
        assert (other.kind, other.payload, other.emit) == (first.kind, first.payload, first.emit)


UNCLEAN = re.compile(rb"\r(?!\n)|[\0-\x08\x0b\x0c\x0e-\x1f\x7f]")
ADDED = re.compile(rb"(?:Date: [^\r\n]{29}\r\n)?Identity: [A-Za-z0-9_.-]+;info=<[^>]+>;alg=ES256;ppt=shaken\r\n")


def repaired_or_same(message: bytes) -> bytes:
    """What an untrusted peer's message becomes first (see tests/sip/lenient/test_repair.py)."""
    try:
        return one_reading(message)[0].buffer
    except MessageError:
        return message


@given(mutated(invite("Route: <sip:192.0.2.9;lr>", "X-TN: 1", body="v=0\r\n")))
def test_what_is_added_is_whole_lines_and_without_them_it_is_the_original(message: bytes) -> None:
    """An edit leaves every other byte identical."""
    verdict = decided(make_engine(SIGN), leaving(message))
    assert isinstance(verdict, Verdict)
    if verdict.payload is not None:
        out = parse(verdict.payload).payload
        (found,) = ADDED.finditer(out)
        assert out[: found.start()] + out[found.end() :] == message
        assert out[: found.start()].endswith(b"\n")


@given(mutated(invite("P-Asserted-Identity: <sip:+12155550100@h>", "Via: SIP/2.0/UDP 192.0.2.9")))
def test_what_is_marked_is_the_original_without_the_mark(message: bytes) -> None:
    message = repaired_or_same(message)
    assume(UNCLEAN.search(message) is None)  # of what cannot be read, only this changes: see test_intake
    verdict = decided(make_engine(VERIFY), arriving(message))
    assert isinstance(verdict, Verdict)
    if verdict.payload is not None:
        out = parse(verdict.payload).payload
        inside = re.sub(rb";verstat=No-TN-Validation", b"", out, count=1)
        line = re.sub(rb"P-Asserted-Identity: <[^>]*;verstat=No-TN-Validation[^>]*>\r\n", b"", out, count=1)
        # A P-Asserted-Identity that cannot be read makes room for ours (see test_intake).
        others = re.sub(rb"(?i)P-Asserted-Identity[ \t]*:.*\n(?:[ \t].*\n)*", b"", message)
        assert message in (inside, line) or line == others


@given(st.data())
def test_what_no_rule_matches_is_the_same_object(data: st.DataObject) -> None:
    message = data.draw(mutated(invite(GOOD)))
    plain = repaired_or_same(message)
    assume(UNCLEAN.search(plain) is None)  # of what cannot be read, only this changes: see test_intake
    for packet, expected in ((arriving(message), plain), (arriving(plain), plain), (leaving(message), message)):
        verdict = decided(make_engine(""), packet)
        assert isinstance(verdict, Verdict)
        assert verdict.emit == ()
        if verdict.payload is not None:
            assert parse(verdict.payload).payload == expected != parse(packet).payload
        else:
            assert (verdict.kind, parse(packet).payload) == (VerdictKind.ACCEPT, expected)


@given(mutated(GOOD.encode()))
def test_any_identity(line: bytes) -> None:
    """No caller is missing here: whatever the header says, the outcome is one of the table."""
    message = invite("@").replace(b"@\r\n", line + b"\r\n", 1)
    decided(make_engine(STRICT.replace('["X-TN", "pai", "from"]', '["from"]')), arriving(message))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("12155550199"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(("tn", "uri", "x")), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=100)
@given(st.dictionaries(st.sampled_from(("attest", "dest", "iat", "orig", "origid")), JSON, max_size=2))
def test_any_claims(changes: dict[str, object]) -> None:
    _, _, record = result(make_engine(VERIFY), arriving(invite(identity(claims(**changes)))))
    assert record["outcome"] in ("passed", "invalid", "stale", "untrusted")


# --- any answer of a certificate source: the peer chooses the URL, and so the octets ---


def add_certificate(pem: bytes) -> SigningCertificate | VerificationError:
    return CertificateMemory(TrustStore([LAB.root.certificate])).add_certificate(X5U, Answer(pem, None, NOW + 60), NOW)


def armoured(der: bytes) -> bytes:
    return b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(der) + b"-----END CERTIFICATE-----\n"


LEAF = LAB.leaf.certificate.public_bytes(Encoding.DER)


@given(st.binary(max_size=100))
def test_any_body_of_a_certificate(data: bytes) -> None:
    for body in (data, LAB.chain + data, data + LAB.chain, armoured(data)):
        assert isinstance(add_certificate(body), SigningCertificate | VerificationError)


@given(st.integers(0, len(LEAF) - 1), st.integers(0, 255))
def test_any_certificate(at: int, byte: int) -> None:
    """One octet of a real leaf exchanged: only the leaf itself is trusted."""
    known = add_certificate(armoured(LEAF[:at] + bytes((byte,)) + LEAF[at + 1 :]) + LAB.chain.partition(b"-----END")[2])
    assert isinstance(known, VerificationError if LEAF[at] != byte else SigningCertificate)


VERSION = LEAF.index(b"\xa0\x03\x02\x01\x02") + 4
HOSTILE = {
    "version 2": armoured(LEAF[:VERSION] + b"\1" + LEAF[VERSION + 1 :]),
    "version 128": armoured(LEAF[:VERSION] + b"\x80" + LEAF[VERSION + 1 :]),
    "x400Address in subjectAltName": chain(extensions=((unknown("2.5.29.17", bytes.fromhex("3004a3023000")), False),)),
    "ediPartyName in cRLDistributionPoints": chain(
        extensions=((unknown("2.5.29.31", bytes.fromhex("300a3008a006a004a5023000")), False),)
    ),
}


@pytest.mark.parametrize("name", list(HOSTILE))
def test_certificates_that_the_library_refuses_in_its_own_way(name: str) -> None:
    assert isinstance(add_certificate(HOSTILE[name]), VerificationError)


# --- torture ---


def as_invite(message: bytes) -> bytes:
    """STANDARDS §17: method INVITE, and a valid Identity behind the last header."""
    method = message.split()[0]
    if re.fullmatch(rb"[A-Z!.%*_+`'~0-9-]+", method) and method != b"INVITE":
        message = message.replace(method + b" ", b"INVITE ", 1)
        message = re.sub(rb"(CSeq: *[0-9]+ )" + re.escape(method), rb"\1INVITE", message)
    found = re.search(rb"\r?\n(?=\r?\n)|\r\n$", message)
    if found is None:
        return message + b"\r\n" + GOOD.encode()
    return message[: found.end()] + GOOD.encode() + b"\r\n" + message[found.end() :]


@pytest.mark.parametrize("rules", ENGINES)
@pytest.mark.parametrize("name", MESSAGES)
def test_torture(name: str, rules: str) -> None:
    """As sent, as an INVITE with an Identity; arriving and leaving."""
    detail, sent = MESSAGES[name]
    for message in (sent, as_invite(sent)):
        for packet, expected in ((arriving(message), REPAIRED.get(name, detail)), (leaving(message), detail)):
            verdict = decided(make_engine(ENGINES[rules]), packet)
            assert isinstance(verdict, Verdict)
            if not message.lstrip().startswith(b"INVITE "):
                assert verdict == Verdict(VerdictKind.ACCEPT)
                continue
            assert verdict.record is not None
            if expected is None:
                assert verdict.record.outcome != "unparseable"
                continue
            outcome = "not-examined" if expected == "in-dialog" else "unparseable"
            assert (verdict.record.outcome, verdict.record.detail) == (outcome, expected)
            if rules == "strict" and packet == arriving(message) and outcome == "unparseable" and name not in TAGGED:
                assert verdict.kind in (VerdictKind.REJECT, VerdictKind.DROP)
            elif name not in SLOPPY:
                assert (verdict.kind, verdict.payload, verdict.emit) == (VerdictKind.ACCEPT, None, ())


SIGNABLE = [
    name
    for name, (detail, message) in MESSAGES.items()
    if detail is None and b"<sip:+12155550100@" in message and name not in ("unknown-scheme", "nul-escaped")
]


@pytest.mark.parametrize("name", SIGNABLE)
def test_readable_torture_is_signed_and_nothing_else_changes(name: str) -> None:
    message = MESSAGES[name][1]
    action, out, record = result(make_engine(SIGN), leaving(message))
    if not message.lstrip().startswith(b"INVITE "):
        assert (action, out) == ("accept", message)
        return
    assert record["outcome"] == "signed"
    (found,) = ADDED.finditer(out)
    stale = re.compile(rb"Date: .* EST\r\n")  # STANDARDS §17, baddate: replaced
    assert out[: found.start()] + out[found.end() :] == stale.sub(b"", message)


def test_torture_with_stray_separators_is_repaired() -> None:
    """All stacks read the same address and no tag once the empty parameters are gone."""
    _, out, record = result(make_engine(f"{VERIFY}verify.verstat = false\n"), arriving(STRAY_SEPARATORS))
    assert (record["outcome"], record["changed"]) == ("no-identity", ["tags"])
    assert STRAY_SEPARATORS.replace(b"h>;;;;", b"h>") == out


@pytest.mark.parametrize("name", OVERLOOKED)
def test_torture_that_is_overlooked(name: str) -> None:
    """STANDARDS §17, §18: broken new INVITEs pass untouched, are not signed, and count as unparseable."""
    for message in (OVERLOOKED[name], as_invite(OVERLOOKED[name])):
        action, out, record = result(make_engine(VERIFY), arriving(message))
        assert (action, out, record["outcome"]) == ("accept", message, "unparseable")


@pytest.mark.parametrize("name", OTHERS)
def test_torture_that_is_no_invite(name: str) -> None:
    for rules in ENGINES.values():
        for packet in (arriving(OTHERS[name]), leaving(OTHERS[name])):
            verdict = decided(make_engine(rules), packet)
            assert isinstance(verdict, Verdict)
            assert verdict._replace(record=None) == Verdict(VerdictKind.ACCEPT)
            assert verdict.record is None or verdict.record.outcome == "unparseable"


@pytest.mark.parametrize(
    "filler",
    [
        *(
            b"a",
            b" ",
            b"\0",
            b"\xff",
            b"\r",
            b"\r\n ",
            b'"',
            b"<",
            b";",
            b",",
            b"%",
            b";%20",
            b"%3b",
            b";\r\n ",
            b"\0\r\n ",
        ),
        *(b";verstat", b";verstat=", b";verstat%3d", b"%3bverstat%20", b';verstat="', b"SIP/2.0/UDP h,"),
    ],
)
def test_time_does_not_explode(filler: bytes) -> None:
    """Of 40 kB of anything anywhere: the time to decide it grows no faster than its size."""
    message, flow = invite(GOOD, SPOOFED, "X-TN: @"), Flow(CARRIER, 5060, SBC, 5060, "udp")
    for place in (
        b"z9hG4bK-1",
        b"carrier.example",
        b"sbc.example",
        b"+12155550100;",
        b"X-TN: @",
        b"shaken.pem",
        b"ES256",
        b"INVITE",
        b" sip:",
        b" SIP/2.0\r\n",
    ):
        for rules in ("", STRICT.replace("X-TN", "X"), SIGN):

            def decide(size: int, place: bytes = place, rules: str = rules) -> None:
                grown = message.replace(place, filler * (size // len(filler)))
                make_engine(rules).decide(grown, flow, NOW)

            assert growth(decide, 40_000) < LINEAR, (place, rules)


@pytest.mark.parametrize("size", [0, 1, 19, 20, 27, 28, 39, 40, 47, 48])
def test_cut_short(size: int) -> None:
    for packet in (arriving(invite(GOOD)), arriving(invite(GOOD), "2001:db8::7", "2001:db8:1::1")):
        assert decided(make_engine(STRICT), packet[:size]) == Verdict(VerdictKind.ACCEPT)
        assert decided(make_engine(STRICT), packet[:-1]) == Verdict(VerdictKind.ACCEPT)


def test_every_emitted_answer_can_be_sent() -> None:
    """Also over IPv6."""
    verdict = decided(make_engine(STRICT), arriving(invite(), "2001:db8::7", "2001:db8:1::1"))
    assert isinstance(verdict, Verdict)
    (each,) = verdict.emit
    assert parse(datagram_to_ip(each)).payload == each.payload
