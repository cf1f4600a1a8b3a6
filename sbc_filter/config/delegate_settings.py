"""`[credentials.NAME]` and `[verifiers.NAME]` with a command or a service."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from sbc_filter.rules.toml_table import TomlTable
from sbc_filter.stir.delegation import SIGNING

_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class RemoteSettings:
    """A delegate in `[credentials.NAME]` or `[verifiers.NAME]`: `command` or `service`, one of which is empty."""

    command: tuple[str, ...] = ()
    service: str = ""
    token: Path | None = None
    client_certificate: Path | None = None
    client_key: Path | None = None
    web_ca: Path | None = None


def read_remote(table: TomlTable, folder: Path, path: str = SIGNING) -> RemoteSettings:
    """Read a table with `command` or `service`; `path` is the URL path of the service."""
    example = f"https://stir.example.org{path}"
    settings = RemoteSettings(
        table.texts("command"),
        table.text("service"),
        *(read_path(table, key, folder) for key in ("token", "client_certificate", "client_key", "web_ca")),
    )
    if settings.command and settings.service:
        table.problem("command", "is one way, `service` is another: leave one out")
    if not settings.command and not settings.service:
        table.problem("command", "is empty: name a program, or a `service`")
    if settings.service and not _is_fit(settings.service):
        table.problem("service", f"{settings.service!r} is not a URL such as {example}")
    if (settings.client_certificate is None) != (settings.client_key is None):
        table.problem("client_certificate", "and `client_key` belong together")
    return settings


def read_path(table: TomlTable, key: str, folder: Path) -> Path | None:
    """A file or folder that a table names, relative to `folder`."""
    text = table.text(key)
    return folder / text if text else None


def _is_fit(url: str) -> bool:
    """Whether a URL is https, or plain http to this host."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return False
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK))
