"""The closed lists of what can become of a packet: outcomes, details and deviations.

`Outcome` is what an operator counts and writes rules about; `Detail` is the exact cause. Both are closed: a new way to
fail needs a new member here, an entry in the documentation and a test.
"""

from collections.abc import Mapping
from enum import StrEnum


class _Key(StrEnum):
    """A string from a closed list. `str.__hash__` is used because these are often dictionary keys, and Enum's is
    slower."""

    __hash__ = str.__hash__


class Outcome(_Key):
    """What became of a message."""

    # verification
    PASSED = "passed"
    NO_IDENTITY = "no-identity"
    ANONYMOUS = "anonymous"
    STALE = "stale"
    UNFETCHABLE = "unfetchable"
    UNTRUSTED = "untrusted"
    INVALID = "invalid"
    REPLAYED = "replayed"
    # signing
    SIGNED = "signed"
    ALREADY_SIGNED = "already-signed"
    UNSIGNED = "unsigned"
    # neither
    PASSED_BY = "passed-by"
    UNPARSEABLE = "unparseable"


VERIFICATION_OUTCOMES = frozenset(
    {
        Outcome.PASSED,
        Outcome.NO_IDENTITY,
        Outcome.ANONYMOUS,
        Outcome.STALE,
        Outcome.UNFETCHABLE,
        Outcome.UNTRUSTED,
        Outcome.INVALID,
        Outcome.REPLAYED,
    }
)
SIGNING_OUTCOMES = frozenset({Outcome.SIGNED, Outcome.ALREADY_SIGNED, Outcome.UNSIGNED})


class Detail(_Key):
    """The exact cause behind an `Outcome`."""

    # no-identity
    ABSENT = "absent"
    UNSUPPORTED_PPT = "unsupported-ppt"
    # anonymous; unsigned
    NO_CALLER = "no-caller"
    # stale; unsigned
    STALE_DATE = "stale-date"
    FUTURE_DATE = "future-date"
    # unfetchable
    X5U_POLICY = "x5u-policy"
    FETCH_REFUSED = "fetch-refused"
    FETCH_TIMEOUT = "fetch-timeout"
    FETCH_DNS = "fetch-dns"
    FETCH_ADDRESS = "fetch-address"
    FETCH_CONNECT = "fetch-connect"
    FETCH_TLS = "fetch-tls"
    FETCH_STATUS = "fetch-status"
    FETCH_TOO_LARGE = "fetch-too-large"
    HOLD_LIMIT = "hold-limit"
    VERIFICATION_TIMEOUT = "verification-timeout"
    VERIFICATION_REFUSED = "verification-refused"
    VERIFICATION_UNREACHABLE = "verification-unreachable"
    VERIFICATION_MISMATCH = "verification-mismatch"
    VERIFICATION_FAILED = "verification-failed"  # also with the outcomes stale, untrusted and invalid
    # untrusted
    ALG = "alg"
    CERTIFICATE_UNREADABLE = "certificate-unreadable"
    CERTIFICATE_KEY = "certificate-key"
    CERTIFICATE_PROFILE = "certificate-profile"
    CRITICAL_EXTENSION = "critical-extension"
    TNAUTHLIST = "tnauthlist"
    UNTRUSTED_CHAIN = "untrusted-chain"
    EXPIRED = "expired"
    NOT_YET_VALID = "not-yet-valid"
    REVOKED = "revoked"
    CRL_UNAVAILABLE = "crl-unavailable"
    # invalid
    IDENTITY_SYNTAX = "identity-syntax"
    TOO_MANY_IDENTITIES = "too-many-identities"
    TOO_LARGE = "too-large"
    COMPACT_FORM = "compact-form"
    BASE64 = "base64"
    JSON = "json"
    DUPLICATE_KEY = "duplicate-key"
    TYP = "typ"
    CRIT = "crit"
    X5U_MISSING = "x5u-missing"
    PPT_MISMATCH = "ppt-mismatch"
    ALG_MISMATCH = "alg-mismatch"
    INFO_MISMATCH = "info-mismatch"
    CLAIM_ORIG = "claim-orig"
    CLAIM_DEST = "claim-dest"
    CLAIM_IAT = "claim-iat"
    CLAIM_ATTEST = "claim-attest"
    CLAIM_ORIGID = "claim-origid"
    CLAIM_DIV = "claim-div"
    CLAIM_OPT = "claim-opt"
    CLAIM_RPH = "claim-rph"
    CLAIM_MKY = "claim-mky"
    ORIG_MISMATCH = "orig-mismatch"
    DEST_MISMATCH = "dest-mismatch"
    FINGERPRINT_MISMATCH = "fingerprint-mismatch"
    PRIORITY_MISMATCH = "priority-mismatch"
    DIV_CHAIN = "div-chain"
    DIV_ORIG = "div-orig"
    SIGNATURE_LENGTH = "signature-length"
    BAD_SIGNATURE = "bad-signature"
    NUMBER_NOT_AUTHORIZED = "number-not-authorized"
    CLAIM_CONSTRAINTS = "claim-constraints"
    # replayed
    TOKEN_SEEN = "token-seen"
    # signed, already-signed, unsigned
    DIVERTED = "diverted"
    SHAKEN_PRESENT = "shaken-present"
    PRESERVED = "preserved"
    AMBIGUOUS = "ambiguous"
    BYPASS = "bypass"
    NOT_LISTED = "not-listed"
    PRIVACY = "privacy"
    NO_CALLED = "no-called"
    CREDENTIAL_EXPIRED = "credential-expired"
    NO_ROOM = "no-room"
    CRYPTO = "crypto"
    SIGNING_TIMEOUT = "signing-timeout"
    SIGNING_REFUSED = "signing-refused"
    SIGNING_UNREACHABLE = "signing-unreachable"
    SIGNING_MISMATCH = "signing-mismatch"
    # passed-by
    NO_RULE = "no-rule"
    PASS_RULE = "pass-rule"
    STRIP_RULE = "strip-rule"
    DROP_RULE = "drop-rule"
    REJECT_RULE = "reject-rule"
    IN_DIALOG = "in-dialog"
    REDIRECTED = "redirected"
    EMERGENCY = "emergency"
    HELD = "held"
    CANCELLED = "cancelled"
    REASON_REMOVED = "reason-removed"
    INTERNAL_ERROR = "internal-error"
    # unparseable
    START_LINE = "start-line"
    NO_BLANK_LINE = "no-blank-line"
    HEADER_SYNTAX = "header-syntax"
    HEADER_MISSING = "header-missing"
    HEADER_REPEATED = "header-repeated"
    ADDRESS_SYNTAX = "address-syntax"
    TO_TAG = "to-tag"
    CSEQ = "cseq"
    CONTENT_LENGTH = "content-length"
    # packets that are only counted
    PACKET_TRUNCATED = "packet-truncated"
    PACKET_SYNTAX = "packet-syntax"
    PACKET_FRAGMENT = "packet-fragment"
    PACKET_PROTOCOL = "packet-protocol"


class Repair(_Key):
    """How a message of an untrusted peer was changed so that all SIP stacks read it alike; each is counted."""

    LEADING_BYTES = "leading-bytes"  # bytes before the method were removed
    REQUEST_LINE = "request-line"  # the request line, or the method in CSeq, was written in its plain form
    LINE_ENDS = "line-ends"  # bare LF became CRLF, or a missing empty line was added
    CONTROL_BYTES = "control-bytes"  # control characters in the header became spaces
    FOLDED_LINES = "folded-lines"  # folded lines were joined
    HEADER_NAMES = "header-names"  # blanks, invisible bytes and escapes were removed from names
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

_INVALID = (
    Detail.IDENTITY_SYNTAX, Detail.TOO_MANY_IDENTITIES, Detail.TOO_LARGE, Detail.COMPACT_FORM, Detail.BASE64,
    Detail.JSON, Detail.DUPLICATE_KEY, Detail.TYP, Detail.CRIT, Detail.X5U_MISSING, Detail.PPT_MISMATCH,
    Detail.ALG_MISMATCH, Detail.INFO_MISMATCH, Detail.CLAIM_ORIG, Detail.CLAIM_DEST, Detail.CLAIM_IAT,
    Detail.CLAIM_ATTEST, Detail.CLAIM_ORIGID, Detail.CLAIM_DIV, Detail.CLAIM_OPT, Detail.CLAIM_RPH, Detail.CLAIM_MKY,
    Detail.ORIG_MISMATCH, Detail.DEST_MISMATCH, Detail.FINGERPRINT_MISMATCH, Detail.PRIORITY_MISMATCH,
    Detail.DIV_CHAIN, Detail.DIV_ORIG, Detail.SIGNATURE_LENGTH, Detail.BAD_SIGNATURE, Detail.NUMBER_NOT_AUTHORIZED,
    Detail.CLAIM_CONSTRAINTS, Detail.VERIFICATION_FAILED,
)  # fmt: skip
_UNTRUSTED = (
    Detail.ALG, Detail.CERTIFICATE_UNREADABLE, Detail.CERTIFICATE_KEY, Detail.CERTIFICATE_PROFILE,
    Detail.CRITICAL_EXTENSION, Detail.TNAUTHLIST, Detail.UNTRUSTED_CHAIN, Detail.EXPIRED, Detail.NOT_YET_VALID,
    Detail.REVOKED, Detail.CRL_UNAVAILABLE, Detail.VERIFICATION_FAILED,
)  # fmt: skip
_UNSIGNED = (
    Detail.NO_CALLER, Detail.NO_CALLED, Detail.STALE_DATE, Detail.FUTURE_DATE, Detail.CREDENTIAL_EXPIRED,
    Detail.NO_ROOM, Detail.CRYPTO, Detail.AMBIGUOUS, Detail.BYPASS, Detail.NOT_LISTED, Detail.PRIVACY, Detail.TOO_LARGE,
    Detail.SIGNING_TIMEOUT, Detail.SIGNING_REFUSED, Detail.SIGNING_UNREACHABLE, Detail.SIGNING_MISMATCH,
    Detail.HOLD_LIMIT,
)  # fmt: skip
_UNPARSEABLE = (
    Detail.START_LINE, Detail.NO_BLANK_LINE, Detail.HEADER_SYNTAX, Detail.HEADER_MISSING, Detail.HEADER_REPEATED,
    Detail.ADDRESS_SYNTAX, Detail.TO_TAG, Detail.CSEQ, Detail.CONTENT_LENGTH,
)  # fmt: skip
# The details that a rule can meet with each outcome.
DETAILS: Mapping[Outcome, frozenset[Detail]] = {
    Outcome.PASSED: frozenset(),
    Outcome.NO_IDENTITY: frozenset({Detail.ABSENT, Detail.UNSUPPORTED_PPT}),
    Outcome.ANONYMOUS: frozenset({Detail.NO_CALLER}),
    Outcome.STALE: frozenset({Detail.STALE_DATE, Detail.FUTURE_DATE, Detail.VERIFICATION_FAILED}),
    Outcome.UNFETCHABLE: frozenset(detail for detail in Detail if detail.startswith(("fetch-", "verification-")))
    | {Detail.X5U_POLICY, Detail.HOLD_LIMIT},
    Outcome.UNTRUSTED: frozenset(_UNTRUSTED),
    Outcome.INVALID: frozenset(_INVALID),
    Outcome.REPLAYED: frozenset({Detail.TOKEN_SEEN}),
    Outcome.SIGNED: frozenset({Detail.DIVERTED}),
    Outcome.ALREADY_SIGNED: frozenset({Detail.SHAKEN_PRESENT, Detail.PRESERVED}),
    Outcome.UNSIGNED: frozenset(_UNSIGNED),
    Outcome.UNPARSEABLE: frozenset(_UNPARSEABLE),
}
