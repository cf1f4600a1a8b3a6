"""What `sbc-filter check` prints: every problem of the operator's files, or a summary of what they configure."""

import argparse
import contextlib
import time
from collections.abc import Iterator

from sbc_filter.assembly.setup import Setup, read_all
from sbc_filter.commands.check.list_states import list_states
from sbc_filter.commands.check.probe import SERVED, probe, prober
from sbc_filter.commands.check.rule_examples import run_examples
from sbc_filter.commands.check.warnings import doubts, faults
from sbc_filter.config.configuration_file import require_configuration
from sbc_filter.config.credential_settings import ObtainSettings
from sbc_filter.config.settings import RelaySettings
from sbc_filter.errors import ConfigurationError, Problem, reason
from sbc_filter.records.tally import numbered
from sbc_filter.stir.credential import Credential
from sbc_filter.system.plain_console import PlainConsole, PlainTable
from sbc_filter.utc import utc_text

_DAY = 86400.0
_SOON = 30.0  # days before a certificate expires; enough to order a new one


def report(arguments: argparse.Namespace) -> int:
    """Check configuration and rules. Reports every problem at once; returns 1 if there is any."""
    path = require_configuration(arguments.config)
    setup = read_all(path, arguments.rules)
    console = PlainConsole()
    console.print(f"{path}: {'it works for now, but see the end' if setup.remarks else 'good'}")
    network = setup.configuration.network
    console.print(
        f"SBC      {', '.join(network.sbc) or 'no address: no rule can name a direction'}; ports {list(network.ports)}"
    )
    console.print(f"TCP      {_of_tcp(setup.configuration.relay)}")
    if setup.observes:
        console.print("mode     observe: every packet passes unchanged, and records say what would have been done")
    for anchor in setup.trust.anchors:
        console.print(f"anchor   {anchor.subject.rfc4514_string()}, until {anchor.not_valid_after_utc:%Y-%m-%d}")
    for line in list_states(setup.trust_files, time.time()):
        console.print(line)
    for trunk in setup.trunks:
        addresses = ", ".join(map(str, trunk.addresses))
        where = f", on {trunk.interface}" if trunk.interface else ""
        console.print(f"trunk    {trunk.name}: {addresses}{where}{', trusted' if trunk.trusted else ''}")
    _credentials(console, setup)
    good = not arguments.probe or _probe(console, setup)
    console.print()
    _rules(console, setup)
    for doubt in doubts(setup, arguments.rules):
        console.print(f"warning: {doubt}")
    wrong = [*map(str, setup.remarks), *faults(setup), *_examples(console, setup)]
    for sentence in wrong:
        console.print(f"error: {sentence}")
    return 1 if wrong or not good else 0


def _of_tcp(relay: RelaySettings) -> str:
    if not relay.enabled:
        return "passes unfiltered: [relay].enabled is false"
    encrypted = f"; TLS and WebSocket pass unfiltered: ports {list(relay.unfiltered_ports)}"
    return f"relayed at port {relay.port}{encrypted if relay.unfiltered_ports else ''}"


def _credentials(console: PlainConsole, setup: Setup) -> None:
    now = time.time()
    for name, settings in setup.configuration.remote.items():
        console.print(f"sign as  {name}: by {settings.service or settings.command[0]}")
    for name, settings in setup.configuration.verifiers.items():
        console.print(f"verifier {name}: {settings.service or settings.command[0]}")
    for name, credential in setup.credentials.items():
        current = credential.at(now)
        place = setup.configuration.credentials[name]
        by = f"obtained from {place.command[0]}, " if isinstance(place, ObtainSettings) else ""
        for each in credential.every():
            console.print(f"{_label(each, current, now)} {name}: {by}{_state(each, now)}; x5u {each.x5u}")
        for begin, end in credential.gaps():
            console.print(f"         warning: nothing signs as {name} from {utc_text(begin)} to {utc_text(end)} UTC")
        if (max(each.not_after for each in credential.every()) - now) / _DAY < _SOON:
            console.print(f"         warning: the certificate of {name} expires soon")


def _label(each: Credential, current: Credential, now: float) -> str:
    if each is current:
        return "sign as "
    if each.not_after < now:
        return "expired "
    return "then as " if each.begins > now else "replaced"


def _state(each: Credential, now: float) -> str:
    kind = "the key, on a token," if each.slow else "the key"
    if each.not_after < now:
        return f"{kind} fits the certificate, which expired on {utc_text(each.not_after)} UTC"
    begins = f"from {utc_text(each.begins)} UTC, " if each.begins > now else ""
    days = (each.not_after - now) / _DAY
    return f"{kind} fits the certificate, {begins}{days:.0f} days left"


def _probe(console: PlainConsole, setup: Setup) -> bool:
    """Check that every x5u serves our certificate, except expired ones; print the result of each."""
    settings, now = setup.configuration.certificates, time.time()
    try:
        source = prober(settings)
    except OSError as error:
        sentence = f"{settings.web_ca} cannot be read: {reason(error)}"
        raise ConfigurationError([Problem(setup.configuration.file, "certificates.web_ca", sentence)]) from None
    good = True
    with contextlib.closing(source):
        for name, credential in setup.credentials.items():
            for each in credential.every():
                if each.not_after < now:
                    continue
                found = probe(each, source, setup.trust, now)
                good = good and found == SERVED
                label = "probe   " if found == SERVED else "error:  "
                console.print(f"{label} {name}: {found}; {each.x5u}")
    return good


def _examples(console: PlainConsole, setup: Setup) -> Iterator[str]:
    """Run the examples of the rules; the sentences about those that do not come out as expected."""
    results = list(run_examples(setup))
    wrong = [str(problem) for problem in results if problem is not None]
    if results:
        good = "as expected" if not wrong else f"{len(results) - len(wrong)} of them as expected"
        console.print()
        console.print(f"{numbered(len(results), 'example')}: {good}")
    return iter(wrong)


def _rules(console: PlainConsole, setup: Setup) -> None:
    rows = []
    for rule, conditions in zip(setup.rules.rules, setup.rules.conditions, strict=True):
        share = f" {conditions.enforce_percent:g} %" if conditions.enforce_percent < 100 else ""
        rows.append([rule.name, rule.mode + share, rule.action, rule.insertion, rule.file])
    table = PlainTable(["Rule", "Mode", "Action", "Insertion", "File"], rows)
    console.print(table if rows else "no rules: every call passes")
