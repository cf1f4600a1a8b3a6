"""`[[rule.example]]` as `sbc-filter check` runs it: what comes out as expected, and what is said of what does not."""

import re
from pathlib import Path

import pytest
from support.calls import (
    CALLER,
    CARRIER,
    LAB,
    MAKER,
    NOW,
    SBC,
    SIGN,
    VERIFY,
    arriving,
    claims,
    identity,
    invite,
    leaving,
    response,
)

from sbc_filter.assembly.setup import prepare
from sbc_filter.capture.frame import Frame
from sbc_filter.capture.writer import CaptureWriter
from sbc_filter.certificates.source import certificate_path
from sbc_filter.cli import main
from sbc_filter.commands.check.example_calls import flow_of, given_message
from sbc_filter.commands.check.rule_examples import run_examples
from sbc_filter.config.configuration_file import read_configuration
from sbc_filter.engine.call.network import Flow
from sbc_filter.errors import Problem
from sbc_filter.lab.certificate_maker import X5U, key_pem, pem
from sbc_filter.rules.example import Example
from sbc_filter.rules.model import Conditions

ROOT = Path(__file__).parents[3]
SPAM = '[[rule]]\nname = "spam"\ndirection = "inbound"\ncaller = "1900*"\naction = "reject"\nanswer = { code = 607 }\n'
IN_FRONT = "rule 'spam' decides, expected 'verify': it stands in front"
UNKNOWN_TRUNK = "rule 'spam' decides, expected 'verify': the trunk is unknown, not carriers"
MISSING, UNREAD = "header-missing", "the message cannot be read"
SEEN = "2027-01-15T08:00:00Z"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The laboratory's configuration, with a key that signs."""
    (tmp_path / "certificates").mkdir()
    certificate_path(tmp_path / "certificates", X5U).write_bytes(LAB.chain)
    (tmp_path / "root.pem").write_bytes(pem(LAB.root.certificate))
    (tmp_path / "chain.pem").write_bytes(LAB.chain)
    (tmp_path / "key.pem").touch(0o600)
    (tmp_path / "key.pem").write_bytes(key_pem(LAB.leaf.key))
    (tmp_path / "sbc-filter.toml").write_text(
        f'[network]\nsbc = ["{SBC}", "192.0.2.9", "2001:db8::1"]\n[trust]\nanchors = ["root.pem"]\n'
        '[certificates]\ndirectory = "certificates"\n'
        f'[credentials.ours]\nkey = "key.pem"\ncertificate = "chain.pem"\nx5u = "{X5U}"\n'
        f'[trunks.carriers]\naddresses = ["{CARRIER}"]\n[trunks.six]\naddresses = ["2001:db8:1::/64"]\n'
        '[trunks.local]\naddresses = ["198.51.100.0/24"]\nlocal = ["192.0.2.9:5080"]\ntrusted = true\n'
    )
    return tmp_path


def failures(folder: Path, text: str) -> list[str]:
    """What is said of the examples in a text, without the file; empty for one that comes out as expected."""
    path = folder / "r.toml"
    path.write_text(text)
    configuration = read_configuration(folder / "sbc-filter.toml", [])
    results = run_examples(prepare(configuration, path, live=False))
    return ["" if each is None else str(each).removeprefix(f"{path}: ") for each in results]


def capture(folder: Path, *packets: bytes) -> None:
    with CaptureWriter(folder / "calls.pcap") as writer:
        for number, data in enumerate(packets, 1):
            writer.write(Frame(number, NOW + number, round((NOW + number) * 10**9), 101, 0, data, len(data)))


def example(**keys: str) -> str:
    return "[[rule.example]]\n" + "".join(f"{key.rstrip('_')} = {value}\n" for key, value in keys.items())


# Made calls.


@pytest.mark.parametrize(
    ("rules", "keys"),
    [
        (SPAM, {"caller": '"19005550100"', "treatment": '"reject"', "verdict": '"reject"', "code": "607"}),
        (SPAM, {"caller": '"12155550100"', "matches": "false"}),
        (SPAM, {"caller": '"19005550100"', "called": '"911"', "verdict": '"accept"'}),
        (SPAM, {"caller": '"19005550100"', "from": f'"{CARRIER}:5099"'}),
        (SPAM, {"caller": '"19005550100"', "to": '"carriers"', "matches": "false"}),
        (VERIFY, {"outcome": '"no-identity.absent"', "adds": '"P-Asserted-Identity"'}),
        (VERIFY, {"token": "{}", "outcome": '"passed"', "attest": '"A"', "verstat": '"TN-Validation-Passed"'}),
        (VERIFY, {"token": '{ attest = "C" }', "outcome": '"passed"', "attest": '"C"'}),
        (VERIFY, {"token": '{ caller = "13125550123" }', "outcome": '"invalid.orig-mismatch"'}),
        (VERIFY, {"token": '{ called = "13125550123" }', "outcome": '"invalid.dest-mismatch"'}),
        (VERIFY, {"token": "{ age = 61 }", "outcome": '"stale.stale-date"'}),
        (VERIFY, {"token": "{ age = 59 }", "outcome": '"passed"'}),
        (VERIFY, {"token": "{ age = -70 }", "outcome": '"stale"'}),
        (VERIFY, {"token": "{ trusted = false }", "outcome": '"untrusted"'}),
        (VERIFY, {"token": "{}", "caller": '"anonymous"', "outcome": '"anonymous"'}),
        (VERIFY, {"token": "{}", "repeated": "4", "outcome": '"passed.token-again"'}),
        (VERIFY, {"token": "{}", "repeated": "5", "outcome": '"replayed"'}),
        (VERIFY, {"token": "{}", "at": SEEN, "from": '"six"', "outcome": '"passed"'}),
        (VERIFY, {"headers": '"P-Attestation-Indicator: A"', "removes": '"P-Attestation-Indicator"'}),
        (VERIFY + '[[rule.when]]\nspc = "999X"\naction = "reject"\n', {"token": '{ spc = "999X" }', "code": "403"}),
        (SIGN, {"caller": f'"{CALLER}"', "at": SEEN, "attest": '"A"', "adds": '["Identity", "Date"]'}),
        (SIGN, {"at": SEEN, "outcome": '"signed"', "attest": '"B"'}),
        (SIGN, {"at": SEEN, "caller": '"sip:a@b.example"', "outcome": '"unsigned"', "verdict": '"accept"'}),
        (SIGN, {"at": SEEN, "token": "{}", "outcome": '"already-signed"'}),
    ],
)  # fmt: skip
def test_as_expected(rules: str, keys: dict[str, str], folder: Path) -> None:
    assert failures(folder, rules + example(**keys)) == [""]


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({}, "no rule decides (no-rule), expected 'spam': the caller 12025550100 is not on the list"),
        ({"to": '"carriers"'}, "no rule decides (no-rule), expected 'spam': the direction is outbound, not inbound"),
        (
            {"caller": '"19005550100"', "matches": "false"},
            "rule 'spam' decides, and the example expects that it does not",
        ),
        ({"caller": '"19005550100"', "rule": '"verify"'}, UNKNOWN_TRUNK),
        ({"caller": '"19005550100"', "rule": '"verify"', "from": '"carriers"'}, IN_FRONT),
        ({"rule": '"none"'}, "there is no rule 'none'"),
        (
            {"caller": '"19005550100"', "code": "608", "treatment": '"drop"', "adds": '"Reason"'},
            "treatment is reject, expected drop, code is 607, expected 608, Reason is not added",
        ),
        ({"caller": '"19005550100"', "attest": '"A"'}, "attest is missing, expected A"),
    ],
)
def test_what_is_said_of_a_rule_that_rejects(keys: dict[str, str], sentence: str, folder: Path) -> None:
    said = failures(folder, SPAM + example(**keys) + VERIFY.replace('"inbound"', '"inbound"\ntrunk = "carriers"'))
    assert said == [f"rule 'spam' (line 1): example[1]: {sentence}"]


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"outcome": '"passed"'}, "outcome is no-identity (absent), expected passed"),
        (
            {"outcome": '"passed"', "caller": f'"{CALLER}"', "token": '{ caller = "13125550123" }'},
            f"outcome is invalid (orig-mismatch: claimed 13125550123, found {CALLER}), expected passed",
        ),
        (
            {"outcome": '"passed.token-again"', "token": "{}"},
            "outcome is passed, expected passed.token-again",
        ),
        ({"removes": '"Identity"', "token": "{}"}, "Identity is not removed"),
        ({"verstat": '"TN-Validation-Passed"'}, "verstat is No-TN-Validation, expected TN-Validation-Passed"),
    ],
)
def test_what_is_said_of_a_rule_that_verifies(keys: dict[str, str], sentence: str, folder: Path) -> None:
    assert failures(folder, VERIFY + example(**keys)) == [f"rule 'verify' (line 1): example[1]: {sentence}"]


TAGGED = "INVITE sip:1@192.0.2.1 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK1\nMax-Forwards: 70\n"
TAGGED += "From: <sip:+12155550100@a>;tag=1\nTo: <sip:+12155550199@b>;tag=2\nCall-ID: 1\nCSeq: 2 INVITE\n"
NO_FROM = TAGGED.replace("From:", "X-From:").replace(";tag=2", "")


@pytest.mark.parametrize(
    ("keys", "result"),
    [
        ({"message": f'"""{NO_FROM}"""'}, "unparseable.header-missing"),
        ({"message": f'"""{TAGGED}"""'}, "not-examined.in-dialog"),
        ({"capture": '"calls.pcap"'}, "not-examined.no-direction"),
        ({"capture": '"calls.pcap"', "packet": "2"}, "not-examined.no-direction"),
    ],
)
def test_a_call_for_which_no_condition_counts_tests_nothing(keys: dict[str, str], result: str, folder: Path) -> None:
    """With `matches = false`, unless this result is what is expected; also if another rule decides it."""
    capture(folder, arriving(invite(), dst="198.18.0.1"), arriving(invite(number=2), dst="198.18.0.1"))
    other = VERIFY.replace("verify", "other", 1)
    vague = example(**keys, matches="false") + example(**keys, matches="false", outcome=f'"{result.split(".")[0]}"')
    said = failures(folder, SPAM + vague + example(**keys, matches="false", outcome=f'"{result}"') + other)
    sentence = f"the call is {result} whatever the conditions say: change it, or expect outcome = '{result}'"
    if "capture" in keys:
        sentence = f"packet {keys.get('packet', '1')}: {sentence}"
    further = "" if "capture" not in keys or "packet" in keys else " (and 1 further call)"
    assert said == [*(f"rule 'spam' (line 1): example[{at}]: {sentence}{further}" for at in (1, 2)), ""]


def test_the_rule_of_an_example_is_enforced_and_others_do_not_depend_on_the_call_id(folder: Path) -> None:
    monitored = SPAM + 'mode = "monitor"\n' + example(caller='"19005550100"', verdict='"reject"', code="607")
    some = SPAM.replace("spam", "some") + "enforce_percent = 1\n" + example(caller='"19005550100"', verdict='"reject"')
    behind = VERIFY + example(caller='"19005550100"', outcome='"no-identity"')
    assert failures(folder, monitored + some + behind) == ["", "", ""]


def test_a_rule_in_front_counts(folder: Path) -> None:
    assert failures(folder, SPAM + VERIFY + example(caller='"19005550100"')) == [
        "rule 'verify' (line 7): example[1]: rule 'spam' decides, expected 'verify': it stands in front"
    ]


def test_why_counts_the_calls_before(folder: Path) -> None:
    """The rate is exceeded, and another rule decides."""
    flood = '[[rule]]\nname = "f"\nrate = { over = 3, per = "1m", by = "caller" }\naction = "reject"\n'
    found = failures(folder, SPAM + flood + example(caller='"19005550100"', repeated="3"))
    assert found == ["rule 'f' (line 7): example[1]: rule 'spam' decides, expected 'f': it stands in front"]


def test_a_response_has_only_fields_that_are_added(folder: Path) -> None:
    """Its Call-ID is that of the INVITE."""
    assert failures(folder, SPAM + example(caller='"19005550100"', adds='"Call-ID"')) == [""]


def test_rates(folder: Path) -> None:
    flood = '[[rule]]\nname = "f"\nrate = { over = 3, per = "1m", by = "caller" }\naction = "reject"\n'
    examples = example(repeated="3") + example(repeated="2") + example(repeated="2", matches="false")
    assert failures(folder, flood + examples) == [
        "",
        "rule 'f' (line 1): example[2]: no rule decides (no-rule), expected 'f': the rate is not exceeded",
        "",
    ]  # fmt: skip


def test_hours(folder: Path) -> None:
    night = '[[rule]]\nname = "n"\ntime = { hours = "20:00-07:00" }\naction = "reject"\n'
    found = failures(folder, night + example(at="2027-01-15T21:00:00Z") + example(at="2027-01-15T22:00:00+03:00"))
    assert found == [
        "",
        "rule 'n' (line 1): example[2]: no rule decides (no-rule), expected 'n': "
        "the call did not arrive at these times",
    ]


def test_a_trunk_with_an_address_of_ours(folder: Path) -> None:
    asks = '[[rule]]\nname = "ask"\ntrunk = "local"\naction = "verify"\ninsertion = "redirect"\n'
    assert failures(folder, asks + example(token="{}", verdict='"redirect"', code="302", adds='"Contact"')) == [""]


def test_mode_observe_is_ignored(folder: Path) -> None:
    settings = folder / "sbc-filter.toml"
    settings.write_text(settings.read_text().replace("[network]\n", '[network]\nmode = "observe"\n'))
    assert failures(folder, SPAM + example(caller='"19005550100"', verdict='"reject"')) == [""]


def test_no_service_is_asked(folder: Path) -> None:
    settings = folder / "sbc-filter.toml"
    own = settings.read_text().partition("[credentials.ours]")[0]
    trunk = f'[trunks.carriers]\naddresses = ["{CARRIER}"]\n'
    settings.write_text(own + '[credentials.ours]\nservice = "https://127.0.0.1:1/stir/v1/signing"\n' + trunk)
    assert failures(folder, SIGN + example(outcome='"signed"')) == [
        "rule 'sign' (line 1): example[1]: outcome is unsigned (`check` does not ask services), expected signed"
    ]


# Messages and captures.


def test_a_message_in_the_rule_file(folder: Path) -> None:
    """With the line ends of an editor; it is judged at the time of its token, with the certificates at hand."""
    text = invite(identity()).decode().replace("\r\n", "\n")
    rules = VERIFY + f'[[rule.example]]\nmessage = """\n{text}"""\nfrom = "carriers"\noutcome = "passed"\n'
    assert failures(folder, rules) == [""]


@pytest.mark.parametrize("line_end", ["\r\n", "\n"])
def test_a_message_in_a_file(line_end: str, folder: Path) -> None:
    (folder / "call.sip").write_bytes(invite(identity()).replace(b"\r\n", line_end.encode()))
    rules = VERIFY + example(message='"call.sip"', outcome='"passed"', adds='"P-Asserted-Identity"')
    assert failures(folder, rules) == [""]


def test_a_chain_and_anchors_of_an_example(folder: Path) -> None:
    other = MAKER.laboratory("777A")
    (folder / "other.pem").write_bytes(other.chain)
    (folder / "other-root.pem").write_bytes(pem(other.root.certificate))
    (folder / "call.sip").write_bytes(invite(identity(key=other.leaf.key)))
    keys = {"message": '"call.sip"', "certificate": '"other.pem"'}
    rules = (
        VERIFY + example(**keys, anchors='"other-root.pem"', outcome='"passed"') + example(**keys, outcome='"passed"')
    )
    good, bad = failures(folder, rules)
    assert good == ""
    assert bad.startswith(
        "rule 'verify' (line 1): example[2]: outcome is untrusted (untrusted-chain: claimed CN=SHAKEN 777A"
    )


def test_a_capture(folder: Path) -> None:
    """Every INVITE that begins a call counts; `packet` chooses one."""
    again = invite(identity(), to_tag=";tag=s1")
    bad = invite(identity(claims(orig={"tn": "13125550123"})), number=2)
    capture(folder, arriving(invite(identity())), arriving(again), leaving(response("200 OK")), arriving(bad))
    both = {"capture": '"calls.pcap"', "outcome": '"passed"'}
    invalid = {"capture": '"calls.pcap"', "outcome": '"invalid"', "adds": '"P-Asserted-Identity"'}
    rules = VERIFY + example(**both) + example(**both, packet="1") + example(**invalid, packet="4")
    assert failures(folder, rules + example(**both, packet="3") + example(**both, rule='"none"')) == [
        "rule 'verify' (line 1): example[1]: packet 4: outcome is invalid "
        f"(orig-mismatch: claimed 13125550123, found {CALLER}), expected passed",
        "",
        "",
        "rule 'verify' (line 1): example[4]: calls.pcap has no INVITE in packet 3",
        "rule 'verify' (line 1): example[5]: there is no rule 'none'",
    ]


def test_further_calls_of_a_capture_are_counted(folder: Path) -> None:
    capture(folder, *[arriving(invite(number=number)) for number in range(5)])
    assert failures(folder, SPAM + example(capture='"calls.pcap"')) == [
        "rule 'spam' (line 1): example[1]: packet 1: no rule decides (no-rule), expected 'spam': "
        f"the caller {CALLER} is not on the list (and 4 further calls)"
    ]


@pytest.mark.parametrize(
    ("sender", "target", "flow"),
    [
        ("", "", Flow("192.0.2.254", 5060, SBC, 5060, "udp")),
        ("six", "", Flow("2001:db8:1::1", 5060, "2001:db8::1", 5060, "udp")),
        ("", "carriers", Flow(SBC, 5060, CARRIER, 5060, "udp")),
        ("local", "", Flow("198.51.100.1", 5060, "192.0.2.9", 5080, "udp")),
        ("[2001:db8::7]:5070", "", Flow("2001:db8::7", 5070, "2001:db8::1", 5060, "udp")),
    ],
)
def test_between_which_addresses(sender: str, target: str, flow: Flow, folder: Path) -> None:
    setup = prepare(read_configuration(folder / "sbc-filter.toml", []), live=False)
    assert flow_of(Example(Problem("", "", ""), sender=sender, target=target), Conditions(), setup) == flow


OVER_TCP = SPAM.replace("direction", 'transport = "tcp"\ndirection')
VIA = TAGGED.replace(";tag=2", "").replace("+12155550100", "+19005550100")
NOT_TCP = "rule 'spam' (line 1): example[1]: no rule decides (no-rule), expected 'spam': the transport is udp, not tcp"


@pytest.mark.parametrize(
    ("rules", "keys", "said"),
    [
        (OVER_TCP, {"caller": '"19005550100"'}, ""),  # a made call is one that the rule may match
        (OVER_TCP, {"caller": '"19005550100"', "transport": '"udp"'}, NOT_TCP),
        (SPAM, {"caller": '"19005550100"', "transport": '"tcp"'}, ""),
        (OVER_TCP, {"message": f'"""{VIA}"""'}, NOT_TCP),  # a message came as its Via says
        (OVER_TCP, {"message": f'"""{VIA.replace("2.0/UDP", "2.0/TCP")}"""'}, ""),
        (OVER_TCP, {"message": f'"""{VIA.replace("Via: SIP/2.0/UDP", "v : sip / 2.0 / tcp")}"""'}, ""),
        (OVER_TCP, {"message": f'"""{VIA.replace("2.0/UDP", "2.0/TLS")}"""'}, ""),
        (OVER_TCP, {"message": f'"""{VIA}"""', "transport": '"tcp"'}, ""),
    ],
)
def test_the_transport_of_an_example(rules: str, keys: dict[str, str], said: str, folder: Path) -> None:
    assert failures(folder, rules + example(**keys)) == [said]


def test_a_call_of_a_trunk_comes_by_a_transport_of_the_trunk(folder: Path) -> None:
    trunks = '[trunks.old]\naddresses = ["198.51.100.9"]\ntransport = "tcp"\n'
    old = OVER_TCP.replace("direction", 'trunk = "old"\ndirection')
    assert failures(folder, trunks + old + example(caller='"19005550100"')) == [""]
    old = old.replace("tcp", "udp", 1)
    reason = "expected 'spam': the transport is tcp, not udp"
    assert failures(folder, trunks + old + example(caller='"19005550100"'))[0].endswith(reason)


def test_the_octets_of_a_message_from_an_editor(folder: Path) -> None:
    text = "\n" + invite().decode().replace("\r\n", "\n").rstrip() + "\n"
    found = given_message(Example(Problem("", "", ""), text), folder)
    assert found == invite()


# What cannot be run.


def test_what_cannot_be_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sbc_filter.commands.check.example_captures.MOST_FRAMES", 1)
    (folder / "text").write_bytes(b"no capture, no INVITE")
    (folder / "large").write_bytes(bytes(256 * 1024 + 1))
    (folder / "loop").symlink_to("loop")
    capture(folder, arriving(invite()), arriving(invite(number=2)))
    for place, sentence in {
        'message = "none"': f"{folder}/none cannot be read: No such file or directory",
        'message = "/dev/zero"': "/dev/zero is not a file",
        'message = "certificates"': f"{folder}/certificates is not a file",
        'message = "large"': f"{folder}/large cannot be read: it is larger than 256 KiB",
        'message = "loop"': f"{folder}/loop cannot be read: Too many levels of symbolic links",
        'message = "a\\u0000b"': f"{folder}/a\x00b cannot be read: embedded null byte",
        'message = "text"': "the message is not an INVITE: rules apply to INVITEs only",
        'message = "ACK sip:a SIP/2.0\\n"': "the message is not an INVITE: rules apply to INVITEs only",
        'message = "INVITE sip:a SIP/2.0\\n"': f"no rule decides ({MISSING}), expected 'spam': {UNREAD}: {MISSING}",
        'capture = "none"': f"{folder}/none is not there, or is not a file",
        'capture = "/dev/zero"': "/dev/zero is not there, or is not a file",
        'capture = "text"': f"{folder}/text is not a capture (pcap or pcapng, also compressed by gzip, bzip2 or xz)",
        'capture = "calls.pcap"': f"{folder}/calls.pcap has more than 1 packets: an example needs a few calls",
        'certificate = "none"': f"{folder}/none cannot be read: No such file or directory",
        'anchors = "text"': f"{folder}/text cannot be read: no certificate in PEM form",
    }.items():
        assert failures(folder, f"{SPAM}[[rule.example]]\n{place}\n") == [
            f"rule 'spam' (line 1): example[1]: {sentence}"
        ]


# The command.


def test_check_names_what_fails_and_run_does_not_mind(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An example that fails is an error of `check`; other commands read it, and go on."""
    assert main(["pki", str(folder / "lab")]) == 0
    rules = folder / "r.toml"
    rules.write_text(VERIFY + example(token="{}", outcome='"passed"') + example(outcome='"passed"'))
    files = ["--config", str(folder / "lab" / "sbc-filter.toml"), "--rules", str(rules)]
    capsys.readouterr()
    assert main(["check", *files]) == 1
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "2 examples: 1 of them as expected",
        f"error: {rules}: rule 'verify' (line 1): example[2]: outcome is no-identity (absent), expected passed",
    ]
    capture(folder, arriving(invite()))
    assert main(["replay", str(folder / "calls.pcap"), "--rules", str(rules)]) == 0
    rules.write_text(VERIFY + example(token="{}", outcome='"passed"'))
    capsys.readouterr()
    assert main(["check", *files]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "1 example: as expected"


def test_the_example_of_the_manual(folder: Path) -> None:
    section = (ROOT / "docs" / "rules.md").read_text().partition("## `[[rule.example]]`")[2].partition("\n## ")[0]
    text = section.partition("```toml\n")[2].partition("```")[0].replace('"acme"', '"carriers"')
    assert failures(folder, text) == ["", "", ""]
    (failed,) = failures(folder, re.sub(r"(?s)\[\[rule\.example\]\].*", example(caller='"18005550100"'), text))
    assert f"error: rules/00-spam.toml: {failed}" in section
