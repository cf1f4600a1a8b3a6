"""The attestation of a caller, the origination identifier and the other claims of a token.

See RFC 8588 §4; S-073, S-074; A8 to A11, A16, A18.
"""

import re
from collections.abc import Mapping
from typing import Any

from sbc_filter.engine.call.call import REMOTE_PARTY_ID, IncomingCall
from sbc_filter.errors import SigningError
from sbc_filter.outcomes import Detail
from sbc_filter.rules.model import UNATTESTED, SignOptions
from sbc_filter.sip.address import Address
from sbc_filter.sip.field import is_uuid
from sbc_filter.sip.message import SipMessage
from sbc_filter.stir.media_keys import mky_of
from sbc_filter.stir.token import ATTESTATIONS, LEAST

# Names of ATIS, of TS 24.229 (S-115), and of some SBCs.
_ATTESTATION = (b"p-attestation-indicator", b"attestation-info", b"p-attestation-info")
_ORIGINATION = (b"p-origination-id", b"origination-id")
_PRIVATE = frozenset((b"id", b"user", b"header"))  # RFC 3323 §4.2, RFC 3325 §9.3
_HIDDEN = frozenset((b"full", b"uri"))  # of a Remote-Party-ID
_BETWEEN = re.compile(rb"[\s,;\"]+")


def attestation(options: SignOptions, call: IncomingCall, caller: str) -> str:
    """The attestation: A, B or C. Raises `SigningError(NOT_LISTED)` if only listed callers are signed for."""
    if options.trust_sbc_attestation:
        asked = _asked(call)
        if asked is not None:
            return max(asked, options.attest_max)  # C is the greatest letter and the lowest attestation
    listed = options.listed is not None and options.listed(caller)
    attest = options.attest_listed if listed else options.attest_unlisted
    if attest == UNATTESTED:
        raise SigningError(Detail.NOT_LISTED)
    return attest


def origination(options: SignOptions, call: IncomingCall) -> str:
    """The origination identifier: the rule's, or the UUID written by the SBC if `honour` is set and it wrote only
    one."""
    if options.trust_sbc_attestation:
        stated = {value.lower() for value in _stated(call, _ORIGINATION)}
        if len(stated) == 1 and all(map(is_uuid, stated)):
            return stated.pop()
    return options.origid


def more_claims(options: SignOptions, call: IncomingCall, attest: str) -> Mapping[str, Any] | None:
    """Claims in addition to those of RFC 8588; None if there are none.

    Rich call data require full attestation: they display a name for a number, and with less no one vouches for the
    number.
    """
    found = options.claims if attest == "A" else None
    if options.media_keys:
        message = call.message
        keys = mky_of(message.buffer[message.body :])
        if keys:
            return {**(found or {}), "mky": keys}
    return found


def is_private(options: SignOptions, call: IncomingCall) -> bool:
    """Whether the caller must not be revealed to an untrusted peer (S-161); never towards an emergency service.

    A Remote-Party-ID counts if the rule finds callers in it.
    """
    message = call.message
    if call.emergency or call.place.trusted:
        return False
    names = message.names()
    if b"privacy" in names and any(not _PRIVATE.isdisjoint(_words(each)) for each in message.values(b"privacy")):
        return True
    rpid = REMOTE_PARTY_ID in names and any(each.lower().encode() == REMOTE_PARTY_ID for each in options.caller_from)
    return rpid and any(map(_is_private_address, call.parties.calling()))


def _is_private_address(address: Address) -> bool:
    """Whether a Remote-Party-ID hides its number: `privacy=full` or `uri`, also `-network` (draft-ietf-sip-privacy-04
    §5.1)."""
    stated = address.every_parameter(b"privacy")
    return any(word.partition(b"-")[0] in _HIDDEN for value in stated for word in _words(value))


def _words(value: bytes) -> list[bytes]:
    """The words of a list in lower case, whatever stands between them."""
    return _BETWEEN.split(value.lower())


def _asked(call: IncomingCall) -> str | None:
    """The attestation that the SBC requests: the lowest of several, None if it requests none.

    What cannot be read counts as the lowest: the SBC said something, and it may have meant that.
    """
    found = [_grade(part) for value in _stated(call, _ATTESTATION) if value.strip() for part in value.split(",")]
    return max(found) if found else None


def _grade(text: str) -> str:
    """The attestation in `C`, `c`, `"C"` or `C;`, parameters included."""
    grade = text.partition(";")[0].strip("\"' \t\r\n").upper()
    return grade if grade in ATTESTATIONS else LEAST


def _stated(call: IncomingCall, names: tuple[bytes, ...]) -> list[str]:
    """The values of these header fields; empty for an untrusted peer (S-114)."""
    if call.untrusted:
        return []
    message: SipMessage = call.message
    present = message.names()
    return [value.decode("ascii", "replace") for name in names if name in present for value in message.values(name)]
