"""The Identity grammar: accepted, tolerated, refused (STANDARDS §3, §19)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbc_filter.errors import VerificationError
from sbc_filter.outcomes import Detail, Deviation
from sbc_filter.stir.token import parse_parameters, split_identity, split_list

GOOD = (b"aa", b"bb", b"cc", "https://c.example/p.cer", "ES256", "shaken")


def parse_identity(value: bytes) -> tuple[tuple[bytes | str | None, ...], set[str]]:
    """Segments and parameters; how their form departs from the grammar."""
    header, payload, signature, rest, form = split_identity(value)
    info, alg, ppt, deviations = parse_parameters(rest)
    return (header, payload, signature, info, alg, ppt), {*form, *deviations}


@pytest.mark.parametrize(
    ("value", "deviations"),
    [
        (b"aa.bb.cc;info=<https://c.example/p.cer>;alg=ES256;ppt=shaken", set()),  # S-030
        (
            b'aa.bb.cc;ppt="shaken";alg=ES256;info=<https://c.example/p.cer>',
            {"parameter-form", "quoted-parameter"},
        ),  # S-036
        (
            b'aa.bb.cc ; INFO = <https://c.example/p.cer> ;Alg="ES256"; ppt=shaken',
            {"parameter-form", "quoted-parameter"},
        ),
        (b"aa.bb.cc;info=https://c.example/p.cer;alg=ES256;ppt=shaken", {"info-form"}),
        (b'aa.bb.cc;info="https://c.example/p.cer";alg=ES256;ppt=shaken', {"info-form"}),
        (b"aa=.bb==.cc=;info=<https://c.example/p.cer>;alg=ES256;ppt=shaken", {"padding"}),
        (b"a a.b b.cc;info=<https://c.example/p.cer>;alg=ES256;ppt=shaken;x;y=1", {"parameter-form"}),  # S-037
    ],
)
def test_accepted(value: bytes, deviations: set[str]) -> None:
    assert parse_identity(value) == (GOOD, deviations)


def test_alg_and_ppt_are_optional_and_the_compact_form_is_known() -> None:
    identity = parse_identity(b"..cc;info=<https://c.example/p.cer>")  # S-013, S-033
    assert identity == ((b"", b"", b"cc", "https://c.example/p.cer", None, None), {"no-alg-parameter"})


def test_errata_6499_ordinary_base64_only_where_it_is_asked_for() -> None:
    value = b"a+.b/=.cc;info=<https://c>"
    with pytest.raises(VerificationError):
        split_identity(value)
    assert split_identity(value, base64=True) == (
        *(b"a+", b"b/", b"cc", b";info=<https://c>"),
        (Deviation.STANDARD_BASE64, Deviation.PADDING),
    )


def test_s037_base64url_that_is_folded_is_not_ordinary_base64() -> None:
    value = b"a a.bb.cc;info=<https://c>"
    assert split_identity(value, base64=True)[4] == split_identity(value)[4] == (Deviation.PARAMETER_FORM,)


def test_s016_the_longest_value() -> None:
    longest = b"aa.bb.cc;info=<https://c>;x=".ljust(8192, b"x")
    assert split_identity(longest)[:3] == (b"aa", b"bb", b"cc")
    with pytest.raises(VerificationError) as caught:
        split_identity(longest + b"x")
    assert caught.value.detail is Detail.TOO_LARGE


@pytest.mark.parametrize(
    ("values", "split"),
    [
        ([b"a.b.c;info=<u>"], [b"a.b.c;info=<u>"]),
        ([b"a.b.c;info=<u>, d.e.f;info=<v>"], [b"a.b.c;info=<u>", b"d.e.f;info=<v>"]),  # S-032
        ([b"a.b.c;info=<u,v>,d", b"e"], [b"a.b.c;info=<u,v>", b"d", b"e"]),
        ([b'a;x="1,2",b', b",,"], [b'a;x="1,2"', b"b"]),
        ([b'a;x="1,b;info=<u,v'], [b'a;x="1', b"b;info=<u", b"v"]),
    ],
)
def test_s032_values_joined_by_commas(values: list[bytes], split: list[bytes]) -> None:
    assert split_list(values) == split


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
