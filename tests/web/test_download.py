"""A download by itself, as lists and answers of operators' services are fetched; tests/certificates/test_fetcher.py has
what goes wrong."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from support.hostile import LOOPBACK, NAME, PEM, Authority, Server, serving

from sbc_filter.errors import FetchError
from sbc_filter.outcomes import Detail
from sbc_filter.pki.x5u import PORT, REDIRECTS
from sbc_filter.web.download import HTTP_TOO, Downloader

AMPLE = 20.0  # seconds, for a machine that does other things as well


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("trusted"))


@pytest.fixture
def server(authority: Authority, tmp_path: Path) -> Iterator[Server]:
    with serving(authority.server(tmp_path / "server.pem")) as made:
        yield made


@pytest.fixture
def plain() -> Iterator[Server]:
    with serving(None) as made:
        yield made


def downloader(authority: Authority, tolerate: Sequence[str] = (), **options: str) -> Downloader:
    return Downloader(
        ca_file=authority.file,
        allowed_networks=LOOPBACK,
        tolerate=tolerate,
        connect_timeout=AMPLE,
        resolve=lambda host: ["127.0.0.1"],
        **options,  # type: ignore[arg-type]
    )


def refusal(web: Downloader, url: str, limit: int = 1 << 20) -> tuple[Detail, bool]:
    with pytest.raises(FetchError) as caught:
        web.get(url, limit=limit, timeout=AMPLE)
    return caught.value.detail, caught.value.passing


def test_what_is_asked_and_what_comes(authority: Authority, server: Server) -> None:
    server.files["/list"] = b"the list"
    web = downloader(authority, accept="application/pkix-crl")
    found = web.get(server.url("/list"), limit=100, timeout=AMPLE)
    assert (found.body, found.headers["content-length"]) == (b"the list", "8")
    assert server.headers == {
        "Host": f"{NAME}:{server.server_port}",
        "User-Agent": server.headers["User-Agent"],
        "Accept-Encoding": "identity",
        "Connection": "close",
        "Accept": "application/pkix-crl",
    }
    web.close()
    plainly = downloader(authority)
    plainly.get(server.url("/list"), limit=100, timeout=AMPLE)
    assert server.headers["Accept"] == "*/*"
    plainly.close()


@pytest.mark.parametrize("path", ["/of-a-known-length", "/chunked.pem", "/until-closed.pem"])
def test_as_large_as_it_may_be(authority: Authority, server: Server, path: str) -> None:
    server.files["/of-a-known-length"] = PEM
    web = downloader(authority)
    assert web.get(server.url(path), limit=len(PEM), timeout=AMPLE).body == PEM
    assert refusal(web, server.url(path), len(PEM) - 1) == (Detail.FETCH_TOO_LARGE, False)
    web.close()


def test_https_alone_unless_asked_for(authority: Authority, server: Server, plain: Server) -> None:
    web = downloader(authority)
    assert refusal(web, plain.url("/good.pem")) == (Detail.X5U_POLICY, False)
    assert plain.connections == 0
    for each in (plain, server):
        assert web.get(each.url("/good.pem"), limit=len(PEM), timeout=AMPLE, schemes=HTTP_TOO).body == PEM
    assert refusal(web, "ftp://certs.example.org/") == (Detail.X5U_POLICY, False)
    web.close()


@pytest.mark.parametrize(
    ("path", "detail", "passing"),
    [
        ("/404", Detail.FETCH_STATUS, False),
        ("/204", Detail.FETCH_STATUS, False),
        ("/429", Detail.FETCH_STATUS, True),
        ("/500", Detail.FETCH_STATUS, True),
        ("/bomb", Detail.FETCH_STATUS, False),
        ("/nothing", Detail.FETCH_CONNECT, True),
        ("/garbage", Detail.FETCH_CONNECT, True),
    ],
)
def test_what_may_be_over_soon(authority: Authority, server: Server, path: str, detail: Detail, passing: bool) -> None:
    web = downloader(authority)
    assert refusal(web, server.url(path)) == (detail, passing)
    web.close()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed_where_they_are_tolerated(authority: Authority, server: Server, status: int) -> None:
    server.redirects["/here"] = status, "/good.pem"
    strict, lenient = downloader(authority), downloader(authority, (REDIRECTS, PORT))
    assert refusal(strict, server.url("/here")) == (Detail.FETCH_STATUS, False)
    assert lenient.get(server.url("/here"), limit=len(PEM), timeout=AMPLE).body == PEM
    for nowhere in (300, 304, 305):
        server.redirects["/there"] = nowhere, "/good.pem"
        assert refusal(lenient, server.url("/there"))[0] is Detail.FETCH_STATUS
    server.redirects["/nowhere"] = status, ""
    assert refusal(lenient, server.url("/nowhere")) == (Detail.FETCH_STATUS, False)
    assert server.seen["/nowhere"] == 1
    strict.close()
    lenient.close()
