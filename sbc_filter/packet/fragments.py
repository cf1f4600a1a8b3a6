"""IP fragments: detect one, and split a datagram into them (RFC 791 §3.2, RFC 8200 §4.5)."""

import zlib
from collections.abc import Iterator

from sbc_filter.errors import PacketError
from sbc_filter.outcomes import Detail
from sbc_filter.packet import ip

MORE_V4 = 0x2000  # the "more fragments" bit, in the 16-bit word with the offset
_COPIED, _END_OF_OPTIONS, _NO_OPERATION = 0x80, 0, 1
_HOP_BY_HOP, _ROUTING, _FRAGMENT, _DESTINATION = 0, 43, 44, 60
_BEFORE_FRAGMENT = frozenset((_HOP_BY_HOP, _ROUTING, _DESTINATION))
_MAX_EXTENSIONS = 8  # IPv6 headers searched; real packets have one or two, an attacker may write any number


def is_fragment(raw: bytes) -> bool:
    """Whether this IP packet is part of a datagram, or a whole one that carries an IPv6 fragment header (RFC 6946)."""
    if len(raw) < 20:
        return False
    version = raw[0] >> 4
    if version == 4:
        return bool(raw[6] & 0x3F or raw[7])
    return version == 6 and fragment_header(raw) is not None


def fragment(raw: bytes, size: int) -> list[bytes]:
    """`raw` split into fragments of at most `size` bytes each, IP header included; `[raw]` if it fits.

    IPv4: DF is cleared, and an ID of 0 is replaced by one derived from the payload. IPv6: a fragment header is inserted
    after the headers that routers read.

    Raises `PacketError`: NO_ROOM when `size` is too small for the header and 8 bytes, PACKET_FRAGMENT when `raw` is
    itself a fragment, PACKET_SYNTAX, PACKET_TRUNCATED.
    """
    version = raw[0] >> 4 if raw else 0
    if version not in (4, 6):
        raise PacketError(Detail.PACKET_SYNTAX)
    if len(raw) < (20 if version == 4 else 40):
        raise PacketError(Detail.PACKET_TRUNCATED)
    start = (raw[0] & 15) * 4 if version == 4 else 40
    end = int.from_bytes(raw[2:4], "big") if version == 4 else 40 + int.from_bytes(raw[4:6], "big")
    if start < 20 or end < start:
        raise PacketError(Detail.PACKET_SYNTAX)
    if end > len(raw):
        raise PacketError(Detail.PACKET_TRUNCATED)
    if end <= size:
        return [raw]
    if is_fragment(raw):
        raise PacketError(Detail.PACKET_FRAGMENT)
    return list((_cut_v4 if version == 4 else _cut_v6)(raw[:end], size))


def _cut_v4(raw: bytes, size: int) -> Iterator[bytes]:
    start = (raw[0] & 15) * 4
    options, payload = raw[20:start], raw[start:]
    copied = _copied_options(options)
    identification = int.from_bytes(raw[4:6], "big") or zlib.crc32(payload) & 0xFFFF or 1
    common = raw[1:4] + identification.to_bytes(2, "big")
    for begin, end in _spans(len(payload), size - start, size - 20 - len(copied)):
        bits = (raw[6] & 0x80) << 8 | (MORE_V4 if end < len(payload) else 0) | begin // 8
        first, own = (0x45 + len(copied) // 4, copied) if begin else (raw[0], options)
        header = bytes((first,)) + common + bits.to_bytes(2, "big") + raw[8:20] + own
        yield ip.rewrite_v4(header, payload[begin:end])


def _cut_v6(raw: bytes, size: int) -> Iterator[bytes]:
    link, start = _per_fragment_headers(raw)
    payload = raw[start:]
    identification = zlib.crc32(payload).to_bytes(4, "big")
    header = raw[:link] + bytes((_FRAGMENT,)) + raw[link + 1 : start]
    for begin, end in _spans(len(payload), size - start - 8, size - start - 8):
        bits = (begin | (end < len(payload))).to_bytes(2, "big")
        extension = bytes((raw[link], 0)) + bits + identification
        yield ip.rewrite_v6(header, extension + payload[begin:end])


def _spans(length: int, first: int, later: int) -> Iterator[tuple[int, int]]:
    """(begin, end) of each piece of `length` bytes; the first fragment has room for `first` bytes, the others for
    `later`."""
    if first < 8:
        raise PacketError(Detail.NO_ROOM, "the fragments are too small for the headers")
    begin, room = 0, first
    while length - begin > room:
        yield begin, begin + room // 8 * 8
        begin, room = begin + room // 8 * 8, later
    yield begin, length


def _copied_options(options: bytes) -> bytes:
    """The IPv4 options that every fragment repeats (RFC 791 §3.1), padded; reading stops at a malformed one."""
    kept, at = b"", 0
    while at < len(options) and options[at] != _END_OF_OPTIONS:
        length = 1 if options[at] == _NO_OPERATION else options[at + 1] if at + 1 < len(options) else 0
        if not length or at + length > len(options) or (length == 1 and options[at] != _NO_OPERATION):
            break
        if options[at] & _COPIED:
            kept += options[at : at + length]
        at += length
    return kept + bytes(-len(kept) % 4)


def _extensions(raw: bytes) -> Iterator[tuple[int, int, int]]:
    """(kind, link, start) of each IPv6 header after the first; `link` is the offset of the byte that names its kind.

    Stops after the first header that may not precede a fragment header, and before one that is cut off.
    """
    link, start = 6, 40
    end = min(len(raw), 40 + int.from_bytes(raw[4:6], "big"))
    for _ in range(_MAX_EXTENSIONS):
        if start + 8 > end:
            return
        yield raw[link], link, start
        if raw[link] not in _BEFORE_FRAGMENT:
            return
        link, start = start, start + (raw[start + 1] + 1) * 8


def fragment_header(raw: bytes) -> tuple[int, int] | None:
    """(link, start) of the IPv6 fragment header, or None; see `_extensions`."""
    if len(raw) < 48 or (raw[6] != _FRAGMENT and raw[6] not in _BEFORE_FRAGMENT):
        return None  # the fast path: nearly every packet
    return next(((link, start) for kind, link, start in _extensions(raw) if kind == _FRAGMENT), None)


def _per_fragment_headers(raw: bytes) -> tuple[int, int]:
    """(link, start) of the header that follows those repeated in every IPv6 fragment (RFC 8200 §4.5)."""
    link, start = 6, 40
    for kind, _, at in _extensions(raw):
        after = at + (raw[at + 1] + 1) * 8
        if after <= len(raw) and (kind == _ROUTING or (kind == _HOP_BY_HOP and at == 40)):
            link, start = at, after
    return link, start
