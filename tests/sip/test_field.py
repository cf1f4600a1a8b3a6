"""The one door by which text becomes part of a message: what each place takes, and that there is no other way."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbc_filter.engine.call.verstat import DIALECTS
from sbc_filter.errors import FieldError
from sbc_filter.outcomes import VERIFICATION_OUTCOMES, Verstat, defaults_of
from sbc_filter.sip import field
from sbc_filter.sip.field import FieldText, HeaderField, StatusLine
from sbc_filter.sip.message import SipMessage
from sbc_filter.sip.response import build_response, top_via

UUID = "4437c7eb-8f7a-4f0e-a863-f53a0e60251a"
CONTROLS = [*map(chr, range(32)), "\x7f", "\x85", "\u2028"]
INVITE = b"INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP a\r\nFrom: <sip:a@b>\r\nTo: <sip:a@b>\r\n\r\n"

# What stands in the middle of a value of each place, and what makes it into one.
PLACES: dict[str, Callable[[str], HeaderField | FieldText | StatusLine | None]] = {
    "verstat": field.verstat,
    "attestation": lambda text: field.attestation("P-Attestation-Indicator", text),
    "origination": lambda text: field.origination("P-Origination-ID", text),
    "Identity": lambda text: field.identity(text.encode()),
    "preserved": lambda text: field.preserved(text.encode()),
    "P-Asserted-Identity": lambda text: field.asserted(text.encode()),
    "Contact": lambda text: field.contact(text.encode()),
    "Reason: protocol": lambda text: field.reason(text, 438, "text"),
    "Reason: text": lambda text: field.reason("STIR", 438, text),
    "Reason: ppi": lambda text: field.reason("STIR", 438, "text", text.encode()),
    "Reason of an operator": field.stated_reason,
    "bypass: name": lambda text: field.bypass(text, "token"),
    "bypass: value": lambda text: field.bypass("P-Identity-Bypass", text),
    "tag": field.tag,
    "status": lambda text: field.status(438, text),
}


def octets(made: HeaderField | FieldText | StatusLine) -> bytes:
    return made.text if isinstance(made, FieldText) else made.line


@pytest.mark.parametrize("make", PLACES.values(), ids=PLACES)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40) | st.sampled_from(CONTROLS))
def test_nothing_of_any_text_becomes_structure(
    make: Callable[[str], HeaderField | FieldText | StatusLine | None], text: str
) -> None:
    """Printable ASCII, and a line end where one belongs; or it is refused."""
    try:
        made = make(text)
    except FieldError:
        return
    if made is None:
        return
    written = octets(made)
    if not isinstance(made, FieldText):
        assert written.endswith(b"\r\n")
        written = written[:-2]
    assert field.is_printable(written)


@pytest.mark.parametrize("make", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("control", CONTROLS)
def test_no_control_character_passes(
    make: Callable[[str], HeaderField | FieldText | StatusLine | None], control: str
) -> None:
    for text in (f"A{control}B", f"A{control}", f"{control}A", f"A{control}X: 1"):
        try:
            made = make(text)
        except FieldError:
            continue
        assert made is None or control.encode() not in octets(made).removesuffix(b"\r\n")


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (field.attestation("P-Attestation-Indicator", "B"), b"P-Attestation-Indicator: B\r\n"),
        (field.attestation("Attestation-Info", "C"), b"Attestation-Info: C\r\n"),
        (field.origination("Origination-Id", UUID), b"Origination-Id: %b\r\n" % UUID.encode()),
        (field.origination("P-Origination-ID", UUID.upper()), b"P-Origination-ID: %b\r\n" % UUID.upper().encode()),
        (field.identity(b"a.b.c;info=<https://a>"), b"Identity: a.b.c;info=<https://a>\r\n"),
        (field.preserved(b"a.b.c\r\n\t;info=<https://a>"), b"Identity: a.b.c\r\n\t;info=<https://a>\r\n"),
        (field.preserved(b"a.b.c\n ;info=<https://a>\t;x"), b"Identity: a.b.c ;info=<https://a> ;x\r\n"),
        (field.preserved(b"a.b.c\r\n "), b"Identity: a.b.c\r\n"),
        (field.preserved(b"a.b.c\r\n ;x\r\n\t"), b"Identity: a.b.c ;x\r\n"),
        (field.date(1_800_000_000), b"Date: Fri, 15 Jan 2027 08:00:00 GMT\r\n"),
        (field.asserted(b"sip:+1215@a.example"), b"P-Asserted-Identity: <sip:+1215@a.example>\r\n"),
        (field.asserted('sip:j\u00e4>"x\\y@a'.encode()), b"P-Asserted-Identity: <sip:j%C3%A4%3E%22x%5Cy@a>\r\n"),
        (field.contact(b"sip:a\r\nX: 1@b"), b"Contact: <sip:a%0D%0AX:%201@b>\r\n"),
        (field.contact(b"sip:a@b;lr;method=REFER?Refer-To=c"), b"Contact: <sip:a@b;lr>\r\n"),  # RFC 3261 §19.1.5
        (field.reason("STIR", 436, "Bad Identity Info"), b'Reason: STIR ;cause=436 ;text="Bad Identity Info"\r\n'),
        (
            field.reason("STIR", 436, 'a "b" \\', b"..rq3p-_"),  # RFC 9410
            b'Reason: STIR ;cause=436 ;text="a \\"b\\" \\\\" ;ppi="..rq3p-_"\r\n',
        ),
        (field.stated_reason('SIP;cause=603;text="v=a;b"'), b'Reason: SIP;cause=603;text="v=a;b"\r\n'),
        (field.bypass("P-Identity-Bypass", "a b"), b"P-Identity-Bypass: a b\r\n"),
    ],
)
def test_header_fields(made: HeaderField | None, expected: bytes) -> None:
    assert made is not None
    assert made.line == expected
    assert made.name == expected.partition(b":")[0].lower()


def test_other_text() -> None:
    assert field.verstat("TN-Validation-Passed-C").text == b";verstat=TN-Validation-Passed-C"
    assert field.tag("abc").text == b";tag=abc"
    status = field.status(608, "Rejected")
    assert (status.code, status.line) == (608, b"SIP/2.0 608 Rejected\r\n")


@pytest.mark.parametrize("value", ["D", "a", "", "AB", "A ", "A\r\nX: 1", "\u0410"])
def test_an_attestation_is_a_b_or_c(value: str) -> None:
    """RFC 8588 §4."""
    assert field.attestation("P-Attestation-Indicator", value) is None


@pytest.mark.parametrize(
    "value", ["", "x", UUID[:-1], UUID + "0", UUID.replace("-", ""), UUID[:-1] + "g", f"{{{UUID}}}"]
)
def test_an_origination_identifier_is_a_uuid(value: str) -> None:
    """RFC 8588 §5, RFC 4122 §3."""
    assert field.origination("P-Origination-ID", value) is None


def test_no_other_header_field_takes_a_claim() -> None:
    assert field.attestation("Route", "A") is None
    assert field.origination("Route", UUID) is None


@pytest.mark.parametrize(
    ("make", "arguments"),
    [
        (field.verstat, ("TN-Validation-Passed-D",)),
        (field.verstat, ("x",)),
        (field.identity, (b"",)),
        (field.identity, (b"a\tb",)),
        (field.identity, ("\u00e4".encode(),)),
        (field.reason, ("ST IR", 438, "x")),
        (field.reason, ("STIR", 438, "x", b'"')),
        (field.stated_reason, ("SIP;cause=603\r\nX: 1",)),
        (field.bypass, ("X: 1", "x")),
        (field.bypass, ("X", "")),
        (field.status, (99, "OK")),
        (field.status, (700, "OK")),
        (field.status, (200, "")),
        (field.tag, ("a;b",)),
    ],
)
def test_refused(make: Callable[..., object], arguments: tuple[object, ...]) -> None:
    with pytest.raises(FieldError):
        make(*arguments)


@pytest.mark.parametrize(
    "value", [b"", b"\r\n", b"a\r\n\r\nb", b"a\r\nb", b"a\x1bb", b"a\0b", b"a\r\n \r\n", "\u00e4".encode()]
)
def test_what_is_put_back_is_one_field(value: bytes) -> None:
    made = field.preserved(value)
    assert made is None or made.line == b"Identity: " + b" ".join(value.split()) + b"\r\n"
    assert (made is None) == (b"a" not in value or bool(set(value) & {0x1B, 0, 0xC3}))


def test_the_dialects_are_known() -> None:
    """What a rule can have the SBC told has a form."""
    for dialect in DIALECTS.values():
        assert field.attestation(dialect.attestation, "A") is not None
        assert field.origination(dialect.origination, UUID) is not None
        for told in (*Verstat, *dialect.passed.values()):
            assert field.verstat(told).text == b";verstat=" + told.encode()
    for outcome in VERIFICATION_OUTCOMES:
        assert defaults_of(outcome, None).verstat in set(Verstat)


@pytest.mark.parametrize("kind", [HeaderField, FieldText, StatusLine])
def test_nothing_else_makes_one(kind: Callable[..., object]) -> None:
    arguments = {HeaderField: (b"x", b"X: 1\r\n"), FieldText: (b";x",), StatusLine: (200, b"SIP/2.0 200 OK\r\n")}[kind]  # type: ignore[index]
    for key in (None, object(), "", True):
        with pytest.raises(TypeError):
            kind(*arguments, key)
    with pytest.raises(TypeError):
        kind(*arguments)


def test_nothing_else_is_written() -> None:
    """Octets are not taken in place of a value of this module, whatever the type checker was told."""
    message = SipMessage.parse(INVITE)
    for octets_ in (b"X: 1\r\n", "X: 1\r\n"):
        with pytest.raises((AttributeError, TypeError)):
            message.add_header(octets_)  # type: ignore[arg-type]
        with pytest.raises((AttributeError, TypeError)):
            message.replace(0, 0, octets_)  # type: ignore[arg-type]
        with pytest.raises((AttributeError, TypeError)):
            build_response(message, top_via(message), field.status(200, "OK"), None, ("a", 1), [octets_])  # type: ignore[list-item]
        with pytest.raises((AttributeError, TypeError)):
            build_response(message, top_via(message), (200, octets_), None, ("a", 1))  # type: ignore[arg-type]
    with pytest.raises((AttributeError, TypeError)):
        message.add_header(field.PLACEHOLDER)  # type: ignore[arg-type]
    with pytest.raises((AttributeError, TypeError)):
        message.replace(0, 0, field.date(0))  # type: ignore[arg-type]
    assert message.to_bytes() is INVITE
