"""Tokens that do not speak for the caller's number by themselves: diversions, priority, rich call data.

They are compared with the call and with its other tokens. `report` is called for each one that does not verify.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import NamedTuple

from sbc_filter.counters import CounterName
from sbc_filter.errors import MessageError, VerificationError
from sbc_filter.outcomes import Detail, Deviation, Outcome
from sbc_filter.pki.certificate import SigningCertificate
from sbc_filter.sip.numbers import dialled
from sbc_filter.stir.checks import (
    CertificateLookup,
    CertificateRequest,
    Policy,
    Signalling,
    check_caller,
    check_claims,
    check_form,
    check_freshness,
    check_keys,
    check_lifetime,
    check_signature,
)
from sbc_filter.stir.diversion import DIVERSIONS, Link, find_chain, make_link, unnest
from sbc_filter.stir.passport import Claims, invalid
from sbc_filter.stir.priority import check_priority
from sbc_filter.stir.rich_call_data import Unusable, names_agree, read_rcd
from sbc_filter.stir.token import BASIC, Deviations, Token, check_shaken, vouching

MAX_LINKS = 24  # tokens of one call that are considered for diversions, nested ones included: each costs a signature
NOTES = PRIORITY, USABLE, UNUSABLE = CounterName.RPH_VERIFIED, CounterName.RCD_USABLE, CounterName.RCD_UNUSABLE
"""Results of tokens other than the deciding one."""
Report = Callable[[Token, VerificationError], None]


class Diverted(NamedTuple):
    """The token of the original call, its certificate, what was tolerated of it, and the outermost diversion."""

    original: Token
    certificate: SigningCertificate
    tolerated: Deviations
    outermost: Token


def is_diverted(token: Token, call: Signalling, tolerated: Collection[Deviation]) -> bool:
    """Whether the Request-URI names a party that the token of the call does not (S-101)."""
    if call.target is None:
        return False
    profile, dest = call.profile, token.claims.dest
    if dialled(profile.subscriber(call.target)) in map(profile.subscriber, dest):
        return False
    return Deviation.NATIONAL_CLAIM not in tolerated or call.target not in map(profile.normalise, dest)


def follow_diversions(
    diversions: Sequence[Token],
    basic: Sequence[Token],
    call: Signalling,
    policy: Policy,
    certificates: CertificateLookup,
    report: Report,
) -> Diverted | CertificateRequest:
    """The token of the original call that diversions lead to (S-101).

    The chain starts at the Request-URI. Every token in it has to verify, each with a certificate for its diverting
    party; the outermost has to be fresh, the innermost not older than `max_age_inner` (S-102). A token that does not
    verify is dropped, and another path is tried. Raises the first `VerificationError` if there is no valid path.
    `diversions` is empty if none could be read.
    """
    tokens, links = _links_of(diversions, basic, report)
    provisioned = () if call.target is None else (dialled(call.target),)
    fault: VerificationError | None = None
    good: dict[int, SigningCertificate] = {}  # the certificate of each token that verifies
    while True:
        try:
            chain = find_chain(links, call.target, provisioned)
        except VerificationError as error:
            if fault is None and diversions:
                report(diversions[0], error)
            raise fault.bare() if fault is not None else error from None
        for link in chain:
            if link.at in good:
                continue
            token = tokens[link.at]
            try:
                certificate = _check_link(
                    token, link, call, policy, certificates, outermost=link is chain[0], innermost=link is chain[-1]
                )
            except VerificationError as error:
                report(token, error)
                fault = fault or error.bare()
                links.remove(link)
                break
            if isinstance(certificate, CertificateRequest):
                return certificate
            speaks = vouching(token, certificate.spc, policy.tolerate)
            if speaks is None:
                fault = fault or VerificationError(Outcome.NO_IDENTITY, Detail.UNSUPPORTED_PPT)
                links.remove(link)
                break
            tokens[link.at], good[link.at] = speaks, certificate
        else:
            original, certificate = tokens[chain[-1].at], good[chain[-1].at]
            return Diverted(original, certificate, check_caller(original, call, policy), tokens[chain[0].at])


def _links_of(diversions: Sequence[Token], basic: Sequence[Token], report: Report) -> tuple[list[Token], list[Link]]:
    """All tokens, nested ones included, and the first `MAX_LINKS` of their links."""
    tokens: list[Token] = []
    links: list[Link] = []
    for token in diversions:
        try:
            found = [(each, make_link(len(tokens) + at, each.jose.ppt, each.claims)) for at, each in _nested(token)]
        except VerificationError as error:
            report(token, error)
            continue
        tokens += (each for each, _ in found)
        links += (link for _, link in found)
    for token in basic:
        links.append(make_link(len(tokens), token.jose.ppt, token.claims))
        tokens.append(token)
    return tokens, links[:MAX_LINKS]


def _check_link(
    token: Token,
    link: Link,
    call: Signalling,
    policy: Policy,
    certificates: CertificateLookup,
    *,
    outermost: bool,
    innermost: bool,
) -> SigningCertificate | CertificateRequest:
    """The certificate of one token of a chain, after the same checks as in `check_token`, except for dest.

    Tokens in the middle may be old (S-102), and the innermost as old as the policy says. Only the innermost is about
    the media of this call.
    """
    check_form(token, policy)
    check_caller(token, call, policy)
    if outermost or innermost:
        check_freshness(token.claims, call, policy, covered=not outermost)
    check_lifetime(token.claims, call, policy)
    if innermost:
        check_keys(token.claims, call)
    return check_signature(token, link.authority, call.arrived, certificates)


def _nested(token: Token) -> Iterator[tuple[int, Token]]:
    """A diversion and the tokens nested in it (RFC 8946 §5), with their positions."""
    yield 0, token
    if token.jose.ppt == "div-o":
        for at, nested in enumerate(unnest(token.claims.all), 1):
            if nested.jose.ppt not in BASIC | DIVERSIONS:
                raise invalid(Detail.DIV_CHAIN, "a token of another kind inside")  # S-102
            if nested.jose.ppt == "shaken":
                check_shaken(nested.claims)
            yield at, Token(*nested, at=token.at)


def judge_beside(
    tokens: Sequence[Token], call: Signalling, policy: Policy, certificates: CertificateLookup, report: Report
) -> list[CounterName] | CertificateRequest:
    """Verify rph and rcd tokens of a call that passed (S-133, S-136).

    Returns the names of the results, to be counted. None of them changes the result for the number (S-132).
    """
    notes: list[CounterName] = []
    for token in tokens:
        ppt = token.jose.ppt
        try:
            check_claims(token, call, policy, check_called=policy.check_called)
            certificate = check_signature(token, token.claims.orig, call.arrived, certificates)
            if isinstance(certificate, CertificateRequest):
                return certificate
            if ppt == "rph" and call.message is not None:
                values = call.message.values
                check_priority(token.claims.all, values(b"resource-priority"), values(b"priority"))
                notes.append(PRIORITY)
        except VerificationError as error:
            report(token, error)
        else:
            notes += rich_call_data(token.claims, call)
    return notes


def rich_call_data(claims: Claims, call: Signalling) -> list[CounterName]:
    """The result for the rich call data of a token that verifies, whether shaken or rcd."""
    data = read_rcd(claims.all)
    if data is None or call.message is None:
        return []
    if isinstance(data, Unusable):
        return [UNUSABLE]
    try:
        displays = [address.display for address in call.message.addresses(b"from")]
    except MessageError:
        displays = []
    agree = data.name is None or all(names_agree(data.name, display) for display in displays)
    return [USABLE if agree else UNUSABLE]
