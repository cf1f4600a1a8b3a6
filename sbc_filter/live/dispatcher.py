"""Packets of one call to one worker, in order: a queue whose verdict is another queue (DESIGN §4).

The kernel spreads packets over queues by their addresses, and all calls of a trunk have the same. So one process takes
them all, looks for the Call-ID alone, and hands each on to the queue of the worker whom the Call-ID names. A packet
that is handed on stays where it is in the kernel: only its number travels.
"""

import re
import selectors
import signal
import time
import zlib
from collections.abc import Sequence
from dataclasses import replace
from struct import Struct

from sbc_filter.counters import CounterName
from sbc_filter.firewall.plan import QueueSettings
from sbc_filter.live.netlink import QueueChannel
from sbc_filter.processes.channel import Channel
from sbc_filter.processes.messages import Alive, Heartbeat, Stop

# As INVITE, ACK, CANCEL and their answers write it: alike, since a call is told by it (RFC 3261 §8.1.1.4). What white
# space has matched it keeps (`*+`): else 64 KiB of it would be tried in all ways, for half a minute.
_CALL_ID = re.compile(rb"[\r\n](?:call-id|i)[ \t]*+:[ \t\r\n]*+([^\r\n]*[^\r\n \t])", re.IGNORECASE)
_PACKET, _VERDICT = 3 << 8, 3 << 8 | 1  # NFNL_SUBSYS_QUEUE with NFQNL_MSG_PACKET, NFQNL_MSG_VERDICT
_PAYLOAD = 10  # NFQA_PAYLOAD
_ATTRIBUTES = 20  # bytes in front of them; the first is NFQA_PACKET_HDR, which begins with the packet's number
_NUMBER = slice(24, 28)
_KIND = Struct("=4xH")
_ATTRIBUTE = Struct("=HH")
# nlmsghdr (length, type, NLM_F_REQUEST, sequence, port), nfgenmsg (family, version, queue), NFQA_VERDICT_HDR;
# behind it verdict and number of the packet, both big-endian.
_HEAD = Struct("=IHHII2x2sHH")
_LENGTH = _HEAD.size + 8
_TO_QUEUE, _BYPASS = 3, 0x8000  # NF_QUEUE, NF_VERDICT_FLAG_QUEUE_BYPASS
_BATCHES = 16  # at most, before others get their turn


def worker_queues(feeds: Sequence[QueueSettings], worker: int) -> tuple[QueueSettings, ...]:
    """The queues of a worker, one for each that the firewall feeds: they are numbered behind those."""
    first = feeds[-1].number + 1 + worker * len(feeds)
    return tuple(replace(feed, number=first + at) for at, feed in enumerate(feeds))


def shard(message: bytes, workers: int) -> int:
    """Which of so many workers gets a packet, by the Call-ID in its bytes; what has none goes by all of them."""
    found = _CALL_ID.search(message)
    return zlib.crc32(found[1] if found is not None else message) % workers


class Dispatcher:
    """Hands on what comes to `feeds`, until it is told to stop, or nobody is there any more to tell it. Raises
    `EnvironmentFault` when a queue cannot be bound."""

    def __init__(self, feeds: Sequence[QueueSettings], workers: int, channel: Channel) -> None:
        self._channel = channel
        self._stop = False
        queues = [worker_queues(feeds, worker) for worker in range(workers)]
        self._feeds: list[_Feed] = []
        try:
            for at, settings in enumerate(feeds):
                self._feeds.append(_Feed(settings, [each[at].number for each in queues]))
        except BaseException:
            self._close()
            raise

    def run(self, every: float) -> None:
        """Work; a `Heartbeat` comes about each `every` seconds."""
        signal.signal(signal.SIGTERM, lambda *_: self.stop())
        signal.signal(signal.SIGINT, lambda *_: self.stop())
        beat = 0.0
        with selectors.DefaultSelector() as selector:
            selector.register(self._channel, selectors.EVENT_READ, self._listen)
            for feed in self._feeds:
                selector.register(feed, selectors.EVENT_READ, feed.read)
            try:
                while not self._stop:
                    for key, _ in selector.select(every):
                        key.data()
                    if time.monotonic() - beat >= every:
                        beat = time.monotonic()
                        self._beat()
            finally:
                for feed in self._feeds:
                    feed.refuse()
                    feed.drain()
                self._beat()
                self._close()

    def stop(self) -> None:
        """Make `run` return, when everything that waits has been handed on; from a signal handler as well."""
        self._stop = True

    def _listen(self) -> None:
        for message in self._channel.receive():
            match message:
                case Stop():
                    self.stop()
                case Alive(workers):
                    for feed in self._feeds:
                        feed.alive(workers)
        if self._channel.closed:
            self.stop()

    def _beat(self) -> None:
        counters: dict[str, int] = {
            CounterName.HANDED_ON: sum(feed.handed_on for feed in self._feeds),
            CounterName.OVERRUNS: sum(feed.overruns for feed in self._feeds),
        }
        self._channel.send(Heartbeat(counters, []))

    def _close(self) -> None:
        for feed in self._feeds:
            feed.close()


class _Feed:
    """One queue that the firewall feeds."""

    def __init__(self, settings: QueueSettings, numbers: Sequence[int]) -> None:
        self._settings = settings
        self._numbers = numbers
        self.handed_on = 0
        queue = settings.number.to_bytes(2, "big")
        self._head = _HEAD.pack(_LENGTH, _VERDICT, 1, 0, 0, queue, 12, 2)
        self._channel = QueueChannel(settings)
        self.alive(range(len(numbers)))

    def fileno(self) -> int:
        """The descriptor to watch for reading."""
        return self._channel.fileno()

    @property
    def overruns(self) -> int:
        return self._channel.overruns

    def alive(self, workers: Sequence[int]) -> None:
        flags = _TO_QUEUE | (_BYPASS if self._settings.fail_open else 0)
        shards = len(self._numbers)
        heirs = [next((at for at in workers if at >= each), workers[0]) if workers else each for each in range(shards)]
        self._verdicts = [(self._numbers[heir] << 16 | flags).to_bytes(4, "big") for heir in heirs]

    def read(self) -> None:
        """Hand on what waits, a few batches at most."""
        for _ in range(_BATCHES):
            verdicts = bytearray()
            try:
                while True:
                    self._hand_on(self._channel.recv(0), verdicts)
            except BlockingIOError:
                if not verdicts:
                    return
            self._channel.send(verdicts)

    def refuse(self) -> None:
        """Let no further packet in: new ones pass or drop as set."""
        self._channel.refuse()

    def drain(self) -> None:
        """Hand on all that waits."""
        while self._channel.pending():
            self.read()

    def close(self) -> None:
        self._channel.close()

    def _hand_on(self, message: bytes, verdicts: bytearray) -> None:
        if _KIND.unpack_from(message)[0] != _PACKET:
            return  # an error: the packet has gone already
        worker = shard(_payload(message), len(self._verdicts))
        verdicts += self._head + self._verdicts[worker] + message[_NUMBER]
        self.handed_on += 1


def _payload(message: bytes) -> bytes:
    """The packet in a message of the kernel's."""
    at = _ATTRIBUTES
    while at + _ATTRIBUTE.size <= len(message):
        length, kind = _ATTRIBUTE.unpack_from(message, at)
        if kind == _PAYLOAD:
            return message[at + _ATTRIBUTE.size : at + length]
        at += max(length + 3 & ~3, _ATTRIBUTE.size)  # each begins at a multiple of four
    return b""
