"""Addresses in header fields: From, To, P-Asserted-Identity, Contact (RFC 3261 §20.10, §25.1)."""

from typing import NamedTuple

from sbc_filter.errors import MessageError
from sbc_filter.outcomes import Detail
from sbc_filter.sip import grammar

MAX_ADDRESSES = 32  # in one header field; far more than real calls carry, and each costs time to parse


class Address(NamedTuple):
    """One address. `start` and `end` are the offsets of its URI in the buffer that was parsed."""

    display: bytes
    uri: bytes
    start: int
    end: int
    parameters: bytes  # header parameters: everything after ">", or after the first ";" of a bare URI

    def has_tag(self) -> bool:
        """Whether there is a `tag` header parameter with a value (S-147).

        A tag inside the URI or in quotes does not count. Nor does an empty one: other stacks ignore it, so the INVITE
        would begin a dialog without being checked.
        """
        return bool((self.parameter(b"tag") or b"").strip(b'"'))

    def parameter(self, name: bytes) -> bytes | None:
        """The value of a header parameter (empty if it has no value), or None. Names are case-insensitive."""
        if not self.parameters:
            return None
        for found in grammar.PARAMETER.finditer(self.parameters):
            if found[1].lower() == name:
                return found[2] or b""
        return None

    def every_parameter(self, name: bytes) -> list[bytes]:
        """The values of all header parameters of this name."""
        return [each[2] or b"" for each in grammar.PARAMETER.finditer(self.parameters) if each[1].lower() == name]


def parse_address(buffer: bytes, start: int, end: int) -> Address:
    """The single address in `buffer[start:end]`; `MessageError` for anything else."""
    found = parse_addresses(buffer, start, end)
    if len(found) != 1:
        raise MessageError(Detail.ADDRESS_SYNTAX, "more than one address")
    return found[0]


def parse_addresses(buffer: bytes, start: int, end: int) -> list[Address]:
    """The comma-separated addresses of one header field; `MessageError` unless there are 1 to `MAX_ADDRESSES`,
    well-formed."""
    found: list[Address] = []
    while True:
        match = grammar.NAME_ADDR.match(buffer, start, end) or grammar.ADDR_SPEC.match(buffer, start, end)
        if match is None:
            raise MessageError(Detail.ADDRESS_SYNTAX)
        parameters = match[3].strip()
        if parameters and grammar.PARAMETERS.fullmatch(parameters) is None:
            raise MessageError(Detail.ADDRESS_SYNTAX)
        if len(found) == MAX_ADDRESSES:
            raise MessageError(Detail.ADDRESS_SYNTAX, f"more than {MAX_ADDRESSES} addresses")
        found.append(Address(match[1].strip(), match[2], match.start(2), match.end(2), parameters))
        start = match.end()
        if start == end:
            return found
        comma = grammar.COMMA.match(buffer, start, end)
        if comma is None:
            raise MessageError(Detail.ADDRESS_SYNTAX)
        start = comma.end()
