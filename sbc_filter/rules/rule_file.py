"""The reader of rule files: makes a `RuleSet`, and reports every fault of all files at once."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from typing import TypeVar

from sbc_filter.errors import ConfigurationError, Problem
from sbc_filter.outcomes import REFUSABLE, SIGNING_OUTCOMES, TOLERABLE, VERIFICATION_OUTCOMES, Outcome
from sbc_filter.rules import treatment_options
from sbc_filter.rules.example_options import read_examples
from sbc_filter.rules.header_conditions import read_headers
from sbc_filter.rules.model import (
    ALWAYS,
    ATTESTATIONS,
    BELOW_A,
    DIALECTS,
    NEVER,
    NUMBERS,
    RATE_KEYS,
    SESSION_ID,
    UNATTESTED,
    Bypass,
    Conditions,
    Direction,
    Insertion,
    Mode,
    RateLimit,
    ReasonProtocol,
    Rule,
    RuleAction,
    SignOptions,
    StripOptions,
    VerifyOptions,
)
from sbc_filter.rules.number_list import Entries, ReadList, read_lists
from sbc_filter.rules.ruleset import RuleSet
from sbc_filter.rules.sign_options import read_more
from sbc_filter.rules.time_windows import DAYS, Schedule, parse_days, parse_hours, parse_period, parse_zone
from sbc_filter.rules.toml_table import TomlTable, parse_toml
from sbc_filter.rules.translations import read_request_uri
from sbc_filter.rules.trunk import Trunk
from sbc_filter.rules.trunk_options import read_transport, read_trunks
from sbc_filter.sip.field import is_uuid
from sbc_filter.sip.header import canonical

T = TypeVar("T")
V = TypeVar("V")
SOURCES = ("pai", "from", "to", "ruri")
# The tables of the configuration file: one of them in a rule file has the wrong file, not the wrong name.
CONFIGURATION_TABLES = (
    "rules", "network", "queue", "trust", "certificates", "credentials", "verifiers", "log", "serve", "control",
    "process", "firewall", "relay",
)  # fmt: skip
_RULES = "a rule begins with [[rule]], without an s at its end"
_BEGIN = re.compile(r"""[ \t]*\[\[[ \t]*(?:rule|"rule"|'rule')[ \t]*\]\]""")
_CHANGED = frozenset((b"via", b"from", b"to", b"cseq", b"contact", b"content-length", b"max-forwards", b"identity"))
_NEEDED = frozenset((b"via", b"from", b"to", b"call-id", b"cseq", b"contact", b"content-length", b"max-forwards"))


def load_rules(
    files: Mapping[str, str],
    read_list: ReadList,
    credentials: Collection[str] = (),
    trunks: Iterable[Trunk] = (),
    verifiers: Collection[str] = (),
) -> tuple[RuleSet, list[Trunk]]:
    """The result of `read_rules`; raises `ConfigurationError` with every problem."""
    problems: list[Problem] = []
    read = read_rules(files, read_list, problems, credentials, trunks, verifiers)
    if problems:
        raise ConfigurationError(problems)
    return read


def read_rules(
    files: Mapping[str, str],
    read_list: ReadList,
    problems: list[Problem],
    credentials: Collection[str] = (),
    trunks: Iterable[Trunk] = (),
    verifiers: Collection[str] = (),
    file: str = "",
) -> tuple[RuleSet, list[Trunk]]:
    """The rules of all `files` (name to text, in order), and all trunks, including those of the configuration `file`.

    Faults are added to `problems`; if there are any, the rules are incomplete and must not be used.
    """
    parsed = {name: parse_toml(name, text, problems) for name, text in files.items()}
    tops = [TomlTable(top, name, "", problems) for name, top in parsed.items()]
    known = {trunk.name: trunk for trunk in trunks}
    for top in tops:
        table = top.table("trunks")
        for trunk in read_trunks(table):
            if trunk.name in known:
                table.problem(trunk.name, "is the name of another trunk already")
            known[trunk.name] = trunk
    reader = _Reader(read_list, credentials, known, verifiers, file or "the configuration (sbc-filter.toml)")
    lines = [_lines_of_rules(text) for text in files.values()]
    rules = [reader.rule(table) for top, at in zip(tops, lines, strict=True) for table in top.tables("rule", at)]
    for top in tops:
        top.close(_elsewhere(parsed[top.file]))
    return RuleSet(rules), list(known.values())


def _lines_of_rules(text: str) -> list[int]:
    """The lines on which a rule begins, counted from 1."""
    return [number for number, line in enumerate(text.split("\n"), 1) if _BEGIN.match(line)]


def _elsewhere(top: Mapping[str, object]) -> dict[str, str]:
    """What is said of a table that has no place in a rule file."""
    found = dict.fromkeys(CONFIGURATION_TABLES, "belongs in the configuration file, sbc-filter.toml")
    return found if isinstance(top.get("rules"), dict) else found | {"rules": _RULES}


class _Reader:
    """Reads `[[rule]]` tables, and knows the names that they may refer to."""

    def __init__(
        self,
        read_list: ReadList,
        credentials: Collection[str],
        trunks: Mapping[str, Trunk],
        verifiers: Collection[str],
        file: str,
    ) -> None:
        self._read_list = read_list
        self._credentials = credentials
        self._trunks = trunks
        self._verifiers = verifiers
        self._file = file
        self._peers = {*trunks}  # what an example may name
        self._names: dict[str, str] = {}

    def rule(self, table: TomlTable) -> tuple[Rule, Conditions]:
        name = table.text("name", required=True)
        if name and name in self._names:
            table.problem("name", f"{name!r} is the name of a rule in {self._names[name]} already")
        self._names.setdefault(name, table.file)
        action = RuleAction(table.choice("action", list(RuleAction), RuleAction.PASS, required=True))
        conditions = self._conditions(table)
        insertion = Insertion(table.choice("insertion", list(Insertion), Insertion.INLINE))
        answer = treatment_options.read_answer(table) if "answer" in table else None
        if answer is not None and action is not RuleAction.REJECT:
            table.problem("answer", 'belongs to action = "reject" only')
        self._only(table, "verify", action, RuleAction.VERIFY)
        self._only(table, "when", action, RuleAction.VERIFY)
        self._only(table, "sign", action, RuleAction.SIGN)
        self._only(table, "strip", action, RuleAction.STRIP)
        mode = Mode(table.choice("mode", list(Mode), Mode.ENFORCE))
        if mode is Mode.MONITOR and "enforce_percent" in table:
            table.problem("enforce_percent", 'belongs to mode = "enforce": a rule that monitors enforces nothing')
        inline = insertion is Insertion.INLINE
        if action is RuleAction.SIGN and conditions.direction is Direction.INBOUND and inline:
            table.problem("direction", "a call that arrives cannot be signed: write outbound, or leave it out")
        rule = Rule(
            name,
            action,
            mode,
            insertion,
            answer,
            self._verify(table.table("verify"), conditions),
            self._sign(table.table("sign"), action is RuleAction.SIGN, conditions),
            _strip(table.table("strip")),
            tuple(treatment_options.read_when(when, self._entries) for when in table.tables("when")),
            treatment_options.read_on(table.table("on"), _outcomes(action)),
            table.file,
            read_examples(table, self._peers),
        )
        self._check_redirect(table, rule, conditions)
        of_certificates = (each for when in rule.when for each in (when.spc, when.not_spc, when.issuer))
        if rule.verify.service and any(each is not None for each in of_certificates):
            table.problem("when", "with spc, not_spc or issuer asks for the certificate, which only the `service` sees")
        table.close()
        return rule, conditions

    def _only(self, table: TomlTable, key: str, action: RuleAction, owner: RuleAction) -> None:
        if key in table and action is not owner:
            table.problem(key, f'belongs to action = "{owner}" only')

    def _conditions(self, table: TomlTable) -> Conditions:
        direction = table.choice("direction", list(Direction))
        methods = table.texts("method", ("INVITE",))
        if methods != ("INVITE",):
            table.problem("method", 'only "INVITE" can be filtered: nothing else carries an Identity here')
        return Conditions(
            table.number("enforce_percent", 100, 0, 100),
            Direction(direction) if direction else None,
            self._trunk(table) if "trunk" in table else None,
            read_transport(table),
            self._numbers(table, "caller"),
            self._numbers(table, "not_caller"),
            self._numbers(table, "called"),
            self._numbers(table, "not_called"),
            read_headers(table.table("header")),
            table.flag("has_identity", False) if "has_identity" in table else None,
            _time(table.table("time")) if "time" in table else None,
            _rate(table.table("rate")) if "rate" in table else None,
            _sources(table, "caller_from", ()),
            _sources(table, "called_from", ()),
        )

    def _trunk(self, table: TomlTable) -> frozenset[str]:
        """The trunks of a rule. One that is not configured is reported here, and then not in its examples."""
        names = table.texts("trunk")
        for name in names:
            if name not in self._trunks:
                there = ", ".join(map(repr, sorted(self._trunks))) or "none"
                lines = f'add the lines [trunks.{name}] and addresses = ["ADDRESS"] to {self._file}'
                table.problem("trunk", f"has {name!r}; there are {there}: {lines}")
        self._peers.update(names)
        return frozenset(names) & frozenset(self._trunks)

    def _numbers(self, table: TomlTable, key: str) -> Callable[[str | None], bool] | None:
        entries = self._entries(table, key)
        return None if entries is None else read_lists(entries)

    def _entries(self, table: TomlTable, key: str) -> Entries | None:
        if key not in table:
            return None
        if table.raw(key) == []:
            table.problem(key, "is an empty list: add an entry, or leave the key out")
        return Entries(table.texts(key), self._read_list, partial(table.problem, key))

    def _verify(self, table: TomlTable, conditions: Conditions) -> VerifyOptions:
        options = _verify_options(table, conditions)
        options = read_request_uri(table, options, self._entries(table, "translations"))
        table.close()
        if options.service:
            _refer(table, "service", options.service, self._verifiers, "verifier", "verifiers")
        return options

    def _sign(self, table: TomlTable, wanted: bool, conditions: Conditions) -> SignOptions:
        default = SignOptions()
        credential = table.text("credential", required=wanted)
        if wanted and credential:
            _refer(table, "credential", credential, self._credentials, "credential", "credentials")
        listed = self._numbers(table, "numbers")
        unlisted = table.choice("attest_unlisted", (*ATTESTATIONS, UNATTESTED), default.attest_unlisted)
        if unlisted == "A":
            table.problem("attest_unlisted", "is never better than B: A vouches for numbers that are on a list (S-073)")
        origid = table.text("origid", required=wanted)
        if origid and not (is_uuid(origid) and origid == origid.lower()):
            table.problem("origid", f"{origid!r} is not a UUID in lower case; make one with `uuidgen`")
        options = SignOptions(
            credential,
            listed,
            table.choice("attest_listed", ATTESTATIONS, default.attest_listed),
            unlisted,
            origid,
            _sources(table, "caller_from", conditions.caller_from or default.caller_from),
            _sources(table, "called_from", conditions.called_from or default.called_from),
            _removable(table, "remove", default.remove),
            _preserve(table),
            _bypass(table),
            hold_ms=table.integer("hold_ms", default.hold_ms, 0, 4000),
        )
        options = read_more(table, options)
        table.close()
        return options

    def _check_redirect(self, table: TomlTable, rule: Rule, conditions: Conditions) -> None:
        """A 302 gives the result, or a signature, to whoever sent the INVITE: only a trusted trunk may get one."""
        if not rule.redirects:
            if rule.verify.mark_contact:
                table.problem("verify.mark_contact", "belongs to a rule that redirects: nothing else has this Contact")
            return
        if rule.sign.preserve is not None:
            table.problem("sign.preserve", "does not go with a redirect: a call that is answered never leaves")
        if rule.sign.bypass is not None:
            table.problem("sign.bypass", "does not go with a redirect: a 302 has no place for it")
        if rule.insertion is Insertion.REDIRECT and rule.action not in (RuleAction.SIGN, RuleAction.VERIFY):
            table.problem("insertion", 'redirect belongs to action = "sign" or "verify"')
        trunks = [self._trunks[name] for name in conditions.trunk or ()]
        if not trunks or not all(trunk.trusted for trunk in trunks):
            table.problem("trunk", "a redirect needs `trunk`, and only trunks with `trusted = true`")


def _outcomes(action: RuleAction) -> Collection[Outcome]:
    if action is RuleAction.VERIFY:
        return VERIFICATION_OUTCOMES | {Outcome.UNPARSEABLE}
    return SIGNING_OUTCOMES if action is RuleAction.SIGN else ()


def _refer(table: TomlTable, key: str, name: str, known: Collection[str], what: str, tables: str) -> None:
    """Report a name for which the configuration has no table."""
    if name not in known:
        there = ", ".join(map(repr, sorted(known))) or f"none: add [{tables}.NAME] to the configuration"
        table.problem(key, f"{name!r} is not a {what} of the configuration; there are {there}")


def _verify_options(table: TomlTable, conditions: Conditions) -> VerifyOptions:
    default = VerifyOptions()
    options = VerifyOptions(
        table.number("max_age", default.max_age, 0, 86400),
        table.number("max_skew", default.max_skew, 0, 86400),
        _sources(table, "caller_from", conditions.caller_from or default.caller_from),
        _sources(table, "called_from", conditions.called_from or default.called_from),
        table.flag("check_called", default.check_called),
        table.choice("identity", ("keep", "strip"), "keep") == "keep",
        table.flag("verstat", default.verstat),
        table.integer("hold_ms", default.hold_ms, 0, 4000),
        table.choices("tolerate", TOLERABLE) or default.tolerate,
        table.choice("dialect", DIALECTS, default.dialect),
        table.choice("attestation", (ALWAYS, BELOW_A, NEVER), default.attestation),
        ReasonProtocol(table.choice("reason", list(ReasonProtocol), default.reason)),
        table.flag("required", default.required),
        table.flag("check_replay", default.check_replay),
        table.flag("mark_contact", default.mark_contact),
        table.text("service", required="service" in table),
        table.choices("strict", REFUSABLE) or default.strict,
        table.choice("in_dialog", ("pass", "verify"), "pass") == "verify",
        table.number("max_age_inner", default.max_age, 0, 86400) if "max_age_inner" in table else None,
        table.number("max_date_age", default.max_age, 0, 86400) if "max_date_age" in table else None,
    )
    if options.service and not options.check_called:
        table.problem("check_called", "does not go with `service`: a service always compares the called party")
    if options.required and options.reason is ReasonProtocol.OFF:
        table.problem("required", 'says what `reason` reports: add reason = "stir", or reject no-identity in [rule.on]')
    return options


def _preserve(table: TomlTable) -> str | None:
    """The field by which two legs of a call are recognised; None if tokens are not preserved."""
    if "preserve" not in table:
        return None
    given = table.text("preserve")
    name = canonical(given.encode()).decode()
    if not name or name.encode() in _CHANGED:
        fault = "is changed between two legs" if name else f"is neither {NUMBERS!r} nor the name of a header field"
        if isinstance(table.raw("preserve"), str):
            table.problem("preserve", f"{given!r} {fault}: name {SESSION_ID!r}, or a header field that the SBC copies")
        return None
    return name


def _bypass(table: TomlTable) -> Bypass | None:
    """What replaces Identity during an outage."""
    if "bypass" not in table:
        return None
    inner = table.table("bypass")
    bypass = Bypass(inner.text("token_file", required=True), inner.text("header", Bypass("").header))
    name = canonical(bypass.header.encode())
    if not name or name in _CHANGED | _NEEDED:
        fault = "has another meaning" if name else "is not a header name"
        inner.problem("header", f"{bypass.header!r} {fault}: name the header field that the token goes into")
    inner.close()
    return bypass


def _strip(table: TomlTable) -> StripOptions:
    options = StripOptions(_removable(table, "headers", StripOptions().headers))
    table.close()
    return options


def _sources(table: TomlTable, key: str, default: tuple[str, ...]) -> tuple[str, ...]:
    sources = table.texts(key, default)
    for source in sources:
        if source not in SOURCES and not canonical(source.encode()):
            table.problem(key, f"{source!r} is neither one of {', '.join(SOURCES)} nor the name of a header field")
    return sources


def _removable(table: TomlTable, key: str, default: tuple[str, ...]) -> tuple[str, ...]:
    names = table.texts(key, default)
    for name in names:
        known = canonical(name.encode())
        if not known or known in _NEEDED:
            table.problem(key, f"{name!r} " + ("cannot be removed from a call" if known else "is not a header name"))
    return names


def _time(table: TomlTable) -> Callable[[float], bool] | None:
    days = _parsed(table, "days", parse_days, table.texts("days", DAYS))
    hours = _parsed(table, "hours", parse_hours, table.text("hours", "00:00-24:00"))
    zone = _parsed(table, "zone", parse_zone, table.text("zone", "UTC"))
    table.close()
    return None if days is None or hours is None or zone is None else Schedule(days, *hours, zone)


def _rate(table: TomlTable) -> RateLimit | None:
    over = table.number("over", 1, 1, 1e6)
    seconds = _parsed(table, "per", parse_period, table.text("per", "1s"))
    by = table.choice("by", RATE_KEYS, "trunk", required=True)
    if "over" not in table:
        table.problem("over", "is missing")
    table.close()
    return None if seconds is None else RateLimit(over, seconds, by)


def _parsed(table: TomlTable, key: str, parse: Callable[[V], T], value: V) -> T | None:
    """The value of a key as converted by `parse`; None, and a problem, if `parse` refuses it."""
    try:
        return parse(value)
    except ValueError as error:
        table.problem(key, str(error))
        return None
