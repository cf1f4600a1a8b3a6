"""Finds and replaces the IP packet in a captured frame (link types of tcpdump.org).

Ethernet, BSD loopback, raw IP and Linux "cooked" frames, the latter two versions included; VLAN tags
are kept. A frame may hold anything: a frame without an IP packet is None, never an error. This is the fast path:
`encapsulation` tries what is None here.
"""

ETHERNET, NULL, LOOP, SLL, SLL2 = 1, 0, 108, 113, 276
RAW = frozenset((12, 14, 101))  # LINKTYPE_RAW, and the values used in files before it was assigned
RAW_V4, RAW_V6 = 228, 229

_V4, _V6 = b"\x08\x00", b"\x86\xdd"
VLAN = frozenset((b"\x81\x00", b"\x88\xa8", b"\x91\x00", b"\x92\x00"))  # 802.1Q, 802.1ad, and older QinQ
MAX_TAGS = 8  # on one frame; networks use one or two
TYPED = {ETHERNET: (14, 12), SLL: (16, 14), SLL2: (20, 0)}
"""By link type: bytes of the link header, and the offset of its protocol field."""
_FAMILIES = {2: 4, 10: 6, 24: 6, 28: 6, 30: 6}  # AF_INET, and AF_INET6 of Linux, NetBSD, FreeBSD, macOS
_FAMILY_OF = {4: 2, 6: 30}
_OUTGOING = 4  # LINUX_SLL_OUTGOING
_ETHERNET_MINIMUM = 60  # bytes without the frame check sequence


def locate_ip(linktype: int, frame: bytes) -> tuple[int, int] | None:
    """(start, end) of the IP packet in `frame`, None if there is none.

    `end` is where its length says, what follows is padding; or the end of the frame if that was cut.
    """
    if linktype in TYPED:
        start, version = _skip_tags(frame, *TYPED[linktype])
    elif linktype in (NULL, LOOP):
        start, version = 4, family_version(frame[:4])
    elif linktype in RAW:
        start, version = 0, frame[0] >> 4 if frame else 0
    else:
        start, version = 0, {RAW_V4: 4, RAW_V6: 6}.get(linktype, 0)
    end = ip_end(frame, start, version)
    return None if end is None else (start, min(end, len(frame)))


def replace_ip(frame: bytes, start: int, end: int, new_ip: bytes) -> bytes:
    """The frame with `new_ip` in place of the packet at `start`..`end`.

    What followed is dropped, with the checksum of the frame if that was captured. A frame that was
    padded, as the shortest on Ethernet are, is padded again up to its former length, 60 bytes at most.
    """
    new = frame[:start] + new_ip
    if len(frame) > end:
        return new.ljust(min(len(frame), _ETHERNET_MINIMUM), b"\0")
    return new


def answer_frame(linktype: int, frame: bytes, start: int, ip: bytes) -> bytes:
    """A frame that carries `ip` back to where `frame`, with its packet at `start`, came from.

    Ethernet: the addresses swapped, VLAN tags kept. Cooked: sent by us. Others: as they were.
    The protocol follows the version of `ip`.
    """
    header = bytearray(frame[:start])
    version = ip[0] >> 4 if ip else 4
    if linktype in TYPED:
        size, protocol_at = TYPED[linktype]
        at = protocol_at if start == size else start - 2  # with VLAN tags, the field of the last tag
        header[at : at + 2] = _V6 if version == 6 else _V4
    if linktype == ETHERNET:
        header[0:6], header[6:12] = frame[6:12], frame[0:6]
    elif linktype == SLL:
        header[0:2] = _OUTGOING.to_bytes(2, "big")
    elif linktype == SLL2:
        header[10] = _OUTGOING
    elif linktype in (NULL, LOOP) and family_version(frame[:4]) != version:
        header[0:4] = _FAMILY_OF[version].to_bytes(4, "big" if frame[:2] == b"\0\0" else "little")
    return bytes(header) + ip


def _skip_tags(frame: bytes, start: int, protocol_at: int) -> tuple[int, int]:
    """Returns (start, IP version or 0) of the payload, by the link header and its VLAN tags."""
    protocol = frame[protocol_at : protocol_at + 2]
    for _ in range(MAX_TAGS):
        if protocol not in VLAN:
            break
        protocol = frame[start + 2 : start + 4]
        start += 4
    return start, 4 if protocol == _V4 else 6 if protocol == _V6 else 0


def family_version(header: bytes) -> int:
    """IP version of an address family, in the byte order of the capturing host; 0 for others."""
    swapped = header[:2] != b"\0\0"
    return _FAMILIES.get(int.from_bytes(header, "little" if swapped else "big"), 0)


def ip_end(frame: bytes, start: int, version: int) -> int | None:
    """The end of the IP packet of this version at `start`; None if there is none."""
    if version == 4 and len(frame) >= start + 20 and 0x45 <= frame[start] <= 0x4F:
        total = int.from_bytes(frame[start + 2 : start + 4], "big")
        return start + total if total >= (frame[start] & 15) * 4 else None
    if version == 6 and len(frame) >= start + 40 and frame[start] >> 4 == 6:
        length = int.from_bytes(frame[start + 4 : start + 6], "big")
        if not length and not frame[start + 6]:  # as in jumbograms (RFC 2675 §3): the engine, and hosts, read it all
            return len(frame)
        return start + 40 + length
    return None
