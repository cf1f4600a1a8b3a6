"""S-136: priority of calls (RFC 8443, RFC 9027): rph and sph against Resource-Priority and Priority."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbc_filter.errors import VerificationError
from sbc_filter.outcomes import Detail, Outcome
from sbc_filter.stir.priority import Priority, check_priority, parse_priority

ETS_WPS = {"rph": {"auth": ["ets.0", "wps.0"]}}  # RFC 8443 §3
CALL = {"rph": {"auth": ["esnet.1"]}}  # RFC 9027 §3
BACK = {"rph": {"auth": ["esnet.0"]}, "sph": "psap-callback"}  # RFC 9027 §4


def refusal(claims: Any, resource_priority: list[bytes], priority: list[bytes]) -> Detail:
    with pytest.raises(VerificationError) as caught:
        check_priority(claims, resource_priority, priority)
    assert caught.value.outcome is Outcome.INVALID
    return caught.value.detail


@pytest.mark.parametrize(
    ("claims", "resource_priority", "priority"),
    [
        (ETS_WPS, [b"ets.0, wps.0"], []),
        (ETS_WPS, [b"wps.0,ets.0"], []),
        (ETS_WPS, [b"ets.0", b"wps.0"], []),
        (ETS_WPS, [b" ETS.0 ,", b"wps.0 , ets.0"], [b"urgent"]),
        ({"rph": {"auth": ["ETS.0", "wps.0", "wps.0"], "new": 5}}, [b"ets.0, wps.0"], []),
        (CALL, [b"esnet.1"], []),
        (BACK, [b"esnet.0"], [b"psap-callback"]),
        (BACK, [b"esnet.0"], [b"PSAP-Callback"]),
        ({"rph": BACK["rph"]}, [b"esnet.0"], [b"psap-callback"]),
        ({"rph": {"ESorig": ["esnet.1"]}}, [b"esnet.1"], []),
        ({"rph": {"EScallback": ["esnet.0"]}, "sph": "psap-callback"}, [b"esnet.0"], [b"psap-callback"]),
        ({"rph": {"auth": ["ets.0"], "ESorig": ["esnet.1"]}}, [b"esnet.1, ets.0"], []),
        ({"rph": {"auth": ["ets.0"] * 32}}, [b"ets.0"], []),  # as many and as long as may be
        ({"rph": {"auth": ["e" * 64 + "." + "0" * 64]}}, [b"e" * 64 + b"." + b"0" * 64], []),
    ],
)
def test_s136_the_priority_is_the_one_that_was_signed(
    claims: Any, resource_priority: list[bytes], priority: list[bytes]
) -> None:
    assert check_priority(claims, resource_priority, priority) == parse_priority(claims)


def test_s136_what_is_read() -> None:
    assert parse_priority(ETS_WPS) == Priority(frozenset({"ets.0", "wps.0"}), False)
    assert parse_priority(BACK) == Priority(frozenset({"esnet.0"}), True)


@pytest.mark.parametrize(
    ("claims", "resource_priority", "priority"),
    [
        (ETS_WPS, [], []),
        (ETS_WPS, [b""], []),
        (ETS_WPS, [b"ets.0"], []),
        (ETS_WPS, [b"ets.0, wps.1"], []),
        (ETS_WPS, [b"ets.0, wps.0, dsn.flash"], []),
        (ETS_WPS, [b"ets.0, wps.0", b"dsn.flash"], []),
        (ETS_WPS, [b"ets.0 wps.0"], []),
        (ETS_WPS, [b"ets.0, wps.0, \xff"], []),
        (BACK, [b"esnet.0"], []),
        (BACK, [b"esnet.0"], [b"emergency"]),
        (BACK, [b"esnet.0"], [b"psap-callback", b"emergency"]),
        (BACK, [b"esnet.1"], [b"psap-callback"]),
    ],
)
def test_s136_another_priority(claims: Any, resource_priority: list[bytes], priority: list[bytes]) -> None:
    assert refusal(claims, resource_priority, priority) is Detail.PRIORITY_MISMATCH


@pytest.mark.parametrize(
    "claims",
    [
        {}, {"rph": None}, {"rph": []}, {"rph": "ets.0"}, {"rph": {}}, {"rph": {"auth": []}}, {"rph": {"auth": None}},
        {"rph": {"auth": "ets.0"}}, {"rph": {"auth": {"ets": 0}}}, {"rph": {"auth": [5]}}, {"rph": {"auth": ["ets"]}},
        {"rph": {"auth": ["ets.0", None]}}, {"rph": {"auth": ["ets.0,wps.0"]}}, {"rph": {"auth": ["ets..0"]}},
        {"rph": {"auth": [""]}}, {"rph": {"auth": ["ets.0\r\n"]}}, {"rph": {"auth": ["éts.0"]}},
        {"rph": {"auth": ["ets.0.1"]}}, {"rph": {"auth": ["ets.0"] * 33}}, {"rph": {"auth": ["e" * 65 + ".0"]}},
        {"rph": {"auth": ["e." + "0" * 65]}},
        {"rph": {"Auth": ["ets.0"]}}, {"rph": {"auth": ["ets.0"], "ESorig": "esnet.1"}},
        {"sph": "psap-callback"}, {**ETS_WPS, "sph": "emergency"}, {**ETS_WPS, "sph": None},
        {**ETS_WPS, "sph": ["psap-callback"]}, {**ETS_WPS, "sph": {"auth": ["psap-callback"]}}, {**ETS_WPS, "sph": ""},
    ],
)  # fmt: skip
def test_s136_what_is_no_claim_rph(claims: Any) -> None:
    assert refusal(claims, [b"ets.0"], [b"psap-callback"]) is Detail.CLAIM_RPH


@given(st.lists(st.binary(max_size=20), max_size=4), st.lists(st.binary(max_size=20), max_size=2))
def test_any_header_fields(resource_priority: list[bytes], priority: list[bytes]) -> None:
    assert refusal(BACK, resource_priority, priority) is Detail.PRIORITY_MISMATCH
