"""What a record says about the reason: the values that differ, the message as it arrived, the token, the lists.

Each test is a call, and those fields of its record that explain it.
"""

import json
from typing import Any

import pytest
from support.calls import (
    CALLED,
    CALLER,
    CARRIER,
    LAB,
    NOW,
    SBC,
    SIGN,
    VERIFY,
    arriving,
    claims,
    identity,
    invite,
    leaving,
    make_engine,
    result,
    retargeted,
)

from sbc_filter.engine.engine import Engine
from sbc_filter.engine.verdict import Answer
from sbc_filter.lab.certificate_maker import X5U, pem
from sbc_filter.records.journal import LONGEST, line_of

OTHER = "13125550123"
DAY = 86400


def said(engine: Engine, message: bytes, now: float = NOW) -> tuple[str, str, str | None, str | None]:
    """(outcome, detail, claimed, found) of a call that arrives."""
    record = result(engine, arriving(message), now)[2]
    return record["outcome"], record["detail"], record["claimed"], record["found"]


# --- the two values that differ ---


def test_v8_the_caller_of_the_token_and_that_of_the_call() -> None:
    assert said(make_engine(), invite(identity(claims(orig={"tn": OTHER})))) == (
        "invalid", "orig-mismatch", OTHER, CALLER,
    )  # fmt: skip


def test_v9_the_called_of_the_token_and_those_of_the_call() -> None:
    token = identity(claims(dest={"tn": [OTHER, "+1 215 555 0300"]}))
    assert said(make_engine(), invite(token)) == (
        "invalid", "dest-mismatch", "13125550123, 12155550300", CALLED,
    )  # fmt: skip
    token = identity(claims(dest={"tn": [OTHER]}))
    assert said(make_engine(), retargeted(invite(token))) == (
        "invalid", "dest-mismatch", OTHER, "12155550199, 12155550300",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("made", "options", "expected"),
    [
        (
            claims(iat=int(NOW) - 61), "",
            ("stale-date", "iat 2027-01-15T07:58:59Z", "2027-01-15T08:00:00Z, 61 s later, max_age is 60 s"),
        ),
        (
            claims(iat=int(NOW) + 61), "",
            ("future-date", "iat 2027-01-15T08:01:01Z", "2027-01-15T08:00:00Z, 61 s earlier, max_skew is 60 s"),
        ),
        (
            claims(exp=int(NOW) - 1), "",
            ("stale-date", "exp 2027-01-15T07:59:59Z", "2027-01-15T08:00:00Z, 1 s later"),
        ),
        (
            claims(nbf=int(NOW) + 120), "",
            ("future-date", "nbf 2027-01-15T08:02:00Z", "2027-01-15T08:00:00Z, 120 s earlier, max_skew is 60 s"),
        ),
        (
            claims(), "max_date_age = 30\n",
            ("date", "Date 2027-01-15T07:59:00Z", "2027-01-15T08:00:00Z, 60 s later, max_date_age is 30 s"),
        ),
    ],
)  # fmt: skip
def test_v10_the_time_of_the_token_the_arrival_and_the_limit(
    made: dict[str, Any], options: str, expected: tuple[str, str, str]
) -> None:
    message = invite("Date: Fri, 15 Jan 2027 07:59:00 GMT", identity(made))
    assert said(make_engine(f"{VERIFY}[rule.verify]\n{options}"), message) == ("stale", *expected)


@pytest.mark.parametrize("written", [b"1e999", b"1e300", b"9" * 300])
def test_a_time_that_no_calendar_holds(written: bytes) -> None:
    token = identity(b'{"nbf":' + written + b"," + json.dumps(claims()).encode()[1:])
    outcome, detail, claimed, found = said(make_engine(), invite(token))
    assert (outcome, detail) == ("stale", "future-date")
    assert claimed is not None
    assert claimed.startswith(("nbf inf", "nbf 1e+300", "nbf 999"))
    assert len(claimed) <= 257
    assert found is not None
    assert found.startswith("2027-01-15T08:00:00Z, ")


@pytest.mark.parametrize(
    ("jose", "parameters", "expected"),
    [
        ({}, f"info=<{X5U}>;alg=ES256;ppt=div", ("ppt-mismatch", "ppt shaken", "ppt div")),
        ({}, f"info=<{X5U}>;alg=ES256", ("ppt-mismatch", "ppt shaken", "no ppt")),
        ({}, f"info=<{X5U}>;alg=RS256;ppt=shaken", ("alg-mismatch", "ES256", "RS256")),
        ({}, "info=<https://a.example/b>;alg=ES256;ppt=shaken", ("info-mismatch", X5U, "https://a.example/b")),
        ({"alg": "RS256"}, None, ("alg", "RS256", "ES256")),
    ],
)
def test_v6_the_header_of_the_token_and_the_parameters_of_the_field(
    jose: dict[str, Any], parameters: str | None, expected: tuple[str, str, str]
) -> None:
    assert said(make_engine(), invite(identity(jose=jose, parameters=parameters)))[1:] == expected


def test_v13_the_certificate_and_the_time() -> None:
    engine = make_engine(f"{VERIFY}[rule.verify]\nmax_age = 86400\n")
    late = LAB.leaf.certificate.not_valid_after_utc.timestamp() + 1
    token = identity(claims(iat=int(late)))
    engine.add_certificate(X5U, Answer(LAB.chain, None, late + DAY), NOW)
    outcome, detail, claimed, found = said(engine, invite(token), late)
    assert (outcome, detail) == ("untrusted", "expired")
    assert claimed is not None
    assert claimed.startswith(f"{LAB.leaf.certificate.subject.rfc4514_string()}, valid 20")
    assert found is not None
    assert f"{LAB.leaf.certificate.not_valid_after_utc:%Y-%m-%dT%H:%M}" in claimed
    assert found.startswith(("iat 20", "20"))


def test_v12_a_certificate_without_a_path_is_named() -> None:
    outcome, detail, claimed, found = said(make_engine(chain=pem(LAB.leaf.certificate)), invite(identity()))
    subject = LAB.leaf.certificate.subject.rfc4514_string()
    assert (outcome, detail) == ("untrusted", "untrusted-chain")
    assert claimed is not None
    assert claimed.startswith(f"{subject}, valid 20")
    assert found == f"no path from {subject} to a trust anchor"


def test_the_number_of_the_request_uri_and_those_of_the_token() -> None:
    message = retargeted(invite(identity()))
    assert said(make_engine(), message) == ("passed", "request-uri-differs", CALLED, "12155550300")
    required = f'{VERIFY}[rule.verify]\ncheck_request_uri = "require"\n'
    assert said(make_engine(required), message) == ("invalid", "request-uri-differs", CALLED, "12155550300")


@pytest.mark.parametrize(
    ("changes", "detail", "claimed", "found"),
    [
        ({"dest": {"tn": ["12155550111"]}}, "div-chain", "12155550111", "12155550300"),
        ({"orig": {"tn": OTHER}}, "div-orig", OTHER, CALLER),
    ],
)
def test_s101_where_a_diversion_leads_and_where_the_call_goes(
    changes: dict[str, Any], detail: str, claimed: str, found: str
) -> None:
    made = {"dest": {"tn": ["12155550300"]}, "div": {"tn": CALLED}, "iat": int(NOW), "orig": {"tn": CALLER}, **changes}
    message = invite(identity(), identity(made, jose={"ppt": "div"}), called="12155550300")
    assert said(make_engine(), message) == ("invalid", detail, claimed, found)


def test_a14_a_date_that_is_too_old_to_sign() -> None:
    record = result(make_engine(SIGN), leaving(invite("Date: Fri, 15 Jan 2027 07:58:00 GMT")))[2]
    assert [record[name] for name in ("outcome", "detail", "claimed", "found")] == [
        "unsigned", "stale-date", "Date 2027-01-15T07:58:00Z", "2027-01-15T08:00:00Z, 120 s later, 60 s are allowed",
    ]  # fmt: skip


# --- the message as it arrived, and what its token says ---


def evidence(message: bytes, rules: str = VERIFY) -> dict[str, Any]:
    """The fields that quote the message or its token."""
    record = result(make_engine(rules), arriving(message))[2]
    quoting = ("raw_ruri", "raw_to", "raw_from", "raw_pai", "branch", "token_orig", "token_dest", "token_iat")
    return {name: record[name] for name in quoting}


def test_the_addresses_as_they_arrived_and_the_token() -> None:
    """The filter removes the `verstat`, and asserts the caller itself; the record has what the peer wrote."""
    token = identity(claims(orig={"uri": "sip:Q@a.example"}, dest={"tn": [CALLED, OTHER]}, iat=int(NOW) - 5))
    message = invite(
        "P-Asserted-Identity: <sip:+13125550123;verstat=TN-Validation-Passed@a.example>",
        "P-Asserted-Identity:\r\n <tel:+1-312-555-0123>",
        token,
    )
    assert evidence(message) == {
        "raw_ruri": f"sip:+{CALLED}@{SBC}",
        "raw_to": f"<sip:+{CALLED}@sbc.example>",
        "raw_from": f"<sip:+{CALLER}@carrier.example>;tag=f1",
        "raw_pai": "<sip:+13125550123;verstat=TN-Validation-Passed@a.example>, <tel:+1-312-555-0123>",
        "branch": "z9hG4bK-1",
        "token_orig": "sip:q@a.example",
        "token_dest": [CALLED, OTHER],
        "token_iat": int(NOW) - 5,
    }


@pytest.mark.parametrize(
    ("via", "branch"),
    [
        ("SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK-1;rport", "z9hG4bK-1"),
        ("SIP/2.0/UDP 192.0.2.7 ; rport ; BRANCH = z9hG4bK-1 ;x", "z9hG4bK-1"),
        ("SIP/2.0/UDP [2001:db8::1]:5060;branch-x=1;xbranch=2;branch=3", "3"),
        ("SIP/2.0/UDP 192.0.2.7;branch=1;branch=2", "1"),
        ("SIP/2.0/UDP 192.0.2.7;branch=1, SIP/2.0/UDP 192.0.2.8;branch=2", "1"),
        ("SIP/2.0/UDP 192.0.2.7, SIP/2.0/UDP 192.0.2.8;branch=2", None),
        ('SIP/2.0/UDP 192.0.2.7;x="a,b;branch=1";branch=2', "2"),
        ("SIP/2.0/UDP 192.0.2.7;rport", None),
        ("SIP/2.0/UDP 192.0.2.7" + ";a=1" * 20 + ";branch=2", "2"),
        ("SIP/2.0/UDP 192.0.2.7" + ";a=1" * 300 + ";branch=2", None),
    ],
)
def test_the_branch_is_that_of_the_first_via(via: str, branch: str | None) -> None:
    message = invite(identity()).replace(b"SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK-1", via.encode())
    message = message.replace(b"Max-Forwards", b"Via: SIP/2.0/UDP 10.0.0.1;branch=last\r\nMax-Forwards")
    assert evidence(message)["branch"] == branch


def test_a_call_without_room_for_its_caller_shows_what_its_token_says() -> None:
    """Its token verifies, and the plain P-Asserted-Identity does not fit: the decision is made a second time."""
    lines = ("From: <sip:%2B12155550100@carrier.example>;tag=f1", identity())
    message = invite(*lines[1:]).replace(f"From: <sip:+{CALLER}@carrier.example>;tag=f1".encode(), lines[0].encode())
    size = 65500 - len(message)
    message = message.replace(b"Content-Length: 0", b"Content-Length: %d" % size) + b"x" * size
    record = result(make_engine(), arriving(message))[2]
    assert [record[name] for name in ("detail", "token_orig", "token_dest", "token_iat")] == [
        "ambiguous-caller", CALLER, [CALLED], int(NOW),
    ]  # fmt: skip


def test_a_call_that_cannot_be_read_shows_what_can() -> None:
    message = invite().replace(b"CSeq: 1 INVITE", b"CSeq: one")
    assert evidence(message) == {
        "raw_ruri": None,
        "raw_to": f"<sip:+{CALLED}@sbc.example>",
        "raw_from": f"<sip:+{CALLER}@carrier.example>;tag=f1",
        "raw_pai": None,
        "branch": "z9hG4bK-1",
        "token_orig": None,
        "token_dest": [],
        "token_iat": None,
    }


# --- an attacker writes all of it ---


def test_a_long_value_is_cut_and_marked() -> None:
    token = identity(claims(orig={"uri": "sip:" + "a" * 3000}, dest={"uri": ["sip:" + "b" * 600] * 2}))
    message = invite(token, "P-Asserted-Identity: <sip:" + "c" * 3000 + "@a.example>")
    message = message.replace(f"sip:+{CALLED}@{SBC} ".encode(), b"sip:" + b"d" * 9000 + b"@a.example ")
    found = evidence(message)
    assert found["token_orig"] == "sip:" + "a" * 252 + "…"
    assert found["token_dest"] == ["sip:" + "b" * 252 + "…"] * 2
    assert found["raw_pai"] == "<sip:" + "c" * 251 + "…"
    assert found["raw_ruri"] == "sip:" + "d" * 252 + "…"


def test_octets_that_are_no_text_are_escaped() -> None:
    message = invite(identity()).replace(b"From: <", b'From: "\xff\x1b[2J\\"},{\\"rule\\":\\"x" <')
    assert evidence(message)["raw_from"] == (
        '"\\xff [2J\\"},{\\"rule\\":\\"x" <sip:+12155550100@carrier.example>;tag=f1'
    )


@pytest.mark.parametrize("octets", [b"\xff", b"\x01", b"\xc2\xa0", "\U000e0001".encode(), b'\\"', b"\xed\xa0\x80"])
def test_a_hostile_call_has_a_record_of_one_line_that_names_it(octets: bytes) -> None:
    """Everything long at once: what explains the call gives way, what finds it again stays."""
    text = (octets * 60000)[:5000]
    message = invite(
        identity(claims(orig={"uri": "sip:" + "\U0001f4de" * 500}, dest={"uri": ["sip:" + "\u202e" * 200] * 5})),
        "P-Asserted-Identity: <sip:" + "c" * 3000 + "@a.example>",
    )
    message = message.replace(b"From: <", b'From: "' + text + b'" <').replace(b"To: <", b'To: "' + text + b'" <')
    verdict = make_engine().process(arriving(message), NOW)
    record = verdict.record  # type: ignore[union-attr]
    assert record is not None
    line = line_of(record)
    assert len(line) < LONGEST
    assert line.isascii()
    assert line.removesuffix("\n").isprintable()
    read = json.loads(line)
    assert (read["src"], read["call_id"], read["rule"]) == (f"{CARRIER}:5060", "call-1@carrier.example", "verify")
    assert all(len(read[name] or "") <= 260 for name in ("claimed", "found", "raw_to", "raw_from", "raw_pai"))
    assert all(each.isprintable() for each in read.values() if isinstance(each, str))


# --- the lists ---

LISTS = {"vip": "12155550100\n", "bad": "# known\n1216*\n12155550100-12155550109\n", "ours": CALLED}


@pytest.mark.parametrize(
    ("conditions", "lists"),
    [
        ('caller = ["@vip"]', ["caller @vip"]),
        ('caller = ["1217*", "@bad", "@vip"]', ["caller @bad"]),
        ('caller = ["12155550100", "@bad"]', ["caller"]),
        ('caller = ["@bad"]\ncalled = ["1216*", "@ours"]', ["caller @bad", "called @ours"]),
        ('not_caller = ["1217*"]', []),
        ("", []),
    ],
)
@pytest.mark.parametrize("action", ["verify", "reject"])
def test_the_list_by_which_the_rule_matched(conditions: str, lists: list[str], action: str) -> None:
    """A monitored rule in front, with a list of its own, has its own record."""
    rules = f'[[rule]]\nname = "{{}}"\naction = "{action}"\n{{}}\n'
    watch = rules.format("watch", 'mode = "monitor"\ncaller = "1215*"')
    engine = make_engine(watch + rules.format("it", conditions), lists=LISTS)
    verdict = engine.process(arriving(invite(identity())), NOW)
    assert (verdict.record.rule, list(verdict.record.lists)) == ("it", lists)  # type: ignore[union-attr]
    assert [each.lists for each in verdict.monitored] == [("caller",)]  # type: ignore[union-attr]


def test_a_call_that_no_rule_decides_has_no_list() -> None:
    engine = make_engine(f'{VERIFY}caller = ["@bad"]\nmode = "monitor"\n', lists=LISTS)
    record = result(engine, arriving(invite(identity())))[2]
    assert (record["rule"], record["lists"]) == (None, [])


def test_a_refused_number_that_hides_behind_another_is_found_on_its_list() -> None:
    """A rule that refuses calls looks at every party, and names the list of the one that it found."""
    rules = '[[rule]]\nname = "block"\naction = "reject"\ncaller = ["@vip", "@bad"]\n'
    message = invite(f"P-Asserted-Identity: <sip:+{OTHER}@a.example>", caller="12165550123")
    record = result(make_engine(rules, lists=LISTS), arriving(message))[2]
    assert (record["rule"], record["lists"]) == ("block", ["caller @bad"])
