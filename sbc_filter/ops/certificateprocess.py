"""The process that gets what others sign with, for all workers: one fetch a certificate, however many want it."""

from collections.abc import Callable
from pathlib import Path

from sbc_filter.io.channel import Channel
from sbc_filter.io.store import CertificateSource
from sbc_filter.ops.config import Configuration
from sbc_filter.ops.setup import Setup
from sbc_filter.ops.sources import certificate_source


class CertificateProcess:
    def __init__(self, folder: Path) -> None:
        self.path = folder / "certificates.sock"

    def run(self, setup: Setup, channel: Channel) -> int:
        import select

        channel.send(**{"is": "ready"})
        while not channel.closed:
            select.select([channel], [], [], 1)
            for message in channel.receive():
                if message["do"] == "stop":
                    return 0
            channel.send(**{"is": "beat", "counters": {}, "kinds": []})
        return 0

    def close(self) -> None:
        self.path.unlink(missing_ok=True)


def from_process(path: Path) -> Callable[[Configuration], CertificateSource]:
    return lambda configuration: certificate_source(configuration.certificates, fetch=configuration.certificates.fetch)
