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
        "None of `caller_from` has a number of 7 to 15 digits: an extension, an anonymous caller, a URI.",
        "RFC 8224 §6.1 step 1, §8.3; ATIS-1000074 §5.2",
        YOU,
        "Have the SBC put the number into P-Asserted-Identity or a private header field, and name it in `caller_from`."
        " Check `numbering`.",
    ),
    Detail.IMPOSSIBLE_NUMBER: Explanation(
        "The caller's number cannot exist: its country code is not assigned, or the country does not have numbers of"
        " this length. Examples are `+1` with 8 digits, `+0012155550100`, or a local number without its area code.",
        "ITU-T E.164 §6, RFC 8224 §8.3",
        YOU,
        "Have the SBC send international numbers, or set `[network].numbering` to the region that completes them."
        ' `attest_impossible = "C"` in `[rule.sign]` signs them with C.',
    ),
    Detail.NO_CALLED: Explanation(
        "None of `called_from` names a party.",
        "RFC 8225 §5.2.1, RFC 8224 §6.1",
        YOU,
        "Look in `raw_to` and `raw_ruri` of the record where the called party is, and name that source in"
        " `called_from`.",
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
        "Renew it, and [reload](service.md#reload). With [`next`](configuration.md#renew-a-certificate) a reload is not"
        " needed. `check` warns 30 days before.",
    ),
    Detail.NO_ROOM: Explanation(
        "The INVITE would exceed 65535 bytes.",
        "RFC 768, RFC 3261 §18.1.1",
        YOU,
        "Shorten header fields or the body at the SBC.",
    ),
    Detail.TOO_LARGE: Explanation(
        "The signed packet would exceed `max_size` of the rule.",
        "RFC 3261 §18.1.1",
        YOU,
        "Shorten header fields at the SBC, or raise `max_size` if the network carries fragments.",
    ),
    Detail.NOT_LISTED: Explanation(
        'The caller is not on `numbers`, and `attest_unlisted = "none"`.',
        "RFC 8588 §4, ATIS-1000074 §5.2",
        YOU,
        "If the number belongs to a customer of yours, add it to `numbers`. Otherwise nothing: this is what the list is"
        " for.",
    ),
    Detail.PRIVACY: Explanation(
        'The caller asks for privacy, and `privacy = "skip"`.',
        "RFC 8224 §11, RFC 3323 §4.2",
        YOU,
        "Nothing, if such calls shall stay unsigned. Otherwise change `privacy`.",
    ),
    Detail.CRYPTO: Explanation(
        "The signature could not be made.",
        "None: the place that has the key failed.",
        YOU,
        "Read the reason in the log. Repair the place that has the key, and [reload](service.md#reload) if it refused a"
        ' PIN. To lose such calls rather than send them unsigned: `"unsigned.crypto" = "reject"`.',
    ),
    Detail.BYPASS: Explanation(
        "During an outage, the call left with the token of [`bypass`](rules.md#bypass).",
        "None: the receiving operator agreed on this header field.",
        YOU,
        "Nothing. Remove the file when the outage ends.",
    ),
    Detail.AMBIGUOUS: Explanation(
        "The SBC may have dropped the Identity of this call, and it is not certain [which](rules.md#dropped-tokens)."
        " The filter did not put a token back, and did not sign.",
        "47 CFR 64.6302(b)",
        YOU,
        "Have the SBC copy Session-ID or a header field of its own, and name that in `preserve`.",
    ),
    Detail.SIGNING_TIMEOUT: Explanation(
        "The delegated signer did not respond within `hold_ms`, or within 2 seconds.",
        f"{_DELEGATE}. No standard sets the limit.",
        _SERVICE_FIRST,
        "Measure how long the service or command takes. Have it repaired, or raise `hold_ms` of the rule.",
    ),
    Detail.SIGNING_REFUSED: Explanation(
        "The service or command refused, or its response cannot be read. Or the filter did not ask, because this is a"
        " replay, an explanation or an emergency call. Or a replay cannot read the key.",
        _DELEGATE,
        _YOU_THEN_SERVICE,
        "Read the log of `run`: it has the signer's reason.",
    ),
    Detail.SIGNING_UNREACHABLE: Explanation(
        "The connection to the service failed, or its web certificate is not trusted.",
        _DELEGATE,
        _YOU_THEN_SERVICE,
        "Check the service, the network, `web_ca`.",
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
        "Find out which peer sends so many calls. In a flood, block that peer. Otherwise the service is slow: have it"
        " repaired, and lower `hold_ms` until then.",
    ),
}
