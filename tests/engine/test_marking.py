"""The spellings of a planted verstat, on every path by which an INVITE goes on (S-110 to S-114)."""

import functools

import pytest
from support.calls import CALLER, VERIFY, arriving, identity, invite, make_engine, result
from support.verstats import CLAIM, SPELLINGS, seen_by_others

engine = functools.cache(make_engine)
NEW, DIALOG = invite(), invite(to_tag=";tag=t")
GOOD = identity()
# Where it is planted; {} stands behind the number, or behind the host.
PLACES = (
    "P-Asserted-Identity: <sip:+19005550123{}@h>",
    "P-Asserted-Identity: <sip:+19005550123@h{}>",
    "P-Asserted-Identity: <sip:+19005550123@h>{}",
    "P-Asserted-Identity: <tel:+19005550123{}>",
    "P-Preferred-Identity: <sip:+19005550123{}@h;user=phone>",
    "Remote-Party-ID: \"a\" <sip:+19005550123{}@h>;party=calling",
    "Diversion: <sip:+19005550123{}@h>;reason=unconditional",
    "History-Info: <sip:+19005550123{}@h>;index=1, <sip:+19005550124@h{}>;index=1.1",
)  # fmt: skip
READABLE = ("verified", "no rule", "in dialog")


def sent_on(path: str, headers: list[str], *, caller: str = CALLER) -> tuple[bytes, dict[str, object]]:
    """What arrives at the SBC, and the record."""
    message = invite(*headers, caller=caller, to_tag=";tag=t" if path == "in dialog" else "")
    return decided(path, message)


def decided(path: str, message: bytes) -> tuple[bytes, dict[str, object]]:
    """The same of one message; what cannot be read is made of it by a Content-Length that is too large."""
    if path == "unreadable":
        message = message.replace(b"Content-Length: 0", b"Content-Length: 9")
    _, out, record = result(engine("" if path == "no rule" else VERIFY), arriving(message))
    assert (record["outcome"] == "unparseable") is (path == "unreadable")
    return out, record


def test_the_judge_sees_every_spelling() -> None:
    for spelling in SPELLINGS:
        assert seen_by_others(invite(f"P-Asserted-Identity: <sip:+19005550123{spelling}@h>")), spelling


@pytest.mark.parametrize("path", [*READABLE, "unreadable"])
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_no_spelling_goes_on(spelling: str, path: str) -> None:
    """S-114; and ours is the only one where the call is marked: never behind another (S-111)."""
    for place in PLACES:
        out, record = sent_on(path, [place.replace("{}", spelling)])
        if path == "verified":
            assert record["outcome"] in ("no-identity", "anonymous")
        ours = [b";verstat=" + str(record["verstat"]).encode()] if record["verstat"] else []
        assert set(seen_by_others(out)) == set(ours), place
        assert out.count(b"verstat=") == len(ours)


@pytest.mark.parametrize("spelling", [each for each in SPELLINGS if "\x01" not in each and "\x0b" not in each])
def test_nor_in_the_fields_that_every_invite_has(spelling: str) -> None:
    for path in (*READABLE, "unreadable"):
        for mine, planted in (
            (f"<sip:+{CALLER}@carrier.example>", f"<sip:+{CALLER}{spelling}@carrier.example>"),
            (f"<sip:+{CALLER}@192.0.2.7>", f"<sip:+{CALLER}@192.0.2.7{spelling}>"),
            ("sip:+12155550199@192.0.2.1 ", f"sip:+12155550199{spelling}@192.0.2.1 "),
            ("sip:+12155550199@192.0.2.1 ", f"sip:+12155550199@192.0.2.1{spelling} "),
        ):
            message = (DIALOG if path == "in dialog" else NEW).replace(mine.encode(), planted.encode())
            assert spelling.encode() in message
            out, record = decided(path, message)
            ours = {f";verstat={record['verstat']}".encode()} if record["verstat"] else set()
            assert set(seen_by_others(out)) == ours, (path, planted)


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_caller_who_is_verified_is_marked_once(spelling: str) -> None:
    """The true owner of a number gains nothing by a verstat of his own: the SBC reads ours, and no other."""
    for place in ("<sip:+{number}{planted}@h>", "<sip:+{number}@h{planted}>", "<tel:+{number}{planted}>"):
        uri = place.format(number=CALLER, planted=spelling)
        out, record = sent_on("verified", [f"P-Asserted-Identity: {uri}", GOOD])
        told = str(record["verstat"]).encode()
        assert set(seen_by_others(out)) == {b";verstat=" + told}
        assert len(seen_by_others(out)) == 2  # the same by either reading


@pytest.mark.parametrize(
    ("planted", "left"),
    [
        (";verstat%3dTN-Validation-Passed@h>", "@h>"),
        ("%3bverstat%3dTN-Validation-Passed@h>", "@h>"),
        ("@h;verstat%3dTN-Validation-Passed>", "@h>"),
        ("@h;a=b;verstat%3Dx;c=d>", "@h;a=b;c=d>"),
        # What follows would continue what precedes: another parameter stands between them.
        (';ver;verstat%3d"x"stat%3dx@h>', ";ver;xstat%3dx@h>"),
        (';ver%3bverstat%3d"x"stat%3dx@h>', ";ver%3bxstat%3dx@h>"),
        (";;verstat verstat=x@h>", ";;x x=x@h>"),
        (";;verstat%20verstat%3dx@h>", ";;x%20x%3dx@h>"),
        (";verstat%3bx@h>", ";x%3bx@h>"),
        # Other names, and what is an escape only when undone twice.
        (";verstats%3dx@h>", ";verstats%3dx@h>"),
        (";verstat%73%3dx@h>", ";verstat%73%3dx@h>"),
        (";verstat-x%3dx@h>", ";verstat-x%3dx@h>"),
        (";xverstat%3dx@h>", ";xverstat%3dx@h>"),
        (";verstat%253dx@h>", ";verstat%253dx@h>"),
        ("%253bverstat%3dx@h>", "%253bverstat%3dx@h>"),
    ],
)
def test_what_is_left(planted: str, left: str) -> None:
    message = invite(f"P-Preferred-Identity: <sip:+19005550123{planted}")
    assert result(make_engine(""), arriving(message))[1] == message.replace(planted.encode(), left.encode())


@pytest.mark.parametrize("planted", [";verstat%3dTN-Validation-Passed", "%3bverstat", ";verstat=x"])
def test_the_request_uri_ends_where_it_did(planted: str) -> None:
    message = invite()
    spoofed = message.replace(b"@192.0.2.1 SIP", f"@192.0.2.1{planted} SIP".encode(), 1)
    assert result(make_engine(""), arriving(spoofed))[1] == message


def test_a_cut_leaves_the_address_behind_a_display_name_readable() -> None:
    """Else the SBC would fall back to From, which names another than the caller who was verified."""
    message = invite(f"P-Asserted-Identity: a%3bverstat%3d<sip:+{CALLER}@h>", GOOD)
    out, record = result(make_engine(VERIFY), arriving(message))[1:]
    assert record["outcome"] == "passed"
    assert f"\r\nP-Asserted-Identity: a <sip:+{CALLER};verstat={CLAIM}@h>\r\n".encode() in out


@pytest.mark.parametrize(
    ("address", "left"),
    [
        ('<sip:+19005550123@h;x=";verstat=x;y=">', '<sip:+19005550123@h;x=";y=">'),
        ('<sip:+19005550123;x=";verstat=x;y="@h>', '<sip:+19005550123;x=";y="@h>'),
        ('<tel:+19005550123;x=";verstat=x;y=">', '<tel:+19005550123;x=";y=">'),
        ('a" <sip:+19005550123;verstat=x@h>;y="b', 'a" <sip:+19005550123@h>;y="b'),
        ('"a <sip:+19005550123;verstat=x@h>, "b" <sip:a@h>', '"a <sip:+19005550123@h>, "b" <sip:a@h>'),
        ('"\\"" <sip:+19005550123;verstat=x@h>;x="y"', '"\\"" <sip:+19005550123@h>;x="y"'),
    ],
)
@pytest.mark.parametrize("name", ["P-Asserted-Identity", "P-Preferred-Identity", "Contact", "Diversion"])
def test_no_quotes_hide_it_but_those_of_a_display_name(name: str, address: str, left: str) -> None:
    """An SBC that looks for brackets alone reads a parameter where quotes stand inside of them, or do not match."""
    message = invite(f"{name}: {address}")
    expected = message.replace(address.encode(), left.encode())
    assert result(make_engine(""), arriving(message))[1] == expected
