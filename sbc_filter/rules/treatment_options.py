"""The reader for what a rule does when the outcome is known: `[rule.on]`, `[[rule.when]]`, `answer`."""

import difflib
from collections.abc import Callable, Collection

from sbc_filter.outcomes import DETAILS, VERIFICATION_OUTCOMES, Detail, Outcome, Verstat
from sbc_filter.rules.model import ATTESTATIONS, Treatment, TreatmentKind, When
from sbc_filter.rules.number_list import Entries
from sbc_filter.rules.toml_table import TomlTable
from sbc_filter.sip.field import is_reason

_OWN_CODES = {TreatmentKind.REJECT: (400, 699), TreatmentKind.REDIRECT: (300, 399)}
_CONDITIONS = ("outcome", "detail", "attest", "spc", "not_spc", "issuer", "x5u_host")
_PHRASE = frozenset(map(chr, range(32, 127)))
ReadEntries = Callable[[TomlTable, str], Entries | None]


def read_on(table: TomlTable, outcomes: Collection[Outcome]) -> dict[str, Treatment]:
    """`[rule.on]`, with keys `outcome` or `outcome.detail`."""
    found = {}
    for key in table:
        outcome, dot, detail = key.partition(".")
        value = table.raw(key)
        if outcome not in outcomes:
            allowed = ", ".join(sorted(outcomes)) or "none for this action"
            table.problem(key, f"{outcome!r} is not an outcome of this rule; allowed are {allowed}")
        elif dot and detail not in DETAILS[Outcome(outcome)]:
            table.problem(key, f"{detail!r} is not a detail of {outcome}; {_meant(detail, Outcome(outcome))}")
        elif isinstance(value, str):
            found[key] = _treatment(table, key, value)
            _check_redirect(table, key, outcome, found[key])
        elif not isinstance(value, dict):
            table.problem(key, f"is {value!r}; write continue, reject, drop or redirect in quotes, or a table")
        else:
            inner = table.table(key)
            found[key] = _read(inner, marks=outcome in VERIFICATION_OUTCOMES)
            inner.close()
            _check_redirect(table, key, outcome, found[key])
    return found


def _check_redirect(table: TomlTable, key: str, outcome: str, treatment: Treatment) -> None:
    if outcome == Outcome.UNPARSEABLE and treatment.kind is TreatmentKind.REDIRECT:
        table.problem(key, "a call that cannot be read cannot be redirected: write continue, reject or drop")


def _meant(detail: str, outcome: Outcome) -> str:
    """A hint for an unknown detail: the most similar one, or all of them."""
    of_others = [str(other) for other, details in DETAILS.items() if detail in details]
    if of_others:
        return f"it is one of {', '.join(of_others)}"
    if not DETAILS[outcome]:
        return "there are none"
    near = difflib.get_close_matches(detail, DETAILS[outcome], 1, 0.5)
    return f"did you mean {str(near[0])!r}?" if near else f"allowed are {', '.join(sorted(DETAILS[outcome]))}"


def read_when(table: TomlTable, entries: ReadEntries) -> When:
    """One `[[rule.when]]`."""

    def listed(key: str, form: Callable[[str], str] = str) -> frozenset[str] | None:
        found = entries(table, key)
        return None if found is None else frozenset(map(form, found))

    outcome = table.choices("outcome", list(Outcome))
    detail = table.choices("detail", list(Detail))
    when = When(
        _read(table),
        frozenset(map(Outcome, outcome)) if outcome is not None else None,
        frozenset(map(Detail, detail)) if detail is not None else None,
        table.choices("attest", ATTESTATIONS),
        listed("spc", str.upper),
        listed("not_spc", str.upper),
        listed("issuer"),
        listed("x5u_host", str.lower),
    )
    given = [key for key in _CONDITIONS if key in table]
    if not given and when.treatment.kind is not TreatmentKind.CONTINUE:
        table.problem("", "has no condition, so it would decide every call: name one of " + ", ".join(_CONDITIONS))
    table.close()
    return when


def read_answer(table: TomlTable) -> Treatment:
    """`answer = { code = 603, phrase = "…" }` of a rule that rejects."""
    inner = table.table("answer")
    code, phrase = _code_and_phrase(inner, TreatmentKind.REJECT)
    treatment = Treatment(TreatmentKind.REJECT, code, phrase, reason=_reason(inner, TreatmentKind.REJECT))
    inner.close()
    return treatment


def _read(table: TomlTable, *, marks: bool = True) -> Treatment:
    kind = TreatmentKind(table.choice("action", list(TreatmentKind), TreatmentKind.CONTINUE, required=True))
    code, phrase = _code_and_phrase(table, kind)
    verstat, indicator = _mark(table, kind) if marks else (None, None)
    return Treatment(kind, code, phrase, verstat, indicator, _reason(table, kind))


def _treatment(table: TomlTable, key: str, value: str) -> Treatment:
    if value not in set(TreatmentKind):
        table.problem(key, f"is {value!r}; allowed are {', '.join(TreatmentKind)}")
        return Treatment(TreatmentKind.CONTINUE)
    return Treatment(TreatmentKind(value))


def _mark(table: TomlTable, kind: TreatmentKind) -> tuple[str | None, str | None]:
    """What the SBC is told about a call that continues or is redirected."""
    if kind in (TreatmentKind.REJECT, TreatmentKind.DROP):
        for key in ("verstat", "indicator"):
            if key in table:
                table.problem(key, f"belongs to continue and redirect, not to {kind}")
        return None, None
    verstat = table.choice("verstat", list(Verstat)) or None
    indicator = table.choice("indicator", (*ATTESTATIONS, "none")) or None
    return verstat, "" if indicator == "none" else indicator


def _reason(table: TomlTable, kind: TreatmentKind) -> str | None:
    """A Reason header field (RFC 3326), as required with 603+ (S-170)."""
    if "reason" not in table:
        return None
    if kind is not TreatmentKind.REJECT:
        table.problem("reason", f"belongs to reject, not to {kind}")
        return None
    reason = table.text("reason")
    if not is_reason(reason):
        sentence = 'is not a Reason: write SIP;cause=603;text="v=analytics1;url=https://redress.example/";location=RLN'
        table.problem("reason", f"{reason!r} {sentence}")
    return reason


def _code_and_phrase(table: TomlTable, kind: TreatmentKind) -> tuple[int | None, str | None]:
    given = [key for key in ("code", "phrase") if key in table]
    if kind not in _OWN_CODES:
        for key in given:
            table.problem(key, f"belongs to reject and redirect, not to {kind}")
        return None, None
    low, high = _OWN_CODES[kind]
    code = table.integer("code", low, low, high) if "code" in given else None
    phrase = table.text("phrase") if "phrase" in given else None
    if phrase is not None and not _PHRASE.issuperset(phrase):
        table.problem("phrase", "has to be printable ASCII on one line")
    return code, phrase
