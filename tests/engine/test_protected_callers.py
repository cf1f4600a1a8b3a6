"""Callers whose calls always continue: emergency services that call back (`protected_callers`)."""

from pathlib import Path

import pytest
from support.calls import CALLER, CARRIER, NOW, SBC, VERIFY, arriving, identity, invite, leaving, make_engine, result
from support.verifying import BAD

from sbc_filter.assembly.setup import read_all
from sbc_filter.engine.engine import Engine
from sbc_filter.engine.verdict import Verdict
from sbc_filter.errors import ConfigurationError

PSAP, OTHER = "12155559110", "12155559119"
LISTS = {"psap": f"# county\n+1 (215) 555-9110 # desk\n{PSAP[:-1]}1-12155559115\n"}
REFUSING = [
    '[[rule]]\nname = "r"\naction = "drop"\n',
    '[[rule]]\nname = "r"\naction = "reject"\n',
    f'[[rule]]\nname = "r"\naction = "reject"\ncaller = ["{PSAP}"]\n',
    f'{VERIFY}[rule.on]\nno-identity = "reject"\ninvalid = "drop"\nunfetchable = "reject"\n',
    f'{VERIFY}[[rule.when]]\noutcome = ["no-identity", "invalid", "unfetchable"]\naction = "reject"\n',
]
UNKNOWN = identity(jose={"x5u": "https://unknown.example.org/a.pem"})  # would be fetched, and the call held


def engine(rules: str, unreadable: str = "scrub") -> Engine:
    return make_engine(rules, lists=LISTS, protected=["@psap"], unreadable=unreadable)


@pytest.mark.parametrize("rules", REFUSING)
@pytest.mark.parametrize("header", ["X-Y: 1", BAD, UNKNOWN])
def test_a_call_back_always_continues(rules: str, header: str) -> None:
    """S-137. Without the list it is refused, dropped or held."""
    raw = arriving(invite(header, caller=PSAP))
    assert result(engine(rules), raw)[0] in ("accept", "modify")
    without = make_engine(rules).process(raw, NOW)
    assert not isinstance(without, Verdict) or str(without.kind) in ("reject", "drop")


@pytest.mark.parametrize(
    ("message", "protected"),
    [
        (invite(caller=PSAP), True),
        (invite(caller="12155559115"), True),  # the end of the range
        (invite(caller="12155559116"), False),
        (invite(f"P-Asserted-Identity: <tel:+{PSAP}>"), True),
        (invite(f"P-Asserted-Identity: <sip:desk@psap.example>, <tel:+{PSAP}>"), True),
        (invite("P-Asserted-Identity: <sip:desk@psap.example>", caller=PSAP), True),
        (invite(f"P-Asserted-Identity: <tel:+{OTHER}>", caller=PSAP), False),  # the caller is the other number
        (invite(caller=PSAP).replace(b"From: <sip:+1", b"From: <sip:"), True),  # completed by the plan
        (invite(caller=PSAP).replace(b"From: <sip:+", b"From: <sips:%2b"), True),
        (invite(caller=PSAP + "0"), False),
        (invite(called=PSAP), False),  # as the called party it is like any other
        (invite().replace(f"From: <sip:+{CALLER}".encode(), b"From: <sip:anonymous"), False),
    ],
)
def test_who_is_protected(message: bytes, protected: bool) -> None:
    action, _, record = result(engine(REFUSING[0]), arriving(message))
    assert (action, record["detail"]) == (("accept", "emergency") if protected else ("drop", "drop-rule"))


def test_a_routing_prefix_of_the_caller_does_not_count() -> None:
    """S-043: neither here nor on the lists of rules."""
    raw = arriving(invite("P-Asserted-Identity: <tel:+33987654321>", caller="3360001123456789"))
    rule = f'{REFUSING[0]}caller = ["33123456789"]\n'
    assert result(make_engine(rule, numbering="france"), raw)[0] == "drop"
    assert result(make_engine(rule, numbering="nanp"), raw)[0] == "accept"
    raw = arriving(invite(caller="3360001123456789"))
    assert result(make_engine(rule, numbering="france", protected=["33123456789"]), raw)[0] == "accept"


def test_a_call_back_that_leaves_continues() -> None:
    raw = leaving(invite(caller=PSAP))
    assert result(engine(REFUSING[0]), raw)[0] == "accept"
    assert result(make_engine(REFUSING[0]), raw)[0] == "drop"


@pytest.mark.parametrize("unreadable", ["reject", "drop"])
@pytest.mark.parametrize(("caller", "actions"), [(PSAP, ("accept", "modify")), (OTHER, ("reject", "drop"))])
def test_a_call_back_that_cannot_be_read_continues(unreadable: str, caller: str, actions: tuple[str, str]) -> None:
    broken = invite(caller=caller).replace(b"Content-Length: 0", b"Content-Length: 9")
    assert result(engine("", unreadable), arriving(broken))[0] in actions


def configured(folder: Path, entries: str) -> Path:
    (folder / "rules").mkdir()
    (folder / "rules" / "r.toml").write_text(REFUSING[0])
    (folder / "rules" / "psap").write_text(LISTS["psap"])
    file = folder / "sbc-filter.toml"
    file.write_text(f'[rules]\ndirectory = "rules"\n[network]\nsbc = ["{SBC}"]\nprotected_callers = {entries}\n')
    return file


@pytest.mark.parametrize(("caller", "action"), [(PSAP, "accept"), (OTHER, "drop")])
def test_the_configuration_names_the_list(tmp_path: Path, caller: str, action: str) -> None:
    made = read_all(configured(tmp_path, '"@psap"'), live=False).engine(b"secret")
    assert result(made, arriving(invite(caller=caller), CARRIER))[0] == action


@pytest.mark.parametrize(
    ("entries", "sentence"),
    [
        ('"@absent"', "the list 'absent' cannot be read: No such file or directory"),
        ('["anonymous"]', "has 'anonymous', and any caller can be anonymous: name numbers"),
        ('["x"]', "'x' is not a number: write 12155550100, 1215*, 12155550000-12155559999"),
        ("7", "has to be a list of strings, not 7"),
    ],
)
def test_faults_of_the_list(tmp_path: Path, entries: str, sentence: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_all(configured(tmp_path, entries), live=False)
    assert f"network.protected_callers: {sentence}" in str(caught.value)
