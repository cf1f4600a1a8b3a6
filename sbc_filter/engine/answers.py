"""The decision table (STANDARDS §20): which answer and which verstat an outcome means by default."""

from collections.abc import Mapping
from typing import NamedTuple

from sbc_filter.outcomes import VERIFICATION_OUTCOMES, Detail, Outcome
from sbc_filter.sip.field import FAILED, NOT_VALIDATED, PASSED


class Dialect(NamedTuple):
    """Where the parameter `verstat` stands, what it says of a verified call by attestation where that is more than
    `PASSED`, and which header fields carry attestation and origination identifier."""

    in_user_part: bool = True  # as TS 24.229 §7.2A.20 has it; else behind the host
    passed: Mapping[str, str] = {}
    attestation: str = "P-Attestation-Indicator"
    origination: str = "P-Origination-ID"

    def verstat(self, value: str, attest: str | None) -> str:
        """The value in this dialect."""
        return self.passed.get(attest, value) if attest is not None and value == PASSED else value


_GRADES = {grade: f"{PASSED}-{grade}" for grade in "ABC"}
DIALECTS: Mapping[str, Dialect] = {
    "atis": Dialect(),
    "3gpp": Dialect(attestation="Attestation-Info", origination="Origination-Id"),
    "graded": Dialect(passed=_GRADES),  # Avaya and others
    "telnyx": Dialect(in_user_part=False, passed={"B": _GRADES["B"], "C": _GRADES["C"]}),  # plain Passed means A
}

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
    Outcome.UNPARSEABLE: (400, "Bad Request"),
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


def response_to(outcome: Outcome, detail: Detail | None) -> tuple[int, str]:
    """Status code and reason phrase when a call with this outcome is rejected (S-065)."""
    special = _SPECIAL.get((outcome, detail)) if detail else None
    return special or _ANSWERS.get(outcome, (403, "Forbidden"))


def verstat_of(outcome: Outcome, detail: Detail | None) -> str | None:
    """The verstat value that a verification outcome is marked with, None for other outcomes (S-110)."""
    if detail is not None and detail is Detail.X5U_POLICY:
        return FAILED
    return _VERSTAT.get(outcome)


def usual_phrase(code: int) -> str:
    """The usual reason phrase of a status code that an operator chose without one."""
    return _PHRASES.get(code, "Rejected")
