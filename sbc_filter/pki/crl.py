"""Certificate revocation lists, including the indirect CRL of the STI-PA (RFC 5280 §5; S-092)."""

import hashlib
from binascii import a2b_base64
from collections.abc import Callable, Iterable, Sequence
from struct import Struct
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import CRLEntryExtensionOID, ExtensionOID

from sbc_filter.errors import CertificateError
from sbc_filter.outcomes import Detail
from sbc_filter.pki import der
from sbc_filter.pki.certificate import PARSE_ERRORS, Certificate, NameKey, name_key
from sbc_filter.pki.crl_scope import CrlScope
from sbc_filter.pki.revocation_table import Octets, RevocationTable, name_digest, read_table, row_of
from sbc_filter.pki.signed_der import Digest, digest_name, is_signed_by, open_signed

CLOCKS = 300.0  # seconds by which the clock of an issuer may be ahead of ours

_MAX_HEAD = 64 << 10  # octets of a list without its entries; the library makes objects of its names before any check
_BEGIN, _END = b"-----BEGIN X509 CRL-----", b"-----END X509 CRL-----"
_SEQUENCE, _EXTENSIONS, _TIMES = 0x30, 0xA0, (0x17, 0x18)
_UNDERSTOOD = frozenset(
    {
        ExtensionOID.ISSUING_DISTRIBUTION_POINT,
        ExtensionOID.CRL_NUMBER,
        ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
        CRLEntryExtensionOID.CERTIFICATE_ISSUER,
        CRLEntryExtensionOID.CRL_REASON,
        CRLEntryExtensionOID.INVALIDITY_DATE,
    }
)
_COMPILED = Struct("<8sIIB")  # magic, octets of the head, octets of the digest, whether all entries are understood
_MAGIC = b"SBC-CRL1"


class _Parts(NamedTuple):
    """A CRL in DER: `head` is the list without its entries, `entries` is where those are."""

    head: bytes
    signed: slice
    entries: slice


class CrlHead:
    """What a CRL says of itself: everything but its entries."""

    def __init__(self, head: bytes, digest: Digest | None = None) -> None:
        """`head`: the DER of the list without its entries; `digest`: of what was signed, if that is known.

        Raises one of `PARSE_ERRORS`.
        """
        self.encoded = head
        self._crl = crl = x509.load_der_x509_crl(open_signed(head).readable)
        self.digest = Digest() if digest is None else digest
        self.issuer = crl.issuer
        self.scope = CrlScope.of(crl)
        self.number = _number(crl)
        self.this_update = crl.last_update_utc.timestamp()
        self.next_update = crl.next_update_utc.timestamp() if crl.next_update_utc else None
        self.understood = _all_understood(crl.extensions)
        self._is_delta = any(each.oid == ExtensionOID.DELTA_CRL_INDICATOR for each in crl.extensions)

    def hashed(self, signed: memoryview) -> None:
        """Take the digest of what was signed, by the algorithm of the signature."""
        name = digest_name(self._crl)
        self.digest = Digest(hashlib.new(name, signed).digest() if name else b"")

    def refusal(self, now: float | None) -> str:
        """Why the list is not used, as a sentence; empty if it is. It must not be later than `now` (POSIX seconds).

        - A delta CRL is not a list by itself (RFC 5280 §5.2.4).
        - nextUpdate is mandatory (§5.1.2.5): without it, an old list would count for ever.
        - A list of the future is not valid yet (§5.1.2.4).
        """
        if self._is_delta:
            return "it is a delta CRL, which says nothing without its base; only complete lists are read"
        if self.next_update is None:
            return "it has no nextUpdate, so it would count for ever"
        if now is not None and self.this_update > now + CLOCKS:
            return "its thisUpdate is in the future: is the clock of this host right?"
        return ""

    def signer_among(self, certificates: Iterable[Certificate], *, any_key: bool = False) -> Certificate | None:
        """The certificate that signed the list, or None: its name, its key usage and its key all have to match."""
        for certificate in certificates:
            try:
                if name_key(certificate.parsed.subject) != self.scope.issuer or not certificate.usage("crl_sign"):
                    continue
                if is_signed_by(certificate.parsed.public_key(), self._crl, self.digest, any_key=any_key):
                    return certificate
            except (CertificateError, *PARSE_ERRORS):
                continue
        return None

    def is_for_the_same(self, other: "CrlHead") -> bool:
        """Whether both lists have the same issuer and cover the same certificates, so that one can replace the
        other."""
        return self.scope == other.scope

    def is_behind(self, other: "CrlHead") -> bool:
        """Whether this list is older than `other`, for the same certificates (RFC 5280 §5.2.3). Serving an old list may
        be an attempt to hide later revocations."""
        numbered = self.number is not None and other.number is not None and self.number < other.number
        return numbered or self.this_update < other.this_update


class RevocationList(CrlHead):
    """A CRL with the certificates that it revokes, as (issuer, serial number) pairs.

    An indirect CRL covers many issuers, so a serial number alone does not identify a certificate.
    """

    def __init__(self, head: bytes, digest: Digest, table: RevocationTable) -> None:
        """See `parse`, `of` and `compiled`."""
        super().__init__(head, digest)
        self._table = table

    @classmethod
    def of(cls, crl: x509.CertificateRevocationList) -> "RevocationList":
        """The same for a list that the library has already parsed."""
        return cls.parse(crl.public_bytes(Encoding.DER))

    @classmethod
    def parse(cls, data: bytes, check: Callable[[CrlHead], None] = lambda head: None) -> "RevocationList":
        """Parse a CRL in PEM or DER; `CertificateError(CRL_UNAVAILABLE)` when it is malformed.

        `check` is called before the entries are read, which may be many; it may raise.
        """
        try:
            encoded = _from_pem(data)
            parts = _split(encoded)
            head = CrlHead(parts.head)
            with memoryview(encoded) as whole:
                head.hashed(whole[parts.signed])
        except PARSE_ERRORS as error:
            raise _unreadable(error) from None
        check(head)
        try:
            table = read_table(
                encoded,
                parts.entries,
                name_digest(head.scope.issuer),
                indirect=head.scope.indirect,
                names_in=_names_of_issuer,
            )
        except PARSE_ERRORS as error:
            raise _unreadable(error) from None
        return cls(parts.head, head.digest, table)

    @classmethod
    def compiled(cls, octets: Octets) -> "RevocationList":
        """The list of `compile`, with its entries where they are; `ValueError` when it is damaged."""
        header = octets[: _COMPILED.size]
        if len(header) < _COMPILED.size:
            raise ValueError("it is damaged")
        magic, head, digest, understood = _COMPILED.unpack(header)
        end = _COMPILED.size + head + digest
        if magic != _MAGIC or end > len(octets):
            raise ValueError("it is damaged")
        texts = octets[_COMPILED.size : end]
        table = RevocationTable(_Behind(octets, end), bool(understood))
        try:
            return cls(texts[:head], Digest(texts[head:]), table)
        except PARSE_ERRORS:
            raise ValueError("it is damaged") from None

    def compile(self) -> bytes:
        """The list in a form that is read at once, however long it is: for other processes of this host."""
        table = self._table
        header = _COMPILED.pack(_MAGIC, len(self.encoded), len(self.digest), table.understood)
        return b"".join((header, self.encoded, self.digest, table.rows[0 : len(table.rows)]))

    def speaks_for(self, certificate: Certificate, at: float, *, appointed: bool = False) -> bool:
        """Whether a certificate that is not on the list is known to be unrevoked `at` (POSIX seconds).

        The list has to cover it (`CrlScope.covers`), contain no unknown critical extension (RFC 5280 §5.2), and not be
        expired. An expired list still revokes what it names, but later revocations are not on it.
        """
        if not (self.understood and self._table.understood) or self.next_update is None or at > self.next_update:
            return False
        return self.scope.covers(certificate, appointed=appointed)

    def revokes(self, certificate: Certificate, *, appointed: bool = False) -> bool:
        """Whether the list names this certificate, and may revoke it (`CrlScope.may_revoke`)."""
        issuer = name_digest(name_key(certificate.parsed.issuer))
        named = row_of(issuer, certificate.parsed.serial_number) in self._table
        return named and self.scope.may_revoke(certificate, appointed=appointed)

    def __len__(self) -> int:
        return len(self._table)

    def __bool__(self) -> bool:
        return True  # a list without entries is still a list


class _Behind:
    """The octets from a position on, without a copy."""

    def __init__(self, octets: Octets, start: int) -> None:
        self._octets = octets
        self._start = start

    def __len__(self) -> int:
        return len(self._octets) - self._start

    def __getitem__(self, part: slice, /) -> bytes:
        return self._octets[part.start + self._start : part.stop + self._start]


def _from_pem(data: bytes) -> bytes:
    """DER of the first list in PEM; anything else is returned as it is."""
    begin = data.find(_BEGIN)
    end = data.find(_END, begin)
    if begin < 0 or end < 0:
        return data
    return a2b_base64(data[begin + len(_BEGIN) : end].translate(None, b" \t\r\n\v\f"), strict_mode=True)


def _split(encoded: bytes) -> _Parts:
    """Find the entries of a list; `ValueError` when it does not have the form of one (RFC 5280 §5.1)."""
    start, end = der.span(encoded)
    if encoded[0] != _SEQUENCE or end != len(encoded) or start == end:
        raise ValueError("not one sequence")
    inner, inner_end = der.span(encoded, start)
    at, times = inner, 0
    while at < inner_end and (encoded[at] in _TIMES or not times):
        times += encoded[at] in _TIMES
        at = der.span(encoded, at)[1]
    entries, behind = slice(at, at), at
    if times and at < inner_end and encoded[at] == _SEQUENCE:
        entries = slice(*der.span(encoded, at))
        behind = entries.stop
    if behind > inner_end or (behind < inner_end and encoded[behind] != _EXTENSIONS):
        raise ValueError("something other than extensions follows the entries")  # such as a second list of entries
    if end - (behind - at) > _MAX_HEAD:
        raise ValueError("it is too long without its entries")
    inside = encoded[inner:at] + encoded[behind:inner_end]
    head = der.encode(_SEQUENCE, der.encode(encoded[start], inside) + encoded[inner_end:end])
    return _Parts(head, slice(start, inner_end), entries)


def _names_of_issuer(extension: bytes) -> Sequence[NameKey]:
    """The directory names of an extension certificateIssuer, which the library reads in a list of one entry."""
    entry = der.encode(_SEQUENCE, _ENTRY + der.encode(_SEQUENCE, extension))
    signed = der.encode(_SEQUENCE, _LIST + der.encode(_SEQUENCE, entry))
    crl = x509.load_der_x509_crl(der.encode(_SEQUENCE, signed + _ALGORITHM + der.encode(0x03, b"\0")))
    issuer = crl[0].extensions.get_extension_for_class(x509.CertificateIssuer).value
    return [name_key(name) for name in issuer.get_values_for_type(x509.DirectoryName)]


_ALGORITHM = bytes.fromhex("300a06082a8648ce3d040302")
_DATE = der.encode(0x17, b"500101000000Z")
_ENTRY = bytes.fromhex("020101") + _DATE
_LIST = bytes.fromhex("020101") + _ALGORITHM + bytes.fromhex("3000") + _DATE


def _number(crl: x509.CertificateRevocationList) -> int | None:
    try:
        return crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    except x509.ExtensionNotFound:
        return None


def _all_understood(extensions: x509.Extensions) -> bool:
    """Whether every critical extension is known."""
    return all(each.oid in _UNDERSTOOD or not each.critical for each in extensions)


def _unreadable(error: Exception) -> CertificateError:
    return CertificateError(Detail.CRL_UNAVAILABLE, f"the CRL cannot be read: {error}")
