"""S-091: the trust list as a file of the operator's: what is kept of it, and what is said when it is no good."""

import time
from pathlib import Path

import pytest
from support.trustlists import trust_list
from support.web import page_server

from sbc_filter.assembly.setup import Setup, read_all
from sbc_filter.cli import main
from sbc_filter.config import configuration_file
from sbc_filter.errors import ConfigurationError, Problem
from sbc_filter.lab.certificate_maker import Authority, Maker, pem
from sbc_filter.pki.trust_store import TrustStore
from sbc_filter.trust.sti_pa_list_file import kept_name
from sbc_filter.trust.trust_files import TrustFiles

_MAKER = Maker(1_700_000_000, "trust list")
STI_PA = _MAKER.root("STI-PA Root", days=36500)
SIGNER = _MAKER.leaf(STI_PA, days=36500)
FIRST, SECOND = _MAKER.root("First", days=36500), _MAKER.root("Second", days=36500)
LATER = 4_000_000_000.0  # in 2096
SETTINGS = """
[trust]
trust_list = "list.jwt"
trust_list_root = "sti-pa.pem"
[certificates]
cache = "cache"
"""
VERIFY = '[[rule]]\nname = "verify"\naction = "verify"\n'
GET = "get the current list from your policy administrator"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "verify.toml").write_text(VERIFY)
    (tmp_path / "c.toml").write_text(SETTINGS)
    (tmp_path / "sti-pa.pem").write_bytes(pem(STI_PA.certificate) + pem(SIGNER.certificate))
    put(tmp_path, (FIRST,))
    return tmp_path


def put(folder: Path, anchors: tuple[Authority, ...], *, exp: float = LATER, sequence: int = 5) -> bytes:
    data = trust_list(SIGNER, anchors, exp=exp, sequence=sequence, chain=(SIGNER,))
    (folder / "list.jwt").write_bytes(data)
    return data


def names(store: TrustStore) -> list[str]:
    return [anchor.subject.rfc4514_string().split(",")[0] for anchor in store.anchors]


def anchors(made: Setup) -> list[str]:
    return names(made.trust)


def remarks(folder: Path, made: Setup) -> list[str]:
    return [str(remark).replace(f"{folder}/", "/") for remark in made.remarks]


def problems(folder: Path) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        read_all(folder / "c.toml")
    return [str(problem).replace(f"{folder}/", "/") for problem in caught.value.problems]


def kept_in(folder: Path, name: str = "list.jwt") -> Path:
    return folder / "cache" / kept_name(folder / name)


def keep(folder: Path) -> None:
    files = TrustFiles(configuration_file.load(folder / "c.toml"))
    files.read([], [])
    assert files.keep_lists() == []


def test_the_list_adds_its_anchors(folder: Path) -> None:
    made = read_all(folder / "c.toml")
    assert (anchors(made), made.remarks) == (["CN=First"], ())
    (folder / "second.pem").write_bytes(pem(SECOND.certificate))
    (folder / "c.toml").write_text(SETTINGS.replace("[trust]", '[trust]\nanchors = "second.pem"'))
    assert anchors(read_all(folder / "c.toml")) == ["CN=Second", "CN=First"]


def test_nothing_is_kept_but_by_run(folder: Path) -> None:
    read_all(folder / "c.toml")
    assert not (folder / "cache").exists()


def test_what_is_kept(folder: Path) -> None:
    data = put(folder, (FIRST,))
    keep(folder)
    kept = kept_in(folder)
    assert list((folder / "cache").iterdir()) == [kept]
    assert (kept.read_bytes(), kept.stat().st_mode & 0o777) == (data, 0o644)
    assert kept.stat().st_mtime > time.time() + 86400 * 365  # the cache sweeps by time, the earliest first
    put(folder, (FIRST, SECOND), sequence=6)
    keep(folder)
    assert kept.read_bytes() == (folder / "list.jwt").read_bytes()


@pytest.mark.parametrize(
    ("exp", "sequence", "why"),
    [
        (LATER, 4, "its sequence number 4 is lower than that of the list before, 5"),
        (1_700_000_100.0, 6, "it was valid until 2023-11-14 22:15 UTC"),
    ],
)
def test_a_list_that_went_back_or_is_over(exp: float, sequence: int, why: str, folder: Path) -> None:
    """The last good one counts, and is not overwritten."""
    data = put(folder, (FIRST,))
    keep(folder)
    put(folder, (SECOND,), exp=exp, sequence=sequence)
    made = read_all(folder / "c.toml")
    assert anchors(made) == ["CN=First"]
    assert remarks(folder, made) == [
        f"/c.toml: trust.trust_list: /list.jwt: {why}: {GET};"
        " the last good one is used, which is valid until 2096-10-02 07:06 UTC"
    ]
    keep(folder)
    assert (kept_in(folder)).read_bytes() == data


def test_no_good_list_at_all(folder: Path) -> None:
    no_anchor = (
        "/c.toml: trust.anchors: there is no trust anchor, so nothing could ever verify:"
        " name the PEM files of the roots you trust"
    )
    put(folder, (FIRST,), exp=1_700_000_100.0)
    over = f"/c.toml: trust.trust_list: /list.jwt: it was valid until 2023-11-14 22:15 UTC: {GET}"
    assert problems(folder) == [over, no_anchor]
    keep(folder)
    assert not (folder / "cache").exists()
    (folder / "cache").mkdir()
    (kept_in(folder)).write_bytes((folder / "list.jwt").read_bytes())  # over as well
    assert problems(folder) == [over, no_anchor]
    (folder / "list.jwt").unlink()
    assert problems(folder)[0] == f"/c.toml: trust.trust_list: /list.jwt: No such file or directory: {GET}"


def test_what_is_kept_is_believed_for_its_signature_alone(folder: Path) -> None:
    """Whoever can write the cache cannot make an anchor of it, nor stop the true list by a high number."""
    other = _MAKER.root("Other", days=36500)
    (folder / "cache").mkdir()
    (kept_in(folder)).write_bytes(trust_list(other, (SECOND,), exp=LATER, sequence=99))
    assert anchors(read_all(folder / "c.toml")) == ["CN=First"]


def test_the_calls_of_a_replay_have_times_of_their_own(folder: Path) -> None:
    put(folder, (FIRST,), exp=1_700_000_100.0)
    assert anchors(read_all(folder / "c.toml", live=False)) == ["CN=First"]


def test_a_certificate_that_cannot_be_read(folder: Path) -> None:
    listed = [pem(FIRST.certificate).decode(), "-----BEGIN"]
    data = trust_list(SIGNER, (), exp=LATER, chain=(SIGNER,), trustList=listed)
    (folder / "list.jwt").write_bytes(data)
    made = read_all(folder / "c.toml")
    assert remarks(folder, made) == [
        "/c.toml: trust.trust_list: /list.jwt: 1 of its certificates cannot be read and are left out"
    ]


def test_check_says_what_run_can_live_with(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--config", str(folder / "c.toml")]) == 0
    assert ": good\n" in capsys.readouterr().out
    keep(folder)
    put(folder, (SECOND,), sequence=4)
    assert main(["check", "--config", str(folder / "c.toml")]) == 1
    said = capsys.readouterr().out
    assert ": good\n" not in said
    assert said.splitlines()[-1].startswith(f"error: {folder}/c.toml: trust.trust_list: ")


def test_a_folder_that_cannot_be_written(folder: Path) -> None:
    """One list that cannot be kept does not prevent the attempt with another."""
    (folder / "cache").write_text("")
    files = TrustFiles(configuration_file.load(folder / "c.toml"))
    files.read([], [])
    assert [str(error).partition(":")[0] for error in files.keep_lists()] == ["[Errno 17] File exists"]


def test_s092_who_signs_the_list_may_sign_crls(folder: Path) -> None:
    """The STI-PA does both, and is no anchor for calls."""
    (folder / "c.toml").write_text(SETTINGS.replace("[trust]", '[trust]\ncrls = "crl.pem"\ncrl_policy = "hard"'))
    issuing = _MAKER.issuing(FIRST, days=36500)
    good, revoked = _MAKER.leaf(issuing, days=36500), _MAKER.leaf(issuing, days=36500)
    (folder / "crl.pem").write_bytes(pem(_MAKER.crl(STI_PA, (revoked.certificate,), days=36500)))
    store = read_all(folder / "c.toml").trust
    below = pem(issuing.certificate)
    assert store.read(pem(good.certificate) + below, time.time()).spc == "1234"
    for chain, why in ((pem(revoked.certificate) + below, "SHAKEN 1234"), (pem(SIGNER.certificate), "no path")):
        with pytest.raises(Exception, match=why):
            store.read(chain, time.time())


# --- several lists

CANADA = _MAKER.root("CST-GA Root", days=36500)
CA_SIGNER = _MAKER.leaf(CANADA, days=36500)
MAPLE = _MAKER.root("Maple", days=36500)
BOTH = SETTINGS.replace('trust_list = "list.jwt"', 'trust_list = ["list.jwt", { file = "ca.jwt", root = "ca.pem" }]')


def ca_list(*anchors: Authority, signer: Authority = CA_SIGNER, exp: float = LATER, sequence: int = 700) -> bytes:
    return trust_list(signer, anchors, exp=exp, sequence=sequence)


@pytest.fixture
def two(folder: Path) -> Path:
    (folder / "c.toml").write_text(BOTH)
    (folder / "ca.pem").write_bytes(pem(CA_SIGNER.certificate))
    (folder / "ca.jwt").write_bytes(ca_list(MAPLE))
    return folder


def test_s091_all_authorities_of_all_lists_are_trusted(two: Path) -> None:
    made = read_all(two / "c.toml")
    assert (anchors(made), made.remarks) == (["CN=First", "CN=Maple"], ())
    (two / "ca.jwt").write_bytes(ca_list(MAPLE, FIRST))
    assert anchors(read_all(two / "c.toml")) == ["CN=First", "CN=Maple"]
    for anchor in (FIRST, MAPLE):
        leaf = _MAKER.leaf(anchor, days=36500)
        assert made.trust.read(pem(leaf.certificate), time.time()).spc == "1234"


FORM = "it is not a signed list: three parts of base64url, of which the first two are JSON"
OURS = "its signature is by none of the certificates in trust_list_root, nor by one that leads to them"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", FORM),
        (b"{}", FORM),
        (ca_list(MAPLE, exp=1_700_000_100.0), "it was valid until 2023-11-14 22:15 UTC"),
        (ca_list(), "it has no trustList"),
        (ca_list(MAPLE, signer=FIRST), OURS),
        (ca_list(MAPLE, signer=CANADA), OURS),  # its root is not named
        (ca_list(MAPLE, signer=SIGNER), OURS),  # who signs the other list
        (ca_list(MAPLE, signer=STI_PA), OURS),
        (trust_list(SIGNER, (SECOND,), exp=LATER, chain=(SIGNER,)), None),  # the other list itself
        (None, "No such file or directory"),
    ],
)
def test_s091_one_bad_list_never_costs_the_other(data: bytes | None, why: str | None, two: Path) -> None:
    """Not at the first start, not after one; and its own last good one is used."""
    (two / "ca.jwt").unlink()
    if data is not None:
        (two / "ca.jwt").write_bytes(data)
    made = read_all(two / "c.toml")
    assert anchors(made) == ["CN=First"]
    assert len(remarks(two, made)) == 1
    if why is not None:
        assert remarks(two, made) == [f"/c.toml: trust.trust_list: /ca.jwt: {why}: {GET}"]
    good = two / "good"
    good.write_bytes(ca_list(MAPLE))
    good.rename(two / "ca.jwt")
    keep(two)
    (two / "ca.jwt").write_bytes(data or b"")
    assert anchors(read_all(two / "c.toml")) == ["CN=First", "CN=Maple"]


def test_s091_each_list_has_its_own_sequence_and_copy(two: Path) -> None:
    keep(two)
    assert {path.read_bytes() for path in (two / "cache").iterdir()} == {
        (two / "list.jwt").read_bytes(),
        (two / "ca.jwt").read_bytes(),
    }
    (two / "ca.jwt").write_bytes(ca_list(MAPLE, sequence=699))
    put(two, (SECOND,), sequence=6)
    made = read_all(two / "c.toml")
    assert anchors(made) == ["CN=Second", "CN=Maple"]
    assert remarks(two, made) == [
        "/c.toml: trust.trust_list: /ca.jwt: its sequence number 699 is lower than that of the list before, 700:"
        f" {GET}; the last good one is used, which is valid until 2096-10-02 07:06 UTC"
    ]


def test_s091_two_bad_lists_and_a_bad_root(two: Path) -> None:
    (two / "list.jwt").write_bytes(b"")
    (two / "ca.jwt").write_bytes(b"")
    first, second, none = problems(two)
    assert first == f"/c.toml: trust.trust_list: /list.jwt: {FORM}: {GET}"
    assert second == f"/c.toml: trust.trust_list: /ca.jwt: {FORM}: {GET}"
    assert none.startswith("/c.toml: trust.anchors: there is no trust anchor")
    (two / "ca.pem").write_bytes(b"")
    assert problems(two)[0] == "/c.toml: trust.trust_list_root: /ca.pem: no certificate in PEM form"


def test_s092_who_signs_one_list_revokes_nothing_of_others(two: Path) -> None:
    """Canada's administrator is trusted for Canada's list, not for the certificates of the other country."""
    (two / "c.toml").write_text(BOTH.replace("[trust]", '[trust]\ncrls = "crl.pem"'))
    (two / "ca.pem").write_bytes(pem(CANADA.certificate) + pem(CA_SIGNER.certificate))
    leaf = _MAKER.leaf(FIRST, days=36500)
    (two / "crl.pem").write_bytes(pem(_MAKER.crl(CANADA, (leaf.certificate,), days=36500)))
    assert read_all(two / "c.toml").trust.read(pem(leaf.certificate), time.time()).spc == "1234"


def test_s091_downloads_are_waited_for_once(two: Path) -> None:
    """By the first reading of the process that starts the others."""
    with page_server(two) as web:
        fetched = f'{{ url = "{web.url("/list")}", root = "ca.pem" }}'
        settings = BOTH.replace('trust_list = ["list.jwt"', f'trust_list = [{fetched}, "list.jwt"')
        (two / "c.toml").write_text(settings + 'fetch = true\nweb_ca = "web.pem"\n')
        configuration = configuration_file.load(two / "c.toml")
        said: list[Problem] = []
        TrustFiles(configuration, downloads=False).read([], said)
        assert (f"{web.url('/list')}: no list has been fetched yet" in str(said[0]), web.asked) == (True, {})
        files = TrustFiles(configuration)
        for _ in range(3):
            assert names(files.read([], [])) == ["CN=First", "CN=Maple"]
        assert web.asked == {"/list": 1}
