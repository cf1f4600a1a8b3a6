"""An independent judgement of whether a call may pass: PyJWT, openssl, and a reading of the standards that shares no
line with the program. It is strict about what is signed and loose about how it is written: a call that passes
without its leave is a false `passed`.
"""

import base64
import json
import re
import subprocess
import tempfile
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import jwt
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

MAX_AGE = 60
_ES256: Any = jwt.get_algorithm_by_name("ES256")
_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_NO_BASE64 = re.compile(rb"-----[A-Z ]+-----|[ \t\r\n]")
_INFO = re.compile(rb';\s*info\s*=\s*(?:"?<([^>]*)>"?|"([^"]*)"|([^\s;,]*))', re.IGNORECASE)
_UNREADABLE = (ValueError, TypeError, x509.DuplicateExtension, x509.InvalidVersion, x509.UnsupportedGeneralNameType)
_TNAUTHLIST, _JWT, _ENHANCED = "1.3.6.1.5.5.7.1.26", "1.3.6.1.5.5.7.1.27", "1.3.6.1.5.5.7.1.33"


_OPENSSL_IS_STRICTER = re.compile(rb"error (20|34) at 0 depth|Unable to load certificate")
_KNOWN = {"2.5.29.14", "2.5.29.15", "2.5.29.19", "2.5.29.31", "2.5.29.32", "2.5.29.35", _TNAUTHLIST, _JWT, _ENHANCED}


def may_pass(values: Sequence[bytes], body: bytes, root: bytes, caller: str, called: str, now: float) -> bool:
    """Whether one of the Identity `values` (as on the wire) is true of this call. `body` is what every URL serves,
    `root` (PEM) the only anchor."""
    return any(_true(value, body, root, caller, called, now) for value in values)


def _true(value: bytes, body: bytes, root: bytes, caller: str, called: str, now: float) -> bool:
    text, _, parameters = value.partition(b";")
    token = b".".join(segment.rstrip(b"=") for segment in b"".join(text.split()).split(b"."))
    leaf = _trusted_leaf(body, root, int(now))
    if leaf is None or not all(map(_canonical, token.split(b"."))):
        return False
    try:
        key = leaf.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return False
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        return False
    signed, _, signature = token.rpartition(b".")
    try:
        if not _ES256.verify(signed, _ES256.prepare_key(key), _decoded(signature)):
            return False
        header, claims = (_object(segment) for segment in signed.split(b"."))
    except (ValueError, RecursionError):
        return False
    info = _INFO.search(b";" + parameters)
    return (
        header.get("alg") == "ES256"
        and header.get("typ") == "passport"
        and header.get("ppt") in ("shaken", None)
        and info is not None
        and (info[1] or info[2] or info[3] or b"").decode("utf-8", "replace") == header.get("x5u")
        and "crit" not in header
        and _claims_are_true(claims, header.get("ppt"), caller, called, now)
        and _entitled(leaf, claims, caller, base=header.get("ppt") is None)
    )


def _canonical(segment: bytes) -> bool:
    """One spelling for each signature: what decodes is what encodes."""
    try:
        return base64.urlsafe_b64encode(_decoded(segment)).rstrip(b"=") == segment
    except ValueError:
        return False


def _decoded(segment: bytes) -> bytes:
    return base64.b64decode(segment + b"=" * (-len(segment) % 4), b"-_", validate=True)


def _object(segment: bytes) -> dict[str, Any]:
    """An object in which no member occurs twice."""

    def unique(members: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({key for key, _ in members}) != len(members):
            raise ValueError("a member twice")
        return dict(members)

    value = json.loads(_decoded(segment).decode(), object_pairs_hook=unique)
    if not isinstance(value, dict):
        raise ValueError("no object")
    return value


def _claims_are_true(claims: dict[str, Any], ppt: str | None, caller: str, called: str, now: float) -> bool:
    iat, orig, dest = claims.get("iat"), claims.get("orig"), claims.get("dest")
    if isinstance(iat, bool) or not isinstance(iat, int | float):
        return False
    if iat % 1 != 0 or not now - MAX_AGE <= iat <= now + MAX_AGE:
        return False
    if not isinstance(orig, dict) or len(orig) != 1 or _numbers(orig) != {caller}:
        return False
    if not isinstance(dest, dict) or called not in _numbers(dest):
        return False
    if ppt is None:
        return True
    return claims.get("attest") in ("A", "B", "C") and isinstance(claims.get("origid"), str) and bool(claims["origid"])


def _numbers(party: dict[str, Any]) -> set[str]:
    """The telephone numbers of orig or dest, without what may stand between the digits."""
    found: set[str] = set()
    for kind, values in party.items():
        for value in values if isinstance(values, list) else [values]:
            if not isinstance(value, str):
                continue
            if kind == "tn":
                found.add(re.sub(r"[^0-9*#]", "", value.partition(";")[0]))
            elif kind == "uri" and re.match(r"(sips?|tel):", value):
                number = re.sub(r"[^0-9*#]", "", re.split(r"[;@]", value.partition(":")[2])[0])
                found.add(f"1{number}" if len(number) == 10 else number)  # in a URI it may be the national one
    return found


# --- the certificate ---


@lru_cache(maxsize=4096)
def _trusted_leaf(body: bytes, root: bytes, now: int) -> x509.Certificate | None:
    """The certificate of the set that is no CA and for which openssl finds a path to the root."""
    certificates = []
    for block in _CERTIFICATE.findall(body):
        try:
            octets = base64.b64decode(_NO_BASE64.sub(b"", block), validate=True)  # whatever the line ends
            certificates.append(x509.load_der_x509_certificate(octets))
        except _UNREADABLE:
            return None
    for certificate in certificates:
        try:
            constraints = [each.value for each in certificate.extensions if each.oid.dotted_string == "2.5.29.19"]
        except _UNREADABLE:
            return None
        if not any(each.ca for each in constraints if isinstance(each, x509.BasicConstraints)):
            return certificate if _openssl(certificate, certificates, root, now) else None
    return None


def _signed_by_one_of(leaf: x509.Certificate, others: list[x509.Certificate]) -> bool:
    """Where openssl asks for more than RFC 5280: that a key identifier is right (§4.2.1.1 has it for finding the
    issuer only), that it knows the extensions of RFC 8226, that names are of the string types it can print."""
    for each in others:
        try:
            leaf.verify_directly_issued_by(each)
        except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
            continue
        return True
    return False


def _openssl(leaf: x509.Certificate, others: list[x509.Certificate], root: bytes, now: int) -> bool:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        sent = b"".join(each.public_bytes(Encoding.PEM) for each in others)
        for name, data in (("leaf", leaf.public_bytes(Encoding.PEM)), ("others", sent), ("root", root)):
            (folder / name).write_bytes(data)
        command = ["openssl", "verify", "-attime", str(now), "-CAfile", "root", "-untrusted", "others", "leaf"]
        done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
        if done.returncode and _OPENSSL_IS_STRICTER.search(done.stderr):
            critical = {each.oid.dotted_string for each in leaf.extensions if each.critical}
            return critical <= _KNOWN and _signed_by_one_of(leaf, others)
        return done.returncode == 0


def _entitled(leaf: x509.Certificate, claims: dict[str, Any], caller: str, *, base: bool) -> bool:
    """Whether the certificate lets its holder say this; with `base` in a token that is not SHAKEN."""
    listed = None
    for extension in leaf.extensions:
        value = extension.value
        octets = value.value if isinstance(value, x509.UnrecognizedExtension) else value.public_bytes()
        oid = extension.oid.dotted_string
        try:
            if oid == _TNAUTHLIST:
                listed = _listed(octets, caller, base=base)
            elif oid in (_JWT, _ENHANCED) and not _permitted(octets, claims, oid == _ENHANCED):
                return False
        except (ValueError, IndexError):
            return False
    return bool(listed)


def _listed(octets: bytes, caller: str, *, base: bool) -> bool:
    """One SPC, unless the token is a base PASSporT, or numbers among which the caller is."""
    (entries,) = _der(octets, 0x30)
    spcs, good = 0, False
    for tag, content in _all(entries):
        ((inner, text),) = _all(content)
        if tag == 0xA0 and inner == 0x16 and re.fullmatch(rb"[A-Z0-9]{1,32}", text):
            spcs += 1
            good = True
        elif tag == 0xA2 and inner == 0x16 and re.fullmatch(rb"[0-9*#]{1,15}", text):
            good = good or text.decode() == caller
        elif tag == 0xA1 and inner == 0x30:
            (first, start), (second, count) = _all(text)
            if first != 0x16 or second != 0x02:
                raise ValueError("range")
            begin, size = int(start), int.from_bytes(count, "big", signed=True)
            good = good or (len(start) == len(caller) and begin <= int(caller) < begin + size)
        else:
            raise ValueError("entry")
    return good and (not spcs or (spcs == 1 and len(_all(entries)) == 1 and not base))


def _permitted(octets: bytes, claims: dict[str, Any], enhanced: bool) -> bool:
    (members,) = _der(octets, 0x30)
    for tag, content in _all(members):
        members_of = _all(content)
        inside = members_of[0][1] if len(members_of) == 1 and members_of[0][0] == 0x30 else content
        if tag == 0xA0 and not all(name.decode() in claims for _, name in _all(inside)):
            return False
        if tag == 0xA2 and any(name.decode() in claims for _, name in _all(inside)):
            return False
        if tag == 0xA1:
            for _, each in _all(inside):
                (_, name), (_, allowed) = _all(each)
                value = claims.get(name.decode())
                text = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), sort_keys=True)
                if name.decode() in claims and text not in [each.decode() for _, each in _all(allowed)]:
                    return False
        if tag not in (0xA0, 0xA1) and not (enhanced and tag == 0xA2):
            return False
    return True


def _der(octets: bytes, tag: int) -> tuple[bytes]:
    """The content of the one element with this tag."""
    ((found, content),) = _all(octets)
    if found != tag:
        raise ValueError("tag")
    return (content,)


def _all(octets: bytes) -> list[tuple[int, bytes]]:
    found = []
    while octets:
        tag, size, octets = octets[0], octets[1], octets[2:]
        if size & 0x80:
            count = size & 0x7F
            size, octets = int.from_bytes(octets[:count], "big"), octets[count:]
            if not count or size < 0x80 or size >> 8 * (count - 1) == 0:
                raise ValueError("not DER")
        if size > len(octets):
            raise ValueError("cut")
        found.append((tag, octets[:size]))
        octets = octets[size:]
    return found
