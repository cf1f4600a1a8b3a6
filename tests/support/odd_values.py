"""Oddities of what header fields say: numbers, URIs, tags, escaped marks, identities that some readers cannot read."""

from itertools import product

from support.odd_base import (
    ATTACKER,
    MARK,
    UNSIGNED,
    VICTIM,
    Change,
    Changes,
    both,
    line_in_front,
    put,
    replace,
    value,
    without,
)
from support.odd_start import uri

_HEX = tuple(range(1, 0x21)) + (0x22, 0x23, 0x2C, 0x3A, 0x3C, 0x3E, 0x5C, 0x7F, 0x80, 0xA0, 0xFF)
_V, _A = VICTIM.encode(), ATTACKER.encode()
NUMBERS = [form.replace(b"N", _V).replace(b"L", _V[1:]) for form in (
    b"sip:N@h", b"sip:+N@h", b"sip:L@h", b"sip:00N@h", b"sip:011N@h", b"sip:%2bN@h", b"sip:%2BN@h", b"sip:++N@h",
    b"sip:+N;x@h",
    b"sip:+N;verstat@h", b"sip:+1-900-555-0123@h", b"sip:+1.900.555.0123@h", b"sip:+1(900)5550123@h",
    b"sip:+1%20900%205550123@h",
    b"sip:N@anonymous.invalid", b"sip:+N@anonymous.invalid", b"sip:%2bN@anonymous.invalid",
    b"sip:N;x@anonymous.invalid",
    b"SIP:N@anonymous.invalid", b"SIP:+N@h", b"sips:+N@h", b"tel:+N", b"tel:N", b"TEL:+N", b"tel:%2bN", b"tel:+N?x",
    b"tel:+N;x",
    b"tel:+1-900-555-0123", b"pres:N@h", b"pres:+N@h", b"im:+N@h", b"http://+N@h", b"sipx:+N@h", b"mailto:+N@h",
    b"sip:+N@a@h",
    b"sip:+N:pw@h", b"sip:+N%00@h", b"sip:+N%01@h", b"sip:+N%0a@h", b"sip:+N%7f@h", b"sip:+N\x00@h", b"sip:+N\x01@h",
    b"sip:+N\xff@h",
    b"sip:+N%20@h", b"sip:+N@h:999999", b"sip:+N@h:", b"sip:+N@", b"sip:+N@[::1]", b"sip:+N@::1", b"sip:+N@%68",
    b"sip:+N%40h",
    b"sip:+N%40h@h", b"sip:%31%39005550123@h", b"sip:+19005550%31%32%33@h", b"sip:+N%3bx@h",
    b"sip:+N%3bphone-context%3d+1@h",
    b"sip:+N*1@h", b"sip:+N#1@h", b"sip:+N,1@h", b"sip:+N!x@h", b"sip:+N/x@h", b"sip:+N&x@h", b"sip:+N=x@h",
    b"sip:+N$x@h",
    b"sip:+N;ext=1@h", b"sip:+N;isub=1@h", b"sip:+N;npdi;rn=+12155550100@h", b"sip:+N@h;user=phone",
    b"sip:+N@h?From=%3csip:1@h%3e",
    b"sip:a@+N", b"sip:+N", b"+N", b"N", b"<sip:+N@h>", b"sip: +N@h", b"sip:+N @h", b"sip:\t+N@h", b"sip:+N@h ;x",
    b"sip::+N@h",
    b"sip://+N@h", b"sip:;+N@h", b"sip:+N;@h", b"sip:anonymous@anonymous.invalid", b"sip:+%4eN@h", b"sip:\xd9\xa1N@h",
    b"sip:\xef\xbc\x91N@h",
)]  # fmt: skip
CONTEXTS = [form.replace(b"L", _V[1:]).replace(b"N", _V) for form in (
    b"sip:L;phone-context=+49@h;user=phone", b"sip:L;phone-context=+1@h;user=phone", b"tel:L;phone-context=+49",
    b"tel:L;phone-context=+1",
    b"sip:L;phone-context=h@h", b"sip:L;phone-context=h.example@h;user=phone", b"sip:L;PHONE-CONTEXT=+49@h;user=phone",
    b"sip:L;phone%2dcontext=+49@h;user=phone", b"sip:L;phone-context=%2b49@h;user=phone",
    b"sip:L%3bphone-context=+49@h;user=phone",
    b"sip:L@h;phone-context=+49;user=phone", b"sip:+N;phone-context=+49@h;user=phone", b"tel:+N;phone-context=+49",
    b"sip:L;phone-context=+1;phone-context=+49@h;user=phone", b"sip:L;x=1;phone-context=+44@h;user=phone",
    b"tel:L;phone-context=",
    b"sip:L;phone-context@h;user=phone", b'tel:L;phone-context="+1"', b"sip:L;phone-context=+1 @h",
    b"sip:N;phone-context=+1@h",
)]  # fmt: skip
FRAMES = {
    "brackets": (b"<", b">;tag=f1"), "name": (b'"A" <', b">;tag=f1"), "bare": (b"", b";tag=f1"), "blanks": (b"< ",
    b" >;tag=f1"),
    "token name": (b"A B <", b">;tag=f1"),
}  # fmt: skip


def named(form: bytes, frame: tuple[bytes, bytes], line: str) -> bytes:
    before, after = frame
    return before + form + (after if line == "From" else after.removesuffix(b";tag=f1"))


def numbers() -> Changes:
    """The victim's number in From, in P-Asserted-Identity, and in both, in all forms."""
    for form in (*NUMBERS, *CONTEXTS):
        for shown, frame in FRAMES.items():
            yield (
                f"From is {form!r}, {shown}, alone",
                both(without("P-Asserted-Identity"), put("From", named(form, frame, "From"))),
            )
        yield f"From is {form!r}", put("From", named(form, FRAMES["brackets"], "From"))
        yield f"P-Asserted-Identity is {form!r}", put("P-Asserted-Identity", named(form, FRAMES["brackets"], "PAI"))
        both_are = both(
            put("From", named(form, FRAMES["brackets"], "From")), put("P-Asserted-Identity", b"<" + form + b">")
        )
        yield f"both are {form!r}", both_are
    for byte in _HEX:
        for shown, new in ((f"{byte:02x}", bytes([byte])), (f"%{byte:02x}", b"%%%02x" % byte)):
            for where, form in (("behind", b"sip:+" + _V + new + b"@h"), ("in front",
            b"sip:" + new + b"+" + _V + b"@h"), ("behind a", b"sip:+" + _A + new + _V + b"@h")):  # fmt: skip
                yield (
                    f"{shown} {where} the number of From",
                    both(without("P-Asserted-Identity"), put("From", b"<" + form + b">;tag=f1")),
                )
                yield (
                    f"{shown} {where} the number of P-Asserted-Identity",
                    put("P-Asserted-Identity", b"<" + form + b">"),
                )


_PAI = [form.replace(b"A", _A).replace(b"V", _V) for form in (
    b"<sip:+A@h>", b"sip:+A@h", b"<tel:+A>", b"tel:+A", b"<sip:+A@h>;a=b", b"<sip:+A@h> ;a=b", b"<sip:+A@h>;a",
    b"<sip:+A@h>;", b"<sip:+A@h>;;a=b",
    b"<sip:+A@h>,", b",<sip:+A@h>", b"<sip:+A@h>,,<tel:+A>", b"<sip:+A@h>, <tel:+A>", b"<tel:+A>, <sip:+A@h>",
    b"<sip:+A@h>, <sip:+V@h>",
    b"<sip:+V@h>, <sip:+A@h>", b"<tel:+V>, <sip:+A@h>", b"<sip:+A@h>, <tel:+V>", b"<sip:+A@h> <sip:+V@h>",
    b"<sip:+A@h>;<sip:+V@h>",
    b"\xc3\xa9 <sip:+A@h>", b"\xe9 <sip:+A@h>", b"a/b <sip:+A@h>", b"a(b) <sip:+A@h>", b"a=b <sip:+A@h>",
    b"a,b <sip:+A@h>", b"a;b <sip:+A@h>",
    b"a@b <sip:+A@h>", b"a:b <sip:+A@h>", b"a? <sip:+A@h>", b'"a <sip:+A@h>', b'"a" b <sip:+A@h>', b'"a\\" <sip:+A@h>',
    b'"a\\\\" <sip:+A@h>',
    b'""<sip:+A@h>', b'"a"<sip:+A@h>', b"a<sip:+A@h>", b'"<sip:+V@h>" <sip:+A@h>', b'"\xc3\xa9" <sip:+A@h>',
    b'"\xff" <sip:+A@h>', b"'a' <sip:+A@h>",
    b"[a] <sip:+A@h>", b"{a} <sip:+A@h>", b"\\ <sip:+A@h>", b"<sip:+A@[::1]>", b"<sip:+A@::1>", b"<sip:+A@[>",
    b"<sip:+A@h:99999>", b"<sip:+A@h:0>",
    b"<sip:+A@h:>", b"<sip:+A@h:5060:5060>", b"<sip:+A@h;;a=b>", b"<sip:+A@h;a==b>", b"<sip:+A@h;=b>",
    b"<sip:+A@h;a=%ZZ>", b"<sip:+A%ZZ@h>",
    b"<sip:+A@h;a=[>", b"<sip:+A@h;a={>", b"<sip:+A@h;a=\xff>", b"<sip:+A;cpc=ordinary@h>", b"<sip:+A;isup-oli=0@h>",
    b"<sip:+A@h;cpc=ordinary;user=phone>",
    b"<sip:+A@h", b"sip:+A@h>", b"<<sip:+A@h>>", b"< sip:+A@h>", b"<sip:+A@h >", b"<sip:+A@h\r\n >",
    b"<\r\n sip:+A@h>", b"<sip:+A@h?a=b>", b"<sip:+A@h?a>",
    b"<sip:+A@h?>", b"<SIP:+A@h>", b"<sips:+A@h>", b"<sip:+A@h_x>", b"<sip:+A@h..x>", b"<sip:+A@-h>", b"<sip:+A@h.>",
    b"<sip:+A@192.0.2.999>", b"<sip:+A@1.2>",
    b"<sip:+A@\xc3\xa9>", b"<sip:+A@h%2e>", b"<sip:+A{@h>", b"<sip:+A[@h>", b"<sip:+A`@h>", b"<sip:+A^@h>",
    b"<sip:+A;a`@h>", b"<sip:+A@h;a=`>", b"<tel:+A;`>", b"<sip:+A|@h>", b'<sip:+A"@h>', b"<sip:+A\\@h>",
    b"<sip:+A#@h>", b"<sip:+A;a b@h>", b"<sip:+A@h> a", b"<sip:+A@h>(a)", b"(a)<sip:+A@h>", b"<sip:+A@h>\0",
    b"\0<sip:+A@h>", b"<sip:+A@h>;a=\"", b"<sip:+A@h>;a=\"b\"",
    b'<sip:+A@h>;a="b,c"', b"<sip:+A@h>;tag=1", b"<sip:+A@h>;verstat=No-TN-Validation", b"<sip:+A@h>;a=b;a=c",
    b"<urn:x>, <sip:+A@h>", b"<http://h>, <sip:+A@h>",
    b"<mailto:a@h>, <tel:+A>", b"*, <sip:+A@h>", b"<>, <sip:+A@h>", b"<sip:h>, <sip:+A@h>", b"<sip:a@h>, <sip:+A@h>",
    b"<sip:+A@V>", b"<sip:+A:V@h>",
    b"<sip:+A@h;user=phone>", b"<sip:A@h;user=phone>", b"<sip:2155550100@h>", b"<sip:+1-215-555-0100@h>",
    b"<sip:+1(215)5550100@h>", b"<sip:+1%32155550100@h>",
    b"<sip:%2bA@h>", b"<tel:+1-215-555-0100>", b"<tel:2155550100;phone-context=+1>", b"<tel:A;phone-context=h>",
    b"<sip:+A@h>" + b" " * 300, b"sip:+A@h;a=b",
    b'"' + b"a" * 300 + b'" <sip:+A@h>', b'"' + b"a" * 2000 + b'" <sip:+A@h>', b"<sip:+A@" + b"h" * 300 + b">",
    b"<sip:+A;x=" + b"y" * 300 + b"@h>",
    b"<sip:+A@h;x=" + b"y" * 2000 + b">", b'"a\r\n b" <sip:+A@h>', b"a\tb <sip:+A@h>", b"a\x01b <sip:+A@h>",
    b"a\x7fb <sip:+A@h>", b'"a\x00b" <sip:+A@h>',
)]  # fmt: skip


def asserted() -> Changes:
    """Identities that some readers cannot read: they then take From, which is the victim."""
    for form in _PAI:
        yield repr(form[:60]), put("P-Asserted-Identity", form)
        yield (
            f"{form[:60]!r} with a mark",
            put("P-Asserted-Identity", form.replace(b"@h", b";verstat=" + MARK.encode() + b"@h", 1)),
        )
        yield (
            f"{form[:60]!r} in front of another line",
            line_in_front("P-Asserted-Identity", b"P-Asserted-Identity: " + form + b"\r\n"),
        )
    for form in _PAI[:40]:
        yield (
            f"From is {form[:60]!r}",
            both(put("From", form + b";tag=f1"), put("P-Asserted-Identity", b"<sip:anonymous@anonymous.invalid>")),
        )


_TO = value(UNSIGNED, "To")
_TAGS = (
    b";tag=a", b"; tag=a", b";\ttag=a", b";\r\n tag=a", b"\r\n ;tag=a", b" ;tag=a", b"\t;tag=a", b";tag =a",
    b";tag= a", b";tag = a", b";tag\t=a", b";tag=\r\n a",
    b";TAG=a", b";Tag=a", b";%74ag=a", b";t%61g=a", b";tag%3da", b"%3btag=a", b';tag="a"', b';tag=""', b";tag=",
    b";tag", b";tag;x", b";x;tag=a", b";x=;tag=a",
    b';x=";tag=a', b';x=";tag=a"', b';x="\\";tag=a"', b";;tag=a", b";tag=a;tag=b", b";tag==a", b",;tag=a", b"tag=a",
    b" tag=a", b"?tag=a", b"&tag=a", b";tag=a,b",
    b";tag=a b", b";tag=\0a", b";tag\0=a", b";\0tag=a", b"\0;tag=a", b";\xa0tag=a", b";tag=\xff", b";\x0btag=a",
    b";xtag=a", b";tagx=a", b";tag=a\0", b";tag=%61",
    b";tag='a'", b";tag=<a>", b";<tag=a>", b";tag=a>", b">;tag=a", b";(c)tag=a", b";tag(c)=a", b";tag:a", b";tag=[a]",
    b";tag=a@b", b";tag=" + b"a" * 300, b";tag=\\a",
)  # fmt: skip


def tags() -> Changes:
    """To with a tag that not every reader finds, and From with an odd one."""
    for tag in _TAGS:
        yield f"To ends with {tag[:40]!r}", put("To", _TO + tag)
        yield f"bare To ends with {tag[:40]!r}", put("To", _TO.strip(b"<>") + tag)
        yield f"bare URN in To ends with {tag[:40]!r}", put("To", b"urn:service:sos" + tag)
        yield f"To has {tag[:40]!r} in its URI", put("To", _TO[:-1] + tag + b">")
        yield f"To has {tag[:40]!r} in its user part", put("To", _TO.replace(b"@", tag + b"@"))
        yield f"To has {tag[:40]!r} in its name", put("To", b'"a' + tag + b'" ' + _TO)
        yield f"To has {tag[:40]!r} in a bare name", put("To", b"a" + tag + b" " + _TO)
        yield f"From ends with {tag[:40]!r}", put("From", value(UNSIGNED, "From").partition(b";")[0] + tag)
    for to in (
        b"",
        b"<>",
        b"*",
        b"<sip:>",
        b"sip:",
        b"a",
        b'"',
        b"<",
        b">",
        b"\0",
        b"<sip:a@b>, <sip:c@d>;tag=a",
        b"<sip:a@b>;tag=a, <sip:c@d>",
    ):
        yield f"To is {to!r}", put("To", to)


_NAME = b"verstat"


def spellings() -> list[bytes]:
    """The parameter as readers that undo escapes, drop bytes or ignore case may read it."""
    found = [b";verstat=", b";VERSTAT=", b";Verstat=", b";verstat%3d", b";verstat%3D", b"%3bverstat=",
    b"%3Bverstat%3D", b";%76%65%72%73%74%61%74=",
             b"%3b%76%65%72%73%74%61%74%3d", b";verstat%253d", b"%253bverstat=", b"; verstat=", b";verstat =",
             b";verstat= ", b";\tverstat=", b";verstat\0=",
             b";\0verstat=", b";ver\0stat=", b";verstat==", b";;verstat=", b";x;verstat=", b";verstat;verstat=",
             b";verstat=x;verstat=", b';verstat="',
             b";verstat%20=", b";%20verstat=", b";verstat%00=", b";%09verstat=", b";verstat%3d%3d",
             b"%3bverstat%20%3d", b";verstat=%22", b"?verstat=",
             b"?verstat%3d", b"&verstat=", b",verstat=", b":verstat=", b";v\xe9rstat=", b"\r\n ;verstat=",
             b";\r\n verstat=", b";verstat\r\n =", b";verstat=\r\n ",
             b";verstat\x0b=", b";\x0bverstat=", b"\x3b\xa0verstat=", b";%u0076erstat=", b";verst\xc4\x81t=",
             b";ver-stat=", b"%3b%3bverstat=", b";a=b%3bverstat=",
             b";a=b%3bverstat%3d", b';a="b";verstat=', b';a="%3bverstat=']  # fmt: skip
    for at, letter in enumerate(_NAME):
        for escape in (b"%%%02x" % letter, b"%%%02X" % (letter - 32), b"%%25%02x" % letter):
            found.append(b";" + _NAME[:at] + escape + _NAME[at + 1 :] + b"=")
            found.append(b"%3b" + _NAME[:at] + escape + _NAME[at + 1 :] + b"%3d")
    return found


_FIELDS = (
    "P-Asserted-Identity", "From", "To", "Contact", "P-Preferred-Identity", "Remote-Party-ID", "Diversion",
    "History-Info", "Request-URI", "P-Called-Party-ID",
    "Referred-By", "P-Served-User",
)  # fmt: skip
_PLACES = {
    "user part": b"<sip:+%(n)%(p)@h>", "URI": b"<sip:+%(n)@h%(p)>", "header field": b"<sip:+%(n)@h>%(p)",
    "bare": b"sip:+%(n)@h%(p)", "tel": b"<tel:+%(n)%(p)>",
    "name": b"a%(p) <sip:+%(n)@h>", "quoted name": b'"a%(p)" <sip:+%(n)@h>', "broken name": b'"a" %(p)" <sip:+%(n)@h>',
    "URI header": b"<sip:+%(n)@h?a=b%(p)>",
}  # fmt: skip


def marks() -> Changes:
    """The mark in every spelling at every place."""
    for spelling, field in product(spellings(), _FIELDS):
        for place, form in _PLACES.items():
            number = _A if field == "P-Asserted-Identity" else _V
            written = form.replace(b"%(n)", number).replace(b"%(p)", spelling + MARK.encode())
            yield f"{spelling!r} in the {place} of {field}", _marked(field, place, written)


def _marked(field: str, place: str, written: bytes) -> Change:
    plain = _without_marks
    if field == "Request-URI":
        return both(plain, uri(written.strip(b"<>").replace(_V, b"12155550199").replace(b"@h", b"@192.0.2.1")))
    if field == "From":
        return both(plain, put("From", written + b";tag=f1"))
    if field in ("P-Asserted-Identity", "To", "Contact"):
        return both(plain, put(field, written))
    return both(plain, line_in_front("Contact", field.encode() + b": " + written + b"\r\n"))


def _without_marks(message: bytes) -> bytes:
    return without("P-Attestation-Indicator")(replace(b";verstat=" + MARK.encode(), b"")(message))


_CSEQ = (
    b"1 ACK", b"1 invite", b"1 Invite", b"1  INVITE", b"1\tINVITE", b"1INVITE", b" 1 INVITE", b"01 INVITE",
    b"-1 INVITE", b"+1 INVITE", b"0 INVITE",
    b"2147483648 INVITE", b"4294967295 INVITE", b"4294967296 INVITE", b"99999999999999999999 INVITE", b"1 %49NVITE",
    b"1 INVITE ", b"1 INVITE;a", b"1 INVITE a", b"1",
    b"INVITE", b"INVITE 1", b"1\r\n INVITE", b"1 INVITE\0", b"1\0 INVITE", b"1.0 INVITE", b"0x1 INVITE", b"1 OPTIONS",
    b"1 CANCEL", b"1 INVITEX", b"1,INVITE", b"1 \xff",
)  # fmt: skip
_CALL_IDS = (
    b"a b",
    b"a@b@c",
    b"<a>",
    b'"a"',
    b"\xff",
    b"a;b",
    b"a,b",
    b"@",
    b"a\0b",
    b"a\tb",
    b"(a)",
    b"a" * 300,
    b"a" * 3000,
    b"%00",
    b"[a]",
    b"a\\b",
    b"{a}",
)
_VIAS = (
    b"SIP/2.0/UDP 192.0.2.7", b"SIP/2.0/UDP 192.0.2.7;branch=x", b"SIP / 2.0 / UDP 192.0.2.7;branch=z9hG4bKx",
    b"SIP/2.0/UDP  192.0.2.7 ;branch=z9hG4bKx", b"SIP/2.0/udp 192.0.2.7;branch=z9hG4bKx",
    b"sip/2.0/UDP 192.0.2.7;branch=z9hG4bKx", b"SIP/2.0/TCP 192.0.2.7;branch=z9hG4bKx",
    b"SIP/2.0/XXX 192.0.2.7;branch=z9hG4bKx", b"SIP/1.0/UDP 192.0.2.7;branch=z9hG4bKx",
    b"SIP/2.0/UDP 192.0.2.7 : 5060;branch=z9hG4bKx", b"SIP/2.0/UDP [::1];branch=z9hG4bKx",
    b"SIP/2.0/UDP ::1;branch=z9hG4bKx", b"SIP/2.0/UDP 192.0.2.7;branch", b"SIP/2.0/UDP 192.0.2.7;branch=",
    b"SIP/2.0/UDP 192.0.2.7;;branch=z9hG4bKx", b"SIP/2.0/UDP 192.0.2.7;branch=z9hG4bKx;",
    b"SIP/2.0/UDP 192.0.2.7;branch=z9hG4bKx,", b"SIP/2.0/UDP h_x;branch=z9hG4bKx", b"SIP/2.0/UDP \xff;branch=z9hG4bKx",
    b"SIP/2.0/UDP 192.0.2.7:99999;branch=z9hG4bKx", b"SIP/2.0/UDP 192.0.2.7:;branch=z9hG4bKx",
    b"SIP/2.0/UDP 192.0.2.7(c);branch=z9hG4bKx", b"SIP/2.0/UDP 192.0.2.7;branch=\"z9hG4bKx\"",
    b"SIP/2.0/UDP\r\n 192.0.2.7;branch=z9hG4bKx",
    b"SIP/2.0/UDP 192.0.2.7;rport;branch=z9hG4bKx", b"SIP/2.0/UDP 192.0.2.7;received=192.0.2.8;branch=z9hG4bKx",
    b"SIP/2.0/UDP 192.0.2.7;maddr=192.0.2.7;branch=z9hG4bKx", b"SIP/2.0/UDP 192.0.2.7;ttl=1;branch=z9hG4bKx",
    b"UDP 192.0.2.7;branch=z9hG4bKx", b"SIP/2.0 192.0.2.7;branch=z9hG4bKx", b"SIP/2.0/UDP",
    b"SIP/2.0/UDP ;branch=z9hG4bKx", b"SIP/2.0/UDP 192.0.2.7;branch=z9hG4bKx a",
    b"SIP/2.0/UDP 192.0.2.7 a;branch=z9hG4bKx",
)  # fmt: skip
_FORWARDS = (
    b"0",
    b"-1",
    b"256",
    b"999",
    b"99999999999",
    b"a",
    b"70 ",
    b" 70",
    b"070",
    b"70;a",
    b"70,70",
    b"7 0",
    b"0x46",
    b"+70",
    b"70.0",
    b"70\0",
    b"%37%30",
)
_LATER = (
    *(b"Via: SIP/2.0/UDP h" + tail for tail in (
        b";branch=z9hG4 bK", b";;", b";", b";x=", b";x==", b";x=a=b", b";branch", b";branch=", b";i", b";alias=x",
        b";x=\"a", b";x=\"a,b\"", b";x=\"a\\\"b\"", b";x=a,", b";x , SIP/2.0/UDP h", b",SIP/2.0/UDP h;x y", b";(x)",
    )),
    b"Retry-After: x", b"Retry-After: 1 x", b"Retry-After: 120",
    b"To\n: <sip:+12155550199@sbc.example>", b"%54o: <sip:+12155550199@sbc.example>",
)  # fmt: skip


def others() -> Changes:
    for line, forms in (("CSeq", _CSEQ), ("Call-ID", _CALL_IDS), ("Via", _VIAS), ("Max-Forwards", _FORWARDS)):
        yield from ((f"{line} is {form[:60]!r}", put(line, form)) for form in forms)
    for later in _LATER:
        yield f"{later!r} behind all others", line_in_front("Content-Length", later + b"\r\n")
