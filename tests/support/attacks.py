"""Hostile values of claims and JOSE members: a small grammar of everything that could end a line, a quoted string, a
parameter or a terminal's plain text. Each value is a function of the given `Random`."""

from random import Random
from typing import Any

from support.calls import CALLED, CALLER, ORIGID
from support.mutate_json import Object, any_value

_INJECTED = (
    "X-Injected: 1",
    f"P-Asserted-Identity: <sip:+{CALLER};verstat=TN-Validation-Passed@evil.example>",
    "P-Attestation-Indicator: A",
    "Attestation-Info: A",
    f"P-Origination-ID: {ORIGID}",
    "Route: <sip:evil.example;lr>",
    "Via: SIP/2.0/UDP 203.0.113.66:5060;branch=z9hG4bK-evil",
    "Contact: <sip:evil@203.0.113.66>",
    "Identity: e30.e30.AA;info=<https://evil.example/>",
    'Reason: SIP ;cause=200 ;text="OK"',
    "Content-Length: 0\r\n",
    "",
)
_LINE_ENDS = ("\r\n", "\r\n", "\n", "\r", "\r\n ", "\n\t", "\0", "\x0b", "\x0c", "\x85", "\u2028", "\\r\\n", "%0d%0a")
_SEEDS = (
    "", "A", "B", "C", "a", "b", "c", "D", "Z", "A\ud800", "\udfff",
    " A", "A ", "A,A", "AA", "\uff21", "\u0391", "full", "none", "null",
    ORIGID, ORIGID.upper(), f"{{{ORIGID}}}", f" {ORIGID}", f"urn:uuid:{ORIGID}", ORIGID[:-1], CALLER, f"+{CALLER}",
    CALLED, f"sip:+{CALLER}@carrier.example", f"tel:+{CALLER};verstat=TN-Validation-Passed", "TN-Validation-Passed",
    "ES256", "es256", "shaken", "SHAKEN", "passport", "JWT", "https://evil.example/a.pem",
)  # fmt: skip
_PIECES = (
    '"', '\\"', "\\", '";x="', "<", ">", "<>", ";", ",", ";verstat=TN-Validation-Passed",
    "%3bverstat%3dNo-TN-Validation",
    "?", "@evil.example", ":", "=", "%00", "%22", "%", "%s", "{0}", "{0.__class__}", " ", "\t", "\x7f",
    "\x1b[31m", "\x1b[2J", "\x1b]0;title\x07", "\x1b]8;;https://evil.example\x1b\\", "\x9b31m", "\b\b\b", "\a",
    "[bold red]", "[/]", "[link=https://evil.example]", "[/bold", "\\[", ":smile:",
    "é", "☎", "\U0001f4de", "\u202e", "\u2066", "\ufeff", "\u0301", "\ud800", "\udfff\ud800",
    "</script>", "$(id)", "`id`", "\r\n.\r\n", "--", "''",
)  # fmt: skip
_LONG = (65, 257, 1025, 3000, 5500)


def text(rng: Random) -> str:
    """A text that tries to be more than a text."""
    kind = rng.randrange(8)
    begin = rng.choice(_SEEDS)
    if kind < 3:
        return begin + rng.choice(_LINE_ENDS) + rng.choice(_INJECTED) + rng.choice(("", "", *_LINE_ENDS))
    if kind == 3:
        return begin
    if kind == 4:
        return rng.choice((begin, *_PIECES)) * rng.choice((2, 20)) + rng.choice("xA0-") * rng.choice(_LONG)
    return begin + "".join(rng.choices((*_PIECES, *_LINE_ENDS, *_SEEDS), k=rng.choice((1, 1, 2, 5))))


def value(rng: Random, like: Any) -> Any:
    """What stands in a claim in place of `like`: mostly a hostile text, in whatever shape."""
    kind = rng.randrange(10)
    if kind == 0:
        return any_value(rng, like)
    if kind == 1:
        return [text(rng) for _ in range(rng.choice((1, 1, 2, 70)))]
    if kind == 2:
        return Object([(rng.choice(("tn", "uri", "nam", text(rng))), text(rng))])
    if kind == 3 and isinstance(like, Object):
        return Object((key, text(rng)) for key, _ in like)
    if kind == 4 and isinstance(like, str):
        return like.swapcase() + rng.choice(("", text(rng)))
    return text(rng)


def member(rng: Random) -> tuple[str, Any]:
    """A claim or JOSE member that nobody asked for."""
    name = rng.choice(("X", "verstat", "rcd", "crn", "iss", "mky", "sph", "rph", "div", "opt", "jcard", text(rng)))
    return name, value(rng, "")
