"""The reader of `[[rule.example]]`."""

import re
from collections.abc import Collection
from datetime import datetime

from sbc_filter.outcomes import DETAILS, Outcome
from sbc_filter.rules.example import Example, ExampleToken, Expected
from sbc_filter.rules.model import ATTESTATIONS, TreatmentKind
from sbc_filter.rules.toml_table import TomlTable
from sbc_filter.rules.trunk import TRANSPORTS
from sbc_filter.rules.trunk_options import parse_endpoint
from sbc_filter.sip.header import canonical

VERDICTS = ("accept", "modify", "reject", "redirect", "drop")
"""The values of `verdict`, as in records."""
ANONYMOUS = "anonymous"
CALLER, CALLED = "12025550100", "12025550199"
"""The parties of a made call that does not name them: fictitious numbers."""
_MOST_REPEATED = 10_000
_TIME = "has to be a time of 1971 to 2099 with its zone, without quotes, such as 2027-01-15T08:00:00Z"
_PARTY = re.compile(r"\+?[0-9*#]{1,32}|sips?:[^\s<>;?\"]{1,256}")
_FIELD = re.compile(r"[^:\r\n]+:[^\r\n]*")
_OF_MESSAGE = ("at", "repeated", "from", "to", "transport")  # what a capture says itself
_MADE = ("caller", "called", "headers", "token")


def read_examples(table: TomlTable, trunks: Collection[str]) -> tuple[Example, ...]:
    """The examples of the rule that `table` is."""
    return tuple(_example(each, trunks) for each in table.tables("example"))


def _example(table: TomlTable, trunks: Collection[str]) -> Example:
    message, capture = table.text("message"), table.text("capture")
    if message and capture:
        table.problem("capture", "does not go with `message`: write two examples")
    for key in _MADE if message or capture else ():
        if key in table:
            table.problem(key, "is for a call that is made up, without `message` and `capture`")
    for key in _OF_MESSAGE if capture else ():
        if key in table:
            table.problem(key, "does not go with `capture`, which says it itself")
    if "packet" in table and not capture:
        table.problem("packet", "belongs to `capture`")
    if "from" in table and "to" in table:
        table.problem("to", "does not go with `from`: name the peer that the call comes from, or the one it goes to")
    example = Example(
        table.fault("", ""),
        message,
        capture,
        table.integer("packet", 1, 1, 2**53) if "packet" in table else None,
        _party(table, "caller", CALLER),
        _party(table, "called", CALLED),
        _headers(table),
        _token(table.table("token")) if "token" in table else None,
        _peer(table, "from", trunks),
        _peer(table, "to", trunks),
        table.choice("transport", TRANSPORTS),
        _at(table),
        table.integer("repeated", 0, 0, _MOST_REPEATED),
        table.text("certificate"),
        table.text("anchors"),
        _expected(table),
    )
    if example.token is not None and (example.certificate or example.anchors):
        table.problem("token", "has a certificate of its own: leave out `certificate` and `anchors`")
    table.close()
    return example


def _expected(table: TomlTable) -> Expected:
    expected = Expected(
        table.text("rule"),
        table.flag("matches", True),
        table.text("outcome"),
        table.choice("treatment", list(TreatmentKind)),
        table.choice("verdict", VERDICTS),
        table.integer("code", 300, 300, 699) if "code" in table else None,
        table.choice("attest", ATTESTATIONS),
        table.text("verstat"),
        _names(table, "adds"),
        _names(table, "removes"),
    )
    outcome, _, detail = expected.outcome.partition(".")
    if expected.outcome and (outcome not in list(Outcome) or (detail and detail not in DETAILS[Outcome(outcome)])):
        table.problem("outcome", f"{expected.outcome!r} is not an outcome, or not one with this detail")
    if expected.rule and not expected.matches:
        table.problem("rule", "does not go with `matches = false`")
    return expected


def _token(table: TomlTable) -> ExampleToken:
    default = ExampleToken()
    token = ExampleToken(
        table.choice("attest", ATTESTATIONS, default.attest),
        _party(table, "caller", ""),
        _party(table, "called", ""),
        table.number("age", default.age, -86400, 86400),
        table.text("spc", default.spc),
        table.flag("trusted", default.trusted),
    )
    if not re.fullmatch(r"[A-Z0-9]{1,8}", token.spc):
        table.problem("spc", f"{token.spc!r} is not a service provider code, such as '1234'")
    table.close()
    return token


def _party(table: TomlTable, key: str, default: str) -> str:
    value = table.text(key, default)
    if value in ("", ANONYMOUS) or _PARTY.fullmatch(value):
        return value.removeprefix("+")
    table.problem(key, f"{value!r} is neither a number nor a SIP URI")
    return default


def _peer(table: TomlTable, key: str, trunks: Collection[str]) -> str:
    value = table.text(key)
    if not value or value in trunks:
        return value
    try:
        parse_endpoint(value, 5060)
    except ValueError:
        table.problem(key, f"{value!r} is neither an address such as 192.0.2.7 or 192.0.2.7:5080 nor a trunk")
    return value


def _headers(table: TomlTable) -> tuple[str, ...]:
    lines = table.texts("headers")
    for line in lines:
        if not _FIELD.fullmatch(line) or not canonical(line.partition(":")[0].encode()):
            table.problem("headers", f"{line!r} is not a header field such as 'X-Monitoring: yes'")
    return lines


def _names(table: TomlTable, key: str) -> tuple[str, ...]:
    names = table.texts(key)
    for name in names:
        if not canonical(name.encode()):
            table.problem(key, f"{name!r} is not a header name")
    return tuple(canonical(name.encode()).decode() for name in names)


def _at(table: TomlTable) -> float | None:
    value = table.raw("at")
    if value is None:
        return None
    if not isinstance(value, datetime) or value.tzinfo is None or not 1970 < value.year < 2100:
        table.problem(
            "at", "has to be a time of 1971 to 2099 with its zone, without quotes, such as 2027-01-15T08:00:00Z"
        )
        return None
    return value.timestamp()
