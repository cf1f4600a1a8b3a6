"""STIR/SHAKEN in the packet path of a session border controller that knows nothing of it.

A pure function from packet bytes and a time to a verdict, with thin shells that feed it: the kernel's queue, a capture
file, a message by itself. They cannot disagree, because there is only one core. Each folder is a room, named after what
it does. Imports go downwards only; `tests/test_imports.py` has the table.

    cli  commands               one file a command
    lab                         namespaces, certificate maker, demo network
    daemon                      the processes of `run`
    assembly                    settings -> running parts: the only place that builds an engine
    config                      sbc-filter.toml -> settings
    trust  certificates         lists kept current; where other parties' certificates come from
    delegates                   signing and verification by others (ATIS-1000082)
    report                      the calls of a replay as one HTML page
    calls                       the calls of a capture, put together from its messages
    live  relay  capture        the shells: kernel queue, TCP connections, capture files
    holding                     what waits for an answer, until its deadline
    firewall                    rules that feed the kernel queue and the relay
    records  recent             what leaves; what is shown live, and kept for a while
    shared_memory               what the workers share
    web  keys  processes        safe HTTPS, PKCS#11, child processes
    system  concurrency         files, sockets, programs, signals; threads and queues
    ══ above: effects ══ below: no socket, file, clock, thread or log handler ══
    engine                      packet + time -> Verdict | Need
      call  decide  act  memory     read a call -> decide -> act; what outlives a packet
    rules                       TOML -> rules -> matching
    stir                        PASSporTs: read, sign, verify, diversions
    pki                         certificates, chains, CRLs, trust store (no SIP)
    sip                         messages, headers, addresses, numbers (no STIR)
    packet                      bytes <-> IP and UDP
    explanations                what each outcome means, which standard says so, what to do about it
    errors  outcomes  counters  exceptions; what can become of a packet; what is counted
    strict_json  utc            JSON that can be read in one way only; times as people read them
    ranked_counts               who has most

Live (`sbc-filter run`) it is several processes, so that what is slow, or fails, does not stand in the way of packets:

    supervisor ─┬─ dispatcher     takes the firewall's queue, hands each packet to the queue of its call's worker
                ├─ worker 1 … N   engine and queue, one thread; with one worker its queue is the firewall's
                ├─ relay 1 … N    engine and TCP connections, one loop, if they are to be relayed
                ├─ recent         recent calls: shown to followers, and kept for `find`
                └─ certificates   cache on disk, command, socket, HTTPS; the lists of the trust store

The supervisor holds no packet: it starts the other processes and restarts those that exit, answers the control socket,
reloads, and feeds the watchdog. Workers ask `certificates` over a Unix socket, by HTTP. What all workers have in common
(tokens seen, rates, what `preserve` keeps) lies in shared memory. Packets stay in the kernel until their verdict.

To build on it: `engine.engine.Engine` with `Engine.process`, `decide` and `resume`; what they answer in
`engine.verdict`; what is recorded in `engine.record`; `assembly.setup.read_all` makes an engine of an operator's files.
"""

__all__ = ["__version__"]

__version__ = "0.1.0"
