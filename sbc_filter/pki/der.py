"""A minimal DER reader (X.690), for extensions that the library does not parse: bounded, iterative, strict."""

from collections.abc import Iterator
from typing import NamedTuple


class Element(NamedTuple):
    """One TLV element: the tag octet, the content, and all octets of the element."""

    tag: int
    content: bytes
    encoded: bytes


def elements(data: bytes) -> Iterator[Element]:
    """The consecutive elements in `data`; `ValueError` unless they fill it exactly."""
    position = 0
    while position < len(data):
        element = first(data, position)
        position += len(element.encoded)
        yield element


def first(data: bytes, position: int = 0) -> Element:
    """The element at `position`; `ValueError` when it is malformed or truncated."""
    start, end = span(data, position)
    return Element(data[position], data[start:end], data[position:end])


def span(data: bytes, position: int = 0) -> tuple[int, int]:
    """Start and end of the content of the element at `position`, which is not copied; `ValueError` as in `first`."""
    if position + 2 > len(data):
        raise ValueError("truncated")
    tag, length = data[position], data[position + 1]
    start = position + 2
    if tag & 0x1F == 0x1F:
        raise ValueError("a tag of more than one octet")
    if length & 0x80:
        size = length & 0x7F
        if not 1 <= size <= 4 or start + size > len(data):
            raise ValueError("a length out of bounds")
        length = int.from_bytes(data[start : start + size], "big")
        start += size
        if length < 0x80 or length >> (8 * (size - 1)) == 0:
            raise ValueError("a length that is not minimal")
    if start + length > len(data):
        raise ValueError("truncated")
    return start, start + length


def only(data: bytes, tag: int) -> bytes:
    """The content of the single element that `data` consists of; `ValueError` if it has another tag."""
    element = first(data)
    if element.tag != tag or len(element.encoded) != len(data):
        raise ValueError(f"not one element with the tag {tag:#04x}")
    return element.content


def encode(tag: int, content: bytes) -> bytes:
    """The encoding of one element."""
    length = len(content)
    if length < 0x80:
        return bytes((tag, length)) + content
    size = (length.bit_length() + 7) // 8
    return bytes((tag, 0x80 | size)) + length.to_bytes(size, "big") + content
