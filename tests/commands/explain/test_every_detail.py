"""`explain` names the cause of calls that fail, by real calls: outcome, check, standard and remedy.

Each case is a message, as it comes from the wire, and what differs from a laboratory in which it would pass.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from support.calls import (
    CALLED,
    CALLER,
    LAB,
    MAKER,
    NOW,
    SIGN,
    VERIFY,
    claims,
    identity,
    invite,
    retargeted,
)
from support.certificates import chain, constraints, numbers, unknown
from support.recorded_details import RECORDS

from sbc_filter.certificates.source import certificate_path
from sbc_filter.cli import main
from sbc_filter.explanations.explanation import as_text
from sbc_filter.explanations.table import DETAILS_EXPLAINED, explanation_of
from sbc_filter.lab.certificate_maker import X5U, key_pem, pem
from sbc_filter.outcomes import DETAILS, SIGNING_OUTCOMES, Outcome
from sbc_filter.pki import claim_constraints
from sbc_filter.stir.passport import encode_segment

DATE = "Date: Fri, 15 Jan 2027 08:00:00 GMT"
OTHER = MAKER.laboratory()
PASS, STRIP, DROP, REJECT = (
    f'[[rule]]\nname = "r"\naction = "{action}"\n' for action in ("pass", "strip", "drop", "reject")
)
OUT = ("--to", "192.0.2.7")


class Case(NamedTuple):
    """`failed` is the key of the check that failed; empty if no check of a token did."""

    message: bytes
    failed: str = ""
    rules: str = VERIFY + SIGN
    chain: bytes | None = LAB.chain
    words: tuple[str, ...] = ()
    settings: str = ""
    crl: bytes = b""
    ours: bytes = LAB.chain


def signed(**changes: Any) -> bytes:
    """An INVITE with a token of these claims."""
    return invite(identity(claims(**changes)))


def headed(**changes: Any) -> bytes:
    """An INVITE with a token of this protected header."""
    return invite(identity(jose=changes))


def parameters(text: str) -> bytes:
    """An INVITE with these parameters behind its token."""
    return invite(identity(parameters=text))


def digest(text: str) -> bytes:
    """An INVITE with this in place of the token."""
    return invite(f"Identity: {text};info=<{X5U}>;alg=ES256;ppt=shaken")


def diverted(*, div: str = CALLED, caller: str = CALLER) -> bytes:
    """A call that was diverted to another number, with a `div` token over `div`."""
    body = {"dest": {"tn": ["12155550300"]}, "div": {"tn": div}, "iat": int(NOW), "orig": {"tn": caller}}
    return retargeted(invite(identity(), identity(body, jose={"ppt": "div"})))


def without(message: bytes, *names: bytes) -> bytes:
    return b"\r\n".join(line for line in message.split(b"\r\n") if not line.startswith(names))


HEAD, BODY, SIGNATURE = identity().partition(": ")[2].partition(";")[0].split(".")
FLAWED = SIGNATURE[:8] + ("A" if SIGNATURE[8] != "A" else "B") + SIGNATURE[9:]
TWICE = encode_segment(b'{"alg":"ES256","alg":"ES256","ppt":"shaken","typ":"passport","x5u":"u"}').decode()
LONG = identity(claims(x="y" * 9000))
MEDIA = "v=0\r\na=fingerprint:sha-256 AB:CD\r\n"
STRICT = f"info=<{X5U}>;alg=ES256;ppt=shaken;x="
ANONYMOUS = b"sip:anonymous@anonymous.invalid"
NOBODY = f"sip:+{CALLER}@carrier.example".encode()
LEAF = LAB.leaf.certificate
BASE = {"ppt": None}

VERIFIER = '[verifiers.theirs]\nservice = "https://x.example/stir/v1/verification"\n'
REMOTE = '[credentials.remote]\nservice = "https://x.example/stir/v1/signing"\n'

CASES: Mapping[str, Case] = {
    "passed": Case(invite(DATE, identity())),
    "passed.request-uri-differs": Case(retargeted(invite(identity())), "target", words=("Request-URI 12155550300",)),
    "no-identity.absent": Case(invite()),
    "no-identity.unsupported-ppt": Case(headed(ppt="foo"), "kind"),
    "anonymous.no-caller": Case(invite(identity()).replace(NOBODY, ANONYMOUS), "named"),
    "stale.stale-date": Case(invite(DATE, identity(claims(iat=int(NOW) - 61))), "fresh", words=("61 s old",)),
    "stale.future-date": Case(invite(DATE, identity(claims(iat=int(NOW) + 61))), "fresh", words=("61 s ahead",)),
    "stale.date": Case(
        invite("Date: Fri, 15 Jan 2027 07:50:00 GMT", identity()), "date", VERIFY + "[rule.verify]\nmax_date_age = 60\n"
    ),
    "unfetchable.x5u-policy": Case(headed(x5u="http://x.example/a.pem"), "url", words=("http://x.example/a.pem",)),
    "unfetchable.fetch-refused": Case(invite(identity()), "certificate", chain=None, words=("give --certificate",)),
    "untrusted.alg": Case(headed(alg="RS256"), "alg"),
    "untrusted.certificate-unreadable": Case(invite(identity()), "readable", chain=b"no certificate"),
    "untrusted.certificate-key": Case(
        invite(identity()), "profile", chain=chain(ec.generate_private_key(ec.SECP384R1()).public_key())
    ),
    "untrusted.certificate-profile": Case(invite(identity()), "profile", chain=chain(usage="crl_sign")),
    "untrusted.critical-extension": Case(
        invite(identity()), "profile", chain=chain(extensions=((unknown("1.2.3.4", b"\x05\x00"), True),))
    ),
    "untrusted.tnauthlist": Case(invite(identity()), "tnauthlist", chain=chain(listed=None)),
    "untrusted.untrusted-chain": Case(invite(identity()), "path", chain=OTHER.chain),
    "untrusted.expired": Case(invite(identity()), "dates", chain=chain(end=NOW - 60)),
    "untrusted.not-yet-valid": Case(
        signed(iat=int(NOW) - 50), "signed", chain=chain(begin=NOW - 20), words=("SPC 1234",)
    ),
    "untrusted.revoked": Case(
        invite(identity()), "revocation", crl=pem(MAKER.crl(LAB.root, (LEAF,))), words=("revoked by list 1",)
    ),
    "untrusted.crl-unavailable": Case(invite(identity()), "revocation", settings='crl_policy = "hard"\n'),
    "invalid.identity-syntax": Case(parameters("nonsense=<"), "field"),
    "invalid.too-many-identities": Case(invite(*[identity()] * 17)),
    "invalid.too-large": Case(invite(LONG), "field"),
    "invalid.compact-form": Case(invite(f"Identity: ..{SIGNATURE};info=<{X5U}>;alg=ES256;ppt=shaken"), "form"),
    "invalid.base64": Case(digest(f"{HEAD}A.{BODY}.{SIGNATURE}"), "header"),
    "invalid.json": Case(invite(identity(b"[1]")), "json"),
    "invalid.duplicate-key": Case(digest(f"{TWICE}.{BODY}.{SIGNATURE}"), "header"),
    "invalid.typ": Case(headed(typ="JWT"), "typ"),
    "invalid.crit": Case(headed(crit=["exp"]), "typ"),
    "invalid.x5u-missing": Case(headed(x5u=5), "x5u"),
    "invalid.ppt-mismatch": Case(parameters(f"info=<{X5U}>;ppt=div"), "parameters", words=("field div, token shaken",)),
    "invalid.alg-mismatch": Case(
        parameters(f"info=<{X5U}>;alg=RS256;ppt=shaken"), "parameters", words=("alg: field RS256, token ES256",)
    ),
    "invalid.info-mismatch": Case(
        parameters("info=<https://x.example/>;ppt=shaken"),
        "parameters",
        words=(f"info and x5u: field https://x.example/, token {X5U}",),
    ),
    "invalid.claim-orig": Case(signed(orig={}), "claims"),
    "invalid.claim-dest": Case(signed(dest={}), "claims"),
    "invalid.claim-iat": Case(signed(iat="1800000000"), "claims"),
    "invalid.claim-attest": Case(signed(attest="D"), "shaken"),
    "invalid.claim-origid": Case(signed(origid=None), "shaken"),
    "invalid.claim-mky": Case(signed(mky="x").replace(b"Length: 0", b"Length: 33") + MEDIA.encode(), "media"),
    "invalid.orig-mismatch": Case(
        invite(identity(), caller="13125550123"), "caller", words=("token 12155550100, From 13125550123",)
    ),
    "invalid.dest-mismatch": Case(
        signed(dest={"tn": ["13125550123"]}), "called", words=("token 13125550123, To 12155550199",)
    ),
    "invalid.request-uri-differs": Case(
        retargeted(invite(identity())), "target", VERIFY + '[rule.verify]\ncheck_request_uri = "require"\n'
    ),
    "invalid.div-chain": Case(diverted(div="13125550123")),
    "invalid.div-orig": Case(diverted(caller="13125550123")),
    "invalid.signature-length": Case(digest(f"{HEAD}.{BODY}.{SIGNATURE[:60]}"), "signature"),
    "invalid.bad-signature": Case(digest(f"{HEAD}.{BODY}.{FLAWED}"), "signature", words=("does not fit",)),
    "invalid.number-not-authorized": Case(
        invite(identity()), "number", chain=chain(listed=numbers(ones=("13125550123",))), words=("13125550123",)
    ),
    "invalid.claim-constraints": Case(
        invite(identity()),
        "constraints",
        chain=chain(
            extensions=(
                (unknown(claim_constraints.JWT_CLAIM_CONSTRAINTS, constraints((), (("attest", ("B",)),))), False),
            )
        ),
    ),
    "invalid.fingerprint-mismatch": Case(
        invite(identity(claims(mky=[{"alg": "sha-256", "dig": "AB" * 32}])), body=MEDIA), "media"
    ),
    "invalid.ambiguous-caller": Case(
        invite(identity()).replace(b"sip:+12155550100@carrier", b"sip:+12155550100;x=1;phone-context=2%00@carrier")
    ),
    "unfetchable.verification-refused": Case(
        invite(identity()), rules=VERIFY + '[rule.verify]\nservice = "theirs"\n', settings=VERIFIER
    ),
    "signed": Case(invite(DATE), rules=SIGN),
    "already-signed.shaken-present": Case(invite(identity()), rules=SIGN),
    "unsigned.no-caller": Case(invite().replace(NOBODY, ANONYMOUS), rules=SIGN),
    "unsigned.impossible-number": Case(invite(caller="0012155550100"), rules=SIGN),
    "unsigned.not-listed": Case(
        invite(caller="13125550123"), rules=SIGN + 'attest_unlisted = "none"\n', words=("unsigned.not-listed",)
    ),
    "unsigned.privacy": Case(invite("Privacy: id"), rules=SIGN + 'privacy = "skip"\n'),
    "unsigned.stale-date": Case(invite("Date: Fri, 15 Jan 2027 07:00:00 GMT"), rules=SIGN),
    "unsigned.too-large": Case(invite(), rules=SIGN + "max_size = 600\n"),
    "unsigned.no-called": Case(invite(), rules=SIGN + 'called_from = ["X-Called"]\n'),
    "unsigned.credential-expired": Case(invite(), rules=SIGN, ours=chain(end=NOW - 60)),
    "unsigned.signing-refused": Case(invite(), rules=SIGN.replace('"ours"', '"remote"'), settings=REMOTE),
    "not-examined.no-rule": Case(
        invite(identity()), rules=SIGN, words=("sign: does not match: the direction is inbound, not outbound",)
    ),
    "not-examined.pass-rule": Case(invite(identity()), rules=PASS),
    "not-examined.strip-rule": Case(invite(identity()), rules=STRIP, words=("-Identity: ey",)),
    "not-examined.drop-rule": Case(invite(identity()), rules=DROP, words=("would drop the message",)),
    "not-examined.reject-rule": Case(invite(identity()), rules=REJECT, words=("SIP/2.0 403 Forbidden",)),
    "not-examined.in-dialog": Case(invite(to_tag=";tag=1")),
    "not-examined.emergency": Case(invite(called="911").replace(b"+911", b"911"), rules=REJECT),
    "unparseable.start-line": Case(invite().replace(b"sip:+12155550199@192.0.2.1 ", b"nonsense at all ")),
    "unparseable.header-syntax": Case(invite("no field")),
    "unparseable.header-missing": Case(without(invite(), b"Call-ID")),
    "unparseable.header-repeated": Case(invite("Call-ID: other")),
    "unparseable.no-blank-line": Case(invite().rstrip()[:-8]),
    "unparseable.to-tag": Case(invite(to_tag=";tag=a;tag=b")),
    "unparseable.address-syntax": Case(invite().replace(b"From: <", b"From: <<")),
    "unparseable.cseq": Case(invite().replace(b"1 INVITE", b"1 BYE")),
    "unparseable.content-length": Case(invite().replace(b"Length: 0", b"Length: 99")),
}


def laboratory(folder: Path, case: Case) -> Path:
    """The files of an operator, with the message next to them."""
    (folder / "rules").mkdir()
    (folder / "certificates").mkdir()
    (folder / "rules" / "r.toml").write_text(case.rules)
    (folder / "root.pem").write_bytes(pem(LAB.root.certificate))
    (folder / "key.pem").write_bytes(key_pem(LAB.leaf.key))
    (folder / "key.pem").chmod(0o600)
    (folder / "ours.pem").write_bytes(case.ours)
    crls = ""
    if case.crl:
        (folder / "crl.pem").write_bytes(case.crl)
        crls = 'crls = ["crl.pem"]\n'
    if case.chain is not None:
        certificate_path(folder / "certificates", X5U).write_bytes(case.chain)
    (folder / "sbc-filter.toml").write_text(
        f'[network]\nsbc = ["192.0.2.1"]\n[trust]\nanchors = ["root.pem"]\n{crls}{case.settings}'
        f'[certificates]\ndirectory = "certificates"\ncache = "{folder}/none"\n'
        f'[credentials.ours]\nkey = "key.pem"\ncertificate = "ours.pem"\nx5u = "{X5U}"\n'
    )
    (folder / "call.sip").write_bytes(case.message)
    return folder / "call.sip"


def explained(path: Path, capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, str, dict[str, Any]]:
    """(exit code, text, JSON) of a message; both have the same exit code."""
    code = main(["explain", str(path), "--at", str(NOW), *options])
    text = capsys.readouterr().out
    assert main(["explain", str(path), "--at", str(NOW), "--json", *options]) == code
    return code, text, json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("name", CASES)
def test_the_cause_the_check_the_standard_and_the_remedy(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case = CASES[name]
    outcome, _, detail = name.partition(".")
    options = OUT if outcome in SIGNING_OUTCOMES else ()
    code, text, data = explained(laboratory(tmp_path, case), capsys, *options)
    lines = text.splitlines()
    happened, standard, by, remedy = explanation_of(outcome, detail or None)
    assert (data["outcome"], data["detail"]) == (outcome, detail or None)
    assert lines[0] == name
    assert lines[1] == as_text(happened)
    assert lines[2:5] == [
        f"Standard      {standard}",
        f"Who can act   {', '.join(by)}",
        f"What to do    {as_text(remedy)}",
    ]
    assert code == (0 if outcome in ("passed", "signed", "already-signed") else 1)
    for words in case.words:
        assert words in text
    if case.failed:
        (token,) = data["tokens"]
        order = [check["state"] for check in token["checks"] if check["state"] != "not judged"]
        failed = [check["check"] for check in token["checks"] if check["state"] == "failed"]
        assert failed == [case.failed]
        assert order == sorted(order, key=["ok", "failed", "not reached"].index), "nothing passed after the failure"


def test_every_detail_is_produced_here_or_by_more_than_one_message() -> None:
    every = {f"{outcome}.{detail}" for outcome in Outcome for detail in DETAILS[outcome]}
    assert {name for name in CASES if "." in name} | RECORDS.keys() == every
    assert {f"{outcome}.{detail}" for outcome, explained in DETAILS_EXPLAINED.items() for detail in explained} == every
