"""The truth table of callers in docs/rules.md is what the engine does: source and form, to verify, sign and list."""

from pathlib import Path

import pytest
from support.calls import CALLER, SIGN, VERIFY, arriving, identity, invite, leaving, make_engine, result

RULES = Path(__file__).parents[3] / "docs" / "rules.md"
HEAD = "| P-Asserted-Identity | From | Verified | Signed | On lists of `drop` and `reject` | On other lists |\n" + (
    "|---|---|---|---|---|---|\n"
)
A, B = "12155550111", "12155550122"  # numbers of P-Asserted-Identity
NUMBER, WORD, NOBODY = f"<sip:+{CALLER}@h>", "<sip:alice@h>", "<sip:anonymous@anonymous.invalid>"
CALLS = [
    ("", NUMBER),
    ("", f"<tel:+{CALLER}>"),
    ("", "<sip:2155550100@h>"),
    ("", f"<sip:+{CALLER}@anonymous.invalid>"),
    ("", f"<sip:%2b{CALLER}@h>"),
    ("", WORD),
    ("", "<sip:1001@h>"),
    ("", NOBODY),
    ("", "<sip:unavailable@unknown.invalid>"),
    ("", "<sip:h>"),
    ("", f"<sip:+{CALLER}@h@b>"),
    ("", f"<sip:+{CALLER}%00@h>"),
    ("", f"<pres:+{CALLER}@h>"),
    ("", "<tel:acme>"),
    (f"<tel:+{A}>", NUMBER),
    (f"<sip:acme@h>, <tel:+{A}>", NUMBER),
    (f"<tel:+{A}>, <sip:acme@h>", NUMBER),
    (f"<sip:+{A}@h>, <tel:+{B}>", NUMBER),
    ("<sip:acme@h>", NUMBER),
    ("<sip:acme@h>", WORD),
    ("<sip:acme@h>", NOBODY),
    (NOBODY, NUMBER),
    (NOBODY, NOBODY),
    (f"<tel:+{A}>", NOBODY),
    (f"<tel:+{A}>", f"<sip:+{CALLER}%00@h>"),
    (f"<sip:+{A}%00@h>", NUMBER),
    ("<sip:acme@h>", f"<sip:+{CALLER}%00@h>"),
]
CANDIDATES = ["anonymous", CALLER, A, B, "sip:alice@h", "sip:acme@h", "sip:1001@h"]


def call(asserted: str, sender: str, *headers: str) -> bytes:
    lines = [f"P-Asserted-Identity: {asserted}"] if asserted else []
    message = invite(*lines, *headers)
    return message.replace(f"From: <sip:+{CALLER}@carrier.example>".encode(), f"From: {sender}".encode())


def listed(message: bytes, action: str) -> list[str]:
    """The entries of `caller` by which a rule with this action matches."""
    found = []
    for entry in CANDIDATES:
        rule = f'[[rule]]\nname = "r"\naction = "{action}"\ncaller = ["{entry}"]\n'
        if result(make_engine(rule), arriving(message))[2]["rule"] == "r":
            found.append(entry)
    return found


def row(asserted: str, sender: str) -> str:
    message = call(asserted, sender)
    record = result(make_engine(VERIFY), arriving(call(asserted, sender, identity())))[2]
    verified = record["orig"] or "none"
    if record["detail"] == "ambiguous-caller":
        verified += ", ambiguous"
    elif record["outcome"] == "passed":
        assert record["orig"] == CALLER
    record = result(make_engine(SIGN), leaving(message))[2]
    signed = record["orig"] if record["outcome"] == "signed" else f"{record['outcome']}.{record['detail']}"
    cells = [asserted, sender, verified, signed, *(", ".join(listed(message, each)) for each in ("drop", "pass"))]
    return "| " + " | ".join(f"`{each}`" if each else "—" for each in cells) + " |\n"


def test_the_table_of_callers_is_what_the_engine_does() -> None:
    assert HEAD + "".join(row(*each) for each in CALLS) in RULES.read_text()


@pytest.mark.parametrize(("asserted", "sender"), CALLS)
def test_one_party_is_verified_signed_and_listed(asserted: str, sender: str) -> None:
    """The caller of a signed call is also the one that is verified, and is on the lists of every rule."""
    record = result(make_engine(SIGN), leaving(call(asserted, sender)))[2]
    if record["outcome"] == "signed":
        message = call(asserted, sender)
        assert result(make_engine(VERIFY), arriving(message))[2]["orig"] == record["orig"]
        assert listed(message, "pass") == [record["orig"]]
        assert record["orig"] in listed(message, "drop")
