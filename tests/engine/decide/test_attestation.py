"""What a rule may add to signing: attestation by lists or by the SBC, privacy, size, more claims (STANDARDS §21: A10,
A11, A16 to A20)."""

import json
from typing import Any, NoReturn

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from support.calls import (
    CALLER,
    CARRIER,
    CREDENTIAL,
    LAB,
    NOW,
    ORIGID,
    SBC,
    SIGN,
    added,
    arriving,
    claims,
    identity,
    invite,
    leaving,
    make_engine,
    response,
    result,
    status,
)

from sbc_filter.engine.call.network import Flow, Network
from sbc_filter.engine.engine import Engine
from sbc_filter.engine.memory.certificates import CertificateMemory
from sbc_filter.engine.verdict import Verdict
from sbc_filter.lab.certificate_maker import X5U
from sbc_filter.pki.trust_store import TrustStore
from sbc_filter.rules.rule_file import load_rules
from sbc_filter.stir.credential import Credential
from sbc_filter.stir.passport import decode_segment

DATE = "Date: Fri, 15 Jan 2027 08:00:00 GMT"
OTHER = "123e4567-e89b-12d3-a456-426655440000"
STRANGER = "12155550101"  # not on the list
HONOUR = f"{SIGN}honour = true\n"
FULLY = f'{HONOUR}attest_max = "A"\n'
ASSERTED = ("P-Attestation-Indicator", "P-Origination-ID", "Attestation-Info", "Origination-Id", "P-Attestation-Info")


def signed(**changes: Any) -> str:
    return identity(claims(**changes))


def token(out: bytes) -> dict[str, Any]:
    """The claims in the message, in their order."""
    payload = out.partition(b"Identity: ")[2].split(b".")[1]
    read: dict[str, Any] = json.loads(decode_segment(payload))
    return read


# --- A10: a caller who is not on the list ---


def test_a10_who_is_not_listed_is_not_signed() -> None:
    rules = f'{SIGN}attest_unlisted = "none"\n'
    message = invite(caller=STRANGER)
    action, out, record = result(make_engine(rules), leaving(message))
    assert (action, out) == ("accept", message)
    assert (record["outcome"], record["detail"], record["attest"]) == ("unsigned", "not-listed", None)
    assert result(make_engine(rules), leaving(invite()))[1] == added(invite(), DATE, signed())
    engine = make_engine(f'{rules}[rule.on]\n"unsigned.not-listed" = {{ action = "reject", code = 403 }}\n')
    assert status(result(engine, leaving(message))[1]) == "403 Forbidden"


# --- A11: the SBC says it ---


@pytest.mark.parametrize(
    ("rules", "headers", "caller", "attest"),
    [
        (FULLY, ["P-Attestation-Indicator: A"], STRANGER, "A"),
        (FULLY, ["P-Attestation-Indicator: C"], CALLER, "C"),  # the SBC knows better than the list
        (FULLY, ["Attestation-Info: A"], STRANGER, "A"),  # TS 24.229
        (FULLY, ["p-attestation-indicator :\r\n B"], CALLER, "B"),
        (HONOUR, ["P-Attestation-Indicator: A"], STRANGER, "B"),  # the cap
        (HONOUR, ["P-Attestation-Indicator: A"], CALLER, "B"),
        (f'{HONOUR}attest_max = "C"\n', ["P-Attestation-Indicator: B"], CALLER, "C"),
        (FULLY, ["P-Attestation-Info: A"], STRANGER, "A"),  # some SBCs
        (FULLY, ["P-Attestation-Info: C"], CALLER, "C"),
        # several: the least; absent: the lists
        (FULLY, ["P-Attestation-Indicator: A", "Attestation-Info: C"], CALLER, "C"),
        (FULLY, ["P-Attestation-Indicator: A", "P-Attestation-Indicator: B"], CALLER, "B"),
        (FULLY, ["P-Attestation-Indicator: a"], CALLER, "A"),
        (FULLY, ["P-Attestation-Indicator:"], STRANGER, "B"),
        (FULLY, ["P-Attestation-Indicator: A", "Attestation-Info: A, B"], STRANGER, "B"),
        (FULLY, [], CALLER, "A"),
        # not honoured unless a rule says so
        (SIGN, ["P-Attestation-Indicator: A"], STRANGER, "B"),
        (SIGN, ["P-Attestation-Indicator: C"], CALLER, "A"),
        # who is not listed is signed if the SBC asks for it
        (f'{FULLY}attest_unlisted = "none"\n', ["P-Attestation-Indicator: C"], STRANGER, "C"),
    ],
)
def test_a11_the_attestation_that_the_sbc_asks_for(rules: str, headers: list[str], caller: str, attest: str) -> None:
    """Honoured up to the rule's maximum, then removed."""
    _, out, record = result(make_engine(rules), leaving(invite(*headers, caller=caller)))
    assert out == added(invite(caller=caller), DATE, signed(attest=attest, orig={"tn": caller}))
    assert record["attest"] == attest


@pytest.mark.parametrize(
    ("written", "attest"),
    [
        ("C;", "C"),
        ('"C"', "C"),
        ("c", "C"),
        ("'B'", "B"),
        ('"b";level=full', "B"),
        ("B ; x=A", "B"),
        ("A;", "A"),
        ('"a"', "A"),
        ("C, B", "C"),
        ("A, B", "B"),
        ('"B, C"', "C"),
        ("a,\r\n c", "C"),
        # something is there that cannot be read
        ("D", "C"),
        ("full", "C"),
        ("AB", "C"),
        ("A B", "C"),
        ("A,", "C"),
        (";A", "C"),
        ('""', "C"),
        ("attest=A", "C"),
        ("<A>", "C"),
        ("%41", "C"),
        ("\u0410", "C"),  # a Cyrillic letter
        ("A\u200b", "C"),  # an invisible character
        ("A" * 4000, "C"),
    ],
)
@pytest.mark.parametrize("name", ["P-Attestation-Indicator", "Attestation-Info", "P-Attestation-Info"])
def test_a11_what_cannot_be_read_means_the_least(name: str, written: str, attest: str) -> None:
    """The caller is on the list, which would give A: what the SBC says must never turn into its opposite."""
    _, out, record = result(make_engine(FULLY), leaving(invite(f"{name}: {written}")))
    assert out == added(invite(), DATE, signed(attest=attest))
    assert record["attest"] == attest


@pytest.mark.parametrize(
    ("rules", "headers", "origid"),
    [
        (HONOUR, [f"P-Origination-ID: {OTHER}"], OTHER),
        (HONOUR, [f"Origination-Id: {OTHER.upper()}"], OTHER),  # S-070: lower case
        (HONOUR, [f"P-Origination-ID: {OTHER}", f"Origination-Id: {OTHER}"], OTHER),
        (HONOUR, [f"P-Origination-ID: {OTHER}", f"Origination-Id: {OTHER[:-1]}1"], ORIGID),
        (HONOUR, ["P-Origination-ID: 55555-f270-444-7bb9"], ORIGID),
        (HONOUR, [f'P-Origination-ID: {OTHER}","attest":"A'], ORIGID),
        (HONOUR, [], ORIGID),
        (SIGN, [f"P-Origination-ID: {OTHER}"], ORIGID),
    ],
)
def test_a11_the_origination_identifier_of_the_sbc(rules: str, headers: list[str], origid: str) -> None:
    _, out, record = result(make_engine(rules), leaving(invite(*headers)))
    assert out == added(invite(), DATE, signed(origid=origid))
    assert record["origid"] == origid


@pytest.mark.parametrize("extra", [[], [identity()], ["Date: Fri, 15 Jan 2027 08:30:00 GMT"]], ids=str)
@pytest.mark.parametrize(("rules", "said"), [(SIGN, {}), (HONOUR, {"attest": "B", "origid": OTHER})])
def test_a11_they_never_leave(rules: str, said: dict[str, str], extra: list[str]) -> None:
    """Signed, already signed, unsigned: they are for trusted networks only (S-115)."""
    values = [f"{name}: {'A' if 'ttest' in name else OTHER}" for name in ASSERTED]
    out = result(make_engine(rules), leaving(invite(*values, *extra)))[1]
    assert out == (invite(*extra) if extra else added(invite(), DATE, signed(**said)))


def test_a11_s114_nobody_else_is_believed() -> None:
    """A rule without direction meets calls of strangers too: what they claim is gone before."""
    rules = FULLY.replace('direction = "outbound"\n', "")
    message = invite("P-Attestation-Indicator: A", f"P-Origination-ID: {OTHER}", caller=STRANGER)
    _, out, _ = result(make_engine(rules), arriving(message))
    assert out == added(invite(caller=STRANGER), DATE, signed(attest="B", orig={"tn": STRANGER}))


def test_a11_s122_a_softswitch_that_asks_by_redirect() -> None:
    """Trusted, or it could not ask: the 302 carries what it may have."""
    trunk = f'[trunks.core]\naddresses = ["{CARRIER}"]\ntrusted = true\n'
    rules = FULLY.replace('direction = "outbound"', 'trunk = "core"\ninsertion = "redirect"')
    message = invite("P-Attestation-Indicator: A", f"P-Origination-ID: {OTHER}", caller=STRANGER)
    action, out, record = result(make_engine(trunk + rules), arriving(message))
    assert (action, record["attest"], record["origid"]) == ("redirect", "A", OTHER)
    assert signed(origid=OTHER, orig={"tn": STRANGER}).encode() in out
    assert b"P-Attestation-Indicator" not in out


# --- A16, S-012: media keys ---

SDP = "v=0\r\na=fingerprint:sha-256 {}\r\nm=audio 6000 UDP/TLS/RTP/SAVP 0\r\n"
DIGEST = ":".join(["4a"] * 32)
KEYS = [{"alg": "sha-256", "dig": "4A" * 32}]


@pytest.mark.parametrize(
    ("options", "body", "mky"),
    [
        ("media_keys = true\n", SDP.format(DIGEST), KEYS),
        ("media_keys = true\n", "v=0\r\n", None),
        ("", SDP.format(DIGEST), None),  # A16: off
    ],
)
def test_a16_s012_media_keys(options: str, body: str, mky: list[dict[str, str]] | None) -> None:
    message = invite("Content-Type: application/sdp", body=body)
    out = result(make_engine(SIGN + options), leaving(message))[1]
    assert out == added(message, DATE, signed(mky=mky))
    assert list(token(out)) == sorted(token(out))  # S-005


def test_a16_our_own_verification_compares_them() -> None:
    message = invite("Content-Type: application/sdp", body=SDP.format(DIGEST))
    out = result(make_engine(f"{SIGN}media_keys = true\n"), leaving(message))[1]
    assert result(make_engine(), arriving(out))[2]["outcome"] == "passed"
    changed = out.replace(b":4a", b":4b")
    assert result(make_engine(), arriving(changed))[2]["detail"] == "fingerprint-mismatch"


# --- S-130, S-131: rich call data ---

ICON = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
NAMED = f'{SIGN}crn = "Your delivery"\nrcd = {{ nam = "Parcels & Söhne" }}\n'
ICONED = f'{SIGN}rcd = {{ nam = "Parcels", icn = "https://www.example.com/icon.png", icn_digest = "{ICON}" }}\n'


@pytest.mark.parametrize(
    ("rules", "more"),
    [
        (NAMED, {"crn": "Your delivery", "rcd": {"nam": "Parcels & Söhne"}}),
        (
            ICONED,
            {"rcd": {"icn": "https://www.example.com/icon.png", "nam": "Parcels"}, "rcdi": {"/icn": ICON}},
        ),
        (f'{SIGN}crn = "Your delivery"\n', {"crn": "Your delivery"}),
    ],
)
def test_s130_rich_call_data(rules: str, more: dict[str, Any]) -> None:
    out = result(make_engine(rules), leaving(invite()))[1]
    assert out == added(invite(), DATE, signed(**more))
    assert list(token(out)) == sorted(token(out))
    engine = make_engine()
    assert result(engine, arriving(out))[2]["outcome"] == "passed"
    if "rcd" in more:
        assert engine.counters["rcd-usable"] == 1


def test_s130_s012_beside_media_keys() -> None:
    message = invite("Content-Type: application/sdp", body=SDP.format(DIGEST))
    out = result(make_engine(f"{NAMED}media_keys = true\n"), leaving(message))[1]
    assert out == added(message, DATE, signed(crn="Your delivery", rcd={"nam": "Parcels & Söhne"}, mky=KEYS))


def test_s130_only_for_who_is_fully_attested() -> None:
    """Nobody vouches that another's number belongs to who bears the name."""
    message = invite(caller=STRANGER)
    out = result(make_engine(NAMED), leaving(message))[1]
    assert out == added(message, DATE, signed(attest="B", orig={"tn": STRANGER}))


# --- A17: size ---


@pytest.mark.parametrize("spare", [0, -1])
def test_a17_the_largest_packet(spare: int) -> None:
    """IP and UDP headers count."""
    whole = added(invite(), DATE, signed())
    rules = f"{SIGN}max_size = {len(whole) + 28 + spare}\n"
    verdict = make_engine(rules).process(leaving(invite()), NOW)
    assert isinstance(verdict, Verdict)
    assert verdict.record is not None
    if spare == 0:
        assert verdict.payload is not None
        assert len(verdict.payload) == len(whole) + 28
        return
    assert (verdict.kind, verdict.payload) == ("accept", None)
    assert (verdict.record.outcome, verdict.record.detail, verdict.record.attest) == ("unsigned", "too-large", None)


def test_a17_a_call_over_tcp_has_no_largest_packet() -> None:
    """Carriers use TCP just because INVITEs with an Identity are large."""
    engine = make_engine(f"{SIGN}max_size = 576\n")
    verdict = engine.decide(invite(), Flow(SBC, 40000, CARRIER, 5060, "tcp"), NOW)
    assert isinstance(verdict, Verdict)
    assert verdict.payload == added(invite(), DATE, signed())


def test_a17_what_is_unsigned_still_loses_private_headers() -> None:
    rules = f'{SIGN}max_size = 576\nremove = ["X-Orig-TN"]\n'
    action, out, record = result(make_engine(rules), leaving(invite("X-Orig-TN: 1", "P-Attestation-Indicator: A")))
    assert (action, out, record["detail"]) == ("modify", invite(), "too-large")
    engine = make_engine(f'{rules}[rule.on]\n"unsigned.too-large" = "reject"\n')
    assert status(result(engine, leaving(invite()))[1]) == "500 Server Internal Error"


def test_a17_the_size_is_that_of_signed_calls() -> None:
    """A call that is not signed anyway loses what it has to lose, however large it is."""
    rules = f'{SIGN}attest_unlisted = "none"\nmax_size = 576\nremove = ["X-Orig-TN"]\n'
    message = invite("X-Orig-TN: 1", "X-Long: " + "x" * 600, caller=STRANGER)
    _, out, record = result(make_engine(rules), leaving(message))
    assert (out, record["detail"]) == (message.replace(b"X-Orig-TN: 1\r\n", b""), "not-listed")


# --- A18, S-161: privacy ---

SKIP = f'{SIGN}privacy = "skip"\n'


@pytest.mark.parametrize(
    ("privacy", "skipped"),
    [
        ("Privacy: id", True),
        ("Privacy: user", True),
        ("Privacy: header;critical", True),
        ("privacy: none ; ID", True),
        ("Privacy: session, id", True),
        ("Privacy: none", False),
        ("Privacy: critical", False),
        ("Privacy: history", False),
        ("Privacy: identity", False),
        ("Privacy: ID", True),
        ("Privacy:id", True),
        ("Privacy:  \tid\t", True),
        ("PRIVACY: User;Id;Critical", True),
        ("Privacy: none,id", True),
        ("Privacy: none\r\nPrivacy: id", True),  # several header fields
        ("Privacy: id\r\nPrivacy: none", True),
        ("Privacy: session;\r\n id", True),  # folded
        ("Privacy: session id", True),
        ('Privacy: "id"', True),
        ("Privacy: ;;id;", True),
        ("Privacy:", False),
        ("Privacy: none;session;critical", False),
        ("Privacy: x-id", False),
        ("X-Privacy: id", False),
    ],
)
def test_a18_s161_privacy(privacy: str, skipped: bool) -> None:
    message = invite(privacy)
    assert result(make_engine(SIGN), leaving(message))[1] == added(message, DATE, signed())  # the practice in the US
    _, out, record = result(make_engine(SKIP), leaving(message))
    assert out == (message if skipped else added(message, DATE, signed()))
    assert record["detail"] == ("privacy" if skipped else None)


RPID = "Remote-Party-ID: <sip:+12155550111@h>"
RPID_FIRST = 'caller_from = ["Remote-Party-ID", "pai", "from"]\n'


@pytest.mark.parametrize(
    ("rpid", "skipped"),
    [
        (RPID, False),
        (f"{RPID};privacy=full", True),
        (f"{RPID};privacy=uri", True),
        (f"{RPID};PRIVACY=Full", True),
        (f'{RPID};privacy="full"', True),
        (f'{RPID};privacy="name,uri"', True),
        (f"{RPID};privacy=full-network", True),
        (f"{RPID};party=calling;screen=yes;privacy=uri-network", True),
        (f"{RPID} ; privacy = full", True),
        (f"{RPID};privacy=off;privacy=full", True),
        (f"{RPID}, <sip:+12155550122@h>;privacy=full", True),
        (f"{RPID};privacy=off", False),
        (f"{RPID};privacy=name", False),
        (f"{RPID};privacy", False),
        (f"{RPID};privacy=fully", False),
        (f"{RPID}, <sip:+12155550122@h>;party=called;privacy=full", False),
        ("Remote-Party-ID: <sip:+12155550111@h;privacy=full>", False),  # a parameter of the URI
    ],
)
def test_s161_privacy_of_a_remote_party_id(rpid: str, skipped: bool) -> None:
    message = invite(rpid)
    record = result(make_engine(SKIP + RPID_FIRST), leaving(message))[2]
    assert (record["detail"], record["orig"]) == ("privacy" if skipped else None, "12155550111")
    assert result(make_engine(SIGN + RPID_FIRST), leaving(message))[2]["outcome"] == "signed"
    assert result(make_engine(SKIP), leaving(message))[2]["outcome"] == "signed"  # not a source of this rule


def test_a18_a_trusted_peer_may_know() -> None:
    trunk = f'[trunks.core]\naddresses = ["{CARRIER}"]\ntrusted = true\n'
    message = invite("Privacy: id")
    assert result(make_engine(trunk + SKIP), leaving(message))[1] == added(message, DATE, signed())


def test_s162_a_token_that_is_there_stays() -> None:
    message = invite("Privacy: id", identity())
    assert result(make_engine(SKIP), leaving(message))[1] == message


# --- A19: emergency ---


@pytest.mark.parametrize(
    ("rules", "signs"),
    [
        (SKIP, True),  # privacy is no matter there
        (f'{SIGN}attest_unlisted = "none"\n[rule.on]\nunsigned = "drop"\n', False),
        (f'{SIGN}max_size = 576\n[rule.on]\nunsigned = "reject"\n', False),
    ],
)
def test_a19_signed_if_possible_else_passed(rules: str, signs: bool) -> None:
    caller = CALLER if signs else STRANGER
    message = invite("Privacy: id", caller=caller).replace(b"sip:+12155550199@", b"sip:911@")
    out = result(make_engine(rules), leaving(message))[1]
    assert out == (added(message, DATE, signed(dest={"tn": ["911"]})) if signs else message)


# --- A20: the key cannot be used ---


class BrokenKey(ec.EllipticCurvePrivateKey):
    """A key in a device that has gone."""

    def sign(self, *_: object) -> NoReturn:
        raise RuntimeError("CKR_DEVICE_REMOVED")

    def exchange(self, *_: object) -> NoReturn:
        raise NotImplementedError

    def public_key(self) -> ec.EllipticCurvePublicKey:
        return LAB.leaf.key.public_key()

    @property
    def curve(self) -> ec.EllipticCurve:
        return ec.SECP256R1()

    @property
    def key_size(self) -> int:
        return 256

    def private_numbers(self) -> NoReturn:
        raise NotImplementedError

    def private_bytes(self, *_: object) -> NoReturn:
        raise NotImplementedError

    def __copy__(self) -> "BrokenKey":
        return self

    def __deepcopy__(self, _: object) -> "BrokenKey":
        return self


@pytest.mark.parametrize(
    ("treatment", "answer"),
    [("", None), ('[rule.on]\n"unsigned.crypto" = "reject"\n', "500 Server Internal Error")],
)
def test_a20_an_error_of_the_key(treatment: str, answer: str | None) -> None:
    """Fail-open, or 500 by option."""
    rules, _ = load_rules({"rules.toml": SIGN + treatment}, str, ["ours"])
    credential = Credential("ours", BrokenKey(), X5U, CREDENTIAL.jose, NOW - 1, NOW + 1)
    engine = Engine(rules, Network([SBC]), CertificateMemory(TrustStore([])), {"ours": credential}, b"secret")
    action, out, record = result(engine, leaving(invite()))
    assert (record["outcome"], record["detail"]) == ("unsigned", "crypto")
    if answer is None:
        assert (action, out) == ("accept", invite())
    else:
        assert status(out) == answer


def test_a2_a_retransmission_gets_the_same_bytes() -> None:
    """Also a second later, when a new token would say another time; so does what the SBC asked for."""
    engine = make_engine(FULLY)
    packet = leaving(invite("P-Attestation-Indicator: A", f"P-Origination-ID: {OTHER}", caller=STRANGER))
    first, second = engine.process(packet, NOW), engine.process(packet, NOW + 1)
    assert isinstance(first, Verdict)
    assert isinstance(second, Verdict)
    assert first.payload == second.payload is not None
    assert second.record is None


# --- whatever anybody writes ---

EVERYTHING = f'{SKIP}{FULLY.removeprefix(SIGN)}media_keys = true\ndiv = true\nreason = "remove"\nmax_size = 9000\n'
FIELDS = (*ASSERTED, "Privacy", "Diversion", "History-Info", "Identity", "Date", "Reason")
PIECES = st.lists(
    st.sampled_from(
        [
            "A",
            OTHER,
            "id",
            ";",
            ",",
            '"',
            "\\",
            "<",
            ">",
            "sip:+12155550199@h",
            "STIR",
            "ppi=..",
            " ",
            "=",
            "é",
            "a.b.c",
        ]
    ),
    max_size=12,
).map("".join)


@given(st.lists(st.tuples(st.sampled_from(FIELDS), PIECES), max_size=8), st.booleans())
def test_any_header_fields(fields: list[tuple[str, str]], transit: bool) -> None:
    """The call goes on, and none of what may not leave leaves."""
    engine = make_engine(EVERYTHING)
    headers = [f"{name}: {value}" for name, value in fields] + [identity()] * transit
    message = invite(*headers).replace(b"INVITE sip:+12155550199", b"INVITE sip:+13125550123")
    action, out, record = result(engine, leaving(message))
    assert action in ("accept", "modify")
    assert record["outcome"] in ("signed", "unsigned", "already-signed")
    assert not any(f"\n{name}:".encode() in out for name in ASSERTED)
    assert result(engine, arriving(response("180 Ringing", *headers)))[0] in ("accept", "modify")


# --- numbers that cannot exist ---

IMPOSSIBLE = (
    *("+121555501", "+121555501001", "+0012155550100", "+3312345678", "+331234567890", "+999155550100"),
    *("+1215555010", "+44123456", "+4512345", "+8612345", "+2105550100", "5550100;user=phone"),
)
WITH_C = 'attest_impossible = "C"\n'
UNLISTED = SIGN.replace(f'numbers = ["{CALLER}"]\n', "")
EVERYBODY = SIGN.replace(f'["{CALLER}"]', '["1*", "0*", "2*", "3*", "4*", "5*", "8*", "9*"]')


def from_number(caller: str, *headers: str) -> bytes:
    """The INVITE of a caller, whose number may have a parameter of the URI behind it."""
    number, _, parameter = caller.partition(";")
    uri = f"sip:{number}@carrier.example" + (f";{parameter}" if parameter else "")
    return invite(*headers).replace(f"From: <sip:+{CALLER}@carrier.example>".encode(), f"From: <{uri}>".encode())


@pytest.mark.parametrize(
    "rules",
    [
        UNLISTED + WITH_C,
        EVERYBODY + WITH_C,
        EVERYBODY + WITH_C + 'honour = true\nattest_max = "A"\n',
        EVERYBODY + WITH_C + 'crn = "for nothing less than A"\n',
    ],
    ids=["unlisted", "listed", "A by the SBC", "with more claims"],
)
@pytest.mark.parametrize("caller", IMPOSSIBLE)
def test_a7_a_number_that_cannot_exist_is_signed_with_c_if_the_rule_says_so(caller: str, rules: str) -> None:
    message = from_number(caller, "P-Attestation-Indicator: A")
    record = result(make_engine(rules.replace(WITH_C, "")), leaving(message))[2]
    assert (record["outcome"], record["detail"]) == ("unsigned", "impossible-number")
    _, out, record = result(make_engine(rules), leaving(message))
    assert (record["outcome"], record["detail"], record["attest"]) == ("signed", None, "C")
    orig = caller.partition(";")[0].lstrip("+")
    assert token(out) == claims(attest="C", orig={"tn": orig})


@pytest.mark.parametrize(
    ("caller", "expected"),
    [
        (f"+{CALLER}", ("signed", None, "A")),  # it can exist
        ("+12155550101", ("signed", None, "B")),
        ("1001", ("unsigned", "no-caller", None)),  # an extension
        ("911", ("unsigned", "no-caller", None)),
        ("alice", ("unsigned", "no-caller", None)),
        ("anonymous", ("unsigned", "no-caller", None)),
        ("+1215555010012345", ("unsigned", "no-caller", None)),  # 16 digits
    ],
)
def test_a7_nothing_else_is_signed_with_c(caller: str, expected: tuple[str, str | None, str | None]) -> None:
    record = result(make_engine(SIGN + WITH_C), leaving(from_number(caller)))[2]
    assert (record["outcome"], record["detail"], record["attest"]) == expected


def test_a7_a_number_that_cannot_exist_and_is_not_listed_stays_unsigned_if_only_listed_ones_are() -> None:
    rules = f'{SIGN}{WITH_C}attest_unlisted = "none"\n'
    record = result(make_engine(rules), leaving(from_number("+121555501")))[2]
    assert (record["outcome"], record["detail"]) == ("unsigned", "not-listed")
