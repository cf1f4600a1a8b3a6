"""S-001 to S-011, S-016: what a well-formed PASSporT is, and what is refused before anybody believes it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.calls import CALLED, CALLER, NOW, ORIGID, claims, identity

from sbc_filter.errors import VerificationError
from sbc_filter.lab.certificate_maker import X5U
from sbc_filter.outcomes import Detail, Deviation, Outcome
from sbc_filter.stir.passport import (
    canonical_json,
    decode_segment,
    encode_segment,
    parse_claims,
    parse_jose,
)
from sbc_filter.stir.token import read_token

GOOD = '{"attest":"A","dest":{"tn":["12155550199"]},"iat":1800000000,"orig":{"tn":"12155550100"},"origid":"x"}'


def broken(*values: Any, reason: str) -> Any:
    return pytest.param(*values)


def refusal(read: Any, data: bytes | str) -> tuple[Outcome, Detail]:
    with pytest.raises(VerificationError) as caught:
        read(encode_segment(data.encode() if isinstance(data, str) else data))
    return caught.value.outcome, caught.value.detail


def value_of(header_line: str) -> bytes:
    return header_line.partition(": ")[2].encode()


def token_refusal(header_line: str) -> tuple[Outcome, Detail]:
    with pytest.raises(VerificationError) as caught:
        read_token(value_of(header_line))
    return caught.value.outcome, caught.value.detail


def test_s001_the_header() -> None:
    text = '{"alg":"ES256","ppt":"shaken","typ":"passport","x5u":"https://cert.example.org/p.cer"}'
    assert parse_jose(encode_segment(text.encode())) == ("ES256", "shaken", "https://cert.example.org/p.cer")
    assert canonical_json(json.loads(text)) == text.encode()


@pytest.mark.parametrize(
    ("changes", "outcome", "detail"),
    [
        ({"typ": "JWT"}, Outcome.INVALID, Detail.TYP),  # S-001
        ({"typ": "PASSPORT"}, Outcome.INVALID, Detail.TYP),
        ({"typ": None}, Outcome.INVALID, Detail.TYP),
        ({"typ": ["passport"]}, Outcome.INVALID, Detail.TYP),
        ({"x5u": None}, Outcome.INVALID, Detail.X5U_MISSING),
        ({"x5u": ""}, Outcome.INVALID, Detail.X5U_MISSING),
        ({"x5u": ["https://c.example/"]}, Outcome.INVALID, Detail.X5U_MISSING),
        ({"alg": "none"}, Outcome.UNTRUSTED, Detail.ALG),  # S-002, V7
        ({"alg": "HS256"}, Outcome.UNTRUSTED, Detail.ALG),
        ({"alg": "RS256"}, Outcome.UNTRUSTED, Detail.ALG),
        ({"alg": "es256"}, Outcome.UNTRUSTED, Detail.ALG),
        ({"alg": "ES384"}, Outcome.UNTRUSTED, Detail.ALG),
        ({"alg": "ES256 "}, Outcome.UNTRUSTED, Detail.ALG),
        ({"alg": None}, Outcome.INVALID, Detail.ALG_MISMATCH),
        ({"alg": ["ES256"]}, Outcome.INVALID, Detail.ALG_MISMATCH),
        ({"ppt": 5}, Outcome.INVALID, Detail.PPT_MISMATCH),
        ({"crit": ["exp"]}, Outcome.INVALID, Detail.CRIT),
        ({"crit": []}, Outcome.INVALID, Detail.CRIT),
    ],
)
def test_s001_s002_refused_headers(changes: dict[str, Any], outcome: Outcome, detail: Detail) -> None:
    header = {"alg": "ES256", "ppt": "shaken", "typ": "passport", "x5u": X5U} | changes
    made = {key: value for key, value in header.items() if value is not None or key == "ppt"}
    assert refusal(parse_jose, canonical_json(made)) == (outcome, detail)


def test_keys_in_the_header_are_not_listened_to() -> None:
    """STANDARDS §19: `jwk`, `jku`, `x5c` are no source of keys."""
    header = {
        "alg": "ES256",
        "typ": "passport",
        "x5u": X5U,
        "jwk": {"kty": "EC"},
        "jku": "https://evil.example/",
        "x5c": [],
    }
    assert parse_jose(encode_segment(canonical_json(header))) == ("ES256", None, X5U)


def test_s005_the_canonical_form() -> None:
    """RFC 8225 §9: keys sorted at every level, no white space, UTF-8 as it is."""
    value = {
        "orig": {"tn": "12155551212"},
        "attest": "A",
        "iat": 1443208345,
        "dest": {"uri": ["b"], "tn": ["1"]},
        "é": True,
    }
    text = '{"attest":"A","dest":{"tn":["1"],"uri":["b"]},"iat":1443208345,"orig":{"tn":"12155551212"},"é":true}'
    assert canonical_json(value) == text.encode()


def test_s006_order_and_space_do_not_matter_to_a_reader() -> None:
    spaced = ' {\n "origid" : "x", "orig":\t{"tn":"12155550100"},"iat":1800000000,"attest":"A",\r\n'
    spaced += '"dest":{"tn":["12155550199"]}} \n'
    assert parse_claims(encode_segment(spaced.encode()))[:5] == parse_claims(encode_segment(GOOD.encode()))[:5]


def test_the_claims() -> None:
    made = parse_claims(encode_segment(GOOD.encode()))
    assert made[:5] == ("12155550100", ("12155550199",), 1_800_000_000, "A", "x")
    assert made.all == json.loads(GOOD)


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        (GOOD.replace('"iat"', '"orig":{"tn":"1"},"iat"'), Detail.DUPLICATE_KEY),  # S-007
        (GOOD.replace('{"tn":"12155550100"}', '{"tn":"1","tn":"12155550100"}'), Detail.DUPLICATE_KEY),
        (GOOD.replace('"attest"', '"\\u006frigid":"y","attest"'), Detail.DUPLICATE_KEY),  # the same key, escaped
        (GOOD.replace("1800000000", "NaN"), Detail.JSON),
        (GOOD.replace("1800000000", "Infinity"), Detail.JSON),
        (GOOD.replace("1800000000", "-Infinity"), Detail.JSON),
        (GOOD.replace("1800000000", "1" * 5000), Detail.JSON),  # more digits than int() takes
        (GOOD.replace("1800000000", "01800000000"), Detail.JSON),
        (GOOD.replace("1800000000", "0x6b49d200"), Detail.JSON),
        (GOOD.replace('"A"', "'A'"), Detail.JSON),
        (GOOD.replace('"A"', '"\n"'), Detail.JSON),
        (GOOD + "x", Detail.JSON),
        (GOOD + GOOD, Detail.JSON),
        (GOOD[:-1], Detail.JSON),
        (GOOD[:-1] + ",}", Detail.JSON),
        (f"[{GOOD}]", Detail.JSON),
        ("", Detail.JSON),
        ("  ", Detail.JSON),
        ("null", Detail.JSON),
        ("5", Detail.JSON),
        ('"x"', Detail.JSON),
        ("\ufeff" + GOOD, Detail.JSON),
        ("\u00a0" + GOOD, Detail.JSON),
        ("// comment\n" + GOOD, Detail.JSON),
    ],
)
def test_s007_what_is_no_json_or_ambiguous(text: str, detail: Detail) -> None:
    assert refusal(parse_claims, text) == (Outcome.INVALID, detail)


@pytest.mark.parametrize(
    "data",
    [b"\xff", b'{"attest":"\xe9"}', GOOD.encode("utf-16"), GOOD.encode("utf-32"), b'{"a":"\xed\xa0\x80"}', b"\xc0\x80"],
)
def test_s016_what_is_not_utf_8(data: bytes) -> None:
    assert refusal(parse_claims, data) == (Outcome.INVALID, Detail.JSON)


NESTED = '{"n":' * 14 + "[1]" + "}" * 14  # 15 deep, and the claims around it
DEPTH = "stir/passport.py: _depth() lets the closing brackets in strings pay for opening ones outside"


@pytest.mark.parametrize(
    "text",
    [
        "[" * 1_000_000,
        "[" * 1_000_000 + "]" * 1_000_000,
        '{"a":' * 200_000,
        '{"a":' + "[" * 16 + "]" * 16 + "}",
        '{"a":' * 17 + "1" + "}" * 17,
        "[{" * 9 + "}]" * 9,
        broken('{"a":"' + "]" * 1500 + '","b":' + "[" * 1500, reason=DEPTH),
        broken('{"a":"' + "]" * 1500 + '","b":' + "[" * 1500 + "]" * 1500 + "}", reason=DEPTH),
        broken('{"a":' + '["]",' * 900 + "1" + "]" * 900 + "}", reason=DEPTH),
        broken('{"a":"' + "}" * 20 + '","b":' + "[" * 20 + "]" * 20 + "}", reason=DEPTH),
    ],
)
def test_s016_a_bomb_of_brackets(text: str) -> None:
    assert refusal(parse_claims, text) == (Outcome.INVALID, Detail.JSON)


def test_s016_a_depth_of_16_is_read() -> None:
    made = parse_claims(encode_segment(GOOD.replace('"attest"', f'"vendor":{NESTED},"attest"').encode()))
    assert made.orig == "12155550100"


def test_s016_many_brackets_side_by_side_are_not_deep() -> None:
    wide = GOOD.replace('"attest"', '"vendor":[' + ",".join(["[]"] * 200) + '],"attest"')
    assert parse_claims(encode_segment(wide.encode())).attest == "A"


def test_s016_a_token_of_more_than_8_kib() -> None:
    assert token_refusal(identity(claims(vendor="x" * 8192))) == (Outcome.INVALID, Detail.TOO_LARGE)


@pytest.mark.parametrize(
    ("iat", "read"),
    [
        ("0", 0),
        ("1471375418", 1471375418),
        ("1471375418.0", 1471375418),
        ("1.471375418e9", 1471375418),
        # a fraction is dropped (RFC 7519 §2)
        ("1471375418.5", 1471375418),
        ("1471375418.999999999", 1471375419),  # no double is closer
        ("1471375418.9999", 1471375418),
        ("1471375418.123456", 1471375418),
        ("1.4713754181e9", 1471375418),
        ("0.5", 0),
        ("1e-5", 0),
        ("999999999999", 999999999999),
    ],
)
def test_s008_iat(iat: str, read: int) -> None:
    made = parse_claims(encode_segment(GOOD.replace("1800000000", iat).encode()))
    assert (made.iat, type(made.iat)) == (read, int)


@pytest.mark.parametrize(
    "iat",
    [
        '"1471375418"', "null", "true", "false", "[1471375418]", '{"a":1}', "-0.5", '"1471375418.5"', "1e999",
        "-1e999", "1e300",
        "-1", "1000000000000", "1" * 4000, "1000000000000.5",
        broken("-1.0", reason="stir/passport.py: _iat() takes a negative number when it is written as a float"),
    ],
)  # fmt: skip
def test_s008_what_is_no_iat(iat: str) -> None:
    assert refusal(parse_claims, GOOD.replace("1800000000", iat)) == (Outcome.INVALID, Detail.CLAIM_IAT)


def test_a_claim_that_is_missing() -> None:
    for name, detail in (("orig", Detail.CLAIM_ORIG), ("dest", Detail.CLAIM_DEST), ("iat", Detail.CLAIM_IAT)):
        assert refusal(parse_claims, canonical_json(claims(**{name: None}))) == (Outcome.INVALID, detail)


SURROGATE = "stir/passport.py: _identity() encodes a lone surrogate, and UnicodeEncodeError is not caught"
NOT_A_LIST = "stir/passport.py: _dest() iterates over whatever is not a string: S-010 knows arrays only"


@pytest.mark.parametrize(
    ("orig", "read"),
    [
        ('{"tn":"12155551212"}', "12155551212"),  # S-011
        ('{"tn":"*67#"}', "*67#"),
        ('{"tn":"+1 215-555-1212"}', "12155551212"),  # §19
        ('{"tn":["12155551212"]}', "12155551212"),
        ('{"uri":"sip:Alice@EXAMPLE.com"}', "sip:alice@example.com"),  # S-044
        ('{"uri":"http://example.com"}', "http://example.com"),  # nobody that calls: equal to nothing
    ],
)
def test_s009_orig(orig: str, read: str) -> None:
    assert parse_claims(encode_segment(GOOD.replace('{"tn":"12155550100"}', orig).encode())).orig == read


@pytest.mark.parametrize(
    "orig",
    [
        '{"tn":"1","uri":"sip:a@b"}', "{}", "[]", "null", "5", '"12155550100"', '["12155550100"]', '{"tn":[]}',
        '{"tn":["1","2"]}',
        '{"tn":5}', '{"tn":null}', '{"tn":{"1":1}}', '{"tn":[["1"]]}', '{"tn":""}', '{"tn":"+"}', '{"tn":"alice"}',
        '{"tn":"1a"}',
        '{"tn":"\\u0661"}', '{"tn":"\\ud800"}', '{"TN":"1"}', '{"tel":"1"}', '{"uri":5}',
        '{"uri":["sip:a@b","sip:c@d"]}', '{"uri":"12155550100"}', '{"uri":["12155550100"]}',
        broken('{"uri":"\\ud800"}', reason=SURROGATE),
        broken('{"uri":["sip:\\udfff@example.com"]}', reason=SURROGATE),
    ],
)  # fmt: skip
def test_s009_what_is_no_orig(orig: str) -> None:
    text = GOOD.replace('{"tn":"12155550100"}', orig)
    assert refusal(parse_claims, text) == (Outcome.INVALID, Detail.CLAIM_ORIG)


@pytest.mark.parametrize(
    ("dest", "read"),
    [
        ('{"tn":["12155551212"]}', ("12155551212",)),
        (
            '{"tn":["12125551213"],"uri":["sip:alice@example.com","sip:bob@example.net"]}',
            ("12125551213", "sip:alice@example.com", "sip:bob@example.net"),
        ),
        ('{"tn":"12155551212"}', ("12155551212",)),  # §19
        ('{"tn":["+12155551212"]}', ("12155551212",)),
        ('{"tn":["3312345678901234"]}', ("3312345678901234",)),  # S-043
        ('{"uri":["sip:alice@example.com"],"tn":[]}', ("sip:alice@example.com",)),
    ],
)  # fmt: skip
def test_s010_dest(dest: str, read: tuple[str, ...]) -> None:
    assert parse_claims(encode_segment(GOOD.replace('{"tn":["12155550199"]}', dest).encode())).dest == read


@pytest.mark.parametrize(
    "dest",
    [
        "{}", '{"tn":[]}', '{"tn":[],"uri":[]}', '{"tn":""}', '{"tn":null}', "[]", "null", "5", '"1"', '{"tn":[5]}',
        '{"tn":[null]}',
        '{"tn":["1",["2"]]}', '{"tn":["alice"]}',
        '{"uri":["12155550199"]}', '{"uri":"12155550199"}', '{"tel":["1"]}', '{"tn":["1"],"other":["2"]}', '{"tn":0}',
        '{"tn":false}',
        '{"tn":[' + ",".join(['"1"'] * 65) + "]}",
        broken('{"tn":5}', reason=NOT_A_LIST),
        broken('{"tn":true}', reason=NOT_A_LIST),
        broken('{"tn":1.5}', reason=NOT_A_LIST),
        broken('{"tn":{"12155550199":1}}', reason=NOT_A_LIST),
        broken('{"tn":["1"],"uri":0}', reason=NOT_A_LIST),
        broken('{"uri":["\\ud800"]}', reason=SURROGATE),
    ],
)  # fmt: skip
def test_s010_what_is_no_dest(dest: str) -> None:
    text = GOOD.replace('{"tn":["12155550199"]}', dest)
    assert refusal(parse_claims, text) == (Outcome.INVALID, Detail.CLAIM_DEST)


def test_s010_64_numbers_are_read() -> None:
    numbers = [str(number) for number in range(12155550100, 12155550164)]
    assert parse_claims(encode_segment(canonical_json(claims(dest={"tn": numbers})))).dest == tuple(numbers)


def test_a_whole_shaken_token() -> None:
    token = read_token(value_of(identity()))
    assert token is not None
    assert token.jose == ("ES256", "shaken", X5U)
    assert token.claims[:5] == (CALLER, (CALLED,), int(NOW), "A", ORIGID)
    assert token.signed == value_of(identity()).partition(b";")[0].rpartition(b".")[0]  # S-006: the received octets


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"attest": None}, Detail.CLAIM_ATTEST),
        ({"attest": "D"}, Detail.CLAIM_ATTEST),
        ({"attest": "a"}, Detail.CLAIM_ATTEST),
        ({"attest": ""}, Detail.CLAIM_ATTEST),
        ({"attest": "AB"}, Detail.CLAIM_ATTEST),
        ({"attest": ["A"]}, Detail.CLAIM_ATTEST),
        ({"origid": None}, Detail.CLAIM_ORIGID),
        ({"origid": ""}, Detail.CLAIM_ORIGID),
        ({"origid": 5}, Detail.CLAIM_ORIGID),
        ({"iat": "1800000000"}, Detail.CLAIM_IAT),  # S-008
    ],
)
def test_what_shaken_asks_for(changes: dict[str, Any], detail: Detail) -> None:
    assert token_refusal(identity(claims(**changes))) == (Outcome.INVALID, detail)


@pytest.mark.parametrize(
    ("iat", "read"),
    [
        ("1800000000", 1_800_000_000),
        ('"1800000000"', 1_800_000_000),
        ('"999999999999"', 999_999_999_999),
        ('"1000000000000"', None),
        ('"-1"', None),
        ('"+1"', None),
        ('"1.0"', None),
        ('""', None),
        ('" 1"', None),
        ('"\u0661"', None),  # a digit, but not of ours
        ("[1800000000]", None),
        ('["1800000000"]', None),
        ("null", None),
        ("true", None),
        ("{}", None),
    ],
)
def test_s008_iat_where_a_string_is_tolerated(iat: str, read: int | None) -> None:
    segment = encode_segment(GOOD.replace("1800000000", f" {iat}").encode())
    if read is not None:
        assert parse_claims(segment, ["iat-string"]).iat == read
        return
    with pytest.raises(VerificationError) as caught:
        parse_claims(segment, ["iat-string"])
    assert caught.value.detail is Detail.CLAIM_IAT


def test_claims_of_others_are_let_be() -> None:
    """STANDARDS §19: rcd, crn, mky and vendors' claims in a shaken token."""
    token = read_token(value_of(identity(claims(rcd={"nam": "x"}, crn="y", vendor=[1, None, True]))))
    assert token is not None
    assert token.claims.all["vendor"] == [1, None, True]


@pytest.mark.parametrize(
    ("segment", "octets"),
    [(b"", b""), (b"QQ", b"A"), (b"QUI", b"AB"), (b"QUJD", b"ABC"), (b"-_-_", b"\xfb\xff\xbf")],
)
def test_base64url(segment: bytes, octets: bytes) -> None:
    assert decode_segment(segment) == octets
    assert encode_segment(octets) == segment


STRICT = "stir/passport.py: a2b_base64(strict_mode=True) lets the bits behind the last octet pass"


@pytest.mark.parametrize(
    "segment",
    [
        b"Q", b"QUJDR", b"Q=Q=", b"=QQ", b"QU JD", b"QUJD\n", b"QU.D", b"\xff\xff", b"QQ==QQ", b"====",
        broken(b"QR", reason=STRICT),
        broken(b"QUJ", reason=STRICT),
    ],
)  # fmt: skip
def test_what_is_no_base64url(segment: bytes) -> None:
    with pytest.raises(VerificationError) as caught:
        decode_segment(segment)
    assert (caught.value.outcome, caught.value.detail) == (Outcome.INVALID, Detail.BASE64)


@pytest.mark.parametrize("wrong", ["+", "/", "!", "\x00"])
def test_s030_another_alphabet_on_the_wire(wrong: str) -> None:
    line = identity()
    at = line.index(".") + 4
    assert token_refusal(line[:at] + wrong + line[at + 1 :]) == (Outcome.INVALID, Detail.IDENTITY_SYNTAX)


def test_padding_on_the_wire_is_tolerated() -> None:
    """STANDARDS §19: trailing `=` in segments is cut."""
    padded, plain = (
        read_token(value) for value in (value_of(identity()).replace(b";info", b"==;info"), value_of(identity()))
    )
    assert padded is not None
    assert plain is not None
    assert (padded.jose, padded.claims, padded.signed) == (plain.jose, plain.claims, plain.signed)
    assert (padded.signature, padded.deviations) == (plain.signature, (Deviation.PADDING,))


def attempt(read: Any, data: bytes) -> None:
    outcome = Outcome.INVALID
    try:
        read(data)
    except VerificationError as error:
        outcome = error.outcome
    assert outcome in (Outcome.INVALID, Outcome.UNTRUSTED)


@given(st.binary(max_size=120))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for read in (parse_jose, parse_claims):
        attempt(read, data)
        attempt(read, encode_segment(data))


PLAIN = st.characters(exclude_categories=["Cs"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(PLAIN, max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(PLAIN, max_size=4), inner, max_size=3),
    max_leaves=6,
)
NAMES = ["orig", "iat", "attest", "origid", "typ", "alg", "x5u", "ppt", "crit"]


@given(st.dictionaries(st.sampled_from(NAMES), JSON, max_size=5), JSON)
def test_any_object_is_read_or_refused(members: dict[str, Any], other: Any) -> None:
    attempt(parse_jose, encode_segment(canonical_json(members)))
    attempt(parse_claims, encode_segment(canonical_json(claims() | members | {"other": other})))


@given(JSON)
def test_any_dest_is_read_or_refused(value: Any) -> None:
    attempt(parse_claims, encode_segment(canonical_json(claims(dest={"tn": value}))))


@pytest.mark.parametrize(
    ("iat", "detail"),
    [
        ("1" * 64, Detail.CLAIM_IAT),
        ("1" * 65, Detail.CLAIM_IAT),
        ("-" + "1" * 65, Detail.CLAIM_IAT),
        ("1" * 4300, Detail.CLAIM_IAT),
        ("1" * 4301, Detail.JSON),
    ],
)
def test_an_iat_of_many_digits(iat: str, detail: Detail) -> None:
    assert refusal(parse_claims, GOOD.replace("1800000000", iat)) == (Outcome.INVALID, detail)


@pytest.mark.parametrize(
    ("number", "value", "is_canonical"),
    [
        ("1" * 64, int("1" * 64), True),
        ("-" + "1" * 63, -int("1" * 63), True),
        ("1" * 65, float("1" * 65), False),
        ("1" * 4300, float("inf"), False),
        ("-" + "1" * 4299, float("-inf"), False),
    ],
)
def test_a_long_number_in_another_claim_is_read_as_a_float(number: str, value: float, is_canonical: bool) -> None:
    """Half of the readers of JSON do so; as an integer, 4000 digits take quadratic time each time they are read."""
    found = parse_claims(encode_segment(f'{{"a":{number},{GOOD[1:]}'.encode()))
    assert found.all["a"] == value
    assert type(found.all["a"]) is type(value)
    assert (Deviation.JSON_FORM not in found.deviations) is is_canonical
    assert type(found.iat) is int


def test_claims_are_decoded_once() -> None:
    found = parse_claims(encode_segment(GOOD.encode()))
    assert found.all is found.all


@pytest.mark.parametrize("digits", [1, 64])
@pytest.mark.parametrize(("count", "is_read"), [(507, True), (508, False)])
def test_a_token_has_at_most_512_commas(digits: int, count: int, is_read: bool) -> None:
    """Each value costs time to parse and to write again. GOOD has four commas, and one follows the list."""
    text = f'{{"a":[{"1" * digits}{",1" * count}],{GOOD[1:]}'
    if is_read:
        assert parse_claims(encode_segment(text.encode())).all["a"] == [int("1" * digits), *[1] * count]
    else:
        assert refusal(parse_claims, text) == (Outcome.INVALID, Detail.JSON)
