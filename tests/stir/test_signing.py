"""The token that the authentication service makes (RFC 8224 §6.1, RFC 8588), apart from any call."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from support.calls import CALLED, CALLER, CREDENTIAL, NOW, ORIGID

from sbc_filter.errors import SigningError
from sbc_filter.outcomes import Detail
from sbc_filter.stir.passport import canonical_json, decode_segment
from sbc_filter.stir.signing import issue_time, sign_shaken

URI, OTHER_URI = "sip:alice@example.com", "sip:bob@example.net"


def payload(orig: str = CALLER, dest: Sequence[str] = (CALLED,), **more: Any) -> bytes:
    value = sign_shaken(CREDENTIAL, orig, dest, "A", ORIGID, int(NOW), NOW, more)
    return decode_segment(value.split(b".")[1])


@pytest.mark.parametrize(
    ("orig", "dest", "claims"),
    [
        (CALLER, [CALLED], {"orig": {"tn": CALLER}, "dest": {"tn": [CALLED]}}),
        (URI, [OTHER_URI], {"orig": {"uri": URI}, "dest": {"uri": [OTHER_URI]}}),
        (CALLER, ["2", CALLED, "2"], {"orig": {"tn": CALLER}, "dest": {"tn": [CALLED, "2"]}}),
        (CALLER, [OTHER_URI, CALLED, URI], {"orig": {"tn": CALLER}, "dest": {"tn": [CALLED], "uri": [URI, OTHER_URI]}}),
        (CALLER, [OTHER_URI, URI], {"orig": {"tn": CALLER}, "dest": {"uri": [URI, OTHER_URI]}}),
        ('sip:"@x', [CALLED], {"orig": {"uri": 'sip:"@x'}, "dest": {"tn": [CALLED]}}),
    ],
)
def test_s005_s010_as_rfc_8225_has_it_written(orig: str, dest: list[str], claims: dict[str, Any]) -> None:
    """Sorted, without white space, each identity once, numbers before URIs."""
    expected = {"attest": "A", "iat": int(NOW), "origid": ORIGID, **claims}
    assert payload(orig, dest) == canonical_json(expected)
    assert json.loads(payload(orig, dest, crn="why")) == {**expected, "crn": "why"}
    assert payload(orig, dest, crn="why") == canonical_json({**expected, "crn": "why"})


BEGIN, END = CREDENTIAL.not_before, CREDENTIAL.not_after


@pytest.mark.parametrize(
    ("iat", "now", "good"),
    [
        (BEGIN, BEGIN, True),
        (BEGIN - 1, BEGIN, False),
        (BEGIN, BEGIN - 1, False),
        (BEGIN - 1, END, False),
        (END, END, True),
        (END + 1, END, False),
        (END, END + 1, False),
        (BEGIN, END, True),
    ],
)
def test_s093_the_credential_is_valid_at_iat_and_now(iat: float, now: float, good: bool) -> None:
    try:
        assert sign_shaken(CREDENTIAL, CALLER, (CALLED,), "A", ORIGID, int(iat), now)
    except SigningError as error:
        assert (good, error.detail) == (False, Detail.CREDENTIAL_EXPIRED)
    else:
        assert good


@pytest.mark.parametrize(
    ("date", "iat"),
    [
        (None, 1_800_000_000),
        (1_800_000_000, 1_800_000_000),
        (1_800_000_060, 1_800_000_060),
        (1_800_000_061, None),
        (1_799_999_940, 1_799_999_940),
        (1_799_999_939, None),
    ],
)
def test_a12_a13_a14_iat_is_the_date_unless_that_is_wrong(date: int | None, iat: int | None) -> None:
    """S-051, S-052."""
    if iat is not None:
        assert issue_time(date, NOW) == iat
        return
    with pytest.raises(SigningError) as caught:
        issue_time(date, NOW)
    assert caught.value.detail is Detail.STALE_DATE
