"""Certificate files of up to 64 KiB that may cost much, as the peer's own server can send them for its x5u."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from sbc_filter.lab.certificate_maker import pem
from sbc_filter.pki import der
from sbc_filter.pki.certificate import MAX_BODY, MAX_CERTIFICATES
from sbc_filter.pki.claim_constraints import JWT_CLAIM_CONSTRAINTS
from sbc_filter.pki.tnauthlist import TnAuthList, encode_tnauthlist
from support.calls import CALLER, LAB
from support.chains import MAKER, ROOT, make, name, unknown

KEY = LAB.leaf.key
"""The key of all leaves: tokens of `support.calls` have valid signatures by it."""
_MOST = MAX_CERTIFICATES - 1


class Chain(NamedTuple):
    name: str
    body: bytes


def chains() -> Iterator[Chain]:
    """All of them that fit into a file."""
    for family in (_candidates, _meshes, _large):
        for title, chain in family():
            body = b"".join(pem(each.certificate) for each in chain)
            if len(body) <= MAX_BODY:
                yield Chain(title, body)


def _candidates() -> Iterator[tuple[str, Sequence[Any]]]:
    """Many certificates of the issuer's name; the true one comes last."""
    curves: tuple[ec.EllipticCurve, ...] = (ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1())
    for curve in curves:
        for count in (3, 5, _MOST):
            issuers = [make(ROOT, "CA", ca=True, key=ec.generate_private_key(curve)) for _ in range(count)]
            yield f"{count} issuers of one name on {curve.name}", [make(issuers[-1], key=KEY), *issuers]
    moduli = [make(ROOT, "CA", ca=True, key=rsa.generate_private_key(65537, 4096)) for _ in range(5)]
    yield "5 issuers of one name with RSA-4096", [make(moduli[-1], key=KEY), *moduli]
    deep = [ROOT]
    for number in range(4):
        deep.insert(0, make(deep[0], f"CA {number}", ca=True, key=ec.generate_private_key(ec.SECP521R1())))
    yield "the longest path, all on secp521r1", [make(deep[0], key=KEY), *deep]


def _meshes() -> Iterator[tuple[str, Sequence[Any]]]:
    """Certificates that could all be above each other, or are cross-signed at each height."""
    key = MAKER.key()
    start = make(None, "Loop", ca=True, key=key)
    yield "a mesh of one key", [make(start, key=KEY), *(make(start, "Loop", ca=True, key=key) for _ in range(_MOST))]
    other = [make(start, "Loop", ca=True) for _ in range(_MOST)]
    yield "a mesh of many keys", [make(other[0], key=KEY), *other]
    for width in (2, 3, 4):
        above, chain = [ROOT], []
        for height in range(_MOST // width):
            key = MAKER.key()
            above = [make(above[number % len(above)], f"CA {height}", ca=True, key=key) for number in range(width)]
            chain += above
        yield f"{width} cross-signed certificates at each height", [make(above[0], key=KEY), *chain]


def _large() -> Iterator[tuple[str, Sequence[Any]]]:
    """Certificates with one part in excess."""
    for count in (100, 300, 900):
        names = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{number}") for number in range(count)])
        yield f"an issuer's name of {count} parts", [make(ROOT, key=KEY, issuer=names)]
        yield f"{_MOST} issuers' names of {count} parts", [make(ROOT, key=KEY), *[_named(names)] * 1]
        numbers = frozenset(str(12155550000 + number) for number in range(count * 3)) | {CALLER}
        yield f"{count * 3} numbers", [_leaf(TnAuthList((), (), numbers))]
        ranges = tuple((str(12155550000 + 7 * number), 2) for number in range(count * 3))
        yield f"{count * 3} ranges", [_leaf(TnAuthList((), ranges, frozenset()))]
        yield f"{count * 3} ranges with the caller last", [_leaf(TnAuthList((), (*ranges, (CALLER, 2)), frozenset()))]
        listed = x509.SubjectAlternativeName([x509.DNSName(f"{number}.h") for number in range(count)])
        yield f"{count} alternative names", [make(ROOT, key=KEY, extensions=[(listed, False)])]
        odd = [(unknown(f"1.2.3.{number}", b"\5\0"), False) for number in range(count)]
        yield f"{count} extensions", [make(ROOT, key=KEY, extensions=odd)]
        policies = x509.CertificatePolicies(
            [x509.PolicyInformation(x509.ObjectIdentifier(f"1.2.3.{number}"), None) for number in range(count)]
        )
        yield f"{count} policies", [make(ROOT, key=KEY, extensions=[(policies, False)])]
        points = x509.CRLDistributionPoints(
            [
                x509.DistributionPoint(
                    [x509.UniformResourceIdentifier("http://h")], None, None, [x509.DirectoryName(name("a"))]
                )
            ]
            * count
        )
        yield f"{count} places of CRLs", [make(ROOT, key=KEY, extensions=[(points, False)])]
        yield f"{count} constraints", [_constrained([f"claim{number}" for number in range(count)])]
    small = [(unknown(f"1.2.3.{number}", b"\5\0"), False) for number in range(150)]
    issuers = [make(ROOT, f"CA {number}", ca=True, extensions=small) for number in range(_MOST)]
    yield f"{_MOST} certificates of 150 extensions", [make(issuers[-1], key=KEY, extensions=small), *issuers]


def _named(names: x509.Name) -> Any:
    return make(ROOT, ca=True, issuer=names)


def _leaf(numbers: TnAuthList) -> Any:
    return make(ROOT, key=KEY, numbers=encode_tnauthlist(numbers))


def _constrained(names: Sequence[str]) -> Any:
    """A leaf whose tokens may have any value of these claims but that which they have."""
    values = b"".join(
        der.encode(0x30, der.encode(0x16, each.encode()) + der.encode(0x30, der.encode(0x0C, b"x"))) for each in names
    )
    octets = der.encode(0x30, der.encode(0xA1, der.encode(0x30, values)))
    return make(ROOT, key=KEY, extensions=[(unknown(JWT_CLAIM_CONSTRAINTS, octets), False)])
