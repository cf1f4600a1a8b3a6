"""The result of verification, written for the SBC (S-110 to S-113) in the dialect that it understands."""

from collections.abc import Mapping
from typing import NamedTuple

from sbc_filter.engine.call import asserted
from sbc_filter.engine.call.call import IncomingCall, Party
from sbc_filter.outcomes import Verstat
from sbc_filter.sip import field
from sbc_filter.sip.field import HeaderField
from sbc_filter.sip.marks import Marks
from sbc_filter.sip.message import SipMessage

_VERSTAT = Marks(("verstat",))
_PASSED = Verstat.PASSED.value  # named once: looking up a member of an Enum is slow on the hot path


class Dialect(NamedTuple):
    """Where the parameter `verstat` stands, what it says of a verified call by attestation where that is more than
    `Verstat.PASSED`, and which header fields carry attestation and origination identifier."""

    in_user_part: bool = True  # as TS 24.229 §7.2A.20 has it; else behind the host
    passed: Mapping[str, str] = {}
    attestation: str = "P-Attestation-Indicator"
    origination: str = "P-Origination-ID"

    def verstat(self, value: str, attest: str | None) -> str:
        """The value in this dialect."""
        return self.passed.get(attest, value) if attest is not None and value == _PASSED else value


_GRADES = {grade: f"{Verstat.PASSED}-{grade}" for grade in "ABC"}
DIALECTS: Mapping[str, Dialect] = {
    "atis": Dialect(),
    "3gpp": Dialect(attestation="Attestation-Info", origination="Origination-Id"),
    "graded": Dialect(passed=_GRADES),  # Avaya and others
    "telnyx": Dialect(in_user_part=False, passed={"B": _GRADES["B"], "C": _GRADES["C"]}),  # plain Passed means A
}


def mark(call: IncomingCall, party: Party, verstat: str, *, in_user_part: bool = True) -> None:
    """Edit: write the result into the P-Asserted-Identity that named the caller, a telephone number (S-110 to S-112).

    If that is not the only one, or an untrusted peer's and not plain, a new one is made from what was verified. It goes
    before those of a trusted peer, and replaces those of an untrusted one (S-160), because an SBC uses the first. From
    is never changed: it comes back in every response and later request, where the mark would leak (S-113).
    """
    message, untrusted = call.message, call.untrusted
    buffer = message.buffer
    if party.source == "pai" and (asserted.is_only(call, party) if untrusted else party.alone):
        uri = buffer[party.start : party.end]
        if not untrusted and _VERSTAT.may_be_in(uri):  # an untrusted peer's were removed on arrival
            for start, end, instead in _VERSTAT.find(buffer, party.start, party.end):
                message.replace(start, end, instead)
        position = party.start + (_in_user_part(uri) if in_user_part else _behind(uri))
        message.replace(position, position, field.verstat(verstat))
    elif untrusted:
        uri = marked(asserted.plain_uri(call, party), verstat, in_user_part=in_user_part)
        _replace(message, asserted.rewritten(call, party, uri))
    else:
        headers = message.headers(asserted.PAI)
        made = field.asserted(marked_uri(buffer, party, verstat, in_user_part=in_user_part))
        message.add_header(made, headers[0] if headers else None)


def show(call: IncomingCall, party: Party | None) -> None:
    """Edit, without a result: an untrusted peer's caller is the one that every SIP stack sees.

    A From without a telephone number is never asserted, since no peer asserted it (S-110).
    """
    if party is None or (party.source != "pai" and not party.is_number):
        for header in call.message.headers(asserted.PAI):
            if not asserted.is_readable(call.message, header):
                call.message.remove(header)
    elif not asserted.is_plain(call, party):
        _replace(call.message, asserted.rewritten(call, party, asserted.plain_uri(call, party)))


def _replace(message: SipMessage, made: HeaderField) -> None:
    """Put this header field in place of all others of its name."""
    headers = message.headers(made.name)
    message.add_header(made, headers[0] if headers else None)
    for header in headers:
        message.remove(header)


def state(message: SipMessage, stated: HeaderField) -> None:
    """Edit: add a header field, and remove those of the same name that a trusted peer wrote."""
    for header in message.headers(stated.name):
        message.remove(header)
    message.add_header(stated)


def marked_uri(buffer: bytes, party: Party, verstat: str, *, in_user_part: bool = True) -> bytes:
    """The URI of a party with this result and no other."""
    return marked(_uri(buffer, party), verstat, in_user_part=in_user_part)


def marked(uri: bytes, verstat: str, *, in_user_part: bool = True) -> bytes:
    """A URI with this result and no other."""
    uri = _VERSTAT.removed(uri)
    at = _in_user_part(uri) if in_user_part else _behind(uri)
    return b"%b%b%b" % (uri[:at], field.verstat(verstat).text, uri[at:])


def _uri(buffer: bytes, party: Party) -> bytes:
    """The URI to assert for a party: as written in the header fields meant for it, else made from its identity."""
    if party.source in ("pai", "from"):
        return buffer[party.start : party.end]
    return party.identity.encode() if ":" in party.identity else b"tel:+" + party.identity.encode()


def _in_user_part(uri: bytes) -> int:
    """The offset for a parameter of the telephone number: inside the user part of a SIP URI, else at the end."""
    at = uri.find(b"@")
    if at < 0 or uri[:4].lower() == b"tel:":
        return len(uri)
    user = uri[:at]
    password = user.find(b":", user.find(b":") + 1)
    return password if password >= 0 else at


def _behind(uri: bytes) -> int:
    """The offset for a parameter of the URI: after all others, before URI headers."""
    headers = uri.find(b"?", max(0, uri.rfind(b"@")))
    return headers if headers >= 0 else len(uri)
