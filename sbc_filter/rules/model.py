"""What an operator's rule files say, as values: one class a table of the rule language (DESIGN §5).

Made by `rules.rule_file`, consumed by `rules.conditions` (matching) and by the engine (deciding).
Everything is immutable: a reload makes a new `RuleSet` and swaps it whole.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sbc_filter.outcomes import Detail, Outcome


class Direction(StrEnum):
    """Seen from the SBC: `inbound` to one of its addresses, `outbound` from one."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"


class Mode(StrEnum):
    """`monitor` decides and records, changes nothing, and matching goes on."""

    ENFORCE = "enforce"
    MONITOR = "monitor"


class RuleAction(StrEnum):
    """What a rule does with the calls it matches."""

    SIGN = "sign"
    VERIFY = "verify"
    STRIP = "strip"
    PASS = "pass"
    DROP = "drop"
    REJECT = "reject"


ATTESTATIONS = ("A", "B", "C")  # RFC 8588 §4
UNATTESTED = "none"  # calls of callers who are not listed stay unsigned (A10)
ALWAYS, BELOW_A, NEVER = "always", "below-a", "never"
"""When the SBC is told the attestation of a verified call (V19)."""
VERSTATS = ("TN-Validation-Passed", "TN-Validation-Failed", "No-TN-Validation")  # TS 24.229 §7.2A.20
DIALECTS = ("atis", "3gpp", "graded", "telnyx")
"""Names of the forms in which an SBC is told the result; `engine.answers` has what they mean."""
SESSION_ID, NUMBERS = "session-id", "numbers"
"""By what `preserve` tells that two legs are one call, beside any header field that the SBC copies."""


# Named once: on the hot path a look at a member of an Enum costs as much as a call.
SIGN, VERIFY = RuleAction.SIGN, RuleAction.VERIFY


class Insertion(StrEnum):
    """Rewrite the INVITE in flight, or answer it with a 302 that carries the result."""

    INLINE = "inline"
    REDIRECT = "redirect"


class ReasonProtocol(StrEnum):
    """In which protocol's words answers report a failure (RFC 3326, RFC 9410)."""

    OFF = "off"
    STIR = "stir"
    SIP = "sip"


class TreatmentAction(StrEnum):
    """What happens to the call once the outcome is known."""

    CONTINUE = "continue"
    REJECT = "reject"
    DROP = "drop"
    REDIRECT = "redirect"


@dataclass(frozen=True, slots=True)
class Treatment:
    """`code`, `phrase` and `verstat` are None where the outcome's own are meant (STANDARDS §20), `indicator` where the
    rule's is; an empty `indicator` is none. `reason` is the Reason header field of an answer that rejects."""

    action: TreatmentAction
    code: int | None = None
    phrase: str | None = None
    verstat: str | None = None
    indicator: str | None = None
    reason: str | None = None


CONTINUE = Treatment(TreatmentAction.CONTINUE)
REDIRECT = Treatment(TreatmentAction.REDIRECT)


@dataclass(frozen=True, slots=True)
class VerifyOptions:
    """`[rule.verify]`: how the verification service judges and marks a call. `service` names who judges in our place;
    empty: nobody."""

    max_age: float = 60.0
    max_skew: float = 60.0
    caller_from: tuple[str, ...] = ("pai", "from")
    called_from: tuple[str, ...] = ("to",)
    check_called: bool = True
    identity_keep: bool = True
    verstat: bool = True
    hold_ms: int = 400
    tolerate: frozenset[str] = frozenset()
    dialect: str = "atis"
    attestation: str = BELOW_A
    reason: ReasonProtocol = ReasonProtocol.OFF
    required: bool = False
    check_replay: bool = True
    mark_contact: bool = False
    service: str = ""
    strict: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Bypass:
    """`bypass`: while the file is there, calls leave with its token in this header field, and without Identity."""

    token_file: str
    header: str = "P-Identity-Bypass"


@dataclass(frozen=True, slots=True)
class SignOptions:
    """`[rule.sign]`: with which credential and attestation the authentication service signs.

    `listed(canonical_number)` tells whether the caller is on the `numbers` list; `preserve` is None, `NUMBERS` or
    the canonical name of a header field; `claims` are the rich call data, as claims of the token.
    """

    credential: str = ""
    listed: Callable[[str | None], bool] | None = None
    attest_listed: str = "A"
    attest_unlisted: str = "B"
    origid: str = ""
    caller_from: tuple[str, ...] = ("pai", "from")
    called_from: tuple[str, ...] = ("to",)
    remove: tuple[str, ...] = ()
    preserve: str | None = None
    bypass: Bypass | None = None
    trust_sbc_attestation: bool = False
    attest_max: str = "B"
    max_size: int | None = None
    skips_private: bool = False
    removes_reason: bool = False
    claims: Mapping[str, Any] = field(default_factory=dict)
    media_keys: bool = False
    div: bool = False
    hold_ms: int = 400


@dataclass(frozen=True, slots=True)
class StripOptions:
    """`[rule.strip]`: header names that are removed."""

    headers: tuple[str, ...] = ("Identity",)


@dataclass(frozen=True, slots=True)
class When:
    """`[[rule.when]]`: after verification; every condition given has to hold, None is not given."""

    treatment: Treatment
    outcome: frozenset[Outcome] | None = None
    detail: frozenset[Detail] | None = None
    attest: frozenset[str] | None = None
    spc: frozenset[str] | None = None
    not_spc: frozenset[str] | None = None
    issuer: frozenset[str] | None = None
    x5u_host: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """One `[[rule]]`. Its conditions are compiled to `matches` (see `rules.conditions`)."""

    name: str
    action: RuleAction
    mode: Mode = Mode.ENFORCE
    insertion: Insertion = Insertion.INLINE
    answer: Treatment | None = None
    verify: VerifyOptions = field(default_factory=VerifyOptions)
    sign: SignOptions = field(default_factory=SignOptions)
    strip: StripOptions = field(default_factory=StripOptions)
    when: tuple[When, ...] = ()
    on: Mapping[str, Treatment] = field(default_factory=dict)
    file: str = ""

    @property
    def redirects(self) -> bool:
        """Whether any outcome of its calls leads to a 302."""
        every = [*self.on.values(), *(when.treatment for when in self.when)]
        return self.insertion is Insertion.REDIRECT or any(each.action is TreatmentAction.REDIRECT for each in every)

    @property
    def reports(self) -> bool:
        """Whether answers to its calls may get a Reason field: then somebody has to show us the answers."""
        return self.action is VERIFY and self.mode is Mode.ENFORCE and self.verify.reason is not ReasonProtocol.OFF

    @property
    def removes_reasons(self) -> bool:
        """Whether answers to its calls may lose a Reason field that speaks of our own signature (S-118)."""
        return self.action is SIGN and self.mode is Mode.ENFORCE and self.sign.removes_reason


@dataclass(frozen=True, slots=True)
class RateLimit:
    """`rate`: more than `over` calls in `seconds`, counted by `by`."""

    over: float
    seconds: float
    by: str


@dataclass(frozen=True, slots=True)
class Conditions:
    """The matching half of a `[[rule]]`; None is not given. Numbers are None for a party without a number."""

    enforce_percent: float = 100.0
    direction: Direction | None = None
    trunk: frozenset[str] | None = None
    caller: Callable[[str | None], bool] | None = None
    not_caller: Callable[[str | None], bool] | None = None
    called: Callable[[str | None], bool] | None = None
    not_called: Callable[[str | None], bool] | None = None
    header: Mapping[str, "re.Pattern[str] | bool"] = field(default_factory=dict)
    has_identity: bool | None = None
    time: Callable[[float], bool] | None = None
    rate: RateLimit | None = None
