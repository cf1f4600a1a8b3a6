"""The closed list of what a running filter counts: each name stands in docs/service.md.

Four families have names of their own: packets that are not read (a `Detail`), `deviation.` with the name of a
`Deviation`, `repair.` with the name of a `Repair`, and `relay-fault.` with the name of a fault of a stream. The outcome
of a call is not counted here: it has a record.
"""

from enum import StrEnum


class CounterName(StrEnum):
    """What is counted; in kebab-case, as details are."""

    # By the live shell: packets.
    PACKETS = "packets"
    ACCEPTED = "accepted"
    MODIFIED = "modified"
    DROPPED = "dropped"
    TRUNCATED = "truncated"
    HELD = "held"
    HELD_NOW = "held-now"  # a gauge: not how often, but how many now
    HOLD_LIMIT = "hold-limit"  # by the engine as well
    DEADLINES = "deadlines"
    LATE_ANSWERS = "late-answers"
    OVERRUNS = "overruns"
    HANDED_ON = "handed-on"
    EMITTED = "emitted"
    REEMITTED = "reemitted"
    # By the live shell: what went wrong.
    EMIT_ERRORS = "emit-errors"
    NOT_REEMITTED = "not-reemitted"
    ENGINE_ERRORS = "engine-errors"
    SOURCE_ERRORS = "source-errors"
    RECORD_ERRORS = "record-errors"
    RECORDS_LOST = "records-lost"
    # By the relay: connections, and the messages in them.
    RELAY_CONNECTIONS = "relay-connections"
    RELAY_CONNECTIONS_NOW = "relay-connections-now"  # a gauge
    RELAY_MESSAGES = "relay-messages"
    RELAY_RESETS = "relay-resets"
    RELAY_FAR_SIDE_REFUSED = "relay-far-side-refused"
    RELAY_REFUSED_STREAMS = "relay-refused-streams"
    RELAY_UNFILTERED_STREAMS = "relay-unfiltered-streams"
    RELAY_EXPOSED_BODIES = "relay-exposed-bodies"
    RELAY_LIMIT_CONNECTIONS = "relay-limit-connections"
    RELAY_LIMIT_PEER = "relay-limit-peer"
    RELAY_LIMIT_IDLE = "relay-limit-idle"
    RELAY_LIMIT_MESSAGE = "relay-limit-message"
    RELAY_LIMIT_MEMORY = "relay-limit-memory"
    # By the engine.
    RETRANSMISSION = "retransmission"
    HELD_DUPLICATE = "held-duplicate"
    PASSED_UNREAD = "passed-unread"
    NO_DIRECTION = "no-direction"
    ACK_ABSORBED = "ack-absorbed"
    CANCEL_ANSWERED = "cancel-answered"
    UNANSWERABLE = "unanswerable"
    ANSWER_CUT = "answer-cut"
    ANSWER_NO_ROOM = "answer-no-room"
    REASON_ADDED = "reason-added"
    REASON_NO_ROOM = "reason-no-room"
    REASON_REMOVED = "reason-removed"
    DIV_UNSURE = "div-unsure"
    RPH_VERIFIED = "rph-verified"
    RCD_USABLE = "rcd-usable"
    RCD_UNUSABLE = "rcd-unusable"
    # By the supervisor; what passed because a worker's socket was full, by the worker.
    PASSED_UNFILTERED = "passed-unfiltered"
    UNFILTERED_INBOUND = "unfiltered-inbound"
    UNFILTERED_OUTBOUND = "unfiltered-outbound"
    UNRELAYED_ENCRYPTED = "unrelayed-encrypted"
    UNRELAYED_NEW = "unrelayed-new"
    UNRELAYED_OLDER = "unrelayed-older"
    UNRELAYED_ELSEWHERE = "unrelayed-elsewhere"
    QUEUE_FULL = "queue-full"
    FIREWALL_LOST = "firewall-lost"
    FIREWALL_RESTORED = "firewall-restored"
    FIREWALL_MISSING = "firewall-missing"  # a gauge: 1 while the rules are not as planned, and this was said
    WORKER_RESTARTS = "worker-restarts"
    RELAY_RESTARTS = "relay-restarts"
    DISPATCHER_RESTARTS = "dispatcher-restarts"
    CERTIFICATES_RESTARTS = "certificates-restarts"
    RECENT_RESTARTS = "recent-restarts"


UNFILTERED = {
    "": CounterName.PASSED_UNFILTERED,
    "inbound": CounterName.UNFILTERED_INBOUND,
    "outbound": CounterName.UNFILTERED_OUTBOUND,
}
"""The counter of packets that passed unfiltered, by the direction of their queue; the first counts those of all."""


def counters_of_unfiltered(direction: str) -> set[CounterName]:
    """The counters of a packet that passed unfiltered by a queue of this direction."""
    return {UNFILTERED[""], UNFILTERED[direction]}
