"""Reads our own keys and certificates, and checks them as a verifier would (S-094)."""

import contextlib
import math
import os
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sbc_filter.assembly.obtain import NoAnswer, ObtainedAnswer, ask
from sbc_filter.config.credential_settings import CredentialSettings, ObtainSettings, OnToken, Place
from sbc_filter.config.settings import Configuration
from sbc_filter.errors import CertificateError, Problem, blamed, reason
from sbc_filter.keys.pkcs11 import TokenError, TokenKey
from sbc_filter.outcomes import Detail
from sbc_filter.pki.trust_store import TrustStore
from sbc_filter.stir.credential import Credential, first_certificate, load_key, make_credential, require_x5u
from sbc_filter.stir.signature import SigningKey
from sbc_filter.system.files import read_file
from sbc_filter.utc import utc_text

_DIRECTORY = "CREDENTIALS_DIRECTORY"  # systemd.exec(5)


class _Read(NamedTuple):
    credential: Credential
    chain: bytes  # in PEM
    where: str  # its table in the configuration, or in the answer of a program
    chosen: bool  # whether the operator or the program set its beginning


class Unreadable(ValueError):
    """A file, token or program is not at hand for this user: nothing is known to be wrong with what it holds."""


_T = TypeVar("_T")
_KEY = "key", "pkcs11_module", "pin", "passphrase"  # what a key is made of
_Problem = Callable[[str, str | Exception], None]  # where, and the sentence
_WITHOUT = "calls that it would sign are shown as `unsigned`"


def read_credentials(
    configuration: Configuration,
    trust: TrustStore | None,
    problems: list[Problem],
    known: Sequence[Problem],
    remarks: list[Problem] | None = None,
) -> Iterator[tuple[str, Credential]]:
    """Our credentials. `trust` is None for calls that are not live.

    With `trust`, reasons for which a verifier would refuse them are problems (S-094), and signatures have random
    nonces. Without it, a replay gives the same bytes each time. With `remarks`, what this user cannot read is a remark
    there, and the credential is left out.
    """

    def problem(where: str, error: str | Exception) -> None:
        if remarks is not None and isinstance(error, Unreadable):
            remarks.append(Problem(configuration.file, where, f"{error}; {_WITHOUT}"))
        else:
            problems.append(Problem(configuration.file, where, str(error)))

    wanted = {
        name: settings
        for name, settings in configuration.credentials.items()
        if not _is_useless(known, f"credentials.{name}", settings)
    }
    answers = ask({name: each for name, each in wanted.items() if isinstance(each, ObtainSettings)})
    for name, settings in wanted.items():
        if isinstance(settings, ObtainSettings):
            read = _read_answer(name, answers[name], problem)
        else:
            read = _read_files(name, settings, problem, known)
        if not read:
            continue
        read = _in_turn(read)
        for key, sentence in _contradictions(read):
            problem(key, sentence)
        credential = read[0].credential.followed_by([each.credential for each in read[1:]])
        if trust is not None:
            credential = credential.with_random_nonces()
            for key, sentence in _doubts(credential, read, trust, time.time()):
                problem(f"{key}.certificate", sentence)
        yield name, credential


def _is_useless(known: Sequence[Problem], table: str, settings: CredentialSettings | ObtainSettings) -> bool:
    """Whether a table is too broken to be read. A program is never run with incomplete settings."""
    if isinstance(settings, ObtainSettings):
        return blamed(known, table)
    return any(problem.key == table for problem in known)


def _read_answer(name: str, answer: ObtainedAnswer | ValueError, problem: _Problem) -> list[_Read]:
    """The credentials in the answer of a program; none when there is a problem."""
    where = f"credentials.{name}.obtain"
    if isinstance(answer, ValueError):
        problem(where, Unreadable(str(answer)) if isinstance(answer, NoAnswer) else answer)
        return []
    read = []
    for each in answer.entries:
        try:
            made = make_credential(name, load_key(each.key), each.certificate, each.x5u, begins=each.begins)
        except ValueError as error:
            problem(where + each.where, error)
        else:
            chosen = each.begins is not None
            read.append(_Read(replace(made, refresh=answer.refresh), each.certificate, where + each.where, chosen))
    return read if len(read) == len(answer.entries) else []


def _read_files(name: str, settings: CredentialSettings, problem: _Problem, known: Sequence[Problem]) -> list[_Read]:
    """The credentials in files and on tokens; none when one of them cannot be read."""
    where = f"credentials.{name}"
    tables = {where: settings} | {f"{where}.next[{at}]": each for at, each in enumerate(settings.successors, 1)}
    every = [_read(name, each, table, problem, known) for table, each in tables.items()]
    read = [each for each in every if each is not None]
    return read if len(read) == len(tables) else []


def _read(
    name: str, settings: CredentialSettings, table: str, problem: _Problem, known: Sequence[Problem]
) -> _Read | None:
    """Read one table; None when it has problems. Key, certificate and URL are checked independently."""

    def tried(step: Callable[[], _T], *keys: str) -> _T | None:
        if any(blamed(known, f"{table}.{key}") for key in keys):
            return None
        try:
            return step()
        except TokenError as error:
            problem(table, Unreadable(str(error)))
        except ValueError as error:
            problem(table, error)
        return None

    signer = tried(lambda: _signer(settings), *_KEY)
    chain = tried(lambda: _chain(settings.certificate), "certificate")
    x5u = tried(lambda: _x5u(settings.x5u), "x5u")
    if signer is not None:
        for key, sentence in _exposed(settings):
            problem(f"{table}.{key}", sentence)
    if signer is None or chain is None or x5u is None:
        return None
    slow, begins = isinstance(settings.key, OnToken), settings.begins
    made = tried(lambda: make_credential(name, signer, chain, x5u, slow=slow, begins=begins))
    return None if made is None else _Read(made, chain, table, begins is not None)


def _signer(settings: CredentialSettings) -> SigningKey:
    key = settings.key
    if isinstance(key, OnToken):
        return TokenKey(key.module, key.uri, _pin(key.pin))
    return load_key(_contents(key), _secret(settings.passphrase, "passphrase"))


def _chain(place: Place) -> bytes:
    chain = _contents(place)
    first_certificate(chain)
    return chain


def _x5u(url: str) -> str:
    require_x5u(url)
    return url


def _in_turn(read: Sequence[_Read]) -> list[_Read]:
    """The same, but a default beginning that is later than the next `from` is moved to before that `from`.

    Without `from`, a certificate is used from an hour after it becomes valid. That is a guess, so that verifiers with
    slow clocks accept it. `from` is an instruction, and `next` states the order. The guess must not put an old key
    back.
    """
    found: list[_Read] = []
    earliest = math.inf
    for each in reversed(read):
        if each.chosen:
            earliest = min(earliest, each.credential.begins)
        elif each.credential.begins >= earliest:
            before = min(each.credential.not_before, math.nextafter(earliest, -math.inf))
            each = each._replace(credential=replace(each.credential, begins=before))
        found.append(each)
    return found[::-1]


def _contents(place: Place) -> bytes:
    path = _path(place)
    try:
        return read_file(path)
    except OSError as error:
        raise Unreadable(f"{path} cannot be read: {reason(error)}") from None


def _path(place: Place) -> Path:
    if isinstance(place, Path):
        return place
    folder = os.environ.get(_DIRECTORY)
    if not folder:
        sentence = f"only a service has it, with LoadCredential={place.name}:… in its unit (${_DIRECTORY} is not set)"
        raise Unreadable(f"the systemd credential {place.name!r} cannot be read: {sentence}")
    return Path(folder, place.name)


def _secret(place: Place | None, key: str) -> bytes | None:
    """A passphrase or a PIN, without its line end. Messages never repeat the value: it may be the secret itself."""
    if place is None:
        return None
    path = _path(place)
    try:
        found = read_file(path).removesuffix(b"\n").removesuffix(b"\r")
    except FileNotFoundError:
        what = f"write the name of a file, or credential:NAME, never the {key} itself"
        raise ValueError(f"there is no such file as `{key}` names: {what}") from None
    except OSError as error:
        raise Unreadable(f"the file that `{key}` names cannot be read: {reason(error)}") from None
    if not found:
        raise ValueError(f"the file that `{key}` names is empty")
    return found


def _pin(place: Place | None) -> str | None:
    found = _secret(place, "pin")
    try:
        return None if found is None else found.decode()
    except UnicodeDecodeError:
        raise ValueError("the file that `pin` names is not in UTF-8") from None


def _exposed(settings: CredentialSettings) -> Iterator[tuple[str, str]]:
    """Secrets that all users can read. The group may read them: that is how root gives the filter's user access."""
    key = settings.key
    secrets = {"pin": key.pin} if isinstance(key, OnToken) else {"key": key, "passphrase": settings.passphrase}
    for name, place in secrets.items():
        if place is None:
            continue
        path = _path(place)
        with contextlib.suppress(OSError):  # it was readable a moment ago
            if path.stat().st_mode & stat.S_IROTH:
                yield name, f"{path} can be read by everybody: run `chmod 600 {path}`"


def _contradictions(read: Sequence[_Read]) -> Iterator[tuple[str, str]]:
    """Mistakes that do not depend on the time."""
    keys: dict[str, bytes] = {}
    for credential, _, where, _ in read:
        if keys.setdefault(credential.x5u, _public(credential)) != _public(credential):
            sentence = "is that of another key: others keep what they fetched there, so a new key needs a new URL"
            yield f"{where}.x5u", sentence
    for credential, _, where, chosen in read[1:]:
        if not chosen:
            continue
        if not credential.not_before <= credential.begins < credential.not_after:
            begin, end = utc_text(credential.not_before), utc_text(credential.not_after)
            yield f"{where}.from", f"does not lie between {begin} and {end} UTC, where its certificate is valid"


def _public(credential: Credential) -> bytes:
    certificate = x509.load_der_x509_certificate(credential.leaf)
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _doubts(credential: Credential, read: Sequence[_Read], trust: TrustStore, now: float) -> Iterator[tuple[str, str]]:
    """Why a verifier would refuse our certificates; without anchors, only their dates are checked.

    An expired one is not a problem as long as another is valid: a restart after a rotation must succeed.
    """
    current = credential.at(now)
    if now > current.not_after:
        yield read[0].where, "has expired: put a new one in its place"
        return
    if now < current.not_before:
        yield read[0].where, f"is not valid before {utc_text(current.not_before)} UTC"
        return
    for each, chain, where, _ in read:
        at = max(now, each.not_before)
        if not trust.anchors or at > each.not_after:
            continue
        try:
            trust.read(chain, at)
        except CertificateError as error:
            if at > now and error.detail is Detail.CRL_UNAVAILABLE:
                continue  # no CRL covers the future
            yield where, f"would not verify by your own trust anchors: {error}"
