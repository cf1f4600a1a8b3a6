"""Trunks and credentials that rules name and no configuration defines, as a replay without one assumes them.

Such a trunk is taken to be every peer of the capture. Such a credential is a throw-away key: it shows what could be
signed, and no verifier would accept what it signs.
"""

import functools
from collections.abc import Iterator, Mapping
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any, NamedTuple, Self

from sbc_filter.assembly.setup import Setup, rule_files
from sbc_filter.calls.could_be_signed import PLACEHOLDER_X5U
from sbc_filter.calls.proposal import Peer
from sbc_filter.errors import ConfigurationError, Problem
from sbc_filter.lab.certificate_maker import Laboratory, Maker, key_pem
from sbc_filter.rules.model import Direction
from sbc_filter.rules.ruleset import RuleSet
from sbc_filter.rules.toml_table import parse_toml
from sbc_filter.rules.trunk import Trunk
from sbc_filter.stir.credential import Credential, load_credential

_EVERY = (ip_network("0.0.0.0/0"), ip_network("::/0"))  # any trunk that is defined has a narrower network, and wins
_SHOWN = 5  # peers in a sentence


class AssumedNames(NamedTuple):
    """Names, each in the order in which rules use them first."""

    trunks: tuple[str, ...] = ()
    credentials: tuple[str, ...] = ()

    @classmethod
    def of(cls, rules: Path) -> Self:
        """Those in a file or folder of rules. Anything that cannot be read is left to the reader of rules.

        `ConfigurationError` if calls of the same direction would need to be distinguished by such trunks: the capture
        does not say which peer belongs to which.
        """
        tops = [parse_toml(name, text, []) for name, text in (texts_of(rules) or {}).items()]
        defined = {name for top in tops for name in _table(top, "trunks")}
        tables = [table for top in tops for table in _rules(top)]
        used = [tuple(name for name in _texts(table.get("trunk")) if name not in defined) for table in tables]
        named: dict[str, tuple[str, ...]] = {}
        for table, names in zip(tables, used, strict=True):
            for direction in _directions(table) if names else ():
                if {*named.setdefault(direction, names)} != {*names}:
                    raise ConfigurationError([Problem(str(rules), "", _apart(named[direction], names))])
        credentials = [name for table in tables for name in _texts(_table(table, "sign").get("credential"))]
        trunks = [name for names in used for name in names]
        return cls(tuple(dict.fromkeys(trunks)), tuple(dict.fromkeys(credentials)))

    def as_trunks(self) -> tuple[Trunk, ...]:
        """The trunks."""
        return tuple(Trunk(name, _EVERY) for name in self.trunks)

    def as_credentials(self, begins: float) -> dict[str, Credential]:
        """The credentials, for calls that begin at that time (POSIX seconds). All have the same key."""
        if not self.credentials:
            return {}
        return {name: throw_away(name, begins) for name in self.credentials}

    def joined(self, setup: Setup) -> Setup:
        """The setup in which a rule for one of several assumed trunks matches all of them: a peer is of only one."""
        if len(self.trunks) < 2:
            return setup
        every = frozenset(self.trunks)
        pairs = zip(setup.rules.rules, setup.rules.conditions, strict=True)
        joined = [
            (rule, replace(each, trunk=each.trunk | every) if each.trunk and each.trunk & every else each)
            for rule, each in pairs
        ]
        return replace(setup, rules=RuleSet(joined))

    def sentences(self, peers: tuple[Peer, ...]) -> Iterator[str]:
        """What is assumed, one sentence for each kind of name; `peers` are those of the capture."""
        if self.trunks:
            addresses = ", ".join(peer.address for peer in peers[:_SHOWN]) or "none in this capture"
            more = f" and {len(peers) - _SHOWN} more" if len(peers) > _SHOWN else ""
            yield f"{_named('trunk', self.trunks)} taken to be every peer: {addresses}{more}"
        if self.credentials:
            what = f"{_named('credential', self.credentials)} taken to be a throw-away key"
            yield f"{what}: it shows what could be signed, and no verifier would accept it"


def texts_of(rules: Path) -> dict[str, str] | None:
    """The texts of a file or folder of rules, by name; None for what can be read only once, such as a pipe."""
    return rule_files(rules, [])[0] if rules.is_file() or rules.is_dir() else None


def throw_away(name: str, begins: float) -> Credential:
    """A credential with a key that is made for this replay, whose certificate is valid at `begins` (POSIX seconds)."""
    laboratory = _laboratory(begins)
    return load_credential(name, key_pem(laboratory.leaf.key), laboratory.chain, PLACEHOLDER_X5U)


@functools.lru_cache(maxsize=1)
def _laboratory(begins: float) -> Laboratory:
    """One for both sides of a comparison: with two keys, signatures would differ."""
    return Maker(begins).laboratory()


def _named(noun: str, names: tuple[str, ...]) -> str:
    shown = " and ".join(filter(None, (", ".join(map(repr, names[:-1])), repr(names[-1]))))
    return f"{noun} {shown} is" if len(names) == 1 else f"{noun}s {shown} are each"


def _apart(first: tuple[str, ...], second: tuple[str, ...]) -> str:
    names = ", ".join(map(repr, dict.fromkeys((*first, *second))))
    tables = " and ".join(f"[trunks.{name}]" for name in dict.fromkeys((*first, *second)))
    return (
        f"has rules for the trunks {names}, and the capture does not say which peer belongs to which: "
        f"add {tables} to a configuration (sbc-filter.toml)"
    )


def _directions(table: Mapping[str, Any]) -> tuple[str, ...]:
    direction = table.get("direction")
    return (direction,) if isinstance(direction, str) else tuple(Direction)


def _rules(top: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found = top.get("rule")
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _table(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = data.get(key)
    return found if isinstance(found, dict) else {}


def _texts(value: object) -> list[str]:
    """A string counts as a list of one."""
    values = value if isinstance(value, list) else [value]
    return [each for each in values if isinstance(each, str)]
