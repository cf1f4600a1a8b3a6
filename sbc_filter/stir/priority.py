"""Call priority (RFC 8443, RFC 9027): the claims `rph` and `sph` against Resource-Priority and Priority (S-136)."""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from sbc_filter.outcomes import Detail
from sbc_filter.stir.passport import invalid

PSAP_CALLBACK = "psap-callback"  # the only value of sph (RFC 9027 §4), and the value of Priority that it protects
_MAX_VALUES = 32  # in one claim; each is compared with the header fields
# RFC 9027 as published puts esnet.x into "auth" as well; its drafts, and their implementations, used these names.
_ASSERTIONS = ("auth", "ESorig", "EScallback")
_VALUE = re.compile(r"[a-z0-9!%*_+`'~-]{1,64}\.[a-z0-9!%*_+`'~-]{1,64}")  # namespace "." priority (RFC 4412 §3.1)


class Priority(NamedTuple):
    """What a token authorises: values of Resource-Priority in lower case (`ets.0`), and a callback from a PSAP."""

    values: frozenset[str]
    callback: bool


def parse_priority(claims: Mapping[str, Any]) -> Priority:
    """Parse the claims of a token with the `ppt` rph. Raises `VerificationError(invalid, CLAIM_RPH)`."""
    rph = claims.get("rph")
    if not isinstance(rph, dict):
        raise invalid(Detail.CLAIM_RPH)
    values: list[str] = []
    for name in _ASSERTIONS:
        asserted = rph.get(name, [])
        if not isinstance(asserted, list) or not all(isinstance(value, str) for value in asserted):
            raise invalid(Detail.CLAIM_RPH)
        values += map(str.lower, asserted)
    if not 0 < len(values) <= _MAX_VALUES or not all(map(_VALUE.fullmatch, values)):
        raise invalid(Detail.CLAIM_RPH)
    if claims.get("sph", PSAP_CALLBACK) != PSAP_CALLBACK:
        raise invalid(Detail.CLAIM_RPH)
    return Priority(frozenset(values), "sph" in claims)


def check_priority(
    claims: Mapping[str, Any], resource_priority: Sequence[bytes], priority: Sequence[bytes] = ()
) -> Priority:
    """Compare a token with the unfolded Resource-Priority and Priority values of its call.

    The values have to be the same, in any order and case (RFC 4412 §3.1): otherwise an unsigned value would profit from
    the signed ones. A token with `sph` requires `Priority: psap-callback`. Raises `VerificationError(invalid)`:
    CLAIM_RPH, PRIORITY_MISMATCH.
    """
    claimed = parse_priority(claims)
    if claimed.values != _listed(tuple(resource_priority)):
        raise invalid(Detail.PRIORITY_MISMATCH)
    if claimed.callback and _listed(tuple(priority)) != {PSAP_CALLBACK}:
        raise invalid(Detail.PRIORITY_MISMATCH)
    return claimed


@lru_cache(maxsize=2)
def _listed(values: tuple[bytes, ...]) -> frozenset[str]:
    """The members of a comma-separated header field, which may occur several times; a malformed one matches no claim.

    The result is kept for the next token of the same call.
    """
    members = {member for value in values for member in value.decode("utf-8", "replace").split(",")}
    return frozenset(member.strip().lower() for member in members if member.strip())
