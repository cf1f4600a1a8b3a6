"""CRLs that were fetched, on a disk that fails, or that somebody wrote to."""

from typing import Any

from support.chains import OTHER
from support.renewing import BAD, GOOD, Hosts, a_list, is_good
from support.web import PageServer

from sbc_filter.trust.crl_store import StoredCrl


def test_a_damaged_cache_is_said_and_repaired(host: Hosts, web: PageServer) -> None:
    """Cut or flipped anywhere: never another list than the one that was kept."""
    web.pages["/crl"] = a_list(1, BAD)
    made = host(f'crl_urls = ["{web.url("/crl")}"]')
    made.until(lambda: made.changes)
    (kept,) = (made.folder / "cache").glob("*.crl")
    whole = kept.read_bytes()
    for at in range(0, len(whole), 7):
        for data in (whole[:at], whole[:at] + bytes((whole[at] ^ 0x10,)) + whole[at + 1 :]):
            kept.write_bytes(data)
            remarks: list[Any] = []
            store = made.reader().read([], remarks)
            assert [str(each) for each in remarks] == [
                f"{made.folder}/c.toml: certificates.cache: {kept}:"
                " a downloaded list cannot be read and is left out: it is damaged"
            ]
            assert is_good(store, BAD)  # soft: there is no list
    again = made.restarted()
    again.until(lambda: again.changes)
    assert not is_good(again.files.store, BAD)
    assert kept.read_bytes() == whole
    again.renewal.close()


def test_the_cache_vouches_for_nothing(host: Hosts, web: PageServer) -> None:
    """A list that somebody else signed revokes nothing, nor does its number keep the true one out."""
    url = web.url("/crl")
    made = host(f'crl_urls = ["{url}"]')
    made.files.kept.keep(StoredCrl(url, False, a_list(99, GOOD, signer=OTHER.root)))
    again = made.restarted()
    assert is_good(again.files.store, GOOD)
    web.pages["/crl"] = a_list(1, BAD)
    again.until(lambda: not is_good(again.files.store, BAD))
    assert again.said == []
    again.renewal.close()


def test_a_disk_that_fails(host: Hosts, web: PageServer) -> None:
    """The list is lost if there is no memory for it either, and that is said."""
    web.pages["/crl"] = a_list(1, BAD)
    made = host(f'crl_urls = ["{web.url("/crl")}"]')
    (made.folder / "cache").write_text("no folder")
    (made.folder / "shelf 0").rmdir()
    (made.folder / "shelf 0").write_text("no folder")
    made.until(lambda: made.said)
    assert made.said == [
        f"{web.url('/crl')}: no good list is available there, and none was before: it is good, but can be kept nowhere:"
        " File exists"
    ]
    (made.folder / "cache").unlink()
    made.now += 60
    made.until(lambda: made.changes)
    assert not is_good(made.files.store, BAD)
