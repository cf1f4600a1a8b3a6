"""The entries of a CRL, as a sorted table of digests (RFC 5280 §5.1.2.6, §5.3).

A list may have hundreds of thousands of entries. The table needs 16 octets for each, has no objects, and can lie in a
file that several processes map.
"""

import hashlib
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from sbc_filter.pki import der
from sbc_filter.pki.certificate import NameKey

ROW = 16  # octets: SHA-256, truncated
MAX_ROWS = 2_000_000  # in one list; each entry may have several issuers
MAX_ISSUERS = 10_000  # different names in one list; each costs the library some 50 µs and 1 KB
MAX_EXTENSIONS = 16 << 10  # octets of those of one entry; the library reads a certificateIssuer as a whole
_MAX_KNOWN, _LONGEST_KNOWN = 50_000, 1024  # blocks of extensions that are remembered, and the octets of each

_SEQUENCE, _INTEGER, _UTC_TIME, _GENERALIZED_TIME = 0x30, 0x02, 0x17, 0x18
_TIMES = {_UTC_TIME: 13, _GENERALIZED_TIME: 15}  # octets (RFC 5280 §4.1.2.5)
_CERTIFICATE_ISSUER, _REASON, _INVALIDITY_DATE = (bytes.fromhex(f"0603551d{last}") for last in ("1d", "15", "18"))
_REMOVE_FROM_CRL = bytes.fromhex("0a0108")
_CRITICAL = bytes.fromhex("0101ff")


class Octets(Protocol):
    """Bytes, or a mapped file: what a table lies in."""

    def __len__(self) -> int:
        """The number of octets."""

    def __getitem__(self, part: slice, /) -> bytes:
        """Some of the octets."""


@dataclass(frozen=True, slots=True)
class RevocationTable:
    """The digests of all (issuer, serial number) pairs, sorted.

    `understood` is false if an entry has an unknown critical extension (RFC 5280 §5.3).
    """

    rows: Octets
    understood: bool

    def __len__(self) -> int:
        return len(self.rows) // ROW

    def __contains__(self, row: bytes) -> bool:
        at = bisect_left(range(len(self)), row, key=self._row)
        return self._row(at) == row

    def _row(self, at: int) -> bytes:
        return self.rows[at * ROW : (at + 1) * ROW]


class _Entry(NamedTuple):
    """The extensions of an entry: `issuers` are the digests of its certificateIssuer, None without one."""

    issuers: tuple[bytes, ...] | None = None
    removes: bool = False
    understood: bool = True


def name_digest(name: NameKey) -> bytes:
    """A digest that is equal for equal names."""
    return hashlib.sha256(repr([sorted(map(repr, part)) for part in name]).encode("utf-8", "surrogatepass")).digest()


def row_of(issuer: bytes, serial: int) -> bytes:
    """The row of a certificate; `issuer` is a `name_digest`."""
    size = (~serial if serial < 0 else serial).bit_length() // 8 + 1
    return hashlib.sha256(issuer + serial.to_bytes(size, "big", signed=True)).digest()[:ROW]


def read_table(
    data: bytes,
    entries: slice,
    own: bytes,
    *,
    indirect: bool,
    names_in: Callable[[bytes], Sequence[NameKey]],
) -> RevocationTable:
    """Read the content of revokedCertificates, which is `data[entries]`; `ValueError` when it is malformed.

    - `own` is the digest of the list's issuer.
    - `names_in` reads an extension certificateIssuer, given by its octets. An entry may have several names, and all of
      them count. In an indirect list it applies to the entries that follow as well (RFC 5280 §5.3.3). In any other list
      it applies to itself only, and the entry counts only if it names the list's issuer.
    - An entry removeFromCRL (RFC 5280 §5.3.1) revokes nothing.
    """
    reader = _EntryReader(names_in)
    known: dict[bytes, _Entry] = {b"": _Entry()}
    buckets = [bytearray() for _ in range(256)]  # sorted one by one: a list of all rows would take four times the room
    sha256, mine, understood = hashlib.sha256, (own,), True
    current: tuple[bytes, ...] = mine
    left = MAX_ROWS
    at, end = entries.start, entries.stop
    while at < end:
        serial, rest, at = _split(data, at, end)
        entry = known.get(rest)
        if entry is None:
            entry = reader.read(rest)
            if len(known) < _MAX_KNOWN and len(rest) <= _LONGEST_KNOWN:
                known[rest] = entry
            understood = understood and entry.understood
        if entry.issuers is None:
            issuers = current
        elif indirect:
            issuers = current = entry.issuers
        else:
            issuers = mine if own in entry.issuers else ()
        if not entry.removes:
            left -= len(issuers)
            if left < 0:
                raise ValueError(f"more than {MAX_ROWS} entries")
            for issuer in issuers:
                row = sha256(issuer + serial).digest()[:ROW]
                buckets[row[0]] += row
    return RevocationTable(b"".join(map(_sorted, buckets)), understood)


def _sorted(bucket: bytearray) -> bytes:
    return b"".join(sorted({bytes(bucket[at : at + ROW]) for at in range(0, len(bucket), ROW)}))


def _split(data: bytes, at: int, end: int) -> tuple[bytes, bytes, int]:
    """The serial number, the extensions with their header, and the end of the entry at `at`. One pass for each entry,
    so most lengths, which have one octet, are read in place."""
    if data[at] != _SEQUENCE:
        raise ValueError("an entry is not a sequence")
    start = at + 2
    stop = start + data[at + 1] if start <= end and data[at + 1] < 0x80 else 0
    if not stop:
        start, stop = der.span(data, at)
    serial_end = start + 2 + data[start + 1] if stop - start >= 5 else end
    if stop > end or serial_end + 2 > stop or data[start] != _INTEGER or data[start + 1] >= 0x80:
        raise ValueError("an entry without a serial number and a date")
    serial = data[start + 2 : serial_end]
    if not serial or (len(serial) > 1 and serial[0] in (0, 0xFF) and (serial[0] ^ serial[1]) < 0x80):
        raise ValueError("a serial number that is not minimal")
    date_end = serial_end + 2 + data[serial_end + 1]
    date = data[serial_end + 2 : date_end]
    if date_end > stop or _TIMES.get(data[serial_end]) != len(date) or date[-1] != 0x5A or not date[:-1].isdigit():
        raise ValueError("an entry with a malformed date")
    return serial, data[date_end:stop], stop


class _EntryReader:
    """Reads the extensions of entries. Each different certificateIssuer is read once."""

    def __init__(self, names_in: Callable[[bytes], Sequence[NameKey]]) -> None:
        self._names_in = names_in
        self._issuers: dict[bytes, tuple[bytes, ...]] = {}
        self._left = MAX_ISSUERS

    def read(self, encoded: bytes) -> _Entry:
        """The extensions of one entry; `ValueError`."""
        if len(encoded) > MAX_EXTENSIONS:
            raise ValueError("an entry that is too long")
        seen: set[bytes] = set()
        issuers, removes, understood = None, False, True
        for extension in der.elements(der.only(encoded, _SEQUENCE)):
            if extension.tag != _SEQUENCE:
                raise ValueError("an extension is not a sequence")
            oid, *flag, value = [part.encoded for part in der.elements(extension.content)] or [b""]
            if oid in seen or oid[:1] != b"\x06" or value[:1] != b"\x04" or flag not in ([], [_CRITICAL]):
                raise ValueError("a malformed or repeated extension")
            seen.add(oid)
            if oid == _CERTIFICATE_ISSUER:
                issuers = self._named(extension.encoded)
            elif oid == _REASON:
                removes = der.only(value, 0x04) == _REMOVE_FROM_CRL
            elif oid != _INVALIDITY_DATE and flag:
                understood = False
        return _Entry(issuers, removes, understood)

    def _named(self, extension: bytes) -> tuple[bytes, ...]:
        known = self._issuers.get(extension)
        if known is None:
            known = self._issuers[extension] = tuple({name_digest(name): None for name in self._names_in(extension)})
            self._left -= len(known)
            if self._left < 0:
                raise ValueError(f"more than {MAX_ISSUERS} different issuers of certificates")
            if not known:
                raise ValueError("a certificateIssuer entry without a directory name")
        return known
