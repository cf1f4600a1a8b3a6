"""The authentication service on the wire: the decision table A1 to A20 (STANDARDS §21), row by row."""

import json
from typing import Any

import jwt
import pytest
from support.calls import (
    CALLED,
    CALLER,
    CARRIER,
    CREDENTIAL,
    LAB,
    NOW,
    ORIGID,
    SBC,
    SIGN,
    added,
    claims,
    identity,
    invite,
    leaving,
    make_engine,
    result,
    status,
)

from sbc_filter import __version__
from sbc_filter.engine.call.network import Network
from sbc_filter.engine.engine import Engine
from sbc_filter.engine.memory.certificates import CertificateMemory
from sbc_filter.engine.verdict import Verdict
from sbc_filter.lab.certificate_maker import X5U
from sbc_filter.packet.udp import parse
from sbc_filter.pki.trust_store import TrustStore
from sbc_filter.rules.rule_file import load_rules
from sbc_filter.rules.trunk import TrunkTable
from sbc_filter.stir.credential import Credential
from sbc_filter.stir.passport import decode_segment
from sbc_filter.stir.signature import verify_es256

DATE = "Date: Fri, 15 Jan 2027 08:00:00 GMT"


def signed(**changes: Any) -> str:
    """The line that the engine adds; RFC 6979 makes it a function of its claims (S-004)."""
    return identity(claims(**changes))


def at(seconds: int) -> str:
    """The Date header of the moment `NOW + seconds`; less than an hour."""
    assert 0 <= seconds < 3600
    return f"Date: Fri, 15 Jan 2027 08:{seconds // 60:02}:{seconds % 60:02} GMT"


def test_s005_s030_s050_byte_by_byte() -> None:
    """Date, then Identity, behind the Via; nothing else changes (STANDARDS §21, emit order)."""
    action, out, _ = result(make_engine(SIGN), leaving(invite()))
    assert action == "modify"
    assert out == (
        b"INVITE sip:+12155550199@192.0.2.1 SIP/2.0\r\n"
        b"Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK-1\r\n"
        b"Date: Fri, 15 Jan 2027 08:00:00 GMT\r\n"
        b"Identity: eyJhbGciOiJFUzI1NiIsInBwdCI6InNoYWtlbiIsInR5cCI6InBhc3Nwb3J0IiwieDV1IjoiaHR0cH"
        b"M6Ly9jZXJ0aWZpY2F0ZXMuZXhhbXBsZS5vcmcvc2hha2VuLnBlbSJ9"
        b".eyJhdHRlc3QiOiJBIiwiZGVzdCI6eyJ0biI6WyIxMjE1NTU1MDE5OSJdfSwiaWF0IjoxODAwMDAwMDAwLCJvcmlnIjp7InRu"
        b"IjoiMTIxNTU1NTAxMDAifSwib3JpZ2lkIjoiNDQzN2M3ZWItOGY3YS00ZjBlLWE4NjMtZjUzYTBlNjAyNTFhIn0"
        b".CFPk-E3oKRphZtTCqn35r3fQMpUPjqu1QWtbZk2DnffGpQ_hQafoZkPCOyBaCR3cjxIUV-x-xALRPdGiguDRTw"
        b";info=<https://certificates.example.org/shaken.pem>;alg=ES256;ppt=shaken\r\n"
        b"Max-Forwards: 70\r\n"
        b"From: <sip:+12155550100@carrier.example>;tag=f1\r\n"
        b"To: <sip:+12155550199@sbc.example>\r\n"
        b"Call-ID: call-1@carrier.example\r\n"
        b"CSeq: 1 INVITE\r\n"
        b"Contact: <sip:+12155550100@192.0.2.7>\r\n"
        b"Content-Length: 0\r\n"
        b"\r\n"
    )
    digest = out.partition(b"Identity: ")[2].partition(b";")[0].split(b".")
    assert decode_segment(digest[0]) == (
        b'{"alg":"ES256","ppt":"shaken","typ":"passport","x5u":"https://certificates.example.org/shaken.pem"}'
    )
    assert decode_segment(digest[1]) == (
        b'{"attest":"A","dest":{"tn":["12155550199"]},"iat":1800000000,"orig":{"tn":"12155550100"},'
        b'"origid":"4437c7eb-8f7a-4f0e-a863-f53a0e60251a"}'
    )
    assert len(digest[2]) == 86  # S-003


def test_another_library_verifies_it() -> None:
    """PyJWT as an oracle that shares no line with us."""
    out = result(make_engine(SIGN), leaving(invite()))[1]
    token = out.partition(b"Identity: ")[2].partition(b";")[0].decode()
    key = LAB.leaf.certificate.public_key()
    read = jwt.decode_complete(token, key, algorithms=["ES256"], options={"verify_iat": False})  # type: ignore[arg-type]
    assert read["header"] == {"alg": "ES256", "ppt": "shaken", "typ": "passport", "x5u": X5U}
    assert read["payload"] == {
        "attest": "A",
        "dest": {"tn": [CALLED]},
        "iat": 1_800_000_000,
        "orig": {"tn": CALLER},
        "origid": ORIGID,
    }
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(token, LAB.root.key.public_key(), algorithms=["ES256"], options={"verify_iat": False})


def test_the_record() -> None:
    """DESIGN §6."""
    assert result(make_engine(SIGN), leaving(invite()))[2] == {
        "time": NOW,
        "src": "192.0.2.1:5060",
        "dst": "192.0.2.7:5060",
        "transport": "udp",
        "direction": "outbound",
        "method": "INVITE",
        "call_id": "call-1@carrier.example",
        "cseq": "1 INVITE",
        "rule": "sign",
        "mode": "enforce",
        "verdict": "modify",
        "would": None,
        "outcome": "signed",
        "detail": None,
        "treatment": "continue",
        "code": None,
        "orig": CALLER,
        "dest": [CALLED],
        "trunk": None,
        "spc": None,
        "attest": "A",
        "origid": ORIGID,
        "x5u": X5U,
        "token": None,
        "kind": None,
        "deviations": [],
        "first_call_id": None,
        "first_trunk": None,
        "verstat": None,
        "identities": 0,
        "changed": [],
        "request_uri": None,
        "claimed": None,
        "found": None,
        "token_orig": None,
        "token_dest": [],
        "token_iat": None,
        "lists": [],
        "raw_ruri": "sip:+12155550199@192.0.2.1",
        "raw_to": "<sip:+12155550199@sbc.example>",
        "raw_from": "<sip:+12155550100@carrier.example>;tag=f1",
        "raw_pai": None,
        "branch": "z9hG4bK-1",
        "version": __version__,
    }


def test_s004_the_same_input_gives_the_same_bytes() -> None:
    """On every worker; and another call, time or credential another token."""
    packet = leaving(invite())
    first, second = (make_engine(SIGN).process(packet, NOW) for _ in range(2))
    assert isinstance(first, Verdict)
    assert isinstance(second, Verdict)
    assert first.payload == second.payload is not None
    outs = {
        result(make_engine(SIGN), leaving(invite(number=number)), NOW + later)[1]
        for number in (1, 2)
        for later in (0, 1)
    }
    assert len(outs) == 4


@pytest.mark.parametrize(
    ("old", "new", "before"),
    [
        # S-156: behind the last Via, Route or Record-Route wherever it stands, never inside a folded one
        ("Max-Forwards", "Via: SIP/2.0/UDP 10.0.0.1;branch=b\r\nMax-Forwards", "Max-Forwards"),
        ("Max-Forwards", "v: SIP/2.0/UDP\r\n 10.0.0.1\r\n\t;branch=b\r\nMax-Forwards", "Max-Forwards"),
        ("CSeq", "Route: <sip:10.0.0.1;lr>\r\nRecord-Route: <sip:10.0.0.2;lr>,\r\n <sip:10.0.0.3;lr>\r\nCSeq", "CSeq"),
        ("Content-Length", "ROUTE : <sip:10.0.0.1;lr>\r\nContent-Length", "Content-Length"),
        ("Content-Length: 0\r\n", "Route: <sip:10.0.0.1;lr>\r\n", "\r\n"),
    ],
)
def test_s156_where_it_is_added(old: str, new: str, before: str) -> None:
    message = invite().replace(old.encode(), new.encode())
    at = message.rindex(before.encode())
    expected = message[:at] + f"{DATE}\r\n{signed()}\r\n".encode() + message[at:]
    assert result(make_engine(SIGN), leaving(message))[1] == expected


def test_s149_the_body_and_its_length_stay() -> None:
    message = invite("Content-Type: application/sdp", body="v=0\r\n\r\na=fingerprint:sha-256 AB\r\n\xff")  # A16: no mky
    assert result(make_engine(SIGN), leaving(message))[1] == added(message, DATE, signed())


def test_s148_bare_line_feeds() -> None:
    message = invite().replace(b"\r\n", b"\n")
    assert result(make_engine(SIGN), leaving(message))[1] == added(message, DATE, signed())


# --- A8 to A10: attestation (S-073) ---


@pytest.mark.parametrize(
    ("options", "caller", "attest"),
    [
        ('numbers = ["12155550100"]', CALLER, "A"),  # A8
        ('numbers = ["12155550100"]', "12155550101", "B"),  # A9
        ('numbers = ["@ours"]', "12155550100", "A"),
        ('numbers = ["@ours"]', "12155550105", "A"),
        ('numbers = ["@ours"]', "12155550110", "B"),
        ("", CALLER, "B"),  # never above B without a list
        ('attest_unlisted = "C"', CALLER, "C"),  # A10
        ('attest_listed = "A"', CALLER, "B"),
        ('numbers = ["1*"]\nattest_listed = "C"', CALLER, "C"),
    ],
)
def test_a8_a9_a10_attestation(options: str, caller: str, attest: str) -> None:
    rules = f'[[rule]]\nname = "s"\naction = "sign"\n[rule.sign]\ncredential = "ours"\norigid = "{ORIGID}"\n{options}\n'
    engine = make_engine(rules, lists={"ours": "12155550100 # office\n\n12155550105-12155550109\n"})
    message = invite(caller=caller)
    _, out, record = result(engine, leaving(message))
    assert out == added(message, DATE, signed(attest=attest, orig={"tn": caller}))
    assert record["attest"] == attest


# --- A12 to A14: Date ---


@pytest.mark.parametrize("offset", [0, 1, 59, 60])
def test_a12_a_date_within_60_s_is_the_iat(offset: int) -> None:
    """S-052; the boundary of S-051 is inclusive, before and after."""
    for date, now in ((0, offset), (offset, 0)):
        message = invite(at(date))
        _, out, record = result(make_engine(SIGN), leaving(message), NOW + now)
        assert out == added(message, signed(iat=int(NOW) + date))
        assert record["outcome"] == "signed"


@pytest.mark.parametrize(("date", "now"), [(0, 61), (61, 0), (0, 60.001)])
def test_a14_a_date_off_by_more_is_not_signed(date: int, now: float) -> None:
    """S-051: never silently overwritten; passed, or 403 by policy."""
    message = invite(at(date))
    action, out, record = result(make_engine(SIGN), leaving(message), NOW + now)
    assert (action, out) == ("accept", message)
    assert (record["outcome"], record["detail"], record["attest"], record["x5u"]) == (
        "unsigned",
        "stale-date",
        None,
        None,
    )
    engine = make_engine(f'{SIGN}[rule.on]\n"unsigned.stale-date" = "reject"\n')
    assert status(result(engine, leaving(message), NOW + now)[1]) == "403 Stale Date"


def test_a13_without_date_our_clock() -> None:
    assert result(make_engine(SIGN), leaving(invite()), NOW + 7.9)[1] == added(
        invite(), at(7), signed(iat=int(NOW) + 7)
    )


BAD_DATES = [
    "Fri, 01 Jan 2010 16:00:00 EST",  # RFC 4475 baddate
    "Sat, 15 Jan 2027 08:00:00 GMT",  # it was a Friday
    "2027-01-15T08:00:00Z",
    "",
    "Fri, 32 Jan 2027 08:00:00 GMT",
]


@pytest.mark.parametrize("date", BAD_DATES)
def test_s056_a_bad_date_is_as_good_as_none(date: str) -> None:
    """iat is our clock; there is never a second Date."""
    message = invite(f"Date: {date}")
    _, out, record = result(make_engine(SIGN), leaving(message), NOW + 7)
    assert signed(iat=int(NOW) + 7).encode() in out
    assert out.count(b"Date:") == 1
    assert (record["outcome"], record["detail"]) == ("signed", None)


@pytest.mark.parametrize("date", BAD_DATES)
def test_17_baddate_is_replaced_or_not_signed(date: str) -> None:
    """STANDARDS §17: "Date treated as absent, AS must not sign or must replace per policy"."""
    message = invite(f"Date: {date}")
    out = result(make_engine(SIGN), leaving(message), NOW + 7)[1]
    assert out in (message, added(invite(), at(7), signed(iat=int(NOW) + 7)))


# --- A1 to A7: what is signed ---


@pytest.mark.parametrize(
    "present",
    [
        identity(),  # A3, S-076: transit
        identity(name="y"),
        identity(claims(attest="C", orig={"tn": "12155550177"})),
        identity(key=LAB.root.key),
        "Identity: nonsense",  # nobody's to judge on the way out
        "Identity: ..c2ln;info=<https://a.example/a.pem>;ppt=shaken",
    ],
)
def test_a3_already_signed(present: str) -> None:
    message = invite("X: 1", present)
    action, out, record = result(make_engine(SIGN), leaving(message))
    assert (action, out) == ("accept", message)
    assert (record["outcome"], record["detail"], record["identities"]) == ("already-signed", "shaken-present", 1)


@pytest.mark.parametrize(
    "empty",
    [
        ["Identity:"],
        ["Identity: "],
        ["Identity:\t \t"],
        ["Identity: \r\n "],
        ["Identity:\r\n\t\r\n  "],
        ["identity :"],
        ["IDENTITY:   "],
        ["y:"],
        ["y: \r\n\t"],
        ["Identity:", "Identity: ", "y:"],
    ],
)
def test_a3_an_empty_identity_is_not_a_token(empty: list[str]) -> None:
    """The call is signed, and the empty field goes: a verifier might not look beyond it."""
    _, out, record = result(make_engine(SIGN), leaving(invite(*empty)))
    assert out == added(invite(), DATE, signed())
    assert (record["outcome"], record["detail"]) == ("signed", None)


def test_a3_an_empty_identity_next_to_a_token_hides_nothing() -> None:
    message = invite("Identity:", identity())
    action, out, record = result(make_engine(SIGN), leaving(message))
    assert (action, out, record["outcome"]) == ("accept", message, "already-signed")


def test_a4_s038_other_tokens_stay_where_they_are() -> None:
    others = [identity({"rph": {"auth": ["ets.0"]}}, jose={"ppt": "rph"}), identity(jose={"ppt": "rcd"}, name="y")]
    message = invite(*others)
    _, out, record = result(make_engine(SIGN), leaving(message))
    assert out == added(message, DATE, signed())
    assert (record["outcome"], record["identities"]) == ("signed", 2)


def test_a1_s075_in_dialog_is_not_signed() -> None:
    message = invite(to_tag=";tag=t")
    action, out, record = result(make_engine(SIGN), leaving(message))
    assert (action, out, record["detail"]) == ("accept", message, "in-dialog")


@pytest.mark.parametrize("method", [b"UPDATE", b"ACK", b"CANCEL", b"BYE", b"OPTIONS", b"REGISTER", b"MESSAGE"])
def test_a1_s075_other_methods_are_not_signed(method: bytes) -> None:
    assert result(make_engine(SIGN), leaving(invite().replace(b"INVITE", method)))[0] == "accept"


def test_a5_arriving_is_not_leaving() -> None:
    message = invite()
    assert result(make_engine(SIGN), leaving(message, src=CARRIER, dst=SBC))[:2] == ("accept", message)


@pytest.mark.parametrize(
    ("old", "new", "detail"),
    [
        (f"From: <sip:+{CALLER}@carrier.example>", "From: <sip:anonymous@anonymous.invalid>", "no-caller"),  # S-045
        (f"From: <sip:+{CALLER}@carrier.example>", "From: <sip:alice@carrier.example>", "no-caller"),  # A6
        (f"From: <sip:+{CALLER}@carrier.example>", "From: <sip:1001@pbx>", "no-caller"),  # A7
        # S-042, A7: numbers that cannot exist
        (f"From: <sip:+{CALLER}@carrier.example>", "From: <sip:+121555501@h>", "impossible-number"),
        (f"From: <sip:+{CALLER}@carrier.example>", "From: <sip:+121555501001@h>", "impossible-number"),
        (f"From: <sip:+{CALLER}@carrier.example>", "From: <sip:+0012155550100@h>", "impossible-number"),
        (f"From: <sip:+{CALLER}@carrier.example>", "From: <sip:5550100@h;user=phone>", "impossible-number"),
        (f"From: <sip:+{CALLER}@carrier.example>", "From: <tel:+3312345678>", "impossible-number"),
        (f"To: <sip:+{CALLED}@sbc.example>", "To: <sip:sbc.example>", "no-called"),  # A7
        (f"To: <sip:+{CALLED}@sbc.example>", "To: <mailto:a@b>", "no-called"),
    ],
)
def test_a6_a7_nobody_to_vouch_for(old: str, new: str, detail: str) -> None:
    message = invite().replace(old.encode(), new.encode())
    action, out, record = result(make_engine(SIGN), leaving(message))
    assert (action, out) == ("accept", message)
    assert (record["outcome"], record["detail"]) == ("unsigned", detail)
    engine = make_engine(f'{SIGN}[rule.on]\nunsigned = "reject"\n')
    assert status(result(engine, leaving(message))[1]) == "500 Server Internal Error"


@pytest.mark.parametrize(
    ("options", "headers", "orig"),
    [
        # S-072: PAI before From; the private header before both
        ("", ["P-Asserted-Identity: <tel:+12155550111>"], "12155550111"),
        ('caller_from = ["from", "pai"]', ["P-Asserted-Identity: <tel:+12155550111>"], CALLER),
        ('caller_from = ["X-Orig-TN", "pai", "from"]', ["X-Orig-TN: +1-(215)-555-0122"], "12155550122"),
        ('caller_from = ["X-Orig-TN", "pai", "from"]', ["x-orig-tn: 2155550122"], "12155550122"),
        ('caller_from = ["X-Orig-TN", "pai", "from"]', ["X-Orig-TN: <sip:+12155550122@pbx>"], "12155550122"),
        ('caller_from = ["X-Orig-TN", "pai", "from"]', ["P-Asserted-Identity: <tel:+12155550111>"], "12155550111"),
        # S-041, S-042
        ("", ["P-Asserted-Identity: <sip:2155550111;npdi;rn=+16095550000@h;user=phone>"], "12155550111"),
    ],
)
def test_s072_who_calls(options: str, headers: list[str], orig: str) -> None:
    engine = make_engine(SIGN + options + "\n")
    message = invite(*headers)
    expected = signed(orig={"tn": orig}, attest="A" if orig == CALLER else "B")
    assert result(engine, leaving(message))[1] == added(message, DATE, expected)


@pytest.mark.parametrize(
    ("to", "dest"),
    [
        ("<sip:+12155550111@h>", {"tn": ["12155550111"]}),  # S-072: To, not the Request-URI
        ("<sip:911@h>", {"tn": ["911"]}),  # A7: service codes as they are
        ("<tel:*67>", {"tn": ["*67"]}),
        ("<sip:011442079460000@h>", {"tn": ["442079460000"]}),  # S-042
        ("<sip:Bob@EXAMPLE.com:5070;transport=tcp>", {"uri": ["sip:bob@example.com"]}),  # S-044
        ("<urn:service:sos>", {"uri": ["urn:service:sos"]}),  # S-138
        ("<sip:b%22\\o@h>", {"uri": ['sip:b"\\o@h']}),  # quoted as JSON wants it
        ("<sip:%c3%a9@h>", {"uri": ["sip:é@h"]}),
    ],
)
def test_s072_who_is_called(to: str, dest: dict[str, Any]) -> None:
    message = invite().replace(b"To: <sip:+12155550199@sbc.example>", f"To: {to}".encode())
    out = result(make_engine(SIGN), leaving(message))[1]
    assert out == added(message, DATE, signed(dest=dest))
    token = out.partition(b"Identity: ")[2].partition(b";")[0]
    assert json.loads(decode_segment(token.split(b".")[1]))["dest"] == dest


@pytest.mark.parametrize("uri", [b"sip:911@h", b"urn:service:sos"])
def test_a19_s138_an_emergency_call_is_signed_and_never_stopped(uri: bytes) -> None:
    message = invite().replace(b"sip:+12155550199@192.0.2.1 ", uri + b" ").replace(b"sip:+12155550199@sbc.example", uri)
    dest: dict[str, Any] = {"uri": ["urn:service:sos"]} if uri.startswith(b"urn") else {"tn": ["911"]}
    engine = make_engine(f'{SIGN}[rule.on]\nunsigned = "reject"\nsigned = "drop"\n')
    assert result(engine, leaving(message))[1] == added(message, DATE, signed(dest=dest))
    unsignable = message.replace(
        b"From: <sip:+12155550100@carrier.example>", b"From: <sip:anonymous@anonymous.invalid>"
    )
    assert result(engine, leaving(unsignable))[:2] == ("accept", unsignable)


# --- A15: the credential ---


def engine_with(credential: Credential) -> Engine:
    rules, trunks = load_rules({"rules.toml": SIGN}, str, ["ours"])
    network = Network([SBC], trunk_of=TrunkTable(trunks))
    return Engine(rules, network, CertificateMemory(TrustStore([])), {"ours": credential}, b"secret")


@pytest.mark.parametrize(
    ("not_before", "not_after", "date", "expected"),
    [
        (NOW, NOW, 0, "signed"),
        (NOW - 99, NOW - 1, 0, "unsigned"),  # expired
        (NOW + 1, NOW + 99, 0, "unsigned"),  # not yet valid
        (NOW - 99, NOW + 9, 10, "unsigned"),  # S-051: Date has to lie within, too
        (NOW - 99, NOW + 9, 9, "signed"),
    ],
)
def test_a15_the_credential_has_to_be_valid(not_before: float, not_after: float, date: int, expected: str) -> None:
    credential = Credential("ours", CREDENTIAL.key, X5U, CREDENTIAL.jose, not_before, not_after)
    message = invite(at(date))
    action, out, record = result(engine_with(credential), leaving(message))
    assert record["outcome"] == expected
    if expected == "unsigned":
        assert (action, out, record["detail"]) == ("accept", message, "credential-expired")


# --- what must not leave, what does not fit ---


@pytest.mark.parametrize("reason", ["signed", "unsigned", "already signed"])
def test_private_headers_do_not_leave(reason: str) -> None:
    """DESIGN §5 `remove`: whether it was signed or not; compact names and folds included."""
    extra = {"signed": [], "unsigned": [at(61)], "already signed": [identity()]}[reason]
    engine = make_engine(SIGN + 'remove = ["X-Orig-TN", "Subject"]\n')
    message = invite("X-Orig-TN: +12155550100", *extra, "s: a\r\n b", "x-orig-tn : 2")
    expected = invite(*extra)
    assert result(engine, leaving(message))[1] == (added(expected, DATE, signed()) if reason == "signed" else expected)


def large(more: int) -> bytes:
    """An INVITE that is so many octets larger than one with a body of 60,000."""
    return invite(body="x" * (60_000 + more))


def test_a17_too_large_for_a_datagram() -> None:
    """S-153: it leaves as it came, and the record does not call it signed."""
    message = large(65507 - len(large(0)))
    action, out, record = result(make_engine(SIGN), leaving(message))
    assert (action, out) == ("accept", message)
    assert (record["verdict"], record["detail"]) == ("accept", "no-room")


def test_a17_its_outcome_is_unsigned() -> None:
    message = large(65507 - len(large(0)))
    record = result(make_engine(SIGN), leaving(message))[2]
    assert (record["outcome"], record["attest"], record["x5u"]) == ("unsigned", None, None)


@pytest.mark.parametrize("spare", [0, 1])
def test_a17_s152_the_largest_that_fits(spare: int) -> None:
    message = large(65507 - len(added(large(0), DATE, signed())) + spare)
    action, out, _ = result(make_engine(SIGN), leaving(message))
    assert (action, len(out)) == (("accept", len(message)) if spare else ("modify", 65507))


def test_s152_s154_ipv6() -> None:
    packet = leaving(invite(), src="2001:db8:1::1", dst="2001:db8::7")
    verdict = make_engine(SIGN).process(packet, NOW)
    assert isinstance(verdict, Verdict)
    assert verdict.payload is not None
    written = parse(verdict.payload)
    assert (written.src, written.dst, written.payload) == (
        "2001:db8:1::1",
        "2001:db8::7",
        added(invite(), DATE, signed()),
    )


def test_monitor_mode_signs_nothing() -> None:
    engine = make_engine(SIGN.replace("[[rule]]\n", '[[rule]]\nmode = "monitor"\n') + 'remove = ["Contact-X"]\n')
    verdict = engine.process(leaving(invite("Contact-X: 1")), NOW)
    assert isinstance(verdict, Verdict)
    assert (verdict.kind, verdict.payload) == ("accept", None)
    assert [(record.outcome, record.mode, record.attest) for record in verdict.monitored] == [
        ("signed", "monitor", "A")
    ]


# --- insertion = "redirect": a 302 that carries the Identity ---

REDIRECT = '[trunks.core]\naddresses = ["192.0.2.7"]\ntrusted = true\n' + SIGN.replace(
    "[[rule]]\n", '[[rule]]\ntrunk = ["core"]\ninsertion = "redirect"\n'
).replace("outbound", "inbound")


def test_s122_redirect() -> None:
    """The asking SBC gets its Identity in a 302 and calls again; the INVITE goes nowhere."""
    verdict = make_engine(REDIRECT).process(leaving(invite(), src=CARRIER, dst=SBC), NOW)
    assert isinstance(verdict, Verdict)
    assert (verdict.kind, verdict.payload) == ("redirect", None)
    assert [(each.src, each.sport, each.dst, each.dport) for each in verdict.emit] == [(SBC, 5060, CARRIER, 5060)]
    assert verdict.emit[0].payload == (
        b"SIP/2.0 302 Moved Temporarily\r\n"
        b"Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK-1\r\n"
        b"From: <sip:+12155550100@carrier.example>;tag=f1\r\n"
        b"To: <sip:+12155550199@sbc.example>;tag=25eb18e4044b89b4f9b77b79\r\n"
        b"Call-ID: call-1@carrier.example\r\n"
        b"CSeq: 1 INVITE\r\n"
        b"Contact: <sip:+12155550199@192.0.2.1>\r\n" + f"{DATE}\r\n{signed()}\r\n".encode() + b"Content-Length: 0\r\n"
        b"\r\n"
    )
    assert verdict.record is not None
    assert (verdict.record.verdict, verdict.record.code, verdict.record.outcome) == ("redirect", 302, "signed")


# --- S-155: two calls have two tokens, a retransmission has one


FRESH = {"ours": CREDENTIAL.with_random_nonces()}
FIRST_CALL = invite()
OTHER_CALLS = {
    "call-id": FIRST_CALL.replace(b"Call-ID: call-1", b"Call-ID: call-2"),
    "branch": FIRST_CALL.replace(b"branch=z9hG4bK-1", b"branch=z9hG4bK-2"),
    "from-tag": FIRST_CALL.replace(b";tag=f1", b";tag=f2"),
    "cseq": FIRST_CALL.replace(b"CSeq: 1", b"CSeq: 2"),  # after 401 or 407
    "everything": invite(number=2),
    "contact": FIRST_CALL.replace(f"@{CARRIER}>".encode(), b"@192.0.2.9>"),
    "max-forwards": FIRST_CALL.replace(b"Max-Forwards: 70", b"Max-Forwards: 69"),
    "header": invite("X: 1"),
    "body": invite(body="v=0\r\n"),
    "uri": FIRST_CALL.replace(b"INVITE sip:+", b"INVITE sip:"),
    "case": FIRST_CALL.replace(b"Call-ID:", b"call-id:"),
}


def identity_in(out: bytes) -> bytes:
    return out.partition(b"\r\nIdentity: ")[2].partition(b"\r\n")[0]


@pytest.mark.parametrize("other", OTHER_CALLS.values(), ids=OTHER_CALLS)
def test_s155_another_call_in_the_same_second_gets_another_token(other: bytes) -> None:
    """Between the same numbers: with one token for both, a verifier would take the second call for a replay."""
    engine = make_engine(SIGN, credentials=FRESH)
    first, second = (identity_in(result(engine, leaving(message))[1]) for message in (FIRST_CALL, other))
    header, payload, signature = first.partition(b";")[0].split(b".")
    assert second.startswith(header + b"." + payload + b".")
    assert signature
    assert signature not in second
    for value in (first, second):
        verify_es256(LAB.leaf.key.public_key(), header + b"." + payload, value.partition(b";")[0].split(b".")[2])


@pytest.mark.parametrize("seconds", [0.0, 0.5, 1.5, 31.5])
def test_s155_a_retransmission_gets_the_first_copys_bytes(seconds: float) -> None:
    engine = make_engine(SIGN, credentials=FRESH)
    first = result(engine, leaving(FIRST_CALL))[1]
    result(engine, leaving(OTHER_CALLS["call-id"]))
    assert result(engine, leaving(FIRST_CALL), NOW + seconds)[1] == first
    assert engine.counters["retransmission"] == 1


def test_s155_without_random_nonces_a_replay_gives_the_same_bytes() -> None:
    """S-004: the default, which `replay` uses."""
    first, second = (result(make_engine(SIGN), leaving(FIRST_CALL))[1] for _ in range(2))
    assert first == second
    assert identity_in(result(make_engine(SIGN, credentials=FRESH), leaving(FIRST_CALL))[1]) != identity_in(first)


def test_s155_successors_have_random_nonces_too() -> None:
    credential = CREDENTIAL.followed_by([CREDENTIAL, CREDENTIAL]).with_random_nonces()
    assert [each.random for each in credential.every()] == [True, True, True]
