"""Tokens that are broken: form of the Identity field, of the protected header and of the claims."""

from collections.abc import Mapping

from sbc_filter.explanations.explanation import CARRIER, CARRIER_FIRST, Explanation
from sbc_filter.outcomes import Detail

_CLAIMS = "The signer must correct the claims that its software writes."
_FIELD = "The signer must correct its software, or a device on the way rewrites the field."

FORM: Mapping[Detail, Explanation] = {
    Detail.IDENTITY_SYNTAX: Explanation(
        "The Identity field breaks the grammar, or lacks `info`.",
        "RFC 8224 §4 with erratum 6499",
        CARRIER_FIRST,
        "The signer must correct it, or an SBC on the way corrupts it.",
    ),
    Detail.TOO_MANY_IDENTITIES: Explanation(
        "The call has more than 16 Identity fields.",
        "None: RFC 8224 §4 allows several, and this limit protects the filter.",
        CARRIER,
        "An honest call has one to three. Ask the trunk which device adds them.",
    ),
    Detail.TOO_LARGE: Explanation(
        "One Identity value has more than 8192 octets, or all of the call have more than 24,576.",
        "None: this limit protects the filter. A `shaken` token has about 600 octets.",
        CARRIER,
        "Ask the signer what it puts into its tokens.",
    ),
    Detail.COMPACT_FORM: Explanation(
        "The token is in compact form. It is a `shaken` token, for which SHAKEN does not allow that, or the call lacks"
        " a Date: it cannot be rebuilt.",
        "RFC 8225 §7, ATIS-1000074 §5.3.3",
        CARRIER,
        "The signer must send the full form.",
    ),
    Detail.BASE64: Explanation(
        "A part of the token is not base64url without padding.", "RFC 7515 §2", CARRIER_FIRST, _FIELD
    ),
    Detail.JSON: Explanation(
        "The header or the claims are not a JSON object, or nested more than 16 deep.",
        "RFC 8225 §4, §5; RFC 8259",
        CARRIER,
        _CLAIMS,
    ),
    Detail.DUPLICATE_KEY: Explanation(
        "A key occurs twice in the header or in the claims, so two readers could see two callers.",
        "RFC 7515 §4, RFC 7519 §4, RFC 8225 §9",
        CARRIER,
        "The signer must write each key once. Treat it as an attack until then.",
    ),
    Detail.TYP: Explanation(
        "`typ` is not `passport`.", "RFC 8225 §4.1", CARRIER, "The signer must write `typ` as `passport`."
    ),
    Detail.CRIT: Explanation(
        "The token demands an extension of JWS (`crit`).",
        "RFC 7515 §4.1.11",
        CARRIER,
        "The signer must leave out `crit`: no extension is defined for PASSporTs.",
    ),
    Detail.X5U_MISSING: Explanation(
        "The token lacks `x5u`, the URL of its certificate.",
        "RFC 8225 §4.3, RFC 8224 §4.1",
        CARRIER,
        "The signer must write `x5u` into the protected header.",
    ),
    Detail.PPT_MISMATCH: Explanation(
        "`ppt` of the field and of the token differ, or one of them is missing.", "RFC 8224 §4.1", CARRIER_FIRST, _FIELD
    ),
    Detail.ALG_MISMATCH: Explanation(
        "`alg` of the field and of the token differ, or the token's is missing or not a string.",
        "RFC 8224 §4.1, RFC 8225 §4.2",
        CARRIER_FIRST,
        _FIELD,
    ),
    Detail.INFO_MISMATCH: Explanation(
        "`info` and `x5u` differ.",
        "RFC 8224 §4.1, §6.2 step 3",
        CARRIER_FIRST,
        "The signer must write the same URL twice, or a device on the way rewrites URLs.",
    ),
    Detail.CLAIM_ORIG: Explanation("`orig` is missing or malformed.", "RFC 8225 §5.2.1", CARRIER, _CLAIMS),
    Detail.CLAIM_DEST: Explanation(
        "`dest` is missing or malformed, or names more than 64.", "RFC 8225 §5.2.1", CARRIER, _CLAIMS
    ),
    Detail.CLAIM_IAT: Explanation(
        "`iat` is missing or not a number, or `exp` or `nbf` is not a number.",
        "RFC 8225 §5.1.1, RFC 7519 §2, §4.1",
        CARRIER,
        "The signer must write times as numbers. If `iat` is a string, add `iat-string` to `tolerate` in"
        " `[rule.verify]` of the rule until then.",
    ),
    Detail.CLAIM_ATTEST: Explanation("`attest` is not A, B or C.", "RFC 8588 §4", CARRIER, _CLAIMS),
    Detail.CLAIM_ORIGID: Explanation(
        "`origid` is missing.",
        "RFC 8588 §5",
        CARRIER,
        "The signer must write an `origid`. Until then, add `no-origid` to `tolerate` in `[rule.verify]` of the rule.",
    ),
    Detail.CLAIM_DIV: Explanation(
        "`div` of a `div` or `div-o` token is missing or malformed.", "RFC 8946 §3", CARRIER, _CLAIMS
    ),
    Detail.CLAIM_OPT: Explanation(
        "`opt` of a `div-o` token is missing or not a token in full form.", "RFC 8946 §5", CARRIER, _CLAIMS
    ),
    Detail.CLAIM_RPH: Explanation("`rph` of an `rph` token is missing or malformed.", "RFC 8443 §3", CARRIER, _CLAIMS),
    Detail.CLAIM_MKY: Explanation("`mky` is malformed.", "RFC 8225 §5.2.2", CARRIER, _CLAIMS),
    Detail.SIGNATURE_LENGTH: Explanation(
        "The signature is not 64 octets. Often it is in DER, which ES256 does not use.",
        "RFC 7518 §3.4",
        CARRIER,
        "The signer must write r and s, of 32 octets each.",
    ),
}
