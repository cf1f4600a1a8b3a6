"""Reading of calls: from bytes to an INVITE with its parties, its place in the network, and no untrusted claims."""
