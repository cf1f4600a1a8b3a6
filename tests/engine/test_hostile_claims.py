"""Whatever a token says, nothing of it becomes structure: hostile values in every claim and member of the protected
header, signed by a believed certificate, and every place where something of a token may come out.

`support.reading` is the judge: the output has the header fields of the input and those documented, and no more.
"""

import json
import logging
import re
from collections.abc import Callable
from functools import lru_cache
from io import StringIO
from typing import Any

import pytest
from rich.table import Table
from support.calls import (
    CALLED,
    CALLER,
    CARRIER,
    LAB,
    NOW,
    ORIGID,
    SIGN,
    VERIFY,
    added,
    arriving,
    claims,
    identity,
    invite,
    leaving,
    make_engine,
    response,
    result,
)
from support.certificates import chain, numbers
from support.reading import Fields, more, read

from sbc_filter.delegates.remote_peer import Pool, Purpose
from sbc_filter.engine.engine import Engine
from sbc_filter.engine.record import Record
from sbc_filter.engine.verdict import Answer, Need, Verdict
from sbc_filter.errors import FilterError
from sbc_filter.lab.certificate_maker import X5U
from sbc_filter.outcomes import Outcome
from sbc_filter.packet.udp import parse
from sbc_filter.records.tally import Tally, to_lines
from sbc_filter.stir.delegated_signing import RemoteCredential
from sbc_filter.stir.delegated_verification import ReportedResult
from sbc_filter.stir.delegation import read_signing_response, read_verification_response
from sbc_filter.stir.passport import encode_segment
from sbc_filter.stir.signature import sign_es256
from sbc_filter.system.plain_console import PlainConsole
from sbc_filter.system.plain_text import PlainFormatter

HOSTILE = {
    "a header field": "A\r\nX-Injected: 1",
    "a bare CR": "A\rX-Injected: 1",
    "a bare LF": "A\nX-Injected: 1",
    "NUL": "A\0X-Injected: 1",
    "an empty line and a body": "A\r\nContent-Length: 0\r\n\r\nbody",
    "a second caller": "A\r\nP-Asserted-Identity: <sip:+12155550142;verstat=TN-Validation-Passed@a.example>",
    "a Route": "A\r\nRoute: <sip:192.0.2.66;lr>",
    "a second Contact": "A>\r\nContact: <sip:+12155550142@192.0.2.66>",
    "a fold": "A\r\n ;x=y",
    "quotes and backslash": 'A";x="\\',
    "300 characters": "A" * 300,
    "D": "D",
    "c": "c",
    "beyond ASCII": "Ä😀",
    "U+2028 and U+0085": "A\u2028X-Injected: 1\u0085X: 1",
    "escape sequences": "A\x1b[2J\x1b]0;owned\x07\x9b1m\x7f",
    "markup": "[red]A[/red] :smile: [link=https://a.example]",
    "half a character": "A\ud800",
    "spaces": "A ",
}
CLAIMS = ("attest", "origid", "orig", "orig.uri", "dest", "dest.uri", "iat", "div", "rcd", "rph", "mky", "x", "a name")
MEMBERS = ("alg", "ppt", "typ", "x5u", "kid", "crit", "a name")
KINDS = ("shaken", None, "div", "div-o", "rcd", "rph")  # of tokens, by ppt
PARTS = [*(("claim", each) for each in CLAIMS), *(("member", each) for each in MEMBERS)]
NUMBERS = chain(listed=numbers(("12155550000", 1000)))
LENIENT = 'tolerate = ["base-passport", "info-mismatch", "no-origid", "iat-string", "national-claim"]\n'
TRUSTED = f'[trunks.core]\naddresses = ["{CARRIER}"]\ntrusted = true\n'
GRADES = ("A", "B", "C")
VERSTAT = re.compile("TN-Validation-Passed(?:-[ABC])?|TN-Validation-Failed|No-TN-Validation")
UUID = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
PRINTABLE = re.compile("[ -~]*")


def said(name: str, value: str) -> dict[str, Any]:
    """True claims but for one."""
    shapes: dict[str, dict[str, Any]] = {
        "orig": {"orig": {"tn": value}},
        "orig.uri": {"orig": {"uri": f"sip:{value}@a.example"}},
        "dest": {"dest": {"tn": [CALLED, value]}},
        "dest.uri": {"dest": {"tn": [CALLED], "uri": [f"sip:{value}@a.example"]}},
        "div": {"div": {"tn": CALLER, "hi": value}},
        "rcd": {"rcd": {"nam": value, "icn": value}, "crn": value},
        "rph": {"rph": {"auth": [value]}},
        "mky": {"mky": [{"alg": "sha-256", "dig": value}]},
        "a name": {value: value},
    }
    return claims(**shapes.get(name, {name: value}))


def line(part: str, name: str, value: str, ppt: str | None) -> str:
    """An Identity of the kind `ppt`, signed by a believed key, with a hostile value in one place."""
    header: dict[str, Any] = {"alg": "ES256", "ppt": ppt, "typ": "passport", "x5u": X5U}
    payload = claims()
    if part == "member":
        header[value if name == "a name" else name] = [value] if name == "crit" else value
    else:
        payload = said(name, value)
    header = {key: each for key, each in header.items() if each is not None}
    # Half a character is nothing that UTF-8 has, but JSON: the escaped form is as good JSON as any.
    segments = [json.dumps(each, ensure_ascii="\ud800" in value).encode() for each in (header, payload)]
    signed = b".".join(map(encode_segment, segments))
    parameters = f"info=<{X5U}>;alg=ES256" + (f";ppt={ppt}" if ppt else "")
    return f"Identity: {(signed + b'.' + sign_es256(LAB.leaf.key, signed)).decode()};{parameters}"


@lru_cache
def lines(value: str) -> tuple[str, ...]:
    """One for each kind of token and each place in it."""
    return tuple(line(part, name, value, ppt) for ppt in KINDS for part, name in PARTS)


def engine_for(rules: str, value: str, body: bytes = LAB.chain, **options: Any) -> Engine:
    """One that has the certificate in memory also by a hostile URL."""
    engine = make_engine(rules, chain=body, **options)
    engine.add_certificate(value, Answer(body, None, NOW + 60), NOW)
    return engine


def check(fields: Fields) -> None:
    """Header fields of ours: each at most once, and each as documented."""
    assert len({name for name, _ in fields}) == len(fields)
    for name, value in fields:
        if name == "p-asserted-identity":
            match = re.fullmatch(rf"<sip:\+{CALLER};verstat=([^@;]*)@carrier\.example>", value)
            assert match is not None
            assert VERSTAT.fullmatch(match[1])
        elif name in ("p-attestation-indicator", "attestation-info"):
            assert value in GRADES
        elif name in ("p-origination-id", "origination-id"):
            assert UUID.fullmatch(value)
        else:
            raise AssertionError(f"{name}: {value}")


def check_record(record: Record) -> None:
    """A record is one line of JSON, bounded, and says nothing that a token has no business to say."""
    out = StringIO()
    to_lines(out)(record)
    (text,) = out.getvalue().removesuffix("\n").splitlines()
    assert len(text) < 4096
    assert PRINTABLE.fullmatch(text)
    found = json.loads(text)
    assert found["attest"] in (None, *GRADES)
    for name, most in (("origid", 64), ("x5u", 2048)):
        assert found[name] is None or (len(found[name]) <= most and found[name].isprintable())
    assert found["orig"] == CALLER


VARIANTS = {
    "by default": "",
    "lenient": LENIENT + 'attestation = "always"\n',
    "3gpp": LENIENT + 'attestation = "always"\ndialect = "3gpp"\n',
    "graded": LENIENT + 'dialect = "graded"\n',
}


@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("body", [LAB.chain, NUMBERS], ids=["SPC", "numbers"])
def test_in_the_invite_and_in_the_record(value: str, body: bytes) -> None:
    shown: set[str] = set()
    for options in VARIANTS.values():
        engine = engine_for(f"{VERIFY}[rule.verify]\n{options}", value, body)
        for number, each in enumerate(lines(value), 1):
            message = invite(each, number=number)
            verdict = engine.process(arriving(message), NOW)
            if isinstance(verdict, Need):  # an x5u that any URL could be
                verdict = engine.resume(verdict.id, Answer(body, None, NOW + 60), NOW)
            assert isinstance(verdict, Verdict)
            assert verdict.payload is not None
            fields = more(parse(verdict.payload).payload, message)
            check(fields)
            shown.update(name for name, _ in fields)
            assert verdict.record is not None
            check_record(verdict.record)
    assert {"p-asserted-identity", "p-attestation-indicator", "attestation-info", "p-origination-id"} <= shown


@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)
def test_in_a_302(value: str) -> None:
    verify = VERIFY.replace("[[rule]]\n", '[[rule]]\ntrunk = "core"\ninsertion = "redirect"\n')
    options = LENIENT + 'attestation = "always"\nmark_contact = true\n'
    engine = engine_for(f"{TRUSTED}{verify}[rule.verify]\n{options}", value)
    for number, each in enumerate(lines(value), 1):
        message = invite(each, number=number)
        _, answer, _ = result(engine, arriving(message))
        seen = read(answer)
        assert (seen.start, seen.body) == ("SIP/2.0 302 Moved Temporarily", "")
        copied = ("via", "from", "to", "call-id", "cseq", "contact", "content-length")
        assert [name for name, _ in seen.fields if name in copied] == list(copied)
        target = rf"<sip:\+{CALLED};verstat=(?:{VERSTAT.pattern})@192\.0\.2\.1>"
        assert re.fullmatch(target, dict(seen.fields)["contact"])
        check([field for field in seen.fields if field[0] not in copied])


@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("protocol", ["stir", "sip"])
def test_in_the_reason_of_a_response(value: str, protocol: str) -> None:
    """Of tokens that do not verify: with a hostile signature as well."""
    reasons = 0
    segment = "".join(each for each in value if each not in "\r\n\0\ud800")
    engine = engine_for(f'{VERIFY}[rule.verify]\nreason = "{protocol}"\nrequired = true\n', value)
    for number, each in enumerate([*lines(value), f"Identity: a.b.{segment};info=<{X5U}>;ppt=shaken"], 1):
        engine.process(arriving(invite(each, number=number)), NOW)
        ringing = response("180 Ringing", number=number)
        for name, text in more(result(engine, leaving(ringing))[1], ringing):
            assert name == "reason"
            assert re.fullmatch(
                rf'{protocol.upper()} ;cause=4[0-9][0-9] ;text="[A-Za-z ]+"( ;ppi="\.\.[A-Za-z0-9_-]+")?', text
            )
            reasons += 1
    assert reasons > 10


@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)
def test_on_a_terminal(value: str) -> None:
    """In a table and in a sentence: as many lines as there are, and no octet that a terminal obeys."""
    tally, console = Tally(), PlainConsole()
    console.width = 4000
    tally(Record(0.0, value, value, "udp", rule=value, detail=value))
    table = Table("Name", "Value", box=None, pad_edge=False)
    table.add_row("x5u", value)
    with console.capture() as capture:
        tally.print(console)
        console.print(table)
        console.print(f"{value}: {value}")
    shown = "".join(each if each.isprintable() else f"\\x{ord(each):02x}" for each in value)
    told = [each.rstrip() for each in capture.get().removesuffix("\n").split("\n")]
    assert [each.split() for each in told[:3]] == [
        [],
        ["Rule", "Mode", "Outcome", "Detail", "Treatment", "Code", "INVITEs"],
        [*shown.split(), "-", "not-examined", *shown.split(), "continue", "-", "1"],
    ]
    assert told[3:] == ["Name  Value", f"x5u   {shown}".rstrip(), f"{shown}: {shown}".rstrip()]


@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)
def test_in_the_log(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a service says of a token, told by the very code that logs it."""
    stream = StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(PlainFormatter())
    logger = logging.getLogger("sbc_filter")
    logger.addHandler(handler)
    monkeypatch.setattr(logger, "propagate", False)  # pytest's own copy, of half a character, has no encoding
    bodies = [
        json.dumps({"requestError": {"serviceException": {"messageId": value, "text": value, "variables": [value]}}}),
        json.dumps({"signingResponse": {"identity": [value]}}),
        json.dumps({"verificationResponse": {"verstat": "x", "reasonCode": value}}),
    ]

    def refuse(body: bytes) -> Answer[bytes]:
        raise ValueError(f"https://{value}.example answers: {body!r}, {value}")

    try:
        for reader in (read_signing_response, read_verification_response):
            for body in bodies:

                def ask(asked: bytes, read: Callable[[bytes], object] = reader) -> Answer[object]:
                    return Answer(read(asked), None, 0.0)

                pool = Pool("credential x", PURPOSE, ask, 1, 1.0, (1, 1))
                pool._answer(body)
        Pool("credential y", PURPOSE, refuse, 1, 1.0, (1, 1))._answer("{}")
        try:
            raise FilterError(f"of a token: {value}")
        except FilterError:
            logger.exception("token %s", value)
    finally:
        logger.removeHandler(handler)
    told = stream.getvalue().removesuffix("\n").split("\n")
    assert all(each.isprintable() for each in told)
    assert all(each.startswith(("sbc-filter: ", "  ")) for each in told)
    assert sum(each.startswith("sbc-filter: ") for each in told) == 2 * len(bodies) + 2
    assert not any(each.lstrip().startswith("X") for each in told)


PURPOSE = Purpose("nothing signed", None, None)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)
def test_what_a_verification_service_says(value: str) -> None:
    """`[verifiers]`: neither what it reports of the token nor its reasons reach anything."""
    rules = f'{VERIFY}[rule.verify]\nservice = "theirs"\nattestation = "always"\nreason = "stir"\n{LENIENT}'
    stories = [
        ReportedResult(value),
        ReportedResult("TN-Validation-Passed", None, value, {"attest": value, "origid": value}),
        ReportedResult("TN-Validation-Passed", None, value),
        ReportedResult("TN-Validation-Failed", 438, value),
        ReportedResult("No-TN-Validation", 436, value, {value: value}),
    ]
    for number, told in enumerate(stories, 1):
        for each in (identity(), line("claim", "attest", value, None)):
            engine, message = make_engine(rules, known=False), invite(each, number=number)
            need = engine.process(arriving(message), NOW)
            assert isinstance(need, Need)
            verdict = engine.resume(need.id, Answer(told, None, 0.0), NOW)
            assert isinstance(verdict, Verdict)
            assert verdict.payload is not None
            check(more(parse(verdict.payload).payload, message))
            assert verdict.record is not None
            check_record(verdict.record)


@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)
def test_what_a_signing_service_says(value: str) -> None:
    """What a service or a command answers leaves as an Identity of one line, or the call leaves unsigned."""
    good = identity().removeprefix("Identity: ")
    hostile = value.encode("utf-8", "surrogatepass")
    for answer in (good.encode() + hostile, good.encode() + b";x=" + hostile, hostile, hostile + good.encode()):
        engine, message = make_engine(SIGN, credentials={"ours": RemoteCredential("ours")}), invite()
        need = engine.process(leaving(message), NOW)
        assert isinstance(need, Need)
        verdict = engine.resume(need.id, Answer(answer, None, 0.0), NOW)
        assert isinstance(verdict, Verdict)
        out = parse(verdict.payload).payload if verdict.payload is not None else message
        fields = more(out, message)
        if fields:
            assert [name for name, _ in fields] == ["date", "identity"]
            assert PRINTABLE.fullmatch(fields[1][1])
            assert fields[1][1].startswith(good)


PRESERVE = SIGN.replace("[rule.sign]\n", '[rule.sign]\npreserve = "session-id"\n')
SESSION = "Session-ID: " + "a" * 32 + ";remote=" + "0" * 32


@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)
def test_what_is_put_back_on_the_other_leg(value: str) -> None:
    """`preserve`, from a trusted peer: as far as a message can carry it in at all; what does not print stays behind."""
    carried = "".join(each for each in value if each not in "\r\n\0\ud800")
    engine = make_engine(TRUSTED + VERIFY + PRESERVE)
    engine.process(arriving(invite(SESSION, f"Identity: a.b.c;info=<{carried}>;x={carried}", number=1)), NOW)
    message = invite(SESSION, number=2)
    _, out, record = result(engine, leaving(message))
    fields = more(out, message)
    assert [name for name, _ in fields] in (["identity"], [])
    assert all(PRINTABLE.fullmatch(text) for _, text in fields)
    expected = ("already-signed", "preserved") if fields else ("unsigned", "ambiguous")
    assert (record["outcome"], record["detail"]) == expected
    assert bool(fields) == bool(PRINTABLE.fullmatch(carried))


@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)
def test_what_a_caller_calls_itself(value: str) -> None:
    """A display name, and a user part that is no number: the identity that we assert is one URI."""
    carried = "".join(each for each in value if each not in "\r\n\0\ud800")
    for name, user in ((carried.replace('"', "").replace("\\", ""), "alice"), ("x", carried)):
        message = invite().replace(f"<sip:+{CALLER}@".encode(), f'"{name}" <sip:{user}@'.encode(), 1)
        verdict = make_engine(VERIFY).process(arriving(message), NOW)
        assert isinstance(verdict, Verdict)
        assert verdict.record is not None
        if verdict.payload is None or verdict.record.outcome == Outcome.UNPARSEABLE:
            continue  # it names nobody, or cannot be read: then a verstat is removed, and nothing added
        unmarked = message.replace(b";verstat=TN-Validation-Passed", b"")  # S-114: in a display name, too
        clean = re.sub(rb"[\0-\x08\x0b\x0c\x0e-\x1f\x7f]", b" ", unmarked)
        fields = more(parse(verdict.payload).payload, clean)
        assert len(fields) <= 1
        for key, text in fields:
            assert key == "p-asserted-identity"
            assert re.fullmatch(r"<sip:[!#-;=?-\[\]-~]+@carrier\.example>", text)


def test_one_that_is_as_it_should_be() -> None:
    """The same tables let a good token through: they refuse nothing for the sake of refusing."""
    message = invite(line("claim", "attest", "B", "shaken"))
    _, out, record = result(make_engine(f"{VERIFY}[rule.verify]\n{LENIENT}"), arriving(message))
    pai = f"P-Asserted-Identity: <sip:+{CALLER};verstat=TN-Validation-Passed@carrier.example>"
    assert out == added(message, pai, "P-Attestation-Indicator: B", f"P-Origination-ID: {ORIGID}")
    assert (record["attest"], record["origid"], record["x5u"]) == ("B", ORIGID, X5U)
