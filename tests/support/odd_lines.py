"""Oddities of header lines: names, separators, folds, line ends, what is missing, what is there twice, and the body."""

from support.odd_base import (
    MARK,
    UNSIGNED,
    VICTIM,
    Change,
    Changes,
    append,
    both,
    edit,
    end_with,
    line_in_front,
    put,
    rename,
    replace,
    value,
    without,
)
from support.odd_start import BYTES, INVISIBLE

LINES = (
    "Via", "Max-Forwards", "From", "To", "Call-ID", "CSeq", "P-Asserted-Identity", "P-Attestation-Indicator", "Contact",
    "Content-Length",
)  # fmt: skip
MANDATORY = LINES[:6]
_COMPACT = {"Via": b"v", "From": b"f", "To": b"t", "Call-ID": b"i", "Contact": b"m", "Content-Length": b"l"}
_EVIL = f"P-Attestation-Indicator: {MARK}".encode()
_EVIL_PAI = f"P-Asserted-Identity: <sip:+{VICTIM};verstat={MARK}@h>".encode()
FOLDS = (
    b"\r\n ",
    b"\r\n\t",
    b"\n ",
    b"\r ",
    b" \r\n ",
    b"\r\n  \t",
    b"\r\n \r\n ",
    b"\r\n\0 ",
    b"\r\n\x0b",
    b"\r\n\xa0",
)
_ASSERTIONS = (
    "P-Attestation-Indicator", "p-attestation-indicator", "P-Origination-ID", "P-Attestation-Info", "Attestation-Info",
    "Origination-Id", "Priority-Verstat", "X-VerStat", "X-Carrier-VerStat", "X-Stir-Verstat", "X-Stir-Attest",
    "Verstat",
    "P_Attestation_Indicator", "P-Attestation%2dIndicator", "%50-Attestation-Indicator", "P-Attestation-Indicat%6fr",
    "P-Attestation-Indicator%00", "P-Attestation-Indicator%20", "P--Attestation-Indicator",
)  # fmt: skip


def names() -> Changes:
    """Each header name in other forms."""
    for line in LINES:
        name = line.encode()
        forms = [
            name.lower(), name.upper(), name.swapcase(), name + b" ", name + b"\t", name + b"  ", name + b"\r\n ",
            name + b"\n ", name + b"\r ", b" " + name, b"\t" + name, name + b"\0", b"\0" + name, name + b"\xa0",
            b"\x80" + name,
            b"\xff" + name, name + b"\xff", name + b"\x0b", name + b"\x0c", b"\x0b" + name,
            b"%%%02x" % name[0] + name[1:],
            name[:-1] + b"%%%02x" % name[-1], name.replace(b"-", b"_"), name.replace(b"-",
            b"%2d"), name + b":", name + b",",
            name + b";", b'"' + name + b'"', b"<" + name + b">", name + b"\r\n", b"\r" + name,
            b"\n" + name, name + b"%20",
        ]  # fmt: skip
        if line in _COMPACT:
            compact = _COMPACT[line]
            forms += [compact, compact.upper(), compact + b" ", b" " + compact, compact + b"\t", b"%%%02x" % compact[0]]
        yield from ((repr(form), rename(line, form + b":")) for form in forms)
        yield f"{line} without colon", rename(line, name)
        yield f"{line} without space", replace(f"\r\n{line}: ".encode(), f"\r\n{line}:".encode())


def assertions() -> Changes:
    """The names of header fields that assert an attestation, and every byte around one of them."""
    yield from ((name, rename("P-Attestation-Indicator", name.encode() + b":")) for name in _ASSERTIONS)
    name = b"P-Attestation-Indicator"
    yield from ((f"{byte!r} in front", rename("P-Attestation-Indicator", byte + name + b":")) for byte in INVISIBLE)
    yield from ((f"{byte!r} behind", rename("P-Attestation-Indicator", name + byte + b":")) for byte in INVISIBLE)
    for at, letter in enumerate(name):
        yield (
            f"letter {at} escaped",
            rename("P-Attestation-Indicator", name[:at] + b"%%%02X" % letter + name[at + 1 :] + b":"),
        )


def breaks() -> Changes:
    """Every byte that could end a line: behind it is a header field of the attacker."""
    pairs = [b"\r\0", b"\n\0", b"\0\n", b"\r\r", b"\n\r", b"\r\x0b", b"\xc2\x85", b"\xe2\x80\xa8", b"\xe2\x80\xa9",
    b"%0d%0a",
             b"%0a", b"\\r\\n", b"\r\n\r", b"\r\r\n", b"\n", b"\r"]  # fmt: skip
    for byte in (*(b for b in BYTES if b != b"\n"), *pairs):
        yield f"{byte!r} in front of an attestation", line_in_front("CSeq", b"Subject: a" + byte + _EVIL + b"\r\n")
    for byte in (*INVISIBLE, *pairs):
        yield (
            f"{byte!r} in front of a P-Asserted-Identity",
            line_in_front("Via", b"Subject: a" + byte + _EVIL_PAI + b"\r\n"),
        )
    for line in LINES:
        for end in (b"\n", b"\r", b"\r\r\n", b"\n\r", b"\0\r\n", b" \r\n", b"\x0b\r\n", b"\r\0\n", b"\r\n\r"):
            yield f"{line} ends with {end!r}", _line_end(line, end)
    for end in (b"\n", b"\r", b"\r\r\n", b"\n\r", b"\0\r\n"):
        yield f"all lines end with {end!r}", replace(b"\r\n", end, -1)
        yield f"header lines end with {end!r}", _all_but_first(end)


def _line_end(line: str, end: bytes) -> Change:
    def change(message: bytes) -> bytes:
        at = message.index(f"\r\n{line}: ".encode()) + 2
        at = message.index(b"\r\n", at)
        return message[:at] + end + message[at + 2 :]

    return change


def _all_but_first(end: bytes) -> Change:
    def change(message: bytes) -> bytes:
        first, rest = message.split(b"\r\n", 1)
        return first + b"\r\n" + rest.replace(b"\r\n", end)

    return change


def _wrapped(front: bytes) -> Change:
    return lambda old: front + old


def _halved(middle: bytes) -> Change:
    return lambda old: old[: len(old) // 2] + middle + old[len(old) // 2 :]


def folds() -> Changes:
    for line in LINES:
        for fold in FOLDS:
            yield f"{line} begins with {fold!r}", edit(line, _wrapped(fold))
            yield f"{line} ends with {fold!r}", edit(line, append(fold))
            yield f"{line} has {fold!r} in the middle", edit(line, _halved(fold))
    for line in ("From", "To", "P-Asserted-Identity"):
        for fold in FOLDS:
            for at in (b"<", b">", b";", b"=", b"@", b":"):
                yield f"{line}: {fold!r} behind {at!r}", edit(line, replace(at, at + fold))


def missing() -> Changes:
    yield from ((f"no {line}", without(line)) for line in LINES)
    yield from ((f"empty {line}", put(line, b"")) for line in LINES)
    yield from ((f"blank {line}", put(line, b"  ")) for line in LINES)


def doubles() -> Changes:
    """A header field twice: the same, or with another value in front or behind."""
    others = {
        "Via": b"SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK-other", "Max-Forwards": b"0", "Call-ID": b"other@h",
        "From": b"<sip:+12155550100@h>;tag=x", "To": b"<sip:+12155550199@sbc.example>;tag=x", "CSeq": b"1 ACK",
        "P-Asserted-Identity": b"<sip:+12155550100@h>", "P-Attestation-Indicator": b"A",
        "Contact": b"<sip:x@192.0.2.7>",
        "Content-Length": b"9",
    }  # fmt: skip
    for line in LINES:
        old = value(UNSIGNED, line) if line not in ("P-Asserted-Identity",) else f"<sip:+{VICTIM}@h>".encode()
        for shown, new in (("the same", old), ("another", others[line]), ("an empty", b""), ("a broken", b'<\x00"')):
            for name in (line, line.lower(), *([_COMPACT[line].decode()] if line in _COMPACT else [])):
                added = name.encode() + b": " + new + b"\r\n"
                yield f"{shown} {name} in front", line_in_front(line, added)
                yield f"{shown} {name} behind", replace(b"\r\n\r\n", b"\r\n" + added + b"\r\n")
        yield f"{line} with a comma and another", edit(line, append(b", " + others[line]))
        yield f"{line} behind another and a comma", edit(line, _wrapped(others[line] + b", "))


def lengths() -> Changes:
    """Content-Length in all forms, with a body and without."""
    forms = (b"1", b"9", b"99999", b"-1", b"+0", b"00", b"0x0", b"0 ", b" 0", b"0;a", b"0,0", b"0 0", b"a", b"0.0",
    b"1e1", b'"0"',
             b"4294967296", b"18446744073709551616", b"99999999999999999999", b"0\r\n 0", b"0\t", b"\xd9\xa0", b"0\0",
             b"%30")  # fmt: skip
    for body in (b"", b"v=0\r\n", b"v=0"):
        for form in (*forms, b"0", b"2", b"3", b"4", b"5", b"6", b"7"):
            yield f"{form!r} with {len(body)} bytes", both(put("Content-Length", form), append(body))
        yield f"none with {len(body)} bytes", both(without("Content-Length"), append(body))


_OUTER = (b"OPTIONS", b"ACK", b"REGISTER", b"MESSAGE", b"BYE", b"CANCEL", b"jaK", b"UPDATE", b"PRACK", b"NOTIFY")


def bodies() -> Changes:
    """A second request behind the first, where header fields end in one way or another (RFC 4475 dblreq)."""
    ends = (b"\r\n\r\n", b"\n\n", b"\r\r", b"\n\r\n", b"\r\n\n", b"\r\n \r\n", b"\r\n\t\r\n", b"\r\n\0\r\n",
    b"\r\n\r\n\r\n", b"\r\r\n\r\r\n",
            b"\0", b"\r\n\r", b"\n\r\n\r", b"\x0b\x0b", b"\r\n\x0b\r\n", b"\r\n \r\n\r\n")  # fmt: skip
    for end in ends:
        yield from ((f"{outer.decode()}, {end!r}, INVITE", _second(outer, end)) for outer in _OUTER)
        yield f"response, {end!r}, INVITE", _behind_a_response(end)
        yield f"header fields behind {end!r}", end_with(end + _EVIL + b"\r\n" + _EVIL_PAI + b"\r\n\r\n")
        yield f"ends with {end!r}", end_with(end)
    yield "no end", end_with(b"")
    yield "one line end", end_with(b"\r\n")


def _second(outer: bytes, end: bytes) -> Change:
    return lambda message: end_with(end)(message.replace(b"INVITE", outer)) + message


def _behind_a_response(end: bytes) -> Change:
    return lambda message: end_with(end)(b"SIP/2.0 200 OK\r\n" + message.partition(b"\r\n")[2]) + message


def many() -> Changes:
    for count in (63, 64, 65, 128, 200, 255, 256, 257, 500, 1000):
        yield f"{count} more header fields", line_in_front("Content-Length", b"X-A: b\r\n" * count)
    for size in (255, 256, 1023, 1024, 4000, 8000, 16000, 32000):
        yield f"a header field of {size} bytes", line_in_front("Content-Length", b"X-A: " + b"b" * size + b"\r\n")
        yield f"a name of {size} bytes", line_in_front("Content-Length", b"X" * size + b": a\r\n")
    for broken in (b"X\r\n", b"X-A\r\n", b": a\r\n", b":\r\n", b"X Y: a\r\n", b"=\r\n", b"\xff\r\n", b"(a): b\r\n",
    b"X;a: b\r\n", b"\0\r\n",
                   b"\x01: a\r\n", b" : a\r\n", b"@: a\r\n", b'"a": b\r\n', b"Identity\r\n", b"%0d%0a: a\r\n",
                   b"a=b\r\n"):  # fmt: skip
        for place in ("Via", "Max-Forwards", "From", "CSeq", "Content-Length"):
            yield f"{broken!r} in front of {place}", line_in_front(place, broken)
