"""Parsing and building of IPv4, IPv6 and UDP packets. Contains nothing about SIP."""
