"""Tokens that are well-formed, but not valid for this call."""

from collections.abc import Mapping

from sbc_filter.explanations.explanation import CA, CARRIER, CARRIER_FIRST, YOU, YOU_FIRST, Actor, Explanation
from sbc_filter.outcomes import Detail

CALL: Mapping[Detail, Explanation] = {
    Detail.ORIG_MISMATCH: Explanation(
        "The caller of the call is not that of the token.",
        "RFC 8224 §6.2 step 5, §6.2.4; ATIS-1000074 §5.3.1",
        CARRIER_FIRST,
        "It is the token of another call, or the caller was rewritten on the way. Compare `orig` with From and"
        " P-Asserted-Identity. If they are one number, name the field that has it as `caller_from` in `[rule.verify]`"
        " of the rule, or correct `numbering` in `[network]` of sbc-filter.toml.",
    ),
    Detail.DEST_MISMATCH: Explanation(
        "The called party of the call is not in the token.",
        "RFC 8224 §6.2.4, ATIS-1000074 §5.3.1",
        YOU_FIRST,
        "Forwarding, 8YY and ported numbers cause this honestly. If another field has the number first called, name"
        " it as `called_from` in `[rule.verify]` of the rule. Otherwise write `check_called = false` there, or let"
        " such calls continue.",
    ),
    Detail.REQUEST_URI_DIFFERS: Explanation(
        'The Request-URI has a number that no token explains, and the rule has `check_request_uri = "require"`. For'
        " the rest see [`passed`](#passed).",
        "RFC 8946 §4.2",
        YOU,
        "List the honest pairs as [`translations`](rules.md#translations) in `[rule.verify]` of the rule.",
    ),
    Detail.FINGERPRINT_MISMATCH: Explanation(
        "A media key of the SDP is not in `mky`, though the token has one.",
        "RFC 8224 §4.1, RFC 8225 §5.2.2",
        CARRIER_FIRST,
        "The media was changed on the way. Find the device that ends the encryption.",
    ),
    Detail.PRIORITY_MISMATCH: Explanation(
        "The Resource-Priority of the call is not in the `rph` of its token.",
        "RFC 8443 §4",
        CARRIER,
        "No party vouches for this priority. Treat the call as one without priority.",
    ),
    Detail.DIV_CHAIN: Explanation(
        "The `div` tokens do not lead from the number first called to the Request-URI, or a required one cannot be"
        " read.",
        "RFC 8946 §4.2",
        CARRIER,
        "A diversion on the way was not signed, a token was lost, or one is broken. Ask the carrier that diverted the"
        " call.",
    ),
    Detail.DIV_ORIG: Explanation(
        "A `div` token names another caller than the token it continues.",
        "RFC 8946 §4.2",
        CARRIER,
        "Two calls were pasted together: reject such calls. Ask the carrier that diverted the call.",
    ),
    Detail.BAD_SIGNATURE: Explanation(
        "The signature does not match the token and the key of the certificate.",
        "RFC 8224 §6.2 step 5, RFC 7518 §3.4",
        CARRIER_FIRST,
        "Ask the signer whether it signs with the key of the certificate at `x5u`, and the trunk which device changes"
        " tokens. After a renewal under the same URL, wait an hour, or as long as the cache says. Otherwise it is a"
        " forgery: reject.",
    ),
    Detail.NUMBER_NOT_AUTHORIZED: Explanation(
        "The certificate is for numbers, and the caller is not one of them.",
        "RFC 8226 §9, RFC 9060 §4",
        CARRIER,
        "The signer must sign with a certificate for this number. Reject: it has no authority over the number.",
    ),
    Detail.AMBIGUOUS_CALLER: Explanation(
        "A token is valid, but SIP stacks would disagree about the caller: From has two readings, or the [plain"
        " P-Asserted-Identity](rules.md#marks) does not fit into the datagram.",
        "RFC 3261 §25.1, RFC 3325 §9.1",
        CARRIER,
        "The peer has to write the number in one plain form.",
    ),
    Detail.CLAIM_CONSTRAINTS: Explanation(
        "The certificate forbids a claim of the token.",
        "RFC 8226 §8, RFC 9118",
        CA,
        "The signer must keep to the limits of its certificate, or have its CA widen them.",
    ),
    Detail.VERIFICATION_FAILED: Explanation(
        "The [service that verifies](configuration.md#verifiersname) says that the token is invalid (438), or refuses"
        " without a code.",
        "ATIS-1000082; RFC 8224 §6.2.2 for the code",
        (Actor.CARRIER, Actor.SERVICE),
        "Ask the operator of the service which check failed, and inform the signer.",
    ),
}
