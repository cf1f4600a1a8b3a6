"""Makes a laboratory's certificates: root, issuing CA, SHAKEN leaf with TNAuthList, keys, indirect CRL.

They have the same profile as real ones (STANDARDS S-080 to S-083). Only the laboratory trusts them.
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from sbc_filter.lab import SPC
from sbc_filter.lab import X5U as X5U  # for those who use what is made here
from sbc_filter.pki import tnauthlist
from sbc_filter.pki.tnauthlist import TnAuthList, encode_tnauthlist

CRL_URL = "https://certificates.example.org/crl.pem"
_POLICY = x509.ObjectIdentifier("2.16.840.1.114569.1.1.3")  # the SHAKEN certificate policy
_USAGES = (
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
    "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Authority:
    """A CA certificate with its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class Laboratory:
    """The certificates, keys and the CRL that a laboratory needs to sign and to verify."""

    root: Authority
    issuing: Authority
    leaf: Authority
    crl: x509.CertificateRevocationList

    @property
    def chain(self) -> bytes:
        """Leaf and issuing CA in PEM, as a certificate repository serves them (S-090)."""
        return pem(self.leaf.certificate) + pem(self.issuing.certificate)


class Maker:
    """Makes keys and certificates that are valid from an hour before `now` (POSIX seconds).

    With a `seed`, everything is derived from it: tests get the same files every time. Without one, keys are random.
    """

    def __init__(self, now: float, seed: str | None = None) -> None:
        self._begin = datetime.fromtimestamp(int(now), UTC) - timedelta(hours=1)
        self._seed = seed
        self._made = 0

    def key(self) -> ec.EllipticCurvePrivateKey:
        """A key on P-256."""
        if self._seed is None:
            return ec.generate_private_key(ec.SECP256R1())
        return ec.derive_private_key(self._number("key", 31) + 1, ec.SECP256R1())

    def root(self, name: str = "Laboratory Root", days: int = 3650) -> Authority:
        """A self-signed CA."""
        key = self.key()
        subject = _name(name)
        builder = self._builder(subject, subject, key.public_key(), days)
        builder = builder.add_extension(x509.BasicConstraints(True, None), True).add_extension(
            _usage("key_cert_sign", "crl_sign"), True
        )
        return Authority(self._sign(builder, key), key)

    def issuing(self, parent: Authority, name: str = "Laboratory Issuing CA", days: int = 1825) -> Authority:
        """A CA below another."""
        key = self.key()
        builder = self._builder(_name(name), parent.certificate.subject, key.public_key(), days)
        builder = builder.add_extension(x509.BasicConstraints(True, 0), True).add_extension(
            _usage("key_cert_sign"), True
        )
        return Authority(self._sign(_issued(builder, parent), parent.key), key)

    def leaf(
        self,
        parent: Authority,
        numbers: TnAuthList | None = None,
        days: int = 365,
        extensions: tuple[tuple[x509.ExtensionType, bool], ...] = (),
        key: ec.EllipticCurvePrivateKey | None = None,
    ) -> Authority:
        """A certificate that signs calls; `extensions` are further (value, critical) pairs."""
        key = key or self.key()
        numbers = numbers or TnAuthList((SPC,))
        builder = self._builder(
            _name(f"SHAKEN {''.join(numbers.spcs[:1])}".strip()), parent.certificate.subject, key.public_key(), days
        )
        builder = builder.add_extension(x509.BasicConstraints(False, None), True).add_extension(
            _usage("digital_signature"), True
        )
        listed = x509.UnrecognizedExtension(x509.ObjectIdentifier(tnauthlist.OID), encode_tnauthlist(numbers))
        builder = _issued(builder.add_extension(listed, False), parent)
        for value, critical in extensions:
            builder = builder.add_extension(value, critical)
        return Authority(self._sign(builder, parent.key), key)

    def crl(
        self, issuer: Authority, revoked: tuple[x509.Certificate, ...] = (), days: int = 365
    ) -> x509.CertificateRevocationList:
        """An indirect CRL: one list for the certificates of all issuers (S-092)."""
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(issuer.certificate.subject)
            .last_update(self._begin)
            .next_update(self._begin + timedelta(days=days))
            .add_extension(x509.CRLNumber(1), False)
            .add_extension(_indirect(), True)
        )
        for certificate in revoked:
            entry = (
                x509.RevokedCertificateBuilder()
                .serial_number(certificate.serial_number)
                .revocation_date(self._begin)
                .add_extension(x509.CertificateIssuer([x509.DirectoryName(certificate.issuer)]), True)
            )
            builder = builder.add_revoked_certificate(entry.build())
        return builder.sign(issuer.key, hashes.SHA256(), ecdsa_deterministic=True)

    def laboratory(self, spc: str = SPC) -> Laboratory:
        """Root, issuing CA, leaf and an empty CRL."""
        root = self.root()
        issuing = self.issuing(root)
        return Laboratory(root, issuing, self.leaf(issuing, TnAuthList((spc,))), self.crl(root))

    def _builder(
        self, subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: int
    ) -> x509.CertificateBuilder:
        serial = x509.random_serial_number() if self._seed is None else self._number("serial", 18) + 1
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key)
            .serial_number(serial)
            .not_valid_before(self._begin)
            .not_valid_after(self._begin + timedelta(days=days))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), False)
        )

    def _sign(self, builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
        return builder.sign(key, hashes.SHA256(), ecdsa_deterministic=True)

    def _number(self, kind: str, size: int) -> int:
        self._made += 1
        digest = hashlib.sha256(f"{self._seed} {kind} {self._made}".encode()).digest()
        return int.from_bytes(digest[:size], "big")


def pem(certificate: x509.Certificate | x509.CertificateRevocationList) -> bytes:
    """PEM of a certificate or a CRL."""
    return certificate.public_bytes(Encoding.PEM)


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """PEM of a private key, not encrypted: the file's mode protects it."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _issued(builder: x509.CertificateBuilder, parent: Authority) -> x509.CertificateBuilder:
    """Add the extensions of every certificate but a root: the issuer's key, the policy, the CRL's address (S-082)."""
    identifier = parent.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    point = x509.DistributionPoint(
        [x509.UniformResourceIdentifier(CRL_URL)], None, None, [x509.DirectoryName(_name("Laboratory Root"))]
    )
    return (
        builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), False)
        .add_extension(x509.CertificatePolicies([x509.PolicyInformation(_POLICY, None)]), False)
        .add_extension(x509.CRLDistributionPoints([point]), False)
    )


def _name(common: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "US"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Laboratory"),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )


def _usage(*names: str) -> x509.KeyUsage:
    return x509.KeyUsage(**{name: name in names for name in _USAGES})


def _indirect() -> x509.IssuingDistributionPoint:
    return x509.IssuingDistributionPoint(
        full_name=[x509.UniformResourceIdentifier(CRL_URL)],
        relative_name=None,
        only_contains_user_certs=False,
        only_contains_ca_certs=False,
        only_some_reasons=None,
        indirect_crl=True,
        only_contains_attribute_certs=False,
    )
