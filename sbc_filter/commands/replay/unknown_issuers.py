"""Which trust anchors are missing: the issuers at the top of the chains of a capture that lead to no anchor."""

from collections import Counter
from collections.abc import Mapping, Sequence

from sbc_filter.errors import VerificationError
from sbc_filter.pki.certificate import PARSE_ERRORS, Certificate, leaf_of, parse_certificates
from sbc_filter.system.plain_text import plain

_LONGEST = 100  # characters of a name, which the signer chooses


def issuers(calls: Mapping[str, int], chains: Mapping[str, bytes]) -> list[tuple[str, int]]:
    """The names of these issuers with their calls, most calls first. Both arguments are by URL; chains are PEM."""
    counted: Counter[str] = Counter()
    for url, count in calls.items():
        try:
            chain = parse_certificates(chains.get(url, b""))
        except (VerificationError, *PARSE_ERRORS):
            continue
        counted[_top(chain)] += count
    return sorted(counted.items(), key=lambda entry: (-entry[1], entry[0]))


def _top(chain: Sequence[Certificate]) -> str:
    """The issuer that the chain names last, as far as the names of its certificates lead. No signature is checked."""
    subjects = {each.parsed.subject: each.parsed for each in chain}
    at = leaf_of(chain).parsed
    for _ in chain:
        if at.issuer == at.subject or at.issuer not in subjects:
            break
        at = subjects[at.issuer]
    name = plain(at.issuer.rfc4514_string())
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
