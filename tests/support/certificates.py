"""Certificates that depart from the SHAKEN profile in one respect each; the key is the laboratory leaf's."""

from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from sbc_filter.lab.certificate_maker import Authority, pem
from sbc_filter.pki import der, tnauthlist
from sbc_filter.pki.tnauthlist import TnAuthList, encode_tnauthlist
from support.calls import LAB, NOW

SPC_1234 = encode_tnauthlist(TnAuthList(("1234",)))
_USAGES = (
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
    "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
)  # fmt: skip


def unknown(oid: str, value: bytes) -> x509.UnrecognizedExtension:
    """An extension by its octets."""
    return x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), value)


def numbers(*ranges: tuple[str, int], ones: tuple[str, ...] = ()) -> bytes:
    """A TNAuthList of ranges and single numbers."""
    return encode_tnauthlist(TnAuthList((), ranges, frozenset(ones)))


def constraints(
    include: tuple[str, ...] = (),
    permitted: tuple[tuple[str, tuple[str, ...]], ...] = (),
    exclude: tuple[str, ...] = (),
) -> bytes:
    """The octets of (Enhanced)JWTClaimConstraints, explicitly tagged (RFC 8226 §8, RFC 9118 §4)."""

    def strings(tag: int, values: tuple[str, ...]) -> bytes:
        return der.encode(0x30, b"".join(der.encode(tag, value.encode()) for value in values))

    members = b""
    if include:
        members += der.encode(0xA0, strings(0x16, include))
    if permitted:
        claims = [
            der.encode(0x30, der.encode(0x16, name.encode()) + strings(0x0C, values)) for name, values in permitted
        ]
        members += der.encode(0xA1, der.encode(0x30, b"".join(claims)))
    if exclude:
        members += der.encode(0xA2, strings(0x16, exclude))
    return der.encode(0x30, members)


def chain(
    key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey | None = None,
    *,
    issuer: Authority = LAB.issuing,
    begin: float = NOW - 3600,
    end: float = NOW + 86400,
    listed: bytes | None = SPC_1234,
    ca: bool = False,
    usage: str | None = "digital_signature",
    hash_algorithm: hashes.SHA256 | hashes.SHA384 | None = None,
    extensions: tuple[tuple[x509.ExtensionType, bool], ...] = (),
) -> bytes:
    """PEM of a leaf, by default a good one, and of its issuer; `listed` is the TNAuthList, None for none."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "SHAKEN 1234")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer.certificate.subject)
        .public_key(key or LAB.leaf.key.public_key())
        .serial_number(4711)
        .not_valid_before(datetime.fromtimestamp(begin, UTC))
        .not_valid_after(datetime.fromtimestamp(end, UTC))
        .add_extension(x509.BasicConstraints(ca, None), True)
    )
    if usage is not None:
        builder = builder.add_extension(x509.KeyUsage(**{each: each == usage for each in _USAGES}), True)
    if listed is not None:
        builder = builder.add_extension(unknown(tnauthlist.OID, listed), False)
    for value, critical in extensions:
        builder = builder.add_extension(value, critical)
    return pem(builder.sign(issuer.key, hash_algorithm or hashes.SHA256())) + pem(issuer.certificate)
