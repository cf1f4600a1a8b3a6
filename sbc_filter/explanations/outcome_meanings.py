"""What each outcome means."""

from collections.abc import Mapping

from sbc_filter.explanations.explanation import CARRIER, CARRIER_FIRST, NO_ACTION, YOU, YOU_FIRST, Explanation
from sbc_filter.outcomes import Outcome

OUTCOMES: Mapping[Outcome, Explanation] = {
    Outcome.PASSED: Explanation(
        "A token is valid for this call.",
        "RFC 8224 §6.2, RFC 8588 §4",
        NO_ACTION,
        "Nothing. `attest` says what the signer vouches for.",
    ),
    Outcome.NO_IDENTITY: Explanation(
        "The call does not have a token that can be judged.",
        "RFC 8224 §6.2.2",
        CARRIER,
        "Ask the trunk where the token was lost. Foreign carriers and TDM on the way are usual causes.",
    ),
    Outcome.ANONYMOUS: Explanation(
        "The call has a token, but the signalling does not name a caller to compare it with.",
        "RFC 8224 §6.2 step 2, RFC 5079",
        YOU,
        "Look which header field has the caller's number, and name that field as `caller_from` in `[rule.verify]`"
        " of the rule.",
    ),
    Outcome.STALE: Explanation(
        "The token is too old, or dated in the future.",
        "RFC 8224 §6.2 step 4",
        YOU_FIRST,
        "Check your clock first, then the signer's.",
    ),
    Outcome.UNFETCHABLE: Explanation(
        "The certificate was not available, so the signature could not be checked.",
        "RFC 8224 §6.2 step 3",
        CARRIER_FIRST,
        "The detail says where the fetch failed.",
    ),
    Outcome.UNTRUSTED: Explanation(
        "The certificate is not trusted.",
        "RFC 8224 §6.2 step 3, ATIS-1000074 §5.3.1",
        CARRIER_FIRST,
        "The detail says what is wrong with the certificate or its chain.",
    ),
    Outcome.INVALID: Explanation(
        "The token is broken, or it is not for this call.",
        "RFC 8224 §6.2",
        CARRIER,
        "The detail says which check failed.",
    ),
    Outcome.REPLAYED: Explanation(
        "A token is valid for this call, but it came for another target before, or too often.",
        "ATIS-1000074 §5.3.1, RFC 8224 §12.1",
        CARRIER,
        "Ask the trunk whether it reuses tokens. If it does not, an attacker does.",
    ),
    Outcome.SIGNED: Explanation(
        "The filter signed the call.", "RFC 8224 §6.1, ATIS-1000074 §5.2", NO_ACTION, "Nothing."
    ),
    Outcome.ALREADY_SIGNED: Explanation(
        "Another party signed the call before the filter saw it.",
        "47 CFR 64.6302(b); RFC 8224 §4 allows several Identity fields",
        NO_ACTION,
        "Nothing for calls in transit. On your own customers' calls, find the other device that signs.",
    ),
    Outcome.UNSIGNED: Explanation(
        "The filter could not sign the call.",
        "RFC 8224 §6.1",
        YOU,
        "The detail says what was missing.",
    ),
    Outcome.NOT_EXAMINED: Explanation(
        "The call was neither verified nor signed.",
        "None: your rules decide which calls are examined.",
        YOU,
        "Look at the rule that decided. If no rule did, compare `direction` and `trunk` in each `[[rule]]` with the"
        " call.",
    ),
    Outcome.UNPARSEABLE: Explanation(
        "The message can be read in several ways, or in none.",
        "RFC 3261 §7, §16.3",
        CARRIER,
        "Capture the message. These are usually scanners.",
    ),
}
