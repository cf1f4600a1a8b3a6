"""What the filter answers and tells the SBC: the response to an outcome, its verstat, and the dialects of the result.

The code, phrase and verstat of each outcome stand in the table of `outcomes` (STANDARDS §20).
"""

from collections.abc import Mapping
from typing import NamedTuple

from sbc_filter.outcomes import Detail, Outcome, Verstat, defaults_of

_PASSED = Verstat.PASSED.value  # named once: looking up a member of an Enum is slow on the hot path


class Dialect(NamedTuple):
    """Where the parameter `verstat` stands, what it says of a verified call by attestation where that is more than
    `Verstat.PASSED`, and which header fields carry attestation and origination identifier."""

    in_user_part: bool = True  # as TS 24.229 §7.2A.20 has it; else behind the host
    passed: Mapping[str, str] = {}
    attestation: str = "P-Attestation-Indicator"
    origination: str = "P-Origination-ID"

    def verstat(self, value: str, attest: str | None) -> str:
        """The value in this dialect."""
        return self.passed.get(attest, value) if attest is not None and value == _PASSED else value


_GRADES = {grade: f"{Verstat.PASSED}-{grade}" for grade in "ABC"}
DIALECTS: Mapping[str, Dialect] = {
    "atis": Dialect(),
    "3gpp": Dialect(attestation="Attestation-Info", origination="Origination-Id"),
    "graded": Dialect(passed=_GRADES),  # Avaya and others
    "telnyx": Dialect(in_user_part=False, passed={"B": _GRADES["B"], "C": _GRADES["C"]}),  # plain Passed means A
}

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


def verstat_of(outcome: Outcome, detail: Detail | None) -> str | None:
    """The verstat value that a verification outcome is marked with, None for other outcomes (S-110)."""
    return defaults_of(outcome, detail).verstat


def usual_phrase(code: int) -> str:
    """The usual reason phrase of a status code that an operator chose without one."""
    return _PHRASES.get(code, "Rejected")
