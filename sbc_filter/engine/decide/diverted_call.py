"""A call that came with a token and that the SBC sends on to somebody else: who diverted it, if that was us
(RFC 8946 §4.1; S-100, S-106).

Diversion and History-Info are unsigned and only help to find the number; what counts is that an owner of that number
was called by a token that is there. Whenever that leaves a doubt nobody is named, and the call goes on as it is.
"""

from collections.abc import Sequence
from typing import NamedTuple

from sbc_filter.engine.call.call import IncomingCall
from sbc_filter.errors import VerificationError
from sbc_filter.rules.model import SignOptions
from sbc_filter.stir.diversion import DIVERSIONS, Link, find_chain, make_link
from sbc_filter.stir.token import BASIC, Token, read_token

_NAMING = (b"to", b"diversion", b"history-info")
_MAX_TOKENS = 16  # as many as verification looks at
_TAIL = 9  # digits by which two numbers may be one, with a prefix in front that only routes (S-043)


class Diversion(NamedTuple):
    """What our `div` token says beside `div`, the diverting number: `iat` is that of the token before it."""

    orig: str
    dest: str
    div: str
    iat: int


def is_diverted(call: IncomingCall) -> bool:
    """Whether the Request-URI names somebody whom no token names, or they cannot be read."""
    tokens = _tokens(call)
    return call.target is not None and (tokens is None or not _is_named(tokens, call.target))


def diversion(options: SignOptions, call: IncomingCall) -> Diversion | None:
    """The diversion that we can sign for; None unless everything agrees on it."""
    tokens, target, listed = _tokens(call), call.target, options.listed
    caller = call.parties.identity(options.caller_from)
    if not tokens or target is None or caller is None or listed is None or _is_named(tokens, target):
        return None
    try:
        links = [make_link(at, token.jose.ppt, token.claims) for at, token in enumerate(tokens)]
        ends = {identity for link in links for identity in link.dest} - {link.div for link in links}
        named = {identity for name in _NAMING for identity in call.parties.all(name)}
        ours = [identity for identity in named & ends if listed(identity)]
        if len(ours) != 1:
            return None
        chain = find_chain([*links, Link(caller, (target,), ours[0], len(links))], target)
    except VerificationError:
        return None
    if len(chain) - 2 != sum(link.div is not None for link in links):
        return None  # of all diversions that tokens tell, this has to be the last
    return Diversion(caller, target, ours[0], tokens[chain[1].at].claims.iat)


def _tokens(call: IncomingCall) -> list[Token] | None:
    """The tokens that speak for the number or divert it; None if one cannot be read."""
    values = call.message.values(b"identity")
    if len(values) > _MAX_TOKENS:
        return None
    try:
        found = [read_token(value) for value in values]
    except VerificationError:
        return None
    return [token for token in found if token is not None and (token.jose.ppt in BASIC or token.jose.ppt in DIVERSIONS)]


def _is_named(tokens: Sequence[Token], target: str) -> bool:
    """Whether the call is where a token says, or may be."""
    return any(target[-_TAIL:] == identity[-_TAIL:] for token in tokens for identity in token.claims.dest)
