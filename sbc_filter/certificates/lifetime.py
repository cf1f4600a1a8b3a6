"""How long a fetched certificate may be cached (RFC 9111 §4.2.1, with the minimum of S-089)."""

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from sbc_filter.errors import CertificateError
from sbc_filter.outcomes import CertificateDeviation
from sbc_filter.pki.certificate import PARSE_ERRORS, leaf_of, parse_certificates

SHORTEST = 24 * 3600.0  # seconds; certificates rarely change, and calls should not wait for fetches
LONGEST = 30 * 24 * 3600.0  # seconds; as long as a worker keeps a certificate (`engine.memory.certificates.LONGEST`)
_ANY_FORM = frozenset({CertificateDeviation.DER_BODY})

_UNCACHED = re.compile(r"(?:^|[,\s])(?:no-store|no-cache|private)(?:$|[,\s=])", re.IGNORECASE)
_SHARED = re.compile(r'(?:^|[,\s])s-maxage\s*=\s*"?([0-9]{1,12})', re.IGNORECASE)
MAX_AGE = re.compile(r'(?:^|[,\s])max-age\s*=\s*"?([0-9]{1,12})', re.IGNORECASE)


def expires(headers: Mapping[str, str], now: float) -> float:
    """When a response with these headers, received at `now`, expires (POSIX seconds).

    `headers` is case-insensitive. No directive, one that forbids caching, or less than `SHORTEST` all
    mean `SHORTEST`. The result is never more than `LONGEST` away.
    """
    return now + min(max(_lifetime(headers, now), SHORTEST), LONGEST)


def leaf_end(pem: bytes) -> float | None:
    """When the signing certificate in `pem` expires (POSIX seconds); None when it cannot be read.

    The certificate is not verified here.
    """
    try:
        return leaf_of(parse_certificates(pem, tolerate=_ANY_FORM)).parsed.not_valid_after_utc.timestamp()
    except (CertificateError, *PARSE_ERRORS):
        return None


def _lifetime(headers: Mapping[str, str], now: float) -> float:
    control = headers.get("Cache-Control", "")
    if _UNCACHED.search(control):
        return 0.0
    told = _SHARED.search(control) or MAX_AGE.search(control)
    if told:
        return int(told[1]) - _age(headers)
    end = _date(headers, "Expires")
    if end is None:
        return 0.0
    begin = _date(headers, "Date")
    # The server's clock may be wrong, so only the difference of its two times is used.
    return end - (now if begin is None else begin) - _age(headers)


def _age(headers: Mapping[str, str]) -> int:
    text = headers.get("Age", "").strip()
    return int(text) if re.fullmatch(r"[0-9]{1,12}", text) else 0


def _date(headers: Mapping[str, str], name: str) -> float | None:
    try:
        return parsedate_to_datetime(headers[name]).timestamp()
    except (KeyError, ValueError, TypeError, IndexError, OverflowError):  # "0" is common, and means that it has expired
        return None
