"""Calls that leave: signed, already signed, unsigned."""

from collections.abc import Mapping

from sbc_filter.explanations.explanation import NO_ACTION, SERVICE, YOU, Actor, Explanation
from sbc_filter.outcomes import Detail

_DELEGATE = "ATIS-1000082"
_SERVICE_FIRST = (Actor.SERVICE, Actor.YOU)
_YOU_THEN_SERVICE = (Actor.YOU, Actor.SERVICE)

SIGNED: Mapping[Detail, Explanation] = {
    Detail.DIVERTED: Explanation(
        "The SBC diverted a call that was already signed, and the filter signed [the"
        " diversion](rules.md#diversions-by-the-sbc).",
        "RFC 8946 §4.1, ATIS-1000085",
        NO_ACTION,
        "Nothing.",
    ),
}

ONLY_TRIED = Explanation(
    "The call could be signed with a credential of yours. There is none here, so a key of the moment signed it to see"
    " whether it works. Nothing of that was sent, and no verifier trusts that key.",
    "RFC 8224 §6.1, ATIS-1000074 §5.2",
    YOU,
    "To sign such calls, name your credential in the [configuration](configuration.md#credentialsname), and write a"
    " rule that signs.",
)
"""Of calls that are `signed` in a replay without a configuration."""

ALREADY_SIGNED: Mapping[Detail, Explanation] = {
    Detail.SHAKEN_PRESENT: Explanation(
        "A `shaken` token, or an Identity that cannot be read, is already there. An empty Identity does not count: it"
        " is removed, and the call is signed.",
        "47 CFR 64.6302(b); RFC 8224 §4 allows several Identity fields",
        YOU,
        "Nothing for calls in transit. For calls of your own customers, find the other device that signs, and switch"
        " one of the two off.",
    ),
    Detail.PRESERVED: Explanation(
        "The SBC had dropped the Identity with which this call arrived, and the filter [put it"
        " back](rules.md#dropped-tokens).",
        "47 CFR 64.6302(b)",
        NO_ACTION,
        "Nothing: this is right for calls in transit.",
    ),
}

UNSIGNED: Mapping[Detail, Explanation] = {
    Detail.NO_CALLER: Explanation(
        "The caller is not a telephone number, but an extension, a URI or anonymous. None of the places that"
        " `caller_from` of the rule names has a number of 7 to 15 digits.",
        "RFC 8224 §6.1 step 1, §8.3; ATIS-1000074 §5.2",
        YOU,
        "Have the SBC put the number into P-Asserted-Identity or a private header field, and name that field as"
        " `caller_from` in `[rule.sign]` of the rule. If the number lacks its country code, check `numbering` in"
        " `[network]` of sbc-filter.toml.",
    ),
    Detail.IMPOSSIBLE_NUMBER: Explanation(
        "The caller's number cannot exist: its country code is not assigned, or the country does not have numbers of"
        " this length. Examples are `+1` with 8 digits, `+0012155550100`, or a local number without its area code.",
        "ITU-T E.164 §6, RFC 8224 §8.3",
        YOU,
        "Have the SBC send international numbers, or set `numbering` in `[network]` of sbc-filter.toml to the"
        ' region that completes them. `attest_impossible = "C"` in `[rule.sign]` of the rule signs them with C.',
    ),
    Detail.NO_CALLED: Explanation(
        "The call does not name a called party. None of the places that `called_from` of the rule names has one.",
        "RFC 8225 §5.2.1, RFC 8224 §6.1",
        YOU,
        "Look in `raw_to` and `raw_ruri` of the record where the called party is, and name that place as"
        " `called_from` in `[rule.sign]` of the rule.",
    ),
    Detail.STALE_DATE: Explanation(
        "The Date of the INVITE is more than 60 seconds from our clock. Rejected with 403 Stale Date.",
        "RFC 8224 §6.1 step 3",
        YOU,
        "Compare the clocks of this host and of the SBC with NTP, and correct the wrong one.",
    ),
    Detail.CREDENTIAL_EXPIRED: Explanation(
        "Our certificate is not valid now, or was not at the INVITE's Date: expired, or not yet valid.",
        "RFC 8224 §6.1 step 3, RFC 5280 §4.1.2.5",
        YOU,
        "Renew it, and [reload](service.md#reload). With [`next`](configuration.md#renew-a-certificate) in"
        " `[credentials.NAME]` of sbc-filter.toml a reload is not needed. `sbc-filter check` warns 30 days before.",
    ),
    Detail.NO_ROOM: Explanation(
        "The INVITE would exceed 65535 bytes.",
        "RFC 768, RFC 3261 §18.1.1",
        YOU,
        "Shorten header fields or the body at the SBC.",
    ),
    Detail.TOO_LARGE: Explanation(
        "The signed packet would be larger than `max_size` of the rule allows.",
        "RFC 3261 §18.1.1",
        YOU,
        "Shorten header fields at the SBC. If the network carries fragments, raise `max_size` in `[rule.sign]` of"
        " the rule.",
    ),
    Detail.NOT_LISTED: Explanation(
        'The caller is not on the list `numbers` of the rule, and the rule has `attest_unlisted = "none"`.',
        "RFC 8588 §4, ATIS-1000074 §5.2",
        YOU,
        "If the number belongs to a customer of yours, add it to `numbers` in `[rule.sign]` of the rule. Otherwise"
        " nothing: this is what the list is for.",
    ),
    Detail.PRIVACY: Explanation(
        'The caller asks for privacy, and the rule has `privacy = "skip"`.',
        "RFC 8224 §11, RFC 3323 §4.2",
        YOU,
        'Nothing, if such calls shall stay unsigned. Otherwise write `privacy = "sign"` in `[rule.sign]` of the rule.',
    ),
    Detail.CRYPTO: Explanation(
        "The signature could not be made.",
        "None: the place that has the key failed.",
        YOU,
        "Read the reason in the log. Repair the place that has the key, and [reload](service.md#reload) if it"
        ' refused a PIN. To lose such calls rather than send them unsigned, write `"unsigned.crypto" = "reject"` in'
        " `[rule.on]` of the rule.",
    ),
    Detail.BYPASS: Explanation(
        "During an outage, the call left with the token that [`bypass`](rules.md#bypass) of the rule names.",
        "None: the receiving operator agreed on this header field.",
        YOU,
        "Nothing. When the outage ends, remove the file that `token_file` in `[rule.sign.bypass]` of the rule names.",
    ),
    Detail.AMBIGUOUS: Explanation(
        "The SBC may have dropped the Identity of this call, and it is not certain [which](rules.md#dropped-tokens)."
        " The filter did not put a token back, and did not sign.",
        "47 CFR 64.6302(b)",
        YOU,
        "Have the SBC copy Session-ID or a header field of its own from one leg to the other, and name that as"
        " `preserve` in `[rule.sign]` of the rule.",
    ),
    Detail.SIGNING_TIMEOUT: Explanation(
        "The service or command that signs for the filter did not respond in time: within `hold_ms` of the rule,"
        " and within 2 seconds.",
        f"{_DELEGATE}. No standard sets the limit.",
        _SERVICE_FIRST,
        "Measure how long the service or command takes. Have it repaired, or raise `hold_ms` in `[rule.sign]` of"
        " the rule.",
    ),
    Detail.SIGNING_REFUSED: Explanation(
        "The service or command refused, or its response cannot be read. Or the filter did not ask, because this is a"
        " replay, an explanation or an emergency call. Or a replay cannot read the key.",
        _DELEGATE,
        _YOU_THEN_SERVICE,
        "Read the log of `sbc-filter run`: it has the signer's reason.",
    ),
    Detail.SIGNING_UNREACHABLE: Explanation(
        "The connection to the service failed, or its web certificate is not trusted.",
        _DELEGATE,
        _YOU_THEN_SERVICE,
        "Check the service and the network. If its web certificate is by a private authority, name that as `web_ca`"
        " in `[credentials.NAME]` of sbc-filter.toml.",
    ),
    Detail.SIGNING_MISMATCH: Explanation(
        "The response is not an Identity value of type `shaken`, or it differs from the request in caller, called"
        " party, attestation, `origid` or `iat`.",
        f"{_DELEGATE}, RFC 8588 §4, §5",
        SERVICE,
        "The service changes what it signs, and its operator must correct that. Do not use it.",
    ),
    Detail.HOLD_LIMIT: Explanation(
        "1000 INVITEs are waiting, and this peer has [its share](security.md#shares-of-the-peers).",
        "None: this limit protects the filter.",
        YOU,
        "Find out which peer sends so many calls. In a flood, block that peer. Otherwise the service is slow: have"
        " it repaired, and lower `hold_ms` in `[rule.sign]` of the rule until then.",
    ),
}
