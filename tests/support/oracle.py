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
from cryptography.hazmat.primitives.asymmetric import ec

MAX_AGE = 60
_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_INFO = re.compile(rb';\s*info\s*=\s*(?:"?<([^>]*)>"?|"([^"]*)"|([^\s;,]*))', re.IGNORECASE)
_TNAUTHLIST, _JWT, _ENHANCED = "1.3.6.1.5.5.7.1.26", "1.3.6.1.5.5.7.1.27", "1.3.6.1.5.5.7.1.33"


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
    key = leaf.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        return False
    try:
        header = jwt.get_unverified_header(token)
        claims = jwt.decode(token, key, algorithms=["ES256"], options={"verify_signature": True, "verify_iat": False, "verify_aud": False, "verify_iss": False, "verify_sub": False, "verify_jti": False, "verify_exp": False, "verify_nbf": False})  # fmt: skip
        _without_duplicates(token.split(b".")[0])
        _without_duplicates(token.split(b".")[1])
    except (jwt.InvalidTokenError, ValueError, RecursionError):
        return False
    info = _INFO.search(b";" + parameters)
    return (
        header.get("typ") == "passport"
        and header.get("ppt") in ("shaken", None)
        and info is not None
        and (info[1] or info[2] or info[3] or b"").decode("utf-8", "replace") == header.get("x5u")
        and "crit" not in header
        and _claims_are_true(claims, header.get("ppt"), caller, called, now)
        and _entitled(leaf, claims, caller)
    )


def _canonical(segment: bytes) -> bool:
    """One spelling for each signature: what decodes is what encodes."""
    padded = segment + b"=" * (-len(segment) % 4)
    try:
        return base64.urlsafe_b64encode(base64.b64decode(padded, b"-_", validate=True)) == padded
    except ValueError:
        return False


def _without_duplicates(segment: bytes) -> None:
    def pairs(members: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({key for key, _ in members}) != len(members):
            raise ValueError("a member twice")
        return dict(members)

    json.loads(base64.urlsafe_b64decode(segment + b"=" * (-len(segment) % 4)).decode(), object_pairs_hook=pairs)


def _claims_are_true(claims: dict[str, Any], ppt: str | None, caller: str, called: str, now: float) -> bool:
    iat, orig, dest = claims.get("iat"), claims.get("orig"), claims.get("dest")
    if isinstance(iat, bool) or not isinstance(iat, int | float) or iat != int(iat) or abs(now - iat) > MAX_AGE:
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
        for value in [values] if isinstance(values, str) else values:
            if kind == "tn":
                found.add(re.sub(r"[^0-9*#]", "", value.partition(";")[0]))
            elif kind == "uri" and re.match(r"(sips?|tel):\+?[0-9]", value):
                found.add(re.sub(r"[^0-9*#]", "", re.split(r"[;@]", value.partition(":")[2])[0]))
    return found


# --- the certificate ---


@lru_cache(maxsize=4096)
def _trusted_leaf(body: bytes, root: bytes, now: int) -> x509.Certificate | None:
    """The certificate of the set that is no CA and for which openssl finds a path to the root."""
    blocks = _CERTIFICATE.findall(body)
    for block in blocks:
        try:
            certificate = x509.load_pem_x509_certificate(block)
            if any(
                extension.oid.dotted_string == "2.5.29.19" and extension.value.ca  # type: ignore[attr-defined]
                for extension in certificate.extensions
            ):
                continue
        except (ValueError, TypeError, x509.DuplicateExtension):
            return None
        return certificate if _openssl(block, blocks, root, now) else None
    return None


def _openssl(leaf: bytes, others: list[bytes], root: bytes, now: int) -> bool:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for name, data in (("leaf", leaf), ("others", b"\n".join(others)), ("root", root)):
            (folder / name).write_bytes(data)
        command = ["openssl", "verify", "-attime", str(now), "-CAfile", "root", "-untrusted", "others", "leaf"]
        return subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode == 0


def _entitled(leaf: x509.Certificate, claims: dict[str, Any], caller: str) -> bool:
    listed = None
    for extension in leaf.extensions:
        value = extension.value
        octets = value.value if isinstance(value, x509.UnrecognizedExtension) else value.public_bytes()
        oid = extension.oid.dotted_string
        try:
            if oid == _TNAUTHLIST:
                listed = _listed(octets, caller)
            elif oid in (_JWT, _ENHANCED) and not _permitted(octets, claims, oid == _ENHANCED):
                return False
        except (ValueError, IndexError):
            return False
    return bool(listed)


def _listed(octets: bytes, caller: str) -> bool:
    """One SPC, or numbers among which the caller is."""
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
    return good and (not spcs or (spcs == 1 and len(_all(entries)) == 1))


def _permitted(octets: bytes, claims: dict[str, Any], enhanced: bool) -> bool:
    (members,) = _der(octets, 0x30)
    for tag, content in _all(members):
        (inside,) = _der(content, 0x30)
        if tag == 0xA0 and not all(name.decode() in claims for _, name in _all(inside)):
            return False
        if tag == 0xA2 and any(name.decode() in claims for _, name in _all(inside)):
            return False
        if tag == 0xA1:
            for _, each in _all(inside):
                (_, name), (_, allowed) = _all(each)
                value = claims.get(name.decode())
                if value is not None and value not in [text.decode() for _, text in _all(allowed)]:
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
