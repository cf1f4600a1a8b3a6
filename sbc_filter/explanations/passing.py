"""Calls that passed, calls without a usable token, and calls whose token is too old or came before."""

from collections.abc import Mapping

from sbc_filter.explanations.explanation import (
    CARRIER,
    CARRIER_FIRST,
    NO_ACTION,
    SERVICE,
    YOU,
    YOU_FIRST,
    Explanation,
)
from sbc_filter.outcomes import Detail

CAME_BACK = Explanation(
    "The token left the SBC in an earlier call, and comes back in this one. The call loops, or the token was stolen on"
    " its way.",
    "RFC 8224 §12.1, ATIS-1000074 §5.3.1",
    YOU_FIRST,
    "Compare Via, Call-ID and peer of both calls. If they are one call, correct the route. Otherwise the peer uses a"
    " token of yours: ask it where it got the call.",
)
"""Of calls in a capture that passed, though the first call with their token left the SBC."""

PASSED: Mapping[Detail, Explanation] = {
    Detail.TOKEN_AGAIN: Explanation(
        "The token came before, for the same target: a fork, simultaneous ring, route advance, or a retry. At most four"
        " times for each token. `first_call_id` and `first_trunk` name its first call.",
        "RFC 8224 §6.2.3, ATIS-1000074 §5.3.1",
        NO_ACTION,
        "Nothing, unless the token left the SBC first: then the call loops, or the token was stolen. If one trunk has"
        " many of them, ask why it reuses tokens.",
    ),
    Detail.REQUEST_URI_DIFFERS: Explanation(
        "The token is valid for To, but does not name the number in the [Request-URI](rules.md#the-request-uri), which"
        " is `request_uri`. `verstat` is `No-TN-Validation`.",
        "RFC 8946 §4.2. RFC 8224 §4.1 compares `dest` with To only.",
        YOU,
        "In the records, look for pairs of `dest` and `request_uri` that occur often: these are honest changes, to"
        " be listed as [`translations`](rules.md#translations) in `[rule.verify]` of the rule. A single pair may be"
        " a token of another call.",
    ),
}

NO_IDENTITY: Mapping[Detail, Explanation] = {
    Detail.ABSENT: Explanation(
        "The call does not have an Identity field.",
        "RFC 8224 §6.2.2",
        CARRIER,
        "This is usual: TDM on the way, foreign carriers. Reject only if the trunk's contract says that all calls are"
        " signed.",
    ),
    Detail.UNSUPPORTED_PPT: Explanation(
        "The call has only tokens that do not speak for the number. These are `rph`, `rcd`, kinds that the filter does"
        " not support, and base PASSporTs (no `ppt`) by a certificate with a service provider code. A token of an"
        " unsupported kind is ignored, whatever else it has. Rejected with 428 Use Supported PASSporT Format.",
        "RFC 8224 §6.2 step 1, ATIS-1000074 §5.3.1",
        CARRIER_FIRST,
        "Ask the trunk where its `shaken` token was lost. If a trunk signs without `ppt`, ask why, then add"
        " `base-passport` to `tolerate` in `[rule.verify]` of the rule.",
    ),
}

ANONYMOUS: Mapping[Detail, Explanation] = {
    Detail.NO_CALLER: Explanation(
        "The call has an Identity, but does not name a caller. None of the places that `caller_from` of the rule"
        " names has a number or URI. By default these are P-Asserted-Identity and From.",
        "RFC 8224 §6.2 step 2, RFC 5079",
        YOU,
        "If your SBC or carrier puts the caller into another header field, add that field to `caller_from` in"
        " `[rule.verify]` of the rule.",
    ),
}

STALE: Mapping[Detail, Explanation] = {
    Detail.STALE_DATE: Explanation(
        "The token is too old. Its `iat` is more than `max_age` of the rule (60 seconds by default) before the"
        " arrival, or its `exp` is not after it.",
        "RFC 8224 §6.2 step 4, RFC 7519 §4.1.4",
        YOU_FIRST,
        "Check your clock (NTP). If it affects one trunk only, its clock is wrong, or a route delays calls: for a"
        " slow route, raise `max_age` in `[rule.verify]` of a rule for that trunk. Otherwise a token was reused.",
    ),
    Detail.DATE: Explanation(
        "The Date field is more than `max_date_age` of the rule from the arrival, though the token is fresh.",
        "RFC 8224 §6.2 step 4",
        YOU_FIRST,
        "Check your clock, then the trunk's. If Date is wrong on one trunk only, leave out `max_date_age` in"
        " `[rule.verify]` of a rule for that trunk.",
    ),
    Detail.FUTURE_DATE: Explanation(
        "The token is dated in the future. Its `iat` or `nbf` is more than `max_skew` of the rule (60 seconds by"
        " default) after the arrival.",
        "RFC 8225 §5.1.1, RFC 7519 §4.1.5, §4.1.6",
        YOU_FIRST,
        "Check the clocks, yours first.",
    ),
    Detail.VERIFICATION_FAILED: Explanation(
        "The [service that verifies](configuration.md#verifiersname) says that the token is not fresh (403).",
        "RFC 8224 §6.2 step 4, ATIS-1000082",
        SERVICE,
        "Check its clock, and the freshness it requires.",
    ),
}

REPLAYED: Mapping[Detail, Explanation] = {
    Detail.TOKEN_SEEN: Explanation(
        "Each token that verifies came before while it was fresh: for another target, or more than five times for this"
        " one.",
        "RFC 8224 §12.1, ATIS-1000074 §5.3.1",
        CARRIER_FIRST,
        "If honest calls of a trunk show this, the trunk reuses tokens, or its calls pass here twice: see"
        " [replays](rules.md#replays). Otherwise an attacker resends tokens that it overheard: reject.",
    ),
}
