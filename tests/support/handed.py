"""What the firewall hands over, and what stays in the kernel: for every program that makes the rules."""

_PADDING = "p" * 100
REQUESTS = (
    f"INVITE sip:a@b SIP/2.0 {_PADDING}",
    "ACK sip:a@b SIP/2.0",
    "CANCEL sip:a@b SIP/2.0",
    "invite sip:a@b SIP/2.0",
    f"\r\n\r\nINVITE sip:a@b SIP/2.0 {_PADDING}",
)
OTHERS = (
    "OPTIONS sip:a@b SIP/2.0",
    f"SIP/2.0 200 OK {_PADDING}",
    f"INFO sip:a@b SIP/2.0 {_PADDING}",
    "\r\n\r\n",
    "",
    "\0\0\0\0",
    "\x80\x08RTP",
)
RESPONSES = tuple(f"SIP/2.0 {status} x" for status in ("101", "180", "199", "200", "486", "603", "699"))
NO_RESPONSES = (
    "SIP/2.0 100 Trying", "SIP/2.0 1", "SIP/2.0 700 x", "sip/2.0 200 OK", "SIP/2.1 200 OK", "SIP/2.0\t200 OK",
)  # fmt: skip
