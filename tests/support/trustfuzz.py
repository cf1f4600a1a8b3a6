"""Certificates, CRLs and trust lists as an authority could write them by mistake or on purpose: bent anywhere in what
is signed, and signed again by whoever has to sign them. openssl judges what is accepted.

A case raises what the program raised, unless that is the documented error, or `Disagreement`.
"""

import contextlib
import re
import subprocess
import tempfile
from collections.abc import Callable, Collection
from pathlib import Path
from random import Random

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from sbc_filter.errors import CertificateError
from sbc_filter.lab.certificate_maker import Authority, pem
from sbc_filter.pki import claim_constraints, der, tnauthlist
from sbc_filter.pki.certificate import PARSE_ERRORS, Certificate, parse_certificates
from sbc_filter.pki.crl import RevocationList
from sbc_filter.pki.trust_store import TrustStore
from sbc_filter.stir.passport import encode_segment
from sbc_filter.stir.signature import sign_es256
from sbc_filter.stir.sti_pa_list import read_trust_list
from support import mutate_der
from support.chains import NOW, ROOT, as_pem, crl, entry, make
from support.mutate_json import encode as encode_json
from support.mutate_json import from_python, mutate_text, mutate_value

_CRL_KEY = "key_cert_sign crl_sign"
TOP = make(None, "Top", ca=True, usage=_CRL_KEY)
MIDDLE = make(TOP, "Middle", ca=True, limit=0, usage=_CRL_KEY)
GOOD, BAD = make(MIDDLE, "SHAKEN 1234"), make(MIDDLE, "SHAKEN 1234")
SIGNER = make(TOP, "Lists", numbers=None)
LISTS = {"top": crl(TOP, indirect=False), "middle": crl(MIDDLE, entry(BAD), indirect=False)}
CONSTRAINTS = (claim_constraints.JWT_CLAIM_CONSTRAINTS, claim_constraints.ENHANCED_JWT_CLAIM_CONSTRAINTS)
_STRING_TYPES = (0x0C, 0x13, 0x14, 0x1C, 0x1E)
_SHA256 = der.encode(0x30, bytes.fromhex("06082a8648ce3d040302"))


def _has_odd_name(certificate: x509.Certificate) -> bool:
    """Whether a name has a value of a type other than those of DirectoryString (RFC 5280 §4.1.2.4)."""
    return any(
        each._type.value not in _STRING_TYPES for name in (certificate.subject, certificate.issuer) for each in name
    )


def _has(certificate: x509.Certificate, oids: Collection[str]) -> bool:
    return any(each.oid.dotted_string in oids for each in certificate.extensions)


LISTED: dict[int, tuple[str, Callable[[x509.Certificate], bool]]] = {
    -1: ("a name with a value that is not a string by its type, which openssl does not read", _has_odd_name),
    20: (
        "a key identifier of another issuer: names and signatures decide, and some real certificates have a wrong one",
        lambda certificate: _has(certificate, ("2.5.29.35",)),
    ),
    34: (
        "a critical TNAuthList or JWT claim constraint, which openssl does not know",
        lambda certificate: _has(certificate, (tnauthlist.OID, *CONSTRAINTS)),
    ),
}
"""What openssl refuses and the program accepts, by openssl's number, and what at least one certificate then has."""


class Disagreement(AssertionError):
    """The program accepts what openssl refuses, and not for a reason in `LISTED`."""


def fuzz_certificate(seed: str) -> tuple[str, tuple[str, ...]]:
    """One of the three certificates of a chain is bent; returns what became of the chain, and what was bent."""
    rng = Random(seed)
    which = rng.choice(("leaf", "leaf", "issuer", "anchor"))
    chain = {"leaf": _encoded(GOOD), "issuer": _encoded(MIDDLE), "anchor": _encoded(TOP)}
    chain[which] = _bent(chain[which], MIDDLE if which == "leaf" else TOP, rng)
    try:
        anchor = Certificate.parse(chain["anchor"])
    except PARSE_ERRORS:
        return "anchor: unreadable", (which,)
    body = as_pem(chain["leaf"]) + as_pem(chain["issuer"])
    try:
        TrustStore([anchor]).read(body, NOW)
    except CertificateError as error:
        return f"{which}: {error.detail}", (which,)
    listed = _judge(seed, *(as_pem(chain[name]) for name in ("anchor", "issuer", "leaf")))
    return f"{which}: accepted{listed}", (which,)


def fuzz_crl(seed: str) -> tuple[str, tuple[str, ...]]:
    """One of the two CRLs of a chain is bent. What is not revoked under `hard` is good to openssl with both lists."""
    rng = Random(seed)
    which = rng.choice(("top", "middle", "middle"))
    octets = {name: made.public_bytes(Encoding.DER) for name, made in LISTS.items()}
    octets[which] = _bent(octets[which], TOP if which == "top" else MIDDLE, rng)
    leaf = rng.choice((GOOD, BAD))
    body = pem(leaf.certificate) + pem(MIDDLE.certificate)
    try:
        lists = [RevocationList.parse(each) for each in octets.values()]
        TrustStore([TOP.certificate], lists, "soft").read(body, NOW)
    except CertificateError as error:
        return f"{which}: soft: {error.detail}", (which,)
    try:
        TrustStore([TOP.certificate], lists, "hard").read(body, NOW)
    except CertificateError as error:
        return f"{which}: hard: {error.detail}", (which,)
    crls = b"".join(as_pem(each, "X509 CRL") for each in octets.values())
    listed = _judge(seed, pem(TOP.certificate), pem(MIDDLE.certificate), pem(leaf.certificate), crls)
    return f"{which}: accepted{listed}", (which,)


def fuzz_trustlist(seed: str) -> tuple[str, tuple[str, ...]]:
    """The header, the claims or a certificate of a trust list is bent; only `ValueError` leaves the reader."""
    rng = Random(seed)
    which = rng.choice(("entry", "entry", "claims", "header", "text"))
    root = pem(ROOT.certificate).decode()
    odd = as_pem(_bent(_encoded(TOP), TOP, rng)).decode() if which == "entry" else pem(TOP.certificate).decode()
    header = from_python({"alg": "ES256", "typ": "JWT", "x5u": "https://lists.example.org/1.crt"})
    claims = from_python({"version": "1.0", "sequence": 7, "exp": int(NOW) + 86400, "trustList": [odd, root]})
    parts = [encode_json(header), encode_json(claims)]
    for _ in range(rng.randrange(1, 4)):
        if which == "header":
            parts[0] = encode_json(mutate_value(header, rng))
        elif which == "claims":
            parts[1] = encode_json(mutate_value(claims, rng))
        elif which == "text":
            at = rng.randrange(2)
            parts[at] = mutate_text(parts[at], rng)
    signed = b".".join(map(encode_segment, parts))
    token = signed + b"." + sign_es256(SIGNER.key, signed)
    try:
        found = read_trust_list(token, [Certificate.of(SIGNER.certificate)], NOW)
    except ValueError as error:
        return f"{which}: {str(error).partition(':')[0][:40]}", (which,)
    for anchor in found.anchors:
        done = _openssl("x509", "-noout", "-subject", data=as_pem(anchor.encoded))
        if done.returncode:
            raise Disagreement(f"{seed}: openssl cannot read {anchor.encoded.hex()}: {done.stderr!r}")
        anchor.parsed.subject.rfc4514_string()  # as `check` prints it
    try:
        TrustStore(found.anchors).read(pem(GOOD.certificate) + pem(MIDDLE.certificate), NOW)
    except CertificateError as error:
        return f"{which}: accepted, {found.unreadable} unreadable, chain {error.detail}", (which,)
    if odd != pem(TOP.certificate).decode():  # a bent anchor that is believed
        anchors = b"".join(as_pem(each.encoded) for each in found.anchors)
        _judge(seed, anchors, pem(MIDDLE.certificate), pem(GOOD.certificate))
    return f"{which}: accepted, {found.unreadable} unreadable, chain good", (which,)


def _encoded(authority: Authority) -> bytes:
    return authority.certificate.public_bytes(Encoding.DER)


def _bent(octets: bytes, issuer: Authority, rng: Random) -> bytes:
    """The signed part with one to three elements bent, under a good signature; sometimes the whole, as it is."""
    if rng.random() < 0.05:
        return mutate_der.mutate(octets, rng)
    signed = der.first(der.only(octets, 0x30)).encoded
    bend = mutate_der.mutate if rng.random() < 0.15 else mutate_der.mutate_value
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        signed = bend(signed, rng)
    signature = issuer.key.sign(signed, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
    return der.encode(0x30, signed + _SHA256 + der.encode(0x03, b"\0" + signature))


def _judge(seed: str, anchor: bytes, issuer: bytes, leaf: bytes, crls: bytes = b"") -> str:
    """What openssl says of a chain that the program believes, if it differs for a reason in `LISTED`; or it raises."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for name, data in (("anchor", anchor), ("issuer", issuer), ("leaf", leaf), ("crls", crls)):
            (folder / name).write_bytes(data)
        checked = ("-crl_check_all", "-CRLfile", folder / "crls") if crls else ()
        files = ("-CAfile", folder / "anchor", "-untrusted", folder / "issuer", folder / "leaf")
        done = _openssl("verify", "-partial_chain", "-attime", str(int(NOW)), *checked, *files)
    if done.returncode == 0:
        return ""
    found = re.search(rb"error (\d+) at", done.stderr)
    number = int(found[1]) if found else -1
    if number not in LISTED or not any(map(LISTED[number][1], _parsed(anchor + issuer + leaf))):
        raise Disagreement(f"{seed}: openssl says {done.stderr.decode()} of {anchor!r} {issuer!r} {leaf!r} {crls!r}")
    return f", openssl {number}"


def _parsed(body: bytes) -> list[x509.Certificate]:
    with contextlib.suppress(CertificateError):
        return [each.parsed for each in parse_certificates(body)]
    return []


def _openssl(*arguments: str | Path, data: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(["openssl", *arguments], input=data, capture_output=True, check=False)
