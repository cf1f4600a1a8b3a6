"""All files that the configuration names: read, checked against each other, every problem at once (S-094)."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from support.calls import arriving, invite, result

from sbc_filter.assembly.setup import NO_SBC, prepare, read_all, rule_files
from sbc_filter.config import configuration_file
from sbc_filter.config.settings import Configuration
from sbc_filter.engine.engine import Engine
from sbc_filter.errors import ConfigurationError
from sbc_filter.lab.certificate_maker import X5U, Laboratory, Maker, key_pem, pem

# Valid from 2023 for a hundred years: what is checked against the clock is checked with others.
_MAKER = Maker(1_700_000_000, "setup")
_ROOT = _MAKER.root(days=36500)
_ISSUING = _MAKER.issuing(_ROOT, days=36500)
LAB = Laboratory(_ROOT, _ISSUING, _MAKER.leaf(_ISSUING, days=36500), _MAKER.crl(_ROOT))
LATER = Maker(4_000_000_000, "later").laboratory()  # begins in 2096
OVER = Maker(1_000_000_000, "over").laboratory()  # was over in 2002
OTHER = Maker(1_700_000_000, "other").root(days=36500)

SETTINGS = f"""
[trust]
anchors = ["anchors"]
crls = ["crl.pem"]
[credentials.ours]
key = "key.pem"
certificate = "chain.pem"
x5u = "{X5U}"
"""
VERIFY = '[[rule]]\nname = "verify"\naction = "verify"\n'
SIGN = (
    '[[rule]]\nname = "sign"\naction = "sign"\n[rule.sign]\ncredential = "ours"\n'
    'origid = "4437c7eb-8f7a-4f0e-a863-f53a0e60251a"\nnumbers = "@ours.txt"\n'
)
GOOD: Mapping[str, bytes | str] = {
    "c.toml": SETTINGS,
    "key.pem": key_pem(LAB.leaf.key),
    "chain.pem": LAB.chain,
    "crl.pem": pem(LAB.crl),
    "anchors/root.pem": pem(LAB.root.certificate),
    "rules/10-verify.toml": VERIFY,
    "rules/20-sign.toml": SIGN,
    "rules/ours.txt": "12155550100\n",
}


def write(folder: Path, changes: Mapping[str, bytes | str | None] | None = None, mode: int = 0o600) -> Configuration:
    for name, content in (dict(GOOD) | dict(changes or {})).items():
        if content is not None:
            path = folder / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
            path.chmod(mode)
    return configuration_file.load(folder / "c.toml")


def problems(folder: Path, changes: Mapping[str, bytes | str | None], mode: int = 0o600) -> list[str]:
    """What is wrong, with the folder written as /."""
    with pytest.raises(ConfigurationError) as caught:
        prepare(write(folder, changes, mode))
    return [str(problem).replace(f"{folder}/", "/") for problem in caught.value.problems]


def test_everything_there(tmp_path: Path) -> None:
    made = prepare(write(tmp_path))
    assert [rule.name for rule in made.rules.rules] == ["verify", "sign"]
    assert [anchor.subject for anchor in made.trust.anchors] == [LAB.root.certificate.subject]
    assert (len(made.trust.crls), made.trust.crl_policy) == (1, "soft")
    assert made.credentials["ours"].x5u == X5U
    assert isinstance(made.engine(b"secret"), Engine)
    assert made.plan().queue == 50


def test_numbers_are_read_by_the_plan_of_the_configured_region(tmp_path: Path) -> None:
    engine = prepare(write(tmp_path, {"c.toml": '[network]\nnumbering = "de"\n' + SETTINGS})).engine(b"secret")
    message = invite().replace(b"From: <sip:+12155550100@", b"From: <sip:03012345678@")
    message = message.replace(b"To: <sip:+12155550199@", b"To: <sip:00493087654321@")
    record = result(engine, arriving(message))[2]
    assert (record["orig"], record["dest"]) == ("493012345678", ["493087654321"])


VERIFY = '[[rule]]\nname = "v{at}"\naction = "verify"\n'


@pytest.mark.parametrize(
    ("rules", "responses"),
    [
        (["", ""], "none"),
        (['direction = "inbound"\nverify = { reason = "stir" }', ""], "sbc"),
        (['direction = "inbound"\nverify = { reason = "stir" }'] * 2, "sbc"),
        (['direction = "inbound"\nverify = { reason = "stir" }', 'verify = { reason = "sip" }'], "all"),
        (['direction = "outbound"\nverify = { reason = "stir" }'], "all"),
        (['mode = "monitor"\nverify = { reason = "stir" }'], "none"),
    ],
)
def test_the_kernel_hands_over_the_responses_that_a_rule_needs(
    rules: list[str], responses: str, tmp_path: Path
) -> None:
    text = "".join(VERIFY.format(at=at) + each + "\n" for at, each in enumerate(rules))
    made = prepare(write(tmp_path, {"other/1.toml": text}), tmp_path / "other", live=False)
    assert made.plan().responses == responses


@pytest.mark.parametrize(
    ("mode", "reason", "responses"),
    [
        ("enforce", "remove", "all"),  # they come from those whom our calls go to
        ("enforce", "keep", "none"),
        ("monitor", "remove", "none"),
    ],
)
def test_s118_it_hands_over_those_that_may_speak_of_our_tokens(
    mode: str, reason: str, responses: str, tmp_path: Path
) -> None:
    sign = f'sign = {{ credential = "ours", origid = "4437c7eb-8f7a-4f0e-a863-f53a0e60251a", reason = "{reason}" }}'
    text = f'[[rule]]\nname = "s"\nmode = "{mode}"\ndirection = "outbound"\naction = "sign"\n{sign}\n'
    made = prepare(write(tmp_path, {"other/1.toml": text}), tmp_path / "other", live=False)
    assert made.plan().responses == responses


def test_rules_of_another_folder_or_of_one_file(tmp_path: Path) -> None:
    configuration = write(tmp_path, {"other/1.toml": '[[rule]]\nname = "one"\naction = "drop"\n'})
    assert [rule.name for rule in prepare(configuration, tmp_path / "other").rules.rules] == ["one"]
    assert [rule.name for rule in prepare(configuration, tmp_path / "rules/20-sign.toml").rules.rules] == ["sign"]


def test_the_trust_store_is_as_lenient_and_as_strict_as_the_file_says(tmp_path: Path) -> None:
    switches = 'tolerate = ["der-body"]\nstrict = ["extended-key-usage"]\n[credentials.ours]'
    trust = prepare(write(tmp_path, {"c.toml": SETTINGS.replace("[credentials.ours]", switches)})).trust
    assert (trust.tolerate, trust.strict) == (frozenset({"der-body"}), frozenset({"extended-key-usage"}))


def test_rule_files_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name in ("b.toml", "a.toml", "10.toml", "9.toml", "notes.txt", ".half-written.toml"):
        (tmp_path / name).write_text("")
    files, base = rule_files(tmp_path, [])
    assert [Path(name).name for name in files] == ["10.toml", "9.toml", "a.toml", "b.toml"]
    assert base == tmp_path


def test_nothing_configured_passes_everything() -> None:
    made = prepare(Configuration())
    assert (made.rules.rules, made.credentials, made.trust.anchors) == ((), {}, ())


NO_ANCHOR = (
    "/c.toml: trust.anchors: there is no trust anchor, so nothing could ever verify:"
    " name the PEM files of the roots you trust"
)
NOT_UTF_8 = "cannot be read: 'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"
HTTP = X5U.replace("https", "http")
NUMBERS = "/rules/20-sign.toml: rule 'sign' (line 1): sign.numbers: the list 'ours.txt'"
NOT_FOUND = "cannot be read: No such file or directory"
OURS = "/c.toml: credentials.ours"


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"key.pem": None}, [f"{OURS}: /key.pem {NOT_FOUND}"]),
        ({"chain.pem": None}, [f"{OURS}: /chain.pem {NOT_FOUND}"]),
        ({"crl.pem": None}, [f"/c.toml: trust.crls: /crl.pem {NOT_FOUND}"]),
        ({"anchors/root.pem": None}, [f"/c.toml: trust.anchors: /anchors {NOT_FOUND}", NO_ANCHOR]),
        (
            {"rules/ours.txt": None},
            [f"{NUMBERS} {NOT_FOUND}"],
        ),
        ({"c.toml": SETTINGS + '[rules]\ndirectory = "none"\n'}, [f"/none: {NOT_FOUND}"]),
        ({"rules/20-sign.toml": b"\xff"}, [f"/rules/20-sign.toml: {NOT_UTF_8}"]),
        ({"rules/ours.txt": b"\xff"}, [f"{NUMBERS} {NOT_UTF_8}"]),
        ({"c.toml": SETTINGS.replace('anchors = ["anchors"]', "")}, [NO_ANCHOR]),
        ({"c.toml": SETTINGS.replace('"key.pem"', '"rules"')}, [f"{OURS}: /rules cannot be read: Is a directory"]),
        (
            {"key.pem": key_pem(LAB.root.key)},
            [f"{OURS}: the key does not belong to the first certificate of the chain"],
        ),
        ({"key.pem": "x"}, [f"{OURS}: the key is not a PEM private key"]),
        ({"chain.pem": "x"}, [f"{OURS}: the certificate cannot be read: no certificate in PEM form"]),
        (
            {"c.toml": SETTINGS.replace("https", "http")},
            [f"{OURS}: x5u {HTTP!r} breaks the rules for such URLs: the scheme is not https"],
        ),
        (
            {"anchors/root.pem": "x"},
            ["/c.toml: trust.anchors: /anchors/root.pem: no certificate in PEM form", NO_ANCHOR],
        ),
        ({"anchors/a.pem": "x"}, ["/c.toml: trust.anchors: /anchors/a.pem: no certificate in PEM form"]),
        (
            {"rules/30.toml": "[[rule]]"},
            [
                "/rules/30.toml: rule[1] (line 1): name: is missing",
                "/rules/30.toml: rule[1] (line 1): action: is missing",
            ],
        ),
        (
            {
                "key.pem": key_pem(OVER.leaf.key),
                "chain.pem": OVER.chain,
                "anchors/over.pem": pem(OVER.root.certificate),
            },
            [f"{OURS}.certificate: has expired: put a new one in its place"],
        ),
    ],
)
def test_one_thing_wrong(changes: Mapping[str, bytes | str | None], found: list[str], tmp_path: Path) -> None:
    assert problems(tmp_path, changes) == found


def test_s094_a_list_that_is_none(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, {"crl.pem": LAB.chain})
    assert found.startswith("/c.toml: trust.crls: /crl.pem: the CRL cannot be read: ")


def test_a_folder_of_anchors_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(path: Path) -> Iterator[Path]:
        if path.name == "anchors":
            raise PermissionError(13, "Permission denied", str(path))
        return iterdir(path)

    iterdir = Path.iterdir
    monkeypatch.setattr(Path, "iterdir", refused)
    assert problems(tmp_path, {}) == ["/c.toml: trust.anchors: /anchors cannot be read: Permission denied", NO_ANCHOR]


@pytest.mark.parametrize("mode", [0o604, 0o644, 0o666])
def test_s094_a_key_that_everybody_can_read(mode: int, tmp_path: Path) -> None:
    assert problems(tmp_path, {}, mode) == [f"{OURS}.key: /key.pem can be read by everybody: run `chmod 600 /key.pem`"]


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o640])
def test_s094_a_key_that_only_some_can_read(mode: int, tmp_path: Path) -> None:
    assert prepare(write(tmp_path, mode=mode)).credentials.keys() == {"ours"}


@pytest.mark.parametrize(
    ("changes", "about"),
    [
        ({"anchors/root.pem": pem(OTHER.certificate)}, f"{OURS}.certificate"),
        ({"chain.pem": pem(LAB.leaf.certificate)}, f"{OURS}.certificate"),
        (
            {
                "key.pem": key_pem(LATER.leaf.key),
                "chain.pem": LATER.chain,
                "anchors/later.pem": pem(LATER.root.certificate),
            },
            f"{OURS}.certificate",
        ),
    ],
)
def test_s094_a_certificate_that_nobody_will_believe(
    changes: Mapping[str, bytes | str | None], about: str, tmp_path: Path
) -> None:
    (found,) = problems(tmp_path, changes)
    assert found.startswith(f"{about}: ")


def changes_of(lab: Laboratory) -> dict[str, bytes | str | None]:
    return {"key.pem": key_pem(lab.leaf.key), "chain.pem": lab.chain}


def test_s094_without_anchors_the_dates_are_judged(tmp_path: Path) -> None:
    nobody = {"c.toml": SETTINGS.replace('anchors = ["anchors"]', ""), "rules/10-verify.toml": None}
    assert problems(tmp_path, nobody | changes_of(OVER)) == [
        f"{OURS}.certificate: has expired: put a new one in its place"
    ]
    assert problems(tmp_path, nobody | changes_of(LATER)) == [
        f"{OURS}.certificate: is not valid before 2096-10-02 06:06 UTC"
    ]
    assert prepare(write(tmp_path, nobody | changes_of(LAB))).credentials.keys() == {"ours"}


@pytest.mark.parametrize("lab", [OVER, LATER, Maker(1_700_000_000, "nobody's").laboratory()])
def test_the_calls_of_a_replay_have_times_of_their_own(lab: Laboratory, tmp_path: Path) -> None:
    """What is wrong with the certificate at the time of a call is said of this call."""
    assert prepare(write(tmp_path, changes_of(lab)), live=False).credentials.keys() == {"ours"}


def test_anchors_may_be_one_file_with_many(tmp_path: Path) -> None:
    maker = Maker(1_700_000_000, "many")
    bundle = b"".join(pem(maker.root(f"Root {number}").certificate) for number in range(13))
    made = prepare(write(tmp_path, {"anchors/bundle.pem": bundle}))
    assert len(made.trust.anchors) == 14


def test_all_at_once(tmp_path: Path) -> None:
    settings = SETTINGS.replace('["anchors"]', '["none.pem"]').replace('["crl.pem"]', '["none.crl"]')
    more = f'[credentials.open]\nkey = "open.pem"\ncertificate = "chain.pem"\nx5u = "{X5U}"\n'
    changes: dict[str, bytes | str | None] = {
        "c.toml": settings + more,
        "key.pem": key_pem(LAB.root.key),
        "open.pem": key_pem(LAB.leaf.key),
    }
    assert problems(tmp_path, changes, 0o644) == [
        f"/c.toml: trust.anchors: /none.pem {NOT_FOUND}",
        f"/c.toml: trust.crls: /none.crl {NOT_FOUND}",
        f"{OURS}.key: /key.pem can be read by everybody: run `chmod 600 /key.pem`",
        f"{OURS}: the key does not belong to the first certificate of the chain",
        "/c.toml: credentials.open.key: /open.pem can be read by everybody: run `chmod 600 /open.pem`",
        NO_ANCHOR,
    ]


def test_rules_and_files_at_once(tmp_path: Path) -> None:
    assert problems(
        tmp_path, {"crl.pem": None, "key.pem": "x", "rules/10-verify.toml": VERIFY + 'mod = "enforce"\n'}
    ) == [
        f"/c.toml: trust.crls: /crl.pem {NOT_FOUND}",
        f"{OURS}: the key is not a PEM private key",
        "/rules/10-verify.toml: rule 'v{at}' (line 1): mod: is unknown; did you mean 'mode'?",
    ]


def test_no_anchor_and_a_mistake_in_the_rules_at_once(tmp_path: Path) -> None:
    settings = SETTINGS.replace('anchors = ["anchors"]', "")
    assert problems(tmp_path, {"c.toml": settings, "rules/10-verify.toml": VERIFY + 'mod = "enforce"\n'}) == [
        "/rules/10-verify.toml: rule 'v{at}' (line 1): mod: is unknown; did you mean 'mode'?",
        NO_ANCHOR,
    ]


def test_nothing_hides_anything(tmp_path: Path) -> None:
    """A mistake in the configuration, in the rules, in a list and in a certificate: all said in one go, each once."""
    for name, content in (dict(GOOD) | {"key.pem": "x", "rules/ours.txt": "", "rules/30.toml": "x =\n"}).items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    (tmp_path / "c.toml").write_text(SETTINGS + "[network]\nports = [5060, 0]\n")
    assert all_problems(tmp_path) == [
        "/c.toml: network.ports: 0 is not a port number from 1 to 65535",
        f"{OURS}: the key is not a PEM private key",
        "/rules/30.toml: this is not TOML: Invalid value (at line 1, column 4)",
        "/rules/20-sign.toml: rule 'sign' (line 1): sign.numbers: the list 'ours.txt' is empty",
    ]


def test_what_only_follows_from_a_mistake_is_not_said(tmp_path: Path) -> None:
    """No anchor, no credential, no address can be missed in a file of which nothing is known."""
    write(tmp_path)
    (tmp_path / "c.toml").write_text(SETTINGS + "\n[netw ork]\n")
    (tmp_path / "rules" / "30.toml").write_text("= 5\n")
    found = all_problems(tmp_path)
    assert [problem.partition(" (")[0] for problem in found] == [
        "/c.toml: this is not TOML: Expected ']' at the end of a table declaration",
        "/rules/30.toml: this is not TOML: Invalid statement",
    ]
    (tmp_path / "rules" / "30.toml").unlink()
    (tmp_path / "rules" / "10-verify.toml").write_text(VERIFY + 'direction = "inbound"\n')
    (tmp_path / "c.toml").write_text(SETTINGS + '[network]\nsbc = ["sbc"]\n')
    assert all_problems(tmp_path) == ["/c.toml: network.sbc: 'sbc' is not an address such as 203.0.113.10"]


def test_a_direction_needs_the_addresses_of_the_sbc(tmp_path: Path) -> None:
    directed: Mapping[str, bytes | str | None] = {"rules/10-verify.toml": VERIFY + 'direction = "inbound"\n'}
    assert problems(tmp_path, directed) == [f"/c.toml: network.sbc: {NO_SBC}"]
    assert prepare(
        configuration_file.load(tmp_path / "c.toml"), live=False
    ).rules.rules  # a replay says it in its summary


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    marked = {name: b"\xef\xbb\xbf" + str(GOOD[name]).encode() for name in GOOD if name.endswith(("toml", "txt"))}
    assert len(prepare(write(tmp_path, marked)).rules.rules) == 2


def all_problems(folder: Path) -> list[str]:
    for path in folder.rglob("*.pem"):
        path.chmod(0o600)
    with pytest.raises(ConfigurationError) as caught:
        read_all(folder / "c.toml")
    return [str(problem).replace(f"{folder}/", "/") for problem in caught.value.problems]
