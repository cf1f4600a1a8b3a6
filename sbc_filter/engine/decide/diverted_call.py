"""Diverted calls: whether one of the operator's numbers diverted a call that arrived with a token and is sent on.

See RFC 8946 §4.1; S-100, S-106. Diversion and History-Info are unsigned and only help to find the number. What counts
is that a token in the call names this number as the called one. If any doubt is left, no diverting number is returned
and the call continues unchanged.
"""

from collections.abc import Sequence
from typing import NamedTuple

from sbc_filter.engine.call.call import IncomingCall
from sbc_filter.errors import VerificationError
from sbc_filter.rules.model import SignOptions
from sbc_filter.sip.numbers import dialled
from sbc_filter.stir.diversion import DIVERSIONS, Link, find_chain, make_link
from sbc_filter.stir.token import BASIC, Token, read_token

_NAMING = (b"to", b"diversion", b"history-info")
_MAX_TOKENS = 16  # the same limit as for verification (`MAX_IDENTITIES`)
_TAIL = 9  # digits that two forms of a number have in common; a routing prefix may come before them (S-043)


class Diversion(NamedTuple):
    """The claims of a new `div` token; `div` is the diverting number, `iat` that of the token before it."""

    orig: str
    dest: str
    div: str
    iat: int


def is_diverted(call: IncomingCall) -> bool:
    """Whether the Request-URI names a party that no token names, or the tokens cannot be parsed."""
    tokens = _tokens(call)
    return call.target is not None and (tokens is None or not _is_named(tokens, call.target))


def diversion(options: SignOptions, call: IncomingCall) -> Diversion | None:
    """The diversion that can be signed; None unless all sources agree on it."""
    tokens, target, listed = _tokens(call), call.target, options.listed
    party = call.parties.first(options.caller_from)
    if not tokens or target is None or party is None or listed is None or _is_named(tokens, target):
        return None
    if party.is_ambiguous:
        return None
    caller = party.identity
    try:
        links = [make_link(at, token.jose.ppt, token.claims) for at, token in enumerate(tokens)]
        ends = {identity for link in links for identity in link.dest} - {link.div for link in links}
        named = {identity for name in _NAMING for identity in call.parties.all(name)}
        named |= {dialled(identity) for identity in named}
        ours = [identity for identity in named & ends if listed(identity)]
        if len(ours) != 1:
            return None
        chain = find_chain([*links, Link(caller, (target,), ours[0], len(links))], target)
    except VerificationError:
        return None
    if len(chain) - 2 != sum(link.div is not None for link in links):
        return None  # it has to be the last of all diversions in the tokens
    return Diversion(caller, target, ours[0], tokens[chain[1].at].claims.iat)


def _tokens(call: IncomingCall) -> list[Token] | None:
    """The tokens that speak for the number or divert it; None if one cannot be parsed."""
    values = call.message.values(b"identity")
    if len(values) > _MAX_TOKENS:
        return None
    try:
        found = [read_token(value) for value in values if value.strip()]
    except VerificationError:
        return None
    return [token for token in found if token is not None and (token.jose.ppt in BASIC or token.jose.ppt in DIVERSIONS)]


def _is_named(tokens: Sequence[Token], target: str) -> bool:
    """Whether a token names this party as called, possibly in another form."""
    return any(_may_be_same(dialled(target), dialled(identity)) for token in tokens for identity in token.claims.dest)


def _may_be_same(one: str, other: str) -> bool:
    return one == other or (one.isdigit() and other.isdigit() and one[-_TAIL:] == other[-_TAIL:])
