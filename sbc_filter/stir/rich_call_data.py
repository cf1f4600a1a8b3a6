"""Rich call data (RFC 9795): the claims `rcd`, `rcdi` and `crn`, of an rcd token or beside those of a shaken one.

What a caller wants shown of themselves is read here, checked for its form and against its digests. Nothing is fetched
(S-134): who follows a link has the digest that the content must have. Nothing here fails a number (S-132), hence
no exceptions: data that cannot be used are `Unusable`.
"""

import hashlib
import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from unicodedata import normalize

from sbc_filter.sip.numbers import canonical_number
from sbc_filter.stir.passport import canonical_json

_MAX_TEXT = 256  # characters of a name or a reason
_MAX_URL = 2048
_MAX_DIGESTS, _MAX_POINTER, _MAX_STEPS = 32, 256, 16
# Control characters, those that turn the direction of writing, and halves of a character.
_CONTROL = re.compile(f"[\0-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069{chr(0xD800)}-{chr(0xDFFF)}]")
_URL = re.compile(r"https://[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+")
_POINTER = re.compile(r"(?:/(?:[^~/]|~[01])*)+")  # RFC 6901, never the whole
_DIGEST = re.compile(r"(sha256|sha384|sha512)-([A-Za-z0-9+/]+)={0,2}")
_PLACE = re.compile(r"0|[1-9][0-9]{0,3}")
_HASHES = {"sha256": hashlib.sha256, "sha384": hashlib.sha384, "sha512": hashlib.sha512}
_ESCAPE = re.compile(rb"\\(.)", re.DOTALL)


class Reference(NamedTuple):
    """Something to be fetched, by https, and the digest of its content ("sha256-…", base64 without padding)."""

    url: str
    digest: str


class Unusable(NamedTuple):
    """There are rich call data, and nobody should see them; `why` is a clause for logs."""

    why: str


@dataclass(frozen=True, slots=True)
class RichCallData:
    """What may be shown once signature, certificate and `names_agree` are in order; None is what is not there.

    `card` is a jCard (RFC 7095) inside the token. `issuer` is set in the token of a third party: that is of use only
    beside a valid one of the first party (S-133).
    """

    name: str | None = None
    number: str | None = None  # canonical; the caller would rather have this one shown
    icon: Reference | None = None
    card: list[Any] | None = None
    card_link: Reference | None = None
    reason: str | None = None
    issuer: str | None = None


def read_rcd(claims: Mapping[str, Any]) -> RichCallData | Unusable | None:
    """The rich call data in the claims of a token, None without any.

    An `icn` or a `jcl` without a digest in `rcdi`, and an `icn` that is no https URL, are left out; anything
    else that is wrong makes all of them unusable.
    """
    if "rcd" not in claims and "crn" not in claims:
        return None
    for name in ("crn", "iss"):
        if name in claims and not _is_text(claims[name]):
            return Unusable(f"{name} is no short text")
    reason, issuer = claims.get("crn"), claims.get("iss")
    if "rcd" not in claims:
        return RichCallData(reason=reason, issuer=issuer)
    rcd, digests = claims["rcd"], claims.get("rcdi", {})
    if not isinstance(rcd, dict) or not _is_text(rcd.get("nam")):
        return Unusable("rcd has no nam, or nam is no short text")
    card, link, number = rcd.get("jcd"), rcd.get("jcl"), rcd.get("apn")
    if card is not None and (link is not None or not isinstance(card, list) or card[:1] != ["vcard"]):
        return Unusable("jcd is no jCard, or there is jcl as well")
    if link is not None and not _is_url(link):
        return Unusable("jcl is no https URL")
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
    """Whether `nam` is the display name of From (or P-Asserted-Identity), as it stands in the header field (S-132).

    White space and the forms of Unicode do not count. No display name contradicts nothing: it is what `nam` may fill.
    """
    display = display.strip()
    if display.startswith(b'"'):
        display = _ESCAPE.sub(rb"\1", display[1:].removesuffix(b'"'))
    shown = _spaced(display.decode("utf-8", "replace"))
    return not shown or shown == _spaced(name)


def _spaced(text: str) -> str:
    return normalize("NFC", " ".join(text.split()))


def _is_text(value: object) -> bool:
    return isinstance(value, str) and len(value) <= _MAX_TEXT and not _CONTROL.search(value)


def _is_url(value: object) -> bool:
    return isinstance(value, str) and len(value) <= _MAX_URL and _URL.fullmatch(value) is not None


def _reference(url: Any, digest: str | None) -> Reference | None:
    return Reference(url, digest.rstrip("=")) if digest and _is_url(url) else None


def _wrong_digest(rcd: dict[str, Any], digests: object) -> str | None:
    """What is wrong with `rcdi` (RFC 9795 §6.1; S-131): JSON pointers into `rcd`, each with the digest of the
    deterministic JSON of its value, or of the content that its value links to: that is nothing to check here."""
    if not isinstance(digests, dict) or len(digests) > _MAX_DIGESTS:
        return "rcdi is no object of digests, or too large"
    for pointer, text in digests.items():
        digest = _DIGEST.fullmatch(text) if isinstance(text, str) else None
        if digest is None or len(digest[2]) != -(-_HASHES[digest[1]]().digest_size * 4 // 3):
            return "rcdi holds what is no digest"
        if len(pointer) > _MAX_POINTER or not _POINTER.fullmatch(pointer) or pointer.count("/") > _MAX_STEPS:
            return "rcdi holds what is no JSON pointer"
        if pointer.startswith("/jcl/") and "jcl" in rcd:
            continue  # into the card that jcl links to
        try:
            value = _resolve(rcd, pointer)
            if pointer in ("/icn", "/jcl") or _is_link(rcd, pointer):
                continue
            found = _HASHES[digest[1]](canonical_json(value)).digest()
        except (LookupError, UnicodeEncodeError):
            return "rcdi points to nothing"
        if b64encode(found).rstrip(b"=").decode() != digest[2]:
            return f"the digest of {pointer} is another"
    return None


def _is_link(rcd: dict[str, Any], pointer: str) -> bool:
    """Whether a value inside the card is a link, by the type of its property: [name, parameters, "uri", value …].

    A look at the value would not do: then who is held to a digest by the certificate could write a URL for a name.
    """
    around, _, place = pointer.rpartition("/")
    if not around.startswith("/jcd/") or place in ("0", "1", "2"):
        return False
    holder = _resolve(rcd, around)
    return isinstance(holder, list) and holder[2] == "uri"


def _resolve(value: Any, pointer: str) -> Any:
    """The value that a JSON pointer names; LookupError for none."""
    for step in pointer[1:].split("/"):
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict):
            value = value[name]
        elif isinstance(value, list) and _PLACE.fullmatch(name):
            value = value[int(name)]
        else:
            raise LookupError(pointer)
    return value
