"""Bytes to IPv4, IPv6 and UDP, and back. Knows no SIP."""
