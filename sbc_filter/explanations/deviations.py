"""How honest senders and real certificates depart from the standards."""

from collections.abc import Mapping

from sbc_filter.explanations.explanation import CA, CARRIER, CARRIER_FIRST, NO_ACTION, YOU, Explanation
from sbc_filter.outcomes import CertificateDeviation, Deviation

_HARMLESS = "Nothing: all readers read it in the same way."
_TELL = "The call is fine. Tell the signer when you talk to it."
_IAT = "Nothing: `iat` counts, which is signed."

DEVIATIONS: Mapping[Deviation, Explanation] = {
    Deviation.PARAMETER_FORM: Explanation(
        "parameters of the Identity field in another order, with white space, in capitals; a digest that is folded",
        "RFC 8224 §4, RFC 3261 §7.3.1",
        NO_ACTION,
        _HARMLESS,
    ),
    Deviation.QUOTED_PARAMETER: Explanation(
        "`ppt` or `alg` in quotes", "RFC 8224 §4; RFC 8946 and RFC 9795 print quotes", NO_ACTION, _HARMLESS
    ),
    Deviation.INFO_FORM: Explanation("`info` without angle brackets, or in quotes", "RFC 8224 §4", CARRIER, _TELL),
    Deviation.NO_ALG_PARAMETER: Explanation(
        "no `alg` next to the token", "RFC 8224 §4.1: the default is ES256", NO_ACTION, _HARMLESS
    ),
    Deviation.EMPTY_PARAMETER: Explanation(
        "a parameter with `=` and no value; an empty `ppt` counts as none",
        "RFC 3261 §25.1",
        CARRIER,
        "The call is fine. To refuse such calls, add `empty-parameter` to `strict` in `[rule.verify]` of the rule.",
    ),
    Deviation.PADDING: Explanation("`=` after the segments", "RFC 7515 §2", CARRIER, _TELL),
    Deviation.JSON_FORM: Explanation(
        "JSON with white space, or in another order than the standard says", "RFC 8225 §9", CARRIER, _TELL
    ),
    Deviation.EXTRA_CLAIMS: Explanation(
        "claims that RFC 8588 does not know", "RFC 8225 §8.3", NO_ACTION, "Nothing: they may be rich call data."
    ),
    Deviation.CLAIM_SHAPE: Explanation(
        "`dest.tn` as a string, `orig.tn` as a list of one", "RFC 8225 §5.2.1", CARRIER, _TELL
    ),
    Deviation.NUMBER_FORM: Explanation(
        "`+` or separators in a number of the token", "RFC 8225 §5.2.1.1, RFC 8224 §8.3", CARRIER, _TELL
    ),
    Deviation.LONG_NUMBER: Explanation(
        "a number of more than 15 digits in the token",
        "ITU-T E.164 §6",
        NO_ACTION,
        "Nothing: France puts a routing prefix in front of numbers.",
    ),
    Deviation.IAT_FORM: Explanation(
        "`iat` with a fraction, which is dropped, or an exponent", "RFC 7519 §2", NO_ACTION, _HARMLESS
    ),
    Deviation.ORIGID_FORM: Explanation(
        "`origid` is not a UUID; it is recorded, and not written into the call", "RFC 8588 §5", CARRIER, _TELL
    ),
    Deviation.NO_DATE: Explanation("no Date in the INVITE; `iat` counts", "RFC 8224 §6.1 step 3", NO_ACTION, _IAT),
    Deviation.DATE_DIFFERS: Explanation(
        "Date is not `iat`, or cannot be read; `iat` counts", "RFC 8224 §6.2 step 4", NO_ACTION, _IAT
    ),
    Deviation.X5U_PORT_8443: Explanation("port 8443", "ATIS-1000074 §5.3.1", NO_ACTION, "Nothing: it is allowed."),
    Deviation.COMPACT_NAME: Explanation("`y:` for `Identity:`", "RFC 8224 §13.1", NO_ACTION, "Nothing: it is allowed."),
    Deviation.SEVERAL_IDENTITIES: Explanation(
        "several Identity fields", "RFC 8224 §4, §6.2.1", NO_ACTION, "Nothing: it is allowed."
    ),
    Deviation.NO_USER_PHONE: Explanation(
        "the caller's SIP URI lacks `user=phone`", "RFC 8224 §8.1, RFC 3261 §19.1.1", NO_ACTION, _HARMLESS
    ),
    Deviation.NATIONAL_NUMBER: Explanation(
        "the caller's number in the signalling lacks `+`",
        "RFC 3966 §5.1.4",
        YOU,
        "Check that `numbering` in `[network]` of sbc-filter.toml completes the numbers of this peer correctly.",
    ),
    Deviation.PORTABILITY_PREFIX: Explanation(
        "a routing prefix in To and not in `dest`, or the other way round (`france`)",
        "RFC 8224 §8.3",
        NO_ACTION,
        "Nothing: the number behind the prefix is the same.",
    ),
    Deviation.IAT_STRING: Explanation(
        "`iat` as a string, as in the sample of RFC 8224",
        "RFC 8225 §5.1.1, erratum 6656",
        CARRIER,
        "The signer must write a number. Until then, add `iat-string` to `tolerate` in `[rule.verify]` of the rule.",
    ),
    Deviation.NO_ORIGID: Explanation(
        "no `origid`",
        "RFC 8588 §5",
        CARRIER,
        "The signer must write one. Until then, add `no-origid` to `tolerate` in `[rule.verify]` of the rule.",
    ),
    Deviation.STANDARD_BASE64: Explanation(
        "`+` and `/` in the segments, as in RFC 8224 §4 before its erratum 6499",
        "RFC 7515 §2, erratum 6499",
        CARRIER,
        "The signer must use base64url. Until then, add `standard-base64` to `tolerate` in `[rule.verify]` of the"
        " rule.",
    ),
    Deviation.INFO_MISMATCH: Explanation(
        "`info` is another URL than `x5u`; the filter fetches `x5u`, which is signed",
        "RFC 8224 §4.1, §6.2 step 3",
        CARRIER_FIRST,
        "The signer must write the same URL twice. Until then, add `info-mismatch` to `tolerate` in `[rule.verify]`"
        " of the rule.",
    ),
    Deviation.NO_PPT_PARAMETER: Explanation(
        "no `ppt` in the field; that of the token counts",
        "RFC 8224 §4.1",
        CARRIER,
        "The signer must write it. Until then, add `no-ppt-parameter` to `tolerate` in `[rule.verify]` of the rule.",
    ),
    Deviation.COMMA_JOINED: Explanation(
        "several Identity values in one field, with commas",
        "RFC 8224 §4 does not have lists",
        CARRIER_FIRST,
        "A device on the way joins fields. Until it stops, add `comma-joined` to `tolerate` in `[rule.verify]` of"
        " the rule.",
    ),
    Deviation.NATIONAL_CLAIM: Explanation(
        "a number in the token without its country code, completed by `[network].numbering`",
        "RFC 8224 §8.3",
        CARRIER,
        "The signer must write international numbers. Until then, add `national-claim` to `tolerate` in"
        " `[rule.verify]` of the rule.",
    ),
    Deviation.BASE_PASSPORT: Explanation(
        "no `ppt`, in a token by a certificate with a service provider code; it [counts as attestation"
        " C](rules.md#ruleverify)",
        "ATIS-1000074 §5.3.1, RFC 8588 §3",
        CARRIER,
        "The signer must sign `shaken` tokens. Until then, add `base-passport` to `tolerate` in `[rule.verify]` of"
        " the rule.",
    ),
}

REFUSED_AS: Mapping[Deviation, tuple[str, ...]] = {
    Deviation.IAT_STRING: ("invalid.claim-iat",),
    Deviation.NO_ORIGID: ("invalid.claim-origid",),
    Deviation.STANDARD_BASE64: ("invalid.identity-syntax",),
    Deviation.INFO_MISMATCH: ("invalid.info-mismatch",),
    Deviation.NO_PPT_PARAMETER: ("invalid.ppt-mismatch",),
    Deviation.COMMA_JOINED: ("invalid.identity-syntax",),
    Deviation.NATIONAL_CLAIM: ("invalid.orig-mismatch", "invalid.dest-mismatch"),
    Deviation.BASE_PASSPORT: ("no-identity.unsupported-ppt",),
}
"""What a deviation of `TOLERABLE` is refused as, unless a rule tolerates it: outcome and detail."""

_ORDER_AGAIN = "The CA must correct its profile. The call is fine."

CERTIFICATE_DEVIATIONS: Mapping[CertificateDeviation, Explanation] = {
    CertificateDeviation.TNAUTHLIST_ENCODING: Explanation(
        "A TNAuthList with implicit tags, or with its SPC as an untagged PrintableString. Both occur in production."
        " Also a count with zero octets in front (X.690 §8.3.2).",
        "RFC 8226 §9",
        CA,
        "The CA must issue the certificate again. Until then, add `tnauthlist-encoding` to `tolerate` in `[trust]`"
        " of sbc-filter.toml.",
    ),
    CertificateDeviation.DER_BODY: Explanation(
        "One certificate in DER where `x5u` should lead to PEM.",
        "RFC 8224 §7.2, ATIS-1000074 §5.3.1",
        CARRIER,
        "The signer must serve PEM. Until then, add `der-body` to `tolerate` in `[trust]` of sbc-filter.toml.",
    ),
    CertificateDeviation.ISSUER_KEYS: Explanation(
        "An issuer with RSA of 2048 to 8192 bits, P-384 or P-521, or a signature with SHA-384 or SHA-512. ATIS-1000080"
        " wants P-256 with SHA-256, but some approved authorities have such keys. The signing certificate itself must"
        " still use P-256.",
        "ATIS-1000080 §6.4.1",
        CA,
        "Nothing, unless your policy forbids it: then add `issuer-keys` to `strict` in `[trust]` of sbc-filter.toml.",
    ),
    CertificateDeviation.NULL_PARAMETERS: Explanation(
        "NULL next to ecdsa-with-SHA256, as Java older than version 16 writes it.",
        "RFC 5758 §3.2",
        CA,
        _ORDER_AGAIN,
    ),
    CertificateDeviation.CHAIN_ORDER: Explanation(
        "The signing certificate is not first, or an issuer does not come after the certificate it issued.",
        "RFC 8224 §7.2, ATIS-1000074 §5.3.1",
        CARRIER,
        "The signer must put its certificate first. The call is fine.",
    ),
    CertificateDeviation.POLICY: Explanation(
        "No certificate policy of SHAKEN, or the one that ends in 1 or 2.", "ATIS-1000080 §6.4.1", CA, _ORDER_AGAIN
    ),
    CertificateDeviation.NO_CRL_ISSUER: Explanation(
        "No distribution point that names the issuer of the CRL.",
        "ATIS-1000080 §6.4.1, RFC 5280 §4.2.1.13",
        CA,
        _ORDER_AGAIN,
    ),
    CertificateDeviation.COMMON_NAME: Explanation(
        "The common name lacks SHAKEN or the SPC.", "ATIS-1000080 §6.4.1", CA, _ORDER_AGAIN
    ),
    CertificateDeviation.EXTENDED_KEY_USAGE: Explanation(
        "The signing certificate has an extendedKeyUsage with neither anyExtendedKeyUsage nor the signing of JWTs. A"
        " critical one is always refused, as `critical-extension`.",
        "RFC 5280 §4.2.1.12, RFC 9509 §3",
        CA,
        "The CA must leave the extension out. To refuse such certificates, add `extended-key-usage` to `strict` in"
        " `[trust]` of sbc-filter.toml.",
    ),
    CertificateDeviation.NO_KEY_USAGE: Explanation(
        "The signing certificate lacks keyUsage, where ATIS-1000080 wants digitalSignature. RFC 5280 allows that.",
        "ATIS-1000080 §6.4.1, RFC 5280 §4.2.1.3",
        CA,
        _ORDER_AGAIN,
    ),
}
