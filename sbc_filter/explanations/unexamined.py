"""Calls that were neither verified nor signed, messages that cannot be read, and packets that are only counted."""

from collections.abc import Mapping

from sbc_filter.explanations.explanation import CARRIER, CARRIER_FIRST, NO_ACTION, YOU, Explanation
from sbc_filter.outcomes import Detail

_OWN_RULES = "None: your rules decide which calls are examined."
_SCANNER = "Nothing: these are scanners. If it came from a real trunk: capture it and complain there."

NOT_EXAMINED: Mapping[Detail, Explanation] = {
    Detail.NO_RULE: Explanation(
        "No enforced rule matched.",
        _OWN_RULES,
        YOU,
        "If such calls are to be examined, add a `[[rule]]` to a rule file or widen one: `explain` says which"
        " condition of each did not match.",
    ),
    Detail.NO_DIRECTION: Explanation(
        "Neither end of the call is an address of the SBC (`sbc` in `[network]`), and this host only forwards it,"
        " or it is from a capture. The claims of the caller are removed, and no rule is tried.",
        _OWN_RULES,
        YOU,
        "If one of the two addresses is the SBC's, add it to `sbc` in `[network]` of sbc-filter.toml, or name it"
        " with `--sbc`.",
    ),
    Detail.PASS_RULE: Explanation(
        'A rule with `action = "pass"` matched.', _OWN_RULES, NO_ACTION, "Nothing, if the rule is as you want it."
    ),
    Detail.STRIP_RULE: Explanation(
        'A rule with `action = "strip"` matched, and its header fields were removed.',
        "47 CFR 64.6302(b) forbids intermediate providers to remove Identity.",
        YOU,
        "Nothing, if the call ends with you. In transit, remove the rule.",
    ),
    Detail.DROP_RULE: Explanation(
        'A rule with `action = "drop"` matched.', _OWN_RULES, NO_ACTION, "Nothing, if the rule is as you want it."
    ),
    Detail.REJECT_RULE: Explanation(
        'A rule with `action = "reject"` matched.', _OWN_RULES, NO_ACTION, "Nothing, if the rule is as you want it."
    ),
    Detail.IN_DIALOG: Explanation(
        "The INVITE has a tag in To, so it belongs to a call that was up before it came. In a capture, that call may"
        ' have begun before the capture did. No rule with `in_dialog = "verify"` matched the INVITE.',
        "RFC 3261 §12.2, §14; ATIS-1000074 §5.2",
        NO_ACTION,
        "Nothing: SHAKEN covers the first INVITE of a call.",
    ),
    Detail.REDIRECTED: Explanation(
        "The INVITE follows a [redirect](redirect.md). The filter redirected its call in the last 32 s, and does not"
        " act on it again.",
        "RFC 3261 §8.1.3.4",
        NO_ACTION,
        "Nothing.",
    ),
    Detail.EMERGENCY: Explanation(
        "A rule that drops or rejects matched an emergency call, which continued.",
        "47 CFR 64.1200(k)",
        YOU,
        "Narrow the rule, so that it spares emergency calls.",
    ),
    Detail.REASON_REMOVED: Explanation(
        "The message is not a call but a response to one that the rule signed. It [reported that our token"
        " fails](rules.md#failure-reports-from-verifiers), with the cause in `code`. There is one record for each"
        " token.",
        "RFC 9410 §7",
        YOU,
        "Look at the cause. 403: check your clock. 436: check whether the URL of your certificate is reachable from"
        " outside. 437: ask whether your root is trusted there. 438: find out what changes the call on its way.",
    ),
    Detail.CANCELLED: Explanation(
        "The caller gave up while the call waited for a certificate or a signature. The filter responded 487, and the"
        " SBC never saw the call.",
        "RFC 3261 §9.2",
        YOU,
        "If there are many, lower `hold_ms` in `[rule.verify]` or `[rule.sign]` of the rule.",
    ),
    Detail.NOT_SENT: Explanation(
        "A rewritten packet that the filter had to send itself could not be sent. The message went on as it came,"
        " or was dropped, as `on_overload` in `[queue]` says: `verdict` has which, `would` what was intended.",
        "None: it is a fault of this host.",
        YOU,
        "The log of `sbc-filter run` has the cause and the remedy. In `sbc-filter status`, the counter"
        " `not-reemitted` has the number.",
    ),
}

UNPARSEABLE: Mapping[Detail, Explanation] = {
    Detail.START_LINE: Explanation(
        "The Request-URI is broken, or the request line has several: a blank in the URI, no scheme, words after the"
        " version.",
        "RFC 3261 §7.1, §25.1",
        CARRIER,
        _SCANNER,
    ),
    Detail.NO_BLANK_LINE: Explanation(
        "The header never ends: it was cut short.",
        "RFC 3261 §7",
        YOU,
        "Check for a capture with `-s` too small, or fragments that were not reassembled.",
    ),
    Detail.HEADER_SYNTAX: Explanation(
        "A line that is not a header field, more than 256 fields, more than 1024 lines, a Via after the first that is"
        " broken (also a parameter that is empty, has a blank in it, or lacks a value that it needs, or an `alias` with"
        " a value), a Retry-After that is not a number, a repair for which the packet has no room. From the SBC or a"
        " trusted peer also a NUL, or a CR without LF.",
        "RFC 3261 §7.3, §25.1",
        CARRIER,
        _SCANNER,
    ),
    Detail.HEADER_MISSING: Explanation(
        "One of Via, From, To, Call-ID, CSeq is missing.", "RFC 3261 §8.1.1", CARRIER, _SCANNER
    ),
    Detail.HEADER_REPEATED: Explanation(
        "A field that may occur once occurs twice, with different values.", "RFC 3261 §7.3.1", CARRIER, _SCANNER
    ),
    Detail.ADDRESS_SYNTAX: Explanation(
        "From or To cannot be read, or names several. Or From has several tags.",
        "RFC 3261 §20.20, §20.39, §25.1",
        CARRIER,
        _SCANNER,
    ),
    Detail.TO_TAG: Explanation(
        "Stacks find different tags in To, or only some find one. The call could be new for one and part of a dialog"
        " for another.",
        "RFC 3261 §12, §20.39",
        CARRIER,
        _SCANNER,
    ),
    Detail.CSEQ: Explanation("CSeq is broken or of another method.", "RFC 3261 §8.1.1.5, §20.16", CARRIER, _SCANNER),
    Detail.CONTENT_LENGTH: Explanation(
        "Content-Length is not a number, or more than the message has, apart from line ends.",
        "RFC 3261 §18.3, §20.14",
        CARRIER_FIRST,
        "If it came from a real trunk, complain there. In a message that was pasted, the body may be missing.",
    ),
}

PACKETS: Mapping[Detail, Explanation] = {
    Detail.PACKET_TRUNCATED: Explanation(
        "The packet is shorter than it says.", "RFC 791 §3.1, RFC 8200 §3", YOU, "In a capture: use `-s 0`."
    ),
    Detail.PACKET_SYNTAX: Explanation(
        "Not an IP packet, or one whose lengths contradict each other.",
        "RFC 791 §3.1, RFC 8200 §3, RFC 768",
        NO_ACTION,
        "Nothing: no SIP stack sees it either.",
    ),
    Detail.PACKET_FRAGMENT: Explanation(
        "A fragment by itself. Live, the kernel reassembles fragments first.",
        "RFC 791 §3.2, RFC 8200 §4.5",
        YOU,
        "In a capture: the other fragments are missing. Live: check that conntrack is loaded.",
    ),
    Detail.PACKET_PROTOCOL: Explanation(
        "Not UDP, or not yet at its destination (source routing).",
        "RFC 3261 §18, RFC 5095",
        NO_ACTION,
        "Nothing: it passes unchanged.",
    ),
}
