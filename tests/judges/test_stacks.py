"""The judges of `make differential` judge: each sees a plain call as it is, and the oddities for which it is known."""

import re
from collections.abc import Iterator

import pytest
from support.devices import PLAIN
from support.differential import is_mark
from support.odd_base import ATTACKER, MARK, SIGNED, UNSIGNED, VICTIM, edit, put, without
from support.odd_start import gap, in_front, method
from support.stacks import STACKS, Missing, Seen, Stack

OTHER_TRANSPORTS = [
    name for name, message in PLAIN.items() if not re.search(rb"(?i)\r\nv(?:ia)?: ?SIP/2\.0/UDP", message)
]
NUMBERS = ("12155550100", "2155550100", "101", "alice.smith")
DIFFERENT = {("jssip", "3gpp-ims-tel-uris"), ("jssip", "ericsson"), ("libre", "rfc-2543-device")}
"""JsSIP knows no tel URI in a request line; libre wants Max-Forwards."""


@pytest.fixture(scope="module", params=STACKS)
def stack(request: pytest.FixtureRequest) -> Iterator[Stack]:
    """Each stack that is installed; `.ci/bootstrap.sh differential` installs all of them."""
    try:
        made = Stack(request.param)
    except Missing as why:
        pytest.skip(f"{request.param} {why}")
    yield made
    made.close()


def test_a_plain_call(stack: Stack) -> None:
    seen = stack.ask(SIGNED)
    assert (seen.refused, seen.method, seen.call, seen.new_call) == (None, "INVITE", True, True)
    assert seen.uri == "sip:+12155550199@192.0.2.1"
    assert digits(seen.from_user) == VICTIM
    assert digits(seen.pai) == ATTACKER
    assert digits(seen.caller) == ATTACKER
    assert seen.to_tag is None


def test_without_an_asserted_identity_the_caller_is_in_from(stack: Stack) -> None:
    seen = stack.ask(without("P-Asserted-Identity")(UNSIGNED))
    assert seen.pai is None
    assert digits(seen.caller) == VICTIM


def test_a_tel_uri_is_a_caller(stack: Stack) -> None:
    assert digits(stack.ask(put("P-Asserted-Identity", b"<tel:+12155550111>")(SIGNED)).caller) == "12155550111"


@pytest.mark.parametrize("device", sorted(set(PLAIN) - set(OTHER_TRANSPORTS)))
def test_what_devices_send_is_read_as_it_is_meant(stack: Stack, device: str) -> None:
    """By all stacks: there is no reason to change it."""
    seen = stack.ask(PLAIN[device])
    if (stack.name, device) in DIFFERENT:
        assert seen.refused is not None
        return
    assert seen.new_call
    assert digits(seen.caller) in NUMBERS


def test_a_to_tag_makes_it_a_dialog(stack: Stack) -> None:
    seen = stack.ask(edit("To", lambda old: old + b";tag=abc")(UNSIGNED))
    assert (seen.call, seen.to_tag, seen.new_call) == (True, "abc", False)


def test_another_request_is_not_a_call(stack: Stack) -> None:
    seen = stack.ask(UNSIGNED.replace(b"INVITE", b"OPTIONS"))
    assert (seen.refused, seen.method, seen.call) == (None, "OPTIONS", False)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("P-Asserted-Identity", f"<sip:+{VICTIM};verstat={MARK}@h>"),
        ("P-Asserted-Identity", f"<sip:+{VICTIM}@h;verstat={MARK}>"),
        ("From", f"<sip:+{VICTIM}@h;verstat={MARK}>;tag=f1"),
        ("Contact", f"<sip:+{VICTIM}@h;verstat={MARK}>"),
    ],
)
def test_a_mark_is_seen(stack: Stack, place: str, value: str) -> None:
    bare = without("P-Attestation-Indicator")(UNSIGNED.replace(f";verstat={MARK}".encode(), b""))
    assert marks(stack.ask(bare)) == []
    assert marks(stack.ask(put(place, value.encode())(bare))) != []


def test_an_attestation_is_seen(stack: Stack) -> None:
    found = [value for place, name, value in stack.ask(UNSIGNED).marks if name.lower() == "p-attestation-indicator"]
    assert found == [MARK]


@pytest.mark.parametrize("message", [b"", b"\r\n\r\n", b"jaK", b"\0\0\0\0", bytes(range(256))], ids=repr)
def test_what_is_not_a_message_is_refused(stack: Stack, message: bytes) -> None:
    assert stack.ask(message).refused is not None
    assert stack.ask(UNSIGNED).new_call, "it goes on"


def test_a_message_that_fills_a_datagram(stack: Stack) -> None:
    assert stack.ask(UNSIGNED + bytes(40000)).refused not in ("hung", "crashed")
    assert stack.ask(UNSIGNED).new_call, "it goes on"


def test_a_process_that_ends_is_started_again(stack: Stack) -> None:
    assert stack.ask(UNSIGNED).new_call
    assert stack.process is not None
    stack.process.kill()
    stack.process.wait()
    assert stack.ask(UNSIGNED).refused == "crashed"
    assert stack.ask(UNSIGNED).new_call
    assert stack.faults == 1


def test_kamailio_takes_a_method_behind_nul() -> None:
    assert ask("kamailio", in_front(b"\0")(UNSIGNED)).new_call


def test_pjsip_takes_a_folded_request_line_and_small_letters() -> None:
    assert ask("pjsip", gap(b"\r\n ")(UNSIGNED)).new_call
    assert ask("pjsip", method(b"invite")(UNSIGNED)).new_call


def test_node_sip_undoes_escapes_in_a_method() -> None:
    assert ask("node-sip", method(b"%49NVITE")(UNSIGNED)).new_call


@pytest.mark.parametrize("name", ["pjsip", "sofia", "osip2", "libre"])
def test_escapes_in_a_user_part_are_undone(name: str) -> None:
    escaped = put("From", f"<sip:+{VICTIM}%3bverstat%3d{MARK}@h>;tag=f1".encode())(UNSIGNED)
    assert ask(name, escaped).from_user == f"+{VICTIM};verstat={MARK}"


def test_sofia_does_not_read_an_asserted_identity_with_a_header_parameter() -> None:
    seen = ask("sofia", put("P-Asserted-Identity", f"<sip:+{ATTACKER}@h>;a=b".encode())(SIGNED))
    assert (seen.pai, digits(seen.caller)) == (None, VICTIM)


def ask(name: str, message: bytes) -> Seen:
    try:
        stack = Stack(name)
    except Missing as why:
        pytest.skip(f"{name} {why}")
    try:
        return stack.ask(message)
    finally:
        stack.close()


def digits(user: str | None) -> str | None:
    return user and user.partition(";")[0].removeprefix("+")


def marks(seen: Seen) -> list[tuple[str, str, str]]:
    return [mark for mark in seen.marks if is_mark(mark)]
