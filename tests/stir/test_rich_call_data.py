"""S-130 to S-134, S-024: rich call data (RFC 9795): what may be shown of a caller."""

import base64
import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbc_filter.stir.passport import canonical_json
from sbc_filter.stir.rich_call_data import Reference, RichCallData, Unusable, names_agree, read_rcd

ICON = "https://example.com/photos/q-256x256.png"
CARD = "https://example.com/qbranch.json"
ICON_DIGEST = "sha256-QFdU3L3ZM0VIBkVO0D5kdQ1ZdtVTpgT2bTPrZ8nKbEM"  # of some picture
JCARD = [
    "vcard",
    [
        ["version", {}, "text", "4.0"],
        ["fn", {}, "text", "Q Branch"],
        ["org", {}, "text", "MI6;Q Branch Spy Gadgets"],
        ["photo", {}, "uri", "https://example.com/photos/quartermaster-256x256.png"],
        ["logo", {}, "uri", "https://example.com/logos/mi6-256x256.jpg"],
        ["logo", {}, "uri", "https://example.com/logos/mi6-64x64.jpg"],
    ],
]
JCARD_DIGEST = "sha256-7kdCBZqH0nqMSPsmABvsKlHPhZEStgjojhdSJGRr3rk"  # RFC 9795 §6.1.3


def digest(value: Any, function: str = "sha256") -> str:
    made = hashlib.new(function, canonical_json(value)).digest()
    return f"{function}-{base64.b64encode(made).decode().rstrip('=')}"


def rcd(rcdi: Any = None, **members: Any) -> dict[str, Any]:
    """The claims of the examples in RFC 9795, with these members in rcd; None takes one out."""
    made = {key: value for key, value in {"nam": "Q Branch Spy Gadgets", **members}.items() if value is not None}
    return {"rcd": made} if rcdi is None else {"rcd": made, "rcdi": rcdi}


GADGETS = "Q Branch Spy Gadgets"


@pytest.mark.parametrize(
    ("claims", "read"),
    [
        pytest.param({"attest": "A"}, None, id="none"),
        pytest.param(rcd(), RichCallData(GADGETS), id="a name"),
        pytest.param(rcd(nam=""), RichCallData(""), id="no name to be told"),
        pytest.param({"crn": "Rendezvous"}, RichCallData(reason="Rendezvous"), id="a reason alone"),
        pytest.param(rcd() | {"crn": "Repair"}, RichCallData(GADGETS, reason="Repair"), id="a reason"),
        pytest.param(rcd() | {"iss": "Zorin"}, RichCallData(GADGETS, issuer="Zorin"), id="S-133 third party"),
        pytest.param(rcd(apn="+1 215 555 1212"), RichCallData(GADGETS, "12155551212"), id="another number"),
        pytest.param(rcd(apn="bob"), RichCallData(GADGETS), id="no number"),
        pytest.param(rcd(apn={"tn": "1"}), RichCallData(GADGETS), id="a number in no form we know"),
        pytest.param(rcd(new={"x": 1}), RichCallData(GADGETS), id="a member we do not know"),
        pytest.param(rcd({}, jcd=JCARD), RichCallData(GADGETS, card=JCARD), id="a card"),
        pytest.param(rcd({"/jcd": JCARD_DIGEST}, jcd=JCARD), RichCallData(GADGETS, card=JCARD), id="S-024"),
        pytest.param(
            rcd({"/icn": ICON_DIGEST}, icn=ICON), RichCallData(GADGETS, icon=Reference(ICON, ICON_DIGEST)), id="icon"
        ),
        pytest.param(rcd(icn=ICON), RichCallData(GADGETS), id="S-131 an icon without digest"),
        pytest.param(rcd({"/nam": digest(GADGETS)}, icn=ICON), RichCallData(GADGETS), id="S-131 none for the icon"),
        pytest.param(rcd({"/icn": ICON_DIGEST}, icn="http" + ICON[5:]), RichCallData(GADGETS), id="icon not https"),
        pytest.param(rcd({"/icn": ICON_DIGEST}, icn="data:image/png,x"), RichCallData(GADGETS), id="icon inside"),
        pytest.param(rcd({"/icn": ICON_DIGEST}, icn=5), RichCallData(GADGETS), id="icon no string"),
        pytest.param(
            rcd({"/jcl": JCARD_DIGEST, "/jcl/1/3/3": ICON_DIGEST}, jcl=CARD),
            RichCallData(GADGETS, card_link=Reference(CARD, JCARD_DIGEST)),
            id="S-131 a link to a card, and digests of what that links to",
        ),
        pytest.param(rcd(jcl=CARD), RichCallData(GADGETS), id="a link to a card without digest"),
    ],
)  # fmt: skip
def test_s130_what_is_read(claims: dict[str, Any], read: RichCallData | None) -> None:
    assert read_rcd(claims) == read


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        (rcd(nam=None), "rcd has no nam, or nam is not a short text"),
        (rcd(nam=5), "rcd has no nam, or nam is not a short text"),
        (rcd(nam=["Q"]), "rcd has no nam, or nam is not a short text"),
        (rcd(nam="Q" * 257), "rcd has no nam, or nam is not a short text"),
        (rcd(nam="Q\r\nP-Asserted-Identity: x"), "rcd has no nam, or nam is not a short text"),
        (rcd(nam="Q\0"), "rcd has no nam, or nam is not a short text"),
        (rcd(nam="\ud800"), "rcd has no nam, or nam is not a short text"),
        (rcd(nam="\u202eknaB"), "rcd has no nam, or nam is not a short text"),
        ({"rcd": None}, "rcd has no nam, or nam is not a short text"),
        ({"rcd": "Q"}, "rcd has no nam, or nam is not a short text"),
        (rcd() | {"crn": 5}, "crn is not a short text"),
        ({"crn": None}, "crn is not a short text"),
        (rcd() | {"crn": "x" * 257}, "crn is not a short text"),
        (rcd() | {"iss": ["x"]}, "iss is not a short text"),
        (rcd(jcd=JCARD, jcl=CARD), "jcd is not a jCard, or there is jcl as well"),
        (rcd(jcd="vcard"), "jcd is not a jCard, or there is jcl as well"),
        (rcd(jcd=[]), "jcd is not a jCard, or there is jcl as well"),
        (rcd(jcd={"vcard": []}), "jcd is not a jCard, or there is jcl as well"),
        (rcd(jcl="http://example.com/"), "jcl is not an https URL"),
        (rcd(jcl="https://example.com/\n"), "jcl is not an https URL"),
        (rcd(jcl='https://example.com/">'), "jcl is not an https URL"),
        (rcd(jcl="https://example.com/" + "x" * 2048), "jcl is not an https URL"),
        (rcd(jcl=[CARD]), "jcl is not an https URL"),
    ],
)
def test_s130_what_nobody_should_see(claims: dict[str, Any], why: str) -> None:
    assert read_rcd(claims) == Unusable(why)


@pytest.mark.parametrize(
    "rcdi",
    [
        # RFC 9795 §6.1.1: the quotes of a string are digested with it.
        {"/nam": "sha256-sM275lTgzCte+LHOKHtU4SxG8shlOo6OS4ot8IJQImY"},
        {"/nam": "sha256-sM275lTgzCte+LHOKHtU4SxG8shlOo6OS4ot8IJQImY="},
        {"/nam": digest(GADGETS, "sha384")},
        {"/nam": digest(GADGETS, "sha512")},
        {"/jcd": JCARD_DIGEST},
        {"/jcd": JCARD_DIGEST, "/jcd/1/3/3": ICON_DIGEST, "/jcd/1/4/3": ICON_DIGEST},  # of the pictures
        {"/jcd/1/1": digest(["fn", {}, "text", "Q Branch"]), "/jcd/1/1/3": digest("Q Branch")},
        {"/jcd/1/3/0": digest("photo"), "/jcd/1/3/2": digest("uri")},
        {"/a~1b/~01/": digest(7)},
        {"/deep": digest({"b": [1.5, None, True], "a": "é"})},
    ],
)
def test_s131_digests(rcdi: dict[str, str]) -> None:
    members = {"jcd": JCARD, "a/b": {"~1": {"": 7}}, "deep": {"b": [1.5, None, True], "a": "é"}}
    assert read_rcd(rcd(rcdi, **members)) == RichCallData(GADGETS, card=JCARD)


@pytest.mark.parametrize(
    ("rcdi", "why"),
    [
        ({"/nam": digest("Q")}, "the digest of /nam does not match"),
        ({"/nam": ICON_DIGEST}, "the digest of /nam does not match"),
        ({"/jcd": digest([])}, "the digest of /jcd does not match"),
        ({"/jcd/1/1/3": ICON_DIGEST}, "the digest of /jcd/1/1/3 does not match"),
        ({"/jcd/1/3": ICON_DIGEST}, "the digest of /jcd/1/3 does not match"),
        ({"/jcd/1/3/0": ICON_DIGEST}, "the digest of /jcd/1/3/0 does not match"),
        ({"/jcd/1/3/1": ICON_DIGEST}, "the digest of /jcd/1/3/1 does not match"),
        ({"/jcd/1/3/2": ICON_DIGEST}, "the digest of /jcd/1/3/2 does not match"),
        ({"/homepage": ICON_DIGEST}, "the digest of /homepage does not match"),  # only what has to be a link is one
        ({"/x": ICON_DIGEST}, "rcdi points to nothing"),
        ({"/icn": ICON_DIGEST}, "rcdi points to nothing"),
        ({"/jcl/1": ICON_DIGEST}, "rcdi points to nothing"),
        ({"/nam/0": ICON_DIGEST}, "rcdi points to nothing"),
        ({"/jcd/2": ICON_DIGEST}, "rcdi points to nothing"),
        ({"/jcd/-1": ICON_DIGEST}, "rcdi points to nothing"),
        ({"/jcd/01": ICON_DIGEST}, "rcdi points to nothing"),
        ({"/jcd/-": ICON_DIGEST}, "rcdi points to nothing"),
        ({"/jcd/99999999999999999999": ICON_DIGEST}, "rcdi points to nothing"),
        ({"/half": ICON_DIGEST}, "rcdi points to nothing"),
        ({"": digest({})}, "rcdi contains a key that is not a JSON pointer"),
        ({"nam": digest(GADGETS)}, "rcdi contains a key that is not a JSON pointer"),
        ({"/nam~2": ICON_DIGEST}, "rcdi contains a key that is not a JSON pointer"),
        ({"/nam~": ICON_DIGEST}, "rcdi contains a key that is not a JSON pointer"),
        ({"/" * 17: ICON_DIGEST}, "rcdi contains a key that is not a JSON pointer"),
        ({"/" + "x" * 256: ICON_DIGEST}, "rcdi contains a key that is not a JSON pointer"),
        ({"/nam": "md5-CY9rzUYh03PK3k6DJie09g"}, "rcdi contains a value that is not a digest"),
        ({"/nam": "sha256-"}, "rcdi contains a value that is not a digest"),
        ({"/nam": ICON_DIGEST[:-1]}, "rcdi contains a value that is not a digest"),
        ({"/nam": ICON_DIGEST.replace("Q", "_")}, "rcdi contains a value that is not a digest"),
        ({"/nam": ICON_DIGEST.replace("256", "512")}, "rcdi contains a value that is not a digest"),
        ({"/nam": ICON_DIGEST.upper()}, "rcdi contains a value that is not a digest"),
        ({"/nam": ICON_DIGEST + "\n"}, "rcdi contains a value that is not a digest"),
        ({"/nam": None}, "rcdi contains a value that is not a digest"),
        ({"/nam": [ICON_DIGEST]}, "rcdi contains a value that is not a digest"),
        ({f"/{at}": ICON_DIGEST for at in range(33)}, "rcdi is not an object of digests, or too large"),
        ([], "rcdi is not an object of digests, or too large"),
        ("x", "rcdi is not an object of digests, or too large"),
        (5, "rcdi is not an object of digests, or too large"),
    ],
)
def test_s131_digests_that_are_wrong(rcdi: Any, why: str) -> None:
    assert read_rcd(rcd(rcdi, jcd=JCARD, homepage=ICON, half="\ud800")) == Unusable(why)


@pytest.mark.parametrize(
    ("name", "display", "agree"),
    [
        ("Q Branch", b'"Q Branch"', True),
        ("Q Branch", b"Q Branch", True),
        ("Q Branch", b' " Q \r\n\t Branch " ', True),
        ('The "Q"', rb'"The \"Q\""', True),
        ("a\\b", rb'"a\\b"', True),
        ("Café", b'"Cafe\xcc\x81"', True),  # the accent as a character of its own
        ("Q Branch", b"", True),
        ("Q Branch", b'""', True),
        ("", b"", True),
        ("Q Branch", b'"q branch"', False),
        ("Q Branch", b'"Q Branch Spy Gadgets"', False),
        ("Q Branch", b'"Bank"', False),
        ("", b'"Bank"', False),
        ("Q Branch", b"\xff", False),
        ("Q", b'"Q', True),
    ],
)
def test_s132_the_name_and_the_display_name(name: str, display: bytes, agree: bool) -> None:
    assert names_agree(name, display) is agree


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["0", "nam", "jcd", "/", "~"]), inner),
    max_leaves=8,
)
POINTERS = st.sampled_from(["/nam", "/icn", "/jcd", "/jcd/0", "/jcd/1/0/3", "/jcl", "/jcl/0", "/~0", "/", "", "x"])
DIGESTS = st.sampled_from([ICON_DIGEST, JCARD_DIGEST, digest("x"), digest("x", "sha512")])


@given(
    st.dictionaries(st.sampled_from(["nam", "apn", "icn", "jcd", "jcl"]), JSON | st.text(max_size=3)) | JSON,
    st.dictionaries(POINTERS, DIGESTS | JSON) | JSON,
    JSON,
    JSON,
    st.binary(max_size=20),
)
def test_any_claims(data: Any, rcdi: Any, crn: Any, iss: Any, display: bytes) -> None:
    made = read_rcd({"rcd": data, "rcdi": rcdi, "crn": crn, "iss": iss})
    assert isinstance(made, RichCallData | Unusable)
    if isinstance(made, RichCallData) and made.name:
        assert names_agree(made.name, display) in (True, False)


@pytest.mark.parametrize(("size", "agrees"), [(1024, True), (1025, False)])
def test_a_display_name_that_is_too_long_to_be_compared(size: int, agrees: bool) -> None:
    """Unicode composes four characters to one at most; a name of 6000 accents took 40 ms to be put in order."""
    shown = "\u0391\u0313\u0300\u0345" * 256 + "a" * (size - 1024)  # a Greek letter with three marks: U+1F82's capital
    assert names_agree("\u1f8a" * 256 + "a" * (size - 1024), f'"{shown}"'.encode()) is agrees


def test_blanks_do_not_count_in_a_long_display_name() -> None:
    assert names_agree("Q Branch", b'"Q' + b" " * 5000 + b'Branch"')
    assert names_agree("Q Branch", b'"' + b" " * 5000 + b'"')


@pytest.mark.parametrize(
    ("pointers", "why"),
    [
        (["/jcd", "/jcd/1"], None),
        (["/jcd", "/jcd/1/0", "/jcd/1/1", "/nam"], None),
        (["/jcd", "/jcd/1", "/jcd/1/3/3"], None),  # a link: its content is not in the token
        (["/jcd", "/jcd/1", "/jcd/1/0"], "the digests in rcdi cover the same value too often"),
        (["/jcd/1/0/3", "/jcd/1/0", "/jcd/1"], "the digests in rcdi cover the same value too often"),
    ],
)
def test_a_value_has_at_most_two_digests(pointers: list[str], why: str | None) -> None:
    """With thirteen digests of one list, each around the other, twelve tokens took 14 ms."""
    values = {
        "/jcd": JCARD,
        "/jcd/1": JCARD[1],
        "/jcd/1/0": JCARD[1][0],
        "/jcd/1/1": JCARD[1][1],
        "/jcd/1/0/3": "4.0",
        "/jcd/1/3/3": "content",
        "/nam": GADGETS,
    }
    found = read_rcd(rcd({pointer: digest(values[pointer]) for pointer in pointers}, jcd=JCARD))
    assert (found.why if isinstance(found, Unusable) else None) == why
