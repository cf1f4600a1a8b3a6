"""What may leave, judged by the manual and not by the program: exactly the header fields that came, but for those that
docs/rules.md, docs/redirect.md and docs/records.md say are removed, and those that they say are added.

`Structure` is raised for anything else. The outcome is taken from the record, whose own words are judged as well.
"""

import json
import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from sbc_filter.lab.certificate_maker import X5U
from support.calls import CARRIER
from support.hostilecalls import FORCED, HostileCall
from support.plainreader import Field, read
from support.shown_caller import shown, without_results

_GRADES = ("A", "B", "C")
_BRACKETS = re.compile(rb".*<([^<>]*)>")
_NUMBER = re.compile(rb"(?:\+|%2b)[0-9]+(?:;[^;@>]*)*(?=[@>]|\Z)")  # with its parameters
_UUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_ASSERTIONS = {b"p-attestation-indicator", b"p-origination-id", b"attestation-info", b"origination-id"}
_LONGEST = 4096  # octets of a record's line
_ANSWERS = {
    "passed": (403, "Forbidden"),
    "no-identity": (428, "Use Identity Header"),
    "no-identity.unsupported-ppt": (428, "Use Supported PASSporT Format"),
    "anonymous": (433, "Anonymity Disallowed"),
    "stale": (403, "Stale Date"),
    "unfetchable": (436, "Bad Identity Info"),
    "untrusted": (437, "Unsupported Credential"),
    "invalid": (438, "Invalid Identity Header"),
    "replayed": (438, "Invalid Identity Header"),
}
_VERSTAT = {
    "passed": "TN-Validation-Passed",
    "no-identity": "No-TN-Validation",
    "anonymous": None,
    "stale": "TN-Validation-Failed",
    "unfetchable": "No-TN-Validation",
    "untrusted": "TN-Validation-Failed",
    "invalid": "TN-Validation-Failed",
    "replayed": "No-TN-Validation",
}
_GRADED = {"graded": "ABC", "telnyx": "BC"}  # dialects whose verstat has the attestation at its end
_NAMES = {"3gpp": (b"Attestation-Info", b"Origination-Id")}
_OURS = re.compile(rb"[\w-]+\.[\w-]+\.[\w-]+;info=<" + re.escape(X5U.encode()) + rb">;alg=ES256;ppt=(?:div|shaken)")
_DATE = re.compile(rb"[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT")
_REASON = re.compile(rb'(STIR|SIP) ;cause=([0-9]{3}) ;text="([A-Za-z ]+)"(?: ;ppi="\.\.([A-Za-z0-9_-]+)")?')


class Structure(AssertionError):
    """A message that leaves has what it may not have, or lacks what it should have; or a record does."""


class Found(NamedTuple):
    """What a record says; only `judge_record` knows whether it may."""

    outcome: str
    detail: str | None
    verdict: str
    attest: str | None
    origid: str | None
    verstat: str | None

    @property
    def answer(self) -> tuple[int, str]:
        """Code and phrase of a rejection, or of a Reason (docs/records.md)."""
        return _ANSWERS.get(f"{self.outcome}.{self.detail}") or _ANSWERS[self.outcome]

    @property
    def differs(self) -> bool:
        """Whether the call passed, but has a number in its Request-URI that no token explains."""
        return (self.outcome, self.detail) == ("passed", "request-uri-differs")


# --- the record ---


def read_record(line: str) -> Found:
    """What the JSON of a record says."""
    record = json.loads(line)
    return Found(*(record[name] for name in Found._fields))


def judge_line(line: str, written: str) -> None:
    """`line` is the JSON of a record, `written` the line as `run` writes it."""
    _expect(line.isascii() and line.isprintable(), "the record is more than a line", line)
    _expect(len(written) < _LONGEST, "the written record is too long", written)
    for each in _texts([json.loads(line), json.loads(written)]):
        _expect(not any(unicodedata.category(char) in ("Cc", "Cs") for char in each), "a record's text", each)


def judge_record(call: HostileCall, found: Found) -> None:
    """What a record says of a call that was verified."""
    grades = call.grades | ({"C"} if "base-passport" in call.plan.tolerate else frozenset())
    _expect(found.outcome in _ANSWERS, "an outcome that is not for this", found)
    if found.outcome in ("passed", "replayed"):
        _expect(found.attest in grades, "no token attests this", found)
    _expect(found.attest in (None, *_GRADES), "the attestation in the record", found)
    _expect(found.origid is None or found.origid in call.origids, "no token says this origid", found)
    _expect(found.verstat == _verstat(call, found), "the verstat in the record", found)
    if call.plan.does == "when" and found.outcome == "passed":
        _expect(found.verdict == "modify", "a call that passed evaded `attest`", found)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _texts(each)


def _verstat(call: HostileCall, found: Found) -> str | None:
    value = _VERSTAT[found.outcome]
    if found.detail == "x5u-policy":
        value = "TN-Validation-Failed"
    if found.differs:
        value = "No-TN-Validation"
    elif found.outcome == "passed" and found.attest is not None and found.attest in _GRADED.get(call.plan.dialect, ""):
        value = f"{value}-{found.attest}"
    return value if call.from_uri is not None else None


# --- the INVITE that goes on ---


def judge_forwarded(call: HostileCall, found: Found | None, out: bytes) -> None:
    """The INVITE behind the filter; without `found` the rule only watched."""
    before, after = read(call.message), read(out)
    _expect((before.start, before.body) == (after.start, after.body), "request line or body", after)
    additions = [*_marks(call, found)] if found is not None else []
    names = {field.identity_for_rules for field in additions} & _ASSERTIONS
    if not call.plan.trusted:
        names = _ASSERTIONS
    expected: list[Field] = []
    for field in before.fields:
        if field.identity_for_rules in names:
            continue
        if (
            field.identity_for_rules == b"identity"
            and found is not None
            and found.outcome == "passed"
            and call.plan.strip
        ):
            continue
        if field.identity_for_rules == b"p-asserted-identity":
            field = field._replace(value=_asserted(call, field.value, found))
            if found is not None and len(call.pai) > 1 and not call.plan.trusted:
                continue
        expected.append(field)
    if found is not None and found.verstat is not None and len(call.pai) != 1:
        additions.append(Field(b"P-Asserted-Identity", _added(call, found.verstat)))
    _compare(expected, additions, after.fields)


def _marks(call: HostileCall, found: Found) -> Iterator[Field]:
    """The fields for attestation and origination identifier (docs/rules.md, "Marks")."""
    grade = found.attest if found.outcome == "passed" and found.attest in _GRADES else None
    if grade is not None and call.plan.does == "when":
        grade = FORCED
    elif found.differs or call.plan.attestation == "never" or (call.plan.attestation == "below-a" and grade == "A"):
        grade = None
    if grade is None:
        return
    attestation, origination = _NAMES.get(call.plan.dialect, (b"P-Attestation-Indicator", b"P-Origination-ID"))
    yield Field(attestation, grade.encode())
    if found.origid is not None and _UUID.fullmatch(found.origid):
        yield Field(origination, found.origid.encode())


def _asserted(call: HostileCall, value: bytes, found: Found | None) -> bytes:
    """A P-Asserted-Identity that came, as it goes on: marked if it is the only one, plain from an untrusted peer."""
    if not call.plan.trusted:
        value = without_results(value) if found is None else shown((value,), call.from_uri or b"", CARRIER.encode())
    if found is None or found.verstat is None or len(call.pai) != 1:
        return value
    return _marked(call, value, found.verstat)


def _added(call: HostileCall, verstat: str) -> bytes:
    """The P-Asserted-Identity that is added where none, or more than one, names the caller."""
    if call.pai and not call.plan.trusted:
        return _marked(call, shown(call.pai, call.from_uri or b"", CARRIER.encode()), verstat)
    return b"<%b>" % _caller(call, verstat)


def _caller(call: HostileCall, verstat: str) -> bytes:
    """The caller's URI with the result, where P-Asserted-Identity does not name him alone."""
    uri = call.pai[0] if call.pai else call.from_uri or b""
    return _marked(call, _BRACKETS.sub(rb"\1", uri), verstat)


def _marked(call: HostileCall, value: bytes, verstat: str) -> bytes:
    """An address of the caller with `verstat` at its number, or behind the host."""
    mark = b";verstat=" + verstat.encode()
    value = without_results(value)
    number = _NUMBER.search(value)
    _expect(number is not None, "the caller is not there", value)
    assert number is not None
    before, behind = value[: number.end()], value[number.end() :]
    if call.plan.dialect != "telnyx" or b"tel:" in before:
        return before + mark + behind
    uri, bracket, rest = behind.partition(b">")
    return before + uri + mark + bracket + rest


# --- what we answer, and what is answered to us ---


def judge_answer(call: HostileCall, found: Found, out: bytes) -> None:
    """A rejection, or a 302 (docs/redirect.md)."""
    before, after = read(call.message), read(out)
    redirect = found.verdict == "redirect"
    code, phrase = (302, "Moved Temporarily") if redirect else found.answer
    _expect(after.start == f"SIP/2.0 {code} {phrase}".encode(), "the status line", after)
    _expect(not after.body, "a body", after)
    copied = [
        field for field in before.fields if field.identity_for_rules in (b"via", b"from", b"to", b"call-id", b"cseq")
    ]
    tag = re.compile(re.escape(before.values(b"to")[0]) + rb";tag=[0-9a-f]{24}")
    _expect(tag.fullmatch(b"".join(after.values(b"to"))) is not None, "the To field", after)
    additions = [Field(b"To", after.values(b"to")[0])]
    additions += [field for field in copied if field.identity_for_rules != b"to"]
    if redirect:
        marks = call.plan.marks_contact and found.verstat is not None
        target = _in_target(call, found.verstat or "") if marks else call.target
        additions.append(Field(b"Contact", b"<%b>" % target))
        if found.verstat is not None:
            additions.append(Field(b"P-Asserted-Identity", b"<%b>" % _caller(call, found.verstat)))
        additions += _marks(call, found)
    elif found.outcome == "invalid":
        additions.append(Field(b"Reason", b"SIP;cause=438"))
    additions.append(Field(b"Content-Length", b"0"))
    _compare([], additions, after.fields)


def _in_target(call: HostileCall, verstat: str) -> bytes:
    mark = b";verstat=" + verstat.encode()
    if call.plan.dialect == "telnyx":
        return call.target + mark
    return call.target.replace(b"@", mark + b"@", 1)


def judge_response(call: HostileCall, found: Found, came: bytes, out: bytes) -> None:
    """A response of the SBC, with the Reason fields that are owed to it (docs/rules.md, "Reason")."""
    before, after = read(came), read(out)
    _expect((before.start, before.body) == (after.start, after.body), "status line or body", after)
    reported = found.outcome not in ("passed", "anonymous", "no-identity") or (
        found.outcome == "no-identity" and call.plan.trusted
    )
    added = [field for field in after.fields if field not in before.fields]
    signatures = {each.partition(b";")[0].rpartition(b".")[2] for each in read(call.message).values(b"identity")}
    signatures |= call.nested
    of_tokens: list[bytes] = []
    causes = {(str(code), phrase) for code, phrase in _ANSWERS.values()}
    for field in added:
        match = _REASON.fullmatch(field.value)
        _expect(match is not None and field.name == b"Reason", "the form of a Reason", field)
        assert match is not None
        protocol, cause, phrase, ppi = match.groups()
        _expect(protocol.decode().lower() == call.plan.does, "the protocol of a Reason", field)
        _expect((cause.decode(), phrase.decode()) in causes, "the cause of a Reason", field)
        _expect(ppi is None or (protocol == b"STIR" and ppi in signatures), "the ppi of a Reason", field)
        of_tokens += [] if ppi is None else [ppi]
    _expect(len(set(of_tokens)) == len(of_tokens), "a token reported twice", after)
    if reported:
        cause_of_call = b";cause=%d " % found.answer[0]
        _expect(any(cause_of_call in field.value for field in added), "the call is not reported", after)
    if call.plan.does == "sip":
        _expect(len(added) == reported, "one Reason for a call", after)
    _compare(before.fields, added, after.fields)


def judge_leaving(call: HostileCall, outcome: str, came: bytes, out: bytes) -> None:
    """The INVITE of the SBC's other leg, with the tokens that it dropped (docs/rules.md, "Dropped tokens")."""
    arrived, before, after = read(call.message), read(came), read(out)
    _expect((before.start, before.body) == (after.start, after.body), "request line or body", after)
    _expect(outcome == "already-signed.preserved", "the tokens are not put back", outcome)
    additions = [Field(b"Identity", value) for value in arrived.values(b"identity")]
    additions += [Field(b"Date", value) for value in arrived.values(b"date")]
    _expect(after.values(b"identity") == arrived.values(b"identity"), "the order of tokens", after)
    _compare(before.fields, additions, after.fields)


def judge_leaving_without(call: HostileCall, outcome: str, came: bytes, out: bytes) -> None:
    """The same where the call of an untrusted peer did not pass: none of its tokens is put back. Another call between
    the same numbers may have passed."""
    arrived, after = read(call.message), read(out)
    _expect(outcome in ("signed.None", "unsigned.ambiguous"), "the outcome", outcome)
    _expect(len(after.values(b"identity")) == (outcome == "signed.None"), "the number of tokens", after)
    _expect(not {*after.values(b"identity")} & {*arrived.values(b"identity")}, "a token of the other leg", after)
    _expect(read(came).start == after.start, "request line", after)


def judge_sent_on(call: HostileCall, outcome: str, out: bytes) -> None:
    """An INVITE that leaves, by a rule that signs (docs/rules.md, "Diversions by the SBC")."""
    before, after = read(call.message), read(out)
    _expect((before.start, before.body) == (after.start, after.body), "request line or body", after)
    additions: list[Field] = []
    if outcome == "signed":
        ours = [field for field in after.fields if field.name == b"Identity" and field not in before.fields]
        _expect(len(ours) == 1 and _OURS.fullmatch(ours[0].value) is not None, "the form of our Identity", ours)
        additions += ours
        if not before.values(b"date"):
            dates = after.values(b"date")
            _expect(len(dates) == 1 and _DATE.fullmatch(dates[0]) is not None, "the form of our Date", dates)
            additions.append(Field(b"Date", dates[0]))
    expected = [field for field in before.fields if field.identity_for_rules not in _ASSERTIONS]
    _compare(expected, additions, after.fields)


# --- how fields are compared ---


def _compare(expected: Sequence[Field], additions: Sequence[Field], fields: Sequence[Field]) -> None:
    """Whether `fields` are those expected, in their order, and among them, wherever, each of the additions once."""
    rest, owed = list(expected), list(additions)
    for field in fields:
        if rest and field == rest[0]:
            del rest[0]
            continue
        named = next(
            (each for each in owed if (each.identity_for_rules, each.value) == (field.identity_for_rules, field.value)),
            None,
        )
        _expect(named is not None, "a header field that nothing accounts for", field)
        assert named is not None
        owed.remove(named)
    _expect(not rest, "header fields are gone", rest)
    _expect(not owed, "header fields were not added", owed)


def _expect(holds: bool, what: str, shown: object) -> None:
    if not holds:
        raise Structure(f"{what}: {ascii(shown)[:600]}")
