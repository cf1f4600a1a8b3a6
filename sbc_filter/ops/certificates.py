"""Certificates and CRLs of others that the configuration names (S-091, S-092)."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from sbc_filter.errors import CertificateError, Problem
from sbc_filter.ops.config import Configuration, reason
from sbc_filter.stir.certificate import Certificate, parse_certificates
from sbc_filter.stir.crl import RevocationList
from sbc_filter.stir.trust import TrustStore

MAX_FILE = 64 << 20  # bytes
MAX_ANCHORS = 10_000  # in one file


def blamed(problems: Sequence[Problem], key: str) -> bool:
    """Whether something is wrong with this table of the configuration already."""
    return any(problem.key == key or problem.key.startswith(f"{key}.") for problem in problems)


def read_trust(configuration: Configuration, problems: list[Problem], listed: Sequence[Certificate] = ()) -> TrustStore:
    """The trust store that `[trust]` describes; what cannot be read is added to `problems`.

    `listed`: the anchors of the trust list. Whoever signs that list may sign CRLs as well, the STI-PA both.
    """
    settings = configuration.trust
    anchors = read_certificates(configuration, "trust.anchors", settings.anchors, problems)
    crls: list[RevocationList] = []
    for path, data in _contents(configuration, "trust.crls", settings.crls, problems):
        try:
            crls.append(RevocationList.parse(data))
        except CertificateError as error:
            problems.append(Problem(configuration.file, "trust.crls", f"{path}: {error}"))
    return TrustStore(
        (*anchors, *listed),
        crls,
        settings.crl_policy,
        tolerate=settings.tolerate,
        policies=settings.policies,
        crl_signers=(
            *read_certificates(configuration, "trust.crl_signers", settings.crl_signers, problems),
            *read_certificates(configuration, "trust.trust_list_root", settings.trust_list_root, []),
        ),
    )


def read_certificates(
    configuration: Configuration, key: str, paths: tuple[Path, ...], problems: list[Problem]
) -> list[Certificate]:
    """The certificates in these files and folders, which `key` of the configuration names."""
    found: list[Certificate] = []
    for path, data in _contents(configuration, key, paths, problems):
        try:
            found += parse_certificates(data, MAX_FILE, MAX_ANCHORS, tolerate=configuration.trust.tolerate)
        except CertificateError as error:
            problems.append(Problem(configuration.file, key, f"{path}: {error}"))
    return found


def _contents(
    configuration: Configuration, key: str, paths: tuple[Path, ...], problems: list[Problem]
) -> Iterator[tuple[Path, bytes]]:
    def unreadable(path: Path, error: OSError) -> None:
        problems.append(Problem(configuration.file, key, f"{path} cannot be read: {reason(error)}"))

    for path in paths:
        try:
            files = sorted(each for each in path.iterdir() if each.is_file()) if path.is_dir() else [path]
        except OSError as error:
            unreadable(path, error)
            continue
        for each in files:
            try:
                yield each, read_file(each)
            except OSError as error:
                unreadable(each, error)


def read_file(path: Path) -> bytes:
    """All of a file of the operator's; `OSError` when it is absurdly large."""
    with path.open("rb") as file:
        data = file.read(MAX_FILE + 1)
    if len(data) > MAX_FILE:
        raise OSError(0, "it is larger than 64 MiB", str(path))
    return data
