"""Who calls: a number before a URI, the same answer for verifying and signing, and no mark without a number (S-072)."""

import pytest
from support.calls import (
    CALLER,
    CARRIER,
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
from support.verifying import GOOD

from sbc_filter.sip.message import SipMessage

OTHER = "12155550111"
ACME = "<sip:acme@carrier.example>"
TRUSTED = f'[trunks.t]\naddresses = ["{CARRIER}"]\ntrusted = true\n'
# P-Asserted-Identity lines, the user of From, and the caller.
NUMBERS_FIRST = [
    ([f"{ACME}, <tel:+{OTHER}>"], CALLER, OTHER),  # RFC 3325 §9.1, as an IMS core writes it
    ([f"<tel:+{OTHER}>, {ACME}"], CALLER, OTHER),
    ([ACME, f"<tel:+{OTHER}>"], CALLER, OTHER),
    ([f"<tel:+{OTHER}>", ACME], CALLER, OTHER),
    ([f'"Acme, Inc." {ACME},"Acme" <sip:+{OTHER}@h;user=phone>'], CALLER, OTHER),
    ([f"<sip:1001@pbx.example>, <sip:+{OTHER}@h>"], CALLER, OTHER),
    ([f"<sip:anonymous@anonymous.invalid>, <tel:+{OTHER}>"], CALLER, OTHER),
    ([f"<urn:service:sos>, {ACME}, <tel:+{OTHER}>"], CALLER, OTHER),
    ([f"sip:acme@carrier.example, tel:+{OTHER}"], CALLER, OTHER),
    ([f"<tel:+{OTHER}>, <tel:+{CALLER}>"], CALLER, OTHER),  # two numbers: the first
    ([ACME], CALLER, CALLER),  # a source without a number gives way
    ([ACME, "<sip:1001@pbx.example>"], CALLER, CALLER),
    (["<sip:unavailable@unknown.invalid>"], CALLER, CALLER),
    (["<sip:anonymous@anonymous.invalid>"], CALLER, CALLER),
    ([ACME], "alice", "sip:acme@carrier.example"),  # no number anywhere: the first URI
    ([], "alice", "sip:alice@carrier.example"),
]


def call(asserted: list[str], sender: str, *headers: str) -> bytes:
    message = invite(*(f"P-Asserted-Identity: {each}" for each in asserted), *headers)
    user = f"+{sender}" if sender.isdigit() else sender
    return message.replace(f"From: <sip:+{CALLER}@".encode(), f"From: <sip:{user}@".encode())


def of(caller: str) -> str:
    """The Identity line of a token for this caller."""
    return identity(claims(orig={"tn": caller} if caller.isdigit() else {"uri": caller}))


def asserted_in(message: bytes) -> list[bytes]:
    return SipMessage.parse(message).values(b"p-asserted-identity")


@pytest.mark.parametrize(("asserted", "sender", "caller"), NUMBERS_FIRST)
@pytest.mark.parametrize("trunks", ["", TRUSTED])
def test_a_number_comes_before_a_uri(trunks: str, asserted: list[str], sender: str, caller: str) -> None:
    """S-072: the same caller is verified, from a trusted peer and from others, and is the one that is marked."""
    message = call(asserted, sender, of(caller))
    _, out, record = result(make_engine(trunks + VERIFY), arriving(message))
    assert (record["outcome"], record["orig"]) == ("passed", caller)
    marked = [value for value in asserted_in(out) if b"verstat=" in value]
    assert len(marked) == caller.isdigit()
    assert all(f"+{caller}".encode() in value for value in marked)
    if trunks:  # a trusted peer's own fields stay
        unmarked = out.replace(b";verstat=TN-Validation-Passed", b"")
        assert all(f"P-Asserted-Identity: {each}\r\n".encode() in unmarked for each in asserted)


@pytest.mark.parametrize(("asserted", "sender", "caller"), NUMBERS_FIRST)
def test_the_same_number_is_signed(asserted: list[str], sender: str, caller: str) -> None:
    record = result(make_engine(SIGN), leaving(call(asserted, sender)))[2]
    expected = ("signed", None) if caller.isdigit() else ("unsigned", "no-caller")
    assert (record["outcome"], record["detail"], record["orig"]) == (*expected, caller)


@pytest.mark.parametrize(("asserted", "sender", "caller"), NUMBERS_FIRST)
def test_the_number_stays_without_a_token(asserted: list[str], sender: str, caller: str) -> None:
    out = result(make_engine(VERIFY), arriving(call(asserted, sender)))[1]
    marked = [value for value in asserted_in(out) if b"verstat=No-TN-Validation" in value]
    assert [f"+{caller}".encode() in value for value in marked] == [True] * caller.isdigit()


NOBODY = [
    "sip:anonymous@anonymous.invalid",
    "sip:anonymous@carrier.example",
    "sip:ANONYMOUS@Anonymous.Invalid",
    "sip:unavailable@unknown.invalid",
    "sip:restricted@carrier.example",
    "sip:anonymous@192.0.2.7;user=phone",
    "sip:alice@any.invalid",
    "sips:anonymous@anonymous.invalid:5061",
    "sip:carrier.example",
    "tel:anonymous",
    "tel:restricted",
    "tel:unavailable",
]
AMBIGUOUS = [
    "sip:+12155550100@a@b",
    "sip:+12155550100%00@h",
    "sip:+12155550100%01@h",
    "sip:+12155550100%0a@h",
    "sip:+12155550100%7f@h",
    "pres:+12155550100@h",
    "im:+12155550100@h",
    "http:+12155550100@h",
    "sipx:+12155550100@h",
    "tel:+12155550100?x=y",
    "tel:+12155550100@h",
    "tel:acme",
]
NUMBER = [
    "sip:+12155550100@anonymous.invalid",
    "sip:12155550100@anonymous.invalid",
    "sip:%2b12155550100@anonymous.invalid",
    "SIP:+12155550100@anonymous.invalid",
    "sip:+12155550100;x@anonymous.invalid",
    "sip:+1-215-555-0100@anonymous.invalid",
    "sip:2155550100@anonymous.invalid",
    "sips:+12155550100@unknown.invalid",
    "sip:+12155550100:secret@anonymous.invalid",
    "sip:%31%32155550100@anonymous.invalid",
    "TEL:+12155550100",
]
JUNK = "Identity: e30.e30.AA;info=<https://certificates.example.org/a.pem>;alg=ES256;ppt=shaken"


def sent_by(uri: str, *headers: str) -> bytes:
    return invite(*headers).replace(f"<sip:+{CALLER}@carrier.example>".encode(), f"<{uri}>".encode())


@pytest.mark.parametrize("trunks", ["", TRUSTED])
@pytest.mark.parametrize("uri", NOBODY)
def test_nobody_calls(trunks: str, uri: str) -> None:
    """S-121: nothing is marked or asserted, whatever else is wrong."""
    for header, outcome in (("X-Y: 1", "no-identity"), (JUNK, "anonymous"), (GOOD, "anonymous")):
        message = sent_by(uri, header)
        action, out, record = result(make_engine(trunks + VERIFY), arriving(message))
        assert (action, out, record["outcome"], record["orig"]) == ("accept", message, outcome, None)


@pytest.mark.parametrize("trunks", ["", TRUSTED])
@pytest.mark.parametrize("uri", AMBIGUOUS)
def test_an_ambiguous_caller_is_not_anonymous(trunks: str, uri: str) -> None:
    """A call from it never passes, and is never without a caller."""
    for header in (JUNK, GOOD):
        record = result(make_engine(trunks + VERIFY), arriving(sent_by(uri, header)))[2]
        assert record["outcome"] == "invalid"
        assert record["orig"] is not None


@pytest.mark.parametrize("uri", AMBIGUOUS)
def test_an_ambiguous_caller_is_not_signed(uri: str) -> None:
    record = result(make_engine(SIGN), leaving(sent_by(uri)))[2]
    assert (record["outcome"], record["detail"]) == ("unsigned", "no-caller")


@pytest.mark.parametrize("trunks", ["", TRUSTED])
@pytest.mark.parametrize("uri", NUMBER)
def test_a_number_is_a_number_at_any_host(trunks: str, uri: str) -> None:
    record = result(make_engine(trunks + VERIFY), arriving(sent_by(uri, GOOD)))[2]
    assert (record["outcome"], record["orig"]) == ("passed", CALLER)
    assert result(make_engine(SIGN), leaving(sent_by(uri)))[2]["outcome"] == "signed"


WORDS = [
    "sip:acme@carrier.example",
    "sip:acme@carrier.example;user=phone",
    "sips:acme@carrier.example",
    "sip:1001@pbx.example",
    "sip:alice.smith@carrier.example:5070",
    "sip:acme;x=1@carrier.example",
    "sip:acme:secret@carrier.example",
    "SIP:Acme@Carrier.Example",
    "sip:a%20b@carrier.example",
    "sip:c%c3%a9line@carrier.example",
    "urn:service:sos",
]


@pytest.mark.parametrize("header", ["X-Y: 1", JUNK, "P-Asserted-Identity: <sip:acme@carrier.example>"])
@pytest.mark.parametrize("trunks", ["", TRUSTED])
@pytest.mark.parametrize("uri", WORDS)
def test_a_caller_without_a_number_is_not_marked(trunks: str, uri: str, header: str) -> None:
    """S-110: verstat belongs to a telephone number, and a From that no peer asserted stays unasserted."""
    message = sent_by(uri, header)
    action, out, record = result(make_engine(trunks + VERIFY), arriving(message))
    assert (action, out, record["verstat"]) == ("accept", message, None)


CALLING = f"<sip:+{OTHER}@h>"


@pytest.mark.parametrize(
    ("rpid", "caller"),
    [
        (CALLING, OTHER),
        (f"{CALLING};party=calling", OTHER),
        (f"{CALLING};Party=Calling;id-type=subscriber;screen=yes", OTHER),
        (f'"Acme" {CALLING};party="calling";privacy=off', OTHER),
        (f"{CALLING};party=called", CALLER),
        (f"{CALLING};PARTY=CALLED", CALLER),
        (f'{CALLING};screen=yes;party="called"', CALLER),
        (f"{CALLING} ; party = called", CALLER),
        (f"{CALLING};party=redirecting", CALLER),
        (f"{CALLING};party=calling;party=called", CALLER),
        (f"<tel:+12155550122>;party=called, {CALLING};party=calling", OTHER),
        (f"<tel:+12155550122>;party=called\r\nRemote-Party-ID: {CALLING}", OTHER),
        (f"<sip:acme@h>, {CALLING}", OTHER),
        ("<sip:acme@h>", CALLER),
        (f"<sip:+{OTHER}@h;party=called>", OTHER),  # a parameter of the URI
        (f"{CALLING};party=called, x", CALLER),
        (f"tel:+{OTHER};party=called", CALLER),
        (OTHER, CALLER),  # not an address
    ],
)
def test_the_calling_party_of_a_remote_party_id(rpid: str, caller: str) -> None:
    """draft-ietf-sip-privacy-04 §5.1: `party` says whose identity it is."""
    rules = SIGN + 'caller_from = ["Remote-Party-ID", "from"]\n'
    record = result(make_engine(rules), leaving(invite(f"Remote-Party-ID: {rpid}")))[2]
    assert (record["outcome"], record["orig"]) == ("signed", caller)
