"""The whole table: an explanation for each outcome, each detail of an outcome, and each deviation."""

from collections.abc import Mapping
from types import MappingProxyType

from sbc_filter.explanations.calls_that_leave import ALREADY_SIGNED, SIGNED, UNSIGNED
from sbc_filter.explanations.deviations import CERTIFICATE_DEVIATIONS, DEVIATIONS
from sbc_filter.explanations.explanation import Explanation
from sbc_filter.explanations.fetching import UNFETCHABLE
from sbc_filter.explanations.outcome_meanings import OUTCOMES
from sbc_filter.explanations.passing import ANONYMOUS, NO_IDENTITY, PASSED, REPLAYED, STALE
from sbc_filter.explanations.token_and_call import CALL
from sbc_filter.explanations.token_form import FORM
from sbc_filter.explanations.trusting import UNTRUSTED
from sbc_filter.explanations.unexamined import NOT_EXAMINED, PACKETS, UNPARSEABLE
from sbc_filter.outcomes import CertificateDeviation, Detail, Deviation, Outcome

DETAILS_EXPLAINED: Mapping[Outcome, Mapping[Detail, Explanation]] = MappingProxyType(
    {
        Outcome.PASSED: PASSED,
        Outcome.NO_IDENTITY: NO_IDENTITY,
        Outcome.ANONYMOUS: ANONYMOUS,
        Outcome.STALE: STALE,
        Outcome.UNFETCHABLE: UNFETCHABLE,
        Outcome.UNTRUSTED: UNTRUSTED,
        Outcome.INVALID: {**FORM, **CALL},
        Outcome.REPLAYED: REPLAYED,
        Outcome.SIGNED: SIGNED,
        Outcome.ALREADY_SIGNED: ALREADY_SIGNED,
        Outcome.UNSIGNED: UNSIGNED,
        Outcome.NOT_EXAMINED: NOT_EXAMINED,
        Outcome.UNPARSEABLE: UNPARSEABLE,
    }
)
"""The explanations by outcome and detail; those of packets that are only counted are in `unexamined.PACKETS`."""


def explanation_of(outcome: str, detail: str | None) -> Explanation:
    """The explanation of an outcome with this detail, by their names as in a record; `ValueError` for unknown names."""
    known = Outcome(outcome)
    return OUTCOMES[known] if detail is None else DETAILS_EXPLAINED[known][Detail(detail)]


def explanation_of_packet(detail: str) -> Explanation:
    """The explanation of a packet that is only counted."""
    return PACKETS[Detail(detail)]


def explanation_of_deviation(name: str) -> Explanation:
    """The explanation of a deviation of a token, a call or a certificate, by its name as in a record; `ValueError`."""
    try:
        return DEVIATIONS[Deviation(name)]
    except ValueError:
        return CERTIFICATE_DEVIATIONS[CertificateDeviation(name)]
