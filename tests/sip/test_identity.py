"""The Identity grammar: accepted, tolerated, refused (STANDARDS §3, §19)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbc_filter.errors import Detail, VerificationError
from sbc_filter.sip.identity import parse_parameters, split_identity

GOOD = (b"aa", b"bb", b"cc", "https://c.example/p.cer", "ES256", "shaken")


def parse_identity(value: bytes) -> tuple[bytes, bytes, bytes, str, str | None, str | None]:
    header, payload, signature, parameters = split_identity(value)
    return (header, payload, signature, *parse_parameters(parameters))


@pytest.mark.parametrize(
    "value",
    [
        b"aa.bb.cc;info=<https://c.example/p.cer>;alg=ES256;ppt=shaken",  # S-030
        b'aa.bb.cc;ppt="shaken";alg=ES256;info=<https://c.example/p.cer>',  # S-036
        b'aa.bb.cc ; INFO = <https://c.example/p.cer> ;Alg="ES256"; ppt=shaken',
        b"aa.bb.cc;info=https://c.example/p.cer;alg=ES256;ppt=shaken",
        b'aa.bb.cc;info="https://c.example/p.cer";alg=ES256;ppt=shaken',
        b"aa=.bb==.cc=;info=<https://c.example/p.cer>;alg=ES256;ppt=shaken",
        b"a a.b b.cc;info=<https://c.example/p.cer>;alg=ES256;ppt=shaken;x;y=1",  # S-037
    ],
)
def test_accepted(value: bytes) -> None:
    assert parse_identity(value) == GOOD


def test_alg_and_ppt_are_optional_and_the_compact_form_is_known() -> None:
    identity = parse_identity(b"..cc;info=<https://c.example/p.cer>")  # S-013, S-033
    assert identity == (b"", b"", b"cc", "https://c.example/p.cer", None, None)


@pytest.mark.parametrize(
    ("value", "detail"),
    [
        (b"", Detail.IDENTITY_SYNTAX),
        (b"aa.bb.cc", Detail.IDENTITY_SYNTAX),  # no info
        (b"aa.bb;info=<https://c>", Detail.IDENTITY_SYNTAX),
        (b"aa.bb.cc.dd;info=<https://c>", Detail.IDENTITY_SYNTAX),
        (b".bb.cc;info=<https://c>", Detail.IDENTITY_SYNTAX),
        (b"a+.b/.cc;info=<https://c>", Detail.IDENTITY_SYNTAX),  # errata 6499
        (b'"ZYNBbHC00VMZr2kZt6VmCvPonWJMGvQTBDqghoWeLxJfzB2a1pxAr3VgrB0SsSAa"', Detail.IDENTITY_SYNTAX),  # S-035
        (b"aa.bb.cc;info=<https://c>;info=<https://d>", Detail.IDENTITY_SYNTAX),
        (b"aa.bb.cc;info=<https://c>,dd.ee.ff;info=<https://d>", Detail.IDENTITY_SYNTAX),  # S-032
        (b"a" * 8200, Detail.TOO_LARGE),  # S-016
    ],
)
def test_refused(value: bytes, detail: Detail) -> None:
    with pytest.raises(VerificationError) as caught:
        parse_identity(value)
    assert caught.value.detail is detail


@given(st.binary(max_size=200))
def test_any_bytes_parse_or_raise_the_one_error(value: bytes) -> None:
    for raw in (value, b"aa.bb.cc;info=<" + value + b">", b"aa.bb.cc" + value):
        try:
            parse_identity(raw)
        except VerificationError:
            pass
