"""The closed lists of what can become of a packet: outcomes, details and deviations.

`Outcome` is what an operator counts and writes rules about; `Detail` is the exact cause. Both are closed: a new way to
fail needs a new line here, an entry in the documentation and a test. The line of a member is all that the program knows
about it: which outcomes a detail belongs to, the response code and phrase, and the `verstat`.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple


class _Key(StrEnum):
    """A string from a closed list. `str.__hash__` is used because these are often dictionary keys, and Enum's is
    slower."""

    __hash__ = str.__hash__


class Verstat(_Key):
    """What the SBC is told about the caller's number (TS 24.229 §7.2A.20)."""

    PASSED = "TN-Validation-Passed"
    FAILED = "TN-Validation-Failed"
    NOT_VALIDATED = "No-TN-Validation"


class Service(_Key):
    """The service of RFC 8224 whose rules can name an outcome."""

    VERIFICATION = "verification"
    SIGNING = "signing"


class Defaults(NamedTuple):
    """What an outcome means unless a rule says otherwise: the response to a rejected call, and the `verstat` of one
    that continues (None: it gets none)."""

    code: int
    phrase: str
    verstat: Verstat | None = None


_FORBIDDEN = Defaults(403, "Forbidden")


class Outcome(_Key):
    """What became of a message: its name, the service that reaches it (None: neither), and its defaults (S-065,
    S-110)."""

    service: Service | None
    defaults: Defaults

    PASSED = "passed", Service.VERIFICATION, Defaults(403, "Forbidden", Verstat.PASSED)
    NO_IDENTITY = "no-identity", Service.VERIFICATION, Defaults(428, "Use Identity Header", Verstat.NOT_VALIDATED)
    ANONYMOUS = "anonymous", Service.VERIFICATION, Defaults(433, "Anonymity Disallowed", Verstat.NOT_VALIDATED)
    STALE = "stale", Service.VERIFICATION, Defaults(403, "Stale Date", Verstat.FAILED)
    UNFETCHABLE = "unfetchable", Service.VERIFICATION, Defaults(436, "Bad Identity Info", Verstat.NOT_VALIDATED)
    UNTRUSTED = "untrusted", Service.VERIFICATION, Defaults(437, "Unsupported Credential", Verstat.FAILED)
    INVALID = "invalid", Service.VERIFICATION, Defaults(438, "Invalid Identity Header", Verstat.FAILED)
    REPLAYED = "replayed", Service.VERIFICATION, Defaults(438, "Invalid Identity Header", Verstat.FAILED)
    SIGNED = "signed", Service.SIGNING
    ALREADY_SIGNED = "already-signed", Service.SIGNING
    UNSIGNED = "unsigned", Service.SIGNING, Defaults(500, "Server Internal Error")
    NOT_EXAMINED = "not-examined"  # neither verified nor signed
    UNPARSEABLE = "unparseable"

    def __new__(cls, value: str, service: Service | None = None, defaults: Defaults = _FORBIDDEN) -> "Outcome":
        """The member with this name, and with what its line says."""
        made = str.__new__(cls, value)
        made._value_ = value
        made.service, made.defaults = service, defaults
        return made


VERIFICATION_OUTCOMES = frozenset(each for each in Outcome if each.service is Service.VERIFICATION)
SIGNING_OUTCOMES = frozenset(each for each in Outcome if each.service is Service.SIGNING)


class Detail(_Key):
    """The exact cause behind an `Outcome`: its name, and the outcomes that can have it.

    An outcome stands in a pair with its own `Defaults` where this detail means others.
    """

    outcomes: frozenset[Outcome]
    exceptions: Mapping[Outcome, Defaults]

    # no-identity
    ABSENT = "absent", Outcome.NO_IDENTITY
    UNSUPPORTED_PPT = (
        "unsupported-ppt",
        (Outcome.NO_IDENTITY, Defaults(428, "Use Supported PASSporT Format", Verstat.NOT_VALIDATED)),
    )
    # anonymous; unsigned
    NO_CALLER = "no-caller", Outcome.ANONYMOUS, Outcome.UNSIGNED
    # stale; unsigned
    STALE_DATE = "stale-date", Outcome.STALE, (Outcome.UNSIGNED, Defaults(403, "Stale Date"))
    FUTURE_DATE = "future-date", Outcome.STALE, Outcome.UNSIGNED
    # unfetchable
    X5U_POLICY = "x5u-policy", (Outcome.UNFETCHABLE, Defaults(436, "Bad Identity Info", Verstat.FAILED))
    FETCH_REFUSED = "fetch-refused", Outcome.UNFETCHABLE
    FETCH_TIMEOUT = "fetch-timeout", Outcome.UNFETCHABLE
    FETCH_DNS = "fetch-dns", Outcome.UNFETCHABLE
    FETCH_ADDRESS = "fetch-address", Outcome.UNFETCHABLE
    FETCH_CONNECT = "fetch-connect", Outcome.UNFETCHABLE
    FETCH_TLS = "fetch-tls", Outcome.UNFETCHABLE
    FETCH_STATUS = "fetch-status", Outcome.UNFETCHABLE
    FETCH_TOO_LARGE = "fetch-too-large", Outcome.UNFETCHABLE
    HOLD_LIMIT = "hold-limit", Outcome.UNFETCHABLE, Outcome.UNSIGNED
    VERIFICATION_TIMEOUT = "verification-timeout", Outcome.UNFETCHABLE
    VERIFICATION_REFUSED = "verification-refused", Outcome.UNFETCHABLE
    VERIFICATION_UNREACHABLE = "verification-unreachable", Outcome.UNFETCHABLE
    VERIFICATION_MISMATCH = "verification-mismatch", Outcome.UNFETCHABLE
    VERIFICATION_FAILED = "verification-failed", Outcome.STALE, Outcome.UNFETCHABLE, Outcome.UNTRUSTED, Outcome.INVALID
    # untrusted
    ALG = "alg", Outcome.UNTRUSTED
    CERTIFICATE_UNREADABLE = "certificate-unreadable", Outcome.UNTRUSTED
    CERTIFICATE_KEY = "certificate-key", Outcome.UNTRUSTED
    CERTIFICATE_PROFILE = "certificate-profile", Outcome.UNTRUSTED
    CRITICAL_EXTENSION = "critical-extension", Outcome.UNTRUSTED
    TNAUTHLIST = "tnauthlist", Outcome.UNTRUSTED
    UNTRUSTED_CHAIN = "untrusted-chain", Outcome.UNTRUSTED
    EXPIRED = "expired", Outcome.UNTRUSTED
    NOT_YET_VALID = "not-yet-valid", Outcome.UNTRUSTED
    REVOKED = "revoked", Outcome.UNTRUSTED
    CRL_UNAVAILABLE = "crl-unavailable", Outcome.UNTRUSTED
    # invalid
    IDENTITY_SYNTAX = "identity-syntax", Outcome.INVALID
    TOO_MANY_IDENTITIES = "too-many-identities", Outcome.INVALID
    TOO_LARGE = "too-large", Outcome.INVALID, Outcome.UNSIGNED
    COMPACT_FORM = "compact-form", Outcome.INVALID
    BASE64 = "base64", Outcome.INVALID
    JSON = "json", Outcome.INVALID
    DUPLICATE_KEY = "duplicate-key", Outcome.INVALID
    TYP = "typ", Outcome.INVALID
    CRIT = "crit", Outcome.INVALID
    X5U_MISSING = "x5u-missing", Outcome.INVALID
    PPT_MISMATCH = "ppt-mismatch", Outcome.INVALID
    ALG_MISMATCH = "alg-mismatch", Outcome.INVALID
    INFO_MISMATCH = "info-mismatch", Outcome.INVALID
    CLAIM_ORIG = "claim-orig", Outcome.INVALID
    CLAIM_DEST = "claim-dest", Outcome.INVALID
    CLAIM_IAT = "claim-iat", Outcome.INVALID
    CLAIM_ATTEST = "claim-attest", Outcome.INVALID
    CLAIM_ORIGID = "claim-origid", Outcome.INVALID
    CLAIM_DIV = "claim-div", Outcome.INVALID
    CLAIM_OPT = "claim-opt", Outcome.INVALID
    CLAIM_RPH = "claim-rph", Outcome.INVALID
    CLAIM_MKY = "claim-mky", Outcome.INVALID
    ORIG_MISMATCH = "orig-mismatch", Outcome.INVALID
    DEST_MISMATCH = "dest-mismatch", Outcome.INVALID
    FINGERPRINT_MISMATCH = "fingerprint-mismatch", Outcome.INVALID
    PRIORITY_MISMATCH = "priority-mismatch", Outcome.INVALID
    DIV_CHAIN = "div-chain", Outcome.INVALID
    DIV_ORIG = "div-orig", Outcome.INVALID
    SIGNATURE_LENGTH = "signature-length", Outcome.INVALID
    BAD_SIGNATURE = "bad-signature", Outcome.INVALID
    NUMBER_NOT_AUTHORIZED = "number-not-authorized", Outcome.INVALID
    CLAIM_CONSTRAINTS = "claim-constraints", Outcome.INVALID
    # replayed
    TOKEN_SEEN = "token-seen", Outcome.REPLAYED
    # signed, already-signed, unsigned
    DIVERTED = "diverted", Outcome.SIGNED
    SHAKEN_PRESENT = "shaken-present", Outcome.ALREADY_SIGNED
    PRESERVED = "preserved", Outcome.ALREADY_SIGNED
    AMBIGUOUS = "ambiguous", Outcome.UNSIGNED
    BYPASS = "bypass", Outcome.UNSIGNED
    NOT_LISTED = "not-listed", Outcome.UNSIGNED
    PRIVACY = "privacy", Outcome.UNSIGNED
    NO_CALLED = "no-called", Outcome.UNSIGNED
    CREDENTIAL_EXPIRED = "credential-expired", Outcome.UNSIGNED
    NO_ROOM = "no-room", Outcome.UNSIGNED
    CRYPTO = "crypto", Outcome.UNSIGNED
    SIGNING_TIMEOUT = "signing-timeout", Outcome.UNSIGNED
    SIGNING_REFUSED = "signing-refused", Outcome.UNSIGNED
    SIGNING_UNREACHABLE = "signing-unreachable", Outcome.UNSIGNED
    SIGNING_MISMATCH = "signing-mismatch", Outcome.UNSIGNED
    # not-examined
    NO_RULE = "no-rule", Outcome.NOT_EXAMINED
    PASS_RULE = "pass-rule", Outcome.NOT_EXAMINED
    STRIP_RULE = "strip-rule", Outcome.NOT_EXAMINED
    DROP_RULE = "drop-rule", Outcome.NOT_EXAMINED
    REJECT_RULE = "reject-rule", Outcome.NOT_EXAMINED
    IN_DIALOG = "in-dialog", Outcome.NOT_EXAMINED
    REDIRECTED = "redirected", Outcome.NOT_EXAMINED
    EMERGENCY = "emergency", Outcome.NOT_EXAMINED
    HELD = "held", Outcome.NOT_EXAMINED
    CANCELLED = "cancelled", Outcome.NOT_EXAMINED
    REASON_REMOVED = "reason-removed", Outcome.NOT_EXAMINED
    INTERNAL_ERROR = "internal-error", Outcome.NOT_EXAMINED
    # unparseable
    START_LINE = "start-line", Outcome.UNPARSEABLE
    NO_BLANK_LINE = "no-blank-line", Outcome.UNPARSEABLE
    HEADER_SYNTAX = "header-syntax", Outcome.UNPARSEABLE
    HEADER_MISSING = "header-missing", Outcome.UNPARSEABLE
    HEADER_REPEATED = "header-repeated", Outcome.UNPARSEABLE
    ADDRESS_SYNTAX = "address-syntax", Outcome.UNPARSEABLE
    CSEQ = "cseq", Outcome.UNPARSEABLE
    CONTENT_LENGTH = "content-length", Outcome.UNPARSEABLE
    # packets that are only counted
    PACKET_TRUNCATED = "packet-truncated"
    PACKET_SYNTAX = "packet-syntax"
    PACKET_FRAGMENT = "packet-fragment"
    PACKET_PROTOCOL = "packet-protocol"

    def __new__(cls, value: str, *outcomes: Outcome | tuple[Outcome, Defaults]) -> "Detail":
        """The member with this name, and with what its line says."""
        made = str.__new__(cls, value)
        made._value_ = value
        made.exceptions = dict(each for each in outcomes if isinstance(each, tuple))
        made.outcomes = frozenset(each[0] if isinstance(each, tuple) else each for each in outcomes)
        return made


DETAILS: Mapping[Outcome, frozenset[Detail]] = {
    outcome: frozenset(detail for detail in Detail if outcome in detail.outcomes) for outcome in Outcome
}
"""The details of each outcome."""


def defaults_of(outcome: Outcome, detail: Detail | None) -> Defaults:
    """What an outcome with this detail means unless a rule says otherwise."""
    return outcome.defaults if detail is None else detail.exceptions.get(outcome, outcome.defaults)


class Deviation(_Key):
    """How honest senders depart from the standards and are still understood (STANDARDS §19); each is counted."""

    # always tolerated
    PARAMETER_FORM = "parameter-form"
    QUOTED_PARAMETER = "quoted-parameter"
    INFO_FORM = "info-form"
    NO_ALG_PARAMETER = "no-alg-parameter"
    EMPTY_PARAMETER = "empty-parameter"
    PADDING = "padding"
    JSON_FORM = "json-form"
    EXTRA_CLAIMS = "extra-claims"
    CLAIM_SHAPE = "claim-shape"
    NUMBER_FORM = "number-form"
    LONG_NUMBER = "long-number"
    IAT_FORM = "iat-form"
    ORIGID_FORM = "origid-form"
    NO_DATE = "no-date"
    DATE_DIFFERS = "date-differs"
    X5U_PORT_8443 = "x5u-port-8443"
    COMPACT_NAME = "compact-name"
    SEVERAL_IDENTITIES = "several-identities"
    NO_USER_PHONE = "no-user-phone"
    NATIONAL_NUMBER = "national-number"
    PORTABILITY_PREFIX = "portability-prefix"
    # tolerated only where a rule says so
    IAT_STRING = "iat-string"
    NO_ORIGID = "no-origid"
    STANDARD_BASE64 = "standard-base64"
    INFO_MISMATCH = "info-mismatch"
    COMMA_JOINED = "comma-joined"
    NATIONAL_CLAIM = "national-claim"
    BASE_PASSPORT = "base-passport"


TOLERABLE = frozenset(
    {
        Deviation.IAT_STRING,
        Deviation.NO_ORIGID,
        Deviation.STANDARD_BASE64,
        Deviation.INFO_MISMATCH,
        Deviation.COMMA_JOINED,
        Deviation.NATIONAL_CLAIM,
        Deviation.BASE_PASSPORT,
    }
)
"""Refused unless `[rule.verify].tolerate` names it."""

REFUSABLE = frozenset({Deviation.EMPTY_PARAMETER})
"""Tolerated unless `[rule.verify].strict` names it."""


class CertificateDeviation(_Key):
    """How real certificates depart from their profile (S-082, STANDARDS §19); each is counted."""

    NULL_PARAMETERS = "null-parameters"  # NULL parameters with ecdsa-with-SHA…, forbidden by RFC 5758 §3.2
    CHAIN_ORDER = "chain-order"  # the leaf is not first, or an issuer does not directly follow what it issued
    POLICY = "policy"  # no SHAKEN certificate policy, or one older than those of 2022
    NO_CRL_ISSUER = "no-crl-issuer"  # no distribution point names the issuer of the CRL
    COMMON_NAME = "common-name"  # the leaf's common name lacks "SHAKEN" or the SPC
    TNAUTHLIST_ENCODING = "tnauthlist-encoding"  # implicit tags, or an SPC as an untagged PrintableString
    DER_BODY = "der-body"  # a single DER certificate instead of PEM
    ISSUER_KEYS = "issuer-keys"  # an issuer with an RSA or P-384 key, or a signature with SHA-384 or SHA-512
    EXTENDED_KEY_USAGE = "extended-key-usage"  # the leaf's purposes do not include signing tokens
    NO_KEY_USAGE = "no-key-usage"  # the leaf has no keyUsage; ATIS-1000080 requires digitalSignature


CERTIFICATE_TOLERABLE = frozenset(
    {CertificateDeviation.TNAUTHLIST_ENCODING, CertificateDeviation.DER_BODY, CertificateDeviation.ISSUER_KEYS}
)
"""Refused unless `[trust].tolerate` names it."""

CERTIFICATE_REFUSABLE = frozenset({CertificateDeviation.EXTENDED_KEY_USAGE})
"""Accepted unless `[trust].strict` names it."""
