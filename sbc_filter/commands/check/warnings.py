"""Warnings of `sbc-filter check`: settings that are valid, but probably not intended."""

import contextlib
import os
import pwd
import shutil
from collections.abc import Iterator
from pathlib import Path

from sbc_filter.assembly.setup import Setup
from sbc_filter.certificates.folder import INDEX, IndexFault, read_index
from sbc_filter.certificates.socket_server import descriptors_for
from sbc_filter.certificates.warm_up import read_list
from sbc_filter.commands.check.patterns import slow_patterns
from sbc_filter.config.settings import CertificateSettings, Configuration
from sbc_filter.firewall.backend import applied_backend
from sbc_filter.firewall.host_rules import printed
from sbc_filter.firewall.interception import unrelayed_remarks
from sbc_filter.firewall.surroundings import surroundings, tcp_sockets, unattended
from sbc_filter.records.tally import numbered
from sbc_filter.rules.model import NEVER, Conditions, Direction, Mode, RuleAction
from sbc_filter.system.descriptors import allowed_descriptors, descriptors_of_relay
from sbc_filter.system.local_addresses import forgotten, local_addresses

_COMPARABLE = {"direction", "trunk", "transport", "has_identity", "enforce_percent"}
_NONE = Conditions()


def faults(setup: Setup) -> Iterator[str]:
    """One sentence for each setting with which `run` cannot start, whoever runs it, or could be stopped by a call."""
    records = setup.configuration.records
    if records is not None and os.path.isdir(records):
        yield f"log.records: {records} is a folder: name a file in it"
    yield from slow_patterns(setup)


def doubts(setup: Setup, rules: Path | None = None) -> Iterator[str]:
    """One sentence for each warning."""
    configuration = setup.configuration
    records = configuration.records
    if records is not None and not os.path.isdir(records) and not _is_writable(records):
        yield f"log.records: {records} cannot be written: make its folder, or name another file"
    if configuration.user and not _is_user(configuration.user):
        yield f"process.user: there is no user {configuration.user!r}, and `run` ends: `sbc-filter install` makes one"
    with contextlib.suppress(OSError):  # without Linux, nothing is known
        yield from forgotten(configuration.network.sbc, local_addresses())
    yield from few_descriptors(configuration, allowed_descriptors())
    yield from host_remarks(setup)
    yield from _sources(configuration.certificates)
    folder = rules or configuration.rules
    if folder is None:
        yield f"there is no folder {configuration.folder / 'rules'} with rule files: every call passes as it is"
    elif not setup.rules.rules:
        yield f"{folder} has no rule: every call passes as it is"
    bypass = setup.bypasses.read()
    for name in bypass.tokens:
        yield f"{setup.folder / name} is there: calls that leave get its token, and no Identity"
    yield from bypass.faults
    yield from _unreachable(setup)
    yield from _of_no_transport(setup)
    yield from _pointless(setup)
    yield from _preserving_nothing(setup)


def host_remarks(setup: Setup) -> Iterator[str]:
    """One sentence for each thing on this host, or each trunk, by which calls pass unseen; `run` says them, too."""
    for trunk in setup.trunks:
        if "udp" not in trunk.transport and not setup.configuration.relay.enabled:
            yield f"trunk {trunk.name!r} has only TCP: its calls pass unfiltered, unless [relay].enabled is true"
        if trunk.interface and "tcp" in trunk.transport and setup.configuration.relay.enabled:
            yield (
                f"trunk {trunk.name!r} has an interface, which is not known of TCP connections: none of them belongs to"
                " it, so rules for it do not apply to its calls over TCP: name its addresses instead"
            )
    firewall = applied_backend(setup.configuration.firewall.backend)
    yield from surroundings(setup.plan(), firewall.name)
    if setup.configuration.relay.enabled:
        listings = [printed(*command) for command in firewall.readings()]
        yield from unrelayed_remarks(listings)
        yield from unattended(listings, tcp_sockets(), setup.configuration.relay.port)


def needed_descriptors(configuration: Configuration) -> int:
    """The files and sockets that a process may have open."""
    relay = configuration.relay
    return max(
        descriptors_for(configuration.queue.workers),
        descriptors_of_relay(relay.connections) if relay.enabled else 0,
    )


def few_descriptors(configuration: Configuration, allowed: int) -> Iterator[str]:
    """A sentence for each kind of process that may not open what it needs."""
    workers, relay = configuration.queue.workers, configuration.relay
    needed = descriptors_of_relay(relay.connections)
    if relay.enabled and allowed < needed:
        yield (
            f"a process here may open {allowed} files, and a relay with {numbered(relay.connections, 'connection')} may"
            f" need {needed}: connections may be reset: set LimitNOFILE={needed} in the unit, or `ulimit -n`, or choose"
            " fewer [relay].connections"
        )
    needed = descriptors_for(workers)
    if allowed < needed:
        yield (
            f"a process here may open {allowed} files, and with {numbered(workers, 'worker')} the certificate process"
            f" may need {needed}: certificates may be missing: set LimitNOFILE={needed} in the unit, or `ulimit -n`"
        )


def _sources(settings: CertificateSettings) -> Iterator[str]:
    """Problems of certificate sources that may be solved before the first call."""
    if settings.directory is not None and not os.path.isdir(settings.directory):
        yield f"certificates.directory: there is no folder {settings.directory}"
    elif settings.directory is not None:
        try:
            for name in sorted(set(read_index(settings.directory).values())):
                if not os.path.exists(settings.directory / name):
                    yield f"certificates.directory: {settings.directory / INDEX} names {name}, which is not there"
        except IndexFault as fault:
            yield f"certificates.directory: {fault}"
    if settings.socket is not None and not settings.socket.is_socket():
        yield f"certificates.socket: {settings.socket} is not a socket: no program listens there now"
    if settings.command and shutil.which(settings.command[0]) is None:
        yield f"certificates.command: {settings.command[0]} is not a program that can be run"
    if settings.fetch and os.path.exists(settings.cache) and not os.path.isdir(settings.cache):
        yield f"certificates.cache: {settings.cache} is not a folder, so nothing that is fetched outlives a restart"
    if settings.warm is not None:
        yield from (f"certificates.warm: {fault}" for fault in read_list(settings.warm, settings.tolerate)[1])


def _is_user(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _is_writable(path: Path) -> bool:
    if os.path.exists(path):
        return os.access(path, os.W_OK)
    return os.path.isdir(path.parent) and os.access(path.parent, os.W_OK | os.X_OK)


def _unreachable(setup: Setup) -> Iterator[str]:
    """Rules that are never reached, because an earlier one takes all of their calls."""
    earlier: list[tuple[str, Conditions]] = []
    for rule, conditions in zip(setup.rules.rules, setup.rules.conditions, strict=True):
        first = next((name for name, wider in earlier if _covers(wider, conditions)), None)
        if first is not None:
            yield f"{rule.file}: rule {rule.name!r} is never reached: {first!r} before it takes every such call"
        if rule.mode is Mode.ENFORCE and conditions.enforce_percent == 100:
            earlier.append((rule.name, conditions))


def _of_no_transport(setup: Setup) -> Iterator[str]:
    """Rules for a transport by which no call comes to them."""
    of_trunk = {trunk.name: trunk.transport for trunk in setup.trunks}
    for rule, conditions in zip(setup.rules.rules, setup.rules.conditions, strict=True):
        wanted = conditions.transport
        if wanted is None:
            continue
        if conditions.trunk and all(wanted.isdisjoint(of_trunk[name]) for name in conditions.trunk):
            yield f"{rule.file}: rule {rule.name!r} is never reached: its trunks do not have its transport"
        elif wanted == {"tcp"} and not setup.configuration.relay.enabled:
            yield f"{rule.file}: rule {rule.name!r} is never reached: it is for TCP, and [relay].enabled is false"


def _pointless(setup: Setup) -> Iterator[str]:
    """Rules whose redirects carry no information for the proxy that asked."""
    for rule in setup.rules.rules:
        options = rule.verify
        if rule.action is RuleAction.VERIFY and rule.redirects and not options.verstat and options.attestation == NEVER:
            yield (
                f"{rule.file}: rule {rule.name!r} redirects calls and says nothing in the answer: leave out "
                'verstat = false, or attestation = "never"'
            )


def _preserving_nothing(setup: Setup) -> Iterator[str]:
    """Rules that preserve tokens where no call can count as an arrival."""
    verifies = any(
        rule.action is RuleAction.VERIFY and conditions.direction is not Direction.OUTBOUND
        for rule, conditions in zip(setup.rules.rules, setup.rules.conditions, strict=True)
    )
    if verifies or setup.configuration.network.trusted_peers or any(trunk.trusted for trunk in setup.trunks):
        return
    for rule in setup.rules.rules:
        if rule.sign.preserve is not None:
            yield (
                f"{rule.file}: rule {rule.name!r} preserves nothing: only calls that passed, or come from a trusted "
                'peer, count. Add a rule with action = "verify", or trusted = true to a trunk'
            )


def _covers(wider: Conditions, other: Conditions) -> bool:
    """Whether every call of `other` meets `wider`, as far as can be told: by the conditions that are sets alone."""
    for name in Conditions.__slots__:
        if name not in _COMPARABLE and getattr(wider, name) != getattr(_NONE, name):
            return False
    return (
        wider.direction in (None, other.direction)
        and wider.has_identity in (None, other.has_identity)
        and _is_within(other.trunk, wider.trunk)
        and _is_within(other.transport, wider.transport)
    )


def _is_within(names: frozenset[str] | None, wider: frozenset[str] | None) -> bool:
    return wider is None or (names is not None and names <= wider)
