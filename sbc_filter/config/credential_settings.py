"""`[credentials.NAME]`: the settings of our own keys and certificates. No file is opened here."""

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sbc_filter.keys.pkcs11_uri import SCHEME, Pkcs11Uri, parse_pkcs11_uri
from sbc_filter.rules.toml_table import TomlTable

_SYSTEMD = "credential:"
_NAME = re.compile(r"(?!\.\.?$)[^/\0]{1,255}")  # names that systemd accepts for credentials: one file in a folder


@dataclass(frozen=True, slots=True)
class SystemdCredential:
    """A file that systemd provides in $CREDENTIALS_DIRECTORY (`LoadCredential=`)."""

    name: str


@dataclass(frozen=True, slots=True)
class OnToken:
    """A private key on a PKCS#11 token: its URI, the PKCS#11 library, and the place of the user PIN."""

    uri: Pkcs11Uri
    module: Path
    pin: Path | SystemdCredential | None = None


Place = Path | SystemdCredential


@dataclass(frozen=True, slots=True)
class CredentialSettings:
    """`[credentials.NAME]`: where our key and certificate are, and the URL of the certificate.

    `begins` (POSIX seconds) is `from` of a table among `next`, which are the `successors`.
    """

    key: Place | OnToken
    certificate: Place
    x5u: str
    passphrase: Place | None = None
    begins: float | None = None
    successors: tuple["CredentialSettings", ...] = ()


@dataclass(frozen=True, slots=True)
class ObtainSettings:
    """`[credentials.NAME].obtain`: a program that supplies key, certificate and URL."""

    command: tuple[str, ...]


def read_obtained(table: TomlTable) -> ObtainSettings:
    """Read a `[credentials.NAME]` with `obtain`."""
    command = table.texts("obtain")
    if table.raw("obtain") in ("", [], [""]):
        table.problem("obtain", "is empty: name a program")
    others = [f"`{key}`" for key in table if key != "obtain"]
    if others:
        table.problem("obtain", f"has a program answer with everything else: leave out {', '.join(others)}")
    return ObtainSettings(command)


def read_credential(table: TomlTable, folder: Path) -> CredentialSettings:
    """Read a `[credentials.NAME]` with a key of ours; paths are relative to `folder`."""
    return _read(table, folder)


def _read(table: TomlTable, folder: Path, *, successor: bool = False) -> CredentialSettings:
    settings = CredentialSettings(
        _key(table, folder),
        _place(table, "certificate", folder, required=True) or folder,
        table.text("x5u", required=True),
        _place(table, "passphrase", folder),
        _moment(table, "from") if successor else None,
        () if successor else tuple(_read(each, folder, successor=True) for each in table.tables("next")),
    )
    on_token = isinstance(settings.key, OnToken)
    for key, wanted in (("pkcs11_module", True), ("pin", True), ("passphrase", False)):
        if key in table and on_token is not wanted:
            kind = f"in files, this one is {'on a token' if on_token else 'in a file'}"
            table.problem(key, f"is for keys on a token ({SCHEME}…)" if wanted else f"is for keys {kind}")
    table.close()
    return settings


def _key(table: TomlTable, folder: Path) -> Place | OnToken:
    text = table.text("key", required=True)
    if not text.startswith(SCHEME):
        return _located(table, "key", text, folder)
    module, pin = table.text("pkcs11_module"), _place(table, "pin", folder)
    if not module:
        table.problem(
            "pkcs11_module", "is missing: the library that speaks to the token, a file such as opensc-pkcs11.so"
        )
    try:
        uri = parse_pkcs11_uri(text)
    except ValueError as error:
        table.problem("key", str(error))
        uri = Pkcs11Uri()
    return OnToken(uri, folder / module, pin)


def _place(table: TomlTable, key: str, folder: Path, *, required: bool = False) -> Place | None:
    text = table.text(key, required=required)
    return _located(table, key, text, folder) if text else None


def _located(table: TomlTable, key: str, text: str, folder: Path) -> Place:
    if not text.startswith(_SYSTEMD):
        return folder / text
    name = text.removeprefix(_SYSTEMD)
    if _NAME.fullmatch(name) is None:
        table.problem(key, f"{text!r} is not a name of a systemd credential such as {_SYSTEMD}shaken.key")
    return SystemdCredential(name)


def _moment(table: TomlTable, key: str) -> float | None:
    """A time with its zone, as a TOML time or a string."""
    value = table.raw(key)
    if value is None:
        return None
    moment = posix_time(value)
    if moment is None:
        table.problem(key, "has to be a time with its zone such as 2027-01-01T00:00:00Z")
    return moment


def posix_time(value: object) -> float | None:
    """POSIX seconds of a time with its zone, as an object or in RFC 3339 format; None for anything else."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        return None
    return moment.timestamp() if isinstance(moment, datetime) and moment.tzinfo is not None else None
