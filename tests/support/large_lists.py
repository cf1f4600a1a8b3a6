"""Indirect CRLs with very many entries, made octet by octet: the library would take minutes."""

import hashlib
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from sbc_filter.pki import der
from support.chains import NOW

SEQUENCE, OCTETS, EXTENSIONS = 0x30, 0x04, 0xA0
ALGORITHM = bytes.fromhex("300a06082a8648ce3d040302")  # ecdsa-with-SHA256
INDIRECT = bytes.fromhex("300f 0603551d1c 0101ff 0405 3003 8401ff")  # issuingDistributionPoint


def utc_time(at: float) -> bytes:
    return der.encode(0x17, datetime.fromtimestamp(at, UTC).strftime("%y%m%d%H%M%SZ").encode())


def extension(oid: str, value: bytes, *, critical: bool = False) -> bytes:
    """An extension by the last octet of its OID below 2.5.29."""
    flag = bytes.fromhex("0101ff") if critical else b""
    return der.encode(SEQUENCE, bytes.fromhex(f"0603551d{oid}") + flag + der.encode(OCTETS, value))


def certificate_issuer(*names: x509.Name) -> bytes:
    inside = b"".join(der.encode(0xA4, name.public_bytes()) for name in names)
    return extension("1d", der.encode(SEQUENCE, inside), critical=True)


def entry(serial: bytes, *extensions: bytes, date: bytes = utc_time(NOW - 86400)) -> bytes:
    inside = der.encode(SEQUENCE, b"".join(extensions)) if extensions else b""
    return der.encode(SEQUENCE, der.encode(0x02, serial) + date + inside)


def signed(
    signer: Any, entries: Iterable[bytes], *, number: int = 1, begin: float = NOW - 3600, idp: bytes = INDIRECT
) -> bytes:
    """DER of a list with these entries, valid for ten days."""
    times = utc_time(begin) + utc_time(begin + 10 * 86400)
    counted = extension("14", der.encode(0x02, number.to_bytes(4, "big").lstrip(b"\0")))
    parts = b"\x02\x01\x01" + ALGORITHM + signer.certificate.subject.public_bytes() + times
    parts += der.encode(SEQUENCE, b"".join(entries))
    octets = der.encode(SEQUENCE, parts + der.encode(EXTENSIONS, der.encode(SEQUENCE, idp + counted)))
    signature = signer.key.sign(octets, ec.ECDSA(hashes.SHA256()))
    return der.encode(SEQUENCE, octets + ALGORITHM + der.encode(0x03, b"\0" + signature))


def carrier(at: int) -> x509.Name:
    parts = ((x509.NameOID.COUNTRY_NAME, "US"), (x509.NameOID.ORGANIZATION_NAME, f"Carrier {at}"))
    return x509.Name([x509.NameAttribute(*part) for part in (*parts, (x509.NameOID.COMMON_NAME, f"SHAKEN CA {at}"))])


def many(count: int, issuers: int = 5) -> Iterator[bytes]:
    """Entries that each name their issuer."""
    extensions = [certificate_issuer(carrier(at)) for at in range(issuers)]
    for at in range(count):
        yield entry(b"\x01" + hashlib.sha256(b"%d" % at).digest()[:16], extensions[at % issuers])
