"""DER as an attacker writes it: a tree of elements of which one is bent, with or without the lengths around it."""

from random import Random
from typing import NamedTuple

_TAGS = (
    0x00,
    0x01,
    0x02,
    0x03,
    0x04,
    0x05,
    0x06,
    0x0A,
    0x0C,
    0x13,
    0x16,
    0x17,
    0x18,
    0x1F,
    0x30,
    0x31,
    0x80,
    0x81,
    0x82,
    0xA0,
    0xA1,
    0xA2,
    0xA3,
    0xBF,
)
_LENGTHS = (
    b"\x00",
    b"\x01",
    b"\x7f",
    b"\x80",
    b"\x81\x01",
    b"\x81\x80",
    b"\x82\x00\x01",
    b"\x84\xff\xff\xff\xff",
    b"\x85\x01\x00\x00\x00\x00",
    b"\xff",
)


class Element(NamedTuple):
    """Tag, and either the octets or the elements inside."""

    tag: int
    inside: "bytes | tuple[Element, ...]"


def parse(data: bytes) -> tuple[Element, ...]:
    """The elements of good DER; `ValueError` when it is none (tags of one octet only)."""
    found = []
    while data:
        tag, data = data[0], data[1:]
        if tag & 0x1F == 0x1F or not data:
            raise ValueError("no DER")
        size, data = data[0], data[1:]
        if size > 0x80:
            octets, data = data[: size & 0x7F], data[size & 0x7F :]
            size = int.from_bytes(octets, "big")
        elif size == 0x80:
            raise ValueError("no DER")
        if size > len(data):
            raise ValueError("no DER")
        found.append(_element(tag, data[:size]))
        data = data[size:]
    return tuple(found)


def _element(tag: int, content: bytes) -> Element:
    if tag & 0x20 or (tag == 0x04 and content[:1] == b"\x30"):  # what extensions carry is DER again
        try:
            return Element(tag, parse(content))
        except ValueError:
            pass
    return Element(tag, content)


def encode(element: Element) -> bytes:
    content = element.inside if isinstance(element.inside, bytes) else b"".join(map(encode, element.inside))
    return bytes([element.tag]) + _length(len(content)) + content


def _length(size: int) -> bytes:
    if size < 0x80:
        return bytes([size])
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([0x80 | len(octets)]) + octets


def mutate(data: bytes, rng: Random) -> bytes:
    """These octets with one element bent; the lengths around it fit."""
    try:
        elements = parse(data)
    except ValueError:
        return _octets(data, rng)
    if not elements or rng.random() < 0.1:
        return _octets(data, rng)
    at = rng.randrange(len(elements))
    bent = _bend(elements[at], rng)
    return b"".join(bent if number == at else encode(each) for number, each in enumerate(elements))


def mutate_value(data: bytes, rng: Random) -> bytes:
    """These octets with one element left out, doubled, exchanged with its neighbour, or of another value: good DER."""
    try:
        elements = parse(data)
    except ValueError:
        return _octets(data, rng)
    return b"".join(map(encode, _value(elements, rng)))


def _value(elements: tuple[Element, ...], rng: Random) -> tuple[Element, ...]:
    if not elements:
        return (Element(rng.choice(_TAGS) & 0xDF, rng.randbytes(rng.randrange(3))),)
    at = rng.randrange(len(elements))
    before, (tag, inside), behind = elements[:at], elements[at], elements[at + 1 :]
    if not isinstance(inside, bytes) and rng.random() < 0.93:
        return (*before, Element(tag, _value(inside, rng)), *behind)
    kind = rng.randrange(8)
    if kind == 0:
        return before + behind
    if kind == 1:
        return (*before, elements[at], elements[at], *behind)
    if kind == 2 and behind:
        return (*before, behind[0], elements[at], *behind[1:])
    if isinstance(inside, bytes) and inside:
        place = rng.randrange(len(inside))
        new = rng.choice((inside[place] ^ (1 << rng.randrange(8)), 0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
        return (*before, Element(tag, inside[:place] + bytes((new,)) + inside[place + 1 :]), *behind)
    return (*before, Element(tag, rng.randbytes(rng.randrange(4))), *behind)


def _bend(element: Element, rng: Random) -> bytes:
    inside = element.inside
    if not isinstance(inside, bytes) and inside and rng.random() < 0.8:
        at = rng.randrange(len(inside))
        content = b"".join(_bend(each, rng) if number == at else encode(each) for number, each in enumerate(inside))
        return bytes([element.tag]) + _length(len(content)) + content
    whole = encode(element)
    content = whole[len(whole) - _size(whole) :]
    kind = rng.randrange(9)
    if kind == 0:
        return b""
    if kind == 1:
        return whole * rng.choice((2, 3, 200))
    if kind == 2:
        return bytes([rng.choice(_TAGS)]) + whole[1:]
    if kind == 3:
        return whole[:1] + rng.choice(_LENGTHS) + content
    if kind == 4:
        return bytes([rng.choice(_TAGS)]) + _length(len(whole)) + whole
    if kind == 5:
        return whole[:1] + b"\x82" + len(content).to_bytes(2, "big") + content  # BER: longer than need be
    if kind == 6:
        return whole[:1] + b"\x80" + content + b"\0\0"  # BER: of no definite length
    bent = _octets(content, rng)
    return whole[:1] + _length(len(bent)) + bent


def _size(whole: bytes) -> int:
    size = whole[1]
    return size if size < 0x80 else int.from_bytes(whole[2 : 2 + (size & 0x7F)], "big")


def _octets(data: bytes, rng: Random) -> bytes:
    at = rng.randrange(len(data) + 1)
    kind = rng.randrange(5)
    if kind == 0:
        return data[:at]
    if kind == 1:
        return data + rng.randbytes(rng.randrange(1, 5))
    if kind == 2:
        return data[:at] + rng.randbytes(1) + data[at + 1 :]
    if kind == 3:
        return data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1 :] if at < len(data) else b""
    return data[:at] + data[at + rng.randrange(1, 9) :]
