import contextlib
import re
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from ipaddress import IPv4Network, ip_network
from pathlib import Path
from queue import SimpleQueue

import pytest
from support.calls import NOW
from support.hostile import LOOPBACK, NAME, PEM, Authority, Server, serving
from support.waiting import LONG, eventually

from sbc_filter.certificates.fetcher import Fetcher
from sbc_filter.certificates.source import MAX_PEM
from sbc_filter.engine.verdict import Answer
from sbc_filter.outcomes import Detail
from sbc_filter.pki.x5u import HTTP, PORT, REDIRECTS
from sbc_filter.web.pinned_connection import Dialer, Resolver, system_addresses

DAY = 24 * 3600.0
SHORT = 0.5  # seconds: a deadline that is meant to pass


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("trusted"))


@pytest.fixture
def server(authority: Authority, tmp_path: Path) -> Iterator[Server]:
    with serving(authority.server(tmp_path / "server.pem")) as made:
        yield made


@pytest.fixture
def plain() -> Iterator[Server]:
    """A web server that speaks no TLS."""
    with serving(None) as made:
        yield made


def resolve(host: str) -> Sequence[str]:
    known = {NAME: ["127.0.0.1"], "only.in.cn": ["127.0.0.1"], "other.example.org": ["127.0.0.1"]}
    if host not in known:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")
    return known[host]


@pytest.fixture
def fetcher(authority: Authority) -> Iterator[Fetcher]:
    made = Fetcher(
        ca_file=authority.file,
        allowed_networks=LOOPBACK,
        total_timeout=LONG,
        resolve=resolve,
        clock=lambda: NOW,
    )
    yield made
    made.close()


@pytest.fixture
def strict(authority: Authority) -> Iterator[Fetcher]:
    """As in production, but for the certificate authority."""
    made = Fetcher(ca_file=authority.file, total_timeout=LONG, clock=lambda: NOW)
    yield made
    made.close()


def explained(fetcher: Fetcher, url: str) -> Answer[bytes]:
    answers: SimpleQueue[Answer[bytes]] = SimpleQueue()
    fetcher.fetch(url, answers.put)
    return answers.get(timeout=2 * LONG)


def ask(fetcher: Fetcher, url: str) -> Answer[bytes]:
    """The answer without its sentence, which every fetch that fails has."""
    answer = explained(fetcher, url)
    assert (answer.detail is not None) is bool(answer.reason)
    return answer._replace(reason="")


# What goes well


@pytest.mark.parametrize(
    ("path", "body", "valid"),
    [
        ("/good.pem", PEM, 2 * DAY),
        ("/plain.pem", PEM, DAY),
        ("/slow.pem", PEM, DAY),
        ("/chunked.pem", PEM, DAY),
        ("/until-closed.pem", PEM, DAY),
        ("/identity", PEM, DAY),
        ("/largest", bytes(MAX_PEM), 300),
    ],
)
def test_good(fetcher: Fetcher, server: Server, path: str, body: bytes, valid: float) -> None:
    assert ask(fetcher, server.url(path)) == Answer(body, None, NOW + valid)


def test_the_name_is_kept_for_tls_and_host(fetcher: Fetcher, server: Server) -> None:
    assert ask(fetcher, server.url("/good.pem")).result == PEM
    assert server.names == [NAME]
    assert server.headers["Host"] == f"{NAME}:{server.server_port}"
    assert server.headers["Accept-Encoding"] == "identity"
    assert server.headers["Accept"] == "application/pem-certificate-chain, */*;q=0.5"
    assert server.headers["User-Agent"].startswith("sbc-filter/")
    assert "Cookie" not in server.headers


def test_nothing_is_taken_from_the_environment(
    fetcher: Fetcher, server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "netrc").write_text(f"machine {NAME} login user password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nonexistent")
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert ask(fetcher, server.url("/good.pem")).result == PEM
    assert "Authorization" not in server.headers


def test_twenty_ask_and_the_server_is_asked_once(fetcher: Fetcher, server: Server) -> None:
    answers: SimpleQueue[Answer[bytes]] = SimpleQueue()
    url = server.url("/slow.pem")
    threads = [threading.Thread(target=fetcher.fetch, args=(url, answers.put)) for _ in range(20)]
    for thread in threads:
        thread.start()
    assert {answers.get(timeout=LONG).result for _ in threads} == {PEM}
    assert server.seen == {"/slow.pem": 1}


def test_different_urls_do_not_wait_for_each_other(fetcher: Fetcher, server: Server) -> None:
    answers: SimpleQueue[Answer[bytes]] = SimpleQueue()
    for path in ("/hang", "/drip-body", "/hang", "/slow.pem", "/good.pem"):
        fetcher.fetch(server.url(path), answers.put)
    assert answers.get(timeout=LONG / 2).result == PEM


# What the server does wrong


@pytest.mark.parametrize(
    ("path", "detail", "remembered"),
    [
        ("/301", Detail.FETCH_STATUS, 300),
        ("/302", Detail.FETCH_STATUS, 300),
        ("/302-endless", Detail.FETCH_STATUS, 300),
        ("/204", Detail.FETCH_STATUS, 300),
        ("/206", Detail.FETCH_STATUS, 300),
        ("/404", Detail.FETCH_STATUS, 300),
        ("/429", Detail.FETCH_STATUS, 30),
        ("/500", Detail.FETCH_STATUS, 30),
        ("/bomb", Detail.FETCH_STATUS, 300),
        ("/too-large", Detail.FETCH_TOO_LARGE, 300),
        ("/endless", Detail.FETCH_TOO_LARGE, 300),
        ("/all-there-is", Detail.FETCH_TOO_LARGE, 300),
        ("/less-than-nothing", Detail.FETCH_CONNECT, 30),
        ("/short", Detail.FETCH_CONNECT, 30),
        ("/nothing", Detail.FETCH_CONNECT, 30),
        ("/garbage", Detail.FETCH_CONNECT, 30),
        ("/headers", Detail.FETCH_CONNECT, 30),
        ("/continue", Detail.FETCH_TOO_LARGE, 300),
    ],
)
def test_bad(fetcher: Fetcher, server: Server, path: str, detail: Detail, remembered: float) -> None:
    assert ask(fetcher, server.url(path)) == Answer(None, detail, NOW + remembered)
    assert server.seen == {path: 1}
    assert server.poured < 100  # a few times 64 KiB, for the buffers of the kernel


def beyond_the_deadline(fetch: Callable[[float], Answer[bytes]], begun: Callable[[], object]) -> Answer[bytes]:
    """What a fetch comes to that has no more than so many seconds; again with twice the time while the server has
    noticed nothing of it, for a busy machine may be slow to connect."""
    total = SHORT
    while True:
        begin = time.monotonic()
        answer = fetch(total)
        assert time.monotonic() - begin > total - 0.1
        if begun():
            return answer
        total *= 2


@pytest.mark.parametrize("path", ["/hang", "/drip-head", "/drip-body"])
@pytest.mark.parametrize("scheme", ["server", "plain"])
def test_the_deadline(authority: Authority, path: str, scheme: str, request: pytest.FixtureRequest) -> None:
    """Of a server that never is done."""
    web: Server = request.getfixturevalue(scheme)
    attempts: list[float] = []

    def fetch(total: float) -> Answer[bytes]:
        attempts.append(total)
        with tolerating(authority, HTTP, total=total) as fetcher:
            return ask(fetcher, web.url(path))

    assert beyond_the_deadline(fetch, lambda: web.seen) == Answer(None, Detail.FETCH_TIMEOUT, NOW + 30)
    assert web.seen[path] <= len(attempts)


# TLS


@pytest.mark.parametrize("host", ["other.example.org", "only.in.cn"])
def test_a_certificate_for_another_name(fetcher: Fetcher, server: Server, host: str) -> None:
    assert ask(fetcher, server.url("/good.pem", host)) == Answer(None, Detail.FETCH_TLS, NOW + 300)
    assert server.seen == {}


@pytest.mark.parametrize(("names", "trusted"), [((), False), (("only.in.cn",), True)])
def test_the_common_name_is_not_a_name(
    fetcher: Fetcher, authority: Authority, tmp_path: Path, names: Sequence[str], trusted: bool
) -> None:
    """RFC 9525 §2: not even where the subjectAltName holds no DNS name, when OpenSSL would look at it."""
    with serving(authority.server(tmp_path / "server.pem", names)) as server:
        found = ask(fetcher, server.url("/good.pem", "only.in.cn"))
        assert (found.detail, bool(server.seen)) == ((None, True) if trusted else (Detail.FETCH_TLS, False))


@pytest.mark.parametrize("other", [True, False], ids=["another", "default"])
def test_an_authority_that_is_not_trusted(
    server: Server, tmp_path: Path, other: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    ca_file = Authority(tmp_path).file if other else None
    fetcher = Fetcher(ca_file=ca_file, total_timeout=LONG, allowed_networks=LOOPBACK, resolve=resolve)
    assert ask(fetcher, server.url("/good.pem")).detail == Detail.FETCH_TLS
    assert server.seen == {}
    (said,) = caplog.messages
    assert re.fullmatch("certificate-fetch: 'https://.*/good.pem': fetch-tls: [a-z -]+", said), (
        "no wrapper of a library around it"
    )
    fetcher.close()


@pytest.fixture
def raw() -> Iterator[socket.socket]:
    """A listening socket that says nothing of itself."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


def test_no_tls_at_all(fetcher: Fetcher, raw: socket.socket) -> None:
    def speak() -> None:
        connection, _ = raw.accept()
        with connection:
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            connection.recv(4096)

    thread = threading.Thread(target=speak)
    thread.start()
    assert ask(fetcher, f"https://{NAME}:{raw.getsockname()[1]}/").detail == Detail.FETCH_TLS
    thread.join()


def test_tls_that_never_begins(authority: Authority, raw: socket.socket) -> None:
    def fetch(total: float) -> Answer[bytes]:
        with tolerating(authority, total=total) as fetcher:
            return ask(fetcher, f"https://{NAME}:{raw.getsockname()[1]}/")

    def connected() -> bool:
        return bool(select.select([raw], [], [], 0)[0])

    assert beyond_the_deadline(fetch, connected) == Answer(None, Detail.FETCH_TIMEOUT, NOW + 30)


def test_an_authority_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        Fetcher(ca_file=tmp_path / "absent.pem")


# Names and addresses


def test_connection_refused(fetcher: Fetcher, raw: socket.socket) -> None:
    port = raw.getsockname()[1]
    raw.close()
    assert ask(fetcher, f"https://{NAME}:{port}/") == Answer(None, Detail.FETCH_CONNECT, NOW + 30)


@pytest.mark.parametrize("host", ["no-such-host.invalid", "x" * 64 + ".example.org"])
def test_a_name_that_does_not_resolve(strict: Fetcher, host: str) -> None:
    assert ask(strict, f"https://{host}/c.pem") == Answer(None, Detail.FETCH_DNS, NOW + 30)


def test_a_look_up_that_hangs(authority: Authority) -> None:
    release = threading.Event()

    def hang(_host: str) -> Sequence[str]:
        release.wait()
        return ["127.0.0.1"]

    fetcher = Fetcher(ca_file=authority.file, total_timeout=0.3, resolve=hang, clock=lambda: NOW)
    assert ask(fetcher, f"https://{NAME}/") == Answer(None, Detail.FETCH_DNS, NOW + 30)
    release.set()
    fetcher.close()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1", "2130706433", "0x7f000001", "0", "[::1]"])
def test_this_machine_is_out_of_reach(strict: Fetcher, server: Server, host: str) -> None:
    assert ask(strict, server.url("/good.pem", host)) == Answer(None, Detail.FETCH_ADDRESS, NOW + 300)
    assert server.names == []


def test_the_resolver_of_the_system(authority: Authority, server: Server) -> None:
    fetcher = Fetcher(ca_file=authority.file, total_timeout=LONG, allowed_networks=[*LOOPBACK, ip_network("::1/128")])
    assert ask(fetcher, server.url("/good.pem", "localhost")).result == PEM  # ::1, if it is there, refuses
    assert ask(fetcher, server.url("/plain.pem", "127.0.0.1")).result == PEM
    fetcher.close()


def test_one_bad_address_is_too_many(authority: Authority, server: Server) -> None:
    fetcher = Fetcher(
        ca_file=authority.file,
        total_timeout=LONG,
        allowed_networks=LOOPBACK,
        resolve=lambda host: ["127.0.0.1", "10.0.0.1"],
    )
    assert ask(fetcher, server.url("/good.pem")).detail == Detail.FETCH_ADDRESS
    assert server.names == []
    fetcher.close()


def test_a_name_that_changes_its_mind(authority: Authority, server: Server) -> None:
    """DNS rebinding: what was checked is what is connected to, since nobody asks twice."""
    asked: list[str] = []

    def rebind(host: str) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.2"] if len(asked) == 1 else ["127.0.0.1"]  # nothing listens on the first

    fetcher = Fetcher(
        ca_file=authority.file, total_timeout=LONG, allowed_networks=[ip_network("127.0.0.2/32")], resolve=rebind
    )
    assert ask(fetcher, server.url("/good.pem")).detail == Detail.FETCH_CONNECT
    assert asked == [NAME]
    assert ask(fetcher, server.url("/good.pem")).detail == Detail.FETCH_ADDRESS
    assert server.names == []
    fetcher.close()


def test_the_next_address_is_tried(authority: Authority, server: Server) -> None:
    fetcher = Fetcher(
        ca_file=authority.file,
        total_timeout=LONG,
        allowed_networks=LOOPBACK,
        resolve=lambda host: ["127.0.0.2", "127.0.0.1"],
    )
    assert ask(fetcher, server.url("/good.pem")).result == PEM
    fetcher.close()


@contextlib.contextmanager
def deaf(port: int) -> Iterator[str]:
    """An address that answers no SYN at this port: whoever listens there accepts nothing, and is full."""
    address = ("127.0.0.3", port)
    with socket.create_server(address, backlog=0) as listening, contextlib.ExitStack() as waiting:
        for _ in range(3):
            full = waiting.enter_context(socket.socket())
            full.setblocking(False)
            full.connect_ex(address)
        yield listening.getsockname()[0]


def test_a_dead_address_leaves_time_for_the_next(raw: socket.socket) -> None:
    """However long a connection alone may take: with two addresses, each gets a third, and so does the answer."""
    port = raw.getsockname()[1]
    with deaf(port) as dead:
        dialer = Dialer(lambda host: [dead, "127.0.0.1"], LOOPBACK, 60.0, (1,))
        deadline = time.monotonic() + 1.5
        with dialer.dial(NAME, port, deadline) as connection:
            assert connection.getpeername() == ("127.0.0.1", port)
            timeout = connection.gettimeout()
            assert timeout is not None
            assert time.monotonic() + timeout <= deadline + 0.01
        dialer.close()


@pytest.mark.parametrize("url", ["http://certs.example.org/", "file:///etc/passwd", "", "https://", "https://[/"])
def test_only_https(strict: Fetcher, url: str) -> None:
    assert ask(strict, url).detail == Detail.X5U_POLICY


# What `[certificates].tolerate` lets in: plain http


@contextlib.contextmanager
def tolerating(
    authority: Authority,
    *switches: str,
    allowed: Sequence[IPv4Network] = LOOPBACK,
    resolver: Resolver = resolve,
    total: float = LONG,
) -> Iterator[Fetcher]:
    made = Fetcher(
        ca_file=authority.file,
        allowed_networks=allowed,
        tolerate=switches,
        total_timeout=total,
        resolve=resolver,
        clock=lambda: NOW,
    )
    yield made
    made.close()


@pytest.mark.parametrize("switches", [(), (PORT,), (REDIRECTS,), (PORT, REDIRECTS)])
def test_plain_http_is_not_spoken(authority: Authority, plain: Server, switches: tuple[str, ...]) -> None:
    with tolerating(authority, *switches) as fetcher:
        for url in (plain.url("/good.pem"), plain.url("/good.pem").replace("http", "HTTP")):
            assert ask(fetcher, url) == Answer(None, Detail.X5U_POLICY, NOW + 300)
    assert plain.connections == 0


@pytest.mark.parametrize("path", ["/good.pem", "/chunked.pem", "/until-closed.pem", "/slow.pem"])
def test_plain_http(authority: Authority, plain: Server, path: str) -> None:
    with tolerating(authority, HTTP) as fetcher:
        answer = ask(fetcher, plain.url(path))
    assert answer == Answer(PEM, None, NOW + (2 * DAY if path == "/good.pem" else DAY))
    assert plain.headers["Host"] == f"{NAME}:{plain.server_port}"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "2130706433", "[::1]"])
def test_plain_http_reaches_this_machine_no_more_than_https(authority: Authority, plain: Server, host: str) -> None:
    with tolerating(authority, HTTP, allowed=(), resolver=system_addresses) as fetcher:
        assert ask(fetcher, plain.url("/good.pem", host)) == Answer(None, Detail.FETCH_ADDRESS, NOW + 300)
    assert plain.connections == 0


def test_plain_http_goes_to_the_address_that_was_checked(authority: Authority, plain: Server) -> None:
    asked: list[str] = []

    def rebind(host: str) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.2"] if len(asked) == 1 else ["127.0.0.1"]

    with tolerating(authority, HTTP, allowed=[IPv4Network("127.0.0.2/32")], resolver=rebind) as fetcher:
        assert ask(fetcher, plain.url("/good.pem")).detail == Detail.FETCH_CONNECT
        assert ask(fetcher, plain.url("/good.pem")).detail == Detail.FETCH_ADDRESS
    assert plain.connections == 0


@pytest.mark.parametrize(
    ("path", "detail", "remembered"),
    [
        ("/301", Detail.FETCH_STATUS, 300),
        ("/302-endless", Detail.FETCH_STATUS, 300),
        ("/404", Detail.FETCH_STATUS, 300),
        ("/500", Detail.FETCH_STATUS, 30),
        ("/bomb", Detail.FETCH_STATUS, 300),
        ("/too-large", Detail.FETCH_TOO_LARGE, 300),
        ("/endless", Detail.FETCH_TOO_LARGE, 300),
        ("/short", Detail.FETCH_CONNECT, 30),
        ("/nothing", Detail.FETCH_CONNECT, 30),
        ("/garbage", Detail.FETCH_CONNECT, 30),
        ("/headers", Detail.FETCH_CONNECT, 30),
        ("/continue", Detail.FETCH_TOO_LARGE, 300),
    ],
)
def test_plain_http_is_bounded_as_https_is(
    authority: Authority, plain: Server, path: str, detail: Detail, remembered: float
) -> None:
    with tolerating(authority, HTTP) as fetcher:
        assert ask(fetcher, plain.url(path)) == Answer(None, detail, NOW + remembered)
    assert plain.seen == {path: 1}
    assert plain.poured < 100


# Redirects (RFC 9110 §15.4): three at most, each judged as a token's URL is


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect(authority: Authority, server: Server, status: int) -> None:
    server.redirects["/here"] = status, server.url("/good.pem")
    with tolerating(authority, REDIRECTS, PORT) as fetcher:
        assert ask(fetcher, server.url("/here")) == Answer(PEM, None, NOW + 2 * DAY)
    assert server.seen == {"/here": 1, "/good.pem": 1}
    assert server.names == [NAME, NAME]


@pytest.mark.parametrize("status", [300, 304, 305, 306, 399])
def test_no_redirect_although_3xx(authority: Authority, server: Server, status: int) -> None:
    server.redirects["/here"] = status, server.url("/good.pem")
    with tolerating(authority, REDIRECTS, PORT) as fetcher:
        assert ask(fetcher, server.url("/here")) == Answer(None, Detail.FETCH_STATUS, NOW + 300)
    assert server.seen == {"/here": 1}


@pytest.mark.parametrize("switches", [(), (HTTP,), (PORT,), (HTTP, PORT)])
def test_a_redirect_is_not_followed(authority: Authority, server: Server, switches: tuple[str, ...]) -> None:
    server.redirects["/here"] = 302, server.url("/good.pem")
    with tolerating(authority, *switches) as fetcher:
        assert ask(fetcher, server.url("/here")) == Answer(None, Detail.FETCH_STATUS, NOW + 300)
    assert server.seen == {"/here": 1}


@pytest.mark.parametrize(
    ("begin", "location"),
    [
        ("/here", "/good.pem"),
        ("/here", "good.pem"),
        ("/a/b/here", "../../good.pem"),
        ("/here", "//{host}/good.pem"),
        ("/here", "HTTPS://{host}/good.pem"),
    ],
)
def test_a_relative_redirect(authority: Authority, server: Server, begin: str, location: str) -> None:
    server.redirects[begin] = 302, location.format(host=f"{NAME}:{server.server_port}")
    with tolerating(authority, REDIRECTS, PORT) as fetcher:
        assert ask(fetcher, server.url(begin)).result == PEM


REFUSED = {  # Location: `{port}` is that of a server that would answer
    "loopback": "https://127.0.0.1:{port}/good.pem",
    "loopback-number": "https://2130706433:{port}/good.pem",
    "localhost": "https://localhost:{port}/good.pem",
    "ipv6-loopback": "https://[::1]:{port}/good.pem",
    "metadata": "https://169.254.169.254/latest/meta-data",
    "http": f"http://{NAME}/good.pem",
    "query": f"https://{NAME}:{{port}}/good.pem?a=b",
    "fragment": f"https://{NAME}:{{port}}/good.pem#a",
    "user": f"https://a:b@{NAME}:{{port}}/good.pem",
    "file": "file:///etc/passwd",
    "bad-brackets": "https://[/",
    "long": "/" + "x" * 2100,
    "latin-1": "/\xe9.pem",
}


@pytest.mark.parametrize("location", REFUSED.values(), ids=REFUSED)
def test_a_redirect_to_what_no_token_may_name(authority: Authority, server: Server, location: str) -> None:
    server.redirects["/here"] = 302, location.format(port=server.server_port)
    with tolerating(authority, REDIRECTS, PORT) as fetcher:
        assert ask(fetcher, server.url("/here")) == Answer(None, Detail.X5U_POLICY, NOW + 300)
    assert server.seen == {"/here": 1}
    assert server.connections == 1


@pytest.mark.parametrize("location", [f"https://{NAME}:8080/good.pem", "https://{host}/good.pem"])
def test_a_redirect_to_another_port_needs_a_switch_of_its_own(
    authority: Authority, server: Server, location: str
) -> None:
    server.redirects["/here"] = 302, location.format(host=f"{NAME}:{server.server_port}")
    with tolerating(authority, REDIRECTS) as fetcher:
        assert ask(fetcher, server.url("/here")) == Answer(None, Detail.X5U_POLICY, NOW + 300)
    assert server.seen == {"/here": 1}


@pytest.mark.parametrize(
    ("switches", "detail"),
    [
        ((REDIRECTS, HTTP, PORT), None),
        ((REDIRECTS, PORT), Detail.X5U_POLICY),
        ((HTTP, PORT), Detail.FETCH_STATUS),
    ],
)
def test_a_redirect_from_https_to_http_needs_both_switches(
    authority: Authority, server: Server, plain: Server, switches: tuple[str, ...], detail: Detail | None
) -> None:
    server.redirects["/here"] = 302, plain.url("/good.pem")
    with tolerating(authority, *switches) as fetcher:
        answer = ask(fetcher, server.url("/here"))
    assert (answer.result, answer.detail) == (None if detail else PEM, detail)
    assert plain.connections == (0 if detail else 1)


def test_a_redirect_from_http_to_https(authority: Authority, server: Server, plain: Server) -> None:
    plain.redirects["/here"] = 301, server.url("/good.pem")
    with tolerating(authority, REDIRECTS, HTTP, PORT) as fetcher:
        assert ask(fetcher, plain.url("/here")).result == PEM
    plain.redirects["/here"] = 301, server.url("/good.pem", "other.example.org")
    with tolerating(authority, REDIRECTS, HTTP, PORT) as fetcher:
        assert ask(fetcher, plain.url("/here")).detail == Detail.FETCH_TLS


def test_the_addresses_of_every_host_on_the_way_are_checked(authority: Authority, server: Server) -> None:
    """A public name that resolves to what is not public, behind one that does not."""
    server.redirects["/here"] = 302, server.url("/good.pem", "other.example.org")

    def inside(host: str) -> Sequence[str]:
        return ["127.0.0.1"] if host == NAME else ["10.0.0.1"]

    with tolerating(authority, REDIRECTS, PORT, resolver=inside) as fetcher:
        assert ask(fetcher, server.url("/here")) == Answer(None, Detail.FETCH_ADDRESS, NOW + 300)
    assert server.connections == 1


@pytest.mark.parametrize(("redirects", "pem"), [(3, PEM), (4, None)])
def test_three_redirects_at_most(authority: Authority, server: Server, redirects: int, pem: bytes | None) -> None:
    for number in range(redirects):
        server.redirects[f"/{number}"] = 302, f"/{number + 1}" if number + 1 < redirects else "/good.pem"
    with tolerating(authority, REDIRECTS, PORT) as fetcher:
        answer = ask(fetcher, server.url("/0"))
    assert (answer.result, answer.detail) == (pem, None if pem else Detail.FETCH_STATUS)
    assert server.connections == 4


def test_a_loop_ends(authority: Authority, server: Server) -> None:
    server.redirects["/here"] = 302, "/here"
    with tolerating(authority, REDIRECTS, PORT) as fetcher:
        assert ask(fetcher, server.url("/here")) == Answer(None, Detail.FETCH_STATUS, NOW + 300)
    assert server.seen == {"/here": 4}


def test_a_redirect_to_nowhere(authority: Authority, server: Server) -> None:
    server.redirects["/here"] = 302, ""
    with tolerating(authority, REDIRECTS, PORT) as fetcher:
        assert ask(fetcher, server.url("/here")) == Answer(None, Detail.FETCH_STATUS, NOW + 300)


def test_the_body_of_a_redirect_is_not_read(authority: Authority, server: Server) -> None:
    with tolerating(authority, REDIRECTS, PORT) as fetcher:
        assert ask(fetcher, server.url("/302-endless")).result == PEM
    assert server.poured < 100


def test_one_deadline_for_all_redirects(authority: Authority, server: Server) -> None:
    for path, behind in (("/301-slow", "/302-slow"), ("/302-slow", "/slow.pem")):
        server.redirects[path] = 302, behind

    def fetch(total: float) -> Answer[bytes]:
        server.delay = total * 0.6  # each is well within the time, all of them are not
        with tolerating(authority, REDIRECTS, PORT, total=total) as fetcher:
            return ask(fetcher, server.url("/301-slow"))

    begun = beyond_the_deadline(fetch, lambda: server.seen["/302-slow"])
    assert begun == Answer(None, Detail.FETCH_TIMEOUT, NOW + 30)
    assert server.seen["/slow.pem"] == 0


def test_the_answer_says_in_a_sentence_what_was_wrong(fetcher: Fetcher, server: Server) -> None:
    assert explained(fetcher, server.url("/404")).reason == "status 404"
    assert explained(fetcher, server.url("/good.pem")).reason == ""


# The queue


def test_a_full_queue_refuses_and_so_does_a_closed_one(authority: Authority, server: Server) -> None:
    fetcher = Fetcher(
        ca_file=authority.file,
        total_timeout=LONG,
        allowed_networks=LOOPBACK,
        resolve=resolve,
        workers=1,
        backlog=1,
        clock=lambda: NOW,
    )
    answers: SimpleQueue[Answer[bytes]] = SimpleQueue()
    fetcher.fetch(server.url("/held.pem"), answers.put)
    assert eventually(lambda: server.seen["/held.pem"])
    fetcher.fetch(server.url("/hang"), answers.put)
    fetcher.fetch(server.url("/good.pem"), answers.put)
    refused = Answer(None, Detail.FETCH_REFUSED, NOW)
    assert answers.get(timeout=LONG) == refused
    server.permits.release()
    assert answers.get(timeout=LONG).result == PEM
    fetcher.close()
    assert answers.get(timeout=LONG) == refused
    assert explained(fetcher, server.url("/good.pem")) == refused
