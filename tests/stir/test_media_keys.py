"""S-012: media keys (RFC 8225 §5.2.2): the claim mky and the fingerprints in the SDP."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbc_filter.errors import VerificationError
from sbc_filter.outcomes import Detail, Outcome
from sbc_filter.stir.media_keys import check_media, fingerprints, mky_of, parse_mky
from sbc_filter.stir.passport import canonical_json

ONE = "4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB:3E:4B:65:2E:7D:46:3F:54:42:CD:54:F1"
TWO = "02:1A:CC:54:27:AB:EB:9C:53:3F:3E:4B:65:2E:7D:46:3F:54:42:CD:54:F1:7A:03:A2:7D:F9:B0:7F:46:19:B2"
SHORT = "4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB"
KEY_1 = {"alg": "sha-256", "dig": ONE.replace(":", "")}
KEY_2 = {"alg": "sha-256", "dig": TWO.replace(":", "")}
KEY_3 = {"alg": "sha-1", "dig": SHORT.replace(":", "")}


def sdp(*lines: str, end: str = "\r\n") -> bytes:
    """The example of RFC 8225 §5.2.2, more or less: a session, two media, and `lines` behind the last."""
    head = ("v=0", "o=- 1 1 IN IP4 192.0.2.1", "s=-", "t=0 0", "m=audio 49152 UDP/TLS/RTP/SAVP 0")
    return "".join(line + end for line in (*head, *lines)).encode()


BOTH = sdp(f"a=fingerprint:sha-256 {ONE}", "m=video 49154 UDP/TLS/RTP/SAVP 31", f"a=fingerprint:sha-256 {TWO}")


def refusal(claims: dict[str, Any], body: bytes) -> Detail:
    with pytest.raises(VerificationError) as caught:
        check_media(claims, body)
    assert caught.value.outcome is Outcome.INVALID
    return caught.value.detail


def test_s012_the_claim_that_is_made() -> None:
    """Sorted on alg and dig, hexadecimal in upper case without colons, each once."""
    assert canonical_json(mky_of(BOTH)).decode() == (
        '[{"alg":"sha-256","dig":"021ACC5427ABEB9C533F3E4B652E7D463F5442CD54F17A03A27DF9B07F4619B2"},'
        '{"alg":"sha-256","dig":"4AADB9B13F82183B540212DF3E5D496B19E57CAB3E4B652E7D463F5442CD54F1"}]'
    )
    assert mky_of(BOTH + BOTH) == [KEY_2, KEY_1]
    assert mky_of(BOTH + sdp(f"a=fingerprint:SHA-1 {SHORT.lower()}")) == [KEY_3, KEY_2, KEY_1]
    assert mky_of(sdp()) == mky_of(b"") == []
    assert mky_of(sdp("a=fingerprint:sha-256 rubbish")) == []


@pytest.mark.parametrize(
    "body",
    [
        sdp(f"a=fingerprint:sha-256 {ONE}"),
        sdp(f"a=fingerprint:sha-256 {ONE}", end="\n"),
        sdp(f"a=fingerprint:sha-256 {ONE}", end="\r"),
        sdp(f"a=fingerprint:SHA-256 {ONE.lower()}"),  # RFC 8122 §5: the function ignores case
        sdp(f"A=FINGERPRINT: sha-256 \t {ONE} "),
        f"a=fingerprint:sha-256 {ONE}".encode(),
        b"--x\r\nContent-Type: application/sdp\r\n\r\n" + sdp(f"a=fingerprint:sha-256 {ONE}") + b"--x--\r\n",
    ],
)
def test_s012_fingerprints_are_found(body: bytes) -> None:
    assert fingerprints(body) == {("sha-256", KEY_1["dig"])}


@pytest.mark.parametrize(
    "body", [b"", sdp(), sdp(f"b=fingerprint:sha-256 {ONE}", f"a=xfingerprint:sha-256 {ONE}", "a=fingerprint")]
)
def test_s012_nothing_is_found(body: bytes) -> None:
    assert fingerprints(body) == frozenset()


@pytest.mark.parametrize(
    ("mky", "body"),
    [
        ([KEY_1, KEY_2], BOTH),
        ([KEY_2, KEY_1, KEY_1], BOTH),
        ([KEY_1, KEY_2, KEY_3], BOTH),
        ([KEY_1], sdp()),
        ([KEY_1], b""),
        ([{"alg": "SHA-256", "dig": ONE.lower()}, KEY_2], BOTH),
        ([KEY_1 | {"x": 1}, KEY_2], BOTH),
        ([KEY_1] * 64, b""),
        ([{"alg": "md5", "dig": "AB" * 16}], b""),  # from the shortest to the longest
        ([{"alg": "h" * 32, "dig": "AB" * 64}], b""),
    ],
)
def test_s012_the_keys_are_those_of_the_call(mky: Any, body: bytes) -> None:
    check_media({"mky": mky}, body)
    check_media({}, body)


@pytest.mark.parametrize(
    ("mky", "body"),
    [
        ([KEY_1], BOTH),
        ([KEY_3], BOTH),
        ([KEY_1 | {"alg": "sha-512"}, KEY_2], BOTH),
        ([KEY_1], sdp(f"a=fingerprint:sha-256 {TWO}")),
        ([KEY_1], sdp(f"a=fingerprint:sha-256 {ONE}:00")),
        ([KEY_1], sdp(f"a=fingerprint:sha-256 {ONE}", "a=fingerprint:")),  # others may read into it what they like
        ([KEY_1], sdp(f"a=fingerprint:sha-256 {ONE}", f"a=fingerprint:{TWO}")),
        ([KEY_1], sdp(f"a=fingerprint:sha-256 {ONE} {TWO}")),
        ([KEY_1], sdp(f"a=fingerprint:sha-256 {ONE[:48]} {ONE[48:]}")),
    ],
)
def test_s012_a_fingerprint_that_nobody_signed(mky: Any, body: bytes) -> None:
    assert refusal({"mky": mky}, body) is Detail.FINGERPRINT_MISMATCH


@pytest.mark.parametrize(
    "mky",
    [
        None, "x", 5, {}, KEY_1, [], [None], ["x"], [[]], [{}], [KEY_1, {}], [{"alg": "sha-256"}], [{"dig": "00"}],
        [KEY_1 | {"dig": ""}], [KEY_1 | {"dig": "xx" * 32}], [KEY_1 | {"dig": "0" * 63}], [KEY_1 | {"dig": 5}],
        [KEY_1 | {"alg": ""}], [KEY_1 | {"alg": "sha 256"}], [KEY_1 | {"alg": None}], [KEY_1 | {"dig": "AB" * 65}],
        [KEY_1] * 65, [KEY_1 | {"dig": "AB" * 15}], [KEY_1 | {"alg": "h"}], [KEY_1 | {"alg": "h" * 33}],
    ],
)  # fmt: skip
def test_s012_what_is_no_claim_mky(mky: Any) -> None:
    assert refusal({"mky": mky}, BOTH) is Detail.CLAIM_MKY
    assert refusal({"mky": mky}, b"") is Detail.CLAIM_MKY


@given(st.binary(max_size=80), st.binary(max_size=40))
def test_any_body(front: bytes, value: bytes) -> None:
    body = front + b"\r\na=fingerprint:" + value
    made = mky_of(body)
    assert len(made) <= len(fingerprints(body))
    if made:
        assert parse_mky(made) <= fingerprints(body)


@given(st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(
    st.sampled_from(["alg", "dig", "x"]), inner)))  # fmt: skip
def test_any_claim_is_refused_in_one_way_only(value: Any) -> None:
    try:
        parse_mky(value)
    except VerificationError as error:
        assert error.detail is Detail.CLAIM_MKY


def test_the_sdp_is_read_once_for_all_tokens_of_a_call() -> None:
    body = sdp(*[f"a=fingerprint:sha-256 {ONE}"] * 700)
    before = fingerprints.cache_info().hits
    for _ in range(16):
        check_media({"mky": [KEY_1]}, bytes(bytearray(body)))
    assert fingerprints.cache_info().hits - before >= 15
