"""Honest devices are never refused: their INVITEs under rules that reject every failure, with and without a token."""

import pytest
from support.calls import arriving, identity, make_engine, result
from support.devices import PLAIN, SLOPPY

_FAILURES = ("anonymous", "invalid", "stale", "untrusted", "unfetchable", "replayed")
STRICT = (
    '[[rule]]\nname = "strict"\ndirection = "inbound"\naction = "verify"\n'
    '[rule.verify]\nverstat = false\nattestation = "never"\n[rule.on]\n'
) + "".join(f'{failure} = "reject"\n' for failure in _FAILURES)
NOT_A_NUMBER = ("pbx-extension-as-caller", "pbx-user-name-as-caller")
_HOME = "<sip:+12155550100@ims.mnc001.mcc001.3gppnetwork.org;user=phone>"
SHOWN = {
    # pjsip reads no list in this field. Net::SIP takes the last value of a list.
    "3gpp-ims-tel-uris": (f"{_HOME}, <tel:+12155550100>", _HOME),
    "teams": (
        "P-ASSERTED-IDENTITY: <tel:+12155550100>,<sip:alice@contoso.example>",
        "P-Asserted-Identity: <tel:+12155550100>",
    ),
    # A reader without escapes in quoted text finds another URI in From.
    "quoted-name-with-comma-angle-brackets-and-escapes": (
        "Max-Forwards",
        "P-Asserted-Identity: <sip:+12155550100@192.0.2.7>\r\nMax-Forwards",
    ),
}
"""Callers that some SIP stack cannot read: what came, and what the SBC gets to see (docs/rules.md, "Marks")."""


def shown(device: str, message: bytes) -> tuple[str, bytes]:
    """What becomes of a device's message that continues."""
    if device not in SHOWN:
        return "accept", message
    came, seen = (text.encode() for text in SHOWN[device])
    assert message.count(came) == 1
    return "modify", message.replace(came, seen)


def judged(message: bytes) -> tuple[str, bytes, str]:
    action, out, record = result(make_engine(STRICT), arriving(message))
    return action, out, record["outcome"]


def test_there_are_enough_forms() -> None:
    assert len(PLAIN) + len(SLOPPY) >= 60


@pytest.mark.parametrize("device", PLAIN)
def test_an_unsigned_call_goes_on_with_the_caller_in_plain_form(device: str) -> None:
    assert judged(PLAIN[device]) == (*shown(device, PLAIN[device]), "no-identity")


@pytest.mark.parametrize("device", sorted(set(PLAIN) - set(NOT_A_NUMBER)))
def test_a_signed_call_passes_with_the_caller_in_plain_form(device: str) -> None:
    head, end, body = PLAIN[device].partition(b"\r\n\r\n")
    message = head + b"\r\n" + identity().encode() + end + body
    assert judged(message) == (*shown(device, message), "passed")


@pytest.mark.parametrize("bent", SLOPPY)
def test_a_sloppy_unsigned_call_is_read_and_not_refused(bent: str) -> None:
    action, _, outcome = judged(SLOPPY[bent])
    assert action in ("accept", "modify")
    assert outcome == "no-identity"
