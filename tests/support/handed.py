"""What the firewall hands over, and what stays in the kernel: for every program that makes the rules."""

_PADDING = "p" * 100
REQUESTS = (
    f"INVITE sip:a@b SIP/2.0 {_PADDING}",
    "ACK sip:a@b SIP/2.0",
    "CANCEL sip:a@b SIP/2.0",
    "invite sip:a@b SIP/2.0",
    f"\r\n\r\nINVITE sip:a@b SIP/2.0 {_PADDING}",
    # What some SIP stack skips in front of the method, or takes for the space behind it.
    *(
        f"{lead}INVITE sip:a@b SIP/2.0 {_PADDING}"
        for lead in ("\0", "\r\n\0", "\x01", "\x08", "\x0b", "\x0c", "\x1b", "\x7f")
    ),
    *(f"INVITE{gap}sip:a@b SIP/2.0" for gap in ("\r\n ", "\n ", "\r ", "\x0b", "\x0c", "\x01", "\0")),
    *(f"\0{method} sip:a@b SIP/2.0 {_PADDING}" for method in ("ACK", "CANCEL")),
    f"\u00a0INVITE sip:a@b SIP/2.0 {_PADDING}",
    f"{' ' * 1200}INVITE sip:a@b SIP/2.0 {_PADDING}",
    "\0INVITE a:b SIP/2.0\nv:SIP/2.0/UDP a\nf:a:b\nt:a:b\ni:a\nCSeq:1 INVITE\n\n",  # hardly an INVITE is shorter
)
OTHERS = (
    "OPTIONS sip:a@b SIP/2.0",
    f"SIP/2.0 200 OK {_PADDING}",
    f"INFO sip:a@b SIP/2.0 {_PADDING}",
    "\r\n\r\n",
    "",
    "\0\0\0\0",
    "\0",
    "jaK\0",
    "\x80\x08RTP",
    "\0\1\0\x08!\x12*B" + "\x10" * 12 + "\0\x03\0\4" + "\0" * 4,  # STUN
)
RESPONSES = tuple(f"SIP/2.0 {status} x" for status in ("101", "180", "199", "200", "486", "603", "699"))
NO_RESPONSES = (
    "SIP/2.0 100 Trying", "SIP/2.0 1", "SIP/2.0 700 x", "sip/2.0 200 OK", "SIP/2.1 200 OK", "SIP/2.0\t200 OK",
)  # fmt: skip
