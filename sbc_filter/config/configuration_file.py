"""Finds and reads the configuration file, and reports every problem. Paths are relative to the file."""

from collections.abc import Iterable
from pathlib import Path

from sbc_filter.config.delegate_settings import read_path
from sbc_filter.config.settings import Configuration
from sbc_filter.config.tables import (
    read_certificates,
    read_credentials,
    read_firewall,
    read_network,
    read_queue,
    read_recent,
    read_records,
    read_relay,
    read_serve,
    read_trust,
    read_verifiers,
)
from sbc_filter.errors import ConfigurationError, Problem, reason
from sbc_filter.rules.toml_table import TomlTable, parse_toml
from sbc_filter.rules.trunk_options import read_trunks
from sbc_filter.system.files import read_text

FILE_NAME = "sbc-filter.toml"
SYSTEM = Path("/etc/sbc-filter") / FILE_NAME
_RULES = "rules belong in files of the folder rules/ beside this file"


def find_configuration(given: Path | None, folders: Iterable[Path] = ()) -> Path | None:
    """The configuration file: as given, in one of `folders`, in the working folder, or that of the system; or None."""
    if given is not None:
        return given
    candidates = [*(folder / FILE_NAME for folder in (*folders, Path())), SYSTEM]
    return next((candidate for candidate in candidates if _is_there(candidate)), None)


def require_configuration(given: Path | None, instead: str = "") -> Path:
    """The configuration file; `ConfigurationError` when there is none. `instead` says what works without one."""
    path = find_configuration(given)
    if path is None:
        sentence = f"neither ./{FILE_NAME} nor {SYSTEM}; make one with `sbc-filter pki DIR`{instead}"
        raise ConfigurationError([Problem("no configuration", "", sentence)])
    return path


def load(path: Path | None) -> Configuration:
    """Read a configuration file; without one, the defaults. `ConfigurationError` with every problem."""
    problems: list[Problem] = []
    configuration = read_configuration(path, problems)
    if problems:
        raise ConfigurationError(problems)
    return configuration


def read_configuration(path: Path | None, problems: list[Problem]) -> Configuration:
    """Read a configuration file as far as possible, and add its faults to `problems`."""
    if path is None:
        return Configuration()
    try:
        text = read_text(path)
    except (OSError, UnicodeDecodeError) as error:
        problems.append(Problem(str(path), "", f"cannot be read: {reason(error)}"))
        return Configuration(str(path), path.parent)
    return parse(str(path), text, path.parent, problems)


def parse(file: str, text: str, folder: Path, problems: list[Problem] | None = None) -> Configuration:
    """A configuration from its text; `folder` is what relative paths are relative to.

    Faults are added to `problems`; without that list they raise `ConfigurationError`.
    """
    found: list[Problem] = []
    configuration = _parse(file, text, folder, found)
    if problems is not None:
        problems += found
    elif found:
        raise ConfigurationError(found)
    return configuration


def _parse(file: str, text: str, folder: Path, problems: list[Problem]) -> Configuration:
    top = TomlTable(parse_toml(file, text, problems), file, "", problems)
    misplaced = isinstance(top.raw("rules"), list)
    if misplaced:
        top.problem("rules", _RULES)
    rules = TomlTable({}, file, "rules", problems) if misplaced else top.table("rules")
    log, control, process = top.table("log"), top.table("control"), top.table("process")
    # In the order of the documentation, in which problems are reported, too.
    network, queue = read_network(top.table("network")), read_queue(top.table("queue"))
    trust, certificates = read_trust(top.table("trust"), folder), read_certificates(top.table("certificates"), folder)
    own, remote = read_credentials(top.table("credentials"), folder)
    verifiers = read_verifiers(top.table("verifiers"), folder)
    configuration = Configuration(
        file,
        folder,
        read_path(rules, "directory", folder) or (folder / "rules" if (folder / "rules").is_dir() else None),
        network,
        queue,
        trust,
        certificates,
        own,
        tuple(read_trunks(top.table("trunks"))),
        read_records(log, folder),
        remote,
        read_serve(top.table("serve"), folder),
        read_path(control, "socket", folder),
        process.text("user"),
        verifiers,
        read_firewall(top.table("firewall")),
        read_recent(log),
        read_relay(top.table("relay"), network.ports),
    )
    for table in (rules, log, control, process):
        table.close()
    top.close({"rule": _RULES})
    return configuration


def _is_there(candidate: Path) -> bool:
    try:
        return candidate.is_file()
    except OSError as error:  # a folder without permission
        sentence = f"cannot be looked for: {reason(error)}; name a configuration with --config"
        raise ConfigurationError([Problem(str(candidate), "", sentence)]) from None
