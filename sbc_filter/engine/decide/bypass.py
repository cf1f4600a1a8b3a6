"""Calls that leave during an outage: they carry the authority's token in a header field, and no Identity.

This follows France's MAN, as far as it is public: OpenSIPS (`stir_shaken_disengagement`: "the token provided by the
authority during outage") and Oracle's SBC (`sti-static-bypass-token`) send P-Identity-Bypass with a fixed token.
"""

from collections.abc import Mapping

from sbc_filter.engine.call.call import Decision, IncomingCall
from sbc_filter.engine.decide.sign import parties_of, tokens_of, unsigned
from sbc_filter.errors import SigningError
from sbc_filter.outcomes import Detail
from sbc_filter.rules.model import Rule
from sbc_filter.sip import field


def bypassed(rule: Rule, call: IncomingCall, tokens: Mapping[str, str]) -> Decision | None:
    """The decision about a call that would be signed if there were no outage.

    None if there is no outage, or if the call would not be signed anyway. `tokens` are the active ones, by the file
    that the rule names.
    """
    options = rule.sign.bypass
    token = tokens.get(options.token_file) if options is not None else None
    if options is None or token is None or tokens_of(call):
        return None
    try:
        parties_of(rule, call)
    except SigningError:
        return None  # an outage must not let through what could not be signed
    decision = unsigned(rule, call, Detail.BYPASS)
    decision.bypass = field.bypass(options.header, token)
    return decision
