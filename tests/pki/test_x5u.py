"""S-088: which URLs of certificates may be fetched."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbc_filter.errors import VerificationError
from sbc_filter.outcomes import Detail, Outcome
from sbc_filter.pki.x5u import MAX_LENGTH, check_x5u, host_of, with_plain_scheme


@pytest.mark.parametrize(
    "url",
    [
        "https://cert.example.org/passport.cer",
        "https://c.example:8443/a.pem",
        "https://c.example:443/a.pem",
        "https://c.example/",
        "https://c.example",
        "https://c.example./a.pem",
        "https://C.Example/A%20b;v=1/~x@y(1)!$&'*+,=:.pem",
        "https://8.8.8.8/a.pem",
        "https://[2001:4860:4860::8888]/a.pem",
        "https://[2001:4860:4860::8888]:8443/a.pem",
        "https://xn--bcher-kva.example/a.pem",
        "https://1.2.3.4.example/a.pem",
        "https://0x7f.example/a.pem",
    ],
)
def test_s088_accepted(url: str) -> None:
    check_x5u(url)


@pytest.mark.parametrize("scheme", ["HTTPS", "Https", "hTTPS", "httpS", "HtTpS"])
def test_s088_accepted_in_any_letter_case(scheme: str) -> None:
    """RFC 3986 §3.1; and the other rules hold all the same."""
    check_x5u(f"{scheme}://c.example/a.pem")
    assert host_of(f"{scheme}://C.example/a.pem") == "c.example"
    for rest in ("c.example:80/a.pem", "c.example/a.pem?x=1", "u@c.example/", "127.0.0.1/a.pem", "c.example/a#b"):
        with pytest.raises(VerificationError) as refused:
            check_x5u(f"{scheme}://{rest}")
        assert refused.value.detail is Detail.X5U_POLICY


def test_s088_the_longest() -> None:
    longest = "https://c.example/" + "a" * (2048 - 18)
    check_x5u(longest)
    with pytest.raises(VerificationError, match="it is longer than 2048 octets"):
        check_x5u(longest + "a")


SCHEME, QUERY, FRAGMENT = "the scheme is not https", "it has a query", "it has a fragment"
USER, PORT, SYNTAX = "it has user information", "the port is neither 443 nor 8443", "it is not a well-formed URL"
ADDRESS = "the address is not a public one"


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", SCHEME),
        ("http://c.example/a.pem", SCHEME),
        ("ftp://c.example/a.pem", SCHEME),
        ("file:///etc/passwd", SCHEME),
        ("//c.example/a.pem", SCHEME),
        (" https://c.example/a.pem", SCHEME),
        ("https:/c.example/a.pem", SCHEME),
        ("https://c.example:8080/a.pem", PORT),
        ("https://c.example:80/a.pem", PORT),
        ("https://c.example:0443/a.pem", PORT),
        ("https://c.example:99999/a.pem", PORT),
        ("https://c.example/a.pem?x=1", QUERY),
        ("https://c.example/a.pem?", QUERY),
        ("https://c.example?/a.pem", QUERY),
        ("https://c.example/a.pem#top", FRAGMENT),
        ("https://c.example/a.pem#", FRAGMENT),
        ("https://u@c.example/a.pem", USER),
        ("https://u:p@c.example/a.pem", USER),
        ("https://@c.example/a.pem", USER),
        ("https://c.example\\@evil.example/a.pem", "it has a backslash"),
        ("https:///a.pem", SYNTAX),
        ("https://:443/a.pem", SYNTAX),
        ("https://c.example:https/a.pem", SYNTAX),
        ("https://c.example/a b.pem", SYNTAX),
        ("https://c.example/a.pem\n", SYNTAX),
        ("https://c.example/a.pem\r\nHost: x", SYNTAX),
        ("https://c.example/\x00", SYNTAX),
        ("https://bücher.example/a.pem", SYNTAX),
        ("https://c.example/ü.pem", SYNTAX),
        ("https://①②⑦.0.0.1/a.pem", SYNTAX),
        ("https://c%2eexample/a.pem", SYNTAX),
        ("https://[::1/a.pem", SYNTAX),
        ("https://[v1.x]/a.pem", SYNTAX),
        ("https://[fe80::1%25eth0]/a.pem", SYNTAX),
        ("https://c.example/" + "a" * MAX_LENGTH, f"it is longer than {MAX_LENGTH} octets"),
        ("https://127.0.0.1/", ADDRESS),
        ("https://[::1]/", ADDRESS),
        ("https://localhost/", ADDRESS),
        ("https://LOCALHOST:8443/", ADDRESS),
        ("https://a.localhost./", ADDRESS),
    ],
)
def test_s088_refused(url: str, why: str) -> None:
    with pytest.raises(VerificationError) as caught:
        check_x5u(url)
    assert (caught.value.outcome, caught.value.detail) == (Outcome.UNFETCHABLE, Detail.X5U_POLICY)
    assert str(caught.value) == why


@pytest.mark.parametrize(
    "host",
    [
        "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "255.255.255.255",
        "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "240.0.0.1",
        "[::]", "[fe80::1]", "[fc00::1]", "[ff02::1]", "[2001:db8::1]", "[100::1]", "[64:ff9b:1::1]",
        "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:10.0.0.1]", "[::ffff:8.8.8.8]",
        "[2002:7f00:1::]", "[2001:0:7f00:1::]",
        # What a resolver takes for 127.0.0.1 though it is not written as an address should be.
        "2130706433", "0x7f000001", "0X7F.0.0.1", "0x7f.1", "127.1", "127.0.1", "0177.0.0.1", "127.0.0.1.",
        "127.0.0.01",
        "1.2.3.4.5", "0", "0x", "example.0x7f", "10.0.0.0x1",
        "[64:ff9b::7f00:1]", "[64:ff9b::10.0.0.1]", "[64:ff9b::8.8.8.8]", "[::7f00:1]", "[fec0::1]", "192.88.99.1",
        "[abc]", "[1:2]", "[1.2.3]", "[.]",
        "192.31.196.1", "192.52.193.1", "192.175.48.1", "[2620:4f:8000::1]", "[3fff::1]", "[4000::1]", "[2001:1ff::1]",
    ],
)  # fmt: skip
def test_s088_no_literal_address_that_is_not_a_public_one(host: str) -> None:
    with pytest.raises(VerificationError) as caught:
        check_x5u(f"https://{host}/a.pem")
    assert str(caught.value) == ADDRESS


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://C.Example:8443/a.pem", "c.example"),
        ("https://[2001:DB8::1]/a.pem", "2001:db8::1"),
        ("https://c.example", "c.example"),
        ("http://c.example/", "c.example"),
        ("ftp://c.example/", None),
        ("https://u@c.example/", None),
        ("https://c.example/?", None),
        ("", None),
    ],
)
def test_host(url: str, host: str | None) -> None:
    assert host_of(url) == host


@given(
    st.one_of(
        st.text(max_size=80), st.text(alphabet="htps:/.[]@?#\\%0123456789abx-_ é", max_size=60).map("https://".__add__)
    )
)
def test_any_text_is_accepted_or_refused(url: str) -> None:
    try:
        check_x5u(url)
    except VerificationError as error:
        detail: Detail | None = error.detail
    else:
        detail = None
    assert detail in (None, Detail.X5U_POLICY)
    assert detail or host_of(url)


@pytest.mark.parametrize(
    ("url", "tolerate", "passes"),
    [
        ("http://c.example/a.pem", ["x5u-http"], True),
        ("http://c.example/a.pem", ["x5u-port"], False),
        ("http://c.example:8080/a.pem", ["x5u-http"], False),
        ("http://c.example:8080/a.pem", ["x5u-http", "x5u-port"], True),
        ("https://c.example:5000/a.pem", ["x5u-port"], True),
        ("https://c.example:0/a.pem", ["x5u-port"], False),
        ("https://c.example:65536/a.pem", ["x5u-port"], False),
        ("https://c.example:99999999/a.pem", ["x5u-port"], False),
        ("http://u@c.example/a.pem", ["x5u-http", "x5u-port"], False),
        ("http://10.0.0.1/a.pem", ["x5u-http", "x5u-port"], False),
        ("ftp://c.example/a.pem", ["x5u-http", "x5u-port"], False),
    ],
)
def test_19_switches(url: str, tolerate: list[str], passes: bool) -> None:
    """STANDARDS §19: http and other ports only where an operator says so."""
    refused = False
    try:
        check_x5u(url, frozenset(tolerate))
    except VerificationError as error:
        refused = error.detail is Detail.X5U_POLICY
    assert refused is not passes


@pytest.mark.parametrize(
    ("url", "plain"),
    [
        ("https://c.example/a.pem", "https://c.example/a.pem"),
        ("HTTPS://c.example/a.pem", "https://c.example/a.pem"),
        ("Https://c.example/a.pem", "https://c.example/a.pem"),
        ("hTTpS://C.Example/A.pem", "https://C.Example/A.pem"),  # nothing else ignores case in the same way
        ("HTTP://c.example/a.pem", "http://c.example/a.pem"),
        ("http://c.example/a.pem", "http://c.example/a.pem"),
        ("HTTPS:/c.example/a.pem", "HTTPS:/c.example/a.pem"),
        ("HTTPS//c.example", "HTTPS//c.example"),
        (" HTTPS://c.example", " HTTPS://c.example"),
        ("FTP://c.example/a.pem", "FTP://c.example/a.pem"),
        ("HTTPSS://c.example", "HTTPSS://c.example"),
        ("HTTP\u017f://c.example", "HTTP\u017f://c.example"),  # a long s is not an s
        ("HTTPS", "HTTPS"),
        ("", ""),
    ],
)
def test_s088_the_scheme_ignores_case(url: str, plain: str) -> None:
    """RFC 3986 §3.1."""
    assert with_plain_scheme(url) == plain
