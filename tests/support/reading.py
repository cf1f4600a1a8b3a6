"""A reader of SIP messages that is as lenient as the most lenient one, and shares nothing with the program: a line ends
at LF, at CR, and at NUL as well."""

import re
from typing import NamedTuple

Fields = list[tuple[str, str]]


class Read(NamedTuple):
    """The first line, the header fields (name in lower case, value) in order, and what follows the first empty line."""

    start: str
    fields: Fields
    body: str


def read(message: bytes) -> Read:
    """What such a reader sees."""
    lines = re.split("\r\n|\r|\n|\0", message.decode("utf-8", "surrogateescape"))
    end = lines.index("")
    fields: Fields = []
    for line in lines[1:end]:
        if line[:1] in (" ", "\t") and fields:
            fields[-1] = fields[-1][0], f"{fields[-1][1]} {line.strip()}"
        else:
            name, _, value = line.partition(":")
            fields.append((name.strip().lower(), value.strip()))
    return Read(lines[0], fields, "\n".join(lines[end + 1 :]))


def more(after: bytes, before: bytes) -> Fields:
    """The header fields that a message has more than another had; all else has to be as it was, in the same order."""
    seen, was = read(after), read(before)
    assert (seen.start, seen.body) == (was.start, was.body)
    left = was.fields[:]
    added: Fields = []
    for each in seen.fields:
        if left and each == left[0]:
            del left[0]
        else:
            added.append(each)
    assert left == [], "a header field is gone"
    return added
