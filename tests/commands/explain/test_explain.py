"""`sbc-filter explain` as a person meets it: what it takes, what it shows, how it ends."""

import io
import json
import re
import socket
from pathlib import Path
from typing import Any

import pytest
from support import web
from support.calls import CALLER, LAB, NOW, SBC, VERIFY, claims, identity, invite

from sbc_filter.certificates.disk_cache import CachedCertificate, DiskCache
from sbc_filter.certificates.source import certificate_path
from sbc_filter.cli import main
from sbc_filter.lab.certificate_maker import X5U, pem

IDENTITY = identity()
TOKEN = IDENTITY.partition(": ")[2].partition(";")[0]
SPOOFED = invite("Date: Fri, 15 Jan 2027 08:00:00 GMT", IDENTITY, caller="13125550123")
HOST, ADDRESS = "certificates.example.net", "127.88.94.3"
WATCH = '[[rule]]\nname = "leaving"\ndirection = "outbound"\naction = "pass"\n'


@pytest.fixture
def chain(tmp_path: Path) -> tuple[str, ...]:
    """The options that give everything that a token needs, and no configuration."""
    (tmp_path / "chain.pem").write_bytes(LAB.chain)
    (tmp_path / "root.pem").write_bytes(pem(LAB.root.certificate))
    return ("--certificate", str(tmp_path / "chain.pem"), "--anchors", str(tmp_path / "root.pem"))


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A working folder without a configuration."""
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))


def said(capsys: pytest.CaptureFixture[str], what: str, *options: str, code: int) -> list[str]:
    assert main(["explain", what, *options]) == code
    return [line.rstrip() for line in capsys.readouterr().out.splitlines()]


def data(capsys: pytest.CaptureFixture[str], what: str, *options: str, code: int) -> dict[str, Any]:
    (line,) = said(capsys, what, "--json", *options, code=code)
    found: dict[str, Any] = json.loads(line)
    assert found["good"] is (code == 0)
    return found


def test_a_spoofed_call(tmp_path: Path, chain: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "call.sip").write_bytes(SPOOFED)
    (tmp_path / "rules.toml").write_text(WATCH + VERIFY + '[rule.on]\ninvalid = "reject"\n')
    lines = said(capsys, str(tmp_path / "call.sip"), "--rules", str(tmp_path / "rules.toml"), *chain, code=1)
    reached = [line for line in lines if not line.startswith(("  ok", "  not reached"))]
    assert reached == [
        "invalid.orig-mismatch",
        "The caller of the call is not that of the token.",
        "Standard      RFC 8224 §6.2 step 5, §6.2.4; ATIS-1000074 §5.3.1",
        "Who can act   originating carrier, you",
        "What to do    It is the token of another call, or the caller was rewritten on the way. Compare orig with From"
        " and P-Asserted-Identity. If they are one number, name the field that has it as caller_from in [rule.verify]"
        " of the rule, or correct numbering in [network] of sbc-filter.toml.",
        "Compared      token 12155550100, From 13125550123",
        "Judged at     2027-01-15 08:00 UTC, the Date of the INVITE",
        "",
        "Token 1: invalid.orig-mismatch",
        f'  header      {{"alg": "ES256", "ppt": "shaken", "typ": "passport", "x5u": "{X5U}"}}',
        '  claims      {"attest": "A", "dest": {"tn": ["12155550199"]}, "iat": 1800000000, "orig": {"tn":'
        ' "12155550100"}, "origid": "4437c7eb-8f7a-4f0e-a863-f53a0e60251a"}',
        "  signature   fits (read by PyJWT)",
        "  certificate from --certificate",
        "    signs    CN=SHAKEN 1234,O=Laboratory,C=US; SPC 1234",
        "             2027-01-15 07:00 to 2028-01-15 07:00 UTC, by CN=Laboratory Issuing CA,O=Laboratory,C=US;"
        " CRL: unknown: no CRL is configured",
        "    issuer   CN=Laboratory Issuing CA,O=Laboratory,C=US",
        "             2027-01-15 07:00 to 2032-01-14 07:00 UTC, by CN=Laboratory Root,O=Laboratory,C=US;"
        " CRL: unknown: no CRL is configured",
        "    anchor   CN=Laboratory Root,O=Laboratory,C=US",
        "             2027-01-15 07:00 to 2037-01-12 07:00 UTC, by CN=Laboratory Root,O=Laboratory,C=US",
        "  failed      The caller is that of the token: token 12155550100, From 13125550123 (RFC 8224 §6.2.4)",
        "",
        "Rules:",
        "  leaving: does not match: the direction is inbound, not outbound",
        "  verify: matches, enforce, decides",
        "",
        "By verify the filter would reject the call with 438:",
        "  SIP/2.0 438 Invalid Identity Header",
        "  Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK-1;received=192.0.2.254",
        "  From: <sip:+13125550123@carrier.example>;tag=f1",
        *(line for line in lines if line.startswith("  To: <sip:+12155550199@sbc.example>;tag=")),
        "  Call-ID: call-1@carrier.example",
        "  CSeq: 1 INVITE",
        "  Content-Length: 0",
        "",
        "Missing:",
        "  no configuration: its SBC, trunks and numbering are the defaults (--config)",
        "  no CRL: revocation is not known ([trust].crls)",
    ]


def test_checks_that_were_not_reached_are_counted_and_listed_on_demand(
    chain: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """They stand behind the failed check, in the order in which they would have been made."""
    call = SPOOFED.decode()
    lines = said(capsys, call, *chain, code=1)
    (counted,) = [line for line in lines if line.startswith("  not reached")]
    assert counted == "  not reached 21 checks after the failed one (--all lists them)"
    failed = lines.index(counted) - 1
    assert lines[failed].startswith("  failed      The caller is that of the token: ")
    all_lines = said(capsys, call, *chain, "--all", code=1)
    assert all_lines[: failed + 1] == lines[: failed + 1]
    listed = all_lines[failed + 1 : failed + 22]
    assert listed[0] == "  not reached The called party is one of the token (RFC 8224 §6.2.4)"
    assert listed[-1] == "  not reached The token explains the Request-URI (RFC 8946 §4.2)"
    assert all_lines[failed + 22 :] == lines[failed + 2 :]


def test_a_good_call_with_the_lines_that_change(
    tmp_path: Path, chain: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "call.sip").write_bytes(invite("Date: Fri, 15 Jan 2027 08:00:00 GMT", IDENTITY))
    found = data(capsys, str(tmp_path / "call.sip"), *chain, code=0)
    assert (found["outcome"], found["detail"], found["kind"], found["time"]) == ("passed", None, "message", NOW)
    assert found["changes"] == [
        "…",
        " Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK-1",
        f"+P-Asserted-Identity: <sip:+{CALLER};verstat=TN-Validation-Passed@carrier.example>",
        " Max-Forwards: 70",
    ]
    assert [said["name"] for said in found["tolerated"]] == ["no-user-phone"]
    assert found["record"]["rule"] == "the defaults of [rule.verify]"
    checks = found["tokens"][0]["checks"]
    assert {check["check"]: check["values"] for check in checks if check["state"] != "ok"} == {
        "revocation": "there is no CRL",
        "diversions": "there is no diversion",
        "replay": "only this message is known",
        "date": "max_date_age of the rule is not set",
    }


@pytest.mark.parametrize(
    ("what", "kind"),
    [
        (IDENTITY, "identity"),
        (IDENTITY.replace("Identity: ", "y:"), "identity"),
        (IDENTITY.partition(": ")[2], "identity"),
        (TOKEN, "token"),
        (f" {TOKEN[:80]}\n  {TOKEN[80:]}\n", "token"),
    ],
)
def test_a_token_by_itself(what: str, kind: str, chain: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """It passes as far as a token can be judged by itself, and what cannot is said."""
    found = data(capsys, what, *chain, code=0)
    assert (found["kind"], found["outcome"], found["record"], found["changes"]) == (kind, "passed", None, [])
    assert found["time_from"] == "the iat of the token, so its age is not judged: give --at"
    (token,) = found["tokens"]
    assert token["reading"]["claims"] == claims()
    assert token["reading"]["signature"] == "fits"
    unjudged = {check["check"]: check["values"] for check in token["checks"] if check["state"] != "ok"}
    assert unjudged == {
        **dict.fromkeys(
            ["named", "caller", "called", "media", "diversions", "date", "plain", "target"], "only a token was given"
        ),
        "fresh": "the time is that of the token",
        "revocation": "there is no CRL",
        "replay": "only this message is known",
    }


def test_the_age_of_a_token(chain: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    found = data(capsys, TOKEN, "--at", "2027-01-15T08:01:01Z", *chain, code=1)
    assert (found["outcome"], found["detail"]) == ("stale", "stale-date")
    (failed,) = [check for check in found["tokens"][0]["checks"] if check["state"] == "failed"]
    assert failed["values"] == "iat 2027-01-15T08:00:00Z, arrival 2027-01-15T08:01:01Z: 61 s old, at most 60 s"


@pytest.mark.parametrize("parts", [".".join(TOKEN.split(".")[:2]), TOKEN.partition(".")[0]])
def test_a_token_without_its_signature_is_not_one(parts: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = data(capsys, parts, code=1)
    assert (found["kind"], found["outcome"], found["detail"]) == ("parts", "invalid", "identity-syntax")
    assert found["tokens"][0]["reading"]["header"]["x5u"] == X5U
    assert found["tokens"][0]["reading"]["claims"] == (claims() if "." in parts else None)


def test_without_anchors_everything_else_is_checked(chain: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    found = data(capsys, TOKEN, *chain[:2], code=1)
    assert (found["outcome"], found["detail"]) == ("untrusted", "untrusted-chain")
    assert "no trust anchors: no chain can be trusted (--anchors, or [trust].anchors)" in found["missing"]
    (token,) = found["tokens"]
    assert (token["outcome"], token["assumed"]) == ("passed", True)
    states = {check["check"]: check["state"] for check in token["checks"]}
    assert (states["path"], states["signature"], states["profile"]) == ("not judged", "ok", "ok")


def test_without_anchors_a_forgery_is_still_seen(chain: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    flawed = TOKEN[:-8] + ("A" if TOKEN[-8] != "A" else "B") + TOKEN[-7:]
    found = data(capsys, flawed, *chain[:2], code=1)
    assert (found["outcome"], found["detail"]) == ("invalid", "bad-signature")
    assert found["tokens"][0]["reading"]["signature"] == "does not fit"


def test_without_anchors_the_filter_marks_nothing_as_passed(
    tmp_path: Path, chain: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "call.sip").write_bytes(invite(IDENTITY))
    found = data(capsys, str(tmp_path / "call.sip"), *chain[:2], code=1)
    assert (found["outcome"], found["record"]["outcome"]) == ("untrusted", "untrusted")
    assert f"+P-Asserted-Identity: <sip:+{CALLER};verstat=TN-Validation-Failed@carrier.example>" in found["changes"]


def test_where_a_certificate_is_from(
    tmp_path: Path, chain: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """The option comes first, then the folder."""
    (tmp_path / "folder").mkdir()
    certificate_path(tmp_path / "folder", X5U).write_bytes(LAB.chain)
    (tmp_path / "sbc-filter.toml").write_text(
        f'[trust]\nanchors = ["root.pem"]\n[certificates]\ndirectory = "folder"\ncache = "{tmp_path}/cache"\n'
    )
    config = ("--config", str(tmp_path / "sbc-filter.toml"))
    assert data(capsys, TOKEN, *config, code=0)["tokens"][0]["certificate"] == "from the folder"
    assert data(capsys, TOKEN, *config, *chain[:2], code=0)["tokens"][0]["certificate"] == "from --certificate"
    certificate_path(tmp_path / "folder", X5U).unlink()
    found = data(capsys, TOKEN, *config, code=1)
    assert found["tokens"][0]["certificate"] == "not here: neither given nor fetched"
    put = f"put it into {tmp_path}/folder as {certificate_path(Path(), X5U)}"
    assert f"the certificate of {X5U}: {put}, or give --certificate or --fetch" in found["missing"]


def test_a_certificate_in_the_cache(tmp_path: Path, chain: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """It is read, however old it is there: the message may be as old."""
    (tmp_path / "sbc-filter.toml").write_text(
        f'[trust]\nanchors = ["root.pem"]\n[certificates]\ncache = "{tmp_path}/cache"\n'
    )
    (tmp_path / "cache").mkdir()
    DiskCache(tmp_path / "cache", 9, 1 << 20).write(X5U, CachedCertificate(LAB.chain, NOW, NOW), NOW - 60)
    found = data(capsys, TOKEN, "--config", str(tmp_path / "sbc-filter.toml"), code=0)
    assert found["tokens"][0]["certificate"] == "from the cache"


def test_a_certificate_from_the_network_only_if_asked(
    tmp_path: Path, chain: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the rules for addresses, which are those of the filter."""
    settings = f'[trust]\nanchors = ["root.pem"]\n[certificates]\ncache = "{tmp_path}/cache"\nweb_ca = "web-ca.pem"\n'
    (tmp_path / "sbc-filter.toml").write_text(settings)
    config = ("--config", str(tmp_path / "sbc-filter.toml"))
    line = identity(jose={"x5u": f"https://{HOST}:8443/shaken.pem"})
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [(2, 1, 6, "", (ADDRESS, 0))])
    with web.serving(tmp_path, HOST, ADDRESS) as pages:
        pages["/shaken.pem"] = LAB.chain
        assert data(capsys, line, *config, code=1)["detail"] == "fetch-refused"
        refused = data(capsys, line, "--fetch", *config, code=1)
        assert (refused["outcome"], refused["detail"]) == ("unfetchable", "fetch-address")
        (tmp_path / "sbc-filter.toml").write_text(f'{settings}allowed_networks = ["127.0.0.0/8"]\n')
        found = data(capsys, line, "--fetch", *config, code=0)
    assert found["tokens"][0]["certificate"] == "from the network"


def test_each_of_several_tokens_by_itself(
    tmp_path: Path, chain: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """S-063: one valid token is enough, and the others are explained too."""
    stale = identity(claims(iat=int(NOW) - 100))
    (tmp_path / "call.sip").write_bytes(invite(stale, IDENTITY, identity(jose={"ppt": "foo"})))
    found = data(capsys, str(tmp_path / "call.sip"), "--at", str(NOW), *chain, code=0)
    assert found["outcome"] == "passed"
    assert [(token["at"], token["outcome"], token["detail"]) for token in found["tokens"]] == [
        (1, "stale", "stale-date"),
        (2, "passed", None),
        (3, "no-identity", "unsupported-ppt"),
    ]


def test_lines_from_an_editor(
    monkeypatch: pytest.MonkeyPatch, chain: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    pasted = b"\n" + invite(IDENTITY).replace(b"\r\n", b"\n").rstrip()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(pasted)))
    found = data(capsys, "-", *chain, code=0)
    assert found["outcome"] == "passed"
    assert found["notes"] == ["its lines ended in LF, as in a text file: they were read as CRLF"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"\xd4\xc3\xb2\xa1" + bytes(20), "is a pcap file of version 0.0; only 2.0 to 2.4 can be read"),
        (b"BYE sip:a@b SIP/2.0\r\n\r\n", "the message is not an INVITE: only INVITEs are verified and signed"),
        (b"SIP/2.0 200 OK\r\n\r\n", "the message is not an INVITE"),
        (invite().replace(b"INVITE sip", b"CANCEL sip"), "the message is an ACK or CANCEL: only INVITEs carry tokens"),
        (bytes(1 << 19), "is larger than 256 KiB, and not a capture: give a part of it (grep, tail)"),
        (bytes(1 << 25), "is larger than 16384 KiB, and not a capture: give a part of it (grep, tail)"),
        (f"Identity: ..{TOKEN[-86:]};info=<{X5U}>".encode(), "give the whole INVITE"),
    ],
)
def test_what_is_not_explained(
    content: bytes, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_bytes(content)
    assert main(["explain", str(tmp_path / "file")]) == 1
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize("dest", [{"tn": ["911"]}, {"uri": ["urn:service:sos"]}, {"uri": ["sip:bob@example.org"]}])
def test_a_token_to_any_party(dest: Any, chain: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert data(capsys, identity(claims(dest=dest)), *chain, code=0)["outcome"] == "passed"


def test_a_token_whose_party_no_message_can_name(capsys: pytest.CaptureFixture[str]) -> None:
    """It is not said that its caller is wrong, since there is no call."""
    assert main(["explain", identity(claims(orig={"uri": "sip:a\r\nVia: x@b"}))]) == 1
    assert capsys.readouterr().err == (
        "sbc-filter: the token names a party that is not named so in any call: give the whole INVITE\n"
    )


def test_a_folded_field_has_its_time_too(
    tmp_path: Path, chain: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "call.sip").write_bytes(invite(IDENTITY.replace("Identity: ", "Identity:\r\n ")))
    assert data(capsys, str(tmp_path / "call.sip"), *chain, code=0)["time"] == NOW


@pytest.mark.parametrize("what", ["nonsense", "", "no.such.file!", "a\0b", "x" * 5000])
def test_what_is_nothing_is_wrong_usage(what: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", what]) == 2
    shown = repr(what) if len(what) < 60 else f"'{what[:60]}…'"
    assert capsys.readouterr().err == (
        f"sbc-filter: {shown} is neither a file nor an INVITE, an Identity header field, a PASSporT or a record\n"
    )


@pytest.mark.parametrize(
    ("token", "label", "values"),
    [
        (identity(jose={"x5u": f"{X5U}x"}), "Certificate", "not here: neither given nor fetched"),
        (identity(jose={"x5u": "http://a.example/x.pem"}), "Found", "http://a.example/x.pem"),
        (identity(claims(attest="D")), "Found", 'attest "D"'),
    ],
)
def test_one_value_is_not_called_compared(
    token: str, label: str, values: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "call.sip").write_bytes(invite(token))
    assert main(["explain", str(tmp_path / "call.sip")]) == 1
    shown = capsys.readouterr().out
    assert f"\n{label:13} {values}\n" in shown
    assert "\nCompared" not in shown


def test_a_misspelt_file_is_guessed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my.pcap").touch()
    monkeypatch.chdir(tmp_path)
    assert main(["explain", "my.pcp", "5"]) == 2
    assert capsys.readouterr().err == (
        "sbc-filter: 'my.pcp' is neither a file nor an INVITE, an Identity header field, a PASSporT or a record;"
        " did you mean my.pcap?\n"
    )


def test_an_empty_file_is_called_empty(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "my.pcap").touch()
    assert main(["explain", str(tmp_path / "my.pcap"), "1"]) == 1
    assert capsys.readouterr().err == f"sbc-filter: {tmp_path}/my.pcap is empty\n"


def test_a_folder_is_one_of_captures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "notes").write_text("nothing")
    assert main(["explain", str(tmp_path)]) == 1
    why = f"1 file not read, hidden or not a capture: {tmp_path}/notes"
    assert capsys.readouterr().err == f"sbc-filter: there is no capture in {tmp_path}: {why}\n"


def test_a_file_that_holds_something_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("nonsense")
    assert main(["explain", str(tmp_path / "file")]) == 2
    assert capsys.readouterr().err.endswith(
        "file holds neither an INVITE nor an Identity header field nor a PASSporT nor records\n"
    )


def test_only_the_first_sixteen_tokens_are_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """S-016: however many there are, the answer comes soon."""
    (tmp_path / "call.sip").write_bytes(invite(*[identity(claims(iat=int(NOW) + at)) for at in range(200)]))
    found = data(capsys, str(tmp_path / "call.sip"), code=1)
    assert (found["detail"], len(found["tokens"])) == ("too-many-identities", 16)


def test_a_call_that_is_only_observed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "sbc-filter.toml").write_text(f'[network]\nsbc = ["{SBC}"]\nmode = "observe"\n')
    (tmp_path / "call.sip").write_bytes(invite())
    (tmp_path / "rules.toml").write_text('[[rule]]\nname = "r"\naction = "reject"\n')
    lines = said(capsys, str(tmp_path / "call.sip"), "--rules", str(tmp_path / "rules.toml"), code=1)
    at = lines.index("By r the filter would reject the call with 403, but only observes:")
    assert lines[at + 1] == "  SIP/2.0 403 Forbidden"
    assert "  r: matches, observe, decides" in lines


HOSTILE = "\x1b[2J\x1b]0;owned\x07\u202e"


def test_hostile_bytes_do_not_reach_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    message = invite(
        identity(claims(orig={"uri": f"sip:{HOSTILE}@x"}, x=HOSTILE), jose={"x5u": f"https://x.example/{HOSTILE}"}),
        f"Subject: {HOSTILE}",
    )
    message = message.replace(b"From: <sip:+", f'From: "{HOSTILE}" <sip:+'.encode())
    (tmp_path / "call.sip").write_bytes(message)
    (tmp_path / "rules.toml").write_text('[[rule]]\nname = "r"\naction = "reject"\nheader = { Subject = "^a" }\n')
    for options in ((), ("--json",), ("--rules", str(tmp_path / "rules.toml"))):
        main(["explain", str(tmp_path / "call.sip"), *options])
        shown = capsys.readouterr()
        assert re.search(r"[^\x20-\x7e\n§…]", shown.out + shown.err) is None


@pytest.mark.parametrize(
    "payload", [b"[" * 100_000, b'{"a":' * 50_000, b'{"iat":' + b"9" * 5000 + b"}", b'{"iat":1e999}', b"\xff\xfe"]
)
def test_hostile_claims_are_an_answer(payload: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "token").write_text(identity(payload)[:200_000])
    assert main(["explain", str(tmp_path / "token")]) == 1
    assert capsys.readouterr().out.startswith("invalid.")


def test_the_trunk_of_the_peer_that_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "sbc-filter.toml").write_text(f'[network]\nsbc = ["{SBC}"]\n[trunks.acme]\naddresses = ["192.0.2.7"]\n')
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "r.toml").write_text('[[rule]]\nname = "acme"\ntrunk = ["acme"]\naction = "pass"\n')
    (tmp_path / "call.sip").write_bytes(invite())
    call = str(tmp_path / "call.sip")
    assert data(capsys, call, code=1)["rules"] == [
        {"rule": "acme", "mode": "enforce", "matched": False, "reason": "the trunk is unknown, not acme"}
    ]
    for side in ("--from", "--to"):
        found = data(capsys, call, side, "192.0.2.7", code=1)
        assert (found["record"]["trunk"], found["detail"]) == ("acme", "pass-rule")


@pytest.mark.parametrize(("via", "reason"), [(b"UDP", "the transport is udp, not tcp"), (b"TCP", ""), (b"tcp", "")])
def test_an_invite_comes_by_the_transport_of_its_via(
    via: bytes, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "sbc-filter.toml").write_text(f'[network]\nsbc = ["{SBC}"]\n')
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "r.toml").write_text('[[rule]]\nname = "a"\ntransport = "tcp"\naction = "pass"\n')
    (tmp_path / "call.sip").write_bytes(invite().replace(b"SIP/2.0/UDP", b"SIP/2.0/" + via))
    found = data(capsys, str(tmp_path / "call.sip"), code=1)
    assert found["rules"] == [{"rule": "a", "mode": "enforce", "matched": not reason, "reason": reason}]
    assert found["record"]["transport"] == via.decode().lower()
