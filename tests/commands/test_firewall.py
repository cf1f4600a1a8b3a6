"""`sbc-filter firewall show`: what the rules need, and nothing that only the filter may read."""

from pathlib import Path

import pytest
from support.netns import LIVE

from sbc_filter.cli import main

pytestmark = LIVE  # it looks which firewall programs there are

_CREDENTIAL = '[credentials.ours]\nkey = "credential:ours"\ncertificate = "none.pem"\nx5u = "https://x.example/c.pem"\n'
_RULE = '[[rule]]\nname = "r"\ndirection = "inbound"\naction = "verify"\n'


def test_keys_and_certificates_are_not_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A key that systemd gives to the service alone is not there for who puts the firewall rules in force."""
    file = tmp_path / "sbc-filter.toml"
    file.write_text(f'[network]\nsbc = ["192.0.2.1"]\nports = [5070]\n[trust]\nanchors = ["none"]\n{_CREDENTIAL}')
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "r.toml").write_text(_RULE)
    assert main(["check", "--config", str(file)]) == 1
    capsys.readouterr()
    assert main(["firewall", "show", "--config", str(file)]) == 0
    assert "5070" in capsys.readouterr().out

    (tmp_path / "rules" / "r.toml").write_text(_RULE.replace("action", "aktion"))
    assert main(["firewall", "show", "--config", str(file)]) == 1
    assert "rule 'r' (line 1): aktion: is unknown; did you mean 'action'?" in capsys.readouterr().err
