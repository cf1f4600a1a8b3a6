"""What the filter answers: the response to an outcome.

The code and phrase of each outcome stand in the table of `outcomes` (STANDARDS §20).
"""

from sbc_filter.outcomes import Detail, Outcome, defaults_of

_PHRASES = {each.defaults.code: each.defaults.phrase for each in Outcome} | {
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


def response_to(outcome: Outcome, detail: Detail | None) -> tuple[int, str]:
    """Status code and reason phrase when a call with this outcome is rejected (S-065)."""
    code, phrase, _ = defaults_of(outcome, detail)
    return code, phrase


def usual_phrase(code: int) -> str:
    """The usual reason phrase of a status code that an operator chose without one."""
    return _PHRASES.get(code, "Rejected")
