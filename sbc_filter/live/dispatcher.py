"""The dispatcher: sends all packets of a call to one worker, in order.

The kernel spreads packets over queues by address, and all calls of a trunk have the same addresses. So one process
takes all packets, reads only the Call-ID, and gives each packet the verdict "to the queue of this worker". The packet
itself stays in the kernel: only its number travels.
"""

import re
import selectors
import signal
import time
from collections.abc import Sequence
from dataclasses import replace
from struct import Struct

from sbc_filter.counters import CounterName
from sbc_filter.firewall.plan import QueueSettings
from sbc_filter.live.netlink import QueueChannel
from sbc_filter.processes.channel import Channel
from sbc_filter.processes.messages import Alive, Heartbeat, Stop

# The Call-ID is the same in INVITE, ACK, CANCEL and their responses (RFC 3261 §8.1.1.4). White space is matched
# possessively (`*+`): backtracking over 64 KiB of it would take half a minute.
_CALL_ID = re.compile(rb"[\r\n](?:call-id|i)[ \t]*+:[ \t\r\n]*+([^\r\n]*[^\r\n \t])", re.IGNORECASE)
_PACKET, _VERDICT = 3 << 8, 3 << 8 | 1  # NFNL_SUBSYS_QUEUE with NFQNL_MSG_PACKET, NFQNL_MSG_VERDICT
_PAYLOAD = 10  # NFQA_PAYLOAD
_ATTRIBUTES = 20  # where the attributes begin; the first is NFQA_PACKET_HDR, which begins with the packet's number
_NUMBER = slice(24, 28)
_KIND = Struct("=4xH")
_ATTRIBUTE = Struct("=HH")
# nlmsghdr (length, type, NLM_F_REQUEST, sequence, port), nfgenmsg (family, version, queue), NFQA_VERDICT_HDR;
# then verdict and number of the packet, both big-endian.
_HEAD = Struct("=IHHII2x2sHH")
_LENGTH = _HEAD.size + 8
_TO_QUEUE, _BYPASS = 3, 0x8000  # NF_QUEUE, NF_VERDICT_FLAG_QUEUE_BYPASS
_BATCHES = 16  # read from one queue before the others are served


def worker_queues(feeds: Sequence[QueueSettings], worker: int) -> tuple[QueueSettings, ...]:
    """The queues of a worker, one for each queue that the firewall feeds; their numbers follow those of the feeds."""
    first = feeds[-1].number + 1 + worker * len(feeds)
    return tuple(replace(feed, number=first + at) for at, feed in enumerate(feeds))


def shard(message: bytes, workers: int, secret: bytes) -> int:
    """The worker (from 0) that gets a packet: by its Call-ID, or by all its bytes if it does not have one.

    The caller chooses both. `secret` keeps it from choosing calls that all go to one worker: after the secret, the
    state of Python's SipHash is unknown, even if the environment fixes the interpreter's own key.
    """
    found = _CALL_ID.search(message)
    return hash(secret + (found[1] if found is not None else message)) % workers


class Dispatcher:
    """Moves packets from `feeds` to the queues of the workers, until a stop order or until the supervisor is gone.

    Raises `EnvironmentFault` when a queue cannot be bound.
    """

    def __init__(self, feeds: Sequence[QueueSettings], workers: int, secret: bytes, channel: Channel) -> None:
        """`secret`: see `shard`; the same after a restart, so that a call stays with its worker."""
        self._channel = channel
        self._stop = False
        queues = [worker_queues(feeds, worker) for worker in range(workers)]
        self._feeds: list[_Feed] = []
        try:
            for at, settings in enumerate(feeds):
                self._feeds.append(_Feed(settings, [each[at].number for each in queues], secret))
        except BaseException:
            self._close()
            raise

    def run(self, every: float) -> None:
        """Dispatch packets, and send a `Heartbeat` about every `every` seconds."""
        signal.signal(signal.SIGTERM, lambda *_: self.stop())
        signal.signal(signal.SIGINT, lambda *_: self.stop())
        sent = 0.0
        with selectors.DefaultSelector() as selector:
            selector.register(self._channel, selectors.EVENT_READ, self._listen)
            for feed in self._feeds:
                selector.register(feed, selectors.EVENT_READ, feed.read)
            try:
                while not self._stop:
                    for key, _ in selector.select(every):
                        key.data()
                    if time.monotonic() - sent >= every:
                        sent = time.monotonic()
                        self._send_heartbeat()
            finally:
                for feed in self._feeds:
                    feed.refuse()
                    feed.drain()
                self._send_heartbeat()
                self._close()

    def stop(self) -> None:
        """Make `run` return after it has dispatched all waiting packets. Safe to call from a signal handler."""
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

    def _send_heartbeat(self) -> None:
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

    def __init__(self, settings: QueueSettings, numbers: Sequence[int], secret: bytes) -> None:
        self._settings = settings
        self._secret = secret
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
        """Dispatch waiting packets, at most `_BATCHES` batches."""
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
        """Accept no more packets: new ones pass or are dropped, as `on_overload` says."""
        self._channel.refuse()

    def drain(self) -> None:
        """Dispatch all waiting packets."""
        while self._channel.pending():
            self.read()

    def close(self) -> None:
        self._channel.close()

    def _hand_on(self, message: bytes, verdicts: bytearray) -> None:
        if _KIND.unpack_from(message)[0] != _PACKET:
            return  # an error message: the packet is gone already
        worker = shard(_payload(message), len(self._verdicts), self._secret)
        verdicts += self._head + self._verdicts[worker] + message[_NUMBER]
        self.handed_on += 1


def _payload(message: bytes) -> bytes:
    """The packet in a message of the kernel."""
    at = _ATTRIBUTES
    while at + _ATTRIBUTE.size <= len(message):
        length, kind = _ATTRIBUTE.unpack_from(message, at)
        if kind == _PAYLOAD:
            return message[at + _ATTRIBUTE.size : at + length]
        at += max(length + 3 & ~3, _ATTRIBUTE.size)  # attributes are aligned to four bytes
    return b""
