"""Certificates that are not trusted."""

from collections.abc import Mapping

from sbc_filter.explanations.explanation import CA, CARRIER, CARRIER_FIRST, YOU, YOU_FIRST, Actor, Explanation
from sbc_filter.outcomes import Detail

UNTRUSTED: Mapping[Detail, Explanation] = {
    Detail.ALG: Explanation(
        "The token is not signed with ES256.",
        "RFC 8225 §4.2, RFC 8224 §4.1",
        CARRIER,
        "The signer must sign with ES256. Accept nothing else: other algorithms allow forgeries.",
    ),
    Detail.CERTIFICATE_UNREADABLE: Explanation(
        "The content from the source is not a PEM certificate, is broken, or contains more than 12.",
        "RFC 8224 §7.2, RFC 7468 §5",
        CARRIER_FIRST,
        "The signer must serve PEM. If it came from your own folder, look at the file. For one certificate in DER,"
        " add `der-body` to [`tolerate`](configuration.md#trust) in `[trust]` of sbc-filter.toml.",
    ),
    Detail.CERTIFICATE_KEY: Explanation(
        "The key of the signing certificate is not on P-256, or a key does not name its curve. Or the key of an"
        " issuer is weak or of an unknown kind. If `strict` in `[trust]` has `issuer-keys`, any but P-256 with"
        " SHA-256.",
        "ATIS-1000080 §6.4.1, RFC 5480 §2.1.1",
        CA,
        "The signer must order a certificate with a P-256 key.",
    ),
    Detail.CERTIFICATE_PROFILE: Explanation(
        "The certificate is not allowed to sign. The leaf is a CA, an issuer is not a CA, or the key usage is"
        " wrong. Or it does not have any of your `policies` in `[trust]`, another purpose where `strict` there"
        " refuses it, or claim constraints that cannot be read.",
        "ATIS-1000080 §6.4.1, RFC 5280 §4.2.1.3, §4.2.1.9",
        CA,
        "The signer must have its CA issue a certificate that follows the profile.",
    ),
    Detail.CRITICAL_EXTENSION: Explanation(
        "A certificate of the chain has an unknown critical extension, or nameConstraints, critical or not.",
        "RFC 5280 §4.2, §4.2.1.10",
        CA,
        "The CA must issue a certificate without this extension.",
    ),
    Detail.TNAUTHLIST: Explanation(
        "The TNAuthList is missing or broken, has an SPC together with others, or exceeds that of its issuer.",
        "RFC 8226 §9, RFC 9060 §4, ATIS-1000080 §6.4.1",
        CA,
        "The signer must use a certificate for calls, not that of a web server. If the CA only encoded the list"
        " wrongly, add `tnauthlist-encoding` to `tolerate` in `[trust]` of sbc-filter.toml.",
    ),
    Detail.UNTRUSTED_CHAIN: Explanation(
        "There is no path from the certificate to a trust anchor.",
        "RFC 5280 §6.1, ATIS-1000084",
        YOU_FIRST,
        "Find out whether your STI-PA (the policy administrator of your country) has approved the root. If so, name"
        " it with `--anchors`, or live as `anchors` in `[trust]` of sbc-filter.toml, or renew `trust_list` there."
        " Otherwise do nothing: this is what anchors are for.",
    ),
    Detail.VERIFICATION_FAILED: Explanation(
        "The [service that verifies](configuration.md#verifiersname) does not trust the certificate (437).",
        "ATIS-1000082; RFC 8224 §6.2.2 for the code",
        (Actor.CARRIER, Actor.SERVICE),
        "Ask the operator of the service what is wrong with the certificate, and inform the signer.",
    ),
    Detail.EXPIRED: Explanation(
        "The chain had expired when the token was made or arrived.",
        "RFC 5280 §4.1.2.5, §6.1.3; RFC 8224 §6.2 step 4",
        CARRIER,
        "The signer must renew its certificate and sign with the new one.",
    ),
    Detail.NOT_YET_VALID: Explanation(
        "The chain was not valid yet when the token was made or arrived.",
        "RFC 5280 §4.1.2.5, §6.1.3; RFC 8224 §6.2 step 4",
        YOU_FIRST,
        "Check the clocks. Otherwise the signer uses its new certificate too early. In a replay: the certificate was"
        " renewed since.",
    ),
    Detail.REVOKED: Explanation(
        "A CRL that is [for this certificate](certificates.md#which-certificates-a-list-is-for) names it.",
        "RFC 5280 §6.3, ATIS-1000080",
        CA,
        "The signer must get a new certificate from its CA. To refuse its calls until then, write"
        ' `"untrusted.revoked" = "reject"` in `[rule.on]` of the rule.',
    ),
    Detail.CRL_UNAVAILABLE: Explanation(
        "No valid revocation list (CRL) [covers the certificate](certificates.md#which-certificates-a-list-is-for),"
        ' and `[trust]` has `crl_policy = "hard"`.',
        "RFC 5280 §6.3.3, ATIS-1000080",
        YOU,
        "Get a new CRL: `sbc-filter check` shows the [state](certificates.md#a-folder-or-fetched) of each. If"
        " another party signs it, add its certificate to `crl_signers` in `[trust]` of sbc-filter.toml.",
    ),
}
