"""What the documentation says is so: its TOML is loaded, its tables are compared with the code."""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from sbc_filter.capture.tcp.tcp_replay import MAX_DIRECTIONS, MAX_OCTETS
from sbc_filter.capture.unseen import Reason
from sbc_filter.cli import main
from sbc_filter.commands.explain.findings import Findings
from sbc_filter.commands.explain.token_checks import State
from sbc_filter.config import configuration_file
from sbc_filter.config.settings import Configuration
from sbc_filter.counters import CounterName
from sbc_filter.engine.answers import response_to
from sbc_filter.engine.call.verstat import DIALECTS
from sbc_filter.engine.record import Record
from sbc_filter.numbering.numbering_plans import PROFILES
from sbc_filter.outcomes import (
    CERTIFICATE_TOLERABLE,
    DETAILS,
    SIGNING_OUTCOMES,
    TOLERABLE,
    VERIFICATION_OUTCOMES,
    CertificateDeviation,
    Detail,
    Deviation,
    Outcome,
    Repair,
    Verstat,
    defaults_of,
)
from sbc_filter.records.totals import SHOWN
from sbc_filter.rules.model import Bypass, Rule
from sbc_filter.rules.rule_file import load_rules
from sbc_filter.rules.toml_table import TomlTable
from sbc_filter.rules.trunk import Trunk
from sbc_filter.sip.numbers import canonicaliser
from sbc_filter.sip.stream import MAX_BODY, MAX_HEAD, FramingFault

ROOT = Path(__file__).parent.parent
DOCS = {path.stem: path.read_text() for path in sorted((ROOT / "docs").glob("*.md"))}
ORIGID = "4437c7eb-8f7a-4f0e-a863-f53a0e60251a"
REQUIRED = {
    "verify": "",
    "sign": f'[rule.sign]\ncredential = "ours"\norigid = "{ORIGID}"\n',
    "strip": "",
    "reject": "",
}
_VERIFIED = Verstat.PASSED
_NONE = "—"


def blocks(document: str) -> list[str]:
    """The TOML in a document."""
    return re.findall(r"^```toml\n(.*?)^```", DOCS[document], re.DOTALL | re.MULTILINE)


def is_rules(text: str) -> bool:
    return not tomllib.loads(text).keys() - {"rule", "trunks"}


def sections(document: str) -> dict[str, str]:
    """The text of each section by its heading, without what marks code."""
    found = {}
    for part in re.split(r"^#{1,3} ", DOCS[document], flags=re.MULTILINE)[1:]:
        heading, _, text = part.partition("\n")
        found[heading.replace("`", "")] = text
    return found


def rows(text: str) -> Iterator[list[str]]:
    """The rows of the tables in a text, cell by cell; heads are rows too."""
    for line in text.splitlines():
        if line.startswith("|") and not line.startswith("|---"):
            yield [cell.strip() for cell in line.strip("|").split(" | ")]


def keys(text: str) -> dict[str, list[str]]:
    """The rows that describe keys, by key: one or several names in code in the first cell."""
    return {
        name: row
        for row in rows(text)
        for name in re.findall(r"`([^`]+)`", row[0])
        if re.fullmatch(r"(?:`[^`]+`(?:, )?)+", row[0])
    }


def defaults(text: str) -> str:
    """The defaults in a table of keys, as TOML: as if an operator had written them all."""
    lines = []
    for key, row in keys(text).items():
        default = row[2].strip() if len(row) > 3 else _NONE
        if default != _NONE:
            lines.append(f"{key} = {default.strip('`')}")
    return "\n".join(lines) + "\n"


def parse(text: str, folder: Path) -> Configuration:
    return configuration_file.parse("docs", text, folder)


def rule(text: str, trunks: tuple[Trunk, ...] = ()) -> Rule:
    loaded, _ = load_rules({"docs": text}, lambda _: "12155550100\n", ["ours"], trunks, ["theirs"])
    return loaded.rules[0]


def test_there_is_something_to_read() -> None:
    pages = {
        "calls",
        "captures",
        "certificates",
        "configuration",
        "defaults",
        "explain",
        "interoperability",
        "operations",
    }
    assert DOCS.keys() == pages | {"placement", "records", "redirect", "report", "rules", "security", "service"}
    assert len(blocks("rules")) >= 14
    assert len(blocks("configuration")) >= 8


@pytest.mark.parametrize(("document", "at"), [(name, at) for name in DOCS for at in range(len(blocks(name)))])
def test_blocks_load(document: str, at: int, tmp_path: Path) -> None:
    """Each block by itself, with the trunks of the others in its document."""
    text = blocks(document)[at]
    if not is_rules(text):
        parse(text, tmp_path)
        return
    own = tomllib.loads(text).get("trunks", {}).keys()
    trunks = [
        trunk
        for other in blocks(document)
        for trunk in parse(_only_trunks(other), tmp_path).trunks
        if trunk.name not in own
    ]
    rules, found = load_rules({f"{document}.md": text}, lambda _: "12155550100\n", ["ours"], trunks, ["theirs"])
    assert rules.rules or found


def _only_trunks(text: str) -> str:
    lines = []
    for name, table in tomllib.loads(text).get("trunks", {}).items():
        lines += [f"[trunks.{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items())]
    return "\n".join(lines)


def test_rules_of_the_page_stand_together() -> None:
    """All of docs/rules.md as one folder: names are unique, trunks are known."""
    files = {f"{at:02}.toml": text for at, text in enumerate(blocks("rules"))}
    rules, trunks = load_rules(files, lambda _: "12155550100\n", ["ours"], verifiers=["theirs"])
    assert len(rules.rules) >= 14
    assert {trunk.name for trunk in trunks} == {"acme", "wholesale", "pbx", "softswitch"}
    names = {name for name in sections("rules") if re.match(r"[0-9]+\. ", name)}
    assert len(names) == 10


@pytest.mark.parametrize("name", ["network", "queue", "relay", "trust", "certificates", "rules", "log", "serve"])
def test_defaults_of_the_configuration(name: str, tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    stated = defaults(sections("configuration")[f"[{name}]"])
    assert parse(f"[{name}]\n{stated}", tmp_path) == parse("", tmp_path)


def test_defaults_of_a_trunk(tmp_path: Path) -> None:
    stated = defaults(sections("configuration")["[trunks.NAME]"])
    least = '[trunks.a]\naddresses = "192.0.2.1"\n'
    assert parse(least + stated, tmp_path) == parse(least, tmp_path)


@pytest.mark.parametrize("action", ["verify", "sign", "strip"])
def test_defaults_of_a_rule(action: str) -> None:
    head = f'[[rule]]\nname = "r"\naction = "{action}"\n'
    table = REQUIRED[action] or f"[rule.{action}]\n"
    pages = sections("rules")
    stated = head + defaults(pages["[[rule]]"]).replace("mode = ", "# mode = ") + table
    assert rule(stated + defaults(pages[f"[rule.{action}]"])) == rule(head + REQUIRED[action])
    assert re.search(r"^mode = \"enforce\"$", defaults(pages["[[rule]]"]), re.MULTILINE)


@pytest.mark.parametrize(("name", "least"), [("time", ""), ("rate", 'over = 20\nby = "trunk"\n')])
def test_defaults_of_a_condition(name: str, least: str) -> None:
    def conditions(text: str) -> object:
        head = f'[[rule]]\nname = "r"\naction = "pass"\n[rule.{name}]\n{least}'
        loaded, _ = load_rules({"docs": head + text}, str)
        return loaded.conditions[0]

    stated = defaults(sections("rules")[name])
    assert stated.strip()
    assert conditions(stated) == conditions("")


def test_defaults_of_bypass() -> None:
    stated = defaults(sections("rules")["bypass"])
    assert stated == f'header = "{Bypass("").header}"\n'


def test_default_of_answer() -> None:
    stated = defaults(sections("rules")["answer"])
    assert stated == f"code = {response_to(Outcome.NOT_EXAMINED, Detail.REJECT_RULE)[0]}\n"


# Every key that a reader asks for, by the section that describes it.

_SECTIONS = {
    "network": ("configuration", "[network]"),
    "queue": ("configuration", "[queue]"),
    "queue.on_overload": ("configuration", "[queue]"),
    "firewall": ("configuration", "[firewall]"),
    "relay": ("configuration", "[relay]"),
    "control": ("configuration", "[control] and [process]"),
    "process": ("configuration", "[control] and [process]"),
    "trust": ("configuration", "[trust]"),
    "certificates": ("configuration", "[certificates]"),
    "rules": ("configuration", "[rules]"),
    "log": ("configuration", "[log]"),
    "serve": ("configuration", "[serve]"),
    "credentials.x": ("configuration", "[credentials.NAME]"),
    "credentials.theirs": ("configuration", "Delegated signing"),
    "verifiers.theirs": ("configuration", "[verifiers.NAME]"),
    "trunks.x": ("configuration", "[trunks.NAME]"),
    "rule": ("rules", "[[rule]]"),
    "rule.verify": ("rules", "[rule.verify]"),
    "rule.sign": ("rules", "[rule.sign]"),
    "rule.sign.bypass": ("rules", "bypass"),
    "rule.sign.rcd": ("rules", "rcd"),
    "rule.strip": ("rules", "[rule.strip]"),
    "rule.when": ("rules", "[[rule.when]]"),
    "rule.on.x": ("rules", "[rule.on]"),
    "rule.answer": ("rules", "answer"),
    "rule.time": ("rules", "time"),
    "rule.rate": ("rules", "rate"),
    "rule.example": ("rules", "[[rule.example]]"),
    "rule.example.token": ("rules", "token"),
}
_NAMED_BY_OPERATORS = {"rule.on", "rule.header", "trunks", "credentials", "verifiers"}
_EVERYTHING = f"""
[trunks.x]
addresses = "192.0.2.1"
[[rule]]
name = "a"
action = "verify"
header = {{ "X-A" = true }}
time = {{}}
rate = {{ over = 1, by = "peer" }}
[[rule.when]]
outcome = "stale"
action = "reject"
[rule.on]
stale = {{ action = "reject" }}
[[rule.example]]
token = {{}}
[[rule]]
name = "b"
action = "reject"
answer = {{}}
[[rule]]
name = "c"
action = "sign"
[rule.sign]
credential = "ours"
origid = "{ORIGID}"
bypass = {{ token_file = "t" }}
"""


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> set[tuple[str, str]]:
    """What the readers ask for: (table, key)."""
    found: set[tuple[str, str]] = set()
    raw, contains = TomlTable.raw, TomlTable.__contains__

    def note(table: TomlTable, key: str) -> None:
        path = re.sub(r"\[\d+\]", "", table.path)
        path = re.sub(r"^(trunks|credentials|rule\.on)\.(?!theirs).*", r"\1.x", path)
        found.add((path, key))

    def noted_raw(table: TomlTable, key: str) -> Any:
        note(table, key)
        return raw(table, key)

    def noted_contains(table: TomlTable, key: str) -> bool:
        note(table, key)
        return contains(table, key)

    monkeypatch.setattr(TomlTable, "raw", noted_raw)
    monkeypatch.setattr(TomlTable, "__contains__", noted_contains)
    key = 'key = "k"\ncertificate = "c"\nx5u = "https://x.example/c.pem"\n'
    parse(f"[credentials.x]\n{key}[[credentials.x.next]]\n{key}", tmp_path)
    parse('[credentials.x]\nobtain = "/usr/local/bin/key-for"\n', tmp_path)
    parse('[credentials.theirs]\nservice = "https://x.example/stir/v1/signing"\n', tmp_path)
    parse('[verifiers.theirs]\nservice = "https://x.example/stir/v1/verification"\n', tmp_path)
    load_rules({"docs": _EVERYTHING}, str, ["ours"])
    return found


def test_every_key_is_described(asked: set[tuple[str, str]]) -> None:
    assert {path for path, _ in asked} - {""} - _NAMED_BY_OPERATORS == _SECTIONS.keys()
    for path, key in asked:
        if path in _NAMED_BY_OPERATORS:
            continue
        if path == "":
            assert f"[{key}" in "".join(DOCS.values()), key
            continue
        document, heading = _SECTIONS[path]
        described = keys(sections(document)[heading])
        name = f"on_overload.{key}" if path == "queue.on_overload" else key
        inside = any(each.startswith(f"{key}.") for each in described)
        assert name in described or inside, f"{path}.{key} is not described in docs/{document}.md"


def test_no_key_is_described_that_there_is_not(asked: set[tuple[str, str]]) -> None:
    for (document, heading), paths in _by_section().items():
        table = next(text for text in _tables(sections(document)[heading]))
        for key in keys(table):
            tail = key.rpartition(".")[2]
            assert any((path, tail) in asked for path in paths), f"{heading} has no key {key}"


def _by_section() -> Mapping[tuple[str, str], list[str]]:
    found: dict[tuple[str, str], list[str]] = {}
    for path, place in _SECTIONS.items():
        found.setdefault(place, []).append(path)
    return found


def _tables(text: str) -> list[str]:
    return [found[0] for found in re.finditer(r"(?:^\|.*\n)+", text, re.MULTILINE)]


def test_every_deviation_of_certificates_is_described() -> None:
    described = {
        name: row[-1]
        for table in _tables(sections("configuration")["[trust]"])[1:]
        for name, row in keys(table).items()
    }
    assert described.keys() == set(CertificateDeviation)
    assert {
        name for name, accepted in described.items() if accepted.rstrip(" |") == "with `tolerate`"
    } == CERTIFICATE_TOLERABLE


# Records.


def test_every_field_is_described() -> None:
    described = list(keys(sections("records")["Fields"]))
    record = Record(1.0, "192.0.2.7:5060", "192.0.2.1:5060", "udp").of_packet(1, "a.pcap", "tcp")
    assert sorted(described) == sorted(json.loads(record.to_json()))


def test_every_outcome_is_described() -> None:
    table = keys(sections("records")["Outcomes"])
    assert table.keys() == set(Outcome)
    for outcome in VERIFICATION_OUTCOMES | SIGNING_OUTCOMES | {Outcome.NOT_EXAMINED, Outcome.UNPARSEABLE}:
        code, phrase = response_to(outcome, None)
        *_, answer, verstat = table[outcome]
        assert answer == f"{code} {phrase}"
        expected = defaults_of(outcome, None).verstat
        if outcome is Outcome.ANONYMOUS:
            assert verstat.startswith("none")
        else:
            assert verstat == (f"`{expected}`" if expected else _NONE)


def test_every_detail_is_described() -> None:
    pages = sections("records")
    seen: set[str] = set()
    for outcome in Outcome:
        described = keys(pages[outcome])
        seen.update(described)
        assert described.keys() == DETAILS[outcome], outcome
        for name, row in described.items():
            _check_exception(outcome, Detail(name), " ".join(row))
    assert seen | keys(pages["Packets"]).keys() == set(Detail)


def _check_exception(outcome: Outcome, detail: Detail, text: str) -> None:
    """Where a detail differs from its outcome, the row says so, and only there."""
    code, phrase = response_to(outcome, detail)
    differs = (code, phrase) != response_to(outcome, None)
    assert (f"Rejected with {code} {phrase}" in text) is differs, (outcome, detail)
    verstat = defaults_of(outcome, detail).verstat
    assert ("`verstat` is" in text) is (verstat != defaults_of(outcome, None).verstat), (outcome, detail)
    if "`verstat` is" in text:
        assert f"`verstat` is `{verstat}`" in text


def test_summary_is_what_replay_says(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("COLUMNS", "200")
    (shown,) = re.findall(r"```console\n\$ sbc-filter (.*)\n([^`]*)```", DOCS["records"])
    assert main(shown[0].split()) == 0
    said = [line.rstrip() or "<BLANKLINE>" for line in capsys.readouterr().out.splitlines()]
    assert said == shown[1].splitlines()


def test_the_json_of_the_summary_is_what_replay_prints(capsys: pytest.CaptureFixture[str]) -> None:
    """Its keys, in their order; the reasons, in the order of the sentences."""
    section = sections("records")["The summary of --json"]
    (shown,) = re.findall(r"```json\n(.*)\n```", section)
    pcaps = ROOT / "pcaps"
    assert main(["replay", str(pcaps / "monitor.pcap"), "--rules", str(pcaps / "monitor.toml"), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert list(printed) == list(json.loads(shown)) == ["summary"]
    described = [name for table in _tables(section) for name in keys(table)]
    assert list(printed["summary"]) == list(json.loads(shown)["summary"]) == described
    assert list(keys(sections("records")["What a replay did not look at"])) == list(Reason)


def test_every_fault_of_a_stream_is_described() -> None:
    section = sections("records")["SIP over TCP"]
    assert list(keys(section)) == list(FramingFault)
    assert f"more than {MAX_DIRECTIONS // 2}" in section  # a connection has two
    assert f"more than {MAX_OCTETS >> 20} MiB" in section
    assert f"more than {MAX_HEAD} octets" in section
    assert f"more than {MAX_BODY}." in section


def test_every_repair_is_described() -> None:
    assert list(keys(sections("records")["What is repaired"])) == list(Repair)


# Explain.


def test_every_field_of_an_explanation_is_described() -> None:
    assert list(keys(sections("explain")["JSON"])) == list(Findings._fields)
    assert list(keys(sections("explain")["What it shows"])) == list(State)


# Counters.


def test_every_counter_is_described() -> None:
    """The first table is the line at a terminal, in its order; the second has all the others."""
    shown, others = (
        [name for cells in rows(table) for name in re.findall(r"`([^`]+)`", cells[0])]
        for table in _tables(sections("service")["Counters and warnings"])
    )
    assert shown == list(SHOWN)
    beside = re.findall(r"`(accepted|modified|dropped)`", sections("service")["Counters and warnings"])
    packets = set(keys(sections("records")["Packets"]))
    assert sorted([*others, *beside, *shown]) == sorted(
        {*CounterName, *packets, "deviation.", "repair.", "relay-fault."}
    )


# Numbers.


def test_numbers_become_what_the_table_says() -> None:
    table = _tables(sections("rules")["Numbers"])[1]
    head, *lines = rows(table)
    profiles = [cell.strip("`") for cell in head[1:]]
    assert sorted(profiles) == sorted(PROFILES)
    assert len(lines) >= 12
    for uri, *identities in lines:
        for profile, identity in zip(profiles, identities, strict=True):
            found = canonicaliser(PROFILES[profile])(uri.strip("`").encode())
            assert (found or "none") == identity.strip("`"), (uri, profile)


# Links.


@pytest.mark.parametrize("document", DOCS)
def test_links_lead_somewhere(document: str) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", DOCS[document]):
        name, _, anchor = target.partition("#")
        if name.endswith(".png"):
            assert (ROOT / "docs" / name).read_bytes().startswith(b"\x89PNG\r\n")
            continue
        text = DOCS[name.removesuffix(".md")] if name else DOCS[document]
        if anchor:
            assert anchor in {_anchor(line) for line in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}, target


def test_pictures_are_shown_and_small() -> None:
    pictures = {path.name: path.stat().st_size for path in (ROOT / "docs").glob("*.png")}
    assert pictures.keys() == set(re.findall(r"\]\(([^)]+\.png)\)", "".join(DOCS.values())))
    assert all(size < 150_000 for size in pictures.values())


def _anchor(heading: str) -> str:
    return re.sub(r"[^a-z0-9 _-]", "", heading.lower()).replace(" ", "-")


def test_every_deviation_is_described() -> None:
    always, switched = _tables(sections("records")["What is tolerated"])
    assert keys(always).keys() == {str(each) for each in Deviation} - TOLERABLE
    assert keys(switched).keys() == TOLERABLE
    for name, row in keys(switched).items():
        for refused in re.findall(r"`([^`]+)`", row[2]):
            outcome, _, detail = refused.partition(".")
            assert detail in DETAILS[Outcome(outcome)], name


def test_every_dialect_is_described() -> None:
    table = _tables(sections("rules")["Marks"])[0]
    described = {cells[0].partition("`")[2].partition("`")[0]: cells for cells in rows(table) if "`" in cells[0]}
    described.pop("dialect")
    assert described.keys() == DIALECTS.keys()
    for name, cells in described.items():
        dialect = DIALECTS[name]
        assert (cells[2] == "in the user part") is dialect.in_user_part
        assert re.findall(r"`([^`]+)`", cells[3]) == [dialect.attestation, dialect.origination]
        grades = [dialect.verstat(_VERIFIED, grade).removeprefix(_VERIFIED) for grade in "ABC"]
        stated = [text.removeprefix(_VERIFIED) for text in re.findall(r"`([^`]+)`", cells[1])]
        assert stated == list(dict.fromkeys(grades))


# What fails open.


def test_every_strict_setting_is_one_and_is_not_the_default() -> None:
    table = _tables(sections("security")["What fails open"])[0]
    defaults_of = {row[0].strip("`"): row[1].strip("`") for row in rows(_tables(DOCS["defaults"])[0])}
    stated = [
        (path.replace("[rule.", "rule.").replace("].", ".") if path.startswith("[rule.") else path, value)
        for cells in rows(table)
        for path, value in re.findall(r"`(\[[a-z.]+\]\.[a-z_.]+)(?: = ([^`]+))?`", cells[2])
    ]
    assert len(stated) >= 12
    for setting, value in stated:
        assert setting in defaults_of
        assert value != defaults_of[setting], setting
    refused = {name for cells in rows(table) for name in _treated(cells[2])} - {"action"}  # that of a rule
    assert refused == {
        *(str(each) for each in VERIFICATION_OUTCOMES - {Outcome.PASSED}),
        *(str(each) for each in (Outcome.UNPARSEABLE, Outcome.UNSIGNED)),
    }


def _treated(cell: str) -> list[str]:
    """The outcomes in front of the last ` = "reject"` of a cell."""
    names, refused, _ = cell.rpartition(' = "reject"`')
    return re.findall(r"`([a-z-]+)(?:`|$)", names) if refused else []


# All defaults in one table.

_BEGINNINGS = {"configuration": "[{}].", "rules": "{}."}


def test_every_default_stands_in_the_one_table_with_its_reason() -> None:
    expected = {}
    for path, (document, heading) in _SECTIONS.items():
        if path == "queue.on_overload":
            continue  # stands in the table of [queue]
        beginning = _BEGINNINGS[document].format(path.replace(".x", ".NAME"))
        for key, row in keys(_tables(sections(document)[heading])[0]).items():
            default = row[2].strip() if len(row) > 3 else _NONE
            if default != _NONE:
                expected[beginning + key] = default
    stated = {row[0].strip("`"): row for row in rows(_tables(DOCS["defaults"])[0]) if row[0] != "Setting"}
    every_outcome = stated.pop("rule.on` of every outcome")
    assert every_outcome[1] == '`"continue"`'
    assert {setting: row[1] for setting, row in stated.items()} == expected
    assert all(len(row[2].rstrip(" |")) >= 9 for row in stated.values())  # "The same." is one
