"""One record per INVITE (and per malformed SIP message): the same live and in replay."""

from json.encoder import encode_basestring_ascii
from typing import Any, NamedTuple, Protocol

from sbc_filter import __version__


class Quotes(NamedTuple):
    """What a record quotes of its message, as octets; None for what the message does not have. See `readable`."""

    raw_ruri: bytes | None = None
    raw_to: bytes | None = None
    raw_from: bytes | None = None
    raw_pai: bytes | None = None
    branch: bytes | None = None

    def quotes(self) -> "Quotes":
        """These quotes: they have been extracted."""
        return self


class Quoting(Protocol):
    """Extracts quotes, which costs too much for calls whose record is not written."""

    def quotes(self) -> Quotes:
        """The quotes."""


class Record(NamedTuple):
    """The fields of a record, in the order of its JSON; None where there is nothing to say.

    A new field is a line here and its value in `engine.call.recording`. In JSON the fields of `quotes` stand in its
    place. The last three have the first place in JSON, and only a replay has them.
    """

    time: float
    src: str
    dst: str
    transport: str
    direction: str | None = None
    method: str | None = None
    call_id: str | None = None
    cseq: str | None = None
    rule: str | None = None
    mode: str | None = None
    verdict: str = "accept"
    would: str | None = None
    outcome: str = "not-examined"
    detail: str | None = None
    treatment: str = "continue"
    code: int | None = None
    orig: str | None = None
    dest: tuple[str, ...] = ()
    trunk: str | None = None
    spc: str | None = None
    attest: str | None = None
    origid: str | None = None
    x5u: str | None = None
    token: int | None = None
    kind: str | None = None
    deviations: tuple[str, ...] = ()
    first_call_id: str | None = None
    first_trunk: str | None = None
    verstat: str | None = None
    identities: int = 0
    changed: tuple[str, ...] = ()
    request_uri: str | None = None
    claimed: str | None = None
    found: str | None = None
    token_orig: str | None = None
    token_dest: tuple[str, ...] = ()
    token_iat: int | None = None
    lists: tuple[str, ...] = ()
    version: str = __version__
    quotes: Quoting | None = None
    packet: int | None = None
    file: str | None = None
    unfiltered: str | None = None

    def to_json(self) -> str:
        """One line of JSON; `packet` only in replay, `file` only in a replay of several captures, and `unfiltered` only
        for what the live filter does not look at."""
        values: tuple[Any, ...] = self  # compiled, a slice of the record itself would check the type of each field
        quotes = _NO_QUOTES if self.quotes is None else self.quotes.quotes()
        line = _LINE % (*map(_json, values[:-4]), *map(_json, quotes))
        if self.packet is None:
            return line
        file = "" if self.file is None else f'"file":{_json(self.file)},'
        unfiltered = "" if self.unfiltered is None else f'"unfiltered":{_json(self.unfiltered)},'
        return f'{{"packet":{self.packet},{file}{unfiltered}{line[1:]}'

    def of_packet(self, number: int, file: str | None = None, unfiltered: str | None = None) -> "Record":
        """The record of a replay: that of packet `number` of the capture, or of this one of several captures.
        `unfiltered` says why the live filter does not look at the message."""
        return self._replace(packet=number, file=file, unfiltered=unfiltered)


_NO_QUOTES = Quotes()
_LINE = "{" + ",".join([f'"{name}":%s' for name in (*Record._fields[:-4], *Quotes._fields)]) + "}"


def _json(value: Any) -> str:
    """The JSON of one value: faster than the library, since a record is written for every call."""
    if value is None:
        return "null"
    if isinstance(value, str):
        return encode_basestring_ascii(value)
    if isinstance(value, tuple):
        return f"[{','.join([encode_basestring_ascii(each) for each in value])}]"
    if isinstance(value, bytes):
        return encode_basestring_ascii(readable(value))
    return repr(value)


def readable(octets: bytes) -> str:
    """Octets of a message as UTF-8 text; those that are not UTF-8 or do not print are escaped, as in `\\xff`."""
    return printable(octets.decode("utf-8", "backslashreplace"))


def printable(text: str) -> str:
    """The text, with escapes such as `\\x1b` for characters that do not print, unpaired surrogates included."""
    if text.isprintable():
        return text
    return "".join([each if each.isprintable() else each.encode("unicode_escape").decode("ascii") for each in text])
