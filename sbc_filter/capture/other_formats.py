"""Formats of captures that are not read: recognised, and refused with the command that converts them."""

from sbc_filter.system.shell_words import path_word

NOT_A_CAPTURE = "is not a capture (pcap or pcapng, also compressed by gzip, bzip2 or xz)"
_REPLAY, _EXPLAIN = "sbc-filter replay -", "sbc-filter explain"
_RECORD = b'{"'  # how a record of the log begins, and any other object in JSON
# How a file begins (4 bytes), what it is, and the command that writes its capture to standard output.
_KNOWN = {
    b"\x28\xb5\x2f\xfd": ("compressed by zstd", "zstd -dc {}"),
    b"\x04\x22\x4d\x18": ("compressed by lz4", "lz4 -dc {}"),
    b"\x1f\x9d": ("compressed by compress", "zcat {}"),
    b"PK\x03\x04": ("a zip archive", "unzip -p {}"),
    b"7z\xbc\xaf": ("a 7-Zip archive", "7z e -so {}"),
    b"snoo": ("a snoop capture", "editcap -F pcap {} -"),
    b"GMBU": ("a Microsoft Network Monitor capture", "editcap -F pcap {} -"),
    b"RTSS": ("a Microsoft Network Monitor capture", "editcap -F pcap {} -"),
    b"XCP\0": ("a Sniffer capture", "editcap -F pcap {} -"),
    b"TRSN": ("a Sniffer capture", "editcap -F pcap {} -"),
    b"iptr": ("an iptrace capture", "editcap -F pcap {} -"),
}


def refusal(magic: bytes, path: str, unpack: str = "") -> str:
    """Why a file that begins with `magic` is not read; the command that converts it, where the format is known.

    `unpack` is the command that unpacked the file before `magic` was seen, if it was compressed.
    """
    file = path_word(path)
    for begin, (what, command) in _KNOWN.items():
        if magic.startswith(begin):
            source = f"{unpack} {file} | {command.format('-')}" if unpack else command.format(file)
            return f"is {what}: {source} | {_REPLAY}"
    if magic.startswith(_RECORD):
        source = f"{unpack} {file} | {_EXPLAIN} -" if unpack else f"{_EXPLAIN} {file}"
        return f"{NOT_A_CAPTURE}; if it has records: {source}"
    return NOT_A_CAPTURE
