"""Diverted calls (RFC 8946): `div` tokens, nested `div-o` tokens, and the chain that they form.

A token says "A calls B". A party that diverts the call from B to C adds one that says "A calls C, diverted by B", and
the Request-URI then names C. The order of the tokens in the message means nothing: only their claims connect them
(S-101). The To header field plays no part in a chain; `dest` is compared with it only where nothing is diverted.
"""

import re
from collections.abc import Container, Mapping, Sequence
from typing import Any, NamedTuple

from sbc_filter.errors import Compared
from sbc_filter.outcomes import Detail
from sbc_filter.sip.numbers import canonical_number, canonical_uri
from sbc_filter.stir.passport import Claims, Jose, invalid, parse_claims, parse_jose

DIVERSIONS = frozenset(("div", "div-o"))  # values of ppt
MAX_DIVERSIONS = 5  # of one call (S-104)
_FULL_FORM = re.compile(rb"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")
_NOBODY: frozenset[str] = frozenset()


class Link(NamedTuple):
    """One step of a call's path as claimed by a token, in canonical identities; `at` is the caller's index of the
    token.

    `div` is None for a token that does not divert (base, shaken): a chain ends there.
    """

    orig: str
    dest: tuple[str, ...]
    div: str | None
    at: int

    @property
    def authority(self) -> str:
        """The identity that the certificate has to speak for (S-085, S-100): the diverting party, else the caller."""
        return self.orig if self.div is None else self.div


class Nested(NamedTuple):
    """A token from the `opt` of another; fields as in `token.Token`. Well-formed, not yet verified."""

    jose: Jose
    claims: Claims
    signed: bytes
    signature: bytes


def make_link(at: int, ppt: str | None, claims: Claims) -> Link:
    """The link of a token. Raises `VerificationError(invalid, CLAIM_DIV)` for a diversion without a diverting party."""
    return Link(claims.orig, claims.dest, parse_div(claims.all) if ppt in DIVERSIONS else None, at)


def parse_div(claims: Mapping[str, Any]) -> str:
    """The canonical identity that diverted the call: exactly one `tn` or `uri` (RFC 8946 §3).

    `hi`, an index into History-Info (S-106), may be present; it proves nothing and is ignored. Raises
    `VerificationError(invalid, CLAIM_DIV)`.
    """
    value = claims.get("div")
    if not isinstance(value, dict):
        raise invalid(Detail.CLAIM_DIV)
    named = [(kind, identity) for kind, identity in value.items() if kind != "hi"]
    if len(named) != 1 or not isinstance(named[0][1], str) or not isinstance(value.get("hi", ""), str):
        raise invalid(Detail.CLAIM_DIV)
    identity = _canonical(*named[0])
    if not identity:
        raise invalid(Detail.CLAIM_DIV)
    return identity


def parse_opt(claims: Mapping[str, Any]) -> bytes:
    """The token inside a `div-o` token (RFC 8946 §5), always in full form.

    Raises `VerificationError(invalid, CLAIM_OPT)`.
    """
    value = claims.get("opt")
    token = value.encode("utf-8", "replace") if isinstance(value, str) else b""
    if not _FULL_FORM.fullmatch(token):
        raise invalid(Detail.CLAIM_OPT)
    return token


def unnest(claims: Mapping[str, Any]) -> tuple[Nested, ...]:
    """All tokens nested in a `div-o` token with these claims, outermost first; the last one nests nothing.

    As links they follow the same rules as those of other header fields. Raises `VerificationError(invalid)`: CLAIM_OPT,
    DIV_CHAIN beyond `MAX_DIVERSIONS`, or whatever `parse_jose` and `parse_claims` raise.
    """
    found: list[Nested] = []
    while True:
        if len(found) == MAX_DIVERSIONS:
            raise invalid(Detail.DIV_CHAIN, f"more than {MAX_DIVERSIONS} tokens inside each other")
        header, payload, signature = parse_opt(claims).split(b".")
        inner = Nested(parse_jose(header), parse_claims(payload), b"%b.%b" % (header, payload), signature)
        found.append(inner)
        if inner.jose.ppt != "div-o":
            return tuple(found)
        claims = inner.claims.all


def find_chain(links: Sequence[Link], ruri: str | None, provisioned: Container[str] = _NOBODY) -> tuple[Link, ...]:
    """The links of a diverted call in order, outermost first; the last one is the token of the original call.

    - The outermost has the identity of the **Request-URI** in `dest`, or one that is `provisioned` for it (S-101).
    - Each `div` is in the `dest` of the next; all have the same `orig` (S-102).
    - There are 1 to `MAX_DIVERSIONS` diversions, and no number occurs twice (S-104).

    If several tokens can end a chain, the first of them in `links` is used, on the shortest path. Links that belong to
    no chain are ignored.

    The caller of this function still has to check that:

    - `orig` is the caller of the signalling (S-060); no `dest` is compared with To.
    - The outermost link is fresh; the innermost should be.
    - Each signature is valid, with a certificate for each `authority`. If one is not, call again without that link.

    Raises `VerificationError(invalid)`: DIV_ORIG if a chain exists only with different values of `orig`, else
    DIV_CHAIN.
    """
    chains = _chains(links, ruri, provisioned, True)
    if chains:
        return min(chains, key=lambda chain: links.index(chain[-1]))
    chains = _chains(links, ruri, provisioned, False)
    if chains:
        *diversions, original = chains[0]
        raise invalid(Detail.DIV_ORIG, compared=Compared(", ".join(each.orig for each in diversions), original.orig))
    raise invalid(Detail.DIV_CHAIN, compared=_gap(links, ruri))


def _gap(links: Sequence[Link], ruri: str | None) -> Compared:
    """Where the diversions lead, and the Request-URI. If they lead there: where they begin, and the `dest` of the
    tokens that are not diversions."""
    led = [each for link in links if link.div is not None for each in link.dest]
    if ruri not in led:
        return Compared(", ".join(led), ruri or "")
    begun = ", ".join(link.div for link in links if link.div is not None)
    first = ", ".join(each for link in links if link.div is None for each in link.dest)
    return Compared(f"div {begun}", f"dest {first}" if first else "no token that it continues")


def _chains(
    links: Sequence[Link], ruri: str | None, provisioned: Container[str], one_orig: bool
) -> list[tuple[Link, ...]]:
    """The shortest chain to each possible end. Breadth first, each link once: at most quadratic, whatever the links
    say."""

    def reached(link: Link) -> list[str]:
        return [identity for identity in link.dest if identity == ruri or identity in provisioned]

    waiting = [link for link in links if link.div not in link.dest]
    begins = [link for link in waiting if link.div is not None and reached(link)]
    waiting = [link for link in waiting if link not in begins]
    growing: list[tuple[Link, ...]] = [(link,) for link in begins]
    ended: list[tuple[Link, ...]] = []
    for _ in range(MAX_DIVERSIONS):
        longer: list[tuple[Link, ...]] = []
        for chain in growing:
            outer = chain[-1]
            for link in waiting[:]:
                if outer.div not in link.dest or (one_orig and outer.orig != link.orig):
                    continue
                if link.div is None:
                    # On a shortest path no link repeats a number, but the last one can divert from the number that the
                    # call is at now.
                    if all(identity == outer.div for identity in reached(chain[0])):
                        continue
                    ended.append((*chain, link))
                else:
                    longer.append((*chain, link))
                waiting.remove(link)
        growing = longer
    return ended


def _canonical(kind: str, identity: str) -> str | None:
    """The canonical form, as for `dest`, so that the two can be compared."""
    if kind == "tn":
        return canonical_number(identity)
    try:
        return (canonical_uri(identity.encode()) or identity) if kind == "uri" else None
    except UnicodeEncodeError:  # an unpaired surrogate
        return None
