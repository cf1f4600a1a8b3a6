"""State that outlives one packet: certificates, transactions, arrivals, tokens seen.

Invariants of all of them:

- Each has a capacity and a lifetime (`generational_cache`), so a flood of new entries displaces only its own kind.
- One thread uses them, that of the engine. What several processes share is behind `Seen` and `Arrivals`.
- Times are arguments, in POSIX seconds. Nothing here reads a clock or waits.
- They survive a reload (`engine.state`), and a retransmission gets the result of its first copy.

The invariants of each are in its module, in short:

- `certificates`: a failure never replaces a certificate; a known chain is validated again without another fetch.
- `transactions`: a need is in `held`, under its message and under its transaction, or in none of them.
- `arrivals`: at most `MOST` arrivals under a key; only the first can be a crowd.
- `replays`: the first call that claims a token keeps it until its claim is dropped.
- `results`: for one call only; it needs nothing twice.
"""
