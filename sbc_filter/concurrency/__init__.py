"""Bounded threads, single flight, a fair queue, a mailbox."""
