"""Where certificates come from, as the configuration says."""

from pathlib import Path

import pytest

from sbc_filter.errors import Detail
from sbc_filter.ops.config import CertificateSettings
from sbc_filter.ops.sources import ask, certificate_source


@pytest.mark.parametrize(
    ("tolerate", "detail"),
    [((), Detail.X5U_POLICY), (("redirects",), Detail.X5U_POLICY), (("x5u-http",), Detail.FETCH_ADDRESS)],
)
def test_what_is_tolerated_reaches_the_fetcher(tolerate: tuple[str, ...], detail: Detail, tmp_path: Path) -> None:
    """Past the scheme it is the address that stops it: nothing leaves this machine."""
    settings = CertificateSettings(cache=tmp_path, tolerate=frozenset(tolerate))
    source = certificate_source(settings, fetch=True)
    assert ask(source, "http://127.0.0.1/a.pem").detail == detail
    source.close()
