"""The contents of an operator's rule files as values: one class for each table of the rule language.

They are made by `rules.rule_file`, and used by `rules.ruleset` (matching) and by the engine (deciding). All are
immutable: a reload makes a new `RuleSet` and replaces the old one as a whole.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sbc_filter.outcomes import Detail, Outcome
from sbc_filter.rules.example import Example


class Direction(StrEnum):
    """The direction seen from the SBC: `inbound` to one of its addresses, `outbound` from one of them."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"


class Mode(StrEnum):
    """Whether a rule takes effect. In `monitor` it decides and records but changes nothing, and matching continues."""

    ENFORCE = "enforce"
    MONITOR = "monitor"


class RuleAction(StrEnum):
    """What a rule does with the calls that it matches."""

    SIGN = "sign"
    VERIFY = "verify"
    STRIP = "strip"
    PASS = "pass"
    DROP = "drop"
    REJECT = "reject"


class Unreadable(StrEnum):
    """What becomes of an INVITE that cannot be read, where no rule says so."""

    SCRUB = "scrub"  # it passes without the claims of an untrusted peer
    REJECT = "reject"
    DROP = "drop"


ATTESTATIONS = ("A", "B", "C")  # RFC 8588 §4
UNATTESTED = "none"  # calls of unlisted callers stay unsigned (A10)
ALWAYS, BELOW_A, NEVER = "always", "below-a", "never"
"""When the attestation of a verified call is reported to the SBC (V19)."""
DIALECTS = ("atis", "3gpp", "graded", "telnyx")
"""Names of the forms in which the result is reported to the SBC; `engine.call.verstat` defines them."""
SESSION_ID, NUMBERS = "session-id", "numbers"
"""What `preserve` can use to recognise two legs of one call, in addition to any header field that the SBC copies."""


# Named once: accessing a member of an Enum on the hot path costs as much as a call.
SIGN, VERIFY = RuleAction.SIGN, RuleAction.VERIFY


class Insertion(StrEnum):
    """How a result is delivered: the INVITE is rewritten in flight, or answered with a 302 that carries the result."""

    INLINE = "inline"
    REDIRECT = "redirect"


class ReasonProtocol(StrEnum):
    """The protocol in whose terms responses report a failure (RFC 3326, RFC 9410)."""

    OFF = "off"
    STIR = "stir"
    SIP = "sip"


class RequestUriCheck(StrEnum):
    """What becomes of a call that passed, but whose Request-URI has a number that no token explains."""

    OFF = "off"  # the Request-URI is not looked at
    NOTE = "note"  # the call passed, without TN-Validation-Passed
    REQUIRE = "require"  # the call is invalid


class TreatmentKind(StrEnum):
    """What happens to the call when the outcome is known."""

    CONTINUE = "continue"
    REJECT = "reject"
    DROP = "drop"
    REDIRECT = "redirect"


@dataclass(frozen=True, slots=True)
class Treatment:
    """What happens to a call, and how it is reported.

    - `kind`: the key `action` of `[rule.on]` and `[[rule.when]]`; the field `treatment` of a record.
    - `code`, `phrase` and `verstat`: None means those of the outcome (STANDARDS §20).
    - `indicator`: None means that of the rule; an empty one means no indicator.
    - `reason`: the Reason header field of a response that rejects the call.
    """

    kind: TreatmentKind
    code: int | None = None
    phrase: str | None = None
    verstat: str | None = None
    indicator: str | None = None
    reason: str | None = None


CONTINUE = Treatment(TreatmentKind.CONTINUE)
REJECT = Treatment(TreatmentKind.REJECT)
DROP = Treatment(TreatmentKind.DROP)
REDIRECT = Treatment(TreatmentKind.REDIRECT)


@dataclass(frozen=True, slots=True)
class VerifyOptions:
    """`[rule.verify]`: how the verification service judges and marks a call. `service` names the service that verifies
    instead of this program; empty: none. `in_dialog`: INVITEs with a To tag are judged like new calls. `max_age_inner`:
    None means any age. `max_date_age`: seconds between Date and arrival, either way; None: Date is not judged.
    `translations(called, target)`: whether a number in `dest` arrives as another one in the Request-URI."""

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
    in_dialog: bool = False
    max_age_inner: float | None = None
    max_date_age: float | None = None
    check_request_uri: RequestUriCheck = RequestUriCheck.NOTE
    translations: Callable[[str, str], bool] | None = None


@dataclass(frozen=True, slots=True)
class Bypass:
    """`bypass`: while the file exists, calls leave with its token in this header field, and without Identity."""

    token_file: str
    header: str = "P-Identity-Bypass"


@dataclass(frozen=True, slots=True)
class SignOptions:
    """`[rule.sign]`: the credential and attestation with which the authentication service signs.

    - `listed(canonical_number)`: whether the caller is on the `numbers` list.
    - `preserve`: None, `NUMBERS` or the canonical name of a header field.
    - `claims`: the rich call data, as claims of the token.
    - `attest_impossible`: the attestation of callers whose number cannot exist, C or `UNATTESTED`.
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
    attest_impossible: str = UNATTESTED


@dataclass(frozen=True, slots=True)
class StripOptions:
    """`[rule.strip]`: the names of the header fields to remove."""

    headers: tuple[str, ...] = ("Identity",)


@dataclass(frozen=True, slots=True)
class When:
    """`[[rule.when]]`: applied after verification; all given conditions have to match. None means not given."""

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
    """One `[[rule]]`. Its conditions are compiled separately (see `rules.ruleset`)."""

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
    examples: tuple[Example, ...] = ()

    @property
    def redirects(self) -> bool:
        """Whether any outcome of the rule leads to a 302."""
        every = [*self.on.values(), *(when.treatment for when in self.when)]
        return self.insertion is Insertion.REDIRECT or any(each.kind is TreatmentKind.REDIRECT for each in every)

    @property
    def reports(self) -> bool:
        """Whether responses to its calls may get a Reason field, so that the filter has to see the responses."""
        return self.action is VERIFY and self.mode is Mode.ENFORCE and self.verify.reason is not ReasonProtocol.OFF

    @property
    def removes_reasons(self) -> bool:
        """Whether responses to its calls may lose a Reason field about this program's own signature (S-118)."""
        return self.action is SIGN and self.mode is Mode.ENFORCE and self.sign.removes_reason


@dataclass(frozen=True, slots=True)
class RateLimit:
    """`rate`: more than `over` calls in `seconds`, counted per `by`."""

    over: float
    seconds: float
    by: str


RATE_KEYS = ("peer", "trunk", "caller", "called")
"""What a rate may be counted per."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """The matching half of a `[[rule]]`; None means not given. The lists are called with None for a party without
    number. Without sources of its own, a condition looks where the rule's action does."""

    enforce_percent: float = 100.0
    direction: Direction | None = None
    trunk: frozenset[str] | None = None
    transport: frozenset[str] | None = None
    caller: Callable[[str | None], bool] | None = None
    not_caller: Callable[[str | None], bool] | None = None
    called: Callable[[str | None], bool] | None = None
    not_called: Callable[[str | None], bool] | None = None
    header: Mapping[str, "re.Pattern[str] | bool"] = field(default_factory=dict)
    has_identity: bool | None = None
    time: Callable[[float], bool] | None = None
    rate: RateLimit | None = None
    caller_from: tuple[str, ...] = ()
    called_from: tuple[str, ...] = ()
