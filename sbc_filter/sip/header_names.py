"""Header names. The canonical form is the full name in lower case; compact forms are those of the IANA registry.

`y` is Identity (RFC 8224 §13.1). A filter that overlooked it would let a peer's tokens bypass verification and removal
(S-031). `n` (Identity-Info) no longer exists.
"""

from sbc_filter.sip.grammar import HEADER_NAME

COMPACT_FORMS = {
    b"a": b"accept-contact",
    b"b": b"referred-by",
    b"c": b"content-type",
    b"d": b"request-disposition",
    b"e": b"content-encoding",
    b"f": b"from",
    b"i": b"call-id",
    b"j": b"reject-contact",
    b"k": b"supported",
    b"l": b"content-length",
    b"m": b"contact",
    b"o": b"event",
    b"r": b"refer-to",
    b"s": b"subject",
    b"t": b"to",
    b"u": b"allow-events",
    b"v": b"via",
    b"x": b"session-expires",
    b"y": b"identity",
}

# The usual spellings in nearly every message: most lookups then are one dictionary access.
_COMMON = (
    "Via Max-Forwards Route Record-Route Contact To From Call-ID CSeq Allow Supported Require Content-Type "
    "Content-Length Date Identity P-Asserted-Identity P-Preferred-Identity Privacy User-Agent Server Expires "
    "Session-Expires Min-SE Accept Diversion History-Info P-Charging-Vector Session-ID Allow-Events Remote-Party-ID "
    "P-Attestation-Indicator P-Origination-ID Attestation-Info Origination-Id Resource-Priority Reason "
    "Reply-To Referred-By Refer-To P-Served-User P-Charge-Info P-Called-Party-ID P-Associated-URI"
)
KNOWN = {name.encode(): name.lower().encode() for name in _COMMON.split()}
KNOWN |= COMPACT_FORMS | {name.upper(): full for name, full in COMPACT_FORMS.items()}
_FULL = frozenset(KNOWN.values())


def with_hyphens(name: bytes) -> bytes:
    """The name with a hyphen for each underscore, if that is a known name; else as it is.

    JsSIP takes `P_Asserted_Identity` for `P-Asserted-Identity`.
    """
    if name.find(b"_") < 0:
        return name
    hyphenated = name.replace(b"_", b"-")
    return hyphenated if hyphenated.lower() in _FULL else name


def canonical(name: bytes) -> bytes:
    """The canonical form of a header name as written before the colon (S-148); empty if it is not a token."""
    known = KNOWN.get(name)
    if known is not None:
        return known
    name = name.rstrip(b" \t").lower()
    if HEADER_NAME.fullmatch(name) is None:
        return b""
    return COMPACT_FORMS.get(name, name)
