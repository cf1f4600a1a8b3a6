"""`[credentials.NAME].obtain`: a program that supplies key, certificate and URL, so that no key lies in a file.

Any part of its output may be a secret, so no message repeats any of it.
"""

import json
import os
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from math import inf
from typing import Any

from sbc_filter.config.credential_settings import ObtainSettings, posix_time
from sbc_filter.errors import FetchError
from sbc_filter.outcomes import Detail
from sbc_filter.stir.credential import Credential
from sbc_filter.strict_json import DuplicateKey, strict_loads
from sbc_filter.system.program import Program

_TIMEOUT = 10.0  # seconds; the program may have to ask a service over the network
# Seconds for which an answer may be valid (a run may take `_TIMEOUT`), and the default.
SHORTEST, LONGEST, _USUAL = 10, 86400, 3600
RETRY = 60.0  # seconds after which a program that failed is run again; short compared with any certificate's lifetime
_LEAD = 120.0  # seconds; a new certificate must arrive this long before the last one expires: time for two retries
# Shares of an answer's lifetime: processes that were started together do not ask at the same time.
_JITTER, _STEPS = 0.1, 16
_FAILURES = {Detail.FETCH_TIMEOUT: f" within {_TIMEOUT:g} s", Detail.FETCH_TOO_LARGE: " with at most 64 KiB"}
STAYS = "what was obtained before stays in use"
_PARTS = ("key", "certificate", "x5u")


class NoAnswer(ValueError):
    """The program could not be run, failed, or took too long."""


@dataclass(frozen=True, slots=True)
class ObtainedCredential:
    """A key with its certificate; `where` is its place in the answer, `begins` as in `Credential` or None."""

    where: str
    key: bytes = field(repr=False)
    certificate: bytes = field(repr=False)
    x5u: str = field(repr=False)
    begins: float | None = None


@dataclass(frozen=True, slots=True)
class ObtainedAnswer:
    """The current credential, its successors, and for how many seconds the answer is valid."""

    entries: tuple[ObtainedCredential, ...]
    refresh: float


def ask(programs: Mapping[str, ObtainSettings]) -> dict[str, ObtainedAnswer | ValueError]:
    """The answer of each program by the name of its credential, or the reason for its absence; all run concurrently."""
    if not programs:
        return {}
    running = {name: Program(settings.command, _TIMEOUT) for name, settings in programs.items()}
    with ThreadPoolExecutor(len(programs)) as pool:
        try:
            answers = pool.map(lambda name: _asked(name, programs[name].command[0], running[name]), programs)
            return dict(zip(programs, answers, strict=True))
        finally:
            for program in running.values():  # a signal may have come
                program.close()


def _asked(name: str, path: str, program: Program) -> ObtainedAnswer | ValueError:
    try:
        return read_answer(program.run(name))
    except FetchError as error:
        cause = error.__cause__
        why = str(cause.strerror if isinstance(cause, OSError) else error)
        return NoAnswer(f"{path} does not answer{_FAILURES.get(error.detail, f': {why}')}")
    except ValueError as error:
        return ValueError(f"{path}: {error}")


def read_answer(answer: bytes) -> ObtainedAnswer:
    """Read what a program wrote; `ValueError` with one sentence."""
    try:
        found = strict_loads(answer)
    except json.JSONDecodeError as error:
        raise ValueError(f"its answer is not a JSON object (line {error.lineno}, column {error.colno})") from None
    except DuplicateKey:
        raise ValueError("its answer names something twice in one object") from None
    except (ValueError, RecursionError):  # not in UTF-8, a number of thousands of digits, nested too deeply
        found = None
    _check(found, "its answer", "refresh", "next")
    refresh = found.get("refresh", _USUAL)
    if type(refresh) not in (int, float) or not SHORTEST <= refresh <= LONGEST:
        raise ValueError(f"`refresh` of its answer has to be a number of seconds from {SHORTEST} to {LONGEST}")
    following = found.get("next", [])
    if not isinstance(following, list):
        raise ValueError("`next` of its answer has to be an array of objects")
    entries = [_entry(found, "", "its answer")]
    for at, each in enumerate(following, 1):
        of = f"`next[{at}]` of its answer"
        _check(each, of, "from")
        entries.append(_entry(each, f".next[{at}]", of))
    return ObtainedAnswer(tuple(entries), float(refresh))


def _check(found: object, of: str, *more: str) -> None:
    """Require an object with known keys only."""
    if not isinstance(found, dict):
        raise ValueError(f"{of} is not a JSON object")
    if not found.keys() <= {*_PARTS, *more}:
        known = ", ".join(f"`{each}`" for each in (*_PARTS, *more))
        raise ValueError(f"{of} has something else than {known}")


def _entry(found: dict[str, Any], where: str, of: str) -> ObtainedCredential:
    for name in _PARTS:
        if not isinstance(found.get(name), str) or not found[name]:
            raise ValueError(f"`{name}` of {of} {'has to be a string' if name in found else 'is missing'}")
    key, certificate, x5u = (found[name] for name in _PARTS)
    if "ENCRYPTED" in key:
        raise ValueError(f"`key` of {of} is encrypted: have the program decrypt it")
    if not x5u.startswith("https://"):
        raise ValueError(f"`x5u` of {of} is not a URL that begins with https://")
    begins = None
    if "from" in found:
        begins = posix_time(found["from"])
        if begins is None:
            raise ValueError(f"`from` of {of} has to be a time with its zone such as 2027-01-01T00:00:00Z")
    return ObtainedCredential(where, key.encode(errors="replace"), certificate.encode(errors="replace"), x5u, begins)


class RefreshSchedule:
    """When to run the programs of credentials again, and their last problems.

    For one thread of one process.
    """

    def __init__(self, credentials: Mapping[str, Credential], since: float) -> None:
        """`since` is when all of them were read (seconds of the monotonic clock)."""
        self._share = 1 - _JITTER * (os.getpid() % _STEPS) / _STEPS
        self._due = {name: since + self._wait(each) for name, each in credentials.items() if each.refresh}
        self._problems: dict[str, list[str]] = {}

    @property
    def problems(self) -> list[str]:
        """The problems of the last runs."""
        return [sentence for found in self._problems.values() for sentence in found]

    def due(self) -> list[str]:
        """The credentials to obtain now; each is returned once until it is `answered`."""
        now = time.monotonic()
        found = [name for name, moment in self._due.items() if moment <= now]
        self._due.update(dict.fromkeys(found, inf))
        return found

    def answered(self, name: str, credential: Credential | None, problems: list[str]) -> None:
        """Note the result of a run: a new credential, or None and its problems."""
        self._due[name] = time.monotonic() + (RETRY if credential is None else self._wait(credential))
        self._problems[name] = problems

    def _wait(self, credential: Credential) -> float:
        """Seconds until the next run: as the program said, but before the certificate expires."""
        left = max(each.not_after for each in credential.every()) - time.time() - _LEAD
        return min(credential.refresh, max(left, RETRY)) * self._share
