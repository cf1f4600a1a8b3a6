"""The P-Asserted-Identity that the SBC gets to see of an untrusted peer's call: the caller that was verified.

SIP stacks differ in what they can read. One that cannot read a P-Asserted-Identity takes the caller from another, or
from From, and would show a number that was not verified. So there is one form that all of them read alike. A value in
this form stays as it is; any other is written again, and what is not plain in it is left out. From is never edited: it
comes back in every response and later request (S-113).
"""

import re
from functools import lru_cache
from ipaddress import ip_address
from urllib.parse import unquote_to_bytes

from sbc_filter.engine.call.call import IncomingCall, Party
from sbc_filter.errors import MessageError
from sbc_filter.sip import field
from sbc_filter.sip.field import HeaderField
from sbc_filter.sip.grammar import SIP_URI, TEL_URI
from sbc_filter.sip.message import Header, SipMessage

PAI = b"p-asserted-identity"
LONGEST = 200  # octets of a plain value: some stacks read 255, and the result of verification has to fit in as well
_WORD = rb"[A-Za-z0-9.!*_+`'~-]+"
_URI_WORD = rb"[A-Za-z0-9.!*_+'~-]+"  # a token may have a backquote, a URI may not: PJSIP and JsSIP do not read it
_PARAMETER = _URI_WORD + rb"(?:=" + _URI_WORD + rb")?"
_PARAMETERS = rb"((?:;" + _PARAMETER + rb")*)"
_HOST = rb"([A-Za-z0-9]+(?:(?:-+|\.)[A-Za-z0-9]+)*|\[[0-9A-Fa-f:.]+\])"
_PORT = rb"(?::(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}))?"
_SIP = rb"sips?:(\+?[A-Za-z0-9][A-Za-z0-9_.~-]*)" + _PARAMETERS + rb"@" + _HOST + _PORT + _PARAMETERS
_NAME_ADDR = (
    rb" *(?:\"[ !#-;=?-\[\]-~\x80-\xff]*\" *|(?:" + _WORD + rb" +)*)"
    rb"<(?:" + _SIP + rb"|tel:\+[0-9]+" + _PARAMETERS + rb")>"
)
# Groups: user, its parameters, host, parameters of the URI, those of a tel URI.
_ASSERTED = re.compile(_NAME_ADDR + rb"[ \t]*\r?\n")
_SENDER = re.compile(_NAME_ADDR + rb"(?:[ \t]*;[^<>\"\r\n]*)?\r?\n")
_BARE_SENDER = re.compile(rb" *sips?:\+?[0-9]+@" + _HOST + _PORT + rb"(?:[ \t]*;[^<>\"\r\n]*)?\r?\n")
_PLAIN_URI = re.compile(_SIP)
# What nearly every call has; all of it has the forms above.
_ORDINARY_URI = re.compile(rb"sips?:\+[0-9]{1,32}@(?:[A-Za-z0-9]{1,32}[.-]){0,3}[A-Za-z]{1,32}(?:;user=phone)?")
_PLAIN_DISPLAY = re.compile(rb'"[ !#-;=?-\[\]-~\x80-\xff]*"|' + _WORD + rb"(?: +" + _WORD + rb")*")
_PLAIN_HOST = re.compile(_HOST)
_PLAIN_PORT = re.compile(_PORT)
_PLAIN_PARAMETER = re.compile(_PARAMETER)
_PLAIN_NUMBER = re.compile(rb"\+?[0-9]+")
_CONTEXT = b"phone-context"
_CONTEXT_PARAMETER = re.compile(rb"(?i);" + _CONTEXT + rb"=[^;@>]*")
_NOWHERE = "unknown.invalid"  # RFC 2606 §2
_SHORT = 7  # digits; a shorter number is not in international form


def is_shown(call: IncomingCall, party: Party, sources: tuple[str, ...]) -> bool:
    """Whether every SIP stack sees this caller once the call was edited by `show`. `sources` are those that the SBC
    reads, in order."""
    if party.plain or party.start < 0:
        return True
    uri = call.message.buffer[party.start : party.end]
    if not party.identity.isdigit():
        return _PLAIN_URI.fullmatch(uri) is not None
    if party.source == "pai":
        return True
    if not party.sure:
        return False
    if "pai" in sources:
        return True
    # An SBC that reads From alone may ignore the context of a number (RFC 3966 §5.1.5).
    return call.parties.reads(_CONTEXT_PARAMETER.sub(b"", uri)) == party.identity


def is_plain(call: IncomingCall, party: Party) -> bool:
    """Whether the header fields show this caller to every SIP stack as they are.

    Two P-Asserted-Identity may do so together: a SIP and a tel URI (RFC 3325 §9.1).
    """
    message = call.message
    count = message.count(PAI)
    if party.source != "pai":
        return not count and party.source == "from" and _is_plain_sender(call, party)
    if not party.alone or count > 2:
        return False
    if count == 1 and _is_ordinary(message, party):
        return True
    return all(_is_plain(call, PAI, header, party) for header in message.headers(PAI))


def is_only(call: IncomingCall, party: Party) -> bool:
    """Whether a single P-Asserted-Identity shows this caller to every SIP stack as it is."""
    return call.message.count(PAI) == 1 and is_plain(call, party)


def is_readable(message: SipMessage, header: Header) -> bool:
    """Whether every SIP stack reads this P-Asserted-Identity alike."""
    found = _ASSERTED.match(message.buffer, header[1], header[2])
    return found is not None and found.end() == header[2]


def rewritten(call: IncomingCall, party: Party, uri: bytes) -> HeaderField:
    """A P-Asserted-Identity with this URI, and with the display name of the one that named the caller."""
    display = _display(call, party) if party.source == "pai" else b""
    return field.asserted(uri, display if len(display) + len(uri) <= LONGEST else b"")


def plain_uri(call: IncomingCall, party: Party) -> bytes:
    """The URI of a caller in plain form: as written, where that is plain, else with what is plain of it."""
    uri = call.message.buffer[party.start : party.end] if party.start >= 0 else b""
    if _ORDINARY_URI.fullmatch(uri) is not None:
        return uri
    uri = call.marks.removed(uri)
    number = party.identity
    if not number.isdigit():
        return uri or (number if ":" in number else "tel:" + number).encode()
    tel = TEL_URI.fullmatch(uri)
    if tel is not None and _from_agrees(call, party):
        made = b"tel:+" + number.encode() + _kept(tel[2])
        return made if len(made) <= LONGEST else b"tel:+" + number.encode()
    return _sip_uri(call, party, uri, tel[2] if tel is not None else b"")


def _sip_uri(call: IncomingCall, party: Party, uri: bytes, tel_parameters: bytes) -> bytes:
    """The SIP URI of a number. Without a plain host it is that of the peer, as a gateway would write it (RFC 3261
    §19.1.6)."""
    number = party.identity
    sip = SIP_URI.fullmatch(uri)
    scheme, user, host, port, parameters = sip.groups() if sip is not None else (b"sip", b"", b"", b"", b";user=phone")
    written, _, more = (user or b"").partition(b":")[0].partition(b";")
    more = more or tel_parameters
    if _PLAIN_NUMBER.fullmatch(written) is None or _CONTEXT in unquote_to_bytes(user).lower():
        written = (b"+" if len(number) >= _SHORT else b"") + number.encode()
    at = b":" + port if port else b""
    if not _is_host(host) or (host.startswith(b"[") and not _from_agrees(call, party)):
        peer = call.flow.src
        host, at = (_NOWHERE if ":" in peer else peer).encode(), b""
    if _PLAIN_PORT.fullmatch(at) is None:
        at = b""
    core = b"%b:%b" % (scheme.lower(), written)
    made = b"%b%b@%b%b%b" % (core, _kept(more), host, at, _kept(parameters))
    return (
        made
        if len(made) <= LONGEST
        else b"%b@%b%b" % (core, host if len(host) < LONGEST // 2 else _NOWHERE.encode(), at)
    )


def _from_agrees(call: IncomingCall, party: Party) -> bool:
    """Whether From has the same number in plain form. Some stacks read no tel URI and no IPv6 address in a
    P-Asserted-Identity, and take From."""
    sender = call.parties.first(("from",))
    return sender is not None and sender.identity == party.identity and _is_plain_sender(call, sender)


def _is_ordinary(message: SipMessage, party: Party) -> bool:
    """Whether the header field has nothing but an ordinary URI. It is the quickest to see, and nearly every call's."""
    buffer, start, end = message.buffer, party.start, party.end
    return (
        buffer[start - 3 : start] == b": <"
        and buffer[end : end + 3] == b">\r\n"
        and _ORDINARY_URI.fullmatch(buffer, start, end) is not None
    )


def _is_plain_sender(call: IncomingCall, sender: Party) -> bool:
    """Whether every SIP stack reads this caller in From."""
    (header,) = call.message.headers(b"from")
    bare = _BARE_SENDER.match(call.message.buffer, header[1], header[2])
    if bare is not None:
        return bare.end() == header[2] and _is_host(bare[1])
    return _is_plain(call, b"from", header, sender)


def _is_plain(call: IncomingCall, name: bytes, header: Header, party: Party) -> bool:
    """Whether a header field of this name has the plain form."""
    buffer = call.message.buffer
    _, value, end = header
    found = (_ASSERTED if name == PAI else _SENDER).match(buffer, value, end)
    if found is None or found.end() != end:
        return False
    user, inner, host, outer, tel = found.groups()
    if (inner or tel or outer) and _CONTEXT in buffer[value:end].lower():
        return False
    if name == PAI and end - value > LONGEST:
        return False
    if name == PAI and (user is None or host.startswith(b"[")) and not _from_agrees(call, party):
        return False
    if user is None:
        return True
    return _is_host(host) and (_PLAIN_NUMBER.fullmatch(user) is not None or not party.identity.isdigit())


@lru_cache(maxsize=1024)
def _is_host(host: bytes) -> bool:
    """Whether this is a host name, or a valid IP address."""
    if _PLAIN_HOST.fullmatch(host) is None:
        return False
    if host.startswith(b"[") or host.rpartition(b".")[2].isdigit():
        try:
            ip_address(host.strip(b"[]").decode("ascii"))
        except ValueError:
            return False
    return True


def _kept(parameters: bytes) -> bytes:
    """The plain ones of these parameters, without a phone-context."""
    parts = parameters.split(b";")[1:] if parameters.startswith(b";") else parameters.split(b";")
    kept = [each for each in parts if _PLAIN_PARAMETER.fullmatch(each) and not each.lower().startswith(_CONTEXT)]
    return b"".join(b";" + each for each in kept)


def _display(call: IncomingCall, party: Party) -> bytes:
    """The display name in front of the caller's URI: as written where it is plain, else quoted, without what is not."""
    try:
        names = [each.display for each in call.message.addresses(PAI) if each.start == party.start]
    except MessageError:
        return b""
    written = call.marks.removed(names[0]) if names else b""
    if not written or _PLAIN_DISPLAY.fullmatch(written):
        return written
    text = re.sub(rb'[\0-\x1f\x7f"<>\\%]+', b" ", written).decode("utf-8", "ignore")
    return '"{}"'.format(" ".join(text.split())).encode()
