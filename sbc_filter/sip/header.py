"""The header of a message: where its lines end, which belong together, and the names of its fields.

The canonical form of a name is the full one in lower case; compact forms are those of the IANA registry. `y` is
Identity (RFC 8224 §13.1). A filter that overlooked it would let a peer's tokens bypass verification and removal
(S-031). `n` (Identity-Info) no longer exists.
"""

from sbc_filter.errors import MessageError
from sbc_filter.outcomes import Detail
from sbc_filter.sip.grammar import HEADER_NAME

MAX_HEADERS, MAX_LINES = 256, 1024  # header fields and lines of one message; real messages have a tenth of that
MAX_HEAD = 16_384  # octets of a message but for Identity, which has limits of its own, and the body; real ones: 4,000
COMPACT_FORMS = {
    b"a": b"accept-contact",
    b"b": b"referred-by",
    b"c": b"content-type",
    b"d": b"request-disposition",
    b"e": b"content-encoding",
    b"f": b"from",
    b"i": b"call-id",
    b"j": b"reject-contact",
    b"k": b"supported",
    b"l": b"content-length",
    b"m": b"contact",
    b"o": b"event",
    b"r": b"refer-to",
    b"s": b"subject",
    b"t": b"to",
    b"u": b"allow-events",
    b"v": b"via",
    b"x": b"session-expires",
    b"y": b"identity",
}

# The usual spellings in nearly every message: most lookups then are one dictionary access.
_COMMON = (
    "Via Max-Forwards Route Record-Route Contact To From Call-ID CSeq Allow Supported Require Content-Type "
    "Content-Length Date Identity P-Asserted-Identity P-Preferred-Identity Privacy User-Agent Server Expires "
    "Session-Expires Min-SE Accept Diversion History-Info P-Charging-Vector Session-ID Allow-Events Remote-Party-ID "
    "P-Attestation-Indicator P-Origination-ID Attestation-Info Origination-Id Resource-Priority Reason "
    "Reply-To Referred-By Refer-To P-Served-User P-Charge-Info P-Called-Party-ID P-Associated-URI"
)
KNOWN = {name.encode(): name.lower().encode() for name in _COMMON.split()}
KNOWN |= COMPACT_FORMS | {name.upper(): full for name, full in COMPACT_FORMS.items()}
_FULL = frozenset(KNOWN.values())
_IDENTITY = frozenset((b"identity", b"y"))


def with_hyphens(name: bytes) -> bytes:
    """The name with a hyphen for each underscore, if that is a known name; else as it is.

    JsSIP takes `P_Asserted_Identity` for `P-Asserted-Identity`.
    """
    if name.find(b"_") < 0:
        return name
    hyphenated = name.replace(b"_", b"-")
    return hyphenated if hyphenated.lower() in _FULL else name


def canonical(name: bytes) -> bytes:
    """The canonical form of a header name as written before the colon (S-148); empty if it is not a token."""
    known = KNOWN.get(name)
    if known is not None:
        return known
    name = name.rstrip(b" \t").lower()
    if HEADER_NAME.fullmatch(name) is None:
        return b""
    return COMPACT_FORMS.get(name, name)


def split_header(buffer: bytes, start: int) -> tuple[list[bytes], list[tuple[int, int]], int]:
    """The canonical names of the header fields from offset `start` on, the (start, end) of each value, line end
    included, and the offset of the body."""
    if len(buffer) > MAX_HEAD:
        check_lines(buffer, start)
    lines, body = header_lines(buffer, start)
    check_size(lines, body)
    if not is_clean(buffer, start, body):
        raise MessageError(Detail.HEADER_SYNTAX, "a bare CR, or NUL")
    names = [line.partition(b":")[0] for line in lines]
    keys: list[bytes] = list(map(KNOWN.get, names))  # type: ignore[arg-type]
    if None in keys:
        lines = unfold(lines)
        names = [line.partition(b":")[0] for line in lines]
        keys = list(map(canonical, names))
    if b"" in keys or len(keys) > MAX_HEADERS:
        raise MessageError(Detail.HEADER_SYNTAX)
    spans: list[tuple[int, int]] = []
    end = start
    for line, name in zip(lines, names, strict=True):
        value = end + len(name) + 1
        end += len(line) + 1
        spans.append((value, end))
    return keys, spans, body


def check_lines(buffer: bytes, start: int) -> None:
    """Raise `MessageError` if the header from offset `start` on has too many lines, at the cost of counting them."""
    ends = [end for end in (buffer.find(b"\n\r\n", start), buffer.find(b"\n\n", start)) if end >= 0]
    if buffer.count(b"\n", start, min(ends, default=len(buffer))) > MAX_LINES:
        raise MessageError(Detail.HEADER_SYNTAX, f"more than {MAX_LINES} lines")


def check_size(lines: list[bytes], size: int) -> None:
    """Raise `MessageError` if these lines, of `size` octets with the request line, are more than any real message has.

    What a packet costs grows with its header. So the size of the header bounds what its sender can make it cost.
    """
    if len(lines) > MAX_LINES:
        raise MessageError(Detail.HEADER_SYNTAX, f"more than {MAX_LINES} lines")
    if size <= MAX_HEAD:
        return
    identity = False
    for line in lines:
        if not line.startswith((b" ", b"\t")):
            identity = line.partition(b":")[0].rstrip(b" \t").lower() in _IDENTITY
        if identity:
            size -= len(line) + 1
    if size > MAX_HEAD:
        raise MessageError(Detail.HEADER_SYNTAX, f"more than {MAX_HEAD} octets in front of the body")


def is_clean(buffer: bytes, start: int, body: int) -> bool:
    """Whether the header fields, from `start` to `body`, contain no NUL, and CR only directly before LF.

    Other parsers end the line, or the message, at such an octet and would see another message than this one does.
    """
    return (
        buffer.count(b"\r", start, body) == buffer.count(b"\r\n", start, body) and buffer.find(b"\0", start, body) < 0
    )


def header_lines(buffer: bytes, start: int) -> tuple[list[bytes], int]:
    """The lines before the first empty one, without their LF, and the offset of the body."""
    lines = buffer[start:].split(b"\n")
    count = len(lines) - 1
    if b"\r" in lines:
        count = lines.index(b"\r")
    if b"" in lines:
        count = min(count, lines.index(b""))
    elif count == len(lines) - 1:
        raise MessageError(Detail.NO_BLANK_LINE)
    head = lines[:count]
    end = start + sum(map(len, head)) + count
    return head, min(end + len(lines[count]) + 1, len(buffer))


def unfold(lines: list[bytes]) -> list[bytes]:
    """The lines joined so that each is one header field: a folded field is several lines (RFC 3261 §7.3.1)."""
    fields: list[list[bytes]] = []
    for line in lines:
        if not line.startswith((b" ", b"\t")):
            fields.append([line])
        elif fields:
            fields[-1].append(line)
        else:
            raise MessageError(Detail.HEADER_SYNTAX, "the first header line is a continuation")
    return [b"\n".join(field) for field in fields]
