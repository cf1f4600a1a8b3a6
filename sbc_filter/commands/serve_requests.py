"""Builds and runs the service of `sbc-filter serve` (ATIS-1000082)."""

import argparse
import contextlib
import gc
import logging
import signal
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import ip_address

from sbc_filter.assembly.certificate_sources import ask, certificate_source
from sbc_filter.assembly.delegates import read_token_file
from sbc_filter.assembly.obtain import STAYS, RefreshSchedule
from sbc_filter.assembly.setup import Setup, read_all
from sbc_filter.config.configuration_file import require_configuration
from sbc_filter.config.settings import ServeSettings
from sbc_filter.delegates.operations import StirService
from sbc_filter.delegates.server import Operation, StirServer
from sbc_filter.engine.memory.certificates import CertificateMemory
from sbc_filter.engine.verdict import Party
from sbc_filter.errors import ConfigurationError, Problem
from sbc_filter.numbering.numbering_plans import PROFILES
from sbc_filter.stir.credential import Credential
from sbc_filter.stir.delegation import SIGNING, VERIFICATION
from sbc_filter.system.descriptors import room_for
from sbc_filter.system.nonblocking_writer import log_to
from sbc_filter.trust.crl_shelf import shelf_in_memory
from sbc_filter.trust.renewal import Renewal

_LOG = logging.getLogger(__name__)
_EVERY = 1.0  # seconds between two checks whether a program is due; its shortest interval is ten


def serve(arguments: argparse.Namespace) -> int:
    """Answer signing and verification requests until a signal ends it."""
    setup = read_all(require_configuration(arguments.config), None)
    settings = setup.configuration.serve
    if arguments.listen is not None:
        settings = replace(settings, listen=arguments.listen)
    log_to(sys.stderr)
    credential = _credential(setup, settings)
    token, context = _protection(setup.configuration.file, settings)
    certificates = setup.configuration.certificates
    source = certificate_source(certificates, fetch=certificates.fetch)
    shelf = contextlib.ExitStack()
    setup.trust_files.put_on(shelf.enter_context(shelf_in_memory()))
    renewal = Renewal(setup.trust_files, _warn, lambda: service.set_trust_store(setup.trust))
    source = renewal.noting(source)
    try:
        service = StirService(
            credential,
            CertificateMemory(setup.trust, certificates.tolerate),
            lambda url: ask(source, url, Party("serve", server.client)),
            PROFILES[setup.configuration.network.numbering],
        )
        operations: dict[str, Operation] = {}
        if credential is not None:
            operations[SIGNING] = service.sign
        if setup.trust.anchors:
            operations[VERIFICATION] = service.verify
        if not operations:
            sentence = "there is neither a credential to sign with nor a trust anchor to verify by"
            raise ConfigurationError([Problem(setup.configuration.file, "serve", sentence)])
        with (
            StirServer(
                settings.listen,
                operations,
                token=token,
                context=context,
                connections=room_for(settings.connections),
                per_address=settings.connections_per_address,
            ) as server,
            renewal.running(),
            _obtaining(setup, credential, service.replace_credentials),
        ):
            _run(server, operations, tls=context is not None)
    finally:
        renewal.close()
        source.close()
        shelf.close()
    return 0


@contextlib.contextmanager
def _obtaining(setup: Setup, credential: Credential | None, changed: Callable[[Credential], None]) -> Iterator[None]:
    """Run the program that supplied this credential, if any, at intervals, in a thread of its own."""
    if credential is None or not credential.refresh:
        yield
        return
    schedule = RefreshSchedule({credential.name: credential}, setup.read_at)
    stop = threading.Event()

    def look() -> None:
        while not stop.wait(_EVERY):
            for name in schedule.due():
                said = schedule.problems
                found, problems = setup.obtain(name)
                schedule.answered(name, found, problems)
                if found is not None:
                    changed(found)
                for sentence in problems:
                    if sentence not in said:
                        _warn(f"{sentence}; {STAYS}")

    thread = threading.Thread(target=look, name="obtaining", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()


def _warn(sentence: str) -> None:
    _LOG.warning("%s", sentence)


def _run(server: StirServer, operations: dict[str, Operation], *, tls: bool) -> None:
    def stop(*_: object) -> None:
        threading.Thread(target=server.shutdown).start()  # `shutdown` waits for the loop, in which signals are handled

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    host, port = server.server_address[:2]
    shown = f"[{host!s}]" if ":" in str(host) else str(host)
    where = " and ".join(f"{'https' if tls else 'http'}://{shown}:{port}{path}" for path in operations)
    gc.freeze()  # a full collection stops all threads: it need not search what stays
    print(f"serving {where}", file=sys.stderr, flush=True)
    server.serve_forever()


def _credential(setup: Setup, settings: ServeSettings) -> Credential | None:
    """The credential that is named, or the only one there is."""
    file, known = setup.configuration.file, setup.credentials
    if settings.credential:
        if settings.credential not in known:
            names = ", ".join(sorted(known)) or "none with a key of our own"
            sentence = f"{settings.credential!r} is not a credential to sign with; there are: {names}"
            raise ConfigurationError([Problem(file, "serve.credential", sentence)])
        return known[settings.credential]
    if len(known) > 1:
        sentence = f"is missing: name one of {', '.join(sorted(known))}"
        raise ConfigurationError([Problem(file, "serve.credential", sentence)])
    return next(iter(known.values()), None)


def _protection(file: str, settings: ServeSettings) -> tuple[str, ssl.SSLContext | None]:
    """Token and TLS. Both TLS and authentication are required unless it listens on loopback: it signs for clients."""
    problems: list[Problem] = []
    token, context = "", None
    try:
        token = read_token_file(settings.token) if settings.token is not None else ""
    except (OSError, ValueError) as error:
        problems.append(Problem(file, "serve.token", f"cannot be used: {error}"))
    if settings.certificate is not None:
        try:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            context.load_cert_chain(settings.certificate, settings.key)
            if settings.client_ca is not None:
                context.verify_mode = ssl.CERT_REQUIRED
                context.load_verify_locations(settings.client_ca)
        except (OSError, ValueError) as error:
            problems.append(Problem(file, "serve.certificate", f"cannot be used: {error}"))
    if not ip_address(settings.listen[0]).is_loopback:
        if settings.certificate is None:
            sentence = "is missing: a service for other machines needs TLS"
            problems.append(Problem(file, "serve.certificate", sentence))
        if settings.token is None and settings.client_ca is None:
            sentence = "is missing: clients on other machines have to authenticate; set this or `client_ca`"
            problems.append(Problem(file, "serve.token", sentence))
    if problems:
        raise ConfigurationError(problems)
    return token, context
