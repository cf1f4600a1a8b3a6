"""The configuration file (DESIGN §5): every key, every problem at once, paths relative to the file."""

from ipaddress import ip_network
from pathlib import Path

import pytest

from sbc_filter.config import configuration_file
from sbc_filter.config.configuration_file import find_configuration, load, parse, require_configuration
from sbc_filter.config.credential_settings import CredentialSettings, OnToken, SystemdCredential
from sbc_filter.config.settings import (
    CertificateSettings,
    Configuration,
    NetworkSettings,
    QueueConfiguration,
    RelaySettings,
    TrustListSettings,
    TrustSettings,
)
from sbc_filter.errors import ConfigurationError
from sbc_filter.keys.pkcs11_uri import Pkcs11Uri
from sbc_filter.rules.rule_file import CONFIGURATION_TABLES
from sbc_filter.rules.trunk import Trunk

FOLDER = Path("/etc/sbc-filter")

# The configuration of DESIGN §5 without what is not supported: trust.fetch, [metrics].
EXAMPLE = """
[network]
sbc   = ["203.0.113.10", "2001:DB8::10"]
ports = [5060, 5080]
trusted_peers = ["192.0.2.0/24"]
emergency = ["911", "urn:service:sos*"]
numbering = "france"
[queue]
number = 60
workers = 1
on_overload = { inbound = "accept", outbound = "drop" }
[trust]
anchors = ["anchors", "/srv/root.pem"]
crls = ["crl.pem"]
crl_signers = ["sti-pa-crl.pem"]
crl_policy = "hard"
trust_list = "sti-pa.jwt"
trust_list_root = ["sti-pa.pem"]
policies = ["2.16.840.1.114569.1.1.4"]
tolerate = ["der-body", "tnauthlist-encoding"]
strict = ["extended-key-usage"]
crl_urls = ["https://crl.example.org/download/v1/crl", "http://10.0.0.5/crl"]
[certificates]
directory = "certificates"
fetch = true
cache = "/var/cache/elsewhere"
command = ["/usr/local/bin/certificate-for", "--pem"]
allowed_networks = ["10.9.0.0/16"]
web_ca = "web.pem"
[credentials.acme]
key = "keys/acme.pem"
certificate = "/srv/acme-chain.pem"
x5u = "https://certificates.example.org/acme.pem"
[trunks.core]
addresses = ["10.0.0.0/8"]
trusted = true
[rules]
directory = "our-rules"
[log]
records = "records.jsonl"
"""


def test_every_key() -> None:
    assert parse("c.toml", EXAMPLE, FOLDER) == Configuration(
        "c.toml",
        FOLDER,
        FOLDER / "our-rules",
        NetworkSettings(
            ("203.0.113.10", "2001:db8::10"),
            (5060, 5080),
            (ip_network("192.0.2.0/24"),),
            ("911", "urn:service:sos*"),
            "france",
        ),
        QueueConfiguration(60, "accept", "drop"),
        TrustSettings(
            (FOLDER / "anchors", Path("/srv/root.pem")),
            (FOLDER / "crl.pem",),
            (FOLDER / "sti-pa-crl.pem",),
            "hard",
            (TrustListSettings("trust_list", FOLDER / "sti-pa.jwt", (FOLDER / "sti-pa.pem",), shared=True),),
            frozenset({"2.16.840.1.114569.1.1.4"}),
            frozenset({"der-body", "tnauthlist-encoding"}),
            ("https://crl.example.org/download/v1/crl", "http://10.0.0.5/crl"),
            strict=frozenset({"extended-key-usage"}),
        ),
        CertificateSettings(
            FOLDER / "certificates",
            True,
            Path("/var/cache/elsewhere"),
            ("/usr/local/bin/certificate-for", "--pem"),
            (ip_network("10.9.0.0/16"),),
            FOLDER / "web.pem",
        ),
        {
            "acme": CredentialSettings(
                FOLDER / "keys/acme.pem",
                Path("/srv/acme-chain.pem"),
                "https://certificates.example.org/acme.pem",
            )
        },
        (Trunk("core", (ip_network("10.0.0.0/8"),), trusted=True),),
        FOLDER / "records.jsonl",
    )


@pytest.mark.parametrize(
    ("text", "lists"),
    [
        ('trust_list = "us.jwt"', [("trust_list", "us.jwt", ["r"])]),
        ('trust_list = ["us.jwt"]', [("trust_list", "us.jwt", ["r"])]),
        ('trust_list = ["us.jwt", "ca.jwt"]', [("trust_list", "us.jwt", ["r"]), ("trust_list", "ca.jwt", ["r"])]),
        ('trust_list = { file = "us.jwt", root = "s" }', [("trust_list", "us.jwt", ["s"])]),
        (
            'trust_list = ["us.jwt", { file = "ca.jwt", root = ["s", "t"] }]',
            [("trust_list", "us.jwt", ["r"]), ("trust_list", "ca.jwt", ["s", "t"])],
        ),
        ('trust_list = { url = "https://a.example/", root = "s" }', [("trust_list", "https://a.example/", ["s"])]),
        ('trust_list_url = "https://a.example/"', [("trust_list_url", "https://a.example/", ["r"])]),
        (
            'trust_list_url = ["https://a.example/", "https://b.example/"]',
            [("trust_list_url", f"https://{each}.example/", ["r"]) for each in "ab"],
        ),
        (
            'trust_list = "us.jwt"\ntrust_list_url = "https://b.example/"',
            [("trust_list", "us.jwt", ["r"]), ("trust_list_url", "https://b.example/", ["r"])],
        ),
        ('trust_list = ""\ntrust_list_url = ""', []),
        ("trust_list = []", []),
    ],
)
def test_s091_one_trust_list_or_several(text: str, lists: list[tuple[str, str, list[str]]]) -> None:
    made = parse("c.toml", f'[trust]\ntrust_list_root = "r"\n{text}\n', FOLDER)
    assert [(each.key, each.where, each.roots) for each in made.trust.trust_lists] == [
        (key, where if ":" in where else FOLDER / where, tuple(FOLDER / root for root in roots))
        for key, where, roots in lists
    ]


def test_every_key_of_the_relay() -> None:
    text = (
        '[relay]\nenabled = true\nport = 5058\nexisting = "reset"\nunfiltered_ports = [5061, 443]\nconnections = 9\n'
        "connections_per_peer = 8\nmessage_octets = 4000\nmessage_seconds = 7\nidle_seconds = 6\n"
    )
    relay = RelaySettings(
        enabled=True,
        port=5058,
        existing="reset",
        unfiltered_ports=(5061, 443),
        connections=9,
        connections_per_peer=8,
        message_octets=4000,
        message_seconds=7,
        idle_seconds=6,
    )
    assert parse("c.toml", text, FOLDER).relay == relay


def test_the_defaults() -> None:
    for made in (load(None), parse("", "", Path())):
        assert made.network == NetworkSettings(
            (), (5060,), (), ("911", "112", "933", "988", "urn:service:sos*"), "nanp"
        )
        assert made.queue == QueueConfiguration(50, "accept", "accept")  # fail-open unless told otherwise
        assert made.trust == TrustSettings((), (), (), "soft", (), frozenset(), frozenset())
        assert made.certificates == CertificateSettings(None, False, Path("/var/cache/sbc-filter"), ())
        assert (made.credentials, made.trunks, made.records) == ({}, (), None)


@pytest.mark.parametrize(
    ("text", "name", "emergency"),
    [
        ('numbering = "FR"', "FR", ("911", "112", "933", "15", "17", "18", "urn:service:sos*")),
        ('numbering = "fr"', "FR", ("911", "112", "933", "15", "17", "18", "urn:service:sos*")),
        ('numbering = "se"', "SE", ("911", "112", "933", "90000", "sip:90000@*", "urn:service:sos*")),
        ('numbering = "e164"', "e164", ("911", "112", "933", "urn:service:sos*")),
        ('numbering = "France"\nemergency = ["112"]', "france", ("112",)),
    ],
)
def test_a_region_has_its_numbering_plan_and_its_emergency_numbers(
    text: str, name: str, emergency: tuple[str, ...]
) -> None:
    network = parse("", f"[network]\n{text}\n", Path()).network
    assert (network.numbering, network.emergency) == (name, emergency)


FILES = 'key = "k"\ncertificate = "c"\nx5u = "u"\n'
CREDENTIAL = f"[credentials.a]\n{FILES}"
ON_TOKEN = CREDENTIAL.replace('"k"', '"pkcs11:token=t;object=s"')
MOMENT = "has to be a time with its zone such as 2027-01-01T00:00:00Z"
KNOWN = "'certificate', 'key', 'next', 'passphrase', 'pin', 'pkcs11_module', 'x5u'"
IN_NEXT = "'certificate', 'from', 'key', 'passphrase', 'pin', 'pkcs11_module', 'x5u'"
NETWORKS = "write an address or a network such as 198.51.100.0/24"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("x =", "this is not TOML: Invalid value (at end of document)"),
        ("network = 5", "network: has to be a table, not 5"),
        ("[netwrk]", "netwrk: is unknown; did you mean 'network'?"),
        ('[network]\nsbc = ["sbc.example"]', "network.sbc: 'sbc.example' is not an address such as 203.0.113.10"),
        ("[network]\nsbc = [5]", "network.sbc: has to be a list of strings, not [5]"),
        ("[network]\nports = [0]", "network.ports: 0 is not a port number from 1 to 65535"),
        ("[network]\nports = [65536]", "network.ports: 65536 is not a port number from 1 to 65535"),
        ("[network]\nports = 5060", "network.ports: has to be a list of port numbers such as [5060]"),
        ("[network]\nports = []", "network.ports: has to be a list of port numbers such as [5060]"),
        ("[network]\nports = [true]", "network.ports: True is not a port number from 1 to 65535"),
        (
            '[network]\ntrusted_peers = ["10.0.0.1/8"]',
            f"network.trusted_peers: 10.0.0.1/8 has host bits set: {NETWORKS}",
        ),
        ("[network]\nemergency = 911", "network.emergency: has to be a list of strings, not 911"),
        ('[network]\nunreadable = "x"', "network.unreadable: is 'x'; allowed are 'drop', 'reject', 'scrub'"),
        (
            "[network]\ndrop_unreadable = true",
            'network.drop_unreadable: was replaced: write unreadable = "drop" for true, and "scrub" for false',
        ),
        (
            '[network]\nnumbering = "xx"',
            "network.numbering: is 'xx'; allowed are e164, france, nanp and the ISO code of a region such as FR",
        ),
        (
            '[network]\nuntrusted_headers = ["X Score"]',
            "network.untrusted_headers: 'X Score' is not the name of a header field; * stands for any text",
        ),
        (
            '[network]\nuntrusted_headers = ["F*"]',
            "network.untrusted_headers: 'F*' would remove the header field from, which calls need",
        ),
        (
            '[network]\nuntrusted_headers = ["f"]',
            "network.untrusted_headers: 'f' would remove the header field from, which calls need",
        ),
        (
            '[network]\nuntrusted_headers = ["*"]',
            "network.untrusted_headers: '*' would remove the header field accept, which calls need",
        ),
        (
            '[network]\nscrub_methods = ["INVITE"]',
            "network.scrub_methods: has 'INVITE'; allowed are 'INFO', 'MESSAGE', 'NOTIFY', 'OPTIONS', 'PUBLISH',"
            " 'REFER', 'REGISTER', 'SUBSCRIBE', 'UPDATE'",
        ),
        ("[network]\nport = 5060", "network.port: is unknown; did you mean 'ports'?"),
        ("[queue]\nnumber = 65534", "queue.number: has to be a whole number from 0 to 65533, not 65534"),
        ("[queue]\nnumber = true", "queue.number: has to be a whole number from 0 to 65533, not True"),
        (
            '[queue]\non_overload = "accept"',
            'queue.on_overload: has to be a table such as { inbound = "drop", outbound = "accept" }, not \'accept\'',
        ),
        (
            '[queue]\non_overload = { inbound = "pass" }',
            "queue.on_overload.inbound: is 'pass'; allowed are 'accept', 'drop'",
        ),
        ('[trust]\ncrl_policy = "firm"', "trust.crl_policy: is 'firm'; allowed are 'hard', 'soft'"),
        ("[trust]\nanchors = 5", "trust.anchors: has to be a list of strings, not 5"),
        (
            '[trust]\ntolerate = ["expired"]',
            "trust.tolerate: has 'expired'; allowed are 'der-body', 'tnauthlist-encoding'",
        ),
        (
            '[trust]\nstrict = ["policy"]',
            "trust.strict: has 'policy'; allowed are 'extended-key-usage', 'issuer-keys'",
        ),
        (
            '[trust]\npolicies = ["shaken"]',
            "trust.policies: 'shaken' is not an object identifier such as 2.16.840.1.114569.1.1.4",
        ),
        (
            '[trust]\ntrust_list = "sti-pa.jwt"',
            "trust.trust_list_root: is missing: name the PEM files of those whose signature on the list counts",
        ),
        (
            '[trust]\ntrust_list_url = "https://list.example.org/"',
            "trust.trust_list_root: is missing: name the PEM files of those whose signature on the list counts",
        ),
        (
            '[trust]\ntrust_list = ["l", { file = "m", root = "s" }]',
            "trust.trust_list_root: is missing: name the PEM files of those whose signature on the list counts",
        ),
        (
            '[trust]\ntrust_list = { file = "l" }\ntrust_list_root = "r"',
            "trust.trust_list[1].root: is missing: name the PEM files of those whose signature on the list counts",
        ),
        (
            '[trust]\ntrust_list = ["k", { root = "r" }]\ntrust_list_root = "r"',
            "trust.trust_list[2].file: or `url` has to be there, and not both",
        ),
        (
            '[trust]\ntrust_list = { file = "l", url = "https://list.example.org/", root = "r" }',
            "trust.trust_list[1].file: or `url` has to be there, and not both",
        ),
        (
            '[trust]\ntrust_list = { url = "http://list.example.org/", root = "r" }',
            "trust.trust_list[1].url: 'http://list.example.org/' is not a URL that begins with https://",
        ),
        (
            '[trust]\ntrust_list = { file = "l", roots = "r", root = "r" }',
            "trust.trust_list[1].roots: is unknown; did you mean 'root'?",
        ),
        ("[trust]\ntrust_list = 5", "trust.trust_list: has to be a list of strings and tables, not 5"),
        (
            '[trust]\ntrust_list = ["/l", { file = "/l", root = "s" }]\ntrust_list_root = "r"',
            "trust.trust_list: /l is named twice",
        ),
        (
            f'[trust]\ntrust_list = {[str(each) for each in range(17)]}\ntrust_list_root = "r"',
            "trust.trust_list: has 17 lists with those of `trust_list_url`; 16 are allowed",
        ),
        (
            '[trust]\ntrust_list_url = "http://list.example.org/"\ntrust_list_root = "r"',
            "trust.trust_list_url: 'http://list.example.org/' is not a URL that begins with https://",
        ),
        (
            '[trust]\ncrl_urls = "sti-pa.crl"',
            "trust.crl_urls: 'sti-pa.crl' is not a URL that begins with http:// or https://",
        ),
        ('[certificates]\nfetch = "yes"', "certificates.fetch: has to be true or false, not 'yes'"),
        ("[certificates]\ncommand = [5]", "certificates.command: has to be a list of strings, not [5]"),
        ("[certificates]\ncache = 5", "certificates.cache: has to be a string, not 5"),
        (
            '[certificates]\nallowed_networks = ["x"]',
            f"certificates.allowed_networks: 'x' does not appear to be an IPv4 or IPv6 network: {NETWORKS}",
        ),
        ("[certificates]\nfetchs = true", "certificates.fetchs: is unknown; did you mean 'fetch'?"),
        (
            '[credentials.a]\nkey = "k"\ncertificate = "c"',
            "credentials.a.x5u: is missing",
        ),
        (
            '[credentials.a]\nkey = "k"\ncertificate = "c"\nx5u = "u"\nkeys = "k"',
            "credentials.a.keys: is unknown; did you mean 'key'?",
        ),
        ("[credentials]\na = 5", "credentials.a: has to be a table, not 5"),
        (f"{CREDENTIAL}from = 2027-01-01T00:00:00Z", "credentials.a.from: is unknown; known here are " + KNOWN),
        (
            f"{CREDENTIAL}[[credentials.a.next]]\n{FILES}next = []",
            "credentials.a.next[1].next: is unknown; known here are " + IN_NEXT,
        ),
        (f"{CREDENTIAL}[[credentials.a.next]]\n{FILES}from = 2027-01-01", f"credentials.a.next[1].from: {MOMENT}"),
        (f'{CREDENTIAL}[[credentials.a.next]]\n{FILES}from = "soon"', f"credentials.a.next[1].from: {MOMENT}"),
        (
            f"{CREDENTIAL}[[credentials.a.next]]\n{FILES}from = 2027-01-01T00:00:00",
            f"credentials.a.next[1].from: {MOMENT}",
        ),
        (f"{CREDENTIAL}next = {{}}", "credentials.a.next: has to be written as [[credentials.a.next]]"),
        (f'{CREDENTIAL}pin = "p"', "credentials.a.pin: is for keys on a token (pkcs11:…)"),
        (f'{CREDENTIAL}pkcs11_module = "p"', "credentials.a.pkcs11_module: is for keys on a token (pkcs11:…)"),
        (
            f'{ON_TOKEN}passphrase = "p"\npkcs11_module = "m"',
            "credentials.a.passphrase: is for keys in files, this one is on a token",
        ),
        (
            ON_TOKEN,
            "credentials.a.pkcs11_module: is missing: the library that speaks to the token, a file such as "
            "opensc-pkcs11.so",
        ),
        (
            f'{ON_TOKEN.replace("object=s", "object=s?pin-value=271828")}pkcs11_module = "m"',
            "credentials.a.key: has a query: say `pin` and `pkcs11_module` in keys of their own",
        ),
        (
            CREDENTIAL.replace('"k"', '"credential:../shadow"'),
            "credentials.a.key: 'credential:../shadow' is not a name of a systemd credential such as "
            "credential:shaken.key",
        ),
        ("[trunks.a]", "trunks.a.addresses: is missing: the addresses or networks of the other end"),
        ('[rules]\ndirectry = "x"', "rules.directry: is unknown; did you mean 'directory'?"),
        ("[log]\nrecords = 5", "log.records: has to be a string, not 5"),
        (
            "[relay]\nmessage_octets = 65536",
            "relay.message_octets: has to be a whole number from 1500 to 65535, not 65536",
        ),
        ("[log]\nrecent = -1", "log.recent: has to be a whole number from 0 to 1000000, not -1"),
        (
            "[relay]\nenabled = true\nport = 5060",
            "relay.port: 5060 is a SIP port of [network].ports: choose one that is not used",
        ),
        (
            "[relay]\nenabled = true\nport = 5061",
            "relay.port: 5061 is one of unfiltered_ports: choose one that is not used",
        ),
        (
            "[relay]\nenabled = true\nunfiltered_ports = [5061, 5060]",
            "relay.unfiltered_ports: has all SIP ports of [network].ports: no connection would be filtered",
        ),
        (
            "[relay]\nenabled = true\nunfiltered_ports = [5060]",
            "relay.unfiltered_ports: has all SIP ports of [network].ports: no connection would be filtered",
        ),
        ("[relay]\nunfiltered_ports = 5061", "relay.unfiltered_ports: has to be a list of port numbers such as [5061]"),
        ('[relay]\nexisting = "drop"', "relay.existing: is 'drop'; allowed are 'pass', 'reset'"),
        ("[relay]\nconnections = 0", "relay.connections: has to be a whole number from 1 to 100000, not 0"),
        ("[relay]\nmessage_seconds = 0", "relay.message_seconds: has to be a whole number from 1 to 3600, not 0"),
        ("[relay]\nidle_second = 60", "relay.idle_second: is unknown; did you mean 'idle_seconds'?"),
        ('[log]\nlevel = "x"', "log.level: is unknown; known here are 'recent', 'records'"),
    ],
)
def test_one_problem(text: str, problem: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse("c.toml", text, FOLDER)
    assert [str(each) for each in caught.value.problems] == [f"c.toml: {problem}"]


def test_where_keys_are() -> None:
    text = """
[credentials.a]
key = "credential:a.key"
passphrase = "credential:a.pass"
certificate = "a.pem"
x5u = "https://certificates.example.org/a.pem"
[[credentials.a.next]]
key = "pkcs11:token=STIR;id=%01"
pkcs11_module = "/usr/lib/module.so"
pin = "pin"
certificate = "credential:b.pem"
x5u = "https://certificates.example.org/b.pem"
from = 2027-01-15T09:00:00+01:00
[[credentials.a.next]]
key = "c.key"
certificate = "c.pem"
x5u = "https://certificates.example.org/c.pem"
from = "2027-01-15T08:00:00Z"
"""
    first, second, third = (f"https://certificates.example.org/{name}.pem" for name in "abc")
    token = OnToken(Pkcs11Uri("STIR", id=b"\1"), Path("/usr/lib/module.so"), FOLDER / "pin")
    assert parse("c.toml", text, FOLDER).credentials == {
        "a": CredentialSettings(
            SystemdCredential("a.key"),
            FOLDER / "a.pem",
            first,
            SystemdCredential("a.pass"),
            successors=(
                CredentialSettings(token, SystemdCredential("b.pem"), second, begins=1_800_000_000.0),
                CredentialSettings(FOLDER / "c.key", FOLDER / "c.pem", third, begins=1_800_000_000.0),
            ),
        )
    }


def test_all_problems_at_once() -> None:
    text = """
[network]
sbc = ["a", "203.0.113.10", "b"]
ports = [99999]
[queue]
number = -1
on_overload = { inbound = "x", outbound = "y", sideways = "z" }
[trust]
crl_policy = "none"
[credentials.a]
key = "k"
[lgo]
"""
    with pytest.raises(ConfigurationError) as caught:
        parse("c.toml", text, FOLDER)
    assert [str(each) for each in caught.value.problems] == [
        "c.toml: network.sbc: 'a' is not an address such as 203.0.113.10",
        "c.toml: network.sbc: 'b' is not an address such as 203.0.113.10",
        "c.toml: network.ports: 99999 is not a port number from 1 to 65535",
        "c.toml: queue.number: has to be a whole number from 0 to 65533, not -1",
        "c.toml: queue.on_overload.inbound: is 'x'; allowed are 'accept', 'drop'",
        "c.toml: queue.on_overload.outbound: is 'y'; allowed are 'accept', 'drop'",
        "c.toml: queue.on_overload.sideways: is unknown; known here are 'inbound', 'outbound'",
        "c.toml: trust.crl_policy: is 'none'; allowed are 'hard', 'soft'",
        "c.toml: credentials.a.certificate: is missing",
        "c.toml: credentials.a.x5u: is missing",
        "c.toml: lgo: is unknown; did you mean 'log'?",
    ]


def test_relative_paths_are_relative_to_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "c.toml").write_text('[trust]\nanchors = ["anchors", "../root.pem"]\n')
    monkeypatch.chdir(tmp_path)
    made = load(Path("deep/c.toml"))
    assert [path.resolve() for path in made.trust.anchors] == [tmp_path / "deep/anchors", tmp_path / "root.pem"]
    assert made.file == "deep/c.toml"


def test_records_go_to_the_journal_or_to_a_file() -> None:
    assert parse("c.toml", '[log]\nrecords = "journal"', FOLDER).records is None
    assert parse("c.toml", '[log]\nrecords = "r.jsonl"', FOLDER).records == FOLDER / "r.jsonl"


def test_a_folder_of_rules_beside_the_file_is_taken(tmp_path: Path) -> None:
    assert parse("c.toml", "", tmp_path).rules is None
    (tmp_path / "rules").mkdir()
    assert parse("c.toml", "", tmp_path).rules == tmp_path / "rules"
    assert parse("c.toml", '[rules]\ndirectory = "other"', tmp_path).rules == tmp_path / "other"


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "latin.toml").write_bytes(b"# \xe9\n")
    for path, why in (
        (tmp_path / "none.toml", "No such file or directory"),
        (tmp_path, "Is a directory"),
        (tmp_path / "latin.toml", "'utf-8' codec can't decode byte 0xe9 in position 2: invalid continuation byte"),
    ):
        with pytest.raises(ConfigurationError) as caught:
            load(path)
        assert str(caught.value) == f"{path}: cannot be read: {why}"


def test_where_the_configuration_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    system, work, captures = tmp_path / "etc.toml", tmp_path / "work", tmp_path / "captures"
    work.mkdir()
    captures.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setattr(configuration_file, "SYSTEM", system)
    given, here = Path("mine.toml"), Path("sbc-filter.toml")
    assert [find_configuration(given), find_configuration(None), find_configuration(None, [captures])] == [
        given,
        None,
        None,
    ]  # given: even if it is not there
    system.touch()
    assert [find_configuration(given), find_configuration(None), find_configuration(None, [captures])] == [
        given,
        system,
        system,
    ]
    here.touch()
    assert [find_configuration(given), find_configuration(None), find_configuration(None, [captures])] == [
        given,
        here,
        here,
    ]
    beside = captures / "sbc-filter.toml"
    beside.touch()
    assert [find_configuration(given, [captures]), find_configuration(None), find_configuration(None, [captures])] == [
        given,
        here,
        beside,
    ]


def test_none_at_all_and_none_that_may_be_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(configuration_file, "SYSTEM", tmp_path / "etc.toml")
    with pytest.raises(ConfigurationError) as caught:
        require_configuration(None)
    assert str(caught.value) == (
        f"no configuration: neither ./sbc-filter.toml nor {tmp_path}/etc.toml; make one with `sbc-filter pki DIR`"
    )

    def refused(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_file", refused)
    with pytest.raises(ConfigurationError) as caught:
        find_configuration(None)
    why = "Permission denied; name a configuration with --config"
    assert str(caught.value) == f"sbc-filter.toml: cannot be looked for: {why}"


@pytest.mark.parametrize("key", ["rule", "rules"])
def test_rules_in_the_configuration_file(key: str) -> None:
    """Neither of the two spellings leads to the other."""
    with pytest.raises(ConfigurationError) as caught:
        parse("c.toml", f'[[{key}]]\nname = "r"\naction = "pass"\n', Path())
    assert str(caught.value) == f"c.toml: {key}: rules belong in files of the folder rules/ beside this file"


def test_a_rule_file_knows_every_table_of_the_configuration_file() -> None:
    """`trunks` may stand in either."""
    with pytest.raises(ConfigurationError) as caught:
        parse("c.toml", "x = 1", Path())
    tables = ", ".join(map(repr, sorted({*CONFIGURATION_TABLES, "trunks"})))
    assert str(caught.value) == f"c.toml: x: is unknown; known here are {tables}"
