"""Puts the messages of a capture together into calls, in bounded memory."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from hashlib import blake2b

from sbc_filter.calls.call import Call
from sbc_filter.calls.head import Head, read_head
from sbc_filter.calls.seen_message import SeenMessage, host_of
from sbc_filter.calls.token_uses import FirstUse, TokenUses
from sbc_filter.outcomes import Outcome

WITH_MESSAGES = 10_000
"""Calls whose messages are kept; of those after them, only the lines of the list."""
OCTETS = 96 << 20
"""Octets of all messages that are kept; when there are more, the calls after that have only their lines."""
LINES = 200_000
"""Calls that are listed; the messages of those after them are counted."""
LEG = 5.0
"""Seconds within which another Call-ID with the same token is a leg of the same call."""
_TOKENS = 10_000  # tokens that are known at one time
_HOSTS = 16  # that one token passes
_COPIES = 4096  # messages among which copies are found
# Methods of calls. Others, such as OPTIONS, belong to a call only if they have its Call-ID.
_OF_CALLS = frozenset(("INVITE", "ACK", "CANCEL", "PRACK", "BYE", "UPDATE"))
_Key = tuple[bytes, bytes]


class Calls:
    """Call `add` with each message, in order of time.

    A call is a Call-ID with the tag of its caller, so that two calls under one Call-ID stay two. An INVITE with both
    that comes the same way is another call if it names another caller, or comes too late to be a copy.
    Legs of a call are:

    - the same on another hop, since proxies keep both;
    - another Call-ID with the same token, within `LEG` seconds, that a host of the call sends on to another host. A
      token that comes back to a host of the call, or from a host outside, may be stolen: that is another call.
    """

    def __init__(
        self,
        with_messages: int = WITH_MESSAGES,
        octets: int = OCTETS,
        lines: int = LINES,
        wanted: Callable[[Call], bool] | None = None,
        *,
        rolls: bool = False,
    ) -> None:
        """`wanted` chooses the calls whose messages are kept, when they begin; by default the first ones.

        If it `rolls`, calls after `lines` are listed, and those without messages that began first are forgotten.
        """
        self._with_messages = with_messages
        self._octets = octets
        self._lines = lines
        self._wanted = wanted
        self._rolls = rolls
        self._kept = self._size = 0
        self._calls: list[Call] = []
        self._by_key: dict[_Key, Call] = {}
        self._by_id: dict[bytes, Call] = {}
        self._tokens: OrderedDict[bytes, tuple[Call, float, set[str]]] = OrderedDict()
        self._uses = TokenUses()
        self._copies: OrderedDict[bytes, None] = OrderedDict()
        self.begun = 0
        """Calls that were listed, with those that are forgotten."""
        self.unlisted = 0
        """Messages of calls that are not listed."""

    def add(self, message: SeenMessage) -> Call | None:
        """Add a message to its call, and return that; None if it does not belong to one that is listed."""
        head = read_head(message.received)
        call = self._call(message, head)
        if call is not None:
            self._note_use(message, head, call)
            self._size += call.add(message, head, repeated=self._is_copy(message))
            if self._size > self._octets and call.keeps:
                self._size -= call.forget()
        return call

    def forget(self, call: Call) -> None:
        """Keep no message of this call from now on, so that there is room for those of another one."""
        if call.keeps:
            self._size -= call.forget()
            self._kept -= 1

    def in_order(self) -> Sequence[Call]:
        """The calls, in order of their first messages."""
        return self._calls

    def __len__(self) -> int:
        return len(self._calls)

    def _call(self, message: SeenMessage, head: Head) -> Call | None:
        """The call of a message; None if it does not belong to one."""
        if not head.call_id:
            return self._without_id(message, head)
        call = self._by_key.get((head.call_id, head.from_tag))
        if call is not None and call.contradicts(message, head):
            call = None
        if call is None and not head.is_initial:
            call = self._by_key.get((head.call_id, head.to_tag)) or self._by_id.get(head.call_id)
        if call is None:
            call = self._leg(message, head) or self._new(message, head)
            if call is not None:
                self._by_key[head.call_id, head.from_tag] = self._by_id[head.call_id] = call
        if call is not None and head.is_initial:
            self._note_hosts(message, head, call)
        return call

    def _without_id(self, message: SeenMessage, head: Head) -> Call | None:
        """Messages without Call-ID between the same ends, with the same tag: nothing else puts them together."""
        ends = "\0".join(sorted((message.src, message.dst))).encode()
        key = b"", ends + b"\0" + head.from_tag
        call = self._by_key.get(key) or self._new(message, head)
        if call is not None:
            self._by_key[key] = call
        return call

    def _new(self, message: SeenMessage, head: Head) -> Call | None:
        if head.method not in _OF_CALLS and message.record is None:
            return None
        if len(self._calls) >= self._lines:
            if not self._rolls:
                self.unlisted += 1
                return None
            self._roll()
        self.begun += 1
        call = Call(self.begun, message, head)
        self._calls.append(call)
        call.keeps = self._size < self._octets and self._keeps(call)
        self._kept += call.keeps
        return call

    def _roll(self) -> None:
        """Forget the older half of the calls, but for those with messages."""
        half = self._calls[len(self._calls) // 2].number
        self._calls = [call for call in self._calls if call.keeps or call.number >= half]
        self._by_key = {key: call for key, call in self._by_key.items() if call.keeps or call.number >= half}
        self._by_id = {key: call for key, call in self._by_id.items() if call.keeps or call.number >= half}

    def _keeps(self, call: Call) -> bool:
        return self._kept < self._with_messages and (self._wanted is None or self._wanted(call))

    def _leg(self, message: SeenMessage, head: Head) -> Call | None:
        """The call of which this INVITE is another leg, under another Call-ID."""
        if not head.is_initial or (message.record is not None and message.record.outcome == Outcome.REPLAYED):
            return None
        source, target = host_of(message.src), host_of(message.dst)
        for token in head.tokens:
            known = self._tokens.get(token[-64:])
            if known is None:
                continue
            call, time, hosts = known
            if 0.0 <= message.time - time <= LEG and source in hosts and target not in hosts and len(hosts) < _HOSTS:
                return call
        return None

    def _note_hosts(self, message: SeenMessage, head: Head, call: Call) -> None:
        """Remember which hosts have the tokens of this INVITE."""
        for token in head.tokens:
            known = self._tokens.get(token[-64:])
            if known is None or known[0] is not call:
                if known is not None and message.time - known[1] <= LEG:
                    continue  # the first call of a token keeps it
                known = self._tokens[token[-64:]] = call, message.time, set()
            if len(known[2]) < _HOSTS:
                known[2].update((host_of(message.src), host_of(message.dst)))
        while len(self._tokens) > _TOKENS:
            self._tokens.popitem(last=False)

    def _note_use(self, message: SeenMessage, head: Head, call: Call) -> None:
        """Remember which call had the tokens of this INVITE first, and tell the others."""
        if head.tokens and head.is_initial:
            direction = None if message.record is None else message.record.direction
            left = direction == "outbound"
            use = FirstUse(call.number, message.packet, message.file, head.target, left)
            same = self._uses.note(head.tokens, use, arrives=direction == "inbound")
            call.same_token = call.same_token or same

    def _is_copy(self, message: SeenMessage) -> bool:
        """Whether the same bytes were seen between the same ends, a short while before."""
        ends = f"{message.src} {message.dst} ".encode()  # up to 95 octets with IPv6: longer than a key
        digest = blake2b(ends + message.received, digest_size=16).digest()
        known = digest in self._copies
        self._copies[digest] = None
        self._copies.move_to_end(digest)
        if len(self._copies) > _COPIES:
            self._copies.popitem(last=False)
        return known
