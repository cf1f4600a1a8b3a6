"""What was verified is what is seen: the caller of an untrusted peer in the form that all SIP stacks read (S-112)."""

import re

import pytest
from support.calls import CALLER, CARRIER, LAB, VERIFY, added, arriving, claims, identity, invite, make_engine, result

GOOD, VICTIM = identity(), "19005550123"
REJECT = VERIFY + '[rule.on]\ninvalid = "reject"\n'
SILENT = REJECT.replace("[rule.on]", "[rule.verify]\nverstat = false\n[rule.on]")
MARK = ";verstat=TN-Validation-Passed"
NO_ONE = ("<sip:+1@h>;", "sip:a@b@h", "<sip:+1%00@h>", "<>", "<sip:+1@h", '"a <sip:+1@h>', "a:b <sip:+1@h>")
TRUSTED = f'[trunks.core]\naddresses = ["{CARRIER}"]\ntrusted = true\n'


def spoofing(pai: str, *, token: str = GOOD) -> bytes:
    """A true token for the number in P-Asserted-Identity, and another number in From."""
    return invite(f"P-Asserted-Identity: {pai}", token, caller=VICTIM)


def sent_by(sender: str, *headers: str) -> bytes:
    """An INVITE with this From."""
    return invite(*headers).replace(f"<sip:+{CALLER}@carrier.example>;tag".encode(), f"{sender};tag".encode(), 1)


def seen(message: bytes) -> list[str]:
    """The values of P-Asserted-Identity."""
    return [value.decode() for value in re.findall(rb"(?im)^P-Asserted-Identity *:[ \t]*(.*)\r$", message)]


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        # What is plain stays as it is: words, a quoted name, parameters of the number, a port, IPv4, IPv6.
        ("<sip:+{}@h>", "<sip:+{}@h>"),
        ("Bob Smith <sip:+{}@h>", "Bob Smith <sip:+{}@h>"),
        ('"Smith, Bob (é)" <sip:+{}@h.org:5061;user=phone>', '"Smith, Bob (é)" <sip:+{}@h.org:5061;user=phone>'),
        ("<sip:+{};cpc=ordinary;isup-oli=0@192.0.2.7>", "<sip:+{};cpc=ordinary;isup-oli=0@192.0.2.7>"),
        # Some stacks read no IPv6 address.
        ("<sips:+{}@[2001:db8::7]:5061>", "<sips:+{}@192.0.2.7>"),
        ("a\tb <sip:+{}@h>", '"a b" <sip:+{}@h>'),
        ("<sip:2155550100@h>", "<sip:2155550100@h>"),
        # No URI has a backquote, though a token may.
        ("a`b <sip:+{};c`d=e;f=g@h;i=`;j>", "a`b <sip:+{};f=g@h;j>"),
        # A header parameter after the bracket.
        ("<sip:+{}@h>;a=b", "<sip:+{}@h>"),
        # A display name that needs quotes, has escapes in it, or brackets.
        ("a/b <sip:+{}@h>", '"a/b" <sip:+{}@h>'),
        ("a(b <sip:+{}@h>", '"a(b" <sip:+{}@h>'),
        ("a=b <sip:+{}@h>", '"a=b" <sip:+{}@h>'),
        ("é <sip:+{}@h>", '"é" <sip:+{}@h>'),
        ("a%00b <sip:+{}@h>", '"a 00b" <sip:+{}@h>'),
        ("a<sip:+{}@h>", "a <sip:+{}@h>"),
        ('"a \\"b\\" <c>" <sip:+{}@h>', '"a b c" <sip:+{}@h>'),
        (f'"{"b" * 300}" <sip:+{{}}@h>', "<sip:+{}@h>"),
        # A host or a port that some stack refuses.
        ("<sip:+{}@::1>", "<sip:+{}@192.0.2.7;user=phone>"),
        ("<sip:+{}@[>", "<sip:+{}@192.0.2.7;user=phone>"),
        ("<sip:+{}@[::g]>", "<sip:+{}@192.0.2.7;user=phone>"),
        ("<sip:+{}@[:::]>", "<sip:+{}@192.0.2.7>"),
        ("<sip:+{}@1.2.3>", "<sip:+{}@192.0.2.7>"),
        ("<sip:+{}@h_h>", "<sip:+{}@192.0.2.7>"),
        ("<sip:+{}@-h>", "<sip:+{}@192.0.2.7>"),
        ("<sip:+{}@h:99999>", "<sip:+{}@h>"),
        ("<sip:+{}@h:0>", "<sip:+{}@h>"),
        # Parameters.
        ("<sip:+{}@h;;user=phone>", "<sip:+{}@h;user=phone>"),
        ("<sip:+{}@h;>", "<sip:+{}@h>"),
        ("<sip:+{};%ZZ@h>", "<sip:+{}@h>"),
        ("<sip:+{};cpc=%30;isup-oli=0@h>", "<sip:+{};isup-oli=0@h>"),
        ("<sip:+{}@h;a=é>", "<sip:+{}@h>"),
        ("<sip:+{}@h?a=b>", "<sip:+{}@h>"),
        (f"<sip:+{{}};x={'y' * 300}@h>", "<sip:+{}@h>"),
        # The number: escapes, visual separators, a password, a scheme in capitals.
        ("<sip:%2b{}@h>", "<sip:+{}@h>"),
        ("<sip:+1-215-555-0100@h>", "<sip:+{}@h>"),
        ("<sip:+{}:secret@h>", "<sip:+{}@h>"),
        ("<SIP:+{}@h>", "<sip:+{}@h>"),
        ("sip:+{}@h", "<sip:+{}@h>"),
        # More than one value, in one line or two.
        ("<sip:+{}@h>, <tel:+{}>", "<sip:+{}@h>"),
        (f"<sip:+{{}}@h>, <sip:+{VICTIM}@h>", "<sip:+{}@h>"),
        (f"<sip:+{{}}@h>\r\nP-Asserted-Identity: <tel:+{VICTIM}>", "<sip:+{}@h>"),
        ("<sip:+{}@h>\r\nP-Asserted-Identity: <tel:+{}>", "<sip:+{}@h>"),  # From has another number
        ("<sip:+{}@h>" + "\r\nP-Asserted-Identity: <sip:+{}@h>" * 2, "<sip:+{}@h>"),
        # Some stacks read no tel URI here, and would take From.
        ("<tel:+{}>", "<sip:+{}@192.0.2.7;user=phone>"),
        ("<tel:+{};cpc=ordinary>", "<sip:+{};cpc=ordinary@192.0.2.7;user=phone>"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("rules", [REJECT, SILENT], ids=["marked", "unmarked"])
def test_a_stranger_s_asserted_identity_is_plain(written: str, shown: str, rules: str) -> None:
    message = spoofing(written.replace("{}", CALLER))
    _, out, record = result(make_engine(rules), arriving(message))
    assert record["outcome"] == "passed"
    expected = shown.replace("{}", CALLER)
    if rules is REJECT:
        expected = expected.replace("@", f"{MARK}@", 1)
    assert seen(out) == [expected]
    assert b"From: <sip:+19005550123@carrier.example>;tag=f1\r\n" in out


def test_where_nothing_has_to_change_nothing_does() -> None:
    for pai in (f"<sip:+{CALLER}@h>", f'"Bob" <sip:+{CALLER};cpc=ordinary@h:5060;user=phone>'):
        action, out, _ = result(make_engine(SILENT), arriving(spoofing(pai)))
        assert (action, out) == ("accept", spoofing(pai))
    both = spoofing(f"<sip:+{CALLER}@h>\r\nP-Asserted-Identity: <sip:+{CALLER}@h;user=phone>")
    assert result(make_engine(SILENT), arriving(both))[:2] == ("accept", both)
    for sender in (f"sip:+{CALLER}@192.0.2.7", f"<sip:+{CALLER};cpc=ordinary@h>"):
        for headers in ([], [f"P-Asserted-Identity: <tel:+{CALLER};cpc=ordinary>"]):
            message = sent_by(sender, *headers, GOOD)
            assert result(make_engine(SILENT), arriving(message))[:2] == ("accept", message)
    for uri in (f"tel:+{CALLER}", f"sip:+{CALLER}@[2001:db8::7]:5061"):  # From has the same number
        message = invite(f"P-Asserted-Identity: <{uri}>", GOOD)
        assert result(make_engine(SILENT), arriving(message))[:2] == ("accept", message)


def test_a_peer_with_an_ipv6_address_is_not_named() -> None:
    packet = arriving(spoofing(f"<tel:+{CALLER}>"), "2001:db8::7", "2001:db8:1::1")
    assert seen(result(make_engine(SILENT), packet)[1]) == [f"<sip:+{CALLER}@unknown.invalid;user=phone>"]


def test_the_asserted_identity_of_a_trusted_peer_stays() -> None:
    message = spoofing(f"a/b <tel:+{CALLER};x=a@b>;y")
    assert result(make_engine(TRUSTED + SILENT), arriving(message))[:2] == ("accept", message)


@pytest.mark.parametrize(
    "name", ["<sip:+1@h>;", "sip:a@b@h", "<sip:+1%00@h>", "<>", "<sip:+1@h", '"a <sip:+1@h>', "a:b <sip:+1@h>"]
)
def test_what_names_no_one_is_removed(name: str) -> None:
    """The filter takes the caller from From, and so must the SBC."""
    message = invite(f"P-Asserted-Identity: {name}", GOOD)
    _, out, record = result(make_engine(SILENT), arriving(message))
    assert record["outcome"] == "passed"
    assert seen(out) == [f"<sip:+{CALLER}@carrier.example>"]
    hidden = sent_by("<sip:anonymous@anonymous.invalid>", f"P-Asserted-Identity: {name}")
    _, out, record = result(make_engine(SILENT), arriving(hidden))
    assert record["outcome"] == "no-identity"
    assert seen(out) == []


def test_an_anonymous_asserted_identity_stays() -> None:
    message = sent_by("<sip:anonymous@anonymous.invalid>", "P-Asserted-Identity: <sip:anonymous@anonymous.invalid>")
    assert result(make_engine(SILENT), arriving(message))[1] == message


@pytest.mark.parametrize(
    ("sender", "shown"),
    [
        ("<sip:%2b{}@h>", "<sip:+{}@h>"),
        ("<SIP:+{}@h>", "<sip:+{}@h>"),
        ("a/b <sip:+{};x@anonymous.invalid>", "<sip:+{};x@anonymous.invalid>"),
        ("<sip:+{}@h:999999>", "<sip:+{}@192.0.2.7;user=phone>"),
        ("<sip:+1-215-555-0100@h>", "<sip:+{}@h>"),
        ("<sip:+{}:secret@h>", "<sip:+{}@h>"),
        ('"<sip:+19005550123@h>" <sip:+{}@h>', "<sip:+{}@h>"),
        ("<tel:+1-215-555-0100>", "<sip:+{}@192.0.2.7;user=phone>"),
        ("sip:+{}@h_h", "<sip:+{}@192.0.2.7>"),
        ("sip:%2b{}@h", "<sip:+{}@h>"),
    ],
)
def test_a_from_that_is_not_plain_gets_an_asserted_identity(sender: str, shown: str) -> None:
    message = sent_by(sender.replace("{}", CALLER), GOOD)
    _, out, record = result(make_engine(SILENT), arriving(message))
    assert record["outcome"] == "passed"
    assert out == added(message, f"P-Asserted-Identity: {shown.replace('{}', CALLER)}")


@pytest.mark.parametrize(
    "sender",
    [
        "<sip:+{}@a@b>",
        "<sip:+{};x=%40+19005550123@h>",
        "<sip:+{}%00@h>",
        "<sip:+{}%01@h>",
        "<sip:+{}%0a@h>",
        "<sip:+{};x=%00@h>",
        "<sip:+{};x=%3C@h>",
        "<pres:+{}@h>",
        "<im:+{}@h>",
        "<http:+{}@h>",
        "<tel:%2b{}>",
        "<tel:+{}?x>",
        "<tel:+{};x=a@b>",
        "<sip:{}@h:999999>",
        "<sip:{}>",
    ],
)
def test_a_from_with_two_readings_does_not_pass(sender: str) -> None:
    """The token is true for one of them. Such a From is not anonymous either."""
    message = sent_by(sender.replace("{}", CALLER), GOOD)
    action, out, record = result(make_engine(REJECT), arriving(message))
    assert (action, record["outcome"], record["detail"]) == ("reject", "invalid", "ambiguous-caller")
    assert out.startswith(b"SIP/2.0 438 ")
    marked = result(make_engine(VERIFY), arriving(message))[1]
    (only,) = seen(marked)
    assert f"+{CALLER};verstat=TN-Validation-Failed" in only


@pytest.mark.parametrize(
    "sender",
    [
        "<sip:{}@anonymous.invalid>",
        "<sip:%2b{}@anonymous.invalid>",
        "<sip:+{};x@anonymous.invalid>",
        "<SIP:+{}@anonymous.invalid>",
        "<sip:+{}@a@b>",
        "<sip:+{}%00@h>",
        "<sip:+{}%7f@h>",
        "<pres:+{}@h>",
        "<sipx:+{}@h>",
        "<tel:%2b{}>",
        "<sip:{}@h:999999>",
        "<sip:{}>",
    ],
)
def test_a_number_is_not_anonymous_however_it_is_written(sender: str) -> None:
    junk = sent_by(sender.replace("{}", VICTIM), "Identity: junk")
    _, out, record = result(make_engine(VERIFY), arriving(junk))
    assert (record["outcome"], record.get("orig")) == ("invalid", VICTIM)
    (only,) = seen(out)
    assert f"{VICTIM}" in only
    assert "verstat=TN-Validation-Failed" in only


@pytest.mark.parametrize("sender", ["<sip:anonymous@h>", "<sip:192.0.2.7>", "<sip:[2001:db8::1]>", "<sip:12.example>"])
def test_who_gives_no_number_is_anonymous(sender: str) -> None:
    record = result(make_engine(VERIFY), arriving(sent_by(sender, "Identity: junk")))[2]
    assert (record["outcome"], record.get("orig")) == ("anonymous", None)


GERMAN = "<sip:9005550123;phone-context=+49@h;user=phone>"
GERMAN_TOKEN = identity(claims(orig={"tn": "499005550123"}))


@pytest.mark.parametrize(
    ("sender", "headers", "shown"),
    [
        (GERMAN, [], "<sip:+499005550123@h;user=phone>"),
        ("<tel:9005550123;phone-context=+49>", [], "<sip:+499005550123@192.0.2.7;user=phone>"),
        ("<sip:+499005550123@h>", [f"P-Asserted-Identity: {GERMAN}"], "<sip:+499005550123@h;user=phone>"),
        (f"<sip:+{VICTIM}@h>", [f"P-Asserted-Identity: {GERMAN}"], "<sip:+499005550123@h;user=phone>"),
        (GERMAN.replace("phone-context", "PHONE-CONTEXT"), [], "<sip:+499005550123@h;user=phone>"),
        (GERMAN.replace(";phone-context", ";isub=1;phone-context"), [], "<sip:+499005550123;isub=1@h;user=phone>"),
        (GERMAN.replace("9005550123", "900-555.01(23)"), [], "<sip:+499005550123@h;user=phone>"),
        (GERMAN.replace("<sip:", '"+12155550177" <sip:'), [], "<sip:+499005550123@h;user=phone>"),
        (GERMAN.replace("sip:", "SIP:"), [], "<sip:+499005550123@h;user=phone>"),
        ("<tel:9005550123;isub=1;phone-context=+49>", [], "<sip:+499005550123;isub=1@192.0.2.7;user=phone>"),
        ("<tel:900-555-0123;phone-context=+49>", [], "<sip:+499005550123@192.0.2.7;user=phone>"),
    ],
)
def test_a_number_with_a_context_is_shown_in_international_form(sender: str, headers: list[str], shown: str) -> None:
    """RFC 3966 §5.1.5: stacks show 9005550123, which is another number in the plan of the network."""
    message = sent_by(sender, *headers, GERMAN_TOKEN)
    _, out, record = result(make_engine(SILENT), arriving(message))
    assert (record["outcome"], record.get("orig")) == ("passed", "499005550123")
    assert seen(out) == [shown]


def test_an_sbc_that_reads_from_alone_sees_the_digits_without_their_context() -> None:
    alone = SILENT.replace("[rule.verify]", '[rule.verify]\ncaller_from = ["from"]')
    record = result(make_engine(alone), arriving(sent_by(GERMAN, GERMAN_TOKEN)))[2]
    assert (record["outcome"], record["detail"]) == ("invalid", "ambiguous-caller")
    ours = GERMAN.replace("9005550123", CALLER[1:]).replace("+49", "+1")  # the same number with and without it
    assert result(make_engine(alone), arriving(sent_by(ours, GOOD)))[2]["outcome"] == "passed"


def test_a_caller_that_cannot_be_shown_for_want_of_room_does_not_pass() -> None:
    pai = f"a/b <tel:+{CALLER}>"
    message = spoofing(pai)
    size = 65507 - len(message) - len("60000") + len("0")
    message = message.replace(b"Content-Length: 0", b"Content-Length: %d" % size) + b"x" * size
    assert len(message) == 65507
    record = result(make_engine(REJECT), arriving(message))[2]
    assert (record["verdict"], record["detail"]) == ("reject", "ambiguous-caller")


def test_who_is_not_verified_is_shown_plain_as_well() -> None:
    """A mark of failure belongs to the number that every stack sees."""
    forged = identity(key=LAB.root.key)
    out = result(make_engine(VERIFY), arriving(spoofing(f"a/b <sip:+{CALLER}@h>;x", token=forged)))[1]
    assert seen(out) == [f'"a/b" <sip:+{CALLER};verstat=TN-Validation-Failed@h>']
