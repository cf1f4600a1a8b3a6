"""How SBCs want to be told the result of verification (S-110 to S-115): the dialects, as data."""

from collections.abc import Mapping
from typing import NamedTuple

from sbc_filter.sip.field import PASSED


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
