"""Messages in the spirit of RFC 4475 and RFC 5118, short and our own: name -> (what is wrong with it, message).

The first is the `Detail` for which it is unparseable once it is an INVITE, "in-dialog" where its To has a
tag, None where it can be read.
"""

_BASE = """\
INVITE sip:+12155550199@192.0.2.1 SIP/2.0
Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK-1
Max-Forwards: 70
From: <sip:+12155550100@carrier.example>;tag=f1
To: <sip:+12155550199@sbc.example>
Call-ID: call-1@carrier.example
CSeq: 1 INVITE
Content-Length: 0

"""


def _but(*changes: tuple[str, str], behind: str = "") -> bytes:
    """The plain message with lines exchanged: (how the old line begins, the new lines)."""
    text = _BASE
    for begins, new in changes:
        start = text.index(begins) if text.startswith(begins) else text.index("\n" + begins) + 1
        end = text.index("\n", start) + 1
        text = text[:start] + (new + "\n" if new else "") + text[end:]
    return (text + behind).replace("\n", "\r\n").encode("utf-8", "surrogateescape")


MESSAGES: dict[str, tuple[str | None, bytes]] = {
    "folded-tag": ("in-dialog", _but(("To", "TO :\n <sip:+12155550199@h> ;\n   tag\t= 1918n"))),
    "compact-folded": (
        None,
        _but(
            ("Via", "v:\n SIP  / 2.0\n /UDP\n 192.0.2.2;branch=b\nv  : SIP / 2.0/TCP spindle.example ;\n branch = c"),
            ("From", 'f\t: "J Rosenberg \\\\\\""   <sip:+12155550100@carrier.example>\n ;\n tag = 98asj'),
            ("To", "t: sip:+12155550199@sbc.example"),
            ("Call-ID", "i: 1"),
            ("CSeq", "CSeq: 0009\n INVITE"),
            ("Content-Length", "s:\nNewFangled:   new\n\tand more; x y , # | <\nl: 0"),
        ),
    ),
    "escapes": (None, _but(("INVITE", "INVITE sip:%2B%31%32155550199%40x@192.0.2.1;%6Cr;n%61me=v%61lue SIP/2.0"))),
    "nul-escaped": (None, _but(("To", "To: sip:null-%00-null@sbc.example"))),
    "punctuation-method": (
        None,
        _but(("INVITE", "!.%*_+`'~-01 sip:1_unusual.URI~(x)&=+$,/;t'=\"@h SIP/2.0"), ("CSeq", "CSeq: 1 !.%*_+`'~-01")),
    ),
    "long": (
        None,
        _but(
            (
                "Max-Forwards",
                f"Max-Forwards: 70\nX-{'a' * 3000}: {'v' * 9000}\nVia: {'SIP/2.0/TCP h,' * 90} SIP/2.0/TCP h",
            )
        ),
    ),
    "many-headers": ("header-syntax", _but(("Max-Forwards", "\n".join(f"X-{at}: {at}" for at in range(900))))),
    "bare-lf": (None, _but().replace(b"\r\n", b"\n")),
    "mixed-line-ends": (None, _but().replace(b"\r\nTo", b"\nTo").replace(b"\r\n\r\n", b"\n\n")),
    "leading-line-ends": (None, b"\r\n\r\n" + _but()),
    "utf-8-and-worse": (None, _but(("Max-Forwards", "Subject: \u0434\u0430 \U0001f4de \udcff\udcfe\x01\x7f"))),
    "unknown-scheme": (
        None,
        _but(("INVITE", "INVITE nobodyKnowsThis:totallyopaquecontent SIP/2.0"), ("To", "To: <isbn:2983792873>")),
    ),
    "headers-in-the-uri": (None, _but(("INVITE", "INVITE sip:+12155550199@h?Route=%3Csip:x.example%3E SIP/2.0"))),
    "no-branch": (None, _but(("Via", "Via: SIP/2.0/UDP 192.0.2.7"))),
    "no-content-length": (None, _but(("Content-Length", ""))),
    "bad-date": (None, _but(("Max-Forwards", "Date: Fri, 01 Jan 2010 16:00:00 EST"))),
    "huge-max-forwards": (None, _but(("Max-Forwards", f"Max-Forwards: {'9' * 5000}"))),
    "trailing-bytes": (None, _but(behind="INVITE sip:joe@h SIP/2.0\nt: <sip:x@y>;tag=1\n\n")),
    "weird-body": (
        None,
        _but(("Content-Length", 'Content-Type: multipart/mixed;boundary="--"\nContent-Length: 6'), behind="\0\n--\n"),
    ),
    "tag-in-quotes": (None, _but(("To", 'To: ";tag=1" <sip:+12155550199@h;tag=2>;x=";tag=3"'))),
    "no-to": ("header-missing", _but(("To", ""))),
    "nothing-there": ("header-missing", _but(*((name, "") for name in ("Via", "From", "To", "Call-ID", "CSeq")))),
    "double-to": ("header-repeated", _but(("To", "To: <sip:a@b>\nt: <sip:c@d>;tag=1"))),
    "double-everything": ("header-repeated", _but(("CSeq", "CSeq: 1 INVITE\nCSeq: 2 INVITE\ni: 2\nf: <sip:x@y>"))),
    "open-quote": ("address-syntax", _but(("To", 'To: "Mr. J. User <sip:j.user@example.com>'))),
    "two-in-to": ("address-syntax", _but(("To", "To: <sip:a@b>, <sip:c@d>"))),
    "angle-open": ("address-syntax", _but(("To", "To: <sip:a@b"))),
    "comma-behind": ("address-syntax", _but(("To", "To: <sip:a@b>,"))),
    "negative-length": ("content-length", _but(("Content-Length", "Content-Length: -999"))),
    "length-too-large": ("content-length", _but(("Content-Length", "Content-Length: 9999"))),
    "length-huge": ("content-length", _but(("Content-Length", f"Content-Length: {'9' * 5000}"))),
    "length-words": ("content-length", _but(("Content-Length", "Content-Length: 0x0"))),
    "cseq-33-bits": ("cseq", _but(("CSeq", "CSeq: 4294967296 INVITE"))),
    "cseq-huge": ("cseq", _but(("CSeq", f"CSeq: {'3' * 5000} INVITE"))),
    "cseq-no-method": ("cseq", _but(("CSeq", "CSeq: 1"))),
    "cseq-other-method": ("cseq", _but(("CSeq", "CSeq: 1 NEWMETHOD"))),
    "two-spaces": ("start-line", _but(("INVITE", "INVITE  sip:+12155550199@192.0.2.1 SIP/2.0"))),
    "space-behind": ("start-line", _but(("INVITE", "INVITE sip:+12155550199@192.0.2.1 SIP/2.0 "))),
    "brackets": ("start-line", _but(("INVITE", "INVITE <sip:+12155550199@192.0.2.1> SIP/2.0"))),
    "space-in-the-uri": ("start-line", _but(("INVITE", "INVITE sip:a@b; lr SIP/2.0"), ("To", "To: <sip:a@b>;tag=1"))),
    "other-version": ("start-line", _but(("INVITE", "INVITE sip:+12155550199@192.0.2.1 SIP/7.0"))),
    "huge-version": ("start-line", _but(("INVITE", "INVITE sip:a@b SIP/18446744073709551616.2"))),
    "no-colon": ("header-syntax", _but(("Max-Forwards", "Max-Forwards 70"))),
    "name-with-spaces": ("header-syntax", _but(("Max-Forwards", "Max Forwards: 70"))),
    "continuation-first": ("header-syntax", _but(("Via", " Via: SIP/2.0/UDP h\nVia: SIP/2.0/UDP h"))),
    "no-blank-line": ("no-blank-line", _but()[:-4]),
    "ends-with-the-headers": (None, _but()[:-2]),
    # RFC 5118
    "ipv6": (
        None,
        _but(
            ("INVITE", "INVITE sip:+12155550199@[2001:db8::10] SIP/2.0"),
            ("Via", "Via: SIP/2.0/UDP [2001:db8::9:1];branch=b"),
        ),
    ),
    "ipv6-port-or-not": (
        None,
        _but(("INVITE", "INVITE sip:[2001:db8::10:5070] SIP/2.0"), ("Via", "Via: SIP/2.0/UDP [2001:db8::9:1]:5070")),
    ),
    "ipv6-received": (None, _but(("Via", "Via: SIP/2.0/UDP [2001:db8::9:1];received=[2001:db8::9:255];branch=b"))),
    "ipv6-received-bare": (None, _but(("Via", "Via: SIP/2.0/UDP [2001:db8::9:1];received=2001:db8::9:255;branch=b"))),
    "ipv6-mapped": (
        None,
        _but(("Via", "Via: SIP/2.0/UDP [::ffff:192.0.2.10]:19823;branch=b\nVia: SIP/2.0/UDP 192.0.2.1")),
    ),
    "ipv6-three-colons": (None, _but(("INVITE", "INVITE sip:u@[2001:db8:::192.0.2.1] SIP/2.0"))),
}

# What an untrusted peer's message is once it is repaired, where that differs.
REPAIRED: dict[str, str | None] = {
    "two-spaces": None,
    "space-behind": None,
    "brackets": None,
    "other-version": None,
    "huge-version": None,
    "continuation-first": "start-line",
}
# Those that are repaired but can be read as they came, too.
SLOPPY = {
    "folded-tag", "compact-folded", "bare-lf", "mixed-line-ends", "trailing-bytes", "weird-body",
    "ends-with-the-headers", *REPAIRED,
}  # fmt: skip
TAGGED = {"space-in-the-uri"}  # unreadable, but nobody overlooks the tag of its To

# Broken where nothing of ours looks: STANDARDS §17 and §18 want them passed all the same.
OVERLOOKED: dict[str, bytes] = {
    "open-quote-in-from": _but(("From", 'From: "Bell, Alexander" <sip:a@b>;tag="43')),
    "no-from": _but(("From", "From:")),
    "ipv6-no-brackets": _but(("INVITE", "INVITE sip:2001:db8::10 SIP/2.0")),
}

OTHERS: dict[str, bytes] = {
    "code-huge": _but(("INVITE", "SIP/2.0 4294967301 better not break the receiver")),
    "code-100-utf-8": _but(("INVITE", "SIP/2.0 200 = 2**3 * 5**2 \u043d\u043e")),
    "no-reason": _but(("INVITE", "SIP/2.0 100 ")),
    "cseq-scalar": _but(("INVITE", "SIP/2.0 503 x"), ("CSeq", "CSeq: 9292394834772304023312 OPTIONS")),
    "two-requests": _but(("INVITE", "REGISTER sip:h SIP/2.0"), ("CSeq", "CSeq: 8 REGISTER"), behind=_BASE),
    "not-register": _but(("INVITE", "RE%47IST%45R sip:h SIP/2.0"), ("CSeq", "CSeq: 8 RE%47IST%45R")),
    "ack-no-to": _but(("INVITE", "ACK sip:h SIP/2.0"), ("CSeq", "CSeq: 8 ACK"), ("To", "")),
    "ack-open-quote": _but(("INVITE", "ACK sip:h SIP/2.0"), ("CSeq", "CSeq: 1 ACK"), ("To", 'To: "x <sip:a@b>')),
    "cancel-no-via": _but(("INVITE", "CANCEL sip:h SIP/2.0"), ("CSeq", "CSeq: 1 CANCEL"), ("Via", "")),
    "cancel-odd-via": _but(("INVITE", "CANCEL sip:h SIP/2.0"), ("CSeq", "CSeq: 1 CANCEL"), ("Via", "Via: x")),
    "cancel-odd-from": _but(("INVITE", "CANCEL sip:h SIP/2.0"), ("CSeq", "CSeq: 1 CANCEL"), ("From", "From: <")),
}

STRAY_SEPARATORS = _but(("Via", "Via: SIP/2.0/UDP 192.0.2.15;;,;,,"), ("To", 'To: "Joe" <sip:joe@h>;;;;'))
"""RFC 4475 §3.1.2.1."""
