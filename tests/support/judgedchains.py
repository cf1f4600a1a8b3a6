"""Certificate chains, good ones and such that depart from a profile in one respect: what we, openssl and secsipid
make of them.

The leaves certify one key. Rows on which not all three agree stand in docs/interoperability.md too.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sbc_filter.lab.certificate_maker import Authority, Laboratory, Maker, pem
from sbc_filter.pki import tnauthlist
from sbc_filter.pki.tnauthlist import TnAuthList, encode_tnauthlist
from support.certificates import unknown

DAY = 86400.0
GOOD = 0  # of openssl
ACCEPTS = 1  # of secsipid
_USAGES = (
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
    "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
)  # fmt: skip
_SPC = encode_tnauthlist(TnAuthList(("1234",)))


class World:
    """A laboratory that begins an hour before `now` (POSIX seconds), and makes certificates that it should not."""

    def __init__(self, now: float) -> None:
        self.now = now
        self._maker = Maker(now)
        self.laboratory: Laboratory = self._maker.laboratory()
        self.key = self.laboratory.leaf.key

    def leaf(self, issuer: Authority | None = None, **options: Any) -> Authority:
        """A leaf for the key of the laboratory's, by default a good one."""
        return self.make("SHAKEN 1234", issuer or self.laboratory.issuing, **{"key": self.key, **options})

    def authority(self, parent: Authority | None = None, **options: Any) -> Authority:
        """A CA below the root, by default a good one."""
        return self.make("Authority", parent or self.laboratory.root, **{"ca": True, "listed": None, **options})

    def make(
        self,
        name: str,
        issuer: Authority,
        *,
        key: ec.EllipticCurvePrivateKey | None = None,
        signer: ec.EllipticCurvePrivateKey | None = None,
        days: tuple[float, float] = (-0.04, 30),
        ca: bool = False,
        limit: int | None = None,
        usage: str | None = None,
        listed: bytes | None = _SPC,
        digest: Callable[[], hashes.SHA256 | hashes.SHA384] = hashes.SHA256,
        extensions: tuple[tuple[x509.ExtensionType, bool], ...] = (),
    ) -> Authority:
        key = key or self._maker.key()
        usage = usage or ("key_cert_sign" if ca else "digital_signature")
        begin, end = (datetime.fromtimestamp(int(self.now + day * DAY), UTC) for day in days)
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(issuer.certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca, limit), True)
            .add_extension(x509.KeyUsage(**{each: each == usage for each in _USAGES}), True)
        )
        if listed is not None:
            builder = builder.add_extension(unknown(tnauthlist.OID, listed), False)
        for value, critical in extensions:
            builder = builder.add_extension(value, critical)
        return Authority(builder.sign(signer or issuer.key, digest()), key)


class Row(NamedTuple):
    """`ours` is good or untrusted.detail, `openssl` the number of its error (0: none, -1: not read), `secsipid` what
    it returns when it is told to look at certificates (`CertVerify=5`)."""

    chain: str
    make: Callable[[World], bytes]
    ours: str
    openssl: int
    secsipid: int
    section: str


def _pem(*chain: Authority) -> bytes:
    return b"".join(pem(each.certificate) for each in chain)


def _below(by: World, authority: Authority, **options: Any) -> bytes:
    """A good leaf of this authority, and the authority."""
    return _pem(by.leaf(authority, **options), authority)


def _issued(by: World, **options: Any) -> bytes:
    """A leaf of the issuing CA, and the CA."""
    return _pem(by.leaf(**options), by.laboratory.issuing)


def _too_long(by: World) -> bytes:
    issuing = by.laboratory.issuing  # its path length is 0
    below = by.authority(issuing)
    return _pem(by.leaf(below), below, issuing)


def _namesake(by: World) -> bytes:
    """Of a stranger who names himself as our root does."""
    other = World(by.now).laboratory
    return _pem(by.leaf(other.issuing), other.issuing)


def _wrong_key_identifier(by: World) -> bytes:
    identifier = x509.AuthorityKeyIdentifier(b"12345678901234567890", None, None)
    return _issued(by, extensions=((identifier, False),))


def _key_only(by: World) -> bytes:
    return by.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


_TWO = encode_tnauthlist(TnAuthList(("1234", "5678")))
_SERVER = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
_NAMES = x509.NameConstraints(None, [x509.DNSName("example.org")])
_CRITICAL = (unknown(tnauthlist.OID, _SPC), True)
_UNKNOWN = (unknown("1.2.3.4", b"0"), True)

ROWS = (
    Row("good", _issued, "good", GOOD, ACCEPTS, "RFC 5280 §6.1"),
    Row(
        "its root is sent too", lambda by: _issued(by) + pem(by.laboratory.root.certificate), "good", GOOD, ACCEPTS, ""
    ),
    Row(
        "the issuer is sent first", lambda by: _pem(by.laboratory.issuing, by.leaf()), "good", GOOD, -251, "RFC 8226 §5"
    ),
    Row("leaf is over", lambda by: _issued(by, days=(-2, -1)), "untrusted.expired", 10, -103, "RFC 5280 §6.1.3"),
    Row("leaf of tomorrow", lambda by: _issued(by, days=(1, 2)), "untrusted.not-yet-valid", 9, -104, "RFC 5280 §6.1.3"),
    Row(
        "issuer is over",
        lambda by: _below(by, by.authority(days=(-2, -1))),
        *("untrusted.expired", 10, -101, "RFC 5280 §6.1.3"),
    ),
    Row("issuer is missing", lambda by: _pem(by.leaf()), "untrusted.untrusted-chain", 20, -101, "RFC 5280 §6.1"),
    Row("another CA of the same name", _namesake, "untrusted.untrusted-chain", 20, -101, "RFC 5280 §6.1.3"),
    Row(
        "signed by the leaf",
        lambda by: _issued(by, signer=by.key),
        "untrusted.untrusted-chain",
        7,
        -101,
        "RFC 5280 §6.1.3",
    ),
    Row("longer than an issuer allows", _too_long, "untrusted.untrusted-chain", 25, -101, "RFC 5280 §6.1.4"),
    Row(
        "issuer is no CA",
        lambda by: _below(by, by.authority(ca=False)),
        *("untrusted.certificate-profile", 79, -101, "RFC 5280 §6.1.4"),
    ),
    Row(
        "issuer may not sign certificates",
        lambda by: _below(by, by.authority(usage="crl_sign")),
        *("untrusted.certificate-profile", 79, -101, "RFC 5280 §6.1.4"),
    ),
    Row(
        "leaf is a CA",
        lambda by: _issued(by, ca=True),
        "untrusted.certificate-profile",
        GOOD,
        ACCEPTS,
        "ATIS-1000080 §6.4.1",
    ),
    Row(
        "leaf may not sign",
        lambda by: _issued(by, usage="key_agreement"),
        *("untrusted.certificate-profile", GOOD, ACCEPTS, "RFC 5280 §4.2.1.3"),
    ),
    Row("no TNAuthList", lambda by: _issued(by, listed=None), "untrusted.tnauthlist", GOOD, ACCEPTS, "RFC 8226 §9"),
    Row(
        "TNAuthList cannot be read",
        lambda by: _issued(by, listed=b"0"),
        "untrusted.tnauthlist",
        GOOD,
        ACCEPTS,
        "RFC 8226 §9",
    ),
    Row("two SPCs", lambda by: _issued(by, listed=_TWO), "untrusted.tnauthlist", GOOD, ACCEPTS, "ATIS-1000080 §6.4.1"),
    Row(
        "TNAuthList is critical",
        lambda by: _issued(by, listed=None, extensions=(_CRITICAL,)),
        *("good", 34, -101, "RFC 5280 §4.2"),
    ),
    Row(
        "unknown critical extension",
        lambda by: _issued(by, extensions=(_UNKNOWN,)),
        *("untrusted.critical-extension", 34, -101, "RFC 5280 §4.2"),
    ),
    Row(
        "extended key usage is critical",
        lambda by: _issued(by, extensions=((_SERVER, True),)),
        *("untrusted.critical-extension", GOOD, ACCEPTS, "RFC 5280 §4.2"),
    ),
    Row(
        "issuer has name constraints",
        lambda by: _below(by, by.authority(extensions=((_NAMES, True),))),
        *("untrusted.critical-extension", GOOD, ACCEPTS, "RFC 5280 §4.2"),
    ),
    Row("key identifier of another issuer", _wrong_key_identifier, "good", 20, ACCEPTS, "RFC 5280 §4.2.1.1"),
    Row(
        "signed with SHA-384",
        lambda by: _issued(by, digest=hashes.SHA384),
        *("good", GOOD, ACCEPTS, "ATIS-1000080 §6.4.1"),
    ),
    Row(
        "issuer on the curve P-384",
        lambda by: _below(by, by.authority(key=ec.generate_private_key(ec.SECP384R1()))),
        *("good", GOOD, ACCEPTS, "ATIS-1000080 §6.4.1"),
    ),
    Row("a key without a certificate", _key_only, "untrusted.certificate-unreadable", -1, -102, "RFC 8226 §5"),
)
