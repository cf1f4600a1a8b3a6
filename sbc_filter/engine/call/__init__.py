"""Reads a call: from bytes to an INVITE with its parties, placed in the network and freed of untrusted claims."""
