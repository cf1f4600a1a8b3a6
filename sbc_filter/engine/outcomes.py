"""The decision table (STANDARDS §20): which answer and which verstat an outcome means by default."""

from sbc_filter.outcomes import VERIFICATION_OUTCOMES, Detail, Outcome
from sbc_filter.sip.field import FAILED, NOT_VALIDATED, PASSED

_ANSWERS: dict[Outcome, tuple[int, str]] = {
    Outcome.PASSED: (403, "Forbidden"),
    Outcome.NO_IDENTITY: (428, "Use Identity Header"),
    Outcome.ANONYMOUS: (433, "Anonymity Disallowed"),
    Outcome.STALE: (403, "Stale Date"),
    Outcome.UNFETCHABLE: (436, "Bad Identity Info"),
    Outcome.UNTRUSTED: (437, "Unsupported Credential"),
    Outcome.INVALID: (438, "Invalid Identity Header"),
    Outcome.REPLAYED: (438, "Invalid Identity Header"),
    Outcome.UNSIGNED: (500, "Server Internal Error"),
}
_PHRASES = dict(_ANSWERS.values()) | {
    403: "Forbidden",
    404: "Not Found",
    480: "Temporarily Unavailable",
    486: "Busy Here",
    500: "Server Internal Error",
    503: "Service Unavailable",
    600: "Busy Everywhere",
    603: "Decline",
    607: "Unwanted",
    608: "Rejected",
}
_SPECIAL: dict[tuple[Outcome, Detail], tuple[int, str]] = {
    (Outcome.NO_IDENTITY, Detail.UNSUPPORTED_PPT): (428, "Use Supported PASSporT Format"),
    (Outcome.UNSIGNED, Detail.STALE_DATE): (403, "Stale Date"),
}
_VERSTAT = dict.fromkeys(VERIFICATION_OUTCOMES, FAILED) | {
    Outcome.PASSED: PASSED,
    Outcome.NO_IDENTITY: NOT_VALIDATED,
    Outcome.ANONYMOUS: NOT_VALIDATED,
    Outcome.UNFETCHABLE: NOT_VALIDATED,
}


def answer(outcome: Outcome, detail: Detail | None) -> tuple[int, str]:
    """Status code and reason phrase when a call with this outcome is rejected (S-065)."""
    special = _SPECIAL.get((outcome, detail)) if detail else None
    return special or _ANSWERS.get(outcome, (403, "Forbidden"))


def verstat(outcome: Outcome, detail: Detail | None) -> str | None:
    """The verstat value that a verification outcome is marked with, None for other outcomes (S-110)."""
    if detail is not None and detail is Detail.X5U_POLICY:
        return FAILED
    return _VERSTAT.get(outcome)


def phrase(code: int) -> str:
    """The usual reason phrase of a status code that an operator chose without one."""
    return _PHRASES.get(code, "Rejected")
