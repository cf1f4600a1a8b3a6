"""S-091: the trust list changes while calls run: as a file, and fetched."""

from pathlib import Path
from typing import Any

import pytest
from support.calls import NOW
from support.chains import MAKER, ROOT
from support.renewing import Host, Hosts, fetched
from support.trustlists import trust_list
from support.web import page_server

from sbc_filter.config import configuration_file
from sbc_filter.lab.certificate_maker import Authority, pem
from sbc_filter.trust.sti_pa_list_file import kept_name
from sbc_filter.trust.trust_files import TrustFiles

LATER = 4_000_000_000.0
STI_PA = MAKER.root("STI-PA Root", days=36500)
SIGNER = MAKER.leaf(STI_PA, days=36500)


def list_of(sequence: int, *anchors: Authority, exp: float = LATER) -> bytes:
    return trust_list(SIGNER, anchors, exp=exp, sequence=sequence, chain=(SIGNER,))


@pytest.fixture
def sti_pa(tmp_path: Path) -> Path:
    (tmp_path / "sti-pa.pem").write_bytes(pem(STI_PA.certificate) + pem(SIGNER.certificate))
    return tmp_path


def names(host: Host) -> list[str]:
    return [anchor.subject.rfc4514_string().split(",")[0] for anchor in host.files.store.anchors]


def test_s091_the_file_is_replaced(host: Hosts, sti_pa: Path) -> None:
    (sti_pa / "list.jwt").write_bytes(list_of(5, ROOT))
    made = host('trust_list = "list.jwt"\ntrust_list_root = "sti-pa.pem"', "")
    other = MAKER.root("Other")
    made.put("list.jwt", list_of(6, ROOT, other))
    assert (names(made), made.changes) == (["CN=Laboratory Root", "CN=Other"], 1)
    for data, why in (
        (list_of(5, ROOT), "its sequence number 5 is lower than that of the list before, 6"),
        (list_of(7, ROOT, exp=NOW - 1), "it was valid until 2027-01-15 07:59 UTC"),
        (b"", "it is not a signed list: three parts of base64url, of which the first two are JSON"),
    ):
        made.put("list.jwt", data)
        assert made.said.pop() == (
            f"/c.toml: trust.trust_list: /list.jwt: {why}: get the current list from your policy administrator;"
            " the last good one is used, which is valid until 2096-10-02 07:06 UTC"
        )
    assert (names(made), made.changes) == (["CN=Laboratory Root", "CN=Other"], 1)
    made.put("list.jwt", list_of(6, ROOT, other, exp=LATER - 1))
    assert made.changes == 2  # the same authorities until another time, which `status` shows
    made.put("list.jwt", list_of(6, ROOT))
    assert (names(made), made.said) == (["CN=Laboratory Root"], [])


def test_s091_a_list_ends_while_it_is_in_force(host: Hosts, sti_pa: Path) -> None:
    """It is used on, for without one no call would verify; once that is said."""
    (sti_pa / "list.jwt").write_bytes(list_of(5, ROOT, exp=NOW + 60))
    made = host('trust_list = "list.jwt"\ntrust_list_root = "sti-pa.pem"', "")
    made.renewal.look()
    made.renewal.look()
    made.now += 61
    made.renewal.look()
    made.renewal.look()
    assert made.said == [
        "/list.jwt: the trust list in use expired 2027-01-15 08:01 UTC: its authorities are still trusted"
    ]
    made.put("list.jwt", list_of(4, ROOT))
    assert names(made) == ["CN=Laboratory Root"]
    assert made.said[1].endswith("; the last good one is used, which was valid until 2027-01-15 08:01 UTC")


def test_s091_the_list_is_fetched(host: Hosts, sti_pa: Path) -> None:
    """For the very first start as well; a restart without the network has it on disk."""
    other = MAKER.root("Other")
    with page_server(sti_pa) as web:
        web.pages["/list"] = list_of(5, ROOT)
        url = web.url("/list")
        made = host(f'trust_list_url = "{url}"\ntrust_list_root = "sti-pa.pem"', 'fetch = true\nweb_ca = "web.pem"')
        assert names(made) == ["CN=Laboratory Root"]
        made.until(lambda: (sti_pa / "cache" / kept_name(url)).exists())
        fetched(made, web, list_of(6, ROOT, other), "/list")
        assert (names(made), made.changes) == (["CN=Laboratory Root", "CN=Other"], 1)
        fetched(made, web, list_of(5, ROOT), "/list")
        assert made.said == [
            f"{url}: no good list is available there, the last good one stays in force:"
            " its sequence number 5 is lower than that of the list before, 6"
        ]
    again = made.restarted()
    assert names(again) == ["CN=Laboratory Root", "CN=Other"]
    again.until(lambda: again.said)
    assert "fetch-connect" in again.said[0]
    again.renewal.close()


@pytest.mark.parametrize("kept", [b"damaged", list_of(4, ROOT, exp=NOW - 1)])
def test_s091_a_start_without_a_good_list(kept: bytes, host: Hosts, sti_pa: Path) -> None:
    (sti_pa / "cache").mkdir()
    with page_server(sti_pa) as web:
        web.pages["/list"] = list_of(5, ROOT)
        copy = sti_pa / "cache" / kept_name(web.url("/list"))
        copy.write_bytes(kept)
        urls = f'trust_list_url = "{web.url("/list")}"\ntrust_list_root = "sti-pa.pem"'
        made = host(urls, 'fetch = true\nweb_ca = "web.pem"')
        assert (names(made), web.asked["/list"]) == (["CN=Laboratory Root"], 1)
        made.until(lambda: copy.read_bytes() == list_of(5, ROOT))
    assert made.said == []


CANADA = MAKER.root("CST-GA Root", days=36500)
CA_SIGNER = MAKER.leaf(CANADA, days=36500)
MAPLE = MAKER.root("Maple")


def ca_list(sequence: int, *anchors: Authority) -> bytes:
    return trust_list(CA_SIGNER, anchors, exp=LATER, sequence=sequence)


def test_s091_a_list_that_goes_bad_does_not_stop_the_news_of_another(host: Hosts, sti_pa: Path) -> None:
    """A file of the one country, a URL of the other, each with signers of its own."""
    (sti_pa / "ca.pem").write_bytes(pem(CA_SIGNER.certificate))
    (sti_pa / "us.jwt").write_bytes(list_of(5, ROOT))
    other = MAKER.root("Other")
    with page_server(sti_pa) as web:
        web.pages["/ca"] = ca_list(70, MAPLE)
        url = web.url("/ca")
        lists = f'trust_list = ["us.jwt", {{ url = "{url}", root = "ca.pem" }}]\ntrust_list_root = "sti-pa.pem"'
        made = host(lists, 'fetch = true\nweb_ca = "web.pem"')
        assert names(made) == ["CN=Laboratory Root", "CN=Maple"]
        made.until(lambda: (sti_pa / "cache" / kept_name(url)).exists())
        made.put("us.jwt", b"")  # the file is bad, the URL goes on
        assert made.said.pop().startswith("/c.toml: trust.trust_list: /us.jwt: it is not a signed list")
        fetched(made, web, ca_list(71, MAPLE, other), "/ca")
        assert names(made) == ["CN=Laboratory Root", "CN=Maple", "CN=Other"]
        fetched(made, web, list_of(99, other), "/ca")  # the list of the other country, at this URL
        assert made.said.pop().startswith(f"{url}: no good list is available there, the last good one stays in force")
        made.put("us.jwt", list_of(6, other))  # and the other way round
        assert names(made) == ["CN=Other", "CN=Maple"]
    again = made.restarted()
    assert names(again) == ["CN=Other", "CN=Maple"]
    again.renewal.close()


def test_s091_no_list_at_the_very_first_start(host: Hosts, sti_pa: Path) -> None:
    with page_server(sti_pa) as web:
        url = web.url("/list")
    settings = f'''[trust]
trust_list_url = "{url}"
trust_list_root = "sti-pa.pem"
[certificates]
fetch = true
cache = "cache"
web_ca = "web.pem"
'''
    (sti_pa / "c.toml").write_text(settings)
    problems: list[Any] = []
    TrustFiles(configuration_file.load(sti_pa / "c.toml")).read(problems, [])
    (problem,) = map(str, problems)
    assert problem.startswith(f"{sti_pa}/c.toml: trust.trust_list_url: {url}: ")
    assert problem.endswith(": get the current list from your policy administrator")


def test_urls_without_fetch(sti_pa: Path) -> None:
    with page_server(sti_pa) as web:
        (sti_pa / "c.toml").write_text(
            f'[trust]\ncrl_urls = "{web.url("/crl")}"\ntrust_list_url = "{web.url("/list")}"\n'
            'trust_list_root = "sti-pa.pem"\n[certificates]\nweb_ca = "web.pem"\n'
        )
        problems: list[Any] = []
        TrustFiles(configuration_file.load(sti_pa / "c.toml")).read(problems, [])
    assert [str(each) for each in problems] == [
        f"{sti_pa}/c.toml: trust.{key}: nothing is fetched without `fetch = true` in [certificates]"
        for key in ("crl_urls", "trust_list_url")
    ]
    assert web.asked == {}
