"""The header fields in which two forms of one message differ."""

import re
from collections import defaultdict

from sbc_filter.sip.header import canonical

_FOLD = re.compile(rb"\r?\n[ \t]+")
_BODY, _START_LINE, _OCTETS = "body", "start line", "octets"


def changed_fields(first: bytes, second: bytes) -> tuple[str, ...]:
    """What `second` has more (`+Name`), less (`-Name`) or with other values (`~Name`), in the order of the names.

    The start line and the body are named like fields. `octets`: the messages differ in another way, such as the order.
    """
    (line, fields, body), (other_line, other_fields, other_body) = fields_of(first), fields_of(second)
    found = [
        f"{_sign(fields[name], other_fields[name])}{name.title()}"
        for name in sorted({*fields, *other_fields})
        if fields[name] != other_fields[name]
    ]
    if line != other_line:
        found.append(f"~{_START_LINE}")
    if body != other_body:
        found.append(f"~{_BODY}")
    return tuple(found or [f"~{_OCTETS}"] if first != second else ())


def _sign(first: list[bytes], second: list[bytes]) -> str:
    if set(first) <= set(second) and len(first) < len(second):
        return "+"
    return "-" if set(second) <= set(first) and len(second) < len(first) else "~"


def fields_of(message: bytes) -> tuple[bytes, defaultdict[str, list[bytes]], bytes]:
    """The start line of a message, the values of its fields by canonical name, and its body."""
    head, _, body = message.partition(b"\r\n\r\n")
    line, *lines = _FOLD.sub(b" ", head).split(b"\r\n")
    fields: defaultdict[str, list[bytes]] = defaultdict(list)
    for each in lines:
        name, _, value = each.partition(b":")
        fields[canonical(name.strip()).decode("latin-1") or "other"].append(value.strip())
    return line, fields, body
