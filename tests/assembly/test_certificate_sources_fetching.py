"""What `[certificates]` says of fetching is what the source does."""

from collections import Counter
from ipaddress import ip_network
from pathlib import Path

from support.calls import NOW
from support.hostile import PEM, Authority, serving

from sbc_filter.assembly.certificate_sources import ask, certificate_source
from sbc_filter.config.settings import CertificateSettings
from sbc_filter.outcomes import Detail

HOUR = 3600.0


def test_fetch_rate(tmp_path: Path) -> None:
    """Ten seconds' worth at once, half of it for one domain; nothing leaves this machine."""
    source = certificate_source(CertificateSettings(cache=tmp_path, fetch_rate=1), fetch=True)
    details = Counter(ask(source, f"https://127.0.0.1/{number}.pem").detail for number in range(8))
    assert details == {Detail.FETCH_ADDRESS: 5, Detail.FETCH_REFUSED: 3}
    source.close()


def test_stale_hours(tmp_path: Path) -> None:
    now = [NOW]
    authority = Authority(tmp_path)
    settings = CertificateSettings(
        cache=tmp_path / "cache",
        web_ca=authority.file,
        allowed_networks=(ip_network("127.0.0.0/8"), ip_network("::1/128")),
        stale_hours=2,
    )
    source = certificate_source(settings, fetch=True, clock=lambda: now[0])
    with serving(authority.server(tmp_path / "server.pem")) as server:
        url = server.url("/plain.pem", "localhost")
        assert ask(source, url).result == PEM
    now[0] = NOW + 25 * HOUR
    assert ask(source, url).result == PEM
    now[0] = NOW + 26 * HOUR
    assert ask(source, url).detail == Detail.FETCH_CONNECT
    source.close()


def test_cache_mib(tmp_path: Path) -> None:
    """Twenty bodies of 64 KiB are more than a MiB: what is new makes room for what is newer."""
    authority = Authority(tmp_path)
    settings = CertificateSettings(
        cache=tmp_path / "cache",
        web_ca=authority.file,
        allowed_networks=(ip_network("127.0.0.0/8"), ip_network("::1/128")),
        cache_mib=1,
    )
    source = certificate_source(settings, fetch=True, clock=lambda: NOW)
    with serving(authority.server(tmp_path / "server.pem")) as server:
        for number in range(20):
            server.files[f"/{number}"] = PEM + b"\n" * (65536 - len(PEM))
            assert ask(source, server.url(f"/{number}", "localhost")).result is not None
    sizes = [path.stat().st_size for path in (tmp_path / "cache").iterdir()]
    assert 12 <= len(sizes) <= 15
    assert sum(sizes) <= 1 << 20
    source.close()
