"""Chains, CRLs and what becomes of them: each departs from the profile of SHAKEN in exactly what is said."""

import base64
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from sbc_filter.errors import CertificateError
from sbc_filter.lab.certificate_maker import Authority, Maker, pem
from sbc_filter.outcomes import Detail, Outcome
from sbc_filter.pki import der, tnauthlist
from sbc_filter.pki.certificate import SigningCertificate
from sbc_filter.pki.crl import RevocationList
from sbc_filter.pki.tnauthlist import TnAuthList, encode_tnauthlist
from sbc_filter.pki.trust_store import TrustStore

NOW = 1_800_000_000.0
BEGIN = datetime.fromtimestamp(NOW - 3600, UTC)
MAKER = Maker(NOW, "trust")
LAB = MAKER.laboratory()
ROOT, ISSUING, LEAF = LAB.root, LAB.issuing, LAB.leaf
LEAF_OCTETS = LEAF.certificate.public_bytes(Encoding.DER)
OTHER = Maker(NOW, "other").laboratory()  # the same names, other keys
DAY = 86400.0
USAGES = (
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
    "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
)  # fmt: skip
SPC = TnAuthList(("1234",))


def name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def make(
    parent: Any = ROOT,
    common: str = "made",
    *,
    ca: bool | None = False,
    limit: int | None = None,
    usage: str | None = "",
    numbers: bytes | None = b"spc",
    key: Any = None,
    signer: Any = None,
    digest: Any = hashes.SHA256,
    issuer: x509.Name | None = None,
    days: tuple[float, float] = (0, 100),
    extensions: Sequence[tuple[x509.ExtensionType, bool]] = (),
    serial: int = 0,
) -> Any:
    """A certificate that departs from the profile in exactly what is said; `parent` None signs itself."""
    key = key or MAKER.key()
    subject = name(common)
    above = issuer or (parent.certificate.subject if parent else subject)
    begin, end = (BEGIN + timedelta(days=day) for day in days)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(above).public_key(key.public_key())
    builder = builder.serial_number(serial or x509.random_serial_number()).not_valid_before(begin).not_valid_after(end)
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca, limit if ca else None), True)
    if usage is not None:
        allowed = usage.split() or (["key_cert_sign"] if ca else ["digital_signature"])
        builder = builder.add_extension(x509.KeyUsage(**{each: each in allowed for each in USAGES}), True)
    if numbers is not None and not ca:
        value = encode_tnauthlist(SPC) if numbers == b"spc" else numbers
        builder = builder.add_extension(unknown(tnauthlist.OID, value), False)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    signer = signer or (parent.key if parent else key)
    plain = isinstance(signer, ed25519.Ed25519PrivateKey)
    return Authority(builder.sign(signer, None if plain else digest()), key)


def unknown(oid: str, value: bytes) -> x509.UnrecognizedExtension:
    return x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), value)


def judged(*chain: Any, **how: Any) -> SigningCertificate | Detail | None:
    """What becomes of a chain, as it comes out of a file; the keywords are those of `judged_body`."""
    return judged_body(b"".join(pem(each.certificate) for each in chain), **how)


def judged_body(
    body: bytes,
    *,
    anchors: Sequence[Any] = (ROOT,),
    at: float = NOW,
    crls: Sequence[Any] = (),
    policy: str = "soft",
    tolerate: str = "",
    strict: str = "",
    policies: str = "",
    crl_signers: Sequence[Any] = (),
) -> SigningCertificate | Detail | None:
    """What becomes of a body; a CRL may be given by its octets."""
    store = TrustStore(
        [anchor.certificate for anchor in anchors],
        [RevocationList.parse(crl) if isinstance(crl, bytes) else RevocationList.of(crl) for crl in crls],
        policy,
        tolerate=frozenset(tolerate.split()),
        strict=frozenset(strict.split()),
        policies=frozenset(policies.split()),
        crl_signers=[signer.certificate for signer in crl_signers],
    )
    try:
        return store.read(body, at)
    except CertificateError as error:
        return error.detail if error.outcome is Outcome.UNTRUSTED else None


def trusted(*chain: Any, **how: Any) -> bool:
    return isinstance(judged(*chain, **how), SigningCertificate)


def crl(
    signer: Any,
    *entries: tuple[int, x509.Name | None],
    issuer: x509.Name | None = None,
    indirect: bool = True,
    key: Any = None,
    days: tuple[float, float] = (0, 100),
    only: str = "",
    extensions: Sequence[tuple[x509.ExtensionType, bool]] = (),
) -> Any:
    begin, end = (BEGIN + timedelta(days=day) for day in days)
    builder = x509.CertificateRevocationListBuilder().issuer_name(issuer or signer.certificate.subject)
    builder = builder.last_update(begin).next_update(end)
    if indirect:
        builder = builder.add_extension(
            x509.IssuingDistributionPoint(
                None,
                None,
                only == "user",
                only == "ca",
                frozenset({x509.ReasonFlags.key_compromise}) if only == "reasons" else None,
                True,
                only == "attribute",
            ),
            True,
        )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    for serial, of in entries:
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(begin)
        if of is not None:
            entry = entry.add_extension(x509.CertificateIssuer([x509.DirectoryName(of)]), True)
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(key or signer.key, hashes.SHA256())


def entry(authority: Any) -> tuple[int, x509.Name]:
    return authority.certificate.serial_number, authority.certificate.issuer


_PLAIN = bytes.fromhex("300a 0608 2a8648ce3d040302")  # ecdsa-with-SHA256, as RFC 5758 §3.2 has it ...
_NULL = bytes.fromhex("300c 0608 2a8648ce3d040302 0500")  # ... and with the NULL of Java before 16


def with_null(document: Any, key: ec.EllipticCurvePrivateKey, inside: bytes = _NULL, outside: bytes = _NULL) -> bytes:
    """DER of a certificate or CRL with other algorithm identifiers, signed anew with its issuer's key."""
    signed = next(der.elements(der.only(document.public_bytes(Encoding.DER), 0x30)))
    parts = (inside if part.encoded == _PLAIN else part.encoded for part in der.elements(signed.content))
    octets = der.encode(0x30, b"".join(parts))
    signature = key.sign(octets, ec.ECDSA(hashes.SHA256()))
    return der.encode(0x30, octets + outside + der.encode(0x03, b"\0" + signature))


_SHA256 = der.encode(0x30, bytes.fromhex("06082a8648ce3d040302"))
SPKI = 6  # the subject's key, by its place in the signed part of a version 3 certificate
P256_NAME = bytes.fromhex("06082a8648ce3d030107")
P256_PARAMETERS = bytes.fromhex(  # ECParameters of P-256 (SEC 1 §C.2), with the uncompressed generator
    "3081e0020101302c06072a8648ce3d0101022100ffffffff00000001000000000000000000000000ffffffffffffffffffffffff30440420"
    "ffffffff00000001000000000000000000000000fffffffffffffffffffffffc04205ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53"
    "b0f63bce3c3e27d2604b0441046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c2964fe342e2fe1a7f9b8ee7eb"
    "4a7c0f9e162bce33576b315ececbb6406837bf51f5022100ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"
    "020101"
)


def resigned(document: Any, key: ec.EllipticCurvePrivateKey, old: bytes, new: bytes) -> bytes:
    """DER of a certificate whose key has `new` in place of `old` as its parameters, signed again by its issuer."""
    parts = [each.encoded for each in der.elements(der.only(document.tbs_certificate_bytes, 0x30))]
    algorithm, point = der.elements(der.only(parts[SPKI], 0x30))
    assert algorithm.content.endswith(old)
    changed = der.encode(0x30, algorithm.content.removesuffix(old) + new)
    parts[SPKI] = der.encode(0x30, changed + point.encoded)
    signed = der.encode(0x30, b"".join(parts))
    signature = key.sign(signed, ec.ECDSA(hashes.SHA256()))
    return der.encode(0x30, signed + _SHA256 + der.encode(0x03, b"\0" + signature))


def with_bits(octets: bytes, unused: int, tag: int = 0x03) -> bytes:
    """DER of a certificate or CRL whose signature says that so many bits of its last octet are not used."""
    signed, algorithm, signature = der.elements(der.only(octets, 0x30))
    content = bytes((unused,)) + signature.content[1:]
    return der.encode(0x30, signed.encoded + algorithm.encoded + der.encode(tag, content))


def as_pem(octets: bytes, label: str = "CERTIFICATE") -> bytes:
    """PEM of octets that the library would not read."""
    return f"-----BEGIN {label}-----\n".encode() + base64.encodebytes(octets) + f"-----END {label}-----\n".encode()
