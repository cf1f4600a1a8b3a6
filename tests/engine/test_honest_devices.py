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


def judged(message: bytes) -> tuple[str, bytes, str]:
    action, out, record = result(make_engine(STRICT), arriving(message))
    return action, out, record["outcome"]


def test_there_are_enough_forms() -> None:
    assert len(PLAIN) + len(SLOPPY) >= 60


@pytest.mark.parametrize("device", PLAIN)
def test_an_unsigned_call_goes_on_as_it_came(device: str) -> None:
    assert judged(PLAIN[device]) == ("accept", PLAIN[device], "no-identity")


@pytest.mark.parametrize("device", sorted(set(PLAIN) - set(NOT_A_NUMBER)))
def test_a_signed_call_passes_as_it_came(device: str) -> None:
    head, end, body = PLAIN[device].partition(b"\r\n\r\n")
    message = head + b"\r\n" + identity().encode() + end + body
    assert judged(message) == ("accept", message, "passed")


@pytest.mark.parametrize("bent", SLOPPY)
def test_a_sloppy_unsigned_call_is_read_and_not_refused(bent: str) -> None:
    action, _, outcome = judged(SLOPPY[bent])
    assert action in ("accept", "modify")
    assert outcome == "no-identity"
