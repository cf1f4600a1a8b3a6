"""Media keys (RFC 8225 §5.2.2, RFC 8224 §4.1): the claim `mky` against `a=fingerprint` in the SDP (S-012).

An attacker that replaces the fingerprint of a DTLS certificate in the SDP can listen to the call. A signed list of
fingerprints reveals that.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, TypeAlias

from sbc_filter.outcomes import Detail
from sbc_filter.stir.passport import invalid

# Hash function in lower case ("sha-256"), digest in hexadecimal: upper case, no colons.
Fingerprint: TypeAlias = tuple[str, str]

_MAX_KEYS = 64  # in one claim; each is compared with the SDP
_LINE = re.compile(rb"(?:^|\r)a=fingerprint:([^\r\n]*)", re.IGNORECASE | re.MULTILINE)  # at session and at media level
_FUNCTION = re.compile(r"[a-z0-9][a-z0-9-]{1,31}")
_DIGEST = re.compile(r"(?:[0-9A-F]{2}){16,64}")


def check_media(claims: Mapping[str, Any], body: bytes) -> None:
    """Compare the claims of a token with the SDP in `body`, which may be a multipart: only its lines matter.

    Without `mky` there is nothing to check. Keys in the claim but not in the SDP are harmless: an offer may have been
    narrowed. Raises `VerificationError(invalid)`: CLAIM_MKY; FINGERPRINT_MISMATCH for a fingerprint not in the claim.
    """
    if "mky" in claims and not parse_mky(claims["mky"]).issuperset(fingerprints(body)):
        raise invalid(Detail.FINGERPRINT_MISMATCH)


def parse_mky(value: object) -> frozenset[Fingerprint]:
    """The fingerprints of a `mky` claim, an array of {"alg", "dig"}. Any order, case and colons are tolerated.

    Raises `VerificationError(invalid, CLAIM_MKY)`.
    """
    if not isinstance(value, list) or not 0 < len(value) <= _MAX_KEYS:
        raise invalid(Detail.CLAIM_MKY)
    found: set[Fingerprint] = set()
    for key in value:
        alg, dig = (key.get("alg"), key.get("dig")) if isinstance(key, dict) else (None, None)
        if not isinstance(alg, str) or not isinstance(dig, str):
            raise invalid(Detail.CLAIM_MKY)
        fingerprint = _normal(alg, dig)
        if not _is_one(fingerprint):
            raise invalid(Detail.CLAIM_MKY)
        found.add(fingerprint)
    return frozenset(found)


@lru_cache(maxsize=1)
def fingerprints(body: bytes) -> frozenset[Fingerprint]:
    """The fingerprints of all `a=fingerprint` lines (RFC 8122 §5).

    A malformed one is included, and matches no claim: the other side may be more lenient and accept it. The result is
    kept for the next token of the same call.
    """
    found: set[Fingerprint] = set()
    for line in _LINE.findall(body):
        function, *digest = line.decode("ascii", "replace").split(maxsplit=1) or [""]
        found.add(_normal(function, "".join(digest).rstrip()))
    return frozenset(found)


def mky_of(body: bytes) -> list[dict[str, str]]:
    """The `mky` claim for this SDP: sorted, each key once; empty (then the claim is omitted) without a fingerprint."""
    return [{"alg": alg, "dig": dig} for alg, dig in sorted(filter(_is_one, fingerprints(body)))]


def _normal(function: str, digest: str) -> Fingerprint:
    return function.lower(), digest.replace(":", "").upper()


def _is_one(fingerprint: Fingerprint) -> bool:
    return bool(_FUNCTION.fullmatch(fingerprint[0]) and _DIGEST.fullmatch(fingerprint[1]))
