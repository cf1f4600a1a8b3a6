"""The process that keeps recent calls and shows records to followers. No packet passes through it.

It reads what peers wrote, so it has no privilege and none of our keys. It gives way to the workers where they need the
processor.
"""

import contextlib
import gc
import json
import os
import signal
import socket
import sys
from collections.abc import Mapping
from typing import Any, NoReturn

from sbc_filter.config.settings import Configuration
from sbc_filter.daemon import privileges
from sbc_filter.errors import EnvironmentFault
from sbc_filter.processes.channel import Channel
from sbc_filter.processes.child import GAVE_UP
from sbc_filter.processes.executed import execute, told
from sbc_filter.processes.messages import Failed, Keep
from sbc_filter.recent.handover import Handover, Reading, WorkerEnd
from sbc_filter.recent.recent_server import RecentServer
from sbc_filter.system.nonblocking_writer import log_to_standard_error

QUESTIONS = ("follow", "find", "message")
"""The questions at the control socket that this process answers."""
_NICE = 10


class RecentProcess:
    """The sockets to this process, made before the first fork: what is in them outlives a restart."""

    def __init__(self, workers: int) -> None:
        self._handover = Handover(workers)
        self._asking, self._asked = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in (self._asking, self._asked):
            end.setblocking(False)

    def run(self, keep: Keep, channel: Channel) -> NoReturn:
        """Execute this module as a program of its own: what peers wrote is not read next to our keys."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C: the last calls of the workers come first
        settings = told(json.dumps(keep).encode())
        execute(__name__, (self._asked.fileno(), channel.fileno(), settings, *self._handover.descriptors))

    def sender(self, worker: int) -> WorkerEnd:
        """The end of a worker, counted from 0, in its process."""
        self._handover.keep_for(worker)
        self._asking.close()
        self._asked.close()
        return self._handover.sender(worker)

    def hand_on(self, request: Mapping[str, Any], client: socket.socket) -> bool:
        """Give a client to this process, if its request is for it; a client that does not fit is closed."""
        if request["ask"] not in QUESTIONS:
            return False
        try:
            socket.send_fds(self._asking, [json.dumps(request).encode()], [client.fileno()])
        except OSError:
            client.close()
        return True

    def close(self) -> None:
        """Close everything, in a process that does not use it, or at the end."""
        self._handover.close()
        self._asking.close()
        self._asked.close()


def keep_of(configuration: Configuration) -> Keep:
    """What the process has to know of the configuration."""
    trunks = [trunk.name for trunk in configuration.trunks]
    return Keep(configuration.recent, configuration.network.numbering, trunks)


def main() -> int:
    """Run the process. The arguments are descriptors: requests, channel, settings, and what `Reading` needs."""
    requests, channel, settings, shared, *ends = map(int, sys.argv[1:])
    log_to_standard_error()
    with open(settings, "rb") as file:
        keep = Keep(*json.load(file))
    reading = Reading(shared, [socket.socket(fileno=end) for end in ends])
    return _serve(keep, reading, socket.socket(fileno=requests), Channel(socket.socket(fileno=channel)))


def _serve(keep: Keep, reading: Reading, requests: socket.socket, channel: Channel) -> int:
    with contextlib.suppress(OSError):  # a service manager may forbid it
        os.nice(_NICE)
    try:
        privileges.surrender()
    except EnvironmentFault as error:
        channel.send(Failed(str(error)))
        return GAVE_UP
    server = RecentServer(reading, requests, channel, keep)
    signal.signal(signal.SIGTERM, lambda *_: server.stop())
    gc.freeze()  # a full collection need not search what stays
    server.run()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
