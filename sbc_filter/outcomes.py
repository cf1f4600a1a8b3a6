"""The closed lists of what can become of a packet: outcomes, details and deviations.

`Outcome` is what an operator counts and writes rules about; `Detail` is the exact cause. Both are closed: a new way to
fail needs a new line here, an entry in the documentation and a test. The line of a member is all that the program knows
about it: which outcomes a detail belongs to, the response code and phrase, and the `verstat`.
"""

from collections.abc import Mapping, Set
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
    verstat: str | None = None


class _Row(str):
    """A line of one of the two tables below: the name of a member, and in its attributes what else the line says."""


def _row(name: str, **rest: object) -> str:
    row = _Row(name)
    vars(row).update(rest)
    return row


def _outcome(
    name: str,
    service: Service | None = None,
    code: int = 403,
    phrase: str = "Forbidden",
    verstat: Verstat | None = None,
) -> str:
    # The plain value: on the hot path it is compared and looked up, which costs more with a member of an Enum.
    return _row(name, service=service, defaults=Defaults(code, phrase, verstat and verstat.value))


class Outcome(_Key):
    """What became of a message: its name, the service that reaches it (None: neither), and its defaults (S-065, S-110):
    code and phrase of the response, and the verstat."""

    service: Service | None
    defaults: Defaults

    PASSED = _outcome("passed", Service.VERIFICATION, 403, "Forbidden", Verstat.PASSED)
    NO_IDENTITY = _outcome("no-identity", Service.VERIFICATION, 428, "Use Identity Header", Verstat.NOT_VALIDATED)
    ANONYMOUS = _outcome("anonymous", Service.VERIFICATION, 433, "Anonymity Disallowed", Verstat.NOT_VALIDATED)
    STALE = _outcome("stale", Service.VERIFICATION, 403, "Stale Date", Verstat.FAILED)
    UNFETCHABLE = _outcome("unfetchable", Service.VERIFICATION, 436, "Bad Identity Info", Verstat.NOT_VALIDATED)
    UNTRUSTED = _outcome("untrusted", Service.VERIFICATION, 437, "Unsupported Credential", Verstat.FAILED)
    INVALID = _outcome("invalid", Service.VERIFICATION, 438, "Invalid Identity Header", Verstat.FAILED)
    REPLAYED = _outcome("replayed", Service.VERIFICATION, 438, "Invalid Identity Header", Verstat.NOT_VALIDATED)
    SIGNED = _outcome("signed", Service.SIGNING)
    ALREADY_SIGNED = _outcome("already-signed", Service.SIGNING)
    UNSIGNED = _outcome("unsigned", Service.SIGNING, 500, "Server Internal Error")
    NOT_EXAMINED = _outcome("not-examined")  # neither verified nor signed
    UNPARSEABLE = _outcome("unparseable", code=400, phrase="Bad Request")

    def __init__(self, row: str) -> None:
        vars(self).update(vars(row))


VERIFICATION_OUTCOMES = frozenset(each for each in Outcome if each.service is Service.VERIFICATION)
SIGNING_OUTCOMES = frozenset(each for each in Outcome if each.service is Service.SIGNING)
GOOD_OUTCOMES = frozenset((Outcome.PASSED, Outcome.SIGNED, Outcome.ALREADY_SIGNED))
"""Those of which nothing is to be mended."""


def _detail(name: str, *outcomes: Outcome | tuple[Outcome, Defaults]) -> str:
    exceptions = dict(each for each in outcomes if isinstance(each, tuple))
    return _row(
        name,
        outcomes={each for each in outcomes if isinstance(each, Outcome)} | exceptions.keys(),
        exceptions=exceptions,
    )


class Detail(_Key):
    """The exact cause behind an `Outcome`: its name, and the outcomes that can have it.

    An outcome stands in a pair with its own `Defaults` where this detail means others.
    """

    outcomes: Set[Outcome]
    exceptions: Mapping[Outcome, Defaults]

    # passed; invalid
    TOKEN_AGAIN = _detail("token-again", Outcome.PASSED)
    REQUEST_URI_DIFFERS = _detail(
        "request-uri-differs", Outcome.INVALID, (Outcome.PASSED, Defaults(403, "Forbidden", Verstat.NOT_VALIDATED))
    )
    # no-identity
    ABSENT = _detail("absent", Outcome.NO_IDENTITY)
    UNSUPPORTED_PPT = _detail(
        "unsupported-ppt", (Outcome.NO_IDENTITY, Defaults(428, "Use Supported PASSporT Format", Verstat.NOT_VALIDATED))
    )
    # anonymous; unsigned
    NO_CALLER = _detail("no-caller", Outcome.ANONYMOUS, Outcome.UNSIGNED)
    # stale; unsigned
    STALE_DATE = _detail("stale-date", Outcome.STALE, (Outcome.UNSIGNED, Defaults(403, "Stale Date")))
    FUTURE_DATE = _detail("future-date", Outcome.STALE)
    DATE = _detail("date", Outcome.STALE)
    # unfetchable
    X5U_POLICY = _detail("x5u-policy", (Outcome.UNFETCHABLE, Defaults(436, "Bad Identity Info", Verstat.FAILED)))
    FETCH_REFUSED = _detail("fetch-refused", Outcome.UNFETCHABLE)
    FETCH_TIMEOUT = _detail("fetch-timeout", Outcome.UNFETCHABLE)
    FETCH_DNS = _detail("fetch-dns", Outcome.UNFETCHABLE)
    FETCH_ADDRESS = _detail("fetch-address", Outcome.UNFETCHABLE)
    FETCH_CONNECT = _detail("fetch-connect", Outcome.UNFETCHABLE)
    FETCH_TLS = _detail("fetch-tls", Outcome.UNFETCHABLE)
    FETCH_STATUS = _detail("fetch-status", Outcome.UNFETCHABLE)
    FETCH_TOO_LARGE = _detail("fetch-too-large", Outcome.UNFETCHABLE)
    HOLD_LIMIT = _detail("hold-limit", Outcome.UNFETCHABLE, Outcome.UNSIGNED)
    VERIFICATION_TIMEOUT = _detail("verification-timeout", Outcome.UNFETCHABLE)
    VERIFICATION_REFUSED = _detail("verification-refused", Outcome.UNFETCHABLE)
    VERIFICATION_UNREACHABLE = _detail("verification-unreachable", Outcome.UNFETCHABLE)
    VERIFICATION_MISMATCH = _detail("verification-mismatch", Outcome.UNFETCHABLE)
    VERIFICATION_FAILED = _detail(
        "verification-failed", Outcome.STALE, Outcome.UNFETCHABLE, Outcome.UNTRUSTED, Outcome.INVALID
    )
    # untrusted
    ALG = _detail("alg", Outcome.UNTRUSTED)
    CERTIFICATE_UNREADABLE = _detail("certificate-unreadable", Outcome.UNTRUSTED)
    CERTIFICATE_KEY = _detail("certificate-key", Outcome.UNTRUSTED)
    CERTIFICATE_PROFILE = _detail("certificate-profile", Outcome.UNTRUSTED)
    CRITICAL_EXTENSION = _detail("critical-extension", Outcome.UNTRUSTED)
    TNAUTHLIST = _detail("tnauthlist", Outcome.UNTRUSTED)
    UNTRUSTED_CHAIN = _detail("untrusted-chain", Outcome.UNTRUSTED)
    EXPIRED = _detail("expired", Outcome.UNTRUSTED)
    NOT_YET_VALID = _detail("not-yet-valid", Outcome.UNTRUSTED)
    REVOKED = _detail("revoked", Outcome.UNTRUSTED)
    CRL_UNAVAILABLE = _detail("crl-unavailable", Outcome.UNTRUSTED)
    # invalid
    IDENTITY_SYNTAX = _detail("identity-syntax", Outcome.INVALID)
    TOO_MANY_IDENTITIES = _detail("too-many-identities", Outcome.INVALID)
    TOO_LARGE = _detail("too-large", Outcome.INVALID, Outcome.UNSIGNED)
    COMPACT_FORM = _detail("compact-form", Outcome.INVALID)
    BASE64 = _detail("base64", Outcome.INVALID)
    JSON = _detail("json", Outcome.INVALID)
    DUPLICATE_KEY = _detail("duplicate-key", Outcome.INVALID)
    TYP = _detail("typ", Outcome.INVALID)
    CRIT = _detail("crit", Outcome.INVALID)
    X5U_MISSING = _detail("x5u-missing", Outcome.INVALID)
    PPT_MISMATCH = _detail("ppt-mismatch", Outcome.INVALID)
    ALG_MISMATCH = _detail("alg-mismatch", Outcome.INVALID)
    INFO_MISMATCH = _detail("info-mismatch", Outcome.INVALID)
    CLAIM_ORIG = _detail("claim-orig", Outcome.INVALID)
    CLAIM_DEST = _detail("claim-dest", Outcome.INVALID)
    CLAIM_IAT = _detail("claim-iat", Outcome.INVALID)
    CLAIM_ATTEST = _detail("claim-attest", Outcome.INVALID)
    CLAIM_ORIGID = _detail("claim-origid", Outcome.INVALID)
    CLAIM_DIV = _detail("claim-div", Outcome.INVALID)
    CLAIM_OPT = _detail("claim-opt", Outcome.INVALID)
    CLAIM_RPH = _detail("claim-rph", Outcome.INVALID)
    CLAIM_MKY = _detail("claim-mky", Outcome.INVALID)
    ORIG_MISMATCH = _detail("orig-mismatch", Outcome.INVALID)
    DEST_MISMATCH = _detail("dest-mismatch", Outcome.INVALID)
    FINGERPRINT_MISMATCH = _detail("fingerprint-mismatch", Outcome.INVALID)
    PRIORITY_MISMATCH = _detail("priority-mismatch", Outcome.INVALID)
    DIV_CHAIN = _detail("div-chain", Outcome.INVALID)
    DIV_ORIG = _detail("div-orig", Outcome.INVALID)
    SIGNATURE_LENGTH = _detail("signature-length", Outcome.INVALID)
    BAD_SIGNATURE = _detail("bad-signature", Outcome.INVALID)
    NUMBER_NOT_AUTHORIZED = _detail("number-not-authorized", Outcome.INVALID)
    CLAIM_CONSTRAINTS = _detail("claim-constraints", Outcome.INVALID)
    AMBIGUOUS_CALLER = _detail("ambiguous-caller", Outcome.INVALID)
    # replayed
    TOKEN_SEEN = _detail("token-seen", Outcome.REPLAYED)
    # signed, already-signed, unsigned
    DIVERTED = _detail("diverted", Outcome.SIGNED)
    SHAKEN_PRESENT = _detail("shaken-present", Outcome.ALREADY_SIGNED)
    PRESERVED = _detail("preserved", Outcome.ALREADY_SIGNED)
    AMBIGUOUS = _detail("ambiguous", Outcome.UNSIGNED)
    BYPASS = _detail("bypass", Outcome.UNSIGNED)
    NOT_LISTED = _detail("not-listed", Outcome.UNSIGNED)
    PRIVACY = _detail("privacy", Outcome.UNSIGNED)
    NO_CALLED = _detail("no-called", Outcome.UNSIGNED)
    IMPOSSIBLE_NUMBER = _detail("impossible-number", Outcome.UNSIGNED)
    CREDENTIAL_EXPIRED = _detail("credential-expired", Outcome.UNSIGNED)
    NO_ROOM = _detail("no-room", Outcome.UNSIGNED)
    CRYPTO = _detail("crypto", Outcome.UNSIGNED)
    SIGNING_TIMEOUT = _detail("signing-timeout", Outcome.UNSIGNED)
    SIGNING_REFUSED = _detail("signing-refused", Outcome.UNSIGNED)
    SIGNING_UNREACHABLE = _detail("signing-unreachable", Outcome.UNSIGNED)
    SIGNING_MISMATCH = _detail("signing-mismatch", Outcome.UNSIGNED)
    # not-examined
    NO_RULE = _detail("no-rule", Outcome.NOT_EXAMINED)
    NO_DIRECTION = _detail("no-direction", Outcome.NOT_EXAMINED)
    PASS_RULE = _detail("pass-rule", Outcome.NOT_EXAMINED)
    STRIP_RULE = _detail("strip-rule", Outcome.NOT_EXAMINED)
    DROP_RULE = _detail("drop-rule", Outcome.NOT_EXAMINED)
    REJECT_RULE = _detail("reject-rule", Outcome.NOT_EXAMINED)
    IN_DIALOG = _detail("in-dialog", Outcome.NOT_EXAMINED)
    REDIRECTED = _detail("redirected", Outcome.NOT_EXAMINED)
    EMERGENCY = _detail("emergency", Outcome.NOT_EXAMINED)
    CANCELLED = _detail("cancelled", Outcome.NOT_EXAMINED)
    REASON_REMOVED = _detail("reason-removed", Outcome.NOT_EXAMINED)
    NOT_SENT = _detail("not-sent", Outcome.NOT_EXAMINED)
    # unparseable
    START_LINE = _detail("start-line", Outcome.UNPARSEABLE)
    NO_BLANK_LINE = _detail("no-blank-line", Outcome.UNPARSEABLE)
    HEADER_SYNTAX = _detail("header-syntax", Outcome.UNPARSEABLE)
    HEADER_MISSING = _detail("header-missing", Outcome.UNPARSEABLE)
    HEADER_REPEATED = _detail("header-repeated", Outcome.UNPARSEABLE)
    ADDRESS_SYNTAX = _detail("address-syntax", Outcome.UNPARSEABLE)
    TO_TAG = _detail("to-tag", Outcome.UNPARSEABLE)
    CSEQ = _detail("cseq", Outcome.UNPARSEABLE)
    CONTENT_LENGTH = _detail("content-length", Outcome.UNPARSEABLE)
    # packets that are only counted
    PACKET_TRUNCATED = _detail("packet-truncated")
    PACKET_SYNTAX = _detail("packet-syntax")
    PACKET_FRAGMENT = _detail("packet-fragment")
    PACKET_PROTOCOL = _detail("packet-protocol")

    def __init__(self, row: str) -> None:
        vars(self).update(vars(row))


DETAILS: Mapping[Outcome, frozenset[Detail]] = {
    outcome: frozenset(detail for detail in Detail if outcome in detail.outcomes) for outcome in Outcome
}
"""The details of each outcome."""


def result_name(outcome: str, detail: str | None) -> str:
    """Outcome and detail in one word, as in rules: `invalid.orig-mismatch`."""
    return f"{outcome}.{detail}" if detail else str(outcome)


def defaults_of(outcome: Outcome, detail: Detail | None) -> Defaults:
    """What an outcome with this detail means unless a rule says otherwise."""
    return outcome.defaults if detail is None else detail.exceptions.get(outcome, outcome.defaults)


class Repair(_Key):
    """How a message of an untrusted peer was changed so that all SIP stacks read it alike; each is counted."""

    LEADING_BYTES = "leading-bytes"  # bytes before the method were removed
    REQUEST_LINE = "request-line"  # the request line, or the method in CSeq, was written in its plain form
    LINE_ENDS = "line-ends"  # bare LF became CRLF, or a missing empty line was added
    CONTROL_BYTES = "control-bytes"  # control characters in the header became spaces
    FOLDED_LINES = "folded-lines"  # folded lines were joined
    HEADER_NAMES = "header-names"  # blanks, invisible bytes and escapes were removed from names
    DISPLAY_NAMES = "display-names"  # the name in From or To got the quotes that it needs
    TAGS = "tags"  # the parameters of From or To were written without blanks, with one tag or none
    REPEATED_FIELDS = "repeated-fields"  # a field that may occur once occurred again, and only the first was kept
    CONTENT_LENGTH = "content-length"  # Content-Length was corrected, because only line ends were missing
    TRAILING_BYTES = "trailing-bytes"  # bytes after the end that Content-Length states were removed


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
    NO_PPT_PARAMETER = "no-ppt-parameter"


TOLERABLE = frozenset(
    {
        Deviation.IAT_STRING,
        Deviation.NO_ORIGID,
        Deviation.STANDARD_BASE64,
        Deviation.INFO_MISMATCH,
        Deviation.COMMA_JOINED,
        Deviation.NATIONAL_CLAIM,
        Deviation.BASE_PASSPORT,
        Deviation.NO_PPT_PARAMETER,
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
    ISSUER_KEYS = "issuer-keys"  # an issuer with an RSA, P-384 or P-521 key, or a signature with SHA-384 or SHA-512
    EXTENDED_KEY_USAGE = "extended-key-usage"  # the leaf's purposes do not include signing tokens
    NO_KEY_USAGE = "no-key-usage"  # the leaf has no keyUsage; ATIS-1000080 requires digitalSignature


CERTIFICATE_TOLERABLE = frozenset({CertificateDeviation.TNAUTHLIST_ENCODING, CertificateDeviation.DER_BODY})
"""Refused unless `[trust].tolerate` names it."""

CERTIFICATE_REFUSABLE = frozenset({CertificateDeviation.EXTENDED_KEY_USAGE, CertificateDeviation.ISSUER_KEYS})
"""Accepted unless `[trust].strict` names it."""
