"""Builds the delegates of the configuration, which sign or verify for us."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from sbc_filter.assembly.needs import SigningDelegate, VerifyingDelegate
from sbc_filter.config.delegate_settings import RemoteSettings
from sbc_filter.delegates.remote_peer import Command, RemotePeer, Service
from sbc_filter.delegates.remote_services import RemoteSigner, RemoteVerifier, SlowKey
from sbc_filter.errors import ConfigurationError, Problem
from sbc_filter.stir.credential import Credential
from sbc_filter.stir.delegated_signing import RemoteCredential
from sbc_filter.system.files import read_file, read_text

T = TypeVar("T", SigningDelegate, VerifyingDelegate)


def is_slow(credential: Credential) -> bool:
    """Whether this key of ours is too slow to sign in the packet loop."""
    return bool(getattr(credential, "slow", False))


def engine_credentials(
    ours: Mapping[str, Credential], remote: Mapping[str, RemoteSettings], named: Iterable[str] = ()
) -> dict[str, Credential | RemoteCredential]:
    """The credentials for the engine: its own, and those whose signatures it waits for.

    `named`: the names of its own in the configuration. Of those that a replay cannot read, the signatures are refused.
    """
    known: dict[str, Credential | RemoteCredential] = {
        name: RemoteCredential(name) if is_slow(credential) else credential for name, credential in ours.items()
    }
    absent = (name for name in named if name not in known)
    return known | {name: RemoteCredential(name) for name in (*remote, *absent)}


def signers(
    file: str, ours: Mapping[str, Credential], remote: Mapping[str, RemoteSettings]
) -> dict[str, SigningDelegate]:
    """The signer of each credential that the engine waits for; `ConfigurationError` for unreadable files."""
    found: dict[str, SigningDelegate] = {
        name: SlowKey(credential) for name, credential in ours.items() if is_slow(credential)
    }
    try:
        return found | _answering(file, "credentials", remote, RemoteSigner)
    except ConfigurationError:
        for signer in found.values():
            signer.close()
        raise


def verifiers(file: str, remote: Mapping[str, RemoteSettings]) -> dict[str, VerifyingDelegate]:
    """The verifier of each name that rules use; `ConfigurationError` likewise."""
    return _answering(file, "verifiers", remote, RemoteVerifier)


def _answering(
    file: str, section: str, remote: Mapping[str, RemoteSettings], made: Callable[[str, RemotePeer], T]
) -> dict[str, T]:
    found: dict[str, T] = {}
    problems: list[Problem] = []
    for name, settings in remote.items():
        try:
            found[name] = made(name, _exchange(settings))
        except (OSError, ValueError) as error:
            problems.append(Problem(file, f"{section}.{name}", f"cannot be used: {error}"))
    if problems:
        for each in found.values():
            each.close()
        raise ConfigurationError(problems)
    return found


def _exchange(settings: RemoteSettings) -> RemotePeer:
    if settings.command:
        return Command(settings.command)
    certificate = None
    if settings.client_certificate is not None and settings.client_key is not None:
        certificate = settings.client_certificate, settings.client_key
    for path in (*(certificate or ()), *([settings.web_ca] if settings.web_ca else [])):
        read_file(path)
    token = read_token_file(settings.token) if settings.token is not None else ""
    return Service(settings.service, token=token, certificate=certificate, web_ca=settings.web_ca)


def read_token_file(path: Path) -> str:
    """The bearer token in a file; `ValueError` when it does not contain one."""
    token = read_text(path, "ascii").strip()
    if not token or not token.isprintable() or " " in token:
        raise ValueError(f"{path}: there is no token in it, one line of printable characters")
    return token
