"""The trust boundary under attack: what a stranger writes so that the SBC reads something else than we did.

VICTIM is a number that the peer may not use; the tokens are true, and for another number.
"""

import pytest
from support.calls import (
    CALLER,
    CARRIER,
    LAB,
    NOW,
    SIGN,
    VERIFY,
    arriving,
    identity,
    invite,
    leaving,
    make_engine,
    result,
)

from sbc_filter.engine.memory import transactions
from sbc_filter.engine.verdict import Answer, Need, Verdict
from sbc_filter.lab.certificate_maker import X5U
from sbc_filter.outcomes import Detail
from sbc_filter.sip.message import SipMessage

GOOD = identity()
VICTIM = "19995550000"
SPOOFED = f"P-Asserted-Identity: <sip:+{VICTIM};verstat=TN-Validation-Passed@h>"
OURS = f"P-Asserted-Identity: <sip:+{CALLER};verstat=TN-Validation-Passed@carrier.example>"
REQUIRED = VERIFY + '[rule.on]\nno-identity = "reject"\n'
RULES = pytest.mark.parametrize("rules", ["", VERIFY], ids=["no rule", "verify"])


def asserted(message: bytes) -> list[bytes]:
    """The P-Asserted-Identity values that an SBC would see."""
    return SipMessage.parse(message).values(b"p-asserted-identity")


@RULES
@pytest.mark.parametrize("hidden", [f"X-A: 1\r{SPOOFED}", f"X-A: 1\r\r{SPOOFED}", f"X-A: 1\0\r{SPOOFED}\r\r"])
def test_a_bare_cr_hides_nothing(rules: str, hidden: str) -> None:
    """Some stacks end lines, or all headers, at a CR alone: what goes on has none, and NUL neither."""
    message = invite(hidden, GOOD)
    out = result(make_engine(rules), arriving(message))[1]
    assert b"\0" not in out
    assert out.count(b"\r") == out.count(b"\r\n")
    assert out.replace(f"{OURS}\r\n".encode(), b"") == message.replace(
        hidden.encode(), hidden.replace("\r", " ").replace("\0", " ").encode()
    )


def test_our_own_messages_pass_as_they_are() -> None:
    message = invite("X-A: 1\rX-B: 2")
    assert result(make_engine(SIGN), leaving(message))[:2] == ("accept", message)


def test_a_copy_is_made_harmless_as_well() -> None:
    message = invite("X-A: 1\rX-B: 2", GOOD)
    engine = make_engine()
    first, second = (result(engine, arriving(message))[1] for _ in range(2))
    assert first == second
    assert b"X-A: 1 X-B: 2\r\n" in first


@RULES
@pytest.mark.parametrize(
    ("uri", "left"),
    [
        (';ver;verstat="x"stat=TN-Validation-Passed@h', ";ver;xstat=TN-Validation-Passed@h"),
        (';verstat="x"verstat=TN-Validation-Passed@h', ";xx=TN-Validation-Passed@h"),
        ("%3bverstat=TN-Validation-Passed@h", "@h"),
        (";\x0bverstat=TN-Validation-Passed@h", "@h"),
    ],
)
def test_a_cut_makes_no_new_verstat(rules: str, uri: str, left: str) -> None:
    message = invite(f"P-Preferred-Identity: <sip:+{VICTIM}{uri}>")
    out = result(make_engine(rules), arriving(message))[1]
    assert f"P-Preferred-Identity: <sip:+{VICTIM}{left}>\r\n".encode() in out


@pytest.mark.parametrize("to_tag", [";tag", ";tag=", ';tag=""', ";x;tag"])
def test_an_empty_tag_is_none(to_tag: str) -> None:
    """S-147: for others the call is new, so it is verified."""
    record = result(make_engine(REQUIRED), arriving(invite(to_tag=to_tag)))[2]
    assert (record["verdict"], record["outcome"]) == ("reject", "no-identity")


@pytest.mark.parametrize("leading", ["", "\r\n\r\n", " \r\n"])
@pytest.mark.parametrize(
    "claim",
    [
        SPOOFED,
        "P-Attestation-Indicator: A",
        "p-attestation-indicator\r\n : A",
        "Origination-Id:\r\n A",
        "P-Attestation-Indicator\x0b: A",
        "\x0cAttestation-Info\x01 : A",
        "\ufeffP-Origination-ID\xa0: A",
    ],
)
def test_what_cannot_be_read_claims_nothing(leading: str, claim: str) -> None:
    """S-114: a lenient SBC may read it; of the rest not a byte changes."""
    broken = leading.encode() + invite(claim).replace(b"Content-Length: 0", b"Content-Length: 9")
    out, record = result(make_engine(), arriving(broken))[1:]
    assert record["outcome"] == "unparseable"
    line = f"{claim}\r\n".encode()
    left = f"P-Asserted-Identity: <sip:+{VICTIM}@h>\r\n".encode() if claim == SPOOFED else b""
    assert out == broken.replace(line, left)


def test_nor_does_its_last_line() -> None:
    broken = b"INVITE sip:a@b SIP/2.0\r\nVia: x\r\nP-Attestation-Indicator: A"
    assert result(make_engine(), arriving(broken))[1] == b"INVITE sip:a@b SIP/2.0\r\nVia: x\r\n"


@pytest.mark.parametrize(
    "pai",
    [
        f"P-Asserted-Identity: a:b <sip:+{VICTIM}@h>",
        f"P-Asserted-Identity: < sip:+{VICTIM}@h>",
        f"P-Asserted-Identity: <sip:+{VICTIM}%00@h>",
        f"P-Asserted-Identity: <sip:victim@anonymous.invalid>, <tel:+{CALLER}>",
        f"P-Asserted-Identity: <sip:+{CALLER}@h>, <sip:+{VICTIM}@h>",
    ],
)
def test_the_only_identity_asserted_is_the_one_verified(pai: str) -> None:
    """S-112, S-160: an SBC takes the first that it can read, wherever a stranger puts Via and Record-Route."""
    message = invite(pai, GOOD, "Record-Route: <sip:192.0.2.7;lr>")
    out, record = result(make_engine(VERIFY), arriving(message))[1:]
    assert record["outcome"] == "passed"
    assert pai.encode() not in out
    (only,) = asserted(out)
    assert f"+{CALLER};verstat=TN-Validation-Passed".encode() in only


def test_of_a_trusted_peer_they_stay_behind_ours() -> None:
    trunk = f'[trunks.t]\naddresses = ["{CARRIER}"]\ntrusted = true\n'
    pai = f"<sip:victim@anonymous.invalid>, <tel:+{CALLER}>"
    out = result(make_engine(trunk + VERIFY), arriving(invite(f"P-Asserted-Identity: {pai}", GOOD)))[1]
    assert asserted(out) == [f"<tel:+{CALLER};verstat=TN-Validation-Passed>".encode(), pai.encode()]


def test_what_is_marked_is_what_was_verified() -> None:
    """From names somebody else than the header that the operator trusts."""
    rules = VERIFY + '[rule.verify]\ncaller_from = ["remote-party-id", "from"]\n'
    message = invite(f"Remote-Party-ID: <sip:+{CALLER}@h>", GOOD, caller=VICTIM)
    out, record = result(make_engine(rules), arriving(message))[1:]
    assert record["outcome"] == "passed"
    assert asserted(out) == [f"<sip:+{CALLER};verstat=TN-Validation-Passed@h>".encode()]


def test_a_display_name_loses_the_mark_and_nothing_is_cut_across_it() -> None:
    """Scripts look for the text "verstat=" anywhere in the header field, quoted or not."""
    message = invite(f'P-Asserted-Identity: "a;verstat=" <sip:+{CALLER}@h>;x="y"', GOOD)
    out = result(make_engine(VERIFY), arriving(message))[1]
    assert asserted(out) == [f'"a;x" <sip:+{CALLER};verstat=TN-Validation-Passed@h>'.encode()]


@pytest.mark.parametrize("parameter", ["foo=a@b", "foo=x:y@b"])
def test_the_mark_of_a_tel_uri_stands_at_its_end(parameter: str) -> None:
    trunk = f'[trunks.t]\naddresses = ["{CARRIER}"]\ntrusted = true\n'
    message = invite(f"P-Asserted-Identity: <tel:+{CALLER};{parameter}>", GOOD)
    out = result(make_engine(trunk + VERIFY), arriving(message))[1]
    assert asserted(out) == [f"<tel:+{CALLER};{parameter};verstat=TN-Validation-Passed>".encode()]


def test_a_mark_without_room_is_not_recorded() -> None:
    message = invite("X: " + "x" * 64000)
    message = message.replace(b"x" * 64000, b"x" * (64000 + 65507 - len(message)))
    action, out, record = result(make_engine(VERIFY), arriving(message))
    assert (action, out, record["verstat"]) == ("accept", message, None)


def test_a_cancel_ends_every_copy_that_is_held() -> None:
    """Copies that differ are held each by itself, and are one transaction (S-145)."""
    engine = make_engine(known=False)
    copies = [invite(GOOD, "X: a"), invite(GOOD, "X: b")]
    assert all(isinstance(engine.process(arriving(copy), NOW), Need) for copy in copies)
    cancel = copies[0].replace(b"INVITE", b"CANCEL").replace(GOOD.encode() + b"\r\n", b"")
    assert len(_verdict(engine.process(arriving(cancel), NOW)).emit) == 2
    for need in (1, 2):
        assert _verdict(engine.resume(need, Answer(LAB.chain, None, NOW + 60), NOW)).kind == "drop"


@pytest.mark.parametrize(
    ("caller", "detail"), [("1" * 33, "no-caller"), ("1" * 16, "no-caller"), ("**********", "no-caller")]
)
def test_what_is_no_number_is_not_signed(caller: str, detail: str) -> None:
    record = result(make_engine(SIGN), leaving(invite(caller=caller)))[2]
    assert (record["outcome"], record["detail"]) == ("unsigned", detail)


def test_a_remembered_failure_keeps_nothing_of_the_calls_it_ended() -> None:
    engine = make_engine(known=False)
    engine.add_certificate(X5U, Answer(None, Detail.FETCH_STATUS, NOW + 60), NOW)
    for number in range(5):
        result(engine, arriving(invite(identity(), number=number)))
    failure = engine._certificates.lookup(X5U, NOW)
    assert isinstance(failure, Exception)
    assert failure.__traceback__ is None


def test_what_is_remembered_of_large_calls_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """64 MiB in all, however large the answers are; here 1 MiB, which a few calls fill."""
    assert transactions.REMEMBERED == 64 << 20
    monkeypatch.setattr(transactions, "REMEMBERED", 1 << 20)
    engine = make_engine(REQUIRED)
    for number in range(30):
        many = invite(SPOOFED, number=number).replace(b"Via: ", b"Via: SIP/2.0/UDP h\r\n" * 1500 + b"Via: ", 1)
        engine.process(arriving(many + b" " * 30000), NOW)  # cannot be read, and is scrubbed
        engine.process(arriving(invite("Via: SIP/2.0/UDP " + "v" * 15000, number=number)), NOW)
    kept = engine._transactions._decided
    entries = [entry for generation in (kept._young, kept._old) for entry in generation.values()]
    assert {bool(result.emit) for _, result, _ in entries} == {False, True}
    assert min(weight for _, result, weight in entries if not result.emit) > 55_000
    assert min(weight for _, result, weight in entries if result.emit) > 15_000
    assert 1 << 19 < sum(weight for *_, weight in entries) <= 1 << 20


def _verdict(decision: Verdict | Need) -> Verdict:
    assert isinstance(decision, Verdict)
    return decision


@pytest.mark.parametrize(
    ("trusted", "verdict", "treatment"), [("false", "drop", "drop"), ("true", "accept", "continue")]
)
def test_what_cannot_be_read_may_be_dropped(trusted: str, verdict: str, treatment: str) -> None:
    """Where the operator says so: else a call could go past every rule by being broken just enough."""
    trunks = f'[trunks.t]\naddresses = ["{CARRIER}"]\ntrusted = {trusted}\n'
    broken = invite().replace(b"Content-Length: 0", b"Content-Length: 9")
    record = result(make_engine(trunks, unreadable="drop"), arriving(broken))[2]
    assert (record["verdict"], record["treatment"]) == (verdict, treatment)
    assert (record["outcome"], record["detail"]) == ("unparseable", "content-length")


@pytest.mark.parametrize(
    ("trusted", "readable"),
    [("To: <sip:+12155550199@sbc.example>  ;tag=x", True), ("X: 1\r2", False), ("X : 1\r\n 2", True)],
)
def test_a_trusted_peer_is_repaired_only_if_nothing_else_helps(trusted: str, readable: bool) -> None:
    """What it wrote goes on as it came, as long as it can be read."""
    trunks = f'[trunks.t]\naddresses = ["{CARRIER}"]\ntrusted = true\n'
    message = (
        invite(trusted)
        if trusted[0] == "X"
        else invite().replace(b"To: <sip:+12155550199@sbc.example>", trusted.encode())
    )
    action, out, record = result(make_engine(trunks), arriving(message))
    assert record["outcome"] == "not-examined"
    assert (action, out) == (("accept", message) if readable else ("modify", message.replace(b"1\r2", b"1 2")))


@pytest.mark.parametrize(("trusted", "action"), [("true", "modify"), ("false", "reject")])
def test_911_in_to_exempts_only_calls_of_trusted_peers(trusted: str, action: str) -> None:
    """On its way to an emergency service a call keeps its To, while the Request-URI changes."""
    trunks = f'[trunks.t]\naddresses = ["{CARRIER}"]\ntrusted = {trusted}\n'
    message = invite().replace(b"To: <sip:+12155550199@", b"To: <sip:911@")
    record = result(make_engine(trunks + REQUIRED), arriving(message))[2]
    assert (record["verdict"], record["outcome"]) == (action, "no-identity")


def _behind_headers(message: bytes) -> bytes:
    """The IPv6 packet of a message, with 4096 octets of destination options that every host skips: 8 of 255 octets in
    each of two headers (RFC 8200 §4.6)."""
    raw = arriving(message, "2001:db8:9::7", "2001:db8:1::1")
    options = (b"\x3e\xfd" + bytes(253)) * 8 + b"\x01\x04" + bytes(4)
    headers = b"".join(bytes((following, 255)) + options for following in (60, 17))
    length = len(raw) - 40 + len(headers)
    return raw[:4] + length.to_bytes(2, "big") + b"\x3c" + raw[7:40] + headers + raw[40:]


@RULES
@pytest.mark.parametrize("method", [b"INVITE", b"ACK", b"CANCEL", b"UPDATE"])
@pytest.mark.parametrize("to_tag", ["", ";tag=x"])
def test_what_has_no_room_to_be_repaired_is_unreadable(rules: str, method: bytes, to_tag: str) -> None:
    """With 4096 octets of headers in front of it, a message has 61,431 octets. This one fills them all, and each of its
    200 line ends would take one more. Its mark is made unrecognisable nevertheless."""
    mark = b"P-Attestation-Indicator: A\r\n"

    def made(body: str) -> bytes:
        text = invite(to_tag=to_tag, body=body).replace(b"INVITE", method)
        return text.replace(b"Max-Forwards", mark + b"X: 1\n" * 200 + b"Max-Forwards")

    message = made("y" * (61431 - len(made("")) - len("60000") + len("0")))
    assert len(message) == 61431
    engine = make_engine(rules, scrub_methods=["UPDATE"])
    verdict, out, _ = result(engine, _behind_headers(message))
    assert (verdict, out) == ("modify", message.replace(b"P-Attestation-Indicator", b"~"))


@RULES
@pytest.mark.parametrize(
    ("where", "hidden", "left"),
    [
        ("Contact:", "P-Attestation-Indicator\n: A\r\nContact:", "Contact:"),
        ("Via:", "\nP-Attestation-Indicator: A\r\nVia:", "\nVia:"),
        (
            "Via:",
            "\r\n SIP/2.0\r\nP-Asserted-Identity: <sip:+1;verstat=x@h>\r\nVia:",
            "\r\n SIP/2.0\r\nP-Asserted-Identity: <sip:+1@h>\r\nVia:",
        ),
    ],
)
def test_no_mark_stays_where_the_header_of_an_unreadable_message_may_go_on(
    rules: str, where: str, hidden: str, left: str
) -> None:
    """osip2 and JsSIP do not end the header at every empty line; node's `sip` looks for the colon on the next line."""
    message = invite().replace(where.encode(), hidden.encode(), 1)
    verdict, out, record = result(make_engine(rules), arriving(message))
    assert (verdict, record["outcome"]) == ("modify", "unparseable")
    assert out == message.replace(hidden.encode(), left.encode())


@pytest.mark.parametrize(
    ("via", "verdict"),
    [
        ("SIP/2.0/UDP h;branch=z9hG4bK-1;rport;received=192.0.2.9", "modify"),
        ('SIP / 2.0 / UDP [2001:db8::1]:5060 ; branch = z9hG4bK-1 ;x="a b", SIP/2.0/TCP h;rport=;alias', "modify"),
        ("SIP/2.0/UDP h;branch=z9hG4 bK", "reject"),
        ("SIP/2.0/UDP h;branch=z9hG4bK;", "reject"),
        ("SIP/2.0/UDP h;;branch=z9hG4bK", "reject"),
        ("SIP/2.0/UDP h;branch=a=b", "reject"),
        ('SIP/2.0/UDP h;x="a\\"b"', "reject"),
        ("SIP/2.0/UDP h;Branch", "reject"),
        ("SIP/2.0/UDP h; branch = ;x", "reject"),
        ("SIP/2.0/UDP h;received", "reject"),
        ("SIP/2.0/UDP h;i=", "reject"),
        ("SIP/2.0/UDP h;maddr,SIP/2.0/UDP h", "reject"),
        ("SIP/2.0/UDP h;ttl", "reject"),
        ("SIP/2.0/UDP h;alias=", "reject"),
        ("SIP/2.0/UDP h;alias=x", "reject"),
        ("SIP/2.0/UDP h;(x)", "reject"),
        ("SIP/2.0/UDP h;x=a(b", "reject"),
        ('SIP/2.0/UDP h;x="a,b"', "reject"),
        ('SIP/2.0/UDP h;x="a;b"', "reject"),
        ("SIP/2.0/UDP h;x , SIP/2.0/UDP h", "reject"),
        ("SIP/2.0/UDP h;x=y , SIP/2.0/UDP h , SIP/2.0/UDP h", "modify"),
        ("SIP/2.0/UDP h;a, SIP/2.0/UDP h;x y", "reject"),
        ("SIP/2.0/UDP h;a,", "reject"),
    ],
)
def test_a_later_via_cannot_hide_the_caller(via: str, verdict: str) -> None:
    """Kamailio reads no P-Asserted-Identity in front of a later Via at which it fails: it takes the number in From."""
    headers = f"P-Asserted-Identity: <sip:+{CALLER}@h>", GOOD, f"Via: {via}"
    rules = VERIFY + '[rule.on]\ninvalid = "reject"\n'
    assert result(make_engine(rules), arriving(invite(*headers, caller=VICTIM)))[0] == verdict


@pytest.mark.parametrize(
    ("after", "verdict"),
    [("120", "modify"), (" 120 (in a meeting)", "modify"), ("18000;duration=3600", "modify"), ("x", "reject"),
     ("", "reject"), ("1 x", "reject"), ("1:", "reject"), ("4294967296", "reject"), ("-1", "reject")],
)  # fmt: skip
def test_a_retry_after_cannot_hide_the_caller(after: str, verdict: str) -> None:
    """Kamailio parses this field wherever it is, and fails as it does at a broken Via. The layout is learned after some
    calls."""
    rules = VERIFY + '[rule.verify]\ncheck_replay = false\n[rule.on]\ninvalid = "reject"\n'
    engine = make_engine(rules)
    for number in range(8):
        headers = f"Retry-After:{after if number > 6 else 1}", f"P-Asserted-Identity: <sip:+{CALLER}@h>", GOOD
        found = result(engine, arriving(invite(*headers, caller=VICTIM, number=number)))[0]
    assert found == verdict
