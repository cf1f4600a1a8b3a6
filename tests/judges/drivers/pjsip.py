"""What PJSIP sees: its parser and the conditions of its transport, in the library that comes with the package pjsua2.

Messages on stdin, each behind its length; a line of JSON each on stdout, as tests/support/stacks.py says. Other
identities than From and To are read as Asterisk does: as the value of a From.
"""

import ctypes
import json
import struct
import sys
from collections.abc import Iterator
from ctypes import POINTER, byref, c_char, c_char_p, c_int, c_size_t, c_ssize_t, c_void_p

from pjsua2 import _pjsua2

PJ = ctypes.CDLL(_pjsua2.__file__)
INVITE, REQUEST = 0, 0
CONTACT, CALL_ID, CSEQ, FROM, TO, VIA = 9, 7, 15, 19, 38, 41  # pjsip_hdr_e
IDENTITIES = ("p-asserted-identity", "p-preferred-identity", "remote-party-id", "diversion", "history-info")


class Text(ctypes.Structure):
    """pj_str_t"""

    _fields_ = (("at", c_void_p), ("length", c_ssize_t))

    def text(self) -> str:
        return ctypes.string_at(self.at, self.length).decode("latin-1") if self.length > 0 else ""


class Parameter(ctypes.Structure):
    """pjsip_param, which is also the head of its list."""


Parameter._fields_ = (("prev", c_void_p), ("next", c_void_p), ("name", Text), ("value", Text))


class UriTable(ctypes.Structure):
    """pjsip_uri_vptr"""

    _fields_ = (
        ("scheme", ctypes.CFUNCTYPE(POINTER(Text), c_void_p)),
        ("inner", ctypes.CFUNCTYPE(c_void_p, c_void_p)),
        ("write", ctypes.CFUNCTYPE(c_int, c_int, c_void_p, c_char_p, c_size_t)),
    )


class Uri(ctypes.Structure):
    _fields_ = (("table", POINTER(UriTable)),)


class SipUri(ctypes.Structure):
    """pjsip_sip_uri"""

    _fields_ = (
        ("table", POINTER(UriTable)), ("user", Text), ("password", Text), ("host", Text), ("port", c_int),
        ("user_parameter", Text), ("method", Text), ("transport", Text), ("ttl", c_int), ("lr", c_int), ("maddr", Text),
        ("parameters", Parameter), ("headers", Parameter),
    )  # fmt: skip


class TelUri(ctypes.Structure):
    """pjsip_tel_uri"""

    _fields_ = (
        ("table", POINTER(UriTable)),
        ("number", Text),
        ("context", Text),
        ("isub", Text),
        ("ext", Text),
        ("parameters", Parameter),
    )


class Header(ctypes.Structure):
    """pjsip_hdr, and behind it the beginning of pjsip_fromto_hdr, pjsip_generic_string_hdr and pjsip_cid_hdr."""

    _fields_ = (
        ("prev", c_void_p),
        ("next", c_void_p),
        ("kind", c_int),
        ("name", Text),
        ("short", Text),
        ("table", c_void_p),
    )


class FromTo(ctypes.Structure):
    _fields_ = (*Header._fields_, ("uri", c_void_p), ("tag", Text), ("parameters", Parameter))


class Contact(ctypes.Structure):
    _fields_ = (
        *Header._fields_,
        ("star", c_int),
        ("uri", c_void_p),
        ("q", c_int),
        ("expires", c_int),
        ("parameters", Parameter),
    )


class TextHeader(ctypes.Structure):
    _fields_ = (*Header._fields_, ("value", Text))


class Method(ctypes.Structure):
    """pjsip_method"""

    _fields_ = (("number", c_int), ("name", Text))


class Sequence(ctypes.Structure):
    """pjsip_cseq_hdr"""

    _fields_ = (*Header._fields_, ("sequence", c_int), ("method", Method))


class Message(ctypes.Structure):
    """pjsip_msg of a request"""

    _fields_ = (("kind", c_int), ("method", Method), ("uri", c_void_p), ("headers", Header), ("body", c_void_p))


class Errors(ctypes.Structure):
    """Head of the list of pjsip_parser_err_report"""

    _fields_ = (("prev", c_void_p), ("next", c_void_p), ("rest", c_char * 64))


for _name, _result, _arguments in (
    ("pj_pool_create", c_void_p, (c_void_p, c_char_p, c_size_t, c_size_t, c_void_p)),
    ("pj_pool_reset", None, (c_void_p,)),
    ("pj_caching_pool_init", None, (c_void_p, c_void_p, c_size_t)),
    ("pjsip_endpt_create", c_int, (c_void_p, c_char_p, c_void_p)),
    ("pjsip_parse_msg", POINTER(Message), (c_void_p, c_void_p, c_size_t, c_void_p)),
    ("pjsip_parse_hdr", POINTER(FromTo), (c_void_p, c_void_p, c_void_p, c_size_t, c_void_p)),
    ("pjsip_method_cmp", c_int, (c_void_p, c_void_p)),
    ("pjsip_msg_find_hdr", c_void_p, (c_void_p, c_int, c_void_p)),
):
    getattr(PJ, _name).restype, getattr(PJ, _name).argtypes = _result, _arguments


class Pjsip:
    """The library with an endpoint, which registers what the parser knows."""

    def __init__(self) -> None:
        PJ.pj_log_set_level(0)
        PJ.pj_init()
        PJ.pjlib_util_init()
        self._factory = ctypes.create_string_buffer(1 << 16)
        policy = ctypes.addressof(c_char.in_dll(PJ, "pj_pool_factory_default_policy"))
        PJ.pj_caching_pool_init(self._factory, policy, 0)
        endpoint = c_void_p()
        if PJ.pjsip_endpt_create(self._factory, b"judge", byref(endpoint)):
            raise SystemExit("no endpoint")
        self._pool = PJ.pj_pool_create(self._factory, b"judge", 65536, 65536, None)

    def ask(self, message: bytes) -> dict[str, object]:
        """What it sees in a datagram. The transport skips line ends in front."""
        PJ.pj_pool_reset(self._pool)
        message = message.lstrip(b"\r\n")
        if not message:
            return {"refused": "cannot be parsed"}
        buffer, errors = ctypes.create_string_buffer(message), Errors()
        errors.prev = errors.next = ctypes.addressof(errors)
        found = PJ.pjsip_parse_msg(self._pool, buffer, len(message), byref(errors))
        if not found or errors.next != ctypes.addressof(errors):
            return {"refused": "cannot be parsed"}
        parsed = found.contents
        if parsed.kind != REQUEST:
            return {"refused": "not a request"}
        headers = {kind: PJ.pjsip_msg_find_hdr(found, kind, None) for kind in (CALL_ID, CSEQ, FROM, TO, VIA)}
        if not all(headers.values()) or not TextHeader.from_address(headers[CALL_ID]).value.length:
            return {"refused": "a mandatory header field is missing"}
        if PJ.pjsip_method_cmp(byref(parsed.method), byref(Sequence.from_address(headers[CSEQ]).method)):
            return {"refused": "CSeq has another method"}
        return self._seen(parsed, FromTo.from_address(headers[FROM]), FromTo.from_address(headers[TO]))

    def _seen(self, parsed: Message, caller: FromTo, called: FromTo) -> dict[str, object]:
        pai, marks = (
            None,
            [*uri_marks("Request-URI", parsed.uri), *address_marks("From", caller), *address_marks("To", called)],
        )
        for address in all_headers(parsed):
            header = Header.from_address(address)
            if header.kind == CONTACT and not Contact.from_address(address).star:
                marks += address_marks("Contact", Contact.from_address(address))
            elif header.kind > VIA:
                name, value = header.name.text(), TextHeader.from_address(address).value
                marks.append(["header", name, value.text()])
                identity = self._identity(value) if name.lower() in IDENTITIES else None
                if identity is not None:
                    marks += address_marks(name, identity)
                    if name.lower() == IDENTITIES[0] and pai is None:
                        pai = number(identity.uri)
        seen = {
            "method": parsed.method.name.text(),
            "call": parsed.method.number == INVITE,
            "uri": written(parsed.uri),
            "from": number(caller.uri),
        }
        return {**seen, "to_tag": called.tag.text() or None, "pai": pai, "marks": marks}

    def _identity(self, value: Text) -> FromTo | None:
        line = ctypes.create_string_buffer(ctypes.string_at(value.at, value.length) if value.length > 0 else b"")
        self._lines = [*getattr(self, "_lines", [])[-64:], line]  # what was parsed points into it
        name, read = Text(ctypes.cast(c_char_p(b"From"), c_void_p), 4), c_int()
        found = PJ.pjsip_parse_hdr(self._pool, byref(name), line, len(line) - 1, byref(read))
        return found.contents if found and found.contents.uri else None


def all_headers(parsed: Message) -> Iterator[int]:
    head = ctypes.addressof(parsed) + Message.headers.offset
    at = parsed.headers.next
    while at != head:
        yield at
        at = Header.from_address(at).next


def inner(uri: int) -> tuple[str, int]:
    """Scheme and address of the URI in a name-addr, or of the URI itself."""
    table = Uri.from_address(uri).table.contents
    scheme = table.scheme(uri)
    return scheme.contents.text().lower() if scheme else "", table.inner(uri)


def number(uri: int) -> str | None:
    scheme, at = inner(uri)
    if scheme in ("sip", "sips"):
        return SipUri.from_address(at).user.text() or None
    return TelUri.from_address(at).number.text() if scheme == "tel" else None


def uri_marks(place: str, uri: int) -> list[list[str]]:
    scheme, at = inner(uri)
    if scheme == "tel":
        tel = TelUri.from_address(at)
        return [[place, "user", tel.number.text()], *parameters(place, tel.parameters)]
    if scheme not in ("sip", "sips"):
        return []
    sip = SipUri.from_address(at)
    return [
        [place, "user", sip.user.text()],
        *parameters(place, sip.parameters),
        *parameters("URI header", sip.headers),
    ]


def address_marks(place: str, header: FromTo | Contact) -> list[list[str]]:
    return [*(uri_marks(place, header.uri) if header.uri else []), *parameters(place, header.parameters)]


def parameters(place: str, head: Parameter) -> list[list[str]]:
    found, at = [], head.next
    while at and at != ctypes.addressof(head):
        one = Parameter.from_address(at)
        found.append([place, one.name.text(), one.value.text()])
        at = one.next
    return found


def written(uri: int) -> str:
    buffer = ctypes.create_string_buffer(65536)
    length = Uri.from_address(uri).table.contents.write(0, uri, buffer, len(buffer))
    return buffer.raw[: max(length, 0)].decode("latin-1")


def main() -> None:
    pjsip = Pjsip()
    while len(size := sys.stdin.buffer.read(4)) == 4:
        print(json.dumps(pjsip.ask(sys.stdin.buffer.read(struct.unpack(">I", size)[0]))), flush=True)


if __name__ == "__main__":
    main()
