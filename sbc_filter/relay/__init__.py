"""The relay: SIP over TCP between two peers, filtered message by message."""
