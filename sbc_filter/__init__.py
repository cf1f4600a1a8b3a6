"""STIR/SHAKEN in the packet path of a session border controller that knows nothing of it.

A pure function from packet bytes and a time to a decision, with thin shells that feed it: the kernel's queue, a capture
file, a message by itself. They cannot disagree, because there is only one core. Imports go downwards alone, which
`tests/test_imports.py` enforces:

                       ops          commands, configuration, processes: the only place that builds things
                        │
                        io          shells: kernel's queue, captures, certificates, firewall, sockets
    ══ effects above ═══╪══ below: no socket, file, clock, thread, log handler ══
                      engine        packet + time -> Verdict | Need
                  ┌─────┴─────┐
                rules         │     which calls, and what is done with them
                  │           │
                stir       packet   PASSporTs, certificates, trust; IP and UDP
                  └─────┬─────┘
                       sip          messages read by spans, edited by a list
                        │
                      errors        what can become of a packet, and why

Live (`sbc-filter run`) it is several processes, so that what is slow, or fails, does not stand in the way of packets:

    supervisor ─┬─ dispatcher     takes the firewall's queue, hands each packet to the queue of its call's worker
                ├─ worker 1 … N   engine and queue, one thread; with one worker its queue is the firewall's
                └─ certificates   cache on disk, command, socket, HTTPS; the lists of the trust store

The supervisor holds no packet: it starts the others and starts anew who ends, answers the control socket, reloads, and
feeds the watchdog. Workers ask `certificates` over a Unix socket, by HTTP; what has to be one for all of them (tokens
seen, rates, what `preserve` keeps) lies in memory that they share. Packets stay in the kernel until their verdict.

To build on it: `engine.engine.Engine` with `Engine.process`, `decide` and `resume`; what they answer in
`engine.verdict`; what is recorded in `engine.record`; `assembly.setup.read_all` makes an engine of an operator's files.
"""

__all__ = ["__version__"]

__version__ = "0.1.0"
