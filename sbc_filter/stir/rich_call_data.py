"""Rich call data (RFC 9795): the claims `rcd`, `rcdi` and `crn` of an rcd or shaken token.

They say how a caller wants to be displayed. Their form and digests are checked here. Nothing is fetched (S-134): a
consumer that follows a link has the digest that the content must have. Bad data never fail the call (S-132), so no
exception is raised: data that cannot be used are `Unusable`.
"""

import hashlib
import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple
from unicodedata import normalize

from sbc_filter.sip.numbers import canonical_number
from sbc_filter.stir.passport import canonical_json

_MAX_TEXT = 256  # characters of a name or a reason
_MAX_DISPLAY = 4 * _MAX_TEXT  # characters of a display name that may be equal to a name: accents may be separate
_MAX_AROUND = 1  # other digests that may cover a value too: that of the card, and each of its properties by itself
_MAX_URL = 2048  # characters; the same limit as for x5u
_MAX_DIGESTS, _MAX_POINTER, _MAX_STEPS = 32, 256, 16  # digests in rcdi; characters and steps of one JSON pointer
# Control characters, characters that change the direction of writing, and surrogates.
_CONTROL = re.compile(f"[\0-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069{chr(0xD800)}-{chr(0xDFFF)}]")
_URL = re.compile(r"https://[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+")
_POINTER = re.compile(r"(?:/(?:[^~/]|~[01])*)+")  # RFC 6901, but never the whole document
_DIGEST = re.compile(r"(sha256|sha384|sha512)-([A-Za-z0-9+/]+)={0,2}")
_PLACE = re.compile(r"0|[1-9][0-9]{0,3}")
_HASHES = {"sha256": hashlib.sha256, "sha384": hashlib.sha384, "sha512": hashlib.sha512}
_ESCAPE = re.compile(rb"\\(.)", re.DOTALL)


class Reference(NamedTuple):
    """Content to be fetched by https, and its digest ("sha256-…", base64 without padding)."""

    url: str
    digest: str


class Unusable(NamedTuple):
    """Rich call data are present, but must not be displayed; `why` is a clause for logs."""

    why: str


@dataclass(frozen=True, slots=True)
class RichCallData:
    """Data that may be displayed after signature, certificate and `names_agree` were checked; None means absent.

    `card` is a jCard (RFC 7095) inside the token. `issuer` is set in a token of a third party, which may only be used
    together with a valid one of the first party (S-133).
    """

    name: str | None = None
    number: str | None = None  # canonical; the number that the caller prefers to have displayed
    icon: Reference | None = None
    card: list[Any] | None = None
    card_link: Reference | None = None
    reason: str | None = None
    issuer: str | None = None


def read_rcd(claims: Mapping[str, Any]) -> RichCallData | Unusable | None:
    """The rich call data in the claims of a token; None if there are none.

    An `icn` or `jcl` without a digest in `rcdi`, and an `icn` that is not an https URL, are left out. Any other fault
    makes all of the data unusable.
    """
    if "rcd" not in claims and "crn" not in claims:
        return None
    for name in ("crn", "iss"):
        if name in claims and not _is_text(claims[name]):
            return Unusable(f"{name} is not a short text")
    reason, issuer = claims.get("crn"), claims.get("iss")
    if "rcd" not in claims:
        return RichCallData(reason=reason, issuer=issuer)
    rcd, digests = claims["rcd"], claims.get("rcdi", {})
    if not isinstance(rcd, dict) or not _is_text(rcd.get("nam")):
        return Unusable("rcd has no nam, or nam is not a short text")
    card, link, number = rcd.get("jcd"), rcd.get("jcl"), rcd.get("apn")
    if card is not None and (link is not None or not isinstance(card, list) or card[:1] != ["vcard"]):
        return Unusable("jcd is not a jCard, or there is jcl as well")
    if link is not None and not _is_url(link):
        return Unusable("jcl is not an https URL")
    why = _wrong_digest(rcd, digests)
    if why:
        return Unusable(why)
    return RichCallData(
        rcd["nam"],
        canonical_number(number) if isinstance(number, str) else None,
        _reference(rcd.get("icn"), digests.get("/icn")),
        card,
        _reference(link, digests.get("/jcl")),
        reason,
        issuer,
    )


def names_agree(name: str, display: bytes) -> bool:
    """Whether `nam` equals the display name of From (or P-Asserted-Identity), given as in the header field (S-132).

    White space and Unicode normalisation are ignored. A missing display name agrees with any `nam`, which may fill it.
    """
    display = display.strip()
    if display.startswith(b'"'):
        display = _ESCAPE.sub(rb"\1", display[1:].removesuffix(b'"'))
    shown = _spaced(display.decode("utf-8", "replace"))
    return not shown or (len(shown) <= _MAX_DISPLAY and _composed(shown) == _composed(_spaced(name)))


def _spaced(text: str) -> str:
    return " ".join(text.split())


@lru_cache(maxsize=64)
def _composed(text: str) -> str:
    """The normal form of a text, which takes quadratic time; the tokens of one call share what is compared."""
    return normalize("NFC", text)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and len(value) <= _MAX_TEXT and not _CONTROL.search(value)


def _is_url(value: object) -> bool:
    return isinstance(value, str) and len(value) <= _MAX_URL and _URL.fullmatch(value) is not None


def _reference(url: Any, digest: str | None) -> Reference | None:
    return Reference(url, digest.rstrip("=")) if digest and _is_url(url) else None


def _wrong_digest(rcd: dict[str, Any], digests: object) -> str | None:
    """What is wrong with `rcdi` (RFC 9795 §6.1; S-131), or None.

    It maps JSON pointers into `rcd` to digests: of the deterministic JSON of the value, or of the content that the
    value links to, which is not checked here.
    """
    if not isinstance(digests, dict) or len(digests) > _MAX_DIGESTS:
        return "rcdi is not an object of digests, or too large"
    for pointer, text in digests.items():
        digest = _DIGEST.fullmatch(text) if isinstance(text, str) else None
        if digest is None or len(digest[2]) != -(-_HASHES[digest[1]]().digest_size * 4 // 3):
            return "rcdi contains a value that is not a digest"
        if len(pointer) > _MAX_POINTER or not _POINTER.fullmatch(pointer) or pointer.count("/") > _MAX_STEPS:
            return "rcdi contains a key that is not a JSON pointer"
        if pointer.startswith("/jcl/") and "jcl" in rcd:
            continue  # inside the card that jcl links to
        try:
            value = _resolve(rcd, pointer)
            if pointer in ("/icn", "/jcl") or _is_link(rcd, pointer):
                continue
            if _around(pointer, digests) > _MAX_AROUND:
                return "the digests in rcdi cover the same value too often"
            found = _HASHES[digest[1]](canonical_json(value)).digest()
        except (LookupError, UnicodeEncodeError):
            return "rcdi points to nothing"
        if b64encode(found).rstrip(b"=").decode() != digest[2]:
            return f"the digest of {pointer} does not match"
    return None


def _around(pointer: str, digests: Mapping[str, Any]) -> int:
    """How many of these digests are of a value around this one."""
    count = 0
    while pointer := pointer.rpartition("/")[0]:
        count += pointer in digests
    return count


def _is_link(rcd: dict[str, Any], pointer: str) -> bool:
    """Whether a value inside the card is a link, by the type of its property: [name, parameters, "uri", value …].

    The value itself does not show this: a caller that the certificate binds to a digest could write a URL as a name.
    """
    around, _, place = pointer.rpartition("/")
    if not around.startswith("/jcd/") or place in ("0", "1", "2"):
        return False
    holder = _resolve(rcd, around)
    return isinstance(holder, list) and holder[2] == "uri"


def _resolve(value: Any, pointer: str) -> Any:
    """The value that a JSON pointer names; `LookupError` if there is none."""
    for step in pointer[1:].split("/"):
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict):
            value = value[name]
        elif isinstance(value, list) and _PLACE.fullmatch(name):
            value = value[int(name)]
        else:
            raise LookupError(pointer)
    return value
