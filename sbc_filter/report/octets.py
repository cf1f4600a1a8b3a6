"""Octets of messages as text that is harmless to show: nothing that hides, reverses or ends a line is left.

Octets that are not UTF-8 and characters that do not print are escaped, as in a record. In addition each escape stands
between two marks, so that a reader can distinguish it from a backslash of the message. Changed parts have marks, too.
The marks are private characters of Unicode, which do not print: those of a message are escaped themselves.
"""

ESCAPE = "\ue000", "\ue001"
CHANGE = "\ue002", "\ue003"
_OCTETS = range(0xDC80, 0xDD00)  # how `surrogateescape` says that an octet is not UTF-8


def text_of(octets: bytes) -> str:
    """The octets as text that can be compared and cut: not to be shown yet."""
    return octets.decode("utf-8", "surrogateescape")


def shown(text: str) -> str:
    """The text with an escape for each character that does not print."""
    return text if text.isprintable() else "".join(map(_shown, text))


def changed(text: str) -> str:
    """The same, marked as changed; empty if it is empty."""
    return f"{CHANGE[0]}{shown(text)}{CHANGE[1]}" if text else ""


def cut(text: str, longest: int) -> str:
    """At most so many characters; a cut text ends in an ellipsis."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _shown(character: str) -> str:
    if character.isprintable():
        return character
    code = ord(character)
    escape = f"\\x{code - 0xDC00:02x}" if code in _OCTETS else character.encode("unicode_escape").decode("ascii")
    return f"{ESCAPE[0]}{escape}{ESCAPE[1]}"
