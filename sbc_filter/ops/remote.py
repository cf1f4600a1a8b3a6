"""Credentials whose key somebody else holds: what the configuration says of them, and who signs with them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from sbc_filter.errors import ConfigurationError, Problem
from sbc_filter.io.needs import Signer
from sbc_filter.io.signers import SigningCommand, SigningService, SlowKey
from sbc_filter.rules.schema import Table
from sbc_filter.stir.credentials import Credential
from sbc_filter.stir.remote import RemoteCredential

_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class RemoteSettings:
    """`[credentials.NAME]` with `command` or `service`: the one that is not empty signs."""

    command: tuple[str, ...] = ()
    service: str = ""
    token: Path | None = None
    client_certificate: Path | None = None
    client_key: Path | None = None
    web_ca: Path | None = None


def read_remote(table: Table, folder: Path) -> RemoteSettings:
    """The settings in a table that has `command` or `service`."""
    settings = RemoteSettings(
        table.texts("command"),
        table.text("service"),
        *(_path(table, key, folder) for key in ("token", "client_certificate", "client_key", "web_ca")),
    )
    if settings.command and settings.service:
        table.problem("command", "is one way to sign, `service` is another: leave one out")
    if not settings.command and not settings.service:
        table.problem("command", "is empty: name a program, or a `service`")
    if settings.service and not _is_fit(settings.service):
        table.problem("service", f"{settings.service!r} is no URL such as https://sign.example.org/stir/v1/signing")
    if (settings.client_certificate is None) != (settings.client_key is None):
        table.problem("client_certificate", "and `client_key` belong together")
    return settings


def _path(table: Table, key: str, folder: Path) -> Path | None:
    text = table.text(key)
    return folder / text if text else None


def _is_fit(url: str) -> bool:
    """https, or plain http to this very machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return False
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK))


def is_slow(credential: Credential) -> bool:
    """Whether signing with this key of ours takes so long that no packet may wait in line for it."""
    return bool(getattr(credential, "slow", False))


def engine_credentials(
    ours: Mapping[str, Credential], remote: Mapping[str, RemoteSettings]
) -> dict[str, Credential | RemoteCredential]:
    """All credentials as the engine knows them: those it signs with itself, and those it waits for."""
    known: dict[str, Credential | RemoteCredential] = {
        name: RemoteCredential(name) if is_slow(credential) else credential for name, credential in ours.items()
    }
    return known | {name: RemoteCredential(name) for name in remote}


def signers(file: str, ours: Mapping[str, Credential], remote: Mapping[str, RemoteSettings]) -> dict[str, Signer]:
    """Who signs for each credential that the engine waits for; `ConfigurationError` for files that cannot be read."""
    found: dict[str, Signer] = {name: SlowKey(credential) for name, credential in ours.items() if is_slow(credential)}
    problems: list[Problem] = []
    for name, settings in remote.items():
        if settings.command:
            found[name] = SigningCommand(name, settings.command)
            continue
        try:
            found[name] = _service(name, settings)
        except (OSError, ValueError) as error:
            problems.append(Problem(file, f"credentials.{name}", f"cannot be used: {error}"))
    if problems:
        for signer in found.values():
            signer.close()
        raise ConfigurationError(problems)
    return found


def _service(name: str, settings: RemoteSettings) -> SigningService:
    certificate = None
    if settings.client_certificate is not None and settings.client_key is not None:
        certificate = settings.client_certificate, settings.client_key
    for path in (*(certificate or ()), *([settings.web_ca] if settings.web_ca else [])):
        path.read_bytes()
    token = read_token_file(settings.token) if settings.token is not None else ""
    return SigningService(name, settings.service, token=token, certificate=certificate, web_ca=settings.web_ca)


def read_token_file(path: Path) -> str:
    """The bearer token in a file; `ValueError` when it is none."""
    token = path.read_text("ascii").strip()
    if not token or not token.isprintable() or " " in token:
        raise ValueError(f"{path}: there is no token in it, one line of printable characters")
    return token
